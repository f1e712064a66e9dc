"""Grid, Volume and HalfMaps: density on a regular grid, and where that grid lies in space.

Every triple is in the order of the array axes, (z, y, x), whatever the order of the axes in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Tuple, Union

import numpy as np
import numpy.typing as npt

from cryores.errors import InputError, UsageError

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Triple = Tuple[float, float, float]
IntTriple = Tuple[int, int, int]

VOXEL_SIZE_TOLERANCE = 1e-3
"""Relative difference up to which two voxel sizes count as the same: headers store rounded cells."""


@dataclass(frozen=True)
class Grid:
    """A regular, orthogonal grid and the header fields that place it in space.

    Parameters
    ----------
    shape : tuple of int
        Voxels along (z, y, x).
    cell : tuple of float
        Length in Å of ``sampling`` voxels along (z, y, x).
    sampling : tuple of int
        Number of voxels that ``cell`` spans along (z, y, x): ``shape``, except in crystallographic maps.
    origin : tuple of float
        The header's ORIGIN in Å, along (z, y, x).
    nstart : tuple of int
        The header's start indices, along (z, y, x).
    axis_order : tuple of int
        The header's MAPC, MAPR, MAPS: which of x, y, z (1, 2, 3) runs along columns, rows and sections of the file.
    angles : tuple of float
        The header's cell angles alpha, beta, gamma in degrees. Only orthogonal cells are accepted, but 0 is kept as 0.
    space_group : int
        The header's ISPG.
    """

    shape: IntTriple
    cell: Triple
    sampling: IntTriple
    origin: Triple = (0.0, 0.0, 0.0)
    nstart: IntTriple = (0, 0, 0)
    axis_order: IntTriple = (1, 2, 3)
    angles: Triple = (90.0, 90.0, 90.0)
    space_group: int = 1

    @classmethod
    def regular(cls, shape: IntTriple, voxel_size: Union[float, Triple]) -> Grid:
        """Make the plain grid of ``shape`` voxels of ``voxel_size`` Å (one number or (z, y, x))."""
        sizes = np.broadcast_to(np.asarray(voxel_size, dtype=float), (3,))
        cell = tuple(float(n * v) for n, v in zip(shape, sizes))
        return cls(shape=shape, cell=cell, sampling=shape)  # type: ignore[arg-type]

    @property
    def voxel_size(self) -> Triple:
        """Voxel size in Å along (z, y, x)."""
        z, y, x = (c / m if m else 0.0 for c, m in zip(self.cell, self.sampling))
        return (z, y, x)

    @property
    def spacing(self) -> float:
        """The voxel size in Å as one number: the largest of the three, which sets Nyquist."""
        return max(self.voxel_size)

    @property
    def nyquist(self) -> float:
        """The finest resolution that the grid can hold, in Å, along every axis."""
        return 2.0 * self.spacing

    @property
    def extent(self) -> Triple:
        """Edge lengths of the box in Å along (z, y, x)."""
        z, y, x = (n * v for n, v in zip(self.shape, self.voxel_size))
        return (z, y, x)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def first_voxel(self) -> Triple:
        """Position of voxel (0, 0, 0) in Å along (z, y, x): ORIGIN, or where that is zero the start indices."""
        if any(self.origin):
            return self.origin
        z, y, x = (n * v for n, v in zip(self.nstart, self.voxel_size))
        return (z, y, x)

    def with_voxel_size(self, voxel_size: Union[float, Triple]) -> Grid:
        """Return this grid with another voxel size (Å)."""
        sizes = np.broadcast_to(np.asarray(voxel_size, dtype=float), (3,))
        sampling = tuple(m if m else n for m, n in zip(self.sampling, self.shape))
        cell = tuple(float(m * v) for m, v in zip(sampling, sizes))
        return replace(self, cell=cell, sampling=sampling)  # type: ignore[arg-type]

    def same_voxels(self, other: Grid) -> bool:
        """Tell whether ``other`` has the same shape and, within 0.1 %, the same voxel size."""
        return self.shape == other.shape and np.allclose(
            self.voxel_size, other.voxel_size, rtol=VOXEL_SIZE_TOLERANCE, atol=0
        )


@dataclass(frozen=True)
class Volume:
    """A float32 array and the grid it lies on.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        Density, or a resolution in Å (NaN where nothing can be said).
    grid : Grid
        Where the voxels lie.

    Raises
    ------
    InputError
        If the array and the grid differ in shape.
    """

    data: FloatArray = field(repr=False)
    grid: Grid

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            raise InputError(
                "E_SHAPE",
                f"an array of shape {self.data.shape} does not lie on a grid of shape {self.grid.shape}",
                "give the array and the grid the same shape, in the order z, y, x",
            )
        object.__setattr__(self, "data", np.ascontiguousarray(self.data, dtype=np.float32))

    def __repr__(self) -> str:
        z, y, x = self.grid.shape
        return f"Volume({z} x {y} x {x} voxels (z, y, x) of {self.grid.spacing:.4g} Å)"

    def like(self, data: npt.NDArray[np.generic]) -> Volume:
        """Return ``data`` (same shape) on this volume's grid."""
        return Volume(np.asarray(data, dtype=np.float32), self.grid)


@dataclass(frozen=True)
class HalfMaps:
    """Two maps of the same object, each reconstructed from its own half of the data, on the same voxels.

    Raises
    ------
    InputError
        If the halves differ in shape or voxel size, or are the same data.
    UsageError
        ``E_NO_VOLUME`` if one of them is no `Volume`.
    """

    half1: Volume
    half2: Volume

    def __post_init__(self) -> None:
        require_volume("half 1", self.half1)
        require_volume("half 2", self.half2)
        one, two = self.half1.grid, self.half2.grid
        if one.shape != two.shape:
            raise InputError(
                "E_HALVES_SHAPE",
                f"the half maps have different shapes: {one.shape} and {two.shape}",
                "give the two half maps of the same reconstruction",
            )
        if not one.same_voxels(two):
            raise InputError(
                "E_HALVES_VOXEL_SIZE",
                f"the half maps have different voxel sizes: {one.spacing:.4f} and {two.spacing:.4f} Å",
                "give half maps of the same sampling, or state it with --voxel-size",
            )
        # Plane by plane: halves differ in the first one, and a comparison of all makes another volume.
        if all(np.array_equal(first, second) for first, second in zip(self.half1.data, self.half2.data)):
            raise InputError(
                "E_HALVES_IDENTICAL",
                "the two half maps are the same data, so there is no noise to compare the signal with",
                "give the two independent half maps of the refinement",
            )

    def __repr__(self) -> str:
        return f"HalfMaps({self.half1!r}, {self.half2!r})"

    @property
    def grid(self) -> Grid:
        """The grid of the first half, on which every output is written."""
        return self.half1.grid

    def mean(self) -> Volume:
        """Return the full map, (half1 + half2) / 2."""
        return self.half1.like((self.half1.data + self.half2.data) * np.float32(0.5))

    def noise(self) -> Volume:
        """Return half the difference, (half1 - half2) / 2: the noise of the full map, without its signal."""
        return self.half1.like((self.half1.data - self.half2.data) * np.float32(0.5))


def require_volume(name: str, given: object) -> None:
    """Raise `UsageError` (``E_NO_VOLUME``) for a ``given`` that is no `Volume`, and say how to get one of it."""
    if isinstance(given, Volume):
        return
    parts = [part for part in ("resolution", "sharpened") if isinstance(getattr(given, part, None), Volume)]
    if parts:
        hint = f"give its .{parts[0]}"
    elif isinstance(given, np.ndarray):
        hint = "lay it on a grid: Volume(array, Grid.regular(array.shape, voxel_size)), or volume.like(array)"
    else:
        hint = "read files with read_map or read_half_maps"
    raise UsageError("E_NO_VOLUME", f"{name}: a map is wanted, not {type(given).__name__}", hint)


Maps = Union[Volume, HalfMaps]


def full_map(maps: Maps) -> Volume:
    """Return the map itself, or the mean of two half maps."""
    return maps.mean() if isinstance(maps, HalfMaps) else maps
