"""Axes spread evenly over the sphere: the directions along which a directional resolution is measured.

An axis has no sign: n and -n are the same one, and the half with z >= 0 is listed. Vectors are (z, y, x), of length 1.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from cryores.fourier import Float64

ARC = np.arctan(2.0)
"""Angle between neighbouring corners of an icosahedron (63.43 degrees)."""


def geodesic_axes(frequency: int) -> Float64:
    """Return the 5 * ``frequency``^2 + 1 axes of an icosahedron whose edges are cut in so many equal arcs.

    Frequency 4 gives 81 axes, 16 degrees apart; 3 gives 46, 21 degrees apart.

    Returns
    -------
    ndarray of float64, shape (axes, 3)
        Unit vectors (z, y, x), the polar one first, then by falling z.
    """
    corners = _icosahedron()
    points = []
    for face in _faces(corners):
        for i in range(frequency + 1):
            for j in range(frequency + 1 - i):
                shares = np.array([i, j, frequency - i - j]) / frequency
                # Sines in place of the shares themselves cut an edge into equal arcs.
                points.append(np.sin(shares * ARC) @ corners[list(face)])
    unit = np.array(points) / np.linalg.norm(points, axis=1, keepdims=True)
    return _one_of_each(unit)


def angles_between(axes: Float64) -> Float64:
    """Return the angle in radians, from 0 to pi/2, between every two axes, shape (axes, axes)."""
    angles: Float64 = np.arccos(np.clip(np.abs(axes @ axes.T), 0.0, 1.0))
    return angles


def rotation_and_tilt(axes: Float64) -> Float64:
    """Return the longitude (0 to 360, from x towards y) and the angle to z (0 to 90) of every axis in degrees."""
    z, y, x = np.moveaxis(np.asarray(axes), -1, 0)
    rotation = np.degrees(np.arctan2(y, x)) % 360.0
    return np.stack([rotation, np.degrees(np.arccos(np.clip(z, -1.0, 1.0)))], axis=-1)


def _icosahedron() -> Float64:
    """Return the twelve corners, one of them along z, shape (12, 3)."""
    longitude = np.radians(36.0 + 72.0 * np.arange(5))
    z, ring = np.cos(ARC), np.sin(ARC)
    upper = np.stack([np.full(5, z), ring * np.sin(longitude), ring * np.cos(longitude)], axis=1)
    north = np.array([[1.0, 0.0, 0.0]])
    return np.concatenate([north, upper, -upper, -north])


def _faces(corners: Float64) -> list[tuple[int, int, int]]:
    near = corners @ corners.T > np.cos(1.1 * ARC)
    return [f for f in combinations(range(12), 3) if near[f[0], f[1]] and near[f[0], f[2]] and near[f[1], f[2]]]


def _one_of_each(unit: Float64) -> Float64:
    """Turn every vector to the half with z >= 0 (on the equator, y > 0, or y = 0 and x > 0), and list each once."""
    rounded = np.round(unit, 9) + 0.0
    first = np.array([next((c for c in v if c), 1.0) for v in rounded])
    turned = rounded * np.sign(first)[:, None]
    _, index = np.unique(turned, axis=0, return_index=True)
    kept: Float64 = (unit * np.sign(first)[:, None])[index[::-1]]
    return kept
