"""Where a grid lies, what two grids share, and which pairs are no half maps."""

import numpy as np
import pytest

from cryores.errors import InputError
from cryores.volume import Grid, HalfMaps, Volume, full_map

GRID = Grid((4, 5, 6), (8.0, 5.0, 9.0), (4, 5, 6))


def volume(seed=0, grid=GRID):
    return Volume(np.random.default_rng(seed).standard_normal(grid.shape).astype(np.float32), grid)


def test_voxel_size_is_cell_over_sampling_and_nyquist_twice_the_largest():
    assert GRID.voxel_size == (2.0, 1.0, 1.5)
    assert GRID.spacing == 2.0 and GRID.nyquist == 4.0
    assert GRID.extent == (8.0, 5.0, 9.0) and GRID.size == 120
    crystal = Grid((4, 5, 6), (80.0, 80.0, 80.0), (40, 40, 80))
    assert crystal.voxel_size == (2.0, 2.0, 1.0) and crystal.extent == (8.0, 10.0, 6.0)


def test_the_first_voxel_lies_at_the_origin_or_at_the_start_indices():
    assert GRID.first_voxel == (0.0, 0.0, 0.0)
    assert Grid((4, 5, 6), (8.0, 5.0, 9.0), (4, 5, 6), nstart=(-2, 3, 4)).first_voxel == (-4.0, 3.0, 6.0)
    both = Grid((4, 5, 6), (8.0, 5.0, 9.0), (4, 5, 6), origin=(1.0, 0.0, -2.0), nstart=(-2, 3, 4))
    assert both.first_voxel == (1.0, 0.0, -2.0)


def test_another_voxel_size_keeps_place_and_sampling():
    crystal = Grid((4, 5, 6), (80.0, 80.0, 80.0), (40, 40, 80), origin=(1.0, 2.0, 3.0), nstart=(7, 8, 9))
    changed = crystal.with_voxel_size(1.25)
    assert changed.voxel_size == (1.25, 1.25, 1.25) and changed.sampling == (40, 40, 80)
    assert changed.origin == crystal.origin and changed.nstart == crystal.nstart
    assert Grid((4, 5, 6), (0.0, 0.0, 0.0), (0, 0, 0)).with_voxel_size(2.0).voxel_size == (2.0, 2.0, 2.0)
    assert Grid((4, 5, 6), (0.0, 0.0, 0.0), (0, 0, 0)).voxel_size == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("factor, same", [(1.0, True), (1.0009, True), (0.9991, True), (1.002, False), (0.998, False)])
def test_voxel_sizes_within_a_thousandth_are_the_same(factor, same):
    other = GRID.with_voxel_size(tuple(factor * v for v in GRID.voxel_size))
    assert GRID.same_voxels(other) is same
    assert not GRID.same_voxels(Grid.regular((4, 5, 7), GRID.voxel_size))


def test_a_volume_is_contiguous_float32_on_its_grid():
    made = Volume(np.arange(120.0).reshape(6, 5, 4).T, GRID)
    assert made.data.dtype == np.float32 and made.data.flags.c_contiguous and made.data[1, 0, 0] == 1.0
    assert made.like(made.data > 3).data.sum() == 116
    with pytest.raises(InputError) as raised:
        Volume(np.zeros((4, 5, 7), np.float32), GRID)
    assert raised.value.code == "E_SHAPE" and raised.value.exit_status == 3


def test_mean_and_noise_of_halves_give_them_back():
    one, two = volume(1), volume(2)
    halves = HalfMaps(one, two)
    np.testing.assert_allclose(halves.mean().data + halves.noise().data, one.data, atol=1e-6)
    np.testing.assert_allclose(halves.mean().data - halves.noise().data, two.data, atol=1e-6)
    np.testing.assert_array_equal(full_map(halves).data, halves.mean().data)
    assert full_map(one) is one and halves.grid is one.grid


@pytest.mark.parametrize(
    "other, code",
    [
        (volume(2, Grid.regular((4, 5, 7), 1.0)), "E_HALVES_SHAPE"),
        (Volume(volume(2).data, GRID.with_voxel_size(2.5)), "E_HALVES_VOXEL_SIZE"),
        (volume(1), "E_HALVES_IDENTICAL"),
    ],
)
def test_what_is_no_pair_of_halves_is_refused(other, code):
    with pytest.raises(InputError) as raised:
        HalfMaps(volume(1), other)
    assert raised.value.code == code and raised.value.hint
