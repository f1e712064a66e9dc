"""The sphere that a reconstruction fills: beyond it a map holds no data, and no noise to measure."""

from __future__ import annotations

import numba
import numpy as np

import cryores.openmp  # noqa: F401  before numba starts a thread
from cryores.volume import BoolArray, FloatArray, Grid

CLIFF = 0.01
"""A shell whose variance falls below this share of the previous one's marks the rim of a spherically masked map."""


def filled_sphere(full: FloatArray, inside: BoolArray, grid: Grid) -> BoolArray:
    """Return the voxels inside the sphere that the map fills: up to the cliff of its variance, if there is one.

    Without one the sphere reaches to half the longest edge: the corners of a reconstruction hold no data.
    """
    squares = [((np.arange(n) - n // 2) * v / grid.spacing) ** 2 for n, v in zip(grid.shape, grid.voxel_size)]
    rim = int(max(grid.extent) / grid.spacing / 2)
    radius = int(np.sqrt(_farthest(inside, *squares).max()))
    sums = _radial_sums(full, *squares, rim + 1).sum(axis=0)
    count = np.maximum(sums[:, 0], 1)
    variance = sums[:, 2] / count - (sums[:, 1] / count) ** 2
    limit = rim
    for r in range(max(radius, 1), rim):
        if variance[r] < CLIFF * variance[r - 1]:
            limit = r - 1
            break
    within: BoolArray = squares[0][:, None, None] + squares[1][:, None] + squares[2] < limit**2
    return within


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _farthest(inside, z2, y2, x2):  # type: ignore[no-untyped-def]
    farthest = np.zeros(z2.size)
    for z in numba.prange(z2.size):
        for y in range(y2.size):
            for x in range(x2.size):
                if inside[z, y, x]:
                    farthest[z] = max(farthest[z], z2[z] + y2[y] + x2[x])
    return farthest


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _radial_sums(values, z2, y2, x2, shells):  # type: ignore[no-untyped-def]
    sums = np.zeros((z2.size, shells, 3))
    for z in numba.prange(z2.size):
        for y in range(y2.size):
            for x in range(x2.size):
                r = int(np.sqrt(z2[z] + y2[y] + x2[x]))
                if r < shells:
                    value = np.float64(values[z, y, x])
                    sums[z, r, 0] += 1
                    sums[z, r, 1] += value
                    sums[z, r, 2] += value * value
    return sums
