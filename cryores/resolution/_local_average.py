"""Averages under Gaussians of fields that are zero but in a block of the box: for `cryores.resolution.locres`.

An average lives on the coarsest grid that holds its Gaussian, and there only where a part of the box needs it. It is
the one that Fourier transforms would give, as far as the frequencies of the coarse grid reach: along each axis a
matrix, the Gaussian between the voxels of that grid and those of the block. A mask fills a small block of its box, and
three multiplications of matrices there are less work, and take less memory, than transforms of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.backend import Array, backend_of, kernel
from cryores.execution import share_out
from cryores.fourier import Float64
from cryores.volume import FloatArray, IntTriple, Triple

SAMPLING = 1.2
"""Voxels a standard deviation of a Gaussian, on the grid of its averages."""

SMALLEST_GRID = 4

ROWS_AT_ONCE = 8192
"""Of a field along one axis, a product of matrices each: few enough that every thread has some."""

Block = Tuple[slice, slice, slice]
Integers = npt.NDArray[np.int64]


def grid_for(per_length: float, extent: Triple, largest: IntTriple) -> IntTriple:
    """Return the voxels of the coarsest fast grid with so many a unit of ``extent``, at most ``largest``."""
    n = [
        max(SMALLEST_GRID, scipy.fft.next_fast_len(2 * int(np.ceil(0.5 * per_length * length)), real=True))
        for length in extent
    ]
    z, y, x = (min(wanted, most) for wanted, most in zip(n, largest))
    return z, y, x


def _parts(grids: Sequence[IntTriple], block: Block, whole: IntTriple) -> Tuple[Integers, Integers]:
    """Return the first voxel and how many of each grid it takes to interpolate in a block of the box."""
    coarse, box = np.array(grids, dtype=np.int64), np.array(whole, dtype=np.int64)
    first = np.array([part.start for part in block]) * coarse // box
    last = np.array([part.stop - 1 for part in block]) * coarse // box + 1
    # One that holds a whole edge begins again at its end.
    return first, np.minimum(last - first + 1, coarse)


def voxels_kept(grids: Sequence[IntTriple], block: Block, whole: IntTriple) -> int:
    """Return how many values `CoarseMaps` of these grids have."""
    return int(_parts(grids, block, whole)[1].prod(axis=1).sum())


@dataclass(frozen=True)
class CoarseMaps:
    """Maps on coarse grids over the same periodic box, each as far as it takes to interpolate in one block of the box.

    Parameters
    ----------
    values : ndarray of int16 or float32
        All maps one after the other.
    starts : ndarray of int64, shape (maps,)
        Where each begins.
    grids : ndarray of int64, shape (maps, 3)
        Voxels of each over the whole box, along (z, y, x).
    firsts, shapes : ndarray of int64, shape (maps, 3)
        Which of them is the first that is there, and how many are.
    whole : ndarray of int64, shape (3,)
        Voxels of the box that are read at.
    """

    values: Any
    starts: Integers
    grids: Integers
    firsts: Integers
    shapes: Integers
    whole: Integers

    @classmethod
    def empty(cls, grids: Sequence[IntTriple], block: Block, whole: IntTriple, dtype: Any) -> CoarseMaps:
        """Return maps on ``grids``, not filled yet, for voxels of ``block`` of a box of ``whole`` voxels."""
        first, shapes = _parts(grids, block, whole)
        sizes = shapes.prod(axis=1)
        values, starts = np.empty(int(sizes.sum()), dtype=dtype), np.cumsum(sizes) - sizes
        return cls(values, starts, np.array(grids, dtype=np.int64), first, shapes, np.array(whole, dtype=np.int64))

    def like(self, those: Sequence[int]) -> CoarseMaps:
        """Return maps on the grids of ``those`` of these, not filled yet."""
        shapes = self.shapes[those]
        sizes = shapes.prod(axis=1)
        values = np.empty(int(sizes.sum()), dtype=self.values.dtype)
        return CoarseMaps(values, np.cumsum(sizes) - sizes, self.grids[those], self.firsts[those], shapes, self.whole)

    def __getitem__(self, i: int) -> Any:
        """Return map ``i``, a view."""
        size = int(self.shapes[i].prod())
        return self.values[self.starts[i] : self.starts[i] + size].reshape(self.shapes[i])

    def voxels_of(self, i: int) -> List[Integers]:
        """Return which voxels of its grid map ``i`` has, along z, y and x."""
        return [(f + np.arange(n)) % g for f, n, g in zip(self.firsts[i], self.shapes[i], self.grids[i])]

    def averages(self, i: int, fields: Array, block: Block, shape: IntTriple, widths: Triple, threads: int) -> Array:
        """Return fields under a Gaussian at the voxels of map ``i``, shape (nz, ny, nx, fields).

        Parameters
        ----------
        fields : array of float32, shape (fields, nz, ny, nx)
            In ``block`` of a grid of ``shape`` over the box, and zero elsewhere. Where they lie the averages are made.
        block : tuple of slice
            Where they lie.
        shape : tuple of int
            The grid's voxels.
        widths : tuple of float
            Standard deviations as shares of the edges of the box.
        threads : int
            Threads to use.
        """
        return averages_at(self.voxels_of(i), self.grids[i], fields, block, shape, widths, threads)

    def reading(self) -> Tuple[Any, Integers, Float64, Integers, Integers]:
        """Return what `interpolated` needs of all maps: values, starts, scales, firsts, shapes."""
        return self.values, self.starts, self.grids / self.whole, self.firsts, self.shapes


def averages_at(
    voxels: Sequence[Integers], grid: Sequence[int], fields: Array, block: Block, shape: Sequence[int], widths: Triple,
    threads: int,
) -> Array:  # fmt: skip
    """Return fields in ``block`` of ``shape`` voxels under a Gaussian, at voxels of a coarser grid along z, y and x.

    Of a width of 0 it is the fields themselves, as far as the frequencies of the coarser grid reach. For the rest see
    `CoarseMaps.averages`.
    """
    result, there = fields, backend_of(fields)
    # Each product takes the last axis and puts what becomes of it first: after x, y and z, all are in order again.
    for axis in (2, 1, 0):
        of = np.arange(block[axis].start, block[axis].stop)
        weights = _weights(voxels[axis], int(grid[axis]), of, shape[axis], widths[axis])
        rows = there.xp.reshape(result, (-1, len(of)))
        result = there.xp.reshape(_weighted_rows(rows, weights, threads), (-1, *result.shape[:-1]))
    return result


@kernel
def _weighted_rows(rows: FloatArray, weights: FloatArray, threads: int) -> FloatArray:
    """Return ``weights @ rows.T``."""
    found = np.empty((len(weights), len(rows)), dtype=np.float32)

    def multiply(part: slice) -> None:
        np.matmul(weights, rows[part].T, out=found[:, part])

    share_out(len(rows), ROWS_AT_ONCE, multiply, threads)
    return found


def _weights(at: Integers, coarse: int, of: Integers, fine: int, width: float) -> FloatArray:
    """Return the weights of voxels ``of`` an edge of ``fine`` ones in averages at voxels ``at`` of ``coarse`` ones.

    The Gaussian has the frequencies of the coarse edge, up to its Nyquist, which is half there.
    """
    steps = int(np.lcm(coarse, fine))
    k = np.arange(coarse // 2 + 1)
    gain = np.exp(-2.0 * (np.pi * width * k) ** 2) / fine
    if coarse % 2 == 0 and coarse < steps:
        gain[-1] *= 0.5
    gaussian = np.fft.irfft(gain, steps, norm="forward").astype(np.float32)
    found: FloatArray = gaussian[np.subtract.outer(at * (steps // coarse), of * (steps // fine)) % steps]
    return found


@numba.njit(inline="always", cache=True)  # type: ignore[misc]
def interpolated(values, starts, scales, firsts, shapes, i, z, y, x):  # type: ignore[no-untyped-def]
    """Return map ``i`` of `CoarseMaps.reading` at voxel (z, y, x) of the box, a float32."""
    ny, nx = shapes[i, 1], shapes[i, 2]
    pz, py, px = z * scales[i, 0] - firsts[i, 0], y * scales[i, 1] - firsts[i, 1], x * scales[i, 2] - firsts[i, 2]
    z0, y0, x0 = int(pz), int(py), int(px)
    fz, fy, fx = np.float32(pz - z0), np.float32(py - y0), np.float32(px - x0)
    z1 = z0 + 1 if z0 + 1 < shapes[i, 0] else 0
    y1 = y0 + 1 if y0 + 1 < ny else 0
    x1 = x0 + 1 if x0 + 1 < nx else 0
    a, b = starts[i] + (z0 * ny + y0) * nx, starts[i] + (z0 * ny + y1) * nx
    c, d = starts[i] + (z1 * ny + y0) * nx, starts[i] + (z1 * ny + y1) * nx
    a0, b0 = np.float32(values[a + x0]), np.float32(values[b + x0])
    c0, d0 = np.float32(values[c + x0]), np.float32(values[d + x0])
    along_a = a0 + fx * (np.float32(values[a + x1]) - a0)
    along_b = b0 + fx * (np.float32(values[b + x1]) - b0)
    along_c = c0 + fx * (np.float32(values[c + x1]) - c0)
    along_d = d0 + fx * (np.float32(values[d + x1]) - d0)
    low = along_a + fy * (along_b - along_a)
    high = along_c + fy * (along_d - along_c)
    return low + fz * (high - low)
