"""Radial amplitude profiles of the window around every voxel, and what each shell gives to the voxel itself.

A window is a cube of n^3 voxels around a voxel c, which is its voxel n // 2, without a taper: c is its middle where n
is odd; where n is even, as in LocScale, it reaches a voxel farther to one side. Shell r of its transform holds the
coefficients with r <= |k| < r + 1 (k in Fourier pixels of the window), r = 0 ... n // 2.

A radial filter that is linear between whole |k|, and constant beyond n / 2, changes the voxel at the centre of its
window by numbers that are known before the filter is: it is sum_r filter(r) share_r, where share_r is the sum
of the coefficients, each weighted by the hat function about r and given its phase at the centre. So windows need no
inverse transform. Nor does a window need a transform of its own: it differs from the next one by two planes, and a
plane from the next one by two rows, so that both transforms are kept up by what enters and what leaves (a sliding
transform; exact, as there is no taper). Sums are float64.

What leaks over the edges of a window has the same phases in every map of the particle. Where the question is how far
two maps agree, windows get a Hann taper, which in each direction is a sum of three neighbouring coefficients. Every
second one along each axis then holds what there is to know: neighbours are correlated by 2 / 3, the next but one by
1 / 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, List, Sequence, Tuple

import numba
import numpy as np
import numpy.typing as npt

import cryores.openmp  # noqa: F401  before numba starts a thread
from cryores.backend import HOST, Backend, kernel
from cryores.fourier import Float64, hermitian_weights
from cryores.volume import BoolArray, FloatArray

VOXELS_AT_ONCE = 8192
"""Fewest voxels of a block of planes, where there are so many."""


@dataclass(frozen=True)
class WindowShells:
    """The shells of a window's transform.

    Parameters
    ----------
    edge : int
        n, in voxels.
    octant : bool
        Count only the coefficients whose three indices are positive, as LocScale does; default, all of them once.
    """

    edge: int
    octant: bool = False

    @property
    def count(self) -> int:
        """Number of shells, n // 2 + 1."""
        return self.edge // 2 + 1

    def radii(self) -> Float64:
        """Return the mean abs(k) of every shell in Fourier pixels."""
        shell, weight, radius = self._counted()
        total = np.bincount(shell, weight * radius, minlength=self.count + 1)
        radii: Float64 = (total / np.maximum(self._sizes(), 1e-300))[: self.count]
        return radii

    def frequencies(self, voxel_size: float) -> Float64:
        """Return the mean frequency of every shell in 1/Å."""
        return self.radii() / (self.edge * voxel_size)

    def independent(self) -> Float64:
        """Return the number of independent coefficients of every shell of a tapered window."""
        independent: Float64 = np.maximum(0.5 * self._tapered_sizes()[: self.count], 1.0)
        return independent

    def tables(self) -> Tuple[npt.NDArray[np.int16], Float64, npt.NDArray[np.int16], Float64, Float64]:
        """Return what the coefficients with indices 0 ... n // 2, shape (count, count^2), stand for.

        Coefficients whose indices differ in sign only were added before. In this order: the shell, and the weight that
        makes orthonormal means; the lower of the two hats, and the weights in that one and in the next.
        """
        radius = _radius(np.arange(self.count), self.count)
        mirrored = np.broadcast_to(hermitian_weights(self.edge), radius.shape)
        shell = np.minimum(radius.astype(int), self.count)
        counted = np.where(shell < self.count, 1.0 if self.octant else mirrored, 0.0)
        weight = counted / self._sizes()[shell] / self.edge**1.5
        lower = np.minimum(radius.astype(int), self.count - 2)
        upper = np.minimum(radius - lower, 1.0)
        per_voxel = mirrored / self.edge**3
        shape = (self.count, self.count**2)
        return (
            np.minimum(shell, self.count - 1).astype(np.int16).reshape(shape),
            weight.reshape(shape),
            lower.astype(np.int16).reshape(shape),
            (per_voxel * (1.0 - upper)).reshape(shape),
            (per_voxel * upper).reshape(shape),
        )

    def tapered_table(self) -> Float64:
        """Return the weight of what `tables` has the shells of, every second coefficient along each axis counting."""
        radius = _radius(np.arange(self.count), self.count)
        shell = np.minimum(radius.astype(int), self.count)
        counted = np.where(shell < self.count, hermitian_weights(self.edge), 0.0)
        weight = counted / np.maximum(self._tapered_sizes(), 1.0)[shell] / self.edge**1.5
        weight[1::2] = weight[:, 1::2] = weight[:, :, 1::2] = 0.0
        table: Float64 = weight.reshape(self.count, self.count**2)
        return table

    def _tapered_sizes(self) -> Float64:
        even = _signed(self.edge) % 2 == 0
        radius = _radius(_signed(self.edge), self.count)[even][:, even][:, :, ::2]
        weight = np.broadcast_to(hermitian_weights(self.edge)[::2], radius.shape)
        shell = np.minimum(radius.astype(int), self.count)
        sizes: Float64 = np.bincount(shell.ravel(), weight.ravel(), minlength=self.count + 1).astype(np.float64)
        return sizes

    def _counted(self) -> Tuple[Any, Float64, Float64]:
        """Return shell, weight and |k| of every coefficient of the half spectrum; shells beyond the last are one."""
        along = np.arange(self.edge) if self.octant else _signed(self.edge)
        radius = _radius(along, self.count).ravel()
        weight = np.ones(radius.size)
        if not self.octant:
            weight *= np.broadcast_to(hermitian_weights(self.edge), (self.edge, self.edge, self.count)).ravel()
        return np.minimum(radius.astype(int), self.count), weight, radius

    def _sizes(self) -> Float64:
        shell, weight, _ = self._counted()
        sizes: Float64 = np.bincount(shell, weight, minlength=self.count + 1).astype(np.float64)
        return sizes


@dataclass(frozen=True)
class WindowProfiles:
    """The windows around some voxels.

    Parameters
    ----------
    voxels : tuple of ndarray
        Their indices (z, y, x).
    amplitudes : ndarray of float64, shape (voxels, volumes, shells)
        Mean modulus of the coefficients of each shell, of transforms divided by n^1.5.
    shares : ndarray of float64, shape (voxels, shells)
        What each shell gives to the value of the first volume at the voxel; their sum is that value.
    tapered : ndarray of float64, shape (voxels, tapered volumes, shells)
        Mean moduli of windows that were multiplied by a Hann window.
    """

    voxels: Tuple[Any, Any, Any]
    amplitudes: Float64
    shares: Float64
    tapered: Float64


def window_profiles(
    volumes: Sequence[FloatArray],
    inside: BoolArray,
    shells: WindowShells,
    threads: int = 1,
    tapered: Sequence[FloatArray] = (),
    backend: Backend = HOST,
) -> Iterator[WindowProfiles]:
    """Yield the profiles of the windows around all voxels inside, in blocks of whole planes across x.

    Parameters
    ----------
    volumes : sequence of ndarray of float32, shape (nz, ny, nx)
        One or more maps on one grid; beyond the box each continues as its mean where not ``inside``.
    inside : ndarray of bool, same shape
        The voxels that are wanted.
    shells : WindowShells
        Size and shells of the windows.
    threads : int
        A block has at least as many planes.
    tapered : sequence of ndarray of float32, same shape
        Maps whose windows get a Hann taper.
    backend : Backend
        Where the windows are transformed.
    """
    plain = len(volumes)
    padded, local = _padded([*volumes, *tapered], inside, shells.edge)
    origin = [int(np.flatnonzero(inside.any(axis=others))[0]) for others in ((1, 2), (0, 2), (0, 1))]
    turn = 2.0 * np.pi * np.arange(shells.edge) / shells.edge
    tables = (*shells.tables(), shells.tapered_table(), np.cos(turn), np.sin(turn))
    there, maps = backend.asarray(padded), len(padded)
    del padded
    for planes in plane_blocks(local, threads):
        counts = np.count_nonzero(local[:, :, planes], axis=(0, 1))
        starts = np.cumsum(counts) - counts
        amplitudes = np.zeros((int(counts.sum()), maps, shells.count))
        shares = np.zeros((len(amplitudes), shells.count))
        _slide_windows(there, plain, local, shells.edge, shells.octant, planes, starts, *tables, amplitudes, shares)
        x, y, z = np.nonzero(local[:, :, planes].transpose(2, 1, 0))
        voxels = z + origin[0], y + origin[1], planes[x] + origin[2]
        yield WindowProfiles(voxels, amplitudes[:, :plain], shares, amplitudes[:, plain:])


def plane_blocks(inside: BoolArray, threads: int) -> List[Any]:
    """Return the planes across x that hold voxels, in blocks."""
    planes = np.flatnonzero(inside.any(axis=(0, 1)))
    counts = np.count_nonzero(inside[:, :, planes], axis=(0, 1))
    most = max(threads, int(VOXELS_AT_ONCE / max(counts.mean(), 1.0)))
    return np.array_split(planes, -(-len(planes) // most))


def block_bytes(size: Sequence[int], volumes: int, edge: int) -> float:
    """Return the bytes of the block of every volume that the windows of a block of ``size`` voxels reach into."""
    z, y, x = size
    return 4.0 * volumes * (z + edge) * (y + edge) * (x + edge)


def working_bytes(size: Sequence[int], inside: float, volumes: int, edge: int, threads: int) -> float:
    """Return the bytes that `window_profiles` holds for a mask whose bounding block has ``size`` voxels (z, y, x).

    ``inside`` is the share of that block which the mask fills.
    """
    z, y, _ = size
    columns = edge * (edge // 2 + 1)
    block = block_bytes(size, volumes, edge)
    buffers = 16.0 * threads * volumes * columns * (z + 2 * edge)
    found = 8.0 * (volumes + 1) * (edge // 2 + 1) * max(inside * z * y * threads, 2 * VOXELS_AT_ONCE)
    return block + buffers + found


def _signed(n: int) -> Any:
    return (np.arange(n) + n // 2) % n - n // 2


def _radius(along: Any, columns: int) -> Float64:
    squares = along.astype(np.float64) ** 2
    radius: Float64 = np.sqrt(squares[:, None, None] + squares[:, None] + np.arange(columns) ** 2)
    return radius


def _padded(volumes: Sequence[FloatArray], inside: BoolArray, edge: int) -> Tuple[FloatArray, BoolArray]:
    """Return the block of every volume that the windows of the mask reach into, and the mask's own block."""
    cut, reach, put = [], [], []
    for axis, length in enumerate(inside.shape):
        used = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        first, last = int(used[0]), int(used[-1]) + 1
        cut.append(slice(first, last))
        start, stop = first - edge // 2, last - 1 + (edge + 1) // 2
        reach.append(slice(max(start, 0), min(stop, length)))
        put.append(slice(max(-start, 0), max(-start, 0) + min(stop, length) - max(start, 0)))
    shape = tuple(c.stop - c.start + edge - 1 for c in cut)
    padded = np.empty((len(volumes), *shape), dtype=np.float32)
    outside = ~inside
    for number, volume in enumerate(volumes):
        level = volume.mean(dtype=np.float64, where=outside) if outside.any() else 0.0
        padded[number] = np.float32(level)
        padded[number][tuple(put)] = volume[tuple(reach)]
    return padded, np.ascontiguousarray(inside[tuple(cut)])


# --- the sliding transforms ---------------------------------------------------------------------------------------


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _slide_windows(  # type: ignore[no-untyped-def]
    padded,
    plain,
    inside,
    n,
    octant,
    planes,
    starts,
    shell,
    weight,
    hat,
    low,
    high,
    tapered_weight,
    cosines,
    sines,
    amplitudes,
    shares,
):
    # One plane across x at a time: its windows slide along y, and in each column along z.
    volumes, depth = padded.shape[0], padded.shape[1]
    columns = n // 2 + 1
    for plane in numba.prange(planes.size):
        x = planes[plane]
        voxel = starts[plane]
        rows = np.zeros((2, volumes, depth, n * columns))
        box = np.zeros((2, volumes, n, n * columns))
        change = np.zeros((2, volumes, n * columns))
        work = np.zeros(n * columns)
        moduli = np.zeros(n * columns, dtype=np.float32)
        phase = np.zeros((2, n * columns))
        smooth = np.zeros((2, n * columns))
        folded = np.zeros((volumes + 1, columns * columns))
        for y in range(1 - n, inside.shape[1]):
            _slide_along_y(padded, plain, x, y, n, cosines, sines, change[:, 0], rows)
            if y < 0:
                continue
            first, last = _ends(inside, y, x)
            if first < 0:
                continue
            for p in range(n * columns):
                j = (p // columns * (y + n // 2)) % n
                phase[0, p], phase[1, p] = cosines[j], sines[j]
            _fill_box(rows, plain, first, n, cosines, sines, box)
            for z in range(first, last + 1):
                if z > first:
                    _take_change(rows, z + n - 1, n, change)
                    _advance(change, plain, z + n - 1, n, cosines, sines, box)
                for h in range(columns):
                    # Coefficients that differ in sign only are in one shell: they are added first.
                    folded[:] = 0.0
                    for k in (h, n - h):
                        j = (k * (z + n - 1)) % n
                        for volume in range(plain):
                            re, im = box[0, volume, k], box[1, volume, k]
                            if z > first:
                                _rotate_add(re, im, change[0, volume], change[1, volume], cosines[j], -sines[j])
                            if inside[z, y, x] and (k == h or not octant):
                                _moduli(re, im, moduli)
                                _fold(moduli, n, octant, folded[volume])
                        if inside[z, y, x]:
                            if h % 2 == 0:
                                for volume in range(plain, volumes):
                                    re, im = box[0, volume], box[1, volume]
                                    _fold_tapered(re, im, k, z, y, n, cosines, sines, smooth, folded[volume])
                            j = (k * (z + n // 2)) % n
                            _values(box[0, 0, k], box[1, 0, k], phase, cosines[j], sines[j], work)
                            _fold(work, n, False, folded[volumes])
                        if 2 * h % n == 0:
                            break
                    if inside[z, y, x]:
                        for volume in range(volumes):
                            counted = weight[h] if volume < plain else tapered_weight[h]
                            for p in range(columns * columns):
                                amplitudes[voxel, volume, shell[h, p]] += counted[p] * folded[volume, p]
                        for p in range(columns * columns):
                            shares[voxel, hat[h, p]] += low[h, p] * folded[volumes, p]
                            shares[voxel, hat[h, p] + 1] += high[h, p] * folded[volumes, p]
                if inside[z, y, x]:
                    voxel += 1


@numba.njit(cache=True)  # type: ignore[misc]
def _ends(inside, y, x):  # type: ignore[no-untyped-def]
    first, last = -1, -1
    for z in range(inside.shape[0]):
        if inside[z, y, x]:
            if first < 0:
                first = z
            last = z
    return first, last


@numba.njit(cache=True)  # type: ignore[misc]
def _slide_along_y(padded, plain, x, y, n, cosines, sines, change, rows):  # type: ignore[no-untyped-def]
    # Phases along x count from the window's centre, along y and z from the start of the block. Of tapered windows only
    # every second column is kept.
    for volume in range(padded.shape[0]):
        step = 1 if volume < plain else 2
        columns = n // 2 // step + 1
        for z in range(padded.shape[1]):
            change[:, :columns] = 0.0
            for i in range(n):
                value = np.float64(padded[volume, z, y + n - 1, x + i])
                if y > 0:
                    value -= np.float64(padded[volume, z, y - 1, x + i])
                if volume >= plain:
                    # A Hann window about the voxel n // 2.
                    value *= 0.5 + 0.5 * cosines[(i + n - n // 2) % n]
                for k in range(columns):
                    j = (step * k * (i + n - n // 2)) % n
                    change[0, k] += value * cosines[j]
                    change[1, k] -= value * sines[j]
            for h in range(n):
                j = (h * (y + n - 1)) % n
                part = slice(h * columns, (h + 1) * columns)
                re, im = rows[0, volume, z, part], rows[1, volume, z, part]
                _rotate_add(re, im, change[0], change[1], cosines[j], -sines[j])


@numba.njit(cache=True)  # type: ignore[misc]
def _fill_box(rows, plain, first, n, cosines, sines, box):  # type: ignore[no-untyped-def]
    box[:] = 0.0
    for volume in range(rows.shape[1]):
        used = _used(n, volume < plain)
        for h in range(n):
            for z in range(first, first + n):
                j = (h * z) % n
                re, im = box[0, volume, h, :used], box[1, volume, h, :used]
                _rotate_add(re, im, rows[0, volume, z, :used], rows[1, volume, z, :used], cosines[j], -sines[j])


@numba.njit(cache=True)  # type: ignore[misc]
def _used(n, every_column):  # type: ignore[no-untyped-def]
    return n * (n // 2 + 1) if every_column else n * (n // 4 + 1)


@numba.njit(cache=True)  # type: ignore[misc]
def _advance(change, first, z, n, cosines, sines, box):  # type: ignore[no-untyped-def]
    used = _used(n, False)
    for volume in range(first, box.shape[1]):
        for h in range(n):
            j = (h * z) % n
            re, im = box[0, volume, h, :used], box[1, volume, h, :used]
            _rotate_add(re, im, change[0, volume, :used], change[1, volume, :used], cosines[j], -sines[j])


@numba.njit(cache=True)  # type: ignore[misc]
def _fold_tapered(re, im, h, z, y, n, cosines, sines, out, folded):  # type: ignore[no-untyped-def]
    # Row h of the box, tapered along z and y (it was along x): c / 2 + (c before + c after) / 4, the neighbours with
    # the phases that they have at the middle of the window.
    columns, folded_columns = n // 4 + 1, n // 2 + 1
    before, after = (h + n - 1) % n, (h + 1) % n
    c, s = 0.25 * cosines[(z + n // 2) % n], 0.25 * sines[(z + n // 2) % n]
    for p in range(n * columns):
        out[0, p] = 0.5 * re[h, p] + c * (re[before, p] + re[after, p]) + s * (im[before, p] - im[after, p])
        out[1, p] = 0.5 * im[h, p] + c * (im[before, p] + im[after, p]) + s * (re[after, p] - re[before, p])
    c, s = 0.25 * cosines[(y + n // 2) % n], 0.25 * sines[(y + n // 2) % n]
    for g in range(n):
        if min(g, n - g) % 2:
            continue
        at, below, above = g * columns, (g + n - 1) % n * columns, (g + 1) % n * columns
        put = min(g, n - g) * folded_columns
        for k in range(columns):
            re0, re1 = out[0, below + k], out[0, above + k]
            im0, im1 = out[1, below + k], out[1, above + k]
            a = 0.5 * out[0, at + k] + c * (re0 + re1) + s * (im0 - im1)
            b = 0.5 * out[1, at + k] + c * (im0 + im1) + s * (re1 - re0)
            folded[put + 2 * k] += np.sqrt(a * a + b * b)


@numba.njit(cache=True)  # type: ignore[misc]
def _take_change(rows, z, n, change):  # type: ignore[no-untyped-def]
    for part in range(2):
        for volume in range(rows.shape[1]):
            entering, leaving = rows[part, volume, z], rows[part, volume, z - n]
            for p in range(entering.size):
                change[part, volume, p] = entering[p] - leaving[p]


@numba.njit(cache=True)  # type: ignore[misc]
def _rotate_add(re, im, add_re, add_im, cosine, sine):  # type: ignore[no-untyped-def]
    for p in range(re.size):
        re[p] += add_re[p] * cosine - add_im[p] * sine
        im[p] += add_re[p] * sine + add_im[p] * cosine


@numba.njit(cache=True)  # type: ignore[misc]
def _moduli(re, im, out):  # type: ignore[no-untyped-def]
    # Roots in float32: the coefficients themselves are kept in float64.
    for p in range(re.size):
        out[p] = np.sqrt(np.float32(re[p] * re[p] + im[p] * im[p]))


@numba.njit(cache=True)  # type: ignore[misc]
def _values(re, im, phase, cosine, sine, out):  # type: ignore[no-untyped-def]
    # What each coefficient is at the centre of the window.
    for p in range(re.size):
        out[p] = re[p] * (phase[0, p] * cosine - phase[1, p] * sine) - im[p] * (
            phase[0, p] * sine + phase[1, p] * cosine
        )


@numba.njit(cache=True)  # type: ignore[misc]
def _fold(work, n, octant, folded):  # type: ignore[no-untyped-def]
    columns = n // 2 + 1
    for p in range(columns * columns):
        folded[p] += work[p]
    if not octant:
        for g in range(columns, n):
            for k in range(columns):
                folded[(n - g) * columns + k] += work[g * columns + k]
