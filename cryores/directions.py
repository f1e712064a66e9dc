"""Axes spread evenly over the sphere: the directions along which a directional resolution is measured.

An axis has no sign: n and -n are the same one, and the half with z >= 0 is listed. Vectors are (z, y, x), of length 1.
"""

from __future__ import annotations

from itertools import combinations, permutations, product

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


CUBIC_ORBITS = {
    21: ((1, 0, 0), (1, 1, 0), (0.378555, 0.378555, 0.844625)),
    46: ((1, 1, 1), (1, 1, 0), (0.249647, 0.968337, 0), (0.266529, 0.823529, 0.500761)),
    81: (
        (1, 0, 0),
        (1, 1, 0),
        (0.96259, 0.270961, 0),
        (0.67212, 0.67212, 0.31066),
        (0.284931, 0.284931, 0.91522),
        (0.48548, 0.48548, 0.727062),
        (0.162646, 0.505409, 0.847413),
    ),
}
"""One axis of each orbit of `cubic_axes`. Those with free coordinates are where axes that repel each other (as
1 / chord^4) come to rest, of all sets whose mean over the axes is the mean over the sphere for polynomials up to
degree 9 (81), 7 (46) and 5 (21)."""


def cubic_axes(count: int) -> Float64:
    """Return axes that every rotation of a cube turns into each other: 21 (30 degrees apart), 46 (19) or 81 (15).

    Coordinates are permuted and change their sign, to the last bit. What is measured along all of these axes turns with
    a map that is turned by 90 degrees about a coordinate axis.

    Returns
    -------
    ndarray of float64, shape (axes, 3)
        Unit vectors (z, y, x), by falling z.
    """
    points = []
    for generator in CUBIC_ORBITS[count]:
        coordinates = np.array(generator) / np.linalg.norm(generator)
        points += [coordinates[list(p)] * signs for p in permutations(range(3)) for signs in product((1, -1), repeat=3)]
    return _one_of_each(np.array(points))


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
