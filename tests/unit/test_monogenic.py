"""Monogenic amplitudes, order statistics and the sweep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryores.monogenic import (
    Blur,
    Edges,
    Monogenic,
    Sweep,
    band_pass,
    high_pass,
    low_pass,
    moments,
    order_statistic,
    quantile,
    sweep_resolutions,
)
from cryores.volume import Grid

EVERYTHING = Edges()


def amplitude(data, grid, band=EVERYTHING):
    engine = Monogenic(grid, 2, effort="FFTW_ESTIMATE")
    engine.buffer[:] = data
    return engine.amplitude(engine.transform(engine.buffer), band)


def wave(grid, bins):
    z, y, x = np.meshgrid(*(np.arange(n) / n for n in grid.shape), indexing="ij")
    return np.cos(2 * np.pi * (bins[0] * z + bins[1] * y + bins[2] * x) + 0.3).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "voxel_size", "bins"),
    [
        ((32, 32, 32), 1.0, (3, -5, 7)),
        ((24, 30, 36), 1.3, (2, 4, -3)),
        ((25, 27, 21), 1.0, (1, 0, 6)),
        ((24, 32, 28), (2.0, 1.5, 1.0), (-4, 3, 2)),
    ],
)
def test_a_plane_wave_has_a_constant_amplitude(shape, voxel_size, bins):
    grid = Grid.regular(shape, voxel_size)
    np.testing.assert_allclose(amplitude(wave(grid, bins), grid), 1.0, atol=1e-6)


def test_the_amplitude_is_that_of_the_formula():
    grid = Grid.regular((12, 9, 10), (1.2, 1.0, 0.8))
    data = np.random.default_rng(1).standard_normal(grid.shape)
    axes = [np.fft.fftfreq(n, v) for n, v in zip(grid.shape, grid.voxel_size)]
    sz, sy, sx = np.meshgrid(*axes, indexing="ij")
    norm = np.sqrt(sz**2 + sy**2 + sx**2)
    u = norm * 1.2
    gain = np.where(u < 0.1, 0, np.where(u > 0.2, 1, 0.5 - 0.5 * np.cos(np.pi * (u - 0.1) / 0.1)))
    spectrum = np.fft.fftn(data) * gain
    energy = np.fft.ifftn(spectrum).real ** 2
    for s, n, axis in zip((sz, sy, sx), grid.shape, range(3)):
        odd = s / np.maximum(norm, 1e-9)
        if n % 2 == 0:
            np.moveaxis(odd, axis, 0)[n // 2] = 0
        energy += np.fft.ifftn(spectrum * -1j * odd).real ** 2
    np.testing.assert_allclose(amplitude(data, grid, high_pass(0.2, 0.1)), np.sqrt(energy), atol=2e-4)


def test_a_coarser_grid_gives_the_same_narrow_band():
    fine, coarse = Grid.regular((40, 48, 44), 1.0), Grid.regular((20, 24, 22), 2.0)
    whole, part = Monogenic(fine, 2), Monogenic(coarse, 2, source=fine)
    whole.buffer[:] = np.random.default_rng(2).standard_normal(fine.shape)
    spectrum = whole.transform(whole.buffer)
    band, smooth = band_pass(0.1, 0.02), low_pass(0.1, 0.02)
    reference = whole.amplitude(spectrum, band).copy()
    np.testing.assert_allclose(part.amplitude(spectrum, band), reference[::2, ::2, ::2], atol=1e-6)
    expected = whole.smoothed(reference.copy(), smooth).copy()
    upsampled = whole.synthesis(part.smoothed_spectrum(part.amplitude(spectrum, band), smooth), coarse)
    assert np.abs(upsampled - expected).max() < 0.01 * expected.mean()


def test_filters_at_their_edges():
    assert high_pass(0.2, 0.02).response(np.array([0.18, 0.19, 0.2, 0.5])) == pytest.approx([0, 0.5, 1, 1])
    assert low_pass(0.2, 0.02).response(np.array([0, 0.2, 0.21, 0.22])) == pytest.approx([1, 1, 0.5, 0])
    assert low_pass(0.5, 0.02).response(np.array([0.49, 0.5, 0.51])) == pytest.approx([1, 1, 0])
    assert band_pass(0.2, 0.02).response(np.array([0.18, 0.19, 0.2, 0.21, 0.22])) == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert high_pass(0.01, 0.02).response(np.array([0.0, 0.005])) == pytest.approx([0, 0.5])
    assert Blur(2.0).response(np.array([0.0, 0.1])) == pytest.approx([1, np.exp(-2 * (0.2 * np.pi) ** 2)])


@given(
    seed=st.integers(0, 10**6), fraction=st.floats(0, 1), share=st.sampled_from([0.02, 0.5, 1.0]), ties=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_the_order_statistic_is_that_of_a_sort(seed, fraction, share, ties):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((7, 8, 9)).astype(np.float32)
    values = np.round(values) if ties else values
    region = (rng.random(values.shape) < share).astype(np.uint8)
    region[0, 0, 0] = 1
    chosen = np.sort(values[region > 0])
    assert order_statistic(values, region, fraction) == chosen[min(int(chosen.size * fraction), chosen.size - 1)]
    hazen = np.quantile(chosen.astype(np.float64), fraction, method="hazen")
    assert quantile(values, region > 0, fraction) == pytest.approx(hazen, abs=1e-6)
    found = moments(values, region)
    assert found.number == chosen.size
    assert found.mean == pytest.approx(chosen.astype(float).mean(), abs=1e-9)
    assert found.variance == pytest.approx(chosen.astype(float).var(), abs=1e-9)


@given(coarsest=st.floats(3, 100), step=st.floats(0.05, 5), edge=st.integers(20, 120), voxel=st.floats(0.5, 4))
@settings(max_examples=60, deadline=None)
def test_tested_resolutions_are_bins_within_nyquist(coarsest, step, edge, voxel):
    grid = Grid.regular((edge, edge // 2, edge - 3), voxel)
    found = sweep_resolutions(grid, coarsest, grid.nyquist, step)
    bins = edge * voxel / found
    np.testing.assert_allclose(bins, np.round(bins), atol=1e-6)
    assert np.all(np.diff(found) < 0)
    assert np.all(found >= grid.nyquist * (1 - 1e-6))


def test_a_candidate_of_one_voxel_ends_the_sweep_at_nyquist():
    found = sweep_resolutions(Grid.regular((32, 32, 32), 1.0), 8.0, 2.0, 1.0)
    np.testing.assert_allclose(found, 32 / np.array([4, 5, 6, 8, 11, 16]))


def test_a_voxel_finishes_after_two_failures_in_a_row():
    histories = {"1111": 3, "1011": 3, "1001": 0, "0000": 0, "0100": 1, "0110": 2, "1101": 3}
    sweep = Sweep(np.ones((1, 1, len(histories)), dtype=bool))
    for index in range(4):
        passes = np.array([[[float(h[index]) for h in histories]]], dtype=np.float32)
        sweep.test(index, passes, 0.5)
    assert sweep.level.ravel().tolist() == list(histories.values())
    assert sweep.never_passed == 1
    assert sweep.active == np.count_nonzero(sweep.state)


def test_a_threshold_may_depend_on_y_and_x_and_equality_fails():
    sweep = Sweep(np.ones((2, 1, 3), dtype=bool))
    assert sweep.test(0, np.ones((2, 1, 3), dtype=np.float32), np.array([[0.5, 1.0, 2.0]])) == 2
    assert sweep.level[:, 0].tolist() == [[0, -1, -1]] * 2
