"""Directions through a point: evenly spread axes, where n and -n are one, and the angles by which they are told."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from cryores.fourier import Float64
from cryores.volume import BoolArray

DOUBLINGS = 3
"""Subdivisions of the icosahedron: three give 321 axes, about 8 degrees apart, as in FSO and MonoDir."""

SAME = 1e-9


def geodesic_axes(doublings: int = DOUBLINGS) -> Float64:
    """Return evenly spread axes: the vertices of an icosahedron whose edges were halved so many times.

    Parameters
    ----------
    doublings : int
        0, 1, 2, 3, 4 give 6, 21, 81, 321, 1281 axes.

    Returns
    -------
    ndarray of float64, shape (axes, 3)
        Unit vectors (z, y, x), one of each antipodal pair: that with z > 0, or on the equator y > 0, or x > 0.
    """
    vertices = _icosahedron()
    for _ in range(doublings):
        cosines = vertices @ vertices.T
        np.fill_diagonal(cosines, -1.0)
        # The edges of a geodesic grid differ by less than a third; its diagonals are longer by two thirds.
        longest_edge = 1.3 * np.arccos(cosines.max(axis=1)).max()
        first, second = np.nonzero(np.triu(cosines > np.cos(longest_edge)))
        middles = vertices[first] + vertices[second]
        vertices = np.concatenate([vertices, middles / np.linalg.norm(middles, axis=1, keepdims=True)])
    return vertices[_is_upper(vertices)]


def angles_of(axes: Float64) -> Tuple[Float64, Float64]:
    """Return rot and tilt of axes (z, y, x) in degrees: the azimuth from x towards y, 0 to 360, and the angle to z."""
    z, y, x = axes.T
    rot = np.degrees(np.arctan2(y, x)) % 360.0
    return rot, np.degrees(np.arccos(np.clip(z, -1.0, 1.0)))


def _icosahedron() -> Float64:
    """Return the 12 vertices (z, y, x), two of them on the z axis and the first ring at an azimuth of 36 degrees."""
    height, radius = 1.0 / np.sqrt(5.0), 2.0 / np.sqrt(5.0)
    azimuth = np.radians(36.0 + 72.0 * np.arange(5))
    ring = np.stack([np.full(5, height), radius * np.sin(azimuth), radius * np.cos(azimuth)], axis=1)
    pole = np.array([[1.0, 0.0, 0.0]])
    half = np.concatenate([pole, ring])
    return np.concatenate([half, -half])


def _is_upper(vectors: Float64) -> BoolArray:
    z, y, x = np.where(np.abs(vectors) < SAME, 0.0, vectors).T
    upper: BoolArray = (z > 0) | ((z == 0) & ((y > 0) | ((y == 0) & (x > 0))))
    return upper
