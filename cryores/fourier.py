"""The one Fourier convention of cryores: frequency axes, transforms, shells, radial filters.

* Spectra are real FFTs of (z, y, x) arrays: shape (nz, ny, nx // 2 + 1), zero frequency at [0, 0, 0].
* Frequencies s are in 1/Å, each axis with its own length, so that boxes need not be cubic nor voxels equal.
* A spectrum stores half of the coefficients. In sums each counts ``hermitian weight`` times: once on the planes
  kx = 0 and (nx even) kx = nx / 2, twice elsewhere. With these weights shells do not depend on the order of the axes.
* Shell i holds the frequencies with round(s / width) = i, width = 1 / (longest edge of the box); shells end at Nyquist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

import cryores.openmp  # noqa: F401  before numba or FFTW start a thread
from cryores.backend import kernel
from cryores.volume import FloatArray, Grid, IntTriple, Triple

Complex = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]

HALF_SHELL = 0.5 + 1e-6
"""Added before a shell number is cut to a whole one: frequencies midway between two shells, which boxes that are not
cubic have, then go up whatever the rounding, so that shells do not depend on the order of the axes."""

RADIAL_TABLE_STEPS = 8
"""Points of a radial filter's table per shell; between them the filter is interpolated linearly."""


PLANNING_256 = 2.5
PLANNING_LEAST = 0.25
"""Seconds that planning a transform may take at 256^3, in proportion at other sizes, and at least: on a busy machine
FFTW would otherwise measure for minutes."""


# --- frequencies --------------------------------------------------------------------------------------------------


def frequency_axes(shape: IntTriple, voxel_size: Triple) -> Tuple[Float64, Float64, Float64]:
    """Return the frequencies (1/Å) of a real FFT along z, y (negative in the upper half) and x (0 to Nyquist)."""
    nz, ny, nx = shape
    vz, vy, vx = voxel_size
    return np.fft.fftfreq(nz, vz), np.fft.fftfreq(ny, vy), np.fft.rfftfreq(nx, vx)


def spectrum_shape(shape: IntTriple) -> IntTriple:
    """Return the shape of the real FFT of an array of ``shape``."""
    return (shape[0], shape[1], shape[2] // 2 + 1)


def hermitian_weights(nx: int) -> Float64:
    """Return how often each kx plane of a real FFT of nx columns counts in sums over the full spectrum."""
    weights = np.full(nx // 2 + 1, 2.0)
    weights[0] = 1.0
    if nx % 2 == 0:
        weights[-1] = 1.0
    return weights


def shell_width(grid: Grid) -> float:
    """Return the width of a shell in 1/Å: one over the longest edge of the box."""
    return 1.0 / max(grid.extent)


def shell_frequencies(grid: Grid) -> Float64:
    """Return the centres (1/Å) of the shells from 0 up to Nyquist."""
    width = shell_width(grid)
    count = int(np.floor(1.0 / grid.nyquist / width + 1e-6)) + 1
    return np.arange(count) * width


# --- transforms ---------------------------------------------------------------------------------------------------


@kernel
def rfft(data: FloatArray, threads: int) -> Complex:
    """Return the real FFT of a float32 array as complex64 (unnormalised), for a transform done once or twice."""
    result: Complex = scipy.fft.rfftn(data, workers=threads)
    return result


@kernel
def irfft(spectrum: Complex, shape: IntTriple, threads: int, destroy: bool = False) -> FloatArray:
    """Return the float32 array of ``shape`` whose `rfft` is ``spectrum`` (divides by the number of voxels).

    With ``destroy`` the spectrum is used up, which saves the memory of a copy.
    """
    result: FloatArray
    if destroy:
        spectrum = scipy.fft.ifftn(spectrum, axes=(0, 1), workers=threads, overwrite_x=True)
        result = scipy.fft.irfft(spectrum, shape[2], axis=2, workers=threads)
    else:
        result = scipy.fft.irfftn(spectrum, s=shape, workers=threads)
    return result


@kernel
def irfft_inside(spectrum: Complex, shape: IntTriple, part: Tuple[slice, slice, slice], threads: int) -> FloatArray:
    """Return ``part`` of the array of ``shape`` whose `rfft` is ``spectrum`` (used up): less work the smaller it is.

    Columns of the spectrum that are not given, the highest, are zero.
    """
    spectrum = scipy.fft.ifft(spectrum, axis=0, workers=threads, overwrite_x=True)[part[0]]
    spectrum = scipy.fft.ifft(spectrum, axis=1, workers=threads, overwrite_x=True)[:, part[1]]
    result: FloatArray = scipy.fft.irfft(spectrum, shape[2], axis=2, workers=threads)[:, :, part[2]]
    return result


def _is_smooth(shape: IntTriple) -> bool:
    """Tell whether every edge has small prime factors; others take FFTW minutes to measure, for nothing."""
    return all(scipy.fft.next_fast_len(n, real=False) == n for n in shape)


class RealFFT:
    """Planned real FFTs of one shape, for loops: about three times faster than `rfft` once the plan is made.

    Arrays must come from `empty_real` and `empty_spectrum` (they are aligned). Neither direction normalises:
    ``backward(forward(a)) == a / scale``. ``backward`` destroys its input. The first arrays given out are those that
    were planned on: a plan holds no memory of its own.

    Parameters
    ----------
    shape : tuple of int
        Shape of the real arrays.
    threads : int
        Threads of each transform.
    effort : str
        FFTW planning effort, cut short in proportion to the size.
    """

    def __init__(self, shape: IntTriple, threads: int, effort: str = "FFTW_MEASURE") -> None:
        import pyfftw

        self.shape = shape
        self.scale = 1.0 / float(np.prod(shape, dtype=np.float64))
        self._pyfftw = pyfftw
        self._reals: List[FloatArray] = []
        self._spectra: List[Complex] = []
        real, spectrum = self.empty_real(), self.empty_spectrum()
        options = {
            "axes": (0, 1, 2),
            "threads": threads,
            "flags": (effort if _is_smooth(shape) else "FFTW_ESTIMATE", "FFTW_DESTROY_INPUT"),
            "planning_timelimit": max(PLANNING_LEAST, PLANNING_256 * real.size / 256**3),
        }
        self._forward = pyfftw.FFTW(real, spectrum, direction="FFTW_FORWARD", **options)
        self._backward = pyfftw.FFTW(spectrum, real, direction="FFTW_BACKWARD", **options)
        self._reals.append(real)
        self._spectra.append(spectrum)

    def empty_real(self) -> FloatArray:
        """Return an uninitialised aligned float32 array of the real shape."""
        if self._reals:
            return self._reals.pop()
        array: FloatArray = self._pyfftw.empty_aligned(self.shape, dtype="float32")
        return array

    def empty_spectrum(self) -> Complex:
        """Return an uninitialised aligned complex64 array of the spectrum's shape."""
        if self._spectra:
            return self._spectra.pop()
        array: Complex = self._pyfftw.empty_aligned(spectrum_shape(self.shape), dtype="complex64")
        return array

    def forward(self, real: FloatArray, out: Complex) -> Complex:
        """Transform ``real`` (destroyed) into ``out``, unnormalised."""
        self._forward.update_arrays(real, out)
        self._forward.execute()
        return out

    def backward(self, spectrum: Complex, out: FloatArray) -> FloatArray:
        """Transform ``spectrum`` (destroyed) into ``out``, unnormalised: multiply by ``scale`` to invert `forward`."""
        self._backward.update_arrays(spectrum, out)
        self._backward.execute()
        return out


class InnerInverse:
    """Planned inverse of `RealFFT` for voxels at least ``margin`` from every face: the same numbers, less work.

    After each axis what lies in the margin is left out of the next; rows in the margin stay as they are.

    Parameters
    ----------
    shape : tuple of int
        Shape of the real arrays.
    margin : int
        Voxels.

    Attributes
    ----------
    real, spectrum : ndarray
        Arrays of both shapes, uninitialised: those that were planned on, free to be used.
    """

    def __init__(self, shape: IntTriple, margin: int) -> None:
        import pyfftw

        inner = [slice(margin, n - margin) for n in shape]
        self._parts = [(), (inner[0],), (inner[0], inner[1])]
        self.real = real = pyfftw.empty_aligned(shape, dtype="float32")
        self.spectrum = spectrum = pyfftw.empty_aligned(spectrum_shape(shape), dtype="complex64")
        options = {"direction": "FFTW_BACKWARD", "threads": 1, "flags": ("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT")}
        self._plans = [
            pyfftw.FFTW(spectrum[part], (real if axis == 2 else spectrum)[part], axes=(axis,), **options)
            for axis, part in enumerate(self._parts)
        ]

    def __call__(self, spectrum: Complex, out: FloatArray) -> FloatArray:
        """Transform ``spectrum`` (destroyed) into ``out``, unnormalised; both from here or `RealFFT`."""
        for axis, (plan, part) in enumerate(zip(self._plans, self._parts)):
            plan.update_arrays(spectrum[part], (out if axis == 2 else spectrum)[part])
            plan.execute()
        return out


class InPlaceRealFFT:
    """Planned real FFTs that overwrite the array: half the memory of `RealFFT`, for volumes that hardly fit.

    Arrays are float32 of the real shape with its rows padded to hold their spectrum; `real` and `spectrum` look at
    them as the one and the other. Neither direction normalises.

    Parameters
    ----------
    shape : tuple of int
        Shape of the real array.
    threads : int
        Threads of each transform.
    axes : tuple of int
        Axes that are transformed, the last one among them.
    effort : str
        FFTW planning effort, cut short in proportion to the size.

    Attributes
    ----------
    first : ndarray of float32
        A padded array, uninitialised: the one that was planned on, free to be used.
    """

    def __init__(
        self, shape: IntTriple, threads: int, axes: Tuple[int, ...] = (0, 1, 2), effort: str = "FFTW_MEASURE"
    ) -> None:
        import pyfftw

        self.shape = shape
        self._pyfftw = pyfftw
        self.first = self.empty()
        options = {
            "axes": axes,
            "threads": threads,
            "flags": (effort if _is_smooth(shape) else "FFTW_ESTIMATE", "FFTW_DESTROY_INPUT"),
            "planning_timelimit": max(PLANNING_LEAST, PLANNING_256 * self.first.size / 256**3),
        }
        real, spectrum = self.real(self.first), self.spectrum(self.first)
        self._forward = pyfftw.FFTW(real, spectrum, direction="FFTW_FORWARD", **options)
        self._backward = pyfftw.FFTW(spectrum, real, direction="FFTW_BACKWARD", **options)

    def empty(self) -> FloatArray:
        """Return an uninitialised padded array."""
        nz, ny, nx = self.shape
        padded: FloatArray = self._pyfftw.empty_aligned((nz, ny, 2 * (nx // 2 + 1)), dtype="float32")
        return padded

    def real(self, padded: FloatArray) -> FloatArray:
        """Return the real volume in a padded array (a view)."""
        return padded[:, :, : self.shape[2]]

    def spectrum(self, padded: FloatArray) -> Complex:
        """Return the spectrum in a padded array (a view)."""
        return padded.view(np.complex64)

    def forward(self, padded: FloatArray) -> Complex:
        """Transform the real volume in a padded array, unnormalised; return its spectrum."""
        self._forward.update_arrays(self.real(padded), self.spectrum(padded))
        self._forward.execute()
        return self.spectrum(padded)

    def backward(self, padded: FloatArray) -> FloatArray:
        """Transform the spectrum in a padded array, unnormalised; return the real volume."""
        self._backward.update_arrays(self.spectrum(padded), self.real(padded))
        self._backward.execute()
        return self.real(padded)


# --- shells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShellSums:
    """Sums over the shells of two spectra, each coefficient counted with its hermitian weight.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        Shell centres in 1/Å.
    cross : ndarray of float64
        Sum of Re(F1 F2*).
    power1, power2 : ndarray of float64
        Sums of |F1|^2 and |F2|^2.
    count : ndarray of float64
        Number of coefficients of the full spectrum; half of them are independent.
    """

    frequency: Float64
    cross: Float64
    power1: Float64
    power2: Float64
    count: Float64


def shell_sums(
    spectrum1: npt.NDArray[np.complexfloating],  # type: ignore[type-arg]
    spectrum2: npt.NDArray[np.complexfloating],  # type: ignore[type-arg]
    grid: Grid,
    weights: Optional[Float64] = None,
) -> ShellSums:
    """Sum two spectra of maps on ``grid`` over shells; give the same one twice for a power spectrum.

    ``weights`` says how often each kx plane counts; default, `hermitian_weights`.
    """
    frequency = shell_frequencies(grid)
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    if weights is None:
        weights = hermitian_weights(grid.shape[2])
    sums = _shell_sums(spectrum1, spectrum2, sz, sy, sx, weights, 1.0 / shell_width(grid), len(frequency))
    return ShellSums(frequency, *sums.sum(axis=0).T)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _shell_sums(f1, f2, sz, sy, sx, weights, per_width, shells):  # type: ignore[no-untyped-def]
    # One accumulator a z-plane: the order of the sums, and so their rounding, does not depend on the threads.
    sums = np.zeros((sz.size, shells, 4))
    for z in numba.prange(sz.size):
        for y in range(sy.size):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            for x in range(sx.size):
                shell = int(np.sqrt(s2_zy + sx[x] * sx[x]) * per_width + HALF_SHELL)
                if shell < shells:
                    a, b, w = f1[z, y, x], f2[z, y, x], weights[x]
                    ar, ai, br, bi = np.float64(a.real), np.float64(a.imag), np.float64(b.real), np.float64(b.imag)
                    sums[z, shell, 0] += w * (ar * br + ai * bi)
                    sums[z, shell, 1] += w * (ar * ar + ai * ai)
                    sums[z, shell, 2] += w * (br * br + bi * bi)
                    sums[z, shell, 3] += w
    return sums


def power_to_corners(spectrum: npt.NDArray[np.complexfloating], grid: Grid) -> Float64:  # type: ignore[type-arg]
    """Return the mean |F|^2 of every shell, those between Nyquist and the corners of the spectrum included."""
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    per_width = 1.0 / shell_width(grid)
    corner = float(np.sqrt(np.abs(sz).max() ** 2 + np.abs(sy).max() ** 2 + sx.max() ** 2))
    shells = int(corner * per_width + HALF_SHELL) + 1
    sums = _shell_sums(spectrum, spectrum, sz, sy, sx, hermitian_weights(grid.shape[2]), per_width, shells).sum(axis=0)
    power: Float64 = sums[:, 1] / np.maximum(sums[:, 3], 1.0)
    return power


def radial_power(data: FloatArray, grid: Grid, threads: int) -> Tuple[Float64, Float64]:
    """Return the shell frequencies (1/Å) and the mean |F|^2 of each shell."""
    spectrum = rfft(data, threads)
    sums = shell_sums(spectrum, spectrum, grid)
    return sums.frequency, sums.power1 / np.maximum(sums.count, 1.0)


# --- radial filters -----------------------------------------------------------------------------------------------


def radial_table(
    response: Callable[[Float64], Float64], grid: Grid, steps: int = RADIAL_TABLE_STEPS
) -> Tuple[FloatArray, float]:
    """Tabulate ``response(s)`` (s in 1/Å) up to the corner of the spectrum, at so many points a shell.

    Returns
    -------
    table : ndarray of float32
        The response at multiples of the step.
    step : float
        1/Å.
    """
    step = shell_width(grid) / steps
    corner = float(np.sqrt(sum((0.5 / v) ** 2 for v in grid.voxel_size)))
    s = np.arange(int(np.ceil(corner / step)) + 2) * step
    return np.asarray(response(s), dtype=np.float32), step


def multiply_radial(spectrum: Complex, response: Callable[[Float64], Float64], grid: Grid) -> Complex:
    """Multiply a spectrum in place by the isotropic filter ``response(s)``, s in 1/Å; return it."""
    return multiply_table(spectrum, *radial_table(response, grid), grid)


def multiply_table(spectrum: Complex, table: FloatArray, step: float, grid: Grid) -> Complex:
    """Multiply a spectrum in place by a filter from `radial_table`, interpolated linearly; return it."""
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    _multiply_radial(spectrum, table, 1.0 / step, sz, sy, sx)
    return spectrum


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _multiply_radial(spectrum, table, per_step, sz, sy, sx):  # type: ignore[no-untyped-def]
    for z in numba.prange(sz.size):
        for y in range(sy.size):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            for x in range(sx.size):
                position = np.sqrt(s2_zy + sx[x] * sx[x]) * per_step
                i = int(position)
                fraction = np.float32(position - i)
                spectrum[z, y, x] *= table[i] * (np.float32(1) - fraction) + table[i + 1] * fraction


def filtered(
    data: FloatArray,
    response: Callable[[Float64], Float64],
    grid: Grid,
    threads: int,
    spectrum: Optional[Complex] = None,
) -> FloatArray:
    """Return ``data`` filtered by the isotropic filter ``response(s)``; ``spectrum`` may give its `rfft` (kept)."""
    spectrum = rfft(data, threads) if spectrum is None else spectrum.copy()
    return irfft(multiply_radial(spectrum, response, grid), grid.shape, threads, destroy=True)
