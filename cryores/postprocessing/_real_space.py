"""Map against model in real space: correlation in the box, in the model's mask, over the peaks, and by residue.

CC_box, CC_mask and CC_peaks as in Afonine et al., Acta Cryst. D74, 814 (2018).
"""

from __future__ import annotations

from typing import Iterator, Tuple

import numpy as np
import numpy.typing as npt

from cryores.atoms import Atoms
from cryores.fourier import Float64
from cryores.shell_correlation import correlation
from cryores.volume import BoolArray, FloatArray, Grid, Volume

RESIDUE_RADIUS = 2.0
"""A residue is what lies within so many Å of one of its atoms."""

POINTS_AT_ONCE = 1 << 16
"""Voxels around atoms that are looked at together: this bounds the memory, not the result."""

Indices = npt.NDArray[np.int64]


def around_atoms(positions: Float64, grid: Grid, radius: float) -> BoolArray:
    """Return which voxels of ``grid`` lie within ``radius`` Å of a position (z, y, x)."""
    inside = np.zeros(grid.size, dtype=bool)
    for _, voxels in _voxels_near(positions, grid, radius):
        inside[voxels] = True
    return inside.reshape(grid.shape)


def _voxels_near(positions: Float64, grid: Grid, radius: float) -> Iterator[Tuple[Indices, Indices]]:
    """Yield, for some atoms at a time, pairs: number of an atom, flat index of a voxel within ``radius`` Å of it."""
    size = np.array(grid.voxel_size)
    reach = np.ceil(radius / size).astype(int) + 1
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    index = (positions - grid.first_voxel) / size
    block = max(1, POINTS_AT_ONCE // len(offsets))
    for start in range(0, len(index), block):
        part = index[start : start + block]
        voxels = np.rint(part).astype(np.int64)[:, None, :] + offsets
        near = (((voxels - part[:, None, :]) * size) ** 2).sum(axis=-1) <= radius**2
        near &= ((voxels >= 0) & (voxels < grid.shape)).all(axis=-1)
        atom, which = np.nonzero(near)
        yield atom + start, np.ravel_multi_index(tuple(voxels[atom, which].T), grid.shape)


def correlations(density: FloatArray, model: FloatArray, inside: BoolArray) -> Tuple[float, float, float]:
    """Return CC_box, CC_mask and CC_peaks of a map and the density of a model.

    Over all voxels; over those ``inside`` the mask of the model; and over the union of the highest voxels of either
    map, as many of each as are inside.
    """
    count = int(np.count_nonzero(inside))
    peaks = highest(density, count) | highest(model, count)
    return (
        correlation(density, model),
        correlation(density[inside], model[inside]),
        correlation(density[peaks], model[peaks]),
    )


def highest(data: FloatArray, count: int) -> BoolArray:
    """Return where the ``count`` highest voxels are (more where several have the lowest value of these)."""
    found: BoolArray = data >= np.partition(data.ravel(), data.size - count)[data.size - count]
    return found


class ResidueVoxels:
    """The voxels of each residue of a model: those within `RESIDUE_RADIUS` of one of its atoms, each once.

    Parameters
    ----------
    atoms : Atoms
        The model.
    grid : Grid
        The grid of the maps.
    """

    def __init__(self, atoms: Atoms, grid: Grid) -> None:
        pairs = [
            np.unique(atoms.residue[atom] * np.int64(grid.size) + voxels)
            for atom, voxels in _voxels_near(atoms.positions, grid, RESIDUE_RADIUS)
        ]
        # A residue on the border of two blocks was seen in both.
        keys = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, dtype=np.int64)
        self._residue, self._voxel = np.divmod(keys, grid.size)
        self._count = len(atoms.chains)

    def correlation(self, density: Volume, model: Volume) -> Float64:
        """Return the correlation of two maps over the voxels of each residue; NaN where one of them is constant."""
        a, b = (self._values(volume) for volume in (density, model))
        a, b = (values - self._mean(values)[self._residue] for values in (a, b))
        cross, aa, bb = (self._sum(product) for product in (a * b, a * a, b * b))
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Float64 = cross / np.sqrt(aa * bb)
        return np.where(np.isfinite(found), found, np.nan)

    def mean(self, volume: Volume) -> Float64:
        """Return the mean of the finite values over the voxels of each residue; NaN where there is none."""
        values = self._values(volume)
        known = np.isfinite(values)
        count = self._sum(known.astype(np.float64))
        return np.where(count > 0, self._sum(np.where(known, values, 0.0)) / np.maximum(count, 1.0), np.nan)

    def _values(self, volume: Volume) -> Float64:
        values: Float64 = volume.data.ravel()[self._voxel].astype(np.float64)
        return values

    def _sum(self, values: Float64) -> Float64:
        return np.bincount(self._residue, values, self._count).astype(np.float64)

    def _mean(self, values: Float64) -> Float64:
        mean: Float64 = self._sum(values) / np.maximum(self._sum(np.ones(len(values))), 1.0)
        return mean
