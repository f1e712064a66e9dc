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
from typing import Any, Iterator, List, Sequence, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import Array, Backend, kernel
from cryores.execution import Execution
from cryores.fourier import (
    Complex,
    Float64,
    frequency_axes,
    irfft_inside,
    power_to_corners,
    rfft,
    shell_width,
    spectrum_shape,
)
from cryores.masks import block_around
from cryores.resolution._local_average import (
    SAMPLING,
    Block,
    CoarseMaps,
    averages_at,
    grid_for,
    interpolated,
    voxels_kept,
)
from cryores.volume import FloatArray, Grid, HalfMaps, IntTriple, Triple

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

RIPPLES = 3
"""Voxels of a coarser grid by which the mask, of which it has the low frequencies only, is seen beyond its block."""

FULL = 32767.0
"""What stands for a correlation of 1 in the 16 bit integers that are kept."""

STRONG = 95.0
"""Percentile, over the mask, that stands for signal that nothing has taken away."""

FEATURES = BANDS * WINDOWS

Share = npt.NDArray[Any]


def band_frequencies() -> Float64:
    """Return the centres of the bands in cycles a voxel, the finest first."""
    return FINEST_BAND / BAND_RATIO ** np.arange(BANDS)


@dataclass(frozen=True)
class BandCorrelations:
    """Local correlations of all bands and windows in the block that holds a mask.

    Parameters
    ----------
    maps : CoarseMaps of int16
        Of each feature, in units of 1 / `FULL`.
    strong : ndarray of float32, shape (features,)
        The correlation in the best part of the mask.
    """

    maps: CoarseMaps
    strong: FloatArray

    def read(self, voxels: npt.NDArray[np.int64]) -> FloatArray:
        """Return the correlations at voxels (n, 3) of the map, shape (n, features), in [-1, 1]."""
        found = np.empty((len(voxels), len(self.strong)), dtype=np.float32)
        _read(*self.maps.reading(), voxels, found)
        return found


@dataclass(frozen=True)
class Band:
    """One band of one bank.

    Parameters
    ----------
    number, bank : int
        Which of all, the finest first, and whether narrow (0) or wide (1).
    frequency, width : float
        Centre and standard deviation of its gain in cycles a voxel.
    windows : tuple of float
        Standard deviations of the Gaussians in voxels of the map.
    shape : tuple of int
        The coarsest grid that holds its products.
    """

    number: int
    bank: int
    frequency: float
    width: float
    windows: Tuple[float, ...]
    shape: IntTriple

    @property
    def features(self) -> Iterator[int]:
        """The places of its windows among all features."""
        first = self.number * WINDOWS + sum(len(windows) for _, windows in BANKS[: self.bank])
        return iter(range(first, first + len(self.windows)))


def bands(grid: Grid) -> List[Band]:
    """List the bands of maps on a grid, those on the finest grids first."""
    extent, found = _edges(grid), []
    for bank, (share, windows) in enumerate(BANKS):
        for number, frequency in enumerate(band_frequencies()):
            width = float(np.hypot(share * frequency, LEAST_WIDTH / max(extent)))
            shape = grid_for(2.0 * PRODUCT_SAMPLING * (frequency + BAND_REACH * width), extent, grid.shape)
            widths = tuple(float(window / frequency) for window in windows)
            found.append(Band(number, bank, float(frequency), width, widths, shape))
    return sorted(found, key=lambda band: band.shape, reverse=True)


def _edges(grid: Grid) -> Triple:
    """Return the edges of the box in voxels; of voxels that are not cubes, in the largest edge of one."""
    z, y, x = (n * v / grid.spacing for n, v in zip(grid.shape, grid.voxel_size))
    return z, y, x


def _grids_of_averages(grid: Grid) -> List[IntTriple]:
    """Return the grid of each feature."""
    grids: List[Any] = [None] * FEATURES
    for band in bands(grid):
        for feature, sigma in zip(band.features, band.windows):
            grids[feature] = grid_for(SAMPLING / sigma, _edges(grid), band.shape)
    return grids


def comparing_bytes(grid: Grid, block: Block) -> float:
    """Return the bytes that `band_correlations` holds at most, of a mask of bool in ``block``."""
    kept = 2.0 * voxels_kept(_grids_of_averages(grid), block, grid.shape)
    mask = _shares(block, grid.shape)[2]
    return 4.0 * (comparing_volumes(grid, block) + mask) * grid.size + kept


def comparing_volumes(grid: Grid, block: Block) -> float:
    """Return what of this, in volumes, is transformed and averaged: all but the results."""
    # Two spectra, three while one becomes coarser, both halves in the block, and a band with its rows or what becomes
    # of the products.
    most = 3.0
    for band in bands(grid):
        nz, ny, filled = _shares(_block_on(band.shape, block, grid.shape), band.shape)
        scale = float(np.prod(band.shape)) / grid.size
        most = max(most, scale * (2.0 + 2.0 * filled + max(1.0 + nz * ny, 2.5 * filled)))
    return most


def _shares(block: Block, shape: IntTriple) -> Tuple[float, float, float]:
    """Return the shares of the z and y edges that a block fills, and of all voxels."""
    nz, ny, nx = (float(part.stop - part.start) / n for part, n in zip(block, shape))
    return nz, ny, nz * ny * nx


def band_correlations(halves: HalfMaps, mask: Share, execution: Execution) -> BandCorrelations:
    """Compare the halves inside a mask in every band and window.

    Parameters
    ----------
    halves : HalfMaps
        The half maps.
    mask : ndarray of bool or float32, shape (nz, ny, nx)
        The share of every voxel that is inside.
    execution : Execution
        Threads.
    """
    grid, threads = halves.grid, execution.threads
    extent = _edges(grid)
    there = execution.backend
    spectra = [_whitened(half.data, grid, there, threads) for half in (halves.half1, halves.half2)]
    listed, inside = bands(grid), _Inside(mask, threads)
    found = CoarseMaps.empty(_grids_of_averages(grid), inside.block, grid.shape, np.int16)
    strong = np.empty(FEATURES, dtype=np.float32)
    with execution.stage("comparing bands", len(listed)) as stage:
        for band in listed:
            # Every grid holds the next one's frequencies: what a coarser one lacks is not needed any more.
            for half in (0, 1):
                spectra[half] = _cropped(spectra[half], band.shape)
            block = _block_on(band.shape, inside.block, grid.shape)
            fields = there.zeros((2, *(part.stop - part.start for part in block)), np.float32)
            for half, spectrum in enumerate(spectra):
                fields[half, ...] = irfft_inside(_in_band(spectrum, extent, band), band.shape, block, threads)
            _product_and_power(fields, there.asarray(inside.on(band.shape, block)))
            power = float(there.xp.sum(fields[1, ...], dtype=there.xp.float64))
            least = 1e-3 * power / float(np.prod(band.shape, dtype=np.float64))
            for feature, sigma in zip(band.features, band.windows):
                z, y, x = (sigma / edge for edge in extent)
                averages = found.averages(feature, fields, block, band.shape, (z, y, x), threads)
                _ratio(there.to_host(averages), np.float32(least), found[feature])
                strong[feature] = _strong(found, feature, mask)
            del fields, averages
            stage.advance()
    return BandCorrelations(found, strong)


class _Inside:
    """A mask on its own grid, of which it fills ``block``, and on coarser ones."""

    def __init__(self, mask: Share, threads: int) -> None:
        self.block, self._whole, self._threads = block_around(mask > 0), mask.shape, threads
        self._filled = mask[self.block].astype(np.float32)

    def on(self, shape: IntTriple, block: Block) -> FloatArray:
        """Return the mask in a block of a grid."""
        if shape == self._whole:
            return self._filled
        voxels = [np.arange(part.start, part.stop) for part in block]
        there = averages_at(voxels, shape, self._filled[None], self.block, self._whole, (0.0, 0.0, 0.0), self._threads)
        clipped: FloatArray = np.clip(there[..., 0], 0.0, 1.0)
        return clipped


def _block_on(shape: IntTriple, block: Block, whole: Sequence[int]) -> Block:
    """Return the block of a coarser grid that holds one of the ``whole``, and on it what ripples around."""
    if shape == tuple(whole):
        return block
    z, y, x = (
        slice(max(0, part.start * n // N - RIPPLES), min(n, -(-(part.stop - 1) * n // N) + 1 + RIPPLES))
        for part, n, N in zip(block, shape, whole)
    )
    return z, y, x


def _strong(found: CoarseMaps, feature: int, mask: Share) -> float:
    averaged = found[feature]
    places = [at * whole // n for at, whole, n in zip(found.voxels_of(feature), mask.shape, found.grids[feature])]
    inside = averaged[mask[np.ix_(*places)] > 0.5]
    return float(np.percentile(inside if inside.size else averaged, STRONG)) / FULL


def _whitened(data: FloatArray, grid: Grid, there: Backend, threads: int) -> Array:
    """Return the spectrum divided by its radial amplitude, its mean left out.

    Wide bands reach beyond Nyquist into the corners, which a sharpened map has plenty of: they are divided as well.
    """
    spectrum = rfft(there.asarray(data - np.float32(data.mean(dtype=np.float64))), threads)
    power = power_to_corners(spectrum, grid)
    # A tenth of a millionth of the strongest amplitude is the rounding of float32, no map.
    amplitude = np.sqrt(np.maximum(power, 1e-14 * power.max() + 1e-37))
    _divide_radially(spectrum, *frequency_axes(grid.shape, grid.voxel_size), amplitude, 1.0 / shell_width(grid))
    return spectrum


@kernel
def _cropped(spectrum: Complex, shape: IntTriple) -> Complex:
    """Return the spectrum of ``shape`` voxels over the same box; ``spectrum`` itself if it has as many."""
    if spectrum.shape == spectrum_shape(shape):
        return spectrum
    rows_z, rows_y = (_rows(have, want) for have, want in zip(spectrum.shape[:2], shape[:2]))
    return spectrum[rows_z[:, None], rows_y, : shape[2] // 2 + 1]


def _rows(have: int, want: int) -> npt.NDArray[np.int64]:
    """Return which rows of a spectrum of ``have`` rows the ``want`` rows of a smaller one are."""
    rows = np.arange(want)
    return np.where(rows < (want + 1) // 2, rows, rows - want + have)


def _in_band(spectrum: Array, extent: Triple, band: Band) -> Array:
    """Return one band of a spectrum, without the columns beyond it."""
    nz, ny, columns = spectrum.shape
    columns = min(columns, int((band.frequency + BAND_REACH * band.width) * extent[2]) + 2)
    uz, uy = (np.fft.fftfreq(n, edge / n) for n, edge in zip((nz, ny), extent))
    return _gaussian_band(spectrum, uz, uy, np.arange(columns) / extent[2], band.frequency, band.width, BAND_REACH)


@kernel
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


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _gaussian_band(spectrum, uz, uy, ux, frequency, width, reach):  # type: ignore[no-untyped-def]
    columns = ux.size
    out = np.empty((uz.size, uy.size, columns), dtype=np.complex64)
    least, most = max(frequency - reach * width, 0.0), frequency + reach * width
    centre, sharpness = np.float32(frequency), np.float32(1.0 / width)
    for z in numba.prange(uz.size):
        for y in range(uy.size):
            u2_zy = uz[z] * uz[z] + uy[y] * uy[y]
            # Those columns alone lie within the band.
            first = min(int(np.ceil(np.sqrt(max(least * least - u2_zy, 0.0)) / ux[1])), columns)
            last = min(int(np.sqrt(max(most * most - u2_zy, 0.0)) / ux[1]) + 1, columns) if u2_zy < most * most else 0
            first = min(first, last)
            out[z, y, :first] = 0
            out[z, y, last:] = 0
            for x in range(first, last):
                off = (np.sqrt(np.float32(u2_zy + ux[x] * ux[x])) - centre) * sharpness
                out[z, y, x] = spectrum[z, y, x] * np.exp(np.float32(-0.5) * off * off)
    return out


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _product_and_power(fields, inside):  # type: ignore[no-untyped-def]
    # In place: the first half becomes the product, the second the mean power.
    for z in numba.prange(inside.shape[0]):
        for y in range(inside.shape[1]):
            for x in range(inside.shape[2]):
                a, b, m = fields[0, z, y, x], fields[1, z, y, x], inside[z, y, x]
                fields[0, z, y, x] = m * a * b
                fields[1, z, y, x] = np.float32(0.5) * m * (a * a + b * b)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _ratio(averages, least, out):  # type: ignore[no-untyped-def]
    one = np.float32(1.0)
    for z in numba.prange(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                ratio = averages[z, y, x, 0] / max(averages[z, y, x, 1], least)
                out[z, y, x] = np.int16(np.rint(np.float32(FULL) * min(max(ratio, -one), one)))


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _read(values, starts, scales, firsts, shapes, voxels, found):  # type: ignore[no-untyped-def]
    for v in numba.prange(voxels.shape[0]):
        z, y, x = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        for i in range(starts.size):
            found[v, i] = interpolated(values, starts, scales, firsts, shapes, i, z, y, x) * np.float32(1.0 / FULL)
