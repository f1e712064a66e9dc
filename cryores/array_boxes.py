"""The array forms of the kernels that look at a box around each of many voxels: many boxes at a time.

`cryores.array_backend` says what an array form is. The loops that these stand for keep each box in the cache of a core,
or go from one to the next by what enters and what leaves; here all boxes of a batch are cut, transformed and summed
together. Sums over shells are products with a matrix.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, List, Tuple

import numpy as np
import numpy.typing as npt

from cryores.array_backend import ArrayBackend, Host, slabs
from cryores.backend import Array
from cryores.fourier import Float64
from cryores.volume import BoolArray, FloatArray

Points = npt.NDArray[np.int64]


def cut(backend: ArrayBackend, volume: Array, corners: Points, edge: int) -> Array:
    """Return the cubes of ``edge`` voxels with these first voxels (z, y, x), all inside, shape (boxes, edge, ...)."""
    kind = np.int32 if np.prod(volume.shape, dtype=np.float64) < 2**31 else np.int64
    strides = np.array([volume.shape[1] * volume.shape[2], volume.shape[2], 1])
    offsets = _offsets(edge, *strides.tolist()).astype(kind)
    places = backend.asarray((corners @ strides).astype(kind)[:, None]) + backend.asarray(offsets[None, :])
    found = backend.xp.take(backend.xp.reshape(volume, (-1,)), backend.xp.reshape(places, (-1,)))
    return backend.xp.reshape(found, (len(corners), edge, edge, edge))


@lru_cache(maxsize=2)
def _offsets(edge: int, plane: int, row: int, voxel: int) -> Points:
    """Return how far each voxel of a cube lies behind its first one."""
    along = np.arange(edge)
    offsets: Points = (along[:, None, None] * plane + along[:, None] * row + along * voxel).ravel()
    return offsets


# --- windows of LocScale ----------------------------------------------------------------------------------------------

WINDOW_BYTES = 36.0
"""Held for each voxel of a window: its place, the density, twice for a while, spectrum, parts, and cuFFT's room."""


def slide_windows(
    backend: ArrayBackend,
    padded: Array,
    plain: int,
    inside: BoolArray,
    n: int,
    octant: bool,
    planes: Points,
    starts: Points,
    shell: Host,
    weight: Float64,
    hat: Host,
    low: Float64,
    high: Float64,
    tapered_weight: Float64,
    cosines: Float64,
    sines: Float64,
    amplitudes: Float64,
    shares: Float64,
) -> None:
    """Fill amplitudes and shares of the windows about all voxels of some planes across x; each is transformed."""
    xp = backend.xp
    columns = n // 2 + 1
    x, y, z = np.nonzero(inside[:, :, planes].transpose(2, 1, 0))
    corners = np.stack([z, y, planes[x]], axis=1)
    folded, turn, shells = _folded(n, columns), _turn_of_centre(n, columns), shares.shape[1]
    counted, tapered, lower, upper = (
        _table(of.ravel()[folded], values.ravel()[folded], shells)
        for of, values in ((shell, weight), (shell, tapered_weight), (hat, low), (hat + 1, high))
    )
    if octant:
        counted = counted * _octant(n, columns)[:, None]
    share = lower + upper
    real, imaginary, plainly, smoothly = (
        backend.asarray(table.astype(np.float32))
        for table in (share * np.cos(turn)[:, None], -share * np.sin(turn)[:, None], counted, tapered)
    )
    hann = 0.5 + 0.5 * np.cos(2.0 * np.pi * (np.arange(n) - n // 2) / n)
    taper = backend.asarray((hann[:, None, None] * hann[:, None] * hann).astype(np.float32)[None, ...])

    def work(part: slice) -> None:
        for volume in range(padded.shape[0]):
            smooth = volume >= plain
            spectra = _window_spectra(backend, cut(backend, padded[volume, ...], corners[part], n), taper, smooth)
            found = xp.matmul(xp.abs(spectra), smoothly if smooth else plainly)
            amplitudes[part, volume] = backend.to_host(found)
            if volume == 0:
                given = xp.matmul(xp.real(spectra), real) + xp.matmul(xp.imag(spectra), imaginary)
                shares[part] = backend.to_host(given)

    backend.in_batches(len(corners), WINDOW_BYTES * n**3, work)


def _window_spectra(backend: ArrayBackend, boxes: Array, taper: Array, smooth: bool) -> Array:
    """Return the spectra of windows, tapered if ``smooth``, shape (windows, coefficients).

    Their means go round the transform: windows without contrast would otherwise have that of its rounding. Of tapered
    ones a mean reaches no other coefficient that counts than the first.
    """
    xp, n = backend.xp, boxes.shape[1]
    mean = xp.mean(boxes, axis=(1, 2, 3), keepdims=True)
    boxes = boxes - mean
    if smooth:
        boxes = boxes * taper
    spectra = xp.fft.rfftn(boxes, axes=(1, 2, 3))
    added = mean[:, 0, 0, 0] * float((0.5 * n) ** 3 if smooth else n**3)
    spectra[:, 0, 0, 0] = spectra[:, 0, 0, 0] + xp.asarray(added, dtype=xp.complex64)
    return xp.reshape(spectra, (boxes.shape[0], -1))


def _folded(n: int, columns: int) -> Points:
    """Return for each coefficient of a window's half spectrum the place of that with all indices positive."""
    along = np.minimum(np.arange(n), n - np.arange(n))
    return np.ravel_multi_index(np.ix_(along, along, np.arange(columns)), (columns,) * 3).ravel()  # type: ignore[no-any-return]


def _octant(n: int, columns: int) -> BoolArray:
    z, y, _ = np.indices((n, n, columns)).reshape(3, -1)
    positive: BoolArray = (z < columns) & (y < columns)
    return positive


def _table(shell: Host, weight: Float64, shells: int) -> Float64:
    """Return the weight that each coefficient has in each shell, shape (coefficients, shells)."""
    table = np.zeros((shell.size, shells))
    table[np.arange(shell.size), shell] = weight
    return table


def _turn_of_centre(n: int, columns: int) -> Float64:
    """Return the phase of each coefficient at the voxel n // 2 of its window."""
    z, y, x = np.indices((n, n, columns)).reshape(3, -1)
    turn: Float64 = 2.0 * np.pi * (((z + y + x) * (n // 2)) % n) / n
    return turn


# --- boxes of blocres -------------------------------------------------------------------------------------------------

BOX_BYTES = 36.0
"""Held for each voxel of a padded box: two spectra, three products, and what the transform takes."""


def over_boxes(
    backend: ArrayBackend,
    half1: Array,
    half2: Array,
    centres: Points,
    window: FloatArray,
    padded: int,
    count: int,
    split: Tuple[Host, FloatArray, FloatArray],
    execution: Any,
    take: Callable[[slice, Float64], None],
) -> None:
    """Give the sums over the shells of every box to ``take``, batch by batch."""
    xp, edge = backend.xp, window.shape[0]
    table, taper = backend.asarray(_shared_among(*split, count)), backend.asarray(window[None, ...])
    first = centres - edge // 2
    before = np.maximum(-first.min(axis=0), 0)
    after = np.maximum(first.max(axis=0) + edge - np.array(half1.shape), 0)
    halves = [_with_zeros_around(backend, half, before, after) for half in (half1, half2)]

    def work(part: slice) -> None:
        (ar, ai), (br, bi) = (
            _parts_of_boxes(backend, cut(backend, half, first[part] + before, edge) * taper, padded) for half in halves
        )
        sums = [xp.matmul(product, table) for product in (ar * br + ai * bi, ar * ar + ai * ai, br * br + bi * bi)]
        take(part, backend.to_host(xp.stack(sums, axis=1)).astype(np.float64))
        stage.advance(part.stop - part.start)

    with execution.stage("comparing boxes", len(centres)) as stage:
        backend.in_batches(len(centres), BOX_BYTES * padded**3, work)


def _shared_among(low: Host, share: FloatArray, weight: FloatArray, count: int) -> FloatArray:
    """Return the weight of each coefficient (kz, ky, kx) in each shell, shape (coefficients, shells)."""
    low, share = (values.transpose(2, 0, 1).ravel() for values in (low, share))
    counted = np.resize(weight, low.size)
    counted[low < 0] = 0.0
    table = np.zeros((low.size, count), dtype=np.float32)
    rows, shell = np.arange(low.size), np.maximum(low, 0)
    table[rows, shell] = counted * (1.0 - share)
    table[rows, shell + 1] = counted * share
    return table


def _with_zeros_around(backend: ArrayBackend, data: Array, before: Points, after: Points) -> Array:
    out = backend.zeros(tuple((before + after + np.array(data.shape)).tolist()), np.float32)
    z, y, x = (slice(b, b + n) for b, n in zip(before.tolist(), data.shape))
    out[z, y, x] = data
    return out


def _parts_of_boxes(backend: ArrayBackend, boxes: Array, padded: int) -> Tuple[Array, Array]:
    xp = backend.xp
    spectra = xp.fft.rfftn(boxes, s=(padded, padded, padded), axes=(1, 2, 3))
    spectra = xp.reshape(spectra, (boxes.shape[0], -1))
    return xp.real(spectra), xp.imag(spectra)


# --- boxes of blocfilt ------------------------------------------------------------------------------------------------

FILTERED_BYTES = 24.0
"""Held for each voxel of a box: its place, the density, a kernel, and their product."""


def weighted_sums(
    backend: ArrayBackend,
    padded: Array,
    shape: Tuple[int, int, int],
    voxels: Points,
    kernel: Points,
    fraction: Float64,
    lower: FloatArray,
    upper: FloatArray,
) -> FloatArray:
    """Return the sum of the box about each voxel times its kernel, which lies between two."""
    xp, edge = backend.xp, lower.shape[1]
    tables = [backend.asarray(table.reshape(len(table), -1)) for table in (lower, upper)]
    corners = np.stack(np.unravel_index(voxels, shape), axis=1)
    centres = np.empty(len(voxels), dtype=np.float32)

    def work(part: slice) -> None:
        boxes = xp.reshape(cut(backend, padded, corners[part], edge), (part.stop - part.start, -1))
        chosen = backend.asarray(kernel[part])
        low, high = (backend.to_host(xp.sum(boxes * xp.take(table, chosen, axis=0), axis=1)) for table in tables)
        centres[part] = low + fraction[part] * (high - low)

    backend.in_batches(len(voxels), FILTERED_BYTES * edge**3, work)
    return centres


# --- windows of ResMap ------------------------------------------------------------------------------------------------


def quadratic_form(
    backend: ArrayBackend,
    block: Array,
    wanted: BoolArray,
    taps: FloatArray,
    rows: Points,
    columns: Points,
    factors: FloatArray,
    out: Array,
) -> None:
    """Fill ``out`` with the quadratic form of the moments of the window about every voxel, wanted or not."""
    degrees = len(taps)
    for part in slabs(out.shape):
        moments: List[Array] = []
        planes = [_correlated(block[part.start : part.stop + taps.shape[1] - 1, ...], of, 0) for of in taps]
        for i in range(degrees):
            for j in range(degrees - i):
                line = _correlated(planes[i], taps[j], 1)
                moments += [_correlated(line, taps[k], 2) for k in range(1 if i + j == 0 else 0, degrees - i - j)]
        total = 0.0 * moments[0]
        for row, column, factor in zip(rows.tolist(), columns.tolist(), factors.tolist()):
            total = total + factor * moments[row] * moments[column]
        out[part, ...] = total


def _correlated(data: Array, taps: FloatArray, axis: int) -> Array:
    """Return the correlation with ``taps`` along an axis, shorter by all but one of them."""
    length, total = data.shape[axis] - len(taps) + 1, 0.0
    for place, tap in enumerate(taps.tolist()):
        window = [slice(None)] * 3
        window[axis] = slice(place, place + length)
        total = data[tuple(window)] * tap + total
    return total
