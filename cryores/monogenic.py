"""The monogenic signal and what MonoRes, MonoDir and MonoTomo share: amplitudes, noise statistics, the sweep.

The monogenic amplitude of a filtered map f is ``sqrt(f^2 + sum_j (R_j f)^2)``, with the Riesz transforms
``R_j = -i s_j / |s|`` (Felsberg & Sommer 2001): the local strength of the signal, free of its phase.

Frequencies that steer filters are *digital*: ``u = |s| * (largest voxel size)``, in cycles per voxel, so that 0.5 is
Nyquist along the coarsest axis. Each axis keeps its own frequencies: boxes need not be cubic nor voxels equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Callable, List, NamedTuple, Optional, Tuple, Union

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import HOST, Array, Backend, backend_of, kernel
from cryores.fourier import Float64, frequency_axes
from cryores.volume import BoolArray, FloatArray, Grid, IntTriple

TABLE_STEPS = 2**17
"""Points of a filter's table per unit of u^2: linear interpolation is then good to 1e-4 for edges of 0.01."""

Table = Tuple[FloatArray, float]
"""The gains of a filter at multiples of 1/`TABLE_STEPS` in u^2, and the u^2 beyond which they are 0."""


# --- the frequencies of a sweep -----------------------------------------------------------------------------------


def sweep_resolutions(grid: Grid, coarsest: float, finest: float, step: float) -> Float64:
    """List the resolutions (Å) of a sweep from ``coarsest`` to ``finest``, each one a Fourier bin of the box.

    Candidates lie ``step`` Å apart. Each is moved to the nearest bin of the longest edge, and bins met twice count
    once: the list is sparser than the candidates at low frequency. It ends at Nyquist, which belongs to it.

    Returns
    -------
    ndarray of float64
        Strictly decreasing resolutions; empty if no candidate lies within the spectrum.
    """
    edge = max(grid.extent)
    last_bin = min(int(np.floor(edge / grid.nyquist + 1e-6)), int(np.floor(edge / finest + 0.5)))
    candidates = coarsest - step * np.arange(int(np.ceil(coarsest / step)))
    bins = np.floor(edge / candidates[candidates > 0] + 0.5).astype(int)
    resolutions: Float64 = edge / np.unique(bins[(bins >= 1) & (bins <= last_bin)])
    return resolutions


# --- filters ------------------------------------------------------------------------------------------------------


class Edges(NamedTuple):
    """A band with raised-cosine edges, in digital frequency.

    0 up to ``rise[0]``, 1 from ``rise[1]`` to ``fall[0]``, 0 from ``fall[1]`` on. An edge of no width is a step, and
    its frequency passes.
    """

    rise: Tuple[float, float] = (-1.0, -1.0)
    fall: Tuple[float, float] = (np.inf, np.inf)

    def response(self, u: Float64) -> Float64:
        """Return the gain at the digital frequencies ``u``."""
        response: Float64 = _raised_cosine(u, *self.rise) * _raised_cosine(-u, -self.fall[1], -self.fall[0])
        return response

    @property
    def reach(self) -> float:
        """The digital frequency from which on the response is 0."""
        return self.fall[1]


class Blur(NamedTuple):
    """A Gaussian of standard deviation ``sigma``, in voxels."""

    sigma: float

    def response(self, u: Float64) -> Float64:
        """Return the gain at the digital frequencies ``u``."""
        response: Float64 = np.exp(-2.0 * (np.pi * self.sigma * u) ** 2)
        return response

    @property
    def reach(self) -> float:
        """The digital frequency from which on the response is 0: none."""
        return float("inf")


Filter = Union[Edges, Blur]


def high_pass(frequency: float, transition: float) -> Edges:
    """Pass all above ``frequency`` (digital); rise over ``transition`` below it, or from 0 if that is nearer."""
    return Edges(rise=(max(frequency - transition, 0.0), frequency))


def band_pass(frequency: float, transition: float) -> Edges:
    """Pass a band that peaks at ``frequency`` (digital) and falls to 0 over ``transition`` on both sides."""
    return Edges(rise=high_pass(frequency, transition).rise, fall=low_pass(frequency, transition).fall)


def low_pass(frequency: float, transition: float) -> Edges:
    """Pass up to ``frequency`` (digital); fall over ``transition`` above it, or to Nyquist if that is nearer."""
    return Edges(fall=(frequency, max(frequency, min(frequency + transition, 0.5))))


def _raised_cosine(u: Float64, start: float, end: float) -> Float64:
    if not np.isfinite(start) or end <= start:
        return (u >= start).astype(np.float64)
    response: Float64 = 0.5 - 0.5 * np.cos(np.pi * np.clip((u - start) / (end - start), 0.0, 1.0))
    return response


# --- amplitudes ---------------------------------------------------------------------------------------------------


class Monogenic:
    """Monogenic amplitudes on one grid, with planned transforms and fused passes.

    The spectra it is given may be those of a finer grid over the same box (``source``): it reads the frequencies that
    its own grid holds, so that a narrow band costs what its few voxels cost.

    Parameters
    ----------
    grid : Grid
        The grid of the amplitudes.
    threads : int
        Threads of the transforms.
    source : Grid, optional
        The grid of the spectra, whose spacing defines digital frequencies; default, ``grid``.
    effort : str
        FFTW planning effort.
    backend : Backend
        Where it computes, and where its volumes lie.

    Notes
    -----
    It holds two real volumes and one spectrum. What its methods return lies in them, and is valid until the next call;
    `transform` alone returns a new array.
    """

    def __init__(
        self,
        grid: Grid,
        threads: int,
        source: Optional[Grid] = None,
        effort: str = "FFTW_MEASURE",
        backend: Backend = HOST,
    ) -> None:
        self.grid = grid
        self.source = source or grid
        self.backend = backend
        self._fft = backend.real_fft(grid.shape, threads, effort)
        self._total, self._part = self._fft.empty_real(), self._fft.empty_real()
        self._spectrum = self._fft.empty_spectrum()
        self._set_frequencies()

    def _set_frequencies(self) -> None:
        axes = [axis * self.source.spacing for axis in frequency_axes(self.grid.shape, self.grid.voxel_size)]
        self._axes = [axis.astype(np.float32) for axis in axes]
        self._corner = float(sum(np.abs(axis).max() ** 2 for axis in axes))

    @property
    def buffer(self) -> Array:
        """A real volume to fill and give to `transform`."""
        return self._part

    @property
    def scratch(self) -> Array:
        """A real volume to fill and give to `smoothed`."""
        return self._total

    def spare(self) -> Optional[FloatArray]:
        """Give away a contiguous real volume of the host; after that only `smoothed` of `scratch` may be called.

        None if it computes elsewhere.
        """
        return self._part if self.backend is HOST else None

    def transform(self, data: Array) -> Array:
        """Return the spectrum of ``data`` (destroyed) in a new array."""
        return self._fft.forward(data, self._fft.empty_spectrum())

    def amplitude(self, spectrum: Array, band: Edges) -> Array:
        """Return the amplitude of the map whose spectrum on ``source`` is ``spectrum`` (kept), filtered to ``band``."""
        total, part = self._total, self._part
        table = _tabulated(band, self._corner, 1.0 / self.source.size)
        rows = _shared_rows(self.source.shape, self.grid.shape)
        _filter(spectrum, self._spectrum, *rows, *self._axes, *table)
        self._fft.backward(self._spectrum, total)
        for axis, combine in enumerate((_first_energy, _next_energy, _last_energy)):
            _riesz_filter(spectrum, self._spectrum, *rows, *self._axes, *self._along(axis), *table)
            self._fft.backward(self._spectrum, part)
            combine(total, part)
        return total

    def smoothed(self, amplitude: Array, band: Filter) -> Array:
        """Return ``amplitude`` (destroyed) filtered to ``band``."""
        return self._fft.backward(self.smoothed_spectrum(amplitude, band), self._total)

    def smoothed_spectrum(self, amplitude: Array, band: Filter) -> Array:
        """Return the spectrum of `smoothed`, which `synthesis` turns into that map, here or on a finer grid."""
        spectrum = self._fft.forward(amplitude, self._spectrum)
        rows = _shared_rows(self.grid.shape, self.grid.shape)
        _filter(spectrum, spectrum, *rows, *self._axes, *_tabulated(band, self._corner, 1.0 / self.grid.size))
        return spectrum

    def synthesis(self, spectrum: Array, grid: Grid) -> Array:
        """Return here the map that ``spectrum``, the `smoothed_spectrum` of a coarser ``grid``, describes."""
        rows = _shared_rows(grid.shape, self.grid.shape)
        _filter(spectrum, self._spectrum, *rows, *self._axes, *_tabulated(Edges(), self._corner, 1.0))
        return self._fft.backward(self._spectrum, self._total)

    def _along(self, axis: int) -> Tuple[FloatArray, FloatArray, FloatArray]:
        """Return the frequencies along one axis, 0 along the others, and 0 at Nyquist.

        A frequency of the Nyquist plane is its own mirror image, where an odd multiplier can only be 0.
        """
        z, y, x = (
            frequencies.copy() if i == axis else np.zeros_like(frequencies) for i, frequencies in enumerate(self._axes)
        )
        size = self.grid.shape[axis]
        if size % 2 == 0:
            (z, y, x)[axis][size // 2] = 0
        return z, y, x


@lru_cache(maxsize=8)
def _tabulated(band: Filter, corner: float, scale: float) -> Table:
    u2 = np.arange(int(np.ceil(corner * TABLE_STEPS)) + 2) / TABLE_STEPS
    return (band.response(np.sqrt(u2)) * scale).astype(np.float32), min(band.reach**2, 2 * corner)


def _shared_rows(source: IntTriple, target: IntTriple) -> Tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return the z and y rows of a ``source`` spectrum that a ``target`` one takes (-1: none), and how many columns."""
    rows = []
    for have, want in zip(source[:2], target[:2]):
        frequency = np.fft.ifftshift(np.arange(want) - want // 2)
        held = (frequency >= -(have // 2)) & (frequency < have - have // 2)
        rows.append(np.where(held, frequency % have, -1))
    return rows[0], rows[1], min(source[2], target[2]) // 2 + 1


@numba.njit(inline="always")  # type: ignore[misc]
def _gain(table, u2):  # type: ignore[no-untyped-def]
    position = u2 * np.float32(TABLE_STEPS)
    i = int(position)
    return table[i] + (table[i + 1] - table[i]) * (position - np.float32(i))


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _filter(source, out, rows_z, rows_y, columns, uz, uy, ux, table, reach):  # type: ignore[no-untyped-def]
    for z in numba.prange(out.shape[0]):
        for y in range(out.shape[1]):
            u2_zy = uz[z] * uz[z] + uy[y] * uy[y]
            if rows_z[z] < 0 or rows_y[y] < 0 or u2_zy > reach:
                out[z, y, :] = 0
                continue
            row = source[rows_z[z], rows_y[y]]
            for x in range(columns):
                out[z, y, x] = row[x] * _gain(table, u2_zy + ux[x] * ux[x])
            out[z, y, columns:] = 0


@kernel
@numba.njit(parallel=True, cache=True, error_model="numpy")  # type: ignore[misc]
def _riesz_filter(source, out, rows_z, rows_y, columns, uz, uy, ux, az, ay, ax, table, reach):  # type: ignore[no-untyped-def]
    for z in numba.prange(out.shape[0]):
        for y in range(out.shape[1]):
            u2_zy = uz[z] * uz[z] + uy[y] * uy[y]
            if u2_zy > reach:
                out[z, y, :] = 0
                continue
            row = source[rows_z[z], rows_y[y]]
            along = az[z] + ay[y]
            for x in range(columns):
                u2 = u2_zy + ux[x] * ux[x]
                factor = _gain(table, u2) * (along + ax[x]) / np.sqrt(max(u2, np.float32(1e-30)))
                out[z, y, x] = complex(row[x].imag * factor, -row[x].real * factor)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _first_energy(total, part):  # type: ignore[no-untyped-def]
    sum_, next_ = total.reshape(-1), part.reshape(-1)
    for i in numba.prange(sum_.size):
        sum_[i] = sum_[i] * sum_[i] + next_[i] * next_[i]


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _next_energy(total, part):  # type: ignore[no-untyped-def]
    sum_, next_ = total.reshape(-1), part.reshape(-1)
    for i in numba.prange(sum_.size):
        sum_[i] += next_[i] * next_[i]


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _last_energy(total, part):  # type: ignore[no-untyped-def]
    sum_, next_ = total.reshape(-1), part.reshape(-1)
    for i in numba.prange(sum_.size):
        sum_[i] = np.sqrt(sum_[i] + next_[i] * next_[i])


# --- statistics of a region ---------------------------------------------------------------------------------------


class Moments(NamedTuple):
    """Number, mean and variance of the values in a region."""

    number: int
    mean: float
    variance: float


def moments(values: FloatArray, region: npt.NDArray[np.uint8]) -> Moments:
    """Return the moments of ``values`` where ``region``, of the same shape (nz, ny, nx), is not 0."""
    count, total, squares = _sums(values, region).sum(axis=0)
    if count == 0:
        return Moments(0, 0.0, 0.0)
    mean = total / count
    return Moments(int(count), float(mean), float(max(squares / count - mean * mean, 0.0)))


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _sums(values, region):  # type: ignore[no-untyped-def]
    # One accumulator a z-plane: the order of the sums, and so their rounding, does not depend on the threads.
    sums = np.zeros((values.shape[0], 3))
    for z in numba.prange(values.shape[0]):
        count, total, squares = 0, np.float64(0), np.float64(0)
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                if region[z, y, x]:
                    value = np.float64(values[z, y, x])
                    count += 1
                    total += value
                    squares += value * value
        sums[z, 0], sums[z, 1], sums[z, 2] = count, total, squares
    return sums


@kernel
def order_statistic(values: FloatArray, region: npt.NDArray[np.uint8], fraction: float) -> float:
    """Return the value of rank ``int(n * fraction)`` (from 0, ascending) of the n ``values`` where ``region`` is not 0.

    Exact and without a sorted copy: two histograms over the bits of the floats, the upper 16 and then the lower 16.
    """
    upper = np.cumsum(_histogram(values, region, -1))
    count = int(upper[-1])
    return _ranked(values, region, upper, [int(count * fraction)])[0] if count else 0.0


@kernel
def quantile(values: FloatArray, region: BoolArray, fraction: float) -> float:
    """Return the quantile of the ``values`` where ``region`` is true, between its neighbours in rank (Hazen's).

    It is `numpy.quantile` with ``method="hazen"``, without a copy. ``region`` must not be empty.
    """
    inside = region.view(np.uint8)
    upper = np.cumsum(_histogram(values, inside, -1))
    return between_ranks(lambda ranks: _ranked(values, inside, upper, ranks), int(upper[-1]), fraction)


def between_ranks(values_of: Callable[[List[int]], List[float]], count: int, fraction: float) -> float:
    """Return Hazen's quantile of ``count`` values, of which ``values_of`` returns those of some ranks."""
    rank = min(max(count * fraction - 0.5, 0.0), count - 1.0)
    below, above = values_of([int(np.floor(rank)), int(np.ceil(rank))])
    return float(below + (above - below) * (rank - np.floor(rank)))


def _ranked(
    values: FloatArray, region: npt.NDArray[np.uint8], upper: npt.NDArray[np.int64], ranks: List[int]
) -> List[float]:
    """Return the values of ``ranks``, ascending; ``upper`` is the cumulative histogram over the upper 16 bits."""
    found: List[float] = []
    cumulated, previous = upper, -1
    for rank in (min(rank, int(upper[-1]) - 1) for rank in ranks):
        high = int(np.searchsorted(upper, rank, side="right"))
        if high != previous:
            cumulated, previous = np.cumsum(_histogram(values, region, high)), high
        low = int(np.searchsorted(cumulated, rank - (int(upper[high - 1]) if high else 0), side="right"))
        key = np.uint32(high << 16 | low)
        bits = key ^ np.uint32(0x80000000) if key & np.uint32(0x80000000) else ~key
        found.append(float(np.array([bits], dtype=np.uint32).view(np.float32)[0]))
    return found


def _histogram(values: FloatArray, region: npt.NDArray[np.uint8], high: int) -> npt.NDArray[np.int64]:
    chunks = _count_keys(values.view(np.uint32), region, high, 16)
    counts: npt.NDArray[np.int64] = chunks.sum(axis=0, dtype=np.int64)
    return counts


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _count_keys(bits, region, high, chunks):  # type: ignore[no-untyped-def]
    # Keys order as the floats do: the sign bit flipped for positive ones, every bit for negative ones.
    counts = np.zeros((chunks, 65536), dtype=np.int32)
    for chunk in numba.prange(chunks):
        for z in range(chunk, bits.shape[0], chunks):
            for y in range(bits.shape[1]):
                for x in range(bits.shape[2]):
                    if region[z, y, x]:
                        b = bits[z, y, x]
                        key = ~b if b >> np.uint32(31) else b ^ np.uint32(0x80000000)
                        if high < 0:
                            counts[chunk, key >> np.uint32(16)] += 1
                        elif key >> np.uint32(16) == high:
                            counts[chunk, key & np.uint32(0xFFFF)] += 1
    return counts


# --- the sweep ----------------------------------------------------------------------------------------------------


class Sweep:
    """Which voxels are still tested, and the last frequency that each has passed.

    A voxel that fails two frequencies in a row is finished, and keeps the last one that it passed; if it never passed
    any it gets the first of the list.

    Parameters
    ----------
    active : array of bool, shape (nz, ny, nx)
        The voxels to test; they are tested where it lies.

    Attributes
    ----------
    state : array of uint8
        0 not tested or finished, 1 active, 2 active and failed the last test.
    level : array of int16
        Index of the last frequency passed, -1 where there is none.
    active : int
        Number of voxels still tested.
    never_passed : int
        Number of voxels that finished without passing any test.
    """

    def __init__(self, active: Array) -> None:
        xp = backend_of(active).xp
        self.state = xp.asarray(active, dtype=xp.uint8)
        self.level = xp.full_like(self.state, -1, dtype=xp.int16)
        self.active = int(xp.sum(self.state))
        self.never_passed = 0

    def test(self, index: int, amplitude: Array, threshold: npt.ArrayLike) -> int:
        """Test frequency ``index``: a voxel passes if its amplitude is above the threshold; return how many do.

        ``threshold`` is one number, or a map of shape (ny, nx) that holds for every z.
        """
        limits = np.ascontiguousarray(np.broadcast_to(np.asarray(threshold, dtype=np.float32), amplitude.shape[1:]))
        passed, finished, never = _test(self.state, self.level, amplitude, limits, index).sum(axis=0)
        self.active -= int(finished)
        self.never_passed += int(never)
        return int(passed)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _test(state, level, amplitude, threshold, index):  # type: ignore[no-untyped-def]
    counts = np.zeros((state.shape[0], 3), dtype=np.int64)
    for z in numba.prange(state.shape[0]):
        passed, finished, never = 0, 0, 0
        for y in range(state.shape[1]):
            for x in range(state.shape[2]):
                if state[z, y, x] == 0:
                    continue
                if amplitude[z, y, x] > threshold[y, x]:
                    state[z, y, x] = 1
                    level[z, y, x] = index
                    passed += 1
                elif state[z, y, x] == 1:
                    state[z, y, x] = 2
                else:
                    state[z, y, x] = 0
                    finished += 1
                    if level[z, y, x] < 0:
                        level[z, y, x] = 0
                        never += 1
        counts[z, 0], counts[z, 1], counts[z, 2] = passed, finished, never
    return counts
