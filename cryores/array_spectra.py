"""The array forms of the kernels on whole spectra: transforms, sums over shells, radial filters, random phases.

`cryores.array_backend` says what an array form is.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from cryores.array_backend import ArrayBackend, Host, complex_of, looked_up, single, slabs, squared
from cryores.backend import Array, Backend
from cryores.fourier import HALF_SHELL, Float64
from cryores.volume import FloatArray, IntTriple

SPLIT_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
"""The factors of Steele, Lea & Flood's SplitMix64."""

# --- transforms ---------------------------------------------------------------------------------------------------


def rfft(backend: Backend, data: Array, threads: int = 1) -> Array:
    """Return the real FFT of a float32 array, complex64, unnormalised."""
    return backend.xp.fft.rfftn(data)


def irfft(backend: Backend, spectrum: Array, shape: IntTriple, threads: int = 1, destroy: bool = False) -> Array:
    """Return the float32 array of ``shape`` whose `rfft` is ``spectrum``."""
    return backend.xp.fft.irfftn(spectrum, s=shape, axes=(0, 1, 2))


def irfft_inside(
    backend: Backend, spectrum: Array, shape: IntTriple, part: Tuple[slice, slice, slice], threads: int
) -> Array:
    """Return ``part`` of the array of ``shape`` whose `rfft` is ``spectrum``, the highest columns of which may lack."""
    return backend.xp.fft.irfftn(spectrum, s=shape, axes=(0, 1, 2))[part]


# --- shells -------------------------------------------------------------------------------------------------------


def shell_sums(
    backend: ArrayBackend,
    f1: Array,
    f2: Array,
    sz: Host,
    sy: Host,
    sx: Host,
    weights: Host,
    per_width: float,
    shells: int,
) -> Float64:
    """Return the sums of Re(F1 F2*), |F1|^2, |F2|^2 and 1 over shells, weighted, shape (1, shells, 4)."""
    xp = backend.xp

    def quantities(ar: Array, ai: Array, br: Array, bi: Array) -> List[Array]:
        return [ar * br + ai * bi, ar * ar + ai * ai, br * br + bi * bi, xp.ones_like(ar)]

    return _summed(backend, f1, f2, (sz, sy, sx), weights, per_width, shells, quantities)


def phase_sums(
    backend: ArrayBackend,
    f1: Array,
    f2: Array,
    sz: Host,
    sy: Host,
    sx: Host,
    weights: Host,
    per_width: float,
    shells: int,
) -> Float64:
    """Return the sums over shells of the squared phase differences times their power, and of the power."""

    def quantities(ar: Array, ai: Array, br: Array, bi: Array) -> List[Array]:
        angle = backend.arctan2(ai * br - ar * bi, ar * br + ai * bi)
        power = ar * ar + ai * ai + br * br + bi * bi
        return [power * angle * angle, power]

    return _summed(backend, f1, f2, (sz, sy, sx), weights, per_width, shells, quantities)


def _summed(
    backend: ArrayBackend,
    f1: Array,
    f2: Array,
    axes: Tuple[Host, Host, Host],
    weights: Host,
    per_width: float,
    shells: int,
    quantities: Callable[[Array, Array, Array, Array], List[Array]],
) -> Float64:
    """Return the weighted sums over shells of what ``quantities`` makes of the parts of two spectra.

    The order of the sums, and so their rounding, is always the same, which it is not where threads add to a histogram.
    """
    xp, columns = backend.xp, []
    key = *(axis.tobytes() for axis in axes), per_width, shells
    order, width = backend.kept(key, lambda: shell_order(backend, axes, per_width, shells)), weights.size
    along, counts = backend.asarray(np.arange(CHUNK, dtype=np.int32)[None, :]), backend.asarray(weights)
    for part in slabs(order.place.shape):
        place = order.place[part, ...]
        weight = looked_up(xp, counts, place % width) * xp.asarray(along < order.held[part, ...], dtype=xp.float64)
        parts = (of for f in (f1, f2) for of in _parts(xp, looked_up(xp, xp.reshape(f, (-1,)), place)))
        columns.append(xp.stack([xp.sum(quantity * weight, axis=1) for quantity in quantities(*parts)], axis=1))
    sums = np.concatenate([backend.to_host(column) for column in columns])
    found: List[Float64] = [np.bincount(order.shell, column, shells).astype(np.float64) for column in sums.T]
    return np.stack(found, axis=1)[None, ...]


def _parts(xp: Any, spectrum: Array) -> Tuple[Array, Array]:
    return xp.asarray(xp.real(spectrum), dtype=xp.float64), xp.asarray(xp.imag(spectrum), dtype=xp.float64)


CHUNK = 512
"""Coefficients of one shell that are summed at a time."""


class ShellOrder(NamedTuple):
    """The coefficients of a spectrum, shell by shell, in rows of `CHUNK`.

    Parameters
    ----------
    place : array of int, shape (rows, CHUNK)
        Where each lies in the spectrum; that of any where a shell has no more.
    held : array of int32, shape (rows, 1)
        How many of a row there are.
    shell : ndarray of int, shape (rows,)
        The shell of each row.
    """

    place: Array
    held: Array
    shell: npt.NDArray[np.int64]


def shell_order(backend: Backend, axes: Tuple[Host, Host, Host], per_width: float, shells: int) -> ShellOrder:
    """Return the order of the coefficients up to the last shell, with frequencies ``axes``."""
    sz, sy, sx = axes
    number = np.empty((sz.size, sy.size, sx.size), dtype=np.int16)
    for z, plane in zip(sz.tolist(), number):
        radius = np.sqrt((z * z + sy * sy)[:, None] + sx * sx)
        plane[...] = np.minimum(radius * per_width + HALF_SHELL, shells)
    order = np.argsort(number, axis=None, kind="stable")
    counts = np.bincount(number.reshape(-1), minlength=shells)[:shells]
    del number
    rows = -(-counts // CHUNK)
    shell = np.repeat(np.arange(shells), rows)
    before = (np.arange(shell.size) - np.repeat(np.cumsum(rows) - rows, rows)) * CHUNK
    first = (np.cumsum(counts) - counts)[shell] + before
    place = order[np.minimum(first[:, None] + np.arange(CHUNK), order.size - 1)]
    kind = np.int32 if order.size < 2**31 else np.int64
    held = np.minimum(counts[shell] - before, CHUNK).astype(np.int32)
    return ShellOrder(backend.asarray(place.astype(kind)), backend.asarray(held[:, None]), shell)


# --- radial filters -----------------------------------------------------------------------------------------------


def multiply_radial(
    backend: Backend, spectrum: Array, table: FloatArray, per_step: float, sz: Host, sy: Host, sx: Host
) -> None:
    """Multiply a spectrum in place by a radial filter, interpolated linearly in its table."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(spectrum.shape):
        position = xp.sqrt(squared(backend, sz[part], sy, sx)) * per_step
        i = xp.asarray(position, dtype=xp.int32)
        fraction = xp.asarray(position - xp.asarray(i, dtype=xp.float64), dtype=xp.float32)
        gain = looked_up(xp, gains, i) * (1.0 - fraction) + looked_up(xp, gains, i + 1) * fraction
        spectrum[part, ...] = spectrum[part, ...] * gain


# --- random phases ------------------------------------------------------------------------------------------------


def take_phases(
    backend: Backend, spectrum: Array, nx: int, key: np.uint64, sz: Host, sy: Host, sx: Host, start2: float
) -> None:
    """Give every coefficient from |s|^2 = ``start2`` on the random phase of its place, in place."""
    xp = backend.xp
    nz, ny, columns = spectrum.shape
    z, y, x = (np.arange(n, dtype=np.uint64) for n in spectrum.shape)
    heres = z[:, None] * np.uint64(ny) + y
    theres = ((nz - z) % np.uint64(nz))[:, None] * np.uint64(ny) + (ny - y) % np.uint64(ny)
    ends = backend.asarray(((x == 0) | (2 * x == nx))[None, None, :])
    for part in slabs(spectrum.shape):
        here, there = (backend.asarray(places[part, :, None]) for places in (heres, theres))
        place = xp.where(ends & (there < here), there, here)
        angle = _random_angle(backend, key, place * columns + backend.asarray(x[None, None, :]))
        angle = xp.where(ends & (there < here), -angle, angle)
        re, im = (part_of(spectrum[part, ...]) for part_of in (xp.real, xp.imag))
        length = xp.sqrt(re * re + im * im)
        # Coefficients that are their own mirror image keep or change their sign.
        cosine = xp.where(ends & (here == there), xp.where(angle < 0, 1.0 + 0 * angle, -1.0 + 0 * angle), xp.cos(angle))
        sine = xp.where(ends & (here == there), 0 * angle, xp.sin(angle))
        turned = complex_of(xp, length * single(xp, cosine), length * single(xp, sine))
        far = squared(backend, sz[part], sy, sx) >= start2
        spectrum[part, ...] = xp.where(far, turned, spectrum[part, ...])


def _random_angle(backend: Backend, key: np.uint64, place: Array) -> Array:
    # As arrays of one value: what becomes of larger numbers than a signed one holds is every library's own matter.
    first, second, third, start = (backend.asarray(n.reshape(1, 1, 1)) for n in (*SPLIT_MIX, np.uint64(key)))
    state = (place + 1) * first + start
    state = (state ^ (state >> 30)) * second
    state = (state ^ (state >> 27)) * third
    state = state ^ (state >> 31)
    xp = backend.xp
    return (xp.asarray(state >> 11, dtype=xp.float64) * 2.0**-52 - 1.0) * float(np.pi)
