"""Point groups: rotations about the centre of the box, and the asymmetric unit of a map.

Conventions: the n-fold axis of Cn and Dn is z, a two-fold of Dn is x; T, O and I have two-folds along x, y and z, and
the centre is voxel n // 2 along each axis. ``I`` has five-folds in the planes that scipy's icosahedral group puts
them in; ``I90`` is the same turned by 90 degrees about z.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from cryores.errors import UsageError
from cryores.fourier import Float64
from cryores.volume import BoolArray, FloatArray, Grid

GENERIC = np.array([0.317, 0.529, 0.787])
"""A direction (z, y, x) on no symmetry axis: the copy of a point furthest along it is in the asymmetric unit."""


def rotations(symmetry: str) -> Float64:
    """Return the rotations of a point group as matrices on (z, y, x) vectors, shape (order, 3, 3).

    Raises
    ------
    UsageError
        ``E_SYMMETRY`` for a group that is not C<n>, D<n>, T, O, I or I90.
    """
    from scipy.spatial.transform import Rotation

    name = symmetry.strip().upper() or "C1"
    if not re.fullmatch(r"C[1-9]\d*|D[2-9]|D[1-9]\d+|T|O|I|I90", name):
        raise UsageError("E_SYMMETRY", f"there is no point group {symmetry!r}", "write C1, C4, D2, T, O or I")
    group = Rotation.create_group("I" if name == "I90" else name, axis="Z").as_matrix()
    if name == "I90":
        turn = Rotation.from_euler("z", 90, degrees=True).as_matrix()
        group = turn @ group @ turn.T
    matrices: Float64 = group[:, ::-1, ::-1]
    return matrices


def _centred(index: Any, grid: Grid) -> Float64:
    centred: Float64 = (np.asarray(index, dtype=np.float64) - np.array(grid.shape) // 2) * np.array(grid.voxel_size)
    return centred


def _heights(index: Any, grid: Grid, group: Float64) -> Float64:
    """Return how far each copy of each point lies along `GENERIC` (Å), shape (points, order)."""
    heights: Float64 = _centred(index, grid) @ np.einsum("rji,j->ir", group, GENERIC)
    return heights


def in_asymmetric_unit(index: Any, grid: Grid, group: Float64, margin: float) -> BoolArray:
    """Tell which voxels (indices, shape (points, 3)) lie in the asymmetric unit or within ``margin`` Å of it."""
    heights = _heights(index, grid, group)
    own = _centred(index, grid) @ GENERIC
    inside: BoolArray = own >= heights.max(axis=1) - margin
    return inside


def copies_in_asymmetric_unit(index: Any, grid: Grid, group: Float64) -> Float64:
    """Return, for each voxel, where its copy in the asymmetric unit lies, in voxels, shape (points, 3)."""
    best = np.argmax(_heights(index, grid, group), axis=1)
    moved = np.einsum("pij,pj->pi", group[best], _centred(index, grid))
    places: Float64 = moved / np.array(grid.voxel_size) + np.array(grid.shape) // 2
    return places


def interpolate_known(values: FloatArray, places: npt.NDArray[np.float64]) -> FloatArray:
    """Interpolate at ``places`` (voxels, shape (points, 3)) among the voxels that are not NaN; NaN where none is."""
    from scipy.ndimage import map_coordinates

    known = np.isfinite(values)
    weight = map_coordinates(known.astype(np.float32), places.T, order=1, mode="constant")
    total = map_coordinates(np.where(known, values, 0).astype(np.float32), places.T, order=1, mode="constant")
    result = np.full(len(places), np.nan, dtype=np.float32)
    np.divide(total, weight, out=result, where=weight > 1e-3)
    return result
