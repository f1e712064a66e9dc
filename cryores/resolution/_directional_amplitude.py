"""The local strength of a map's waves along one direction: amplitudes of the frequencies in a cone, above a frequency.

MonoDir measures the monogenic amplitude ``sqrt(f^2 + |Riesz f|^2)`` of a map f that holds only frequencies within 15
degrees of an axis n. There the Riesz transform has hardly a component across n, and along n it is the Hilbert
transform: the amplitude is that of the analytic signal, twice the half of the cone on the side of n. That half is one
small block of the spectrum. Moved to zero frequency, which leaves the amplitude as it is, it is transformed on a grid
with just the voxels that the amplitude needs: one transform of a fifth of the box in place of four of the whole. No
line that is 0, or not asked for, is transformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.backend import HOST, Array, Backend, backend_of, kernel
from cryores.fourier import Complex, Float64, frequency_axes
from cryores.monogenic import Edges
from cryores.volume import FloatArray, Grid, IntTriple

Indices = npt.NDArray[np.int32]
Box = Tuple[slice, slice, slice]

HALF_ANGLE = np.radians(15.0)
"""Half the opening of a cone: the 81 cones together hold all of the spectrum, each coefficient 2.8 times."""

ROOM = 1.25
"""Voxels of a modulus, relative to those that would hold its square: the square root has a tail beyond."""

NYQUIST = 0.5
"""Digital frequency up to which a cone reaches. Corners of the spectrum hold more, but only along some axes."""


@dataclass(frozen=True)
class Cone:
    """The coefficients of a map on one side of a double cone, by rising frequency.

    Parameters
    ----------
    index : ndarray of int32, shape (n, 3)
        Signed indices (z, y, x) in the spectrum of the whole box.
    value : ndarray of complex64, shape (n,)
        Coefficients, of the map whose first voxel is its voxel n // 2: coarser grids over the box then lie on both
        sides of the centre alike, and turning the map by 90 degrees about it turns all that is computed.
    frequency : ndarray of float32, shape (n,)
        Digital frequencies, up to 0.5.
    """

    index: Indices
    value: Complex
    frequency: FloatArray

    def strength(self, band: Edges) -> float:
        """Return the root mean square, over the box, of the amplitude of what ``band`` passes, times its voxels."""
        gain = band.response(self.frequency.astype(np.float64))
        return 2.0 * float(np.sqrt(np.sum((gain * np.abs(self.value)) ** 2)))

    def block(self, band: Edges, scale: float) -> Optional[Complex]:
        """Return the smallest block with all that ``band`` passes, filtered and times ``scale``; None without any."""
        first, last = np.searchsorted(self.frequency, (band.rise[0], band.fall[1]), side="right")
        index, frequency = self.index[first:last], self.frequency[first:last]
        if len(index) == 0:
            return None
        gain = (scale * band.response(frequency.astype(np.float64))).astype(np.float32)
        lowest = index.min(axis=0)
        block = np.zeros(tuple(index.max(axis=0) - lowest + 1), dtype=np.complex64)
        _place(block, index, lowest, self.value[first:last], gain)
        return block


def cone_about(axis: Float64, spectrum: Array, grid: Grid, half_angle: float = HALF_ANGLE) -> Any:
    """Return the coefficients of ``spectrum`` within ``half_angle`` (radians) of the unit vector ``axis`` (z, y, x).

    It is a `Cone`; where the spectrum lies on a GPU, one with the same two methods that keeps them in a block.
    """
    return _cone_of(spectrum, np.asarray(axis, dtype=np.float64), grid, half_angle)


@kernel
def _cone_of(spectrum: Complex, axis: Float64, grid: Grid, half_angle: float) -> Cone:
    axes = [frequencies * grid.spacing for frequencies in frequency_axes(grid.shape, grid.voxel_size)]
    arguments = (*axes, axis, np.cos(half_angle), np.array(grid.shape))
    size = _gather(spectrum, *arguments, *_empty_cone(0), True)
    index, value, frequency = _empty_cone(size)
    _gather(spectrum, *arguments, index, value, frequency, False)
    order = np.argsort(frequency, kind="stable")
    index = index[order]
    turns = index @ np.array([n // 2 / n for n in grid.shape])
    moved: Complex = (value[order] * np.exp(2j * np.pi * turns)).astype(np.complex64)
    return Cone(index, moved, frequency[order])


def _empty_cone(size: int) -> Tuple[Indices, Complex, FloatArray]:
    return np.empty((size, 3), np.int32), np.empty(size, np.complex64), np.empty(size, np.float32)


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _gather(spectrum, uz, uy, ux, axis, least_cosine, shape, index, value, frequency, count_only):  # type: ignore[no-untyped-def]
    found = 0
    for z in range(uz.size):
        for y in range(uy.size):
            for x in range(ux.size):
                # A frequency of the Nyquist plane is its own mirror image: it lies on no side.
                if 2 * z == shape[0] or 2 * y == shape[1] or 2 * x == shape[2]:
                    continue
                u2 = uz[z] * uz[z] + uy[y] * uy[y] + ux[x] * ux[x]
                if u2 == 0 or u2 > NYQUIST * NYQUIST:
                    continue
                along = uz[z] * axis[0] + uy[y] * axis[1] + ux[x] * axis[2]
                # The other half of the spectrum mirrors this one, but for the plane x = 0, which is whole.
                if along * along < least_cosine * least_cosine * u2 or (x == 0 and along < 0):
                    continue
                if not count_only:
                    side = 1 if along > 0 else -1
                    index[found, 0] = side * (z if 2 * z < shape[0] else z - shape[0])
                    index[found, 1] = side * (y if 2 * y < shape[1] else y - shape[1])
                    index[found, 2] = side * x
                    value[found] = spectrum[z, y, x] if side > 0 else np.conj(spectrum[z, y, x])
                    frequency[found] = np.sqrt(u2)
                found += 1
    return found


class Amplitude(NamedTuple):
    """The spectrum of a smoothed amplitude: what its low-pass leaves, and the coarse grid over the box that holds it.

    Both start at the voxel n // 2 of the box. Rows of ``spectrum`` along z and y are those of the frequencies 0, 1, ...
    K, -K, ... -1, columns 0, 1, ... K.
    """

    spectrum: Array
    shape: IntTriple


class DirectionalAmplitude:
    """Smoothed amplitudes along directions on one grid.

    Parameters
    ----------
    grid : Grid
        The grid of the map.
    rim : float
        Radius in Å of the sphere beyond which amplitudes are 0.
    fall : float
        Å inside it over which they fall, so that the low-pass brings nothing across the faces of the box.
    backend : Backend
        Where the cones lie.
    """

    def __init__(self, grid: Grid, rim: float, fall: float, backend: Backend = HOST) -> None:
        self.grid = grid
        self._rim, self._fall, self._backend = rim, fall, backend

    def of(self, cone: Any, band: Edges, smooth: Edges) -> Amplitude:
        """Return the amplitude of the coefficients of ``cone`` that ``band`` passes, smoothed.

        Parameters
        ----------
        cone : Cone
            Coefficients along one direction.
        band : Edges
            The filter of the map, in digital frequency.
        smooth : Edges
            The low-pass of the amplitude.
        """
        block = cone.block(band, 2.0 / self.grid.size)
        if block is None:
            return Amplitude(self._backend.zeros((1, 1, 1), np.complex64), (1, 1, 1))
        shape = self._shape_for(block.shape, smooth.reach)
        distances = self._squared_distances(shape)
        amplitude = _tapered_modulus(_inverse(block, shape), *distances, self._rim, self._fall)
        return Amplitude(self._smoothed(amplitude, smooth), shape)

    def inside(self, amplitude: Amplitude, box: Box) -> Array:
        """Return the amplitude in the voxels of ``box``, slices (z, y, x) of the grid."""
        ends = [part.indices(n)[:2] for n, part in zip(self.grid.shape, box)]
        shift = [first - n // 2 for n, (first, _) in zip(self.grid.shape, ends)]
        lengths = [last - first for first, last in ends]
        return _synthesis(_moved(amplitude.spectrum, shift, self.grid.shape), self.grid.shape, lengths)

    def coarse(self, amplitude: Amplitude) -> Array:
        """Return the amplitude on the coarsest grid that holds it: the same box, from the voxel n // 2 on."""
        return _synthesis(amplitude.spectrum, amplitude.shape, amplitude.shape)

    def _shape_for(self, width: Sequence[int], reach: float) -> IntTriple:
        """Return the voxels on which an amplitude of a block ``width`` wide is true up to the frequency ``reach``.

        The square of the modulus is twice as wide as the block, and its root a little more. What does not fit folds
        back, and may do so down to ``reach``, beyond which it is filtered away.
        """
        shape = []
        for wide, edge, whole in zip(width, self.grid.extent, self.grid.shape):
            last = int(np.ceil(reach * edge / self.grid.spacing))
            needed = min(wide + last, int(ROOM * 2 * wide)) + 1
            shape.append(min(scipy.fft.next_fast_len(needed), max(whole, wide)))
        return (shape[0], shape[1], shape[2])

    def _squared_distances(self, shape: IntTriple) -> Tuple[Float64, Float64, Float64]:
        """Return the squared distances (Å²) along z, y and x of the voxels of ``shape`` from the voxel n // 2."""
        z, y, x = ((np.fft.fftfreq(n) * edge) ** 2 for n, edge in zip(shape, self.grid.extent))
        return z, y, x

    def _smoothed(self, amplitude: Array, smooth: Edges) -> Array:
        """Return the spectrum of ``amplitude`` over its voxels, times the low-pass, where that is not 0."""
        ends = [
            min(int(smooth.reach * edge / self.grid.spacing), (min(n, whole) - 1) // 2)
            for n, whole, edge in zip(amplitude.shape, self.grid.shape, self.grid.extent)
        ]
        spectrum = _spectrum_within(amplitude, ends)
        z, y, x = (
            np.roll(np.arange(-end, end + 1), -end) * (self.grid.spacing / edge)
            for end, edge in zip(ends, self.grid.extent)
        )
        _low_pass(spectrum, z, y, x[: ends[2] + 1], *smooth.fall)
        return spectrum


@kernel
def _inverse(block: Complex, shape: IntTriple) -> Complex:
    """Return the unnormalised inverse transform on ``shape`` of a spectrum that is 0 beyond ``block``."""
    for axis, n in enumerate(shape):
        block = scipy.fft.ifft(block, n, axis=axis, norm="forward", overwrite_x=True)
    return block


@kernel
def _spectrum_within(amplitude: FloatArray, ends: Sequence[int]) -> Complex:
    """Return the spectrum of ``amplitude`` over its voxels, its frequencies up to ``ends`` along z, y and x."""
    spectrum = scipy.fft.rfft(amplitude, axis=2, norm="forward")[:, :, : ends[2] + 1]
    spectrum = _rows(scipy.fft.fft(spectrum, axis=1, norm="forward"), 1, ends[1])
    return _rows(scipy.fft.fft(spectrum, axis=0, norm="forward"), 0, ends[0])


def _moved(spectrum: Array, shift: Sequence[int], shape: IntTriple) -> Array:
    """Return the spectrum, laid out as that of an `Amplitude`, of the array that starts at the voxel ``shift``."""
    ends = [spectrum.shape[0] // 2, spectrum.shape[1] // 2, spectrum.shape[2] - 1]
    z, y, x = (
        np.exp(2j * np.pi * ((np.roll(np.arange(-end, end + 1), -end) * by) % n / n)).astype(np.complex64)
        for end, by, n in zip(ends, shift, shape)
    )
    there = backend_of(spectrum)
    return spectrum * there.asarray(z[:, None, None]) * there.asarray((y[:, None] * x[: ends[2] + 1])[None, ...])


@kernel
def _synthesis(spectrum: Complex, shape: IntTriple, lengths: Sequence[int]) -> FloatArray:
    """Return the first voxels (``lengths`` along z, y, x) of the array of ``shape`` with this spectrum.

    No line beyond them is transformed.
    """
    z, y, x = lengths
    part = scipy.fft.ifft(_with_rows(spectrum, 0, shape[0]), axis=0, norm="forward", overwrite_x=True)[:z]
    part = scipy.fft.ifft(_with_rows(part, 1, shape[1]), axis=1, norm="forward", overwrite_x=True)[:, :y]
    values: FloatArray = scipy.fft.irfft(part, shape[2], axis=2, norm="forward")
    return np.ascontiguousarray(values[:, :, :x])


def _rows(spectrum: Complex, axis: int, end: int) -> Complex:
    """Return the rows of the frequencies 0 to ``end`` and -``end`` to -1 along ``axis``."""
    # Slices: to take a list of rows would hold up the other directions, which are swept in threads.
    moved = np.moveaxis(spectrum, axis, 0)
    kept: Complex = np.moveaxis(np.concatenate([moved[: end + 1], moved[len(moved) - end :]]), 0, axis)
    return kept


def _with_rows(spectrum: Complex, axis: int, n: int) -> Complex:
    """Undo `_rows`: return ``n`` rows, those of other frequencies 0."""
    end = spectrum.shape[axis] // 2
    shape = list(spectrum.shape)
    shape[axis] = n
    out = np.zeros(shape, dtype=np.complex64)
    moved, given = np.moveaxis(out, axis, 0), np.moveaxis(spectrum, axis, 0)
    moved[: end + 1] = given[: end + 1]
    moved[n - end :] = given[end + 1 :]
    return out


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _place(block, index, lowest, value, gain):  # type: ignore[no-untyped-def]
    for i in range(value.size):
        block[index[i, 0] - lowest[0], index[i, 1] - lowest[1], index[i, 2] - lowest[2]] = value[i] * gain[i]


@kernel
@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _tapered_modulus(analytic, z2, y2, x2, rim, fall):  # type: ignore[no-untyped-def]
    amplitude = np.empty(analytic.shape, dtype=np.float32)
    inner = (rim - fall) * (rim - fall)
    for z in range(z2.size):
        for y in range(y2.size):
            for x in range(x2.size):
                r2 = z2[z] + y2[y] + x2[x]
                if r2 >= rim * rim:
                    amplitude[z, y, x] = 0
                    continue
                a = analytic[z, y, x]
                modulus = np.sqrt(a.real * a.real + a.imag * a.imag)
                if r2 > inner:
                    modulus *= np.float32(0.5 + 0.5 * np.cos(np.pi * (np.sqrt(r2) - rim + fall) / fall))
                amplitude[z, y, x] = modulus
    return amplitude


@kernel
@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _low_pass(spectrum, uz, uy, ux, start, end):  # type: ignore[no-untyped-def]
    for z in range(uz.size):
        for y in range(uy.size):
            for x in range(ux.size):
                u = np.sqrt(uz[z] * uz[z] + uy[y] * uy[y] + ux[x] * ux[x])
                if u > end:
                    spectrum[z, y, x] = 0
                elif u > start:
                    spectrum[z, y, x] *= np.float32(0.5 + 0.5 * np.cos(np.pi * (u - start) / (end - start)))
