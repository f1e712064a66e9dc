"""The bank of narrow bands that LocSpiral and its kin share: local amplitude, local phase, and the noise of each band.

A map is filtered to Gaussian bands about frequencies a Fourier pixel apart. In each band c is the filtered map, m its
monogenic amplitude (so c / m is the cosine of the local phase), and Q the quantile of m in the solvent. Frequencies are
in Fourier pixels of the longest edge of the box. Source: Kaur et al., Nat. Commun. 12, 1240 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional

import numba
import numpy as np

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import Float64, RealFFT, hermitian_weights, rfft
from cryores.masks import BINARY_THRESHOLD
from cryores.method import Inputs, parameter
from cryores.processed import ProcessedMap, finish
from cryores.shell_correlation import global_resolution
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Maps, Volume, full_map

DC_WIDTH = 0.05
"""Fourier pixels: the mean density is taken out of every band."""

COMPAT = "locspiral"
"""The published programs: an amplitude of two of the three Riesz components, and negative density cut off."""


@dataclass(frozen=True)
class Band:
    """One band of a map; its arrays are valid until the next band.

    Parameters
    ----------
    frequency : float
        Centre, in Fourier pixels of the longest edge.
    density, amplitude : ndarray of float32, shape (nz, ny, nx)
        The filtered map c and its monogenic amplitude m.
    noise : float
        Quantile of the amplitude in the solvent.
    """

    frequency: float
    density: FloatArray
    amplitude: FloatArray
    noise: float


def band_centres(grid: Grid, coarsest: float, finest: float) -> Float64:
    """Return the centres of the bands from ``coarsest`` to ``finest`` (Å), in Fourier pixels of the longest edge.

    Raises
    ------
    UsageError
        ``E_RANGE`` if the range holds no band.
    """
    edge = max(grid.extent)
    low, high = int(edge / coarsest), int(edge / finest)
    if high <= max(low, 0):
        raise UsageError(
            "E_RANGE",
            f"no band lies between {coarsest:.4g} and {finest:.4g} Å in a box of {edge:.4g} Å",
            "give a coarser --max-resolution or a finer --min-resolution",
        )
    return np.linspace(low, high, high - low)


def finest_band(maps: Maps, mask: Optional[Volume], given: Optional[float], threads: int) -> float:
    """Return the finest resolution of the bands (Å): the given one, or the half maps' global resolution.

    Raises
    ------
    UsageError
        ``E_NO_HALVES`` if it is not given and cannot be measured.
    """
    if given is None and isinstance(maps, HalfMaps):
        given = global_resolution(maps, mask, threads)
    if given is None:
        raise UsageError(
            "E_NO_HALVES", "the resolution of the map is not known", "give --min-resolution, or half maps that agree"
        )
    return max(given, maps.grid.nyquist)


def in_solvent_units(total: FloatArray, region: BoolArray, keep_negative: bool) -> FloatArray:
    """Return a sum of bands minus its mean in the solvent, in standard deviations there, cut off at 0 unless kept."""
    noise = total[region].astype(np.float64)
    scaled = (total - np.float32(noise.mean())) * np.float32(1.0 / (noise.std() or 1.0))
    return scaled if keep_negative else np.maximum(scaled, np.float32(0))


def solvent(grid: Grid, inside: BoolArray) -> BoolArray:
    """Return the voxels of the box's inscribed ellipsoid outside the mask.

    Raises
    ------
    InputError
        ``E_NO_NOISE`` if there is none.
    """
    z, y, x = (((np.arange(n) - n // 2) / ((n + 1) // 2)) ** 2 for n in grid.shape)
    outside: BoolArray = (z[:, None, None] + y[:, None] + x < 1.0) & ~inside
    if not outside.any():
        raise InputError("E_NO_NOISE", "the mask leaves no solvent to measure noise in", "give a tighter mask")
    return outside


@dataclass(frozen=True)
class BandParameters:
    """Parameters of every method that takes a map apart into bands."""

    max_resolution: float = parameter(30.0, "Coarsest resolution of the bands", "Å", 1.0)
    min_resolution: Optional[float] = parameter(
        None, "Finest resolution of the bands; default, FSC 0.143 of the half maps", "Å", 0.1
    )
    quantile: float = parameter(
        0.95, "Share of the solvent's amplitudes that lie below the noise level of a band", "", 0.0, 0.999
    )
    bandwidth: float = parameter(
        5.0,
        "Width of a band: 3.5 to 5 where the resolution is high and even, 6 to 8 where it varies",
        "Fourier pixels",
        1.0,
        50.0,
    )
    compat: Optional[str] = parameter(
        None, "locspiral: the published program's amplitude, which is not isotropic", choices=(COMPAT,), expert=True
    )


@dataclass(frozen=True)
class SumParameters(BandParameters):
    """Parameters of every method that sums bands."""

    keep_negative: bool = parameter(False, "Keep density below the solvent's mean, which is cut off otherwise")


@dataclass(frozen=True)
class Bank:
    """A map, where its noise is, and how it is filtered."""

    data: FloatArray
    grid: Grid
    region: BoolArray
    parameters: BandParameters
    execution: Execution

    def bands(self, centres: Float64) -> Iterator[Band]:
        """Yield the bands about ``centres`` (Fourier pixels), in their order."""
        chosen = self.parameters
        how = (chosen.bandwidth, self.region, chosen.quantile, chosen.compat, self.execution)
        return _bands(self.data, self.grid, centres, *how)


Contribution = Callable[[Band], FloatArray]
"""What a band adds to the result."""


def sum_of_bands(
    inputs: Inputs,
    parameters: SumParameters,
    execution: Execution,
    contribution_of: Callable[[Bank, Float64], Contribution],
    meaning: str,
) -> ProcessedMap:
    """Return the sum of what the bands of a map contribute, in standard deviations of the solvent.

    ``contribution_of(bank, centres)`` returns what one band contributes; ``meaning`` begins the result's criterion.
    """
    assert inputs.mask is not None
    grid, data = inputs.grid, full_map(inputs.maps).data
    finest = finest_band(inputs.maps, inputs.mask, parameters.min_resolution, execution.threads)
    centres = band_centres(grid, parameters.max_resolution, finest)
    bank = Bank(data, grid, solvent(grid, inputs.mask.data > BINARY_THRESHOLD), parameters, execution)
    contribution = contribution_of(bank, centres)
    total = np.zeros(grid.shape, dtype=np.float32)
    for band in bank.bands(centres):
        total += contribution(band)
    sharpened = in_solvent_units(total, bank.region, parameters.keep_negative)
    criterion = (
        f"{meaning}; {len(centres)} bands of {parameters.bandwidth:g} Fourier pixels from "
        f"{parameters.max_resolution:.3g} to {finest:.3g} Å, in standard deviations of the solvent"
    )
    details = {"min_resolution": finest, "bands": len(centres)}
    return ProcessedMap(**finish(inputs, sharpened, criterion, details, execution))


def check(inputs: Inputs, parameters: BandParameters) -> List[str]:
    """Refuse a range without a band."""
    if parameters.min_resolution is not None:
        band_centres(inputs.grid, parameters.max_resolution, max(parameters.min_resolution, inputs.grid.nyquist))
    return []


def memory(inputs: Inputs, parameters: BandParameters, threads: int) -> float:
    """Return the peak in bytes, in volumes: the map, two spectra, three reals, the sum, and what a band takes."""
    return 4.0 * inputs.grid.size * 14.0


OUTPUTS = {
    "sharpened.mrc": "the processed map, in standard deviations of the solvent",
    "masked.mrc": "the processed map times the mask",
    "difference.mrc": "processed minus input, in standard deviations inside the mask",
}


def _bands(
    data: FloatArray,
    grid: Grid,
    centres: Float64,
    width: float,
    region: BoolArray,
    quantile: float,
    compat: Optional[str],
    execution: Execution,
) -> Iterator[Band]:
    fft = RealFFT(grid.shape, execution.threads)
    spectrum = rfft(data, execution.threads)
    density, part, amplitude = fft.empty_real(), fft.empty_real(), fft.empty_real()
    work = fft.empty_spectrum()
    k = [np.fft.fftfreq(n, 1.0 / n) * (max(grid.extent) / e) for n, e in zip(grid.shape, grid.extent)]
    k[2] = np.abs(k[2][: grid.shape[2] // 2 + 1])
    odd = [np.where(np.arange(a.size) * 2 == n, 0.0, a) for a, n in zip(k, grid.shape)]
    weights = hermitian_weights(grid.shape[2])
    with execution.stage("filtering bands", len(centres)) as stage:
        for centre in centres:
            total = float(_band_sum(*k, weights, centre, width).sum())
            scale = fft.scale / total * grid.size
            _take_band(spectrum, work, *k, centre, width, scale)
            fft.backward(work, density)
            np.multiply(density, density, out=amplitude)
            for component in _components(compat):
                _take_odd_band(spectrum, work, *k, *odd, centre, width, scale, *component, compat is not None)
                fft.backward(work, part)
                _add_square(amplitude.reshape(-1), part.reshape(-1))
            np.sqrt(amplitude, out=amplitude)
            noise = float(np.quantile(amplitude[region], quantile, method="hazen"))
            yield Band(float(centre), density, amplitude, noise)
            stage.advance()


def _components(compat: Optional[str]) -> Float64:
    """Return the directions (z, y, x) of the odd filters: the axes, or the published program's pair."""
    return np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]) if compat else np.eye(3)


@numba.njit(inline="always")  # type: ignore[misc]
def _gain(r, centre, width):  # type: ignore[no-untyped-def]
    return np.exp(-0.5 * ((r - centre) / width) ** 2) * (1.0 - np.exp(-0.5 * (r / DC_WIDTH) ** 2))


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _band_sum(kz, ky, kx, weights, centre, width):  # type: ignore[no-untyped-def]
    sums = np.zeros(kz.size)
    for z in numba.prange(kz.size):
        total = 0.0
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                total += weights[x] * _gain(r, centre, width)
        sums[z] = total
    return sums


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_band(spectrum, out, kz, ky, kx, centre, width, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                out[z, y, x] = spectrum[z, y, x] * np.float32(_gain(r, centre, width) * scale)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_odd_band(spectrum, out, kz, ky, kx, oz, oy, ox, centre, width, scale, vz, vy, vx, pair):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                norm = np.sqrt((kx[x] + kz[z]) ** 2 + ky[y] * ky[y]) if pair else r
                along = vz * oz[z] + vy * oy[y] + vx * ox[x]
                gain = np.float32(_gain(r, centre, width) * scale * along / norm) if norm > 0 else np.float32(0)
                value = spectrum[z, y, x]
                out[z, y, x] = complex(value.imag * gain, -value.real * gain)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_square(total, part):  # type: ignore[no-untyped-def]
    for i in numba.prange(total.size):
        total[i] += part[i] * part[i]
