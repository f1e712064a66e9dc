"""Local B-factor: how fast amplitudes decay with resolution, by a Guinier fit in every voxel.

Source: Kaur et al., Nat. Commun. 12, 1240 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.backend import gpu_bytes
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalMap, Method, parameter
from cryores.postprocessing._spiral_bank import GPU_BANK, BandParameters, Bank, finest_band, solvent
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Maps, Volume

LEAST_POINTS = 3
"""Bands that a voxel's line must have."""


@dataclass(frozen=True)
class LocbfactorParameters(BandParameters):
    """Parameters of LocBFactor: from 15 Å on, where amplitudes no longer show the shape of the molecule."""

    max_resolution: float = parameter(15.0, "Coarsest resolution of the fit", "Å", 1.0)
    min_resolution: Optional[float] = parameter(
        None, "Finest resolution of the fit; default, FSC 0.143 of the half maps", "Å", 0.1
    )
    quantile: float = parameter(
        0.9, "Share of the solvent's amplitudes that lie below the noise level of a band", "", 0.0, 0.999
    )
    points: int = parameter(10, "Bands, evenly spaced in frequency", "", LEAST_POINTS, 100)
    only_significant: bool = parameter(False, "Leave out the bands where a voxel does not stand out of the noise")


@dataclass(frozen=True)
class LocalBfactor(LocalMap):
    """The line ln(amplitude) = amplitude + bfactor / 4 s^2 of every voxel.

    Parameters
    ----------
    bfactor : Volume
        Å², negative where amplitudes decay; NaN outside the mask and where too few bands count.
    amplitude : Volume
        ln(amplitude) at s = 0, of waves normalised so that white noise of unit variance has coefficients of one.
    mask : Volume
        1 where it was asked for.
    criterion : str
        What a value means.
    details : dict
        Range and number of bands.
    """

    quantity = "Local B-factor, negative for decay"
    unit = "Å²"

    bfactor: Volume
    amplitude: Volume
    mask: Volume
    criterion: str
    details: Dict[str, Any] = field(default_factory=dict)

    @property
    def local(self) -> Volume:
        """The B-factor in Å²."""
        return self.bfactor

    def volumes(self) -> Dict[str, Volume]:
        """Return ``bfactor`` and ``amplitude``."""
        return {"bfactor": self.bfactor, "amplitude": self.amplitude}


def locbfactor(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> LocalBfactor:
    """Fit a B-factor in every voxel.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened, unmasked half maps, whose mean is analysed; or one map.
    mask : Volume, optional
        Tight around the molecule: what is outside counts as solvent. Made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocbfactorParameters`.

    Returns
    -------
    LocalBfactor
        ``bfactor`` in Å², negative where amplitudes decay, as of a global Guinier fit.

    Raises
    ------
    UsageError
        ``E_RANGE`` fewer than three Fourier pixels in the range · ``E_NO_HALVES`` one map and no ``min_resolution``.
    InputError
        ``E_NO_NOISE`` a mask without solvent around it.

    Notes
    -----
    In bands of frequency s the monogenic amplitude m of a voxel, weighted by m / (m + Q) with the solvent's quantile Q,
    gives y = ln(m^2 / (m + Q)). The least-squares line of y over s^2 has the slope B / 4. Sums over the bands are kept,
    not the bands. The published program's amplitude leaves out directions (``compat="locspiral"``).
    """
    result: LocalBfactor = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LocbfactorParameters, execution: Execution) -> LocalBfactor:
    assert inputs.mask is not None
    grid, inside = inputs.grid, inputs.mask.data > BINARY_THRESHOLD
    finest = finest_band(inputs.maps, inputs.mask, parameters.min_resolution, execution.threads)
    centres = _centres(grid, parameters.max_resolution, finest, parameters.points)
    bank = Bank(inputs.maps, solvent(grid, inside, parameters.compat), parameters, execution)
    slope, intercept = _fitted_lines(bank, centres, inside, parameters.only_significant)
    criterion = (
        f"B = 4 times the slope of ln(local amplitude) over the squared frequency, {parameters.points} bands of "
        f"{parameters.bandwidth:g} Fourier pixels from {parameters.max_resolution:.3g} to {finest:.3g} Å; negative "
        "where amplitudes decay, as published (atoms, and LocScale, count it positive)"
    )
    details = {"min_resolution": finest, "bands": len(centres)}
    return LocalBfactor(
        _placed(4.0 * slope, inside, grid), _placed(intercept, inside, grid), inputs.mask, criterion, details
    )


def _centres(grid: Grid, coarsest: float, finest: float, points: int) -> Float64:
    """Return the centres of the bands in Fourier pixels of the longest edge."""
    edge = max(grid.extent)
    low, high = int(edge / coarsest), int(edge / finest)
    if low < 1 or high < low + LEAST_POINTS:
        raise UsageError(
            "E_RANGE",
            f"a box of {edge:.4g} Å holds too few frequencies between {coarsest:.4g} and {finest:.4g} Å for a line",
            "give a coarser --max-resolution or a finer --min-resolution",
        )
    return np.linspace(low, high, points)


def _fitted_lines(bank: Bank, centres: Float64, inside: BoolArray, only_significant: bool) -> Tuple[Float64, Float64]:
    """Return slope (Å²) and intercept of the line of every voxel inside, NaN where too few bands count."""
    squares = (centres / max(bank.maps.grid.extent)) ** 2
    # About their mean, so that the sums lose no digits.
    middle = squares.mean()
    n, sx, sxx, sy, sxy = (np.zeros(int(np.count_nonzero(inside))) for _ in range(5))
    there = bank.execution.backend
    region = there.asarray(inside)
    for x, band in zip(squares - middle, bank.bands(centres)):
        amplitude = there.to_host(band.amplitude[region])
        y, counts = _logarithms(amplitude, band.noise, bank.maps.grid.size, only_significant)
        n += counts
        sx += np.where(counts, x, 0.0)
        sxx += np.where(counts, x * x, 0.0)
        sy += np.where(counts, y, 0.0)
        sxy += np.where(counts, x * y, 0.0)
    enough = n >= LEAST_POINTS
    spread = np.where(enough, n * sxx - sx * sx, np.nan)
    slope = (n * sxy - sx * sy) / spread
    intercept = np.where(enough, sy - slope * sx, np.nan) / np.maximum(n, 1) - slope * middle
    return slope, intercept


def _logarithms(amplitude: FloatArray, noise: float, size: int, only_significant: bool) -> Tuple[Float64, BoolArray]:
    """Return ln(m^2 / (m + Q)) of amplitudes m, and which of them count."""
    amplitude = amplitude.astype(np.float64)
    counts: BoolArray = amplitude > 0
    if only_significant:
        counts &= amplitude >= noise
    weighted = np.divide(amplitude**2, amplitude + noise, out=np.ones_like(amplitude), where=counts)
    return np.log(weighted / np.sqrt(size)), counts


def _placed(values: Float64, inside: BoolArray, grid: Grid) -> Volume:
    data = np.full(grid.shape, np.nan, dtype=np.float32)
    data[inside] = values
    return Volume(data, grid)


def _check(inputs: Inputs, parameters: LocbfactorParameters) -> List[str]:
    if not isinstance(inputs.maps, HalfMaps):
        finest_band(inputs.maps, None, parameters.min_resolution, 1)
    if parameters.min_resolution is not None:
        finest = max(parameters.min_resolution, inputs.grid.nyquist)
        _centres(inputs.grid, parameters.max_resolution, finest, parameters.points)
    return []


def _memory(inputs: Inputs, parameters: LocbfactorParameters, threads: int) -> float:
    # In volumes: spectrum, two bands, amplitude and solvent; twelve doubles a voxel of the mask.
    share = 0.3 if inputs.mask is None else np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD) / inputs.grid.size
    return 4.0 * inputs.grid.size * (4.3 + 24.0 * share)


def _gpu_memory(inputs: Inputs, parameters: LocbfactorParameters) -> float:
    # The bank, the region inside the mask, and the amplitudes in it.
    return gpu_bytes(inputs.grid, GPU_BANK + 0.5)


METHOD = Method(
    name="locbfactor",
    title="LocBFactor",
    maps=(HALVES, MAP),
    parameters=LocbfactorParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "bfactor.mrc": "local B-factor in Å², negative where amplitudes decay, 0 outside the mask",
        "amplitude.mrc": "ln(amplitude) at frequency 0 of the fitted line",
    },
    citations=("Kaur2021",),
    mask="made",
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
