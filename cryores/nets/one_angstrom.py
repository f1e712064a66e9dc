"""A map on the grid that the enhancers work on, voxels of 1 Å, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from cryores.resample import resampled
from cryores.volume import FloatArray, Grid, IntTriple

MOST_PADDING = 12
"""Voxels by which an edge is made longer at most, so that it is a whole number of Å."""


@dataclass(frozen=True)
class OneAngstrom:
    """The way from a grid to voxels of 1 Å and back.

    A box whose edge is no whole number of Å is made longer, by up to `MOST_PADDING` voxels, until it nearly is.

    Parameters
    ----------
    shape : tuple of int
        Of the map.
    padded : tuple of int
        Of the longer box, in the map's voxels.
    whole : tuple of int
        Of the longer box, in Å.
    fine : tuple of int
        Of what is worked on: the longer box, filled up to a multiple of some number of Å.
    """

    shape: IntTriple
    padded: IntTriple
    whole: IntTriple
    fine: IntTriple

    @classmethod
    def of(cls, grid: Grid, multiple: int = 1, least: int = 1) -> OneAngstrom:
        """Find the box for the maps of a grid; edges in Å are multiples of ``multiple``, and at least ``least``."""
        edges = [_whole_edge(n, v) for n, v in zip(grid.shape, grid.voxel_size)]
        padded, whole = (tuple(edge[i] for edge in edges) for i in (0, 1))
        fine = tuple(-(-max(n, least) // multiple) * multiple for n in whole)
        return cls(grid.shape, padded, whole, fine)  # type: ignore[arg-type]

    def there(self, data: FloatArray, level: float, threads: int) -> FloatArray:
        """Return a map on voxels of 1 Å; the longer box is filled with ``level``."""
        wider = np.full(self.padded, level, dtype=np.float32)
        z, y, x = self.shape
        wider[:z, :y, :x] = data
        fine = resampled(wider, self.whole, threads)
        more = [(0, n - w) for n, w in zip(self.fine, self.whole)]
        return np.pad(fine, more, constant_values=level)

    def back(self, fine: FloatArray, threads: int) -> FloatArray:
        """Return the map of the grid."""
        (z, y, x), (whole_z, whole_y, whole_x) = self.shape, self.whole
        whole = np.ascontiguousarray(fine[:whole_z, :whole_y, :whole_x])
        return np.ascontiguousarray(resampled(whole, self.padded, threads)[:z, :y, :x])


def _whole_edge(n: int, voxel_size: float) -> Tuple[int, int]:
    """Return voxels and Å of the edge, no shorter than n voxels, whose voxels of 1 Å are closest to that."""
    longer = np.arange(n, n + MOST_PADDING + 1)
    whole = np.maximum(np.rint(longer * voxel_size), 1)
    error = np.abs(longer * voxel_size / whole - 1.0)
    best = int(np.flatnonzero(error <= max(1e-4, float(error.min())))[0])
    return int(longer[best]), int(whole[best])
