"""Transforms in place, and amplitudes finished slab by slab: the same numbers in less memory."""

import numpy as np
import pytest

from cryores.fourier import InPlaceRealFFT
from cryores.monogenic import Edges, Monogenic, high_pass, low_pass
from cryores.slab_monogenic import SlabMonogenic
from cryores.volume import Grid

SHAPES = [(21, 40, 37), (24, 36, 40)]


def noise(shape):
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2)])
def test_in_place_transforms_are_those_of_numpy(shape, axes):
    fft, data = InPlaceRealFFT(shape, 2, axes, effort="FFTW_ESTIMATE"), noise(shape)
    fft.real(fft.first)[:] = data
    np.testing.assert_allclose(fft.forward(fft.first), np.fft.rfftn(data, axes=axes), atol=2e-3)
    count = np.prod([shape[axis] for axis in axes])
    np.testing.assert_allclose(fft.backward(fft.first) / count, data, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slabs", [1, 3, 8])
def test_slabs_change_nothing(shape, slabs):
    grid, band, smooth = Grid.regular(shape, 1.3), high_pass(0.2, 0.05), low_pass(0.2, 0.05)
    found = []
    for engine in (Monogenic(grid, 2, effort="FFTW_ESTIMATE"), SlabMonogenic(grid, 2, slabs, effort="FFTW_ESTIMATE")):
        engine.buffer[:] = noise(shape)
        amplitude = engine.amplitude(engine.transform(engine.buffer), band)
        found.append((amplitude.copy(), engine.smoothed(amplitude, smooth).copy()))
    for whole, slab in zip(*found):
        np.testing.assert_allclose(slab, whole, atol=1e-5)


def test_the_spectrum_outlives_the_amplitude_and_a_coarse_map_is_interpolated():
    fine, coarse = Grid.regular((24, 36, 40), 1.0), Grid.regular((12, 18, 20), 2.0)
    wave = np.cos(2 * np.pi * np.arange(40) / 20).astype(np.float32) * np.ones((24, 36, 1), dtype=np.float32)
    slab, small = SlabMonogenic(fine, 1, 4, "FFTW_ESTIMATE"), Monogenic(coarse, 1, effort="FFTW_ESTIMATE")
    slab.buffer[:] = wave
    spectrum = slab.transform(slab.buffer)
    for _ in range(2):
        np.testing.assert_allclose(slab.amplitude(spectrum, Edges()), 1.0, atol=1e-5)
    small.scratch[:] = wave[::2, ::2, ::2]
    found = slab.synthesis(small.smoothed_spectrum(small.scratch, Edges()), coarse)
    np.testing.assert_allclose(found, wave, atol=1e-5)


def test_the_spare_volume_is_not_the_scratch():
    slab = SlabMonogenic(Grid.regular((12, 10, 9), 1.0), 1, 2, "FFTW_ESTIMATE")
    spare = slab.spare()
    slab.scratch[:] = 1.0
    spare[:] = 2.0
    assert spare.flags["C_CONTIGUOUS"] and spare.shape == (12, 10, 9)
    assert (slab.scratch == 1.0).all()
