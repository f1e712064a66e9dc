"""The same map on a coarser or finer grid over the same box, by cropping or padding its spectrum: whole or in parts."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from cryores.execution import share_out
from cryores.fourier import Complex, irfft, rfft, spectrum_shape
from cryores.volume import BoolArray, FloatArray, Grid, IntTriple

Places = npt.NDArray[np.intp]

AT_ONCE = 16
"""Planes, or rows, of a product of matrices: few enough that every thread has some."""


def resampled(data: FloatArray, shape: IntTriple, threads: int) -> FloatArray:
    """Return ``data`` on ``shape`` voxels over the same box; frequencies that one grid lacks are left out.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        A map.
    shape : tuple of int
        Voxels along (z, y, x), fewer or more.
    threads : int
        Threads of the transforms.
    """
    if data.shape == shape:
        return data
    nz, ny, nx = data.shape
    return irfft(resampled_spectrum(rfft(data, threads), (nz, ny, nx), shape), shape, threads, destroy=True)


def resampled_spectrum(spectrum: Complex, have: IntTriple, want: IntTriple) -> Complex:
    """Return the spectrum of a map of ``have`` voxels on ``want`` voxels over the same box."""
    target = np.zeros(spectrum_shape(want), dtype=np.complex64)
    # The highest frequency of an even edge has no partner of the other sign: it is left out.
    width = (min(have[2], want[2]) - 1) // 2 + 1
    for take_z, put_z in _shared(have[0], want[0]):
        for take_y, put_y in _shared(have[1], want[1]):
            target[put_z, put_y, :width] = spectrum[take_z, take_y, :width]
    target *= np.float32(np.prod(want, dtype=np.float64) / np.prod(have, dtype=np.float64))
    return target


def resampled_grid(grid: Grid, shape: IntTriple) -> Grid:
    """Return the plain grid of ``shape`` voxels over the box of ``grid``."""
    z, y, x = (length / n for length, n in zip(grid.extent, shape))
    return Grid.regular(shape, (z, y, x))


def _shared(have: int, want: int) -> List[Tuple[slice, slice]]:
    """Return (from, to) slices of the frequencies, positive and negative, that both lengths hold."""
    positive = (min(have, want) - 1) // 2 + 1
    pairs = [(slice(0, positive), slice(0, positive))]
    if positive > 1:
        pairs.append((slice(have - positive + 1, have), slice(want - positive + 1, want)))
    return pairs


# --- parts of a map, where the whole on the other grid would not fit ------------------------------------------------


class Resampled:
    """A map on ``shape`` voxels over the same box, of which parts are asked for: what `resampled` would make there.

    Every axis takes one product with a matrix, that of the frequencies which both grids hold. The products along z,
    and along z and y, are kept for the next part: ask for parts in the order of their voxels.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        A map.
    shape : tuple of int
        Voxels along (z, y, x), fewer or more.
    threads : int
        Products at a time.
    """

    def __init__(self, data: FloatArray, shape: IntTriple, threads: int = 1) -> None:
        self.data, self.shape, self._threads = data, shape, threads
        self._slab, self._bar = _Kept(), _Kept()

    def at(self, z: Places, y: Places, x: Places) -> FloatArray:
        """Return the values at voxels (z, y, x) of the other grid, shape (len(z), len(y), len(x))."""
        if self.data.shape == self.shape:
            return np.ascontiguousarray(self.data[np.ix_(z, y, x)])
        along_z, along_y, along_x = (_waves(n, m, at) for n, m, at in zip(self.data.shape, self.shape, (z, y, x)))
        slab = self._slab.of((z,), lambda: self._along_z(along_z))
        bar = self._bar.of((z, y), lambda: self._product(along_y, slab))
        return self._product(bar, along_x.T)

    def _along_z(self, weights: FloatArray) -> FloatArray:
        nz, ny, nx = self.data.shape
        made = np.empty((len(weights), ny, nx), dtype=np.float32)

        def rows(part: slice) -> None:
            made[:, part] = (weights @ self.data[:, part].reshape(nz, -1)).reshape(len(weights), -1, nx)

        share_out(ny, AT_ONCE, rows, self._threads)
        return made

    def _product(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return the product with each plane of the one of the two that has planes."""
        count = len(left) if left.ndim == 3 else len(right)
        made = np.empty((count, left.shape[-2], right.shape[-1]), dtype=np.float32)

        def planes(part: slice) -> None:
            of_left, of_right = (one[part] if one.ndim == 3 else one for one in (left, right))
            np.matmul(of_left, of_right, out=made[part])

        share_out(count, AT_ONCE, planes, self._threads)
        return made


class _Kept:
    """What was made last, and of which voxels."""

    def __init__(self) -> None:
        self._voxels: Sequence[Places] = ()
        self._made: Optional[FloatArray] = None

    def of(self, voxels: Sequence[Places], make: Any) -> FloatArray:
        same = len(voxels) == len(self._voxels) and all(map(np.array_equal, voxels, self._voxels))
        if self._made is None or not same:
            self._made = None  # before its successor is made
            self._voxels, self._made = voxels, make()
        assert self._made is not None
        return self._made


def _waves(have: int, want: int, at: Places) -> FloatArray:
    """Return the matrix from an edge of ``have`` voxels to voxels ``at`` of ``want`` ones: a sum of equal waves."""
    count = 2 * ((min(have, want) - 1) // 2) + 1
    # The sum of `count` waves repeats with the box; where it peaks, both sines are zero.
    apart = np.subtract.outer(np.asarray(at, dtype=np.int64) * have, np.arange(have) * want) % (have * want)
    angle = np.pi / (have * want) * apart
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = np.where(apart == 0, count, np.sin(count * angle) / np.sin(angle))
    weights: FloatArray = (sums / have).astype(np.float32)
    return weights


class Between(NamedTuple):
    """Between which voxels of another grid over the same box voxels of one edge lie: linear interpolation.

    A voxel takes ``share`` of its value from ``above`` and the rest from ``below``.
    """

    below: Places
    above: Places
    share: FloatArray

    @classmethod
    def of(cls, have: int, want: int) -> Between:
        """Return it for all of an edge of ``want`` voxels between ``have`` ones."""
        place = np.minimum(np.arange(want) * (have / want), have - 1)
        below = np.minimum(place.astype(int), max(have - 2, 0))
        return cls(below, np.minimum(below + 1, have - 1), (place - below).astype(np.float32))

    def part(self, voxels: slice) -> Between:
        """Return it for some of the voxels."""
        return Between(self.below[voxels], self.above[voxels], self.share[voxels])

    @property
    def needed(self) -> Places:
        """The voxels that some of it is taken from, ascending."""
        return np.union1d(self.below[self.share < 1], self.above[self.share > 0])


def interpolated(values: FloatArray, axes: Sequence[Between]) -> FloatArray:
    """Return values, shape (..., z, y, x), at the voxels of ``axes``, interpolated between those that are finite.

    NaN where there are none.
    """
    known: BoolArray = np.isfinite(values)
    total = _along_axes(np.where(known, values, np.float32(0)), axes)
    weight = _along_axes(known.astype(np.float32), axes)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = np.where(weight > 1e-3, total / weight, np.nan).astype(np.float32)
    return mean


def _along_axes(data: FloatArray, axes: Sequence[Between]) -> FloatArray:
    for axis, one in enumerate(axes, data.ndim - 3):
        share = one.share.reshape([-1 if a == axis else 1 for a in range(data.ndim)])
        data = np.asarray(np.take(data, one.below, axis) * (1 - share) + np.take(data, one.above, axis) * share)
    return data


def nearest_voxels(have: int, want: int) -> Places:
    """Return which of ``have`` voxels of an edge is nearest to each of ``want`` voxels over the same edge."""
    nearest: Places = np.minimum(np.rint(np.arange(want) * (have / want)).astype(int), have - 1)
    return nearest
