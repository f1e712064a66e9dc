"""Masks: edges and growth in Å against distances computed by hand, and the automatic mask against planted particles."""

import numpy as np
import pytest

from cryores.errors import InputError
from cryores.mapio import read_half_maps, read_map
from cryores.masks import (
    automatic_mask,
    binarise,
    block_around,
    bounding_box,
    dilate,
    distance_outside,
    erode,
    soft_edge,
    soft_rim,
    sphere,
)
from cryores.volume import Grid, HalfMaps, Volume

GRID = Grid.regular((20, 24, 31), (2.0, 1.0, 1.5))


def distances_from(grid, index):
    """Distance in Å of every voxel from one voxel."""
    axes = [(np.arange(n) - i) * v for n, i, v in zip(grid.shape, index, grid.voxel_size)]
    return np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))


def one_voxel(index=(9, 11, 14)):
    data = np.zeros(GRID.shape, dtype=np.float32)
    data[index] = 1
    return Volume(data, GRID)


def dice(a, b):
    a, b = a.data > 0.5, b.data > 0.5
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_binarise_keeps_what_is_above_the_threshold():
    data = np.zeros(GRID.shape, dtype=np.float32)
    data[0, 0, :4] = (0.2, 0.5, 0.6, 1.0)
    assert binarise(Volume(data, GRID)).data[0, 0, :4].tolist() == [0, 0, 1, 1]
    assert binarise(Volume(data, GRID), 0.1).data.sum() == 4


@pytest.mark.parametrize("index", [(9, 11, 14), (0, 0, 0), (19, 2, 30)])
def test_dilation_reaches_every_voxel_within_the_distance(index):
    grown = dilate(one_voxel(index), 5.0)
    np.testing.assert_array_equal(grown.data > 0.5, distances_from(GRID, index) <= 5.0)


def test_a_short_reach_changes_no_distance_within_it():
    inside = one_voxel().data > 0.5
    whole, near = (distance_outside(inside, GRID.voxel_size, reach) for reach in (np.inf, 6.0))
    np.testing.assert_allclose(whole, distances_from(GRID, (9, 11, 14)), rtol=1e-6)
    np.testing.assert_array_equal(near[whole <= 6.0], whole[whole <= 6.0])
    assert np.all(near[whole > 6.0] > 6.0)
    assert np.isinf(distance_outside(np.zeros(GRID.shape, bool), GRID.voxel_size)).all()


def test_erosion_leaves_the_voxels_deeper_than_the_distance():
    ball = sphere(GRID, 9.0)
    outside = np.argwhere(ball.data < 0.5) * GRID.voxel_size
    kept = erode(ball, 3.0).data > 0.5
    for index in np.argwhere(ball.data > 0.5):
        nearest = np.sqrt(((outside - index * GRID.voxel_size) ** 2).sum(axis=1)).min()
        assert kept[tuple(index)] == (nearest > 3.0)
    assert not kept[ball.data < 0.5].any()


def test_erosion_of_a_full_and_of_an_empty_mask_changes_nothing():
    full = Volume(np.ones(GRID.shape, dtype=np.float32), GRID)
    assert erode(full, 3.0).data.all() and not erode(full.like(full.data * 0), 3.0).data.any()


def test_soft_edge_is_half_a_cosine_outside_the_mask():
    soft = soft_edge(one_voxel(), 6.0).data
    d = distances_from(GRID, (9, 11, 14))
    np.testing.assert_allclose(soft, np.where(d < 6.0, 0.5 + 0.5 * np.cos(np.pi * d / 6.0), 0.0), atol=1e-6)
    np.testing.assert_array_equal(soft_edge(one_voxel(), 0.0).data, one_voxel().data)


def test_a_soft_rim_keeps_the_surface():
    ball = sphere(GRID, 7.0)
    soft = soft_rim(ball, 4.0).data
    np.testing.assert_array_equal(soft > 0.5, ball.data > 0.5)
    d = distances_from(GRID, (10, 12, 15))
    assert np.all(soft[d > 11.0] == 0) and soft[10, 12, 15] == 1 and np.any((soft > 0.1) & (soft < 0.4))


def test_sphere_has_its_radius_and_edge_in_angstrom():
    d = distances_from(GRID, (10, 12, 15))
    np.testing.assert_array_equal(sphere(GRID, 7.0).data > 0.5, d <= 7.0)
    soft = sphere(GRID, 5.0, 4.0).data
    assert soft[10, 12, 15] == 1 and np.all(soft[d >= 9.0] == 0)
    np.testing.assert_allclose(soft[10, 19, 15], 0.5, atol=1e-6)


def test_bounding_box_holds_the_mask_and_stays_in_the_box():
    assert bounding_box(one_voxel((0, 11, 30)), 2) == (slice(0, 3), slice(9, 14), slice(28, 31))
    with pytest.raises(InputError) as raised:
        bounding_box(Volume(np.zeros(GRID.shape, dtype=np.float32), GRID))
    assert raised.value.code == "E_MASK_EMPTY"


def test_block_around_nothing_is_the_whole_box():
    assert block_around(np.zeros((4, 5, 6), dtype=bool), (1, 1, 1)) == (slice(0, 4), slice(0, 5), slice(0, 6))


# --- the automatic mask -------------------------------------------------------------------------------------------


def noisy_shell(seed, noise=0.3):
    """A hollow ball (outer radius 24 Å, inner 8 Å) and a far speck, with white noise."""
    grid = Grid.regular((64, 60, 72), 1.2)
    ball = sphere(grid, 24.0, 4.0).data - sphere(grid, 8.0).data
    ball[2:4, 2:4, 2:4] = 1
    rng = np.random.default_rng(seed)
    return Volume((5.0 + ball + noise * rng.standard_normal(grid.shape)).astype(np.float32), grid)


@pytest.mark.parametrize("maps", [noisy_shell(1), HalfMaps(noisy_shell(1), noisy_shell(2))])
def test_a_planted_particle_is_found_filled_and_alone(maps):
    mask = automatic_mask(maps)
    assert set(np.unique(mask.data)) == {0.0, 1.0}
    support = sphere(maps.grid, 28.0)
    assert dice(mask, support) > 0.85
    assert mask.data[support.data > 0.5].mean() > 0.99, "the mask cuts the particle"
    assert mask.data[32, 30, 36] == 1, "the hole in the middle is not filled"
    assert mask.data[2:4, 2:4, 2:4].max() == 0, "the speck is taken for a part of the particle"


def test_the_mask_does_not_depend_on_scale_and_offset():
    noisy = noisy_shell(1)
    changed = automatic_mask(noisy.like(noisy.data * 1e-4 + 3e-4))
    assert dice(changed, automatic_mask(noisy)) > 0.999


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_is_no_particle(seed):
    rng = np.random.default_rng(seed)
    one, two = (
        Volume(rng.standard_normal((48, 48, 48)).astype(np.float32), Grid.regular((48,) * 3, 1.5)) for _ in "12"
    )
    for maps in (one, HalfMaps(one, two)):
        with pytest.raises(InputError) as raised:
            automatic_mask(maps)
        assert raised.value.code == "E_NO_PARTICLE"


@pytest.mark.parametrize("name", ["haemoglobin", "porin"])
def test_the_stored_masks_of_the_simulated_sets_are_matched(shared_data, name):
    folder = shared_data / "simulated" / name
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    stored = read_map(folder / "mask.mrc.gz")
    assert dice(automatic_mask(halves), stored) > 0.8
    assert dice(automatic_mask(halves.mean()), stored) > 0.8


@pytest.mark.parametrize(
    "entry, model",
    [
        ("EMD-3186/emd_3186.map", "EMD-3186/5fj6.pdb"),
        ("EMD-3488_hemoglobin/emd_3488.map", "EMD-3488_hemoglobin/5ni1.pdb"),
    ],
)
def test_deposited_maps_are_masked_where_their_atoms_are(shared_data, entry, model):
    gemmi = pytest.importorskip("gemmi")
    volume = read_map(shared_data / "maps" / entry)
    structure = gemmi.read_structure(str(shared_data / "maps" / model))
    places = np.array([[atom.atom.pos.z, atom.atom.pos.y, atom.atom.pos.x] for atom in structure[0].all()])
    atoms = np.zeros(volume.grid.shape, dtype=np.float32)
    atoms[tuple(np.rint(places / volume.grid.voxel_size).astype(int).T)] = 1
    assert dice(automatic_mask(volume), dilate(volume.like(atoms), 4.0)) > 0.85
