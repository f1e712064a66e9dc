"""Axes over the sphere."""

import numpy as np
import pytest

from cryores.directions import angles_between, cubic_axes, geodesic_axes, rotation_and_tilt


@pytest.mark.parametrize(
    ("frequency", "count", "nearest"), [(3, 46, (20.0, 24.0)), (4, 81, (15.8, 17.2)), (8, 321, (7.9, 8.9))]
)
def test_axes_are_one_of_each_pair_and_evenly_spread(frequency, count, nearest):
    axes = geodesic_axes(frequency)
    assert axes.shape == (count, 3) == (5 * frequency**2 + 1, 3)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1.0, rtol=1e-12)
    angles = np.degrees(angles_between(axes))
    np.testing.assert_allclose(np.diag(angles), 0.0, atol=1e-5)
    least = np.sort(angles, axis=1)[:, 1]
    assert nearest[0] < least.min() <= least.max() < nearest[1]
    np.testing.assert_allclose(axes.T @ axes / count, np.eye(3) / 3, atol=1e-3)


def test_axes_point_upwards_and_the_polar_one_is_first():
    axes = geodesic_axes(4)
    np.testing.assert_allclose(axes[0], (1, 0, 0), atol=1e-12)
    assert np.all(axes[:, 0] > -1e-9) and np.all(np.diff(axes[:, 0]) < 1e-9)
    equator = axes[np.abs(axes[:, 0]) < 1e-9]
    assert len(equator) and np.all(equator[:, 1] > -1e-9)


def test_axes_keep_the_symmetry_of_the_icosahedron():
    axes = geodesic_axes(4)
    c, s = np.cos(np.radians(72)), np.sin(np.radians(72))
    turned = axes @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    np.testing.assert_allclose(np.abs(turned @ axes.T).max(axis=1), 1.0, rtol=1e-12)


def test_angles_have_no_sign():
    axes = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.8, 0.0]])
    expected = np.degrees(np.arccos([0.6, 0.8]))
    found = np.degrees(angles_between(axes))
    np.testing.assert_allclose(found[0], [0.0, 0.0, 90.0, expected[0]], atol=1e-9)
    assert found[2, 3] == pytest.approx(expected[1])


def test_rotation_runs_from_x_to_y_and_tilt_from_z():
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [np.sqrt(0.5), -np.sqrt(0.5), 0.0]])
    np.testing.assert_allclose(rotation_and_tilt(axes), [[0, 0], [0, 90], [90, 90], [270, 45]], atol=1e-9)


# --- axes with the symmetry of a cube -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "nearest", "hole"), [(21, (30.0, 32.5), 22.4), (46, (19.0, 23.4), 15.3), (81, (15.0, 17.0), 11.2)]
)
def test_cubic_axes_are_one_of_each_pair_and_leave_no_hole(count, nearest, hole):
    axes = cubic_axes(count)
    assert axes.shape == (count, 3)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1.0, rtol=1e-12)
    least = np.degrees(np.sort(angles_between(axes), axis=1)[:, 1])
    assert nearest[0] < least.min() <= least.max() < nearest[1]
    everywhere = np.random.default_rng(0).standard_normal((20000, 3))
    everywhere /= np.linalg.norm(everywhere, axis=1, keepdims=True)
    assert np.degrees(np.arccos(np.abs(everywhere @ axes.T).max(axis=1))).max() < hole


@pytest.mark.parametrize("count", [21, 46, 81])
def test_the_rotations_of_a_cube_permute_cubic_axes_to_the_last_bit(count):
    axes = cubic_axes(count)
    known = {tuple(v) for v in axes + 0.0} | {tuple(v) for v in -axes + 0.0}
    for turn, signs in (((0, 2, 1), (1, -1, 1)), ((2, 1, 0), (-1, 1, 1)), ((1, 0, 2), (-1, 1, 1))):
        assert {tuple(v) for v in axes[:, turn] * signs + 0.0} <= known


@pytest.mark.parametrize(("count", "degree"), [(21, 5), (46, 7), (81, 9)])
def test_a_mean_over_cubic_axes_is_the_mean_over_the_sphere(count, degree):
    """Of powers of z and of products of the coordinates."""
    z, y, x = cubic_axes(count).T
    for power in range(2, degree, 2):
        assert np.mean(z**power) == pytest.approx(1 / (power + 1), abs=2e-6)
    if degree >= 7:
        assert np.mean((x * y * z) ** 2) == pytest.approx(1 / 105, abs=2e-6)
