"""Sliding windows against one transform a window."""

import numpy as np
import pytest

from cryores.local_scaling import fitted_decay
from cryores.window_profiles import WindowShells, window_profiles


def frequencies(n):
    k = np.fft.fftfreq(n, 1 / n)
    return np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)


def profile(window):
    """Mean modulus of every shell over the full spectrum, as it is written down."""
    n = len(window)
    shell = np.floor(frequencies(n)).astype(int)
    moduli = np.abs(np.fft.fftn(window, norm="ortho"))
    return np.array([moduli[shell == r].mean() for r in range(n // 2 + 1)])


def tapered_profile(window):
    """Mean modulus of every second coefficient along each axis of a window times a Hann window; 0 in empty shells."""
    n = len(window)
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(n) - n // 2) / n)
    even = np.fft.fftfreq(n, 1 / n) % 2 == 0
    chosen = np.ix_(even, even, even)
    moduli = np.abs(np.fft.fftn(window * hann[:, None, None] * hann[:, None] * hann, norm="ortho"))[chosen]
    shell = np.floor(frequencies(n)).astype(int)[chosen]
    return np.array([moduli[shell == r].mean() if np.any(shell == r) else 0.0 for r in range(n // 2 + 1)])


def scaled(window, ratio):
    """The window with its shells multiplied by ratio, linear in between and constant beyond."""
    n = len(window)
    gain = np.interp(frequencies(n), np.arange(n // 2 + 1), ratio)
    return np.fft.ifftn(np.fft.fftn(window) * gain).real


@pytest.mark.parametrize("n", [8, 10, 11, 13, 14])
def test_windows_slide_exactly(n):
    rng = np.random.default_rng(n)
    shape = (13, 19, 16)
    maps = [rng.standard_normal(shape).astype(np.float32) + k for k in range(2)]
    inside = rng.random(shape) < 0.2
    inside[3:9, 5:12, 2:11] = True
    inside[0, 0, 0] = inside[-1, -1, -1] = True  # their windows reach beyond the box
    levels = [m[~inside].mean(dtype=np.float64) for m in maps]
    wide = [np.pad(m.astype(np.float64), n, constant_values=level) for m, level in zip(maps, levels)]
    seen = np.zeros(shape, dtype=int)
    for block in window_profiles(maps, inside, WindowShells(n), threads=2, tapered=maps[1:]):
        seen[block.voxels] += 1
        np.testing.assert_allclose(block.shares.sum(axis=1), maps[0][block.voxels], atol=1e-12)
        for i in range(0, len(block.shares), 17):
            start = [axis[i] + n - n // 2 for axis in block.voxels]
            windows = [w[tuple(slice(s, s + n) for s in start)] for w in wide]
            profiles = [profile(w) for w in windows]
            np.testing.assert_allclose(block.amplitudes[i], profiles, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(block.tapered[i, 0], tapered_profile(windows[1]), rtol=1e-6)
            ratio = profiles[1] / profiles[0]
            centre = scaled(windows[0], ratio)[n // 2, n // 2, n // 2]
            # The mean of a window may be so small that its rounding counts in the ratio.
            assert block.shares[i] @ ratio == pytest.approx(centre, rel=1e-6, abs=1e-5)
    np.testing.assert_array_equal(seen, inside)


def test_an_octant_counts_positive_indices_only():
    window = np.random.default_rng(1).standard_normal((12, 12, 12)).astype(np.float32)
    inside = np.zeros(window.shape, dtype=bool)
    inside[6, 6, 6] = True
    found = next(window_profiles([window], inside, WindowShells(12, octant=True))).amplitudes[0, 0]
    moduli = np.abs(np.fft.fftn(window, norm="ortho"))[:7, :7, :7]
    z, y, x = np.indices(moduli.shape)
    shell = np.sqrt(z * z + y * y + x * x).astype(int)
    np.testing.assert_allclose(found, [moduli[shell == r].mean() for r in range(7)], rtol=1e-6)


def test_frequencies_are_the_mean_radii():
    shells = WindowShells(10)
    radius = frequencies(10)
    means = [radius[np.floor(radius) == r].mean() for r in range(6)]
    np.testing.assert_allclose(shells.frequencies(1.5), np.array(means) / 15.0)


def test_a_decay_is_found_over_the_chosen_shells():
    s = np.linspace(0.0, 0.4, 9)
    amplitude = np.array([[3.0], [0.5]]) * np.exp(-0.25 * np.array([[40.0], [90.0]]) * s**2)
    amplitude[:, 0] = 1e6
    chosen = np.ones((2, 9), dtype=bool)
    chosen[:, 0] = False
    fit = fitted_decay(s, amplitude, chosen)
    np.testing.assert_allclose(fit.bfactor, [40.0, 90.0])
    np.testing.assert_allclose(fit.amplitude, [3.0, 0.5])
    np.testing.assert_allclose(fit.quality, 1.0)
    chosen[0, 3:] = False
    assert np.isnan(fitted_decay(s, amplitude, chosen).bfactor[0])
