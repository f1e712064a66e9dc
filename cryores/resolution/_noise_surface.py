"""The noise of a tomogram as a smooth surface over its plane: how strong an amplitude of noise is where.

A tomogram is thin along z and wide along y and x, and its noise changes over the plane. So the quantile of the noise is
taken in tiles that are as thick as the tomogram, and a bicubic B-spline of few coefficients is fitted to the logarithm
of these quantiles: noise is positive, and its changes are ratios.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numba
import numpy as np

from cryores.fourier import Float64
from cryores.volume import FloatArray, IntTriple

MOST_COEFFICIENTS = 8
"""Coefficients of the surface along an axis, at most."""

LEAST_SHARE = 1e-3
"""Quantiles are at least this share of the largest: where halves were masked there is no noise, and no logarithm."""

STRIDE = 2
"""Every so many voxels along each axis are sampled where the amplitude lies on the whole grid: it varies slowly."""


class _Axis(NamedTuple):
    """Edges of the tiles along one axis, in shares of the box, and the B-splines at tiles and at voxels."""

    edges: Float64
    at_tiles: Float64
    at_voxels: Float64


class Tiles(NamedTuple):
    """Edges of tiles along z, y and x in shares of the box that amplitudes fill, and the voxels of that box."""

    z: Float64
    y: Float64
    x: Float64
    box: IntTriple

    def quantiles(self, amplitude: FloatArray, fraction: float) -> Float64:
        """Return the value of rank ``int(n * fraction)`` in each tile, for an amplitude on a grid over the box."""
        stride = STRIDE if amplitude.shape == self.box else 1
        edges = (np.round(share * n).astype(np.int64) for share, n in zip(self[:3], amplitude.shape))
        found: Float64 = _tile_quantiles(amplitude, *edges, stride, fraction)
        return found


class NoiseSurface:
    """Quantiles of an amplitude of noise over the (y, x) plane of a volume.

    Parameters
    ----------
    shape : tuple of int
        Voxels of the volume along (z, y, x).
    border : tuple of int
        Voxels at each end of z, y and x that are left out.
    tile : float
        Edge of the tiles in voxels, about.
    padded : tuple of int
        Voxels along (z, y, x) of the box that amplitudes fill, whose first corner the volume is.
    """

    def __init__(self, shape: IntTriple, border: IntTriple, tile: float, padded: IntTriple) -> None:
        self._shape, self._padded = shape, padded
        self._z = np.array([border[0], shape[0] - border[0]]) / padded[0]
        self._y, self._x = (_axis(n, b, tile, box) for n, b, box in zip(shape[1:], border[1:], padded[1:]))

    @property
    def tiles(self) -> Tuple[int, int]:
        """The number of tiles along y and x."""
        return len(self._y.edges) - 1, len(self._x.edges) - 1

    def quantiles(self, amplitude: FloatArray, fraction: float) -> Float64:
        """Return the value of rank ``int(n * fraction)`` in each tile, for an amplitude on a grid over the box."""
        return Tiles(self._z, self._y.edges, self._x.edges, self._padded).quantiles(amplitude, fraction)

    def threshold(self, amplitude: FloatArray, fraction: float) -> FloatArray:
        """Return the surface through `quantiles` at every (y, x) of the volume, shape (ny, nx)."""
        return self.through(self.quantiles(amplitude, fraction))

    def tile_starts(self, axis: int) -> Tuple[int, ...]:
        """Return the voxels at which tiles start along y (1) or x (2)."""
        edges = (self._y, self._x)[axis - 1].edges * self._padded[axis]
        return tuple(np.round(edges[:-1]).astype(int).tolist())

    def tiles_in(self, core: Tuple[slice, ...], reach: Tuple[slice, ...], box: IntTriple) -> Tiles:
        """Return the tiles that start in ``core`` for amplitudes of ``reach`` alone, which fill a ``box`` of their own.

        Both are given in voxels of the volume; ``core`` ends where tiles start, or where the volume ends.
        """
        edges = [self._z * self._padded[0]]
        for axis, own in ((1, self._y), (2, self._x)):
            starts = self.tile_starts(axis)
            first, last = np.searchsorted(starts, (core[axis].start, core[axis].stop))
            edges.append((own.edges * self._padded[axis])[first : last + 1])
        z, y, x = ((e - part.start) / n for e, part, n in zip(edges, reach, box))
        return Tiles(z, y, x, box)

    def through(self, found: Float64) -> FloatArray:
        """Return the surface through ``found``, the quantiles of all tiles, at every (y, x), shape (ny, nx)."""
        largest = float(found.max())
        if largest <= 0:
            return np.zeros(self._shape[1:], dtype=np.float32)
        logarithm = np.log(np.maximum(found / largest, LEAST_SHARE))
        coefficients = np.linalg.pinv(self._y.at_tiles) @ logarithm @ np.linalg.pinv(self._x.at_tiles).T
        surface = np.exp(self._y.at_voxels @ coefficients @ self._x.at_voxels.T)
        threshold: FloatArray = (largest * surface).astype(np.float32)
        return threshold


def _axis(length: int, border: int, tile: float, box: int) -> _Axis:
    from scipy.interpolate import BSpline  # here: importing it takes a tenth of a start

    inner = length - 2 * border
    tiles = max(1, int(inner / tile + 0.5))
    edges = (border + inner * np.arange(tiles + 1) / tiles) / length
    # A narrow band varies slowly, so that a tile holds few independent amplitudes and its quantile much chance: as many
    # coefficients as tiles would follow it, and run away beyond the outermost tiles.
    coefficients = min(MOST_COEFFICIENTS, max(min(tiles, 2), (tiles + 1) // 2))
    degree = min(3, coefficients - 1)
    knots = np.concatenate([np.zeros(degree), np.linspace(0, 1, coefficients - degree + 1), np.ones(degree)])
    places = (0.5 * (edges[1:] + edges[:-1]), (np.arange(length) + 0.5) / length)
    at_tiles, at_voxels = (BSpline.design_matrix(place, knots, degree).toarray() for place in places)
    return _Axis(edges * length / box, at_tiles, at_voxels)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _tile_quantiles(values, z, y, x, stride, fraction):  # type: ignore[no-untyped-def]
    rows, columns = len(y) - 1, len(x) - 1
    found = np.zeros((rows, columns))
    for tile in numba.prange(rows * columns):
        row, column = tile // columns, tile % columns
        samples = np.empty((z[1] - z[0]) * (y[row + 1] - y[row]) * (x[column + 1] - x[column]), dtype=np.float32)
        count = 0
        for i in range(z[0], z[1], stride):
            for j in range(y[row], y[row + 1], stride):
                for k in range(x[column], x[column + 1], stride):
                    samples[count] = values[i, j, k]
                    count += 1
        if count > 0:
            rank = min(int(count * fraction), count - 1)
            found[row, column] = np.partition(samples[:count], rank)[rank]
    return found
