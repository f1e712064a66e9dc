"""Computing on arrays of any namespace of the array-API standard: of CuPy's on a GPU, of a strict stand-in in tests.

Below the backend, in `cryores.array_banks`, `cryores.array_boxes` and `cryores.array_directions` stand the array forms
of the kernels (`cryores.backend.kernel`): each has the name, the arguments and the values of the loop that it stands
for, and the backend before them. They use what CuPy, numpy and the standard spell alike, and work on a slab of z-planes
at a time: what an expression holds for a moment does not grow with the box. Frequencies, tables and thresholds are
small, and come as arrays of numpy's.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

import cryores.backend as backends
from cryores.backend import Array, Backend, InPlaceFFT, PlannedFFT, planes, register
from cryores.fourier import HALF_SHELL, Float64, spectrum_shape
from cryores.monogenic import TABLE_STEPS, between_ranks
from cryores.volume import FloatArray, IntTriple

SLAB = 2**21
"""Values that an expression works on at a time; it holds up to 124 bytes for each (`shell_sums`)."""

SPLIT_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
"""The factors of Steele, Lea & Flood's SplitMix64."""

Host = npt.NDArray[Any]


def slabs(shape: Tuple[int, ...]) -> Tuple[slice, ...]:
    """Return the z-planes of a volume, or the rows of a table, in slabs of at most `SLAB` values."""
    return planes(shape, SLAB)


class ArrayBackend:
    """A device and a namespace of functions on its arrays.

    Parameters
    ----------
    name : str
        What the report calls it.
    xp : module
        The namespace.
    put : callable
        Copies an array of numpy's to the device.
    get : callable
        Copies an array of the device to the host.
    zeros : callable
        Returns an array of zeros of a shape and a type of numpy's.
    free : callable
        Returns the bytes that the device can give now.
    say : callable
        Receives one-line messages for the user.
    """

    def __init__(
        self,
        name: str,
        xp: Any,
        put: Callable[[Host], Array],
        get: Callable[[Array], Host],
        zeros: Callable[[Tuple[int, ...], npt.DTypeLike], Array],
        free: Callable[[], float] = lambda: float("inf"),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.xp = xp
        self.put, self.to_host, self.zeros, self.free_bytes, self.say = put, get, zeros, free, say
        self._order: Optional[Tuple[Any, ShellOrder]] = None
        self.smaller = 1.0  # what batches were divided by, for want of memory
        self.arctan2 = xp.arctan2 if hasattr(xp, "arctan2") else xp.atan2  # the name of numpy, that of the standard
        register(type(put(np.zeros(1, dtype=np.float32))), self)

    def asarray(self, data: Array) -> Array:
        """Return ``data`` on the device: a copy unless it lies there already."""
        return self.put(data) if isinstance(data, np.ndarray) else data

    def real_fft(self, shape: IntTriple, threads: int, effort: str = "FFTW_MEASURE") -> PlannedFFT:
        """Return the transforms of one shape: the namespace plans them by itself."""
        return ArrayFFT(self, shape)

    def in_place_fft(self, shape: IntTriple, threads: int) -> InPlaceFFT:
        """Return the transforms of one shape; the namespace has none in place."""
        return ArrayRooms(self, shape)

    def shell_order(self, axes: Tuple[Host, Host, Host], per_width: float, shells: int) -> ShellOrder:
        """Return `shell_order`, made once for all spectra of one grid; the last one is kept."""
        key = *(axis.tobytes() for axis in axes), per_width, shells
        if self._order is None or self._order[0] != key:
            self._order = None  # before the next one takes room
            self._order = key, shell_order(self, axes, per_width, shells)
        return self._order[1]

    def in_batches(self, count: int, bytes_each: float, work: Callable[[slice], None]) -> None:
        """Let ``work`` do ``count`` boxes, so many at a time as `BATCH_BYTES` and half of the free memory hold.

        Where that is too much in spite of it, half as many from then on; ``work`` must bear to be called again.
        """
        room = min(backends.BATCH_BYTES, 0.5 * self.free_bytes())
        first = 0
        while first < count:
            at_once = max(1, int(room / self.smaller / bytes_each))
            part = slice(first, min(first + at_once, count))
            try:
                work(part)
            except MemoryError:
                if part.stop - part.start == 1:
                    raise
                self.smaller *= 2.0
                self.say(f"{self.name} has run out of memory: half as many boxes at a time from now on")
            else:
                first = part.stop


class ArrayFFT:
    """Real FFTs of one shape on a device: what `cryores.fourier.RealFFT` is on the host."""

    def __init__(self, backend: ArrayBackend, shape: IntTriple) -> None:
        self.shape = shape
        self.scale = 1.0 / float(np.prod(shape, dtype=np.float64))
        self._backend = backend

    def empty_real(self) -> Array:
        """Return a float32 array of the real shape."""
        return self._backend.zeros(self.shape, np.float32)

    def empty_spectrum(self) -> Array:
        """Return a complex64 array of the spectrum's shape."""
        return self._backend.zeros(spectrum_shape(self.shape), np.complex64)

    def forward(self, real: Array, out: Array) -> Array:
        """Transform ``real`` into ``out``, unnormalised."""
        out[...] = rfft(self._backend, real)
        return out

    def backward(self, spectrum: Array, out: Array) -> Array:
        """Transform ``spectrum`` into ``out``, unnormalised."""
        out[...] = self._backend.xp.fft.irfftn(spectrum, s=self.shape, axes=(0, 1, 2), norm="forward")
        return out


Room = Tuple[Array, Array]
"""A volume and its spectrum, each in memory of its own."""


class ArrayRooms:
    """Real FFTs on a device for what overwrites its volumes on the host, as `cryores.fourier.InPlaceRealFFT` does."""

    def __init__(self, backend: ArrayBackend, shape: IntTriple) -> None:
        self._fft = ArrayFFT(backend, shape)
        self.first = self.empty()

    def empty(self) -> Room:
        """Return room for a volume and for its spectrum."""
        return self._fft.empty_real(), self._fft.empty_spectrum()

    def real(self, room: Room) -> Array:
        """Return the volume."""
        return room[0]

    def spectrum(self, room: Room) -> Array:
        """Return the spectrum."""
        return room[1]

    def forward(self, room: Room) -> Array:
        """Transform the volume, unnormalised; return its spectrum."""
        return self._fft.forward(*room)

    def backward(self, room: Room) -> Array:
        """Transform the spectrum, unnormalised; return its volume."""
        return self._fft.backward(room[1], room[0])


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
    order, width = backend.shell_order(axes, per_width, shells), weights.size
    along, counts = backend.asarray(np.arange(CHUNK, dtype=np.int32)[None, :]), backend.asarray(weights)
    for part in slabs(order.place.shape):
        place = order.place[part, ...]
        weight = _looked_up(xp, counts, place % width) * xp.asarray(along < order.held[part, ...], dtype=xp.float64)
        parts = (of for f in (f1, f2) for of in _parts(xp, _looked_up(xp, xp.reshape(f, (-1,)), place)))
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


def squared(backend: Backend, sz: Host, sy: Host, sx: Host) -> Array:
    """Return |s|^2 of every coefficient, in the precision of the axes."""
    return summed_axes(backend, sz * sz, sy * sy, sx * sx)


def summed_axes(backend: Backend, z: Host, y: Host, x: Host) -> Array:
    """Return z + y + x at every place, shape (nz, ny, nx), of numbers along the axes."""
    return backend.asarray(z[:, None, None] + y[None, :, None]) + backend.asarray(x[None, None, :])


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
        gain = _looked_up(xp, gains, i) * (1.0 - fraction) + _looked_up(xp, gains, i + 1) * fraction
        spectrum[part, ...] = spectrum[part, ...] * gain


def _looked_up(xp: Any, table: Array, places: Array) -> Array:
    return xp.reshape(xp.take(table, xp.reshape(places, (-1,))), places.shape)


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


def single(xp: Any, values: Array) -> Array:
    """Return values as float32."""
    return xp.asarray(values, dtype=xp.float32)


def complex_of(xp: Any, re: Array, im: Array) -> Array:
    """Return the complex64 numbers of two parts."""
    return xp.asarray(re, dtype=xp.complex64) + xp.asarray(im, dtype=xp.complex64) * 1j


# --- the monogenic signal -----------------------------------------------------------------------------------------


def filter(
    backend: Backend,
    source: Array,
    out: Array,
    rows_z: Host,
    rows_y: Host,
    columns: int,
    uz: Host,
    uy: Host,
    ux: Host,
    table: FloatArray,
    reach: float,
) -> None:
    """Fill ``out`` with the rows and columns of ``source`` that it shares, times the gains; 0 elsewhere."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        u2 = squared(backend, uz[part], uy, ux[:columns])
        gain = _gain(xp, gains, u2) * _open_rows(backend, part, rows_z, rows_y, uz, uy, reach)
        out[part, :, :columns] = _shared(backend, source, out.shape, part, rows_z, rows_y, columns) * gain
        out[part, :, columns:] = 0.0


def riesz_filter(
    backend: Backend,
    source: Array,
    out: Array,
    rows_z: Host,
    rows_y: Host,
    columns: int,
    uz: Host,
    uy: Host,
    ux: Host,
    az: Host,
    ay: Host,
    ax: Host,
    table: FloatArray,
    reach: float,
) -> None:
    """Fill ``out`` with the Riesz transform of `filter` along the axis of which ``az, ay, ax`` hold frequencies."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        u2 = squared(backend, uz[part], uy, ux[:columns])
        along = summed_axes(backend, az[part], ay, ax[:columns])
        factor = _gain(xp, gains, u2) * along / xp.sqrt(u2 + 1e-30)
        factor = factor * _open_rows(backend, part, rows_z, rows_y, uz, uy, reach)
        out[part, :, :columns] = _shared(backend, source, out.shape, part, rows_z, rows_y, columns) * factor * -1j


def _gain(xp: Any, table: Array, u2: Array) -> Array:
    return interpolated(xp, table, u2 * float(TABLE_STEPS))


def interpolated(xp: Any, table: Array, position: Array) -> Array:
    """Return the values at places between those of a float32 table."""
    i = xp.asarray(position, dtype=xp.int32)
    first = _looked_up(xp, table, i)
    fraction = single(xp, position - xp.asarray(i, dtype=position.dtype))
    return first + (_looked_up(xp, table, i + 1) - first) * fraction


def _open_rows(backend: Backend, part: slice, rows_z: Host, rows_y: Host, uz: Host, uy: Host, reach: float) -> Array:
    """Return 1 for the rows that the source has and the filter reaches, 0 for others, shape (planes, ny, 1)."""
    squares = (uz[part] * uz[part])[:, None] + uy * uy
    reached = (squares.astype(np.float64) <= reach) & (rows_z[part] >= 0)[:, None] & (rows_y >= 0)
    return backend.asarray(reached[:, :, None].astype(np.float32))


def _shared(
    backend: Backend, source: Array, shape: IntTriple, part: slice, rows_z: Host, rows_y: Host, columns: int
) -> Array:
    """Return the rows and columns of ``source`` that a spectrum of ``shape`` takes; any row where it takes none."""
    if tuple(source.shape) == tuple(shape):
        return source[part, ...]
    z, y = (backend.asarray(np.maximum(rows, 0)) for rows in (rows_z[part], rows_y))
    return backend.xp.take(backend.xp.take(source[:, :, :columns], z, axis=0), y, axis=1)


def first_energy(backend: Backend, total: Array, part: Array) -> None:
    """Set ``total`` to the sum of the squares."""
    add_square(backend, total, total, part, last=False)


def next_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``."""
    add_square(backend, total, None, part, last=False)


def last_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``, and take the root."""
    add_square(backend, total, None, part, last=True)


def add_square(backend: Backend, total: Array, first: Optional[Array], part: Array, last: bool) -> None:
    """Add the square of ``part`` to that of ``first``, or to ``total`` without it; take the root at the last part."""
    for some in slabs(total.shape):
        other = part[some, ...]
        before = total[some, ...] if first is None else first[some, ...] * first[some, ...]
        squares = other * other + before
        total[some, ...] = backend.xp.sqrt(squares) if last else squares


# --- statistics of a region, the sweep ----------------------------------------------------------------------------


def sums(backend: Backend, values: Array, region: Array) -> Float64:
    """Return number, sum and sum of squares of the values in a region, shape (1, 3)."""
    xp, found = backend.xp, []
    for part in slabs(values.shape):
        inside = xp.asarray(region[part, ...] != 0, dtype=xp.float64)
        chosen = xp.asarray(values[part, ...], dtype=xp.float64) * inside
        found.append(xp.stack([xp.sum(inside), xp.sum(chosen), xp.sum(chosen * chosen)]))
    return fetched_sum(backend, found)


def order_statistic(backend: Backend, values: Array, region: Array, fraction: float) -> float:
    """Return the value of rank ``int(n * fraction)`` of the n ``values`` in a region; 0 where there are none."""
    ordered = backend.xp.sort(values[region != 0])
    count = ordered.shape[0]
    return float(ordered[min(int(count * fraction), count - 1)]) if count else 0.0


def quantile(backend: Backend, values: Array, region: Array, fraction: float) -> float:
    """Return the quantile (Hazen's) of the ``values`` in a region that is not empty."""
    ordered = backend.xp.sort(values[region])
    return between_ranks(lambda ranks: [float(ordered[rank]) for rank in ranks], ordered.shape[0], fraction)


def test(
    backend: Backend, state: Array, level: Array, amplitude: Array, threshold: FloatArray, index: int
) -> npt.NDArray[np.int64]:
    """Test one frequency of a sweep in place; return how many voxels passed, finished, and never passed."""
    xp, counts = backend.xp, []
    limit = backend.asarray(threshold[None, :, :])
    for part in slabs(state.shape):
        before, last = state[part, ...], level[part, ...]
        passed = (before != 0) & (amplitude[part, ...] > limit)
        failed = (before == 1) & ~passed
        finished = (before == 2) & ~passed
        never = finished & (last < 0)
        # Levels are 0 at least where a voxel has passed, or has finished without.
        level[part, ...] = xp.where(passed, index + 0 * last, xp.where(never, 0 * last, last))
        state[part, ...] = xp.asarray(passed, dtype=xp.uint8) + 2 * xp.asarray(failed, dtype=xp.uint8)
        counts.append(xp.stack([xp.sum(xp.asarray(found, dtype=xp.int64)) for found in (passed, finished, never)]))
    return fetched_sum(backend, counts)


def fetched_sum(backend: Backend, parts: List[Array]) -> npt.NDArray[Any]:
    """Return the sum of small arrays as one row of numpy's: fetched together, for to fetch waits for the device."""
    fetched: npt.NDArray[Any] = backend.to_host(backend.xp.sum(backend.xp.stack(parts), axis=0))[None, :]
    return fetched
