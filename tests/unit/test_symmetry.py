"""Point groups, and the part of a map that determines the rest."""

import numpy as np
import pytest

from cryores.errors import UsageError
from cryores.symmetry import copies_in_asymmetric_unit, in_asymmetric_unit, interpolate_known, rotations
from cryores.volume import Grid

ORDERS = {"C1": 1, "C5": 5, "C12": 12, "D2": 4, "D3": 6, "T": 12, "O": 24, "I": 60, "I90": 60}
GRID = Grid.regular((21, 21, 21), 1.5)


def contains(group, matrix):
    return np.abs(group - matrix).max(axis=(1, 2)).min() < 1e-9


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_each_is_a_group_of_rotations_of_its_order(name, order):
    group = rotations(name)
    assert group.shape == (order, 3, 3)
    assert np.allclose(group @ group.transpose(0, 2, 1), np.eye(3)) and np.allclose(np.linalg.det(group), 1)
    distances = np.abs(group[:, None] - group[None]).max(axis=(2, 3))
    assert (distances[~np.eye(order, dtype=bool)] > 1e-3).all()
    assert contains(group, np.eye(3))
    for one in group:
        assert contains(group, one.T)
        for product in one @ group:
            assert contains(group, product)


def half_turn(*axis):
    return 2 * np.outer(axis, axis) - np.eye(3)


def test_axes_lie_where_the_conventions_say():
    quarter = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # about z, on (z, y, x)
    assert contains(rotations("C4"), quarter) and contains(rotations("O"), quarter)
    assert not contains(rotations("D2"), quarter)
    assert contains(rotations("D3"), half_turn(0, 0, 1)) and not contains(rotations("D3"), half_turn(0, 1, 0))
    for name in ("D2", "T", "O", "I", "I90"):
        assert all(contains(rotations(name), half_turn(*axis)) for axis in np.eye(3)), name
    turned = quarter @ rotations("I") @ quarter.T
    assert all(contains(rotations("I90"), matrix) for matrix in turned)
    assert not all(contains(rotations("I"), matrix) for matrix in turned)


def test_small_letters_and_blanks_do_not_matter_and_nothing_means_no_symmetry():
    assert np.array_equal(rotations(" d3 "), rotations("D3"))
    assert np.array_equal(rotations(""), np.eye(3)[None])


@pytest.mark.parametrize("name", ["C0", "D1", "I5", "X", "C", "C4,5", "-C2"])
def test_other_names_are_refused(name):
    with pytest.raises(UsageError, match="E_SYMMETRY"):
        rotations(name)


@pytest.mark.parametrize("name", ["C1", "C4", "D2", "T", "O", "I"])
def test_every_voxel_has_one_copy_in_the_asymmetric_unit(name):
    group = rotations(name)
    index = np.argwhere(np.ones(GRID.shape, dtype=bool))
    places = copies_in_asymmetric_unit(index, GRID, group)
    assert in_asymmetric_unit(places, GRID, group, 1e-9).all()
    before, after = (np.linalg.norm(p - 10, axis=1) for p in (index, places))
    assert np.allclose(before, after)
    inside = in_asymmetric_unit(index, GRID, group, 0.0)
    assert np.allclose(places[inside], index[inside])


@pytest.mark.parametrize("name", ["C5", "D3", "T", "O", "I"])
def test_copies_of_the_asymmetric_unit_tile_space(name):
    group = rotations(name)
    points = 10 + 8 * np.random.default_rng(0).standard_normal((500, 3))
    copies = np.einsum("rij,pj->rpi", group, points - 10) + 10
    held = [in_asymmetric_unit(copy, GRID, group, 1e-9) for copy in copies]
    assert np.array_equal(np.sum(held, axis=0), np.ones(len(points)))
    assert in_asymmetric_unit(points, GRID, group, 3.0).sum() > in_asymmetric_unit(points, GRID, group, 0.0).sum()


def test_angles_are_those_of_space_where_voxels_are_not_equal():
    # 40 voxels of 1 Å along y and 20 of 2 Å along x: a quarter turn maps one axis onto the other
    grid = Grid((8, 40, 20), (8.0, 40.0, 40.0), (8, 40, 20))
    group = rotations("C4")
    along_y, along_x = copies_in_asymmetric_unit([[4, 26, 10], [4, 20, 13]], grid, group)
    assert np.allclose(along_y, along_x)


def test_interpolation_leaves_unknown_voxels_out():
    values = np.full((4, 4, 4), np.nan, dtype=np.float32)
    values[1, 1, 1], values[1, 1, 2] = 3.0, 5.0
    places = np.array([[1, 1, 1.5], [1.5, 1, 1], [1.2, 1.3, 1.25], [3, 3, 3]])
    found = interpolate_known(values, places)
    assert found[:3] == pytest.approx([4.0, 3.0, 3.5], rel=1e-6)
    assert np.isnan(found[3])
