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

from cryores.backend import Array, gpu_bytes, kernel
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD
from cryores.method import Inputs, parameter
from cryores.monogenic import quantile
from cryores.postprocessing._spiral_filters import PublishedFilters, RieszFilters, published_shift
from cryores.processed import ProcessedMap, finish
from cryores.shell_correlation import uncorrected_resolution
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Maps, Volume, full_map

COMPAT = "locspiral"
"""The published programs: their amplitude, and their grid (see `cryores.postprocessing._spiral_filters`)."""


@dataclass(frozen=True)
class Band:
    """One band of a map; its arrays are valid until the next band.

    Parameters
    ----------
    frequency : float
        Centre, in Fourier pixels of the longest edge.
    density, amplitude : array of float32, shape (nz, ny, nx)
        The filtered map c and its monogenic amplitude m, where the execution computes.
    noise : float
        Quantile of the amplitude in the solvent.
    """

    frequency: float
    density: Array
    amplitude: Array
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
        given = uncorrected_resolution(maps, mask, threads)
    if given is None:
        raise UsageError(
            "E_NO_HALVES", "the resolution of the map is not known", "give --min-resolution, or half maps that agree"
        )
    return max(given, maps.grid.nyquist)


def in_solvent_units(total: FloatArray, region: BoolArray, keep_negative: bool) -> FloatArray:
    """Subtract from a sum of bands its mean in the solvent, divide it by the standard deviation there, return it.

    It is cut off at 0 unless negative density is to be kept.
    """
    noise = total[region].astype(np.float64)
    total -= np.float32(noise.mean())
    total *= np.float32(1.0 / (noise.std() or 1.0))
    return total if keep_negative else np.maximum(total, np.float32(0), out=total)


def solvent(grid: Grid, inside: BoolArray, compat: Optional[str] = None) -> BoolArray:
    """Return the voxels of the box's inscribed ellipsoid outside the mask.

    Raises
    ------
    InputError
        ``E_NO_NOISE`` if there is none.
    """
    centres = [n // 2 - (published_shift(n) if compat else 0) for n in grid.shape]
    z, y, x = (((np.arange(n) - c) / ((n + 1) // 2)) ** 2 for n, c in zip(grid.shape, centres))
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
        None, "locspiral: the published program's amplitude and grid, not isotropic", choices=(COMPAT,), expert=True
    )


@dataclass(frozen=True)
class SumParameters(BandParameters):
    """Parameters of every method that sums bands."""

    keep_negative: bool = parameter(False, "Keep density below the solvent's mean, which is cut off otherwise")


@dataclass(frozen=True)
class Bank:
    """A map, where its noise is, and how it is filtered."""

    maps: Maps
    region: BoolArray
    parameters: BandParameters
    execution: Execution

    def bands(self, centres: Float64) -> Iterator[Band]:
        """Yield the bands about ``centres`` (Fourier pixels), in their order."""
        chosen, grid = self.parameters, self.maps.grid
        filters = (PublishedFilters if chosen.compat else RieszFilters)(grid, chosen.bandwidth)
        there = self.execution.backend
        region, fft = there.asarray(self.region), there.in_place_fft(grid.shape, self.execution.threads)
        kept, even, odd = fft.first, fft.empty(), fft.empty()
        fft.real(kept)[...] = there.asarray(full_map(self.maps).data)
        spectrum = fft.forward(kept)
        amplitude = there.asarray(np.empty(grid.shape, dtype=np.float32))
        with self.execution.stage("filtering bands", len(centres)) as stage:
            for centre in map(float, centres):
                filters.take_even(spectrum, fft.spectrum(even), centre)
                density = fft.backward(even)
                for part in range(filters.odd_parts):
                    filters.take_odd(spectrum, fft.spectrum(odd), part, centre)
                    last = part == filters.odd_parts - 1
                    _add_square(amplitude, density if part == 0 else None, fft.backward(odd), last)
                yield Band(centre, density, amplitude, quantile(amplitude, region, chosen.quantile))
                stage.advance()


Contribution = Callable[[Array, Band], None]
"""Adds what a band contributes to the result, its first argument."""


def sum_of_bands(
    inputs: Inputs,
    parameters: SumParameters,
    execution: Execution,
    contribution_of: Callable[[Bank, Float64], Contribution],
    meaning: str,
) -> ProcessedMap:
    """Return the sum of what the bands of a map contribute, in standard deviations of the solvent.

    ``contribution_of(bank, centres)`` returns what adds a band; ``meaning`` begins the result's criterion.
    """
    assert inputs.mask is not None
    grid = inputs.grid
    finest = finest_band(inputs.maps, inputs.mask, parameters.min_resolution, execution.threads)
    centres = band_centres(grid, parameters.max_resolution, finest)
    region = solvent(grid, inputs.mask.data > BINARY_THRESHOLD, parameters.compat)
    bank = Bank(inputs.maps, region, parameters, execution)
    add = contribution_of(bank, centres)
    there = execution.backend
    total = there.asarray(np.zeros(grid.shape, dtype=np.float32))
    for band in bank.bands(centres):
        add(total, band)
    del add, band
    sharpened = in_solvent_units(there.to_host(total), region, parameters.keep_negative)
    criterion = (
        f"{meaning}; {len(centres)} bands of {parameters.bandwidth:g} Fourier pixels from "
        f"{parameters.max_resolution:.3g} to {finest:.3g} Å, in standard deviations of the solvent"
    )
    details = {"min_resolution": finest, "bands": len(centres)}
    return ProcessedMap(**finish(inputs, sharpened, criterion, details, execution))


def check(inputs: Inputs, parameters: BandParameters) -> List[str]:
    """Refuse a range without a band, and one map whose finest band is not given."""
    if not isinstance(inputs.maps, HalfMaps):
        finest_band(inputs.maps, None, parameters.min_resolution, 1)
    if parameters.min_resolution is not None:
        band_centres(inputs.grid, parameters.max_resolution, max(parameters.min_resolution, inputs.grid.nyquist))
    return []


def memory(inputs: Inputs, parameters: BandParameters, threads: int) -> float:
    """Return the peak in bytes, in volumes: spectrum, two bands, amplitude, sum, reference, solvent; then blobs."""
    return 4.0 * inputs.grid.size * (6.8 if isinstance(inputs.maps, HalfMaps) else 6.2)


GPU_BANK = 7.5
"""Volumes that a bank holds on a GPU: three with their spectra, the amplitude, the solvent, what is being copied."""


def gpu_memory(inputs: Inputs, parameters: BandParameters) -> float:
    """Return the peak in bytes on a GPU of a sum of bands: the bank and the sum."""
    return gpu_bytes(inputs.grid, GPU_BANK + 1.0)


OUTPUTS = {
    "sharpened.mrc": "the processed map, in standard deviations of the solvent",
    "masked.mrc": "the processed map times the mask",
    "difference.mrc": "processed minus input, in standard deviations inside the mask",
}


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_square(total, first, part, last):  # type: ignore[no-untyped-def]
    # The sum of squares begins with that of ``first``, where this is given, and ends with the root at the last part.
    for z in numba.prange(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                sum2 = part[z, y, x] * part[z, y, x]
                if first is None:
                    sum2 += total[z, y, x]
                else:
                    sum2 += first[z, y, x] * first[z, y, x]
                total[z, y, x] = np.sqrt(sum2) if last else sum2
