"""How well two half maps agree around every voxel, at every scale: the features of `cryores.resolution.locres`.

Each half is divided by its own radial amplitude, so that no isotropic filter and no scale matters, and cut into bands
of a constant share of an octave, counted down from Nyquist, so that the voxel size does not matter. In each band the
correlation of the halves is averaged over the mask under Gaussians whose widths are fixed shares of the wavelength:

    f(x, k, w) = <m a b>_w / <m (a^2 + b^2) / 2>_w

with m the mask, a and b the halves in band k, < >_w the Gaussian of width w. A band lives on the coarsest grid that
holds its products, an average on the coarsest one that holds its Gaussian; `read` interpolates between their voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.execution import Execution
from cryores.fourier import Complex, Float64, frequency_axes, irfft, power_to_corners, rfft, shell_width, spectrum_shape
from cryores.resample import resampled
from cryores.volume import FloatArray, Grid, HalfMaps, IntTriple, Volume

BANDS = 26
FINEST_BAND = 0.47
"""Cycles a voxel at the centre of the finest band."""

BAND_RATIO = 1.13
BANKS = ((0.07, (0.8, 1.6, 3.2)), (0.25, (0.5, 1.0, 2.0)))
"""Of each bank of bands: standard deviation of a band's gain as a share of its frequency, and those of its Gaussian
windows, in wavelengths of the band. Narrow bands tell frequencies apart but reach far; wide ones tell places apart."""

WINDOWS = sum(len(windows) for _, windows in BANKS)
"""Correlations of a band."""

LEAST_WIDTH = 0.6
"""The same in shells, added in squares: a small box has few coefficients at low frequency."""

BAND_REACH = 2.5
"""Standard deviations after which a band ends."""

PRODUCT_SAMPLING = 1.3
"""Nyquist of the grid of a band, in units of the band's highest frequency: what its products fold back is beyond every
window."""

WINDOW_SAMPLING = 1.2
"""Voxels a standard deviation of a window, on the grid of its averages."""

SMALLEST_GRID = 4
FULL = 32767.0
"""What stands for a correlation of 1 in the 16 bit integers that are kept."""

STRONG = 95.0
"""Percentile, over the mask, that stands for signal that nothing has taken away."""

FEATURES = BANDS * WINDOWS

Int16 = npt.NDArray[np.int16]


def band_frequencies() -> Float64:
    """Return the centres of the bands in cycles a voxel, the finest first."""
    return FINEST_BAND / BAND_RATIO ** np.arange(BANDS)


@dataclass(frozen=True)
class BandCorrelations:
    """Local correlations of all bands and windows, each on its own grid over the same box.

    Parameters
    ----------
    values : ndarray of int16
        All grids one after the other.
    starts : ndarray of int64, shape (features,)
        Where each begins.
    shapes : ndarray of int64, shape (features, 3)
        Its voxels along (z, y, x).
    shape : tuple of int
        Voxels of the map.
    strong : ndarray of float32, shape (features,)
        The correlation in the best part of the mask.
    """

    values: Int16
    starts: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.int64]
    shape: IntTriple
    strong: FloatArray

    def read(self, voxels: npt.NDArray[np.int64]) -> FloatArray:
        """Return the correlations at voxels (n, 3) of the map, shape (n, features), in [-1, 1]."""
        found = np.empty((len(voxels), len(self.starts)), dtype=np.float32)
        _read(self.values, self.starts, self.shapes, np.array(self.shape), voxels, found)
        return found


def band_correlations(halves: HalfMaps, mask: Volume, execution: Execution) -> BandCorrelations:
    """Compare the halves inside ``mask`` (soft or not) in every band and window."""
    grid, threads = halves.grid, execution.threads
    spectra = [_whitened(half.data, grid, threads) for half in (halves.half1, halves.half2)]
    per_voxel = Grid.regular(grid.shape, tuple(v / grid.spacing for v in grid.voxel_size))  # type: ignore[arg-type]
    parts: List[Int16] = []
    shapes: List[IntTriple] = []
    strong: List[float] = []
    with execution.stage("comparing bands", BANDS) as stage:
        for frequency in band_frequencies():
            for width, windows in BANKS:
                for averaged in _one_band(spectra, mask.data, float(frequency), width, windows, per_voxel, threads):
                    parts.append(averaged.ravel())
                    z, y, x = averaged.shape
                    shapes.append((z, y, x))
                    strong.append(_strong(averaged, mask.data))
            stage.advance()
    sizes = [part.size for part in parts]
    starts = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.int64)
    return BandCorrelations(
        np.concatenate(parts), starts, np.array(shapes, dtype=np.int64), grid.shape, np.array(strong, dtype=np.float32)
    )


def _strong(averaged: Int16, mask: FloatArray) -> float:
    places = np.ix_(*(np.arange(n) * whole // n for n, whole in zip(averaged.shape, mask.shape)))
    inside = averaged[mask[places] > 0.5]
    return float(np.percentile(inside if inside.size else averaged, STRONG)) / FULL


def _whitened(data: FloatArray, grid: Grid, threads: int) -> Complex:
    """Return the spectrum divided by its radial amplitude, its mean left out.

    Wide bands reach beyond Nyquist into the corners, which a sharpened map has plenty of: they are divided as well.
    """
    spectrum = rfft(data - np.float32(data.mean(dtype=np.float64)), threads)
    power = power_to_corners(spectrum, grid)
    # A tenth of a millionth of the strongest amplitude is the rounding of float32, no map.
    amplitude = np.sqrt(np.maximum(power, 1e-14 * power.max() + 1e-37))
    _divide_radially(spectrum, *frequency_axes(grid.shape, grid.voxel_size), amplitude, 1.0 / shell_width(grid))
    return spectrum


def _one_band(
    spectra: List[Complex],
    mask: FloatArray,
    frequency: float,
    share: float,
    windows: Tuple[float, ...],
    per_voxel: Grid,
    threads: int,
) -> List[Int16]:
    """Return the correlations of one band under every window."""
    shell = 1.0 / max(per_voxel.extent)
    width = float(np.hypot(share * frequency, LEAST_WIDTH * shell))
    highest = frequency + BAND_REACH * width
    shape = grid_for(2.0 * PRODUCT_SAMPLING * highest, per_voxel, per_voxel.shape)
    one, two = (irfft(_band(s, per_voxel, shape, frequency, width), shape, threads) for s in spectra)
    inside = mask if mask.shape == shape else np.clip(resampled(mask, shape, threads), 0.0, 1.0)
    _products(one, two, inside)
    cross, power = rfft(one, threads), rfft(two, threads)
    least = 1e-3 * float(power[0, 0, 0].real) / one.size
    found = []
    for window in windows:
        sigma = window / frequency
        coarse = grid_for(WINDOW_SAMPLING / sigma, per_voxel, shape)
        over, under = (averaged_under(s, shape, coarse, per_voxel, sigma, threads) for s in (cross, power))
        found.append(_ratio(over, under, least))
    return found


def grid_for(per_length: float, per_voxel: Grid, largest: IntTriple) -> IntTriple:
    """Return the voxels of the coarsest fast grid with so many voxels a voxel of the map, at most ``largest``."""
    n = [
        max(SMALLEST_GRID, scipy.fft.next_fast_len(2 * int(np.ceil(0.5 * per_length * length)), real=True))
        for length in per_voxel.extent
    ]
    z, y, x = (min(wanted, most) for wanted, most in zip(n, largest))
    return z, y, x


def _band(spectrum: Complex, per_voxel: Grid, shape: IntTriple, frequency: float, width: float) -> Complex:
    """Return one band of a spectrum, as the spectrum of ``shape`` voxels over the same box."""
    have_z, have_y, _ = per_voxel.shape
    rows_z, rows_y = _rows(have_z, shape[0]), _rows(have_y, shape[1])
    extent = per_voxel.extent
    uz, uy = (np.fft.fftfreq(n, length / n) for n, length in zip(shape[:2], extent[:2]))
    out = np.empty(spectrum_shape(shape), dtype=np.complex64)
    ux = np.arange(out.shape[2]) / extent[2]
    _take_band(spectrum, rows_z, rows_y, uz, uy, ux, frequency, width, out)
    return out


def _rows(have: int, want: int) -> npt.NDArray[np.int64]:
    """Return which rows of a spectrum of ``have`` rows the ``want`` rows of a smaller one are."""
    rows = np.arange(want)
    return np.where(rows < (want + 1) // 2, rows, rows - want + have)


def averaged_under(
    spectrum: Complex, shape: IntTriple, coarse: IntTriple, per_voxel: Grid, sigma: float, threads: int
) -> FloatArray:
    """Return the map of ``spectrum`` under a Gaussian of ``sigma`` voxels of the map, on a coarser grid."""
    extent = per_voxel.extent
    gains = [
        np.exp(-2.0 * (np.pi * sigma * u) ** 2)
        for u in (
            np.fft.fftfreq(coarse[0], extent[0] / coarse[0]),
            np.fft.fftfreq(coarse[1], extent[1] / coarse[1]),
            np.arange(coarse[2] // 2 + 1) / extent[2],
        )
    ]
    part = spectrum[_rows(shape[0], coarse[0])][:, _rows(shape[1], coarse[1]), : coarse[2] // 2 + 1]
    part = part * (gains[0][:, None, None] * gains[1][:, None] * gains[2]).astype(np.float32)
    part *= np.float32(np.prod(coarse, dtype=np.float64) / np.prod(shape, dtype=np.float64))
    return irfft(part, coarse, threads)


def _ratio(over: FloatArray, under: FloatArray, least: float) -> Int16:
    scaled = over / np.maximum(under, np.float32(least))
    result: Int16 = np.rint(np.clip(scaled, -1.0, 1.0) * np.float32(FULL)).astype(np.int16)
    return result


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _divide_radially(spectrum, sz, sy, sx, amplitude, per_shell):  # type: ignore[no-untyped-def]
    last = amplitude.size - 1
    for z in numba.prange(sz.size):
        for y in range(sy.size):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            for x in range(sx.size):
                place = min(np.sqrt(s2_zy + sx[x] * sx[x]) * per_shell, last - 1e-6)
                i = max(int(place), 1)
                f = max(place - i, 0.0)
                spectrum[z, y, x] /= np.float32(amplitude[i] * (1.0 - f) + amplitude[min(i + 1, last)] * f)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_band(spectrum, rows_z, rows_y, uz, uy, ux, frequency, width, out):  # type: ignore[no-untyped-def]
    for z in numba.prange(rows_z.size):
        for y in range(rows_y.size):
            u2_zy = uz[z] * uz[z] + uy[y] * uy[y]
            for x in range(ux.size):
                off = (np.sqrt(u2_zy + ux[x] * ux[x]) - frequency) / width
                if abs(off) < BAND_REACH and x < spectrum.shape[2]:
                    out[z, y, x] = spectrum[rows_z[z], rows_y[y], x] * np.float32(np.exp(-0.5 * off * off))
                else:
                    out[z, y, x] = 0


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _products(one, two, inside):  # type: ignore[no-untyped-def]
    # In place: `one` becomes the product, `two` the mean power.
    for z in numba.prange(one.shape[0]):
        for y in range(one.shape[1]):
            for x in range(one.shape[2]):
                a, b, m = one[z, y, x], two[z, y, x], inside[z, y, x]
                one[z, y, x] = m * a * b
                two[z, y, x] = np.float32(0.5) * m * (a * a + b * b)


@numba.njit(inline="always", cache=True)  # type: ignore[misc]
def interpolated(values, start, nz, ny, nx, pz, py, px):  # type: ignore[no-untyped-def]
    """Return a correlation at (pz, py, px), inside a periodic grid that begins at ``start``."""
    z0, y0, x0 = int(pz), int(py), int(px)
    fz, fy, fx = np.float32(pz - z0), np.float32(py - y0), np.float32(px - x0)
    z1 = z0 + 1 if z0 + 1 < nz else 0
    y1 = y0 + 1 if y0 + 1 < ny else 0
    x1 = x0 + 1 if x0 + 1 < nx else 0
    a, b = start + (z0 * ny + y0) * nx, start + (z0 * ny + y1) * nx
    c, d = start + (z1 * ny + y0) * nx, start + (z1 * ny + y1) * nx
    a0, b0 = np.float32(values[a + x0]), np.float32(values[b + x0])
    c0, d0 = np.float32(values[c + x0]), np.float32(values[d + x0])
    along_a = a0 + fx * (np.float32(values[a + x1]) - a0)
    along_b = b0 + fx * (np.float32(values[b + x1]) - b0)
    along_c = c0 + fx * (np.float32(values[c + x1]) - c0)
    along_d = d0 + fx * (np.float32(values[d + x1]) - d0)
    low = along_a + fy * (along_b - along_a)
    high = along_c + fy * (along_d - along_c)
    return (low + fz * (high - low)) * np.float32(1.0 / FULL)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _read(values, starts, shapes, shape, voxels, found):  # type: ignore[no-untyped-def]
    for v in numba.prange(voxels.shape[0]):
        for f in range(starts.size):
            nz, ny, nx = shapes[f, 0], shapes[f, 1], shapes[f, 2]
            found[v, f] = interpolated(
                values, starts[f], nz, ny, nx,
                voxels[v, 0] * (nz / shape[0]), voxels[v, 1] * (ny / shape[1]), voxels[v, 2] * (nx / shape[2]),
            )  # fmt: skip
