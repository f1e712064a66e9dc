"""Averages under Gaussians in a block of the box: those of Fourier transforms, read anywhere in the block."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from cryores.resolution._local_average import CoarseMaps, grid_for, interpolated, voxels_kept

WHOLE = (20, 24, 18)


def smoothed(field, coarse, width):
    """The field under a Gaussian of ``width`` voxels on ``coarse`` voxels, by a transform over the whole box."""
    spectrum = np.fft.fftn(field)
    for axis, (have, want) in enumerate(zip(field.shape, coarse)):
        k = np.rint(np.fft.fftfreq(want, 1.0 / want)).astype(int)
        gain = np.exp(-2.0 * (np.pi * width * k / have) ** 2) * want / have
        spectrum = np.take(spectrum, k % have, axis) * gain.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.fft.ifftn(spectrum).real


@pytest.mark.parametrize("coarse", [(20, 24, 18), (10, 15, 16), (4, 8, 9)])
def test_averages_in_a_block_are_those_of_transforms_of_the_whole(coarse):
    block = (slice(3, 20), slice(6, 11), slice(0, 13))
    fields = np.zeros((2, *WHOLE), dtype=np.float32)
    part = np.random.default_rng(1).standard_normal((2, 17, 5, 13)).astype(np.float32)
    fields[(slice(None), *block)] = part
    maps = CoarseMaps.empty([coarse], block, WHOLE, np.float32)
    found = maps.averages(0, part, block, WHOLE, tuple(2.5 / n for n in WHOLE), threads=2)
    there = np.ix_(*maps.voxels_of(0))
    for i in range(2):
        # At the coarse grid's Nyquist, of 3 axes, next to nothing is left.
        np.testing.assert_allclose(found[..., i], smoothed(fields[i], coarse, 2.5)[there], atol=2e-4)
        if coarse == WHOLE:
            np.testing.assert_allclose(found[..., i], smoothed(fields[i], coarse, 2.5)[there], atol=1e-6)


@pytest.mark.parametrize("coarse", [(20, 24, 18), (10, 15, 16), (4, 5, 9)])
def test_a_part_of_a_map_is_read_as_the_whole_is(coarse):
    block = (slice(3, 20), slice(6, 11), slice(0, 18))
    maps = CoarseMaps.empty([(4, 4, 4), coarse], block, WHOLE, np.float32)
    whole = np.random.default_rng(2).standard_normal(coarse).astype(np.float32)
    maps[1][...] = whole[np.ix_(*maps.voxels_of(1))]
    assert maps[1].size <= voxels_kept([coarse], block, WHOLE) <= whole.size
    voxels = np.argwhere(np.ones(WHOLE, dtype=bool)).reshape(*WHOLE, 3)[block].reshape(-1, 3)
    read = [interpolated.py_func(*maps.reading(), 1, *voxel) for voxel in voxels[::7].tolist()]
    places = (voxels[::7] * (np.array(coarse) / WHOLE)).T
    np.testing.assert_allclose(read, map_coordinates(whole, places, order=1, mode="grid-wrap"), atol=1e-5)


def test_a_grid_is_as_coarse_as_asked_and_not_finer_than_the_largest():
    z, y, x = grid_for(0.5, (100.0, 40.0, 5.0), (60, 18, 60))
    assert z == 50 and y == 18 and x == 4
