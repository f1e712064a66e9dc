"""A map on another grid over the same box, whole and in parts."""

import numpy as np
import pytest

from cryores.resample import Between, Resampled, interpolated, nearest_voxels, resampled


@pytest.mark.parametrize("shape", [(24, 26, 20), (12, 13, 11), (9, 26, 30), (8, 20, 10)])
def test_a_part_is_that_of_the_whole(shape):
    data = np.random.default_rng(0).standard_normal((12, 13, 10)).astype(np.float32)
    whole, parts = resampled(data, shape, 1), Resampled(data, shape, threads=2)
    places = [np.array([0, 5, n - 1, 3, 3]) for n in shape]
    np.testing.assert_allclose(parts.at(*places), whole[np.ix_(*places)], atol=3e-6)
    # What is kept of the last part belongs to its voxels alone.
    for axis in range(3):
        other = [p if a != axis else p[::-1].copy() for a, p in enumerate(places)]
        np.testing.assert_allclose(parts.at(*other), whole[np.ix_(*other)], atol=3e-6)


def test_a_wave_is_a_wave_on_any_grid():
    x = np.arange(20)
    data = np.broadcast_to(np.cos(2 * np.pi * 3 * x / 20).astype(np.float32), (4, 4, 20))
    fine = Resampled(np.ascontiguousarray(data), (4, 4, 47)).at(np.arange(2), np.arange(4), np.arange(47))
    np.testing.assert_allclose(fine, np.broadcast_to(np.cos(2 * np.pi * 3 * np.arange(47) / 47), (2, 4, 47)), atol=1e-6)


def test_what_is_not_known_is_left_out_of_the_mean():
    values = np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan], dtype=np.float32).reshape(1, 1, 6)
    axes = [Between.of(n, m) for n, m in ((1, 1), (1, 1), (6, 12))]
    found = interpolated(values, axes)[0, 0]
    np.testing.assert_allclose(found[:6], [1, 1, np.nan, 3, 3, 3])
    assert np.isnan(found[6:]).all()
    assert axes[2].part(slice(0, 3)).needed.tolist() == [0, 1] and Between.of(6, 3).needed.tolist() == [0, 2, 4]


def test_the_nearest_voxel_is_in_the_box():
    assert nearest_voxels(4, 8).tolist() == [0, 0, 1, 2, 2, 2, 3, 3]
    assert nearest_voxels(8, 4).tolist() == [0, 2, 4, 6]
