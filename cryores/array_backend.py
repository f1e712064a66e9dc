"""Computing on arrays of any namespace of the array-API standard: of CuPy's on a GPU, of a strict stand-in in tests.

Below the backend, in `cryores.array_banks` and in `cryores.array_directions` stand the array forms of the kernels
(`cryores.backend.kernel`): each has the name, the arguments and the values of the loop that it stands for, and the
backend before them. They use what CuPy, numpy and the standard spell alike, and work on a slab of z-planes at a time:
what an expression holds for a moment does not grow with the box. Frequencies, tables and thresholds are small, and come
as arrays of numpy's.
"""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import numpy as np
import numpy.typing as npt

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
    free : callable
        Returns the bytes that the device can give now.
    """

    def __init__(
        self,
        name: str,
        xp: Any,
        put: Callable[[Host], Array],
        get: Callable[[Array], Host],
        free: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.name = name
        self.xp = xp
        self.put, self.to_host, self.free_bytes = put, get, free
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


class ArrayFFT:
    """Real FFTs of one shape on a device: what `cryores.fourier.RealFFT` is on the host."""

    def __init__(self, backend: ArrayBackend, shape: IntTriple) -> None:
        self.shape = shape
        self.scale = 1.0 / float(np.prod(shape, dtype=np.float64))
        self._backend = backend

    def empty_real(self) -> Array:
        """Return a float32 array of the real shape."""
        return self._backend.put(np.zeros(self.shape, dtype=np.float32))

    def empty_spectrum(self) -> Array:
        """Return a complex64 array of the spectrum's shape."""
        return self._backend.put(np.zeros(spectrum_shape(self.shape), dtype=np.complex64))

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


# --- shells -------------------------------------------------------------------------------------------------------


def shell_sums(
    backend: Backend, f1: Array, f2: Array, sz: Host, sy: Host, sx: Host, weights: Host, per_width: float, shells: int
) -> Float64:
    """Return the sums of Re(F1 F2*), |F1|^2, |F2|^2 and 1 over shells, weighted, shape (1, shells, 4)."""
    xp, sums = backend.xp, np.zeros((1, shells, 4))
    counted = backend.asarray(weights[None, None, :])
    for part in slabs(f1.shape):
        (ar, ai), (br, bi) = (_parts(xp, f[part, ...]) for f in (f1, f2))
        number = _shell_numbers(backend, sz[part], sy, sx, per_width)
        quantities = [ar * br + ai * bi, ar * ar + ai * ai, br * br + bi * bi, xp.ones_like(ar)]
        sums[0] += _summed(backend, number, [counted * quantity for quantity in quantities], shells)
    return sums


def phase_sums(
    backend: Backend, f1: Array, f2: Array, sz: Host, sy: Host, sx: Host, weights: Host, per_width: float, shells: int
) -> Float64:
    """Return the sums over shells of the squared phase differences times their power, and of the power."""
    xp, sums = backend.xp, np.zeros((1, shells, 2))
    counted = backend.asarray(weights[None, None, :])
    for part in slabs(f1.shape):
        (ar, ai), (br, bi) = (_parts(xp, f[part, ...]) for f in (f1, f2))
        angle = backend.arctan2(ai * br - ar * bi, ar * br + ai * bi)  # type: ignore[attr-defined]
        power = counted * (ar * ar + ai * ai + br * br + bi * bi)
        number = _shell_numbers(backend, sz[part], sy, sx, per_width)
        sums[0] += _summed(backend, number, [power * angle * angle, power], shells)
    return sums


def _parts(xp: Any, spectrum: Array) -> Tuple[Array, Array]:
    return xp.asarray(xp.real(spectrum), dtype=xp.float64), xp.asarray(xp.imag(spectrum), dtype=xp.float64)


def squared(backend: Backend, sz: Host, sy: Host, sx: Host) -> Array:
    """Return |s|^2 of every coefficient, in the precision of the axes."""
    rows = (sz * sz)[:, None, None] + (sy * sy)[None, :, None]
    return backend.asarray(rows) + backend.asarray((sx * sx)[None, None, :])


def _shell_numbers(backend: Backend, sz: Host, sy: Host, sx: Host, per_width: float) -> Array:
    xp = backend.xp
    return xp.asarray(xp.sqrt(squared(backend, sz, sy, sx)) * per_width + HALF_SHELL, dtype=xp.int32)


def _summed(backend: Backend, number: Array, quantities: List[Array], shells: int) -> Float64:
    """Return the sum of each quantity over each shell, shape (shells, quantities).

    Coefficients are put in the order of their shells, and each shell is summed by itself: the order of the sums, and so
    their rounding, is always the same, which it is not where threads add to one histogram.
    """
    xp = backend.xp
    number = xp.reshape(number, (-1,))
    order = xp.argsort(number)
    starts = xp.searchsorted(xp.take(number, order), backend.asarray(np.arange(shells + 1, dtype=np.int32)))
    edges = backend.to_host(starts).tolist()
    # One quantity after the other, for memory.
    columns = []
    for quantity in quantities:
        ordered = xp.take(xp.reshape(quantity, (-1,)), order)
        columns.append(xp.stack([xp.sum(ordered[a:b]) for a, b in zip(edges[:-1], edges[1:])]))
    found: Float64 = backend.to_host(xp.stack(columns, axis=1))
    return found


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
        along = backend.asarray(az[part, None, None] + ay[None, :, None]) + backend.asarray(ax[None, None, :columns])
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
    for some in slabs(total.shape):
        one, other = total[some, ...], part[some, ...]
        total[some, ...] = one * one + other * other


def next_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``."""
    for some in slabs(total.shape):
        other = part[some, ...]
        total[some, ...] = total[some, ...] + other * other


def last_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``, and take the root."""
    for some in slabs(total.shape):
        other = part[some, ...]
        total[some, ...] = backend.xp.sqrt(total[some, ...] + other * other)


# --- statistics of a region, the sweep ----------------------------------------------------------------------------


def sums(backend: Backend, values: Array, region: Array) -> Float64:
    """Return number, sum and sum of squares of the values in a region, shape (1, 3)."""
    xp, found = backend.xp, np.zeros((1, 3))
    for part in slabs(values.shape):
        inside = region[part, ...] != 0
        chosen = xp.asarray(values[part, ...], dtype=xp.float64) * xp.asarray(inside, dtype=xp.float64)
        found[0] += _count(xp, inside), float(xp.sum(chosen)), float(xp.sum(chosen * chosen))
    return found


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
    xp, counts = backend.xp, np.zeros((1, 3), dtype=np.int64)
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
        counts[0] += _count(xp, passed), _count(xp, finished), _count(xp, never)
    return counts


def _count(xp: Any, found: Array) -> int:
    return int(xp.sum(xp.asarray(found, dtype=xp.int32), dtype=xp.int64))
