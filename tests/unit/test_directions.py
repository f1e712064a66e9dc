"""Axes over the sphere."""

import numpy as np
import pytest

from cryores.directions import angles_between, geodesic_axes, rotation_and_tilt


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
