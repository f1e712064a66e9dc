"""Local resolution as the finest wave that a local model finds significant: ResMap.

At each scale, finest first, a steerable model is fitted around every voxel; a voxel gets the first scale at which the
model explains more than noise would. Noise is measured on half the difference of the half maps, or on the background.
Source: Kucukelbir, Sigworth & Tagare, Nat. Methods 11, 63 (2014).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import scipy.fft

from cryores.backend import Array, gpu_bytes
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import gaussian
from cryores.fourier import Float64, filtered, radial_power
from cryores.masks import BINARY_THRESHOLD, bounding_box
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.resample import resampled, resampled_grid
from cryores.resolution._steerable import autocorrelation, model_at, noise_variance, statistic
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, IntTriple, Maps, Volume, full_map
from cryores.weighted_chi_square import log_tail, quantile
from cryores.whitening import Whitening, fit_whitening

FINEST_SCALE = 2.2
"""Voxels: finer waves do not fit the model's window."""

COARSEST_SCALE = 8.0
"""Voxels: default end of the range. The published program ends at 4, where most maps hold no significant wave yet."""

LOW_PASSED = 1e-4
"""Share of the median power of the shells below which a shell is empty: the map was low-passed."""

LEAST_CUT = 0.85
"""A map is put on a coarser grid when its low-pass lies below this share of Nyquist."""

CUT_EDGE = 2.0
"""Voxels: standard deviation of the blur of the region that the spectrum of the noise is measured in."""

LEAST_NOISE = 1e-9
"""Share of the map's variance below which noise is a rounding error."""

LEAST_VOXELS = 1000
"""Voxels that noise is measured on, at the least."""

TABLE = 40
"""Points at which the tail is computed; between them a spline goes through its logarithm."""


@dataclass(frozen=True)
class ResmapParameters:
    """Parameters of ResMap."""

    min_resolution: Optional[float] = parameter(
        None, "Finest resolution that is tested; default, and at the least, 2.2 voxels", "Å", 0.1
    )
    max_resolution: Optional[float] = parameter(None, "Coarsest resolution that is tested; default, 8 voxels", "Å", 0.1)
    resolution_step: float = parameter(1.0, "Distance of the tested resolutions", "Å", 0.05)
    p_value: float = parameter(0.05, "Significance at which a voxel is assigned", "", 1e-12, 0.5)
    correction: str = parameter(
        "benjamini-yekutieli",
        "For the number of voxels tested: benjamini-yekutieli (false discovery rate), or none",
        choices=("benjamini-yekutieli", "none"),
    )
    whiten: str = parameter(
        "nyquist",
        "Make the noise's spectrum flat first: up to nyquist, as published; full, into the corners: stricter; or none",
        choices=("nyquist", "full", "none"),
    )
    compat: Optional[str] = parameter(
        None, "resmap: small eigenvalues are dropped, as the published program does", choices=("resmap",), expert=True
    )


@dataclass(frozen=True)
class ResmapResult(LocalResolution):
    """A local-resolution map and what was done to the noise.

    Parameters
    ----------
    whitening : Whitening or None
        The noise's spectrum before and after, None where it was left as it was.
    """

    whitening: Optional[Whitening] = field(default=None)


def resmap(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> ResmapResult:
    """Compute the local resolution by testing a steerable local model against noise.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Half maps (preferred); or one map with noise around the molecule. Neither masked, sharpened nor filtered.
    mask : Volume, optional
        Voxels above 0.5 are tested; made when not given. Of half maps noise is measured inside, of one map outside.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `ResmapParameters`.

    Returns
    -------
    ResmapResult
        ``resolution`` in Å, NaN outside the mask and where no tested scale is significant.

    Raises
    ------
    UsageError
        ``E_RANGE`` a range that is empty or finer than 2.2 voxels.
    InputError
        ``E_NO_NOISE`` no noise, or too few voxels to measure it on.

    Notes
    -----
    Differences from the published program: all 16 eigenvalues count (``compat="resmap"`` drops small ones, and at fine
    scales has 7 % false positives where 5 % were asked for); the trace of the variance counts the mean of a window;
    tails are computed to a relative 1e-9; noise is measured in all windows at once, from its autocorrelation, not in
    separate whole ones; the false discovery rate is the step-up procedure itself; whitening is automatic; a low-passed
    map is put on a coarser grid in Fourier space; windows at the border of the box reach round.
    """
    result: ResmapResult = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: ResmapParameters, execution: Execution) -> ResmapResult:
    assert inputs.mask is not None
    threads = execution.threads
    data, noise = _data_and_noise(inputs.maps)
    inside = inputs.mask.data > BINARY_THRESHOLD
    region = _noise_region(inputs.maps, inside)
    _require_noise(noise, region, float(data.var(dtype=np.float64)))
    with execution.stage("preparing the maps"):
        shape = _useful_shape(data, inputs.grid, threads)
        grid = resampled_grid(inputs.grid, shape)
        data = resampled(data, shape, threads)
        noise = resampled(noise, shape, threads)
        tested, region = (_resampled_mask(m, shape, threads) for m in (inside, region))
        whitening = None
        if parameters.whiten != "none":
            end = np.inf if parameters.whiten == "full" else 1.0 / grid.nyquist
            whitening = fit_whitening(*_amplitude_in(noise, region, grid, threads), end)
            # One after the other: each transform needs volumes of its own.
            data = filtered(data, whitening.response(), grid, threads)
            noise = filtered(noise, whitening.response(), grid, threads)
        correlation = autocorrelation(noise, region, threads)
        del noise
    scales = tested_resolutions(grid, parameters)
    level, counts = _sweep(execution.backend.asarray(data), correlation, tested, scales, grid, parameters, execution)
    values = np.where(level > 0, scales[level - 1], np.nan).astype(np.float32)
    resolution = _on_input_grid(values, inputs.grid.shape)
    resolution[~inside] = np.nan
    return ResmapResult(
        resolution=Volume(resolution, inputs.grid),
        mask=inputs.mask,
        criterion=_criterion(inputs, parameters),
        details=_details(scales, counts, whitening, grid, inputs.grid, parameters),
        whitening=whitening,
    )


# --- input --------------------------------------------------------------------------------------------------------


def _data_and_noise(maps: Maps) -> Tuple[FloatArray, FloatArray]:
    full = full_map(maps).data
    data = full - np.float32(full.mean(dtype=np.float64))
    return data, maps.noise().data if isinstance(maps, HalfMaps) else data


def _noise_region(maps: Maps, inside: BoolArray) -> BoolArray:
    """Return where noise is measured: of half maps where it is tested, of one map around it in the inscribed sphere."""
    if isinstance(maps, HalfMaps):
        return inside
    # About the middle of the array, so that a turned array has the turned region.
    z, y, x = (((np.arange(n) - 0.5 * (n - 1)) / (0.5 * n - 1.0)) ** 2 for n in inside.shape)
    ball: BoolArray = z[:, None, None] + y[:, None] + x < 1.0
    return ball & ~inside


def _require_noise(noise: FloatArray, region: BoolArray, whole: float) -> None:
    """Refuse what holds no noise beside ``whole``, the variance of the map."""
    count = int(np.count_nonzero(region))
    if count < LEAST_VOXELS or not noise[region].var(dtype=np.float64) > LEAST_NOISE * whole:
        raise InputError(
            "E_NO_NOISE",
            f"the {count} voxels where noise is measured hold none, or are too few",
            "give half maps, not masked and not filtered, or for one map a mask that leaves a background",
        )


def _useful_shape(data: FloatArray, grid: Grid, threads: int) -> IntTriple:
    """Return the shape of the grid that holds what a low-pass filter has left, the input's where there was none."""
    frequency, power = radial_power(data, grid, threads)
    filled = np.flatnonzero(power > LOW_PASSED * np.median(power[1:]))
    cut = float(frequency[filled[-1]]) * grid.nyquist if filled.size else 1.0
    if cut >= LEAST_CUT:
        return grid.shape
    z, y, x = (scipy.fft.next_fast_len(int(np.ceil(n * cut * 1.05)), real=True) for n in grid.shape)
    return (min(z, grid.shape[0]), min(y, grid.shape[1]), min(x, grid.shape[2]))


def _resampled_mask(mask: BoolArray, shape: IntTriple, threads: int) -> BoolArray:
    if mask.shape == shape:
        return mask
    return resampled(mask.astype(np.float32), shape, threads) > BINARY_THRESHOLD


def _amplitude_in(noise: FloatArray, region: BoolArray, grid: Grid, threads: int) -> Tuple[Float64, Float64]:
    """Return the shells and the amplitude of the noise inside ``region``, softly cut out."""
    window = filtered(region.astype(np.float32), gaussian(CUT_EDGE * grid.spacing), grid, threads)
    level = np.float32(np.vdot(noise, window) / window.sum(dtype=np.float64))
    frequency, power = radial_power((noise - level) * window, grid, threads)
    return frequency, np.sqrt(power)


def _on_input_grid(values: FloatArray, shape: IntTriple) -> FloatArray:
    """Return the value of the nearest voxel: between two scales there is none."""
    if values.shape == shape:
        return values
    nearest = np.ix_(
        *(np.minimum(np.rint(np.arange(n) * m / n).astype(int), m - 1) for n, m in zip(shape, values.shape))
    )
    return values[nearest].copy()


# --- the sweep ----------------------------------------------------------------------------------------------------


def tested_resolutions(grid: Grid, parameters: ResmapParameters) -> Float64:
    """Return the tested resolutions in Å, the finest first.

    Raises
    ------
    UsageError
        ``E_RANGE`` if there is none.
    """
    least = np.ceil(FINEST_SCALE * grid.spacing * 10.0 - 1e-6) / 10.0
    finest = max(parameters.min_resolution or 0.0, float(least))
    coarsest = parameters.max_resolution or max(round(2.0 * COARSEST_SCALE * grid.spacing) / 2.0, finest)
    if coarsest < finest - 1e-6:
        raise UsageError(
            "E_RANGE",
            f"the coarsest resolution tested, {coarsest:g} Å, is finer than the finest, {finest:g} Å",
            f"the finest that voxels of {grid.spacing:.3g} Å can hold is {least:g} Å (2.2 voxels)",
        )
    count = int(np.floor((coarsest - finest) / parameters.resolution_step + 1e-6)) + 1
    return finest + parameters.resolution_step * np.arange(count)


def _sweep(
    data: Array,
    correlation: FloatArray,
    tested: BoolArray,
    scales: Float64,
    grid: Grid,
    parameters: ResmapParameters,
    execution: Execution,
) -> Tuple[Any, List[int]]:
    """Return for each voxel the number (from 1) of the first significant scale, 0 for none, and how many got each."""
    level = np.zeros(data.shape, dtype=np.int16)
    untold = tested.copy()
    counts = []
    compat = parameters.compat is not None
    with execution.stage("testing scales", len(scales)) as stage:
        for number, scale in enumerate(scales, 1):
            model = model_at(scale, grid.spacing)
            values = statistic(data, model, untold)
            values /= np.float32(noise_variance(model, correlation, compat))
            passed = values >= _threshold(values, model.null_weights(compat), parameters)
            level[untold] = np.where(passed, number, 0)
            untold[untold] = ~passed
            counts.append(int(np.count_nonzero(passed)))
            stage.advance()
            if passed.all():
                break
    return level, counts


def _threshold(values: FloatArray, weights: Float64, parameters: ResmapParameters) -> float:
    """Return what a statistic has to reach; infinite where none of ``values`` is significant."""
    if parameters.correction == "none" or not values.size:
        return quantile(parameters.p_value, weights)
    return benjamini_yekutieli(values, weights, parameters.p_value)


def benjamini_yekutieli(values: FloatArray, weights: Float64, rate: float) -> float:
    """Return the threshold at which the false discovery rate of dependent tests is at most ``rate``.

    The k most significant of m values pass, with the largest k whose p-value is at most k rate / (m H_m). Source:
    Benjamini & Yekutieli, Ann. Stat. 29, 1165 (2001).
    """
    from scipy.interpolate import CubicSpline

    ordered = np.sort(values)[::-1].astype(np.float64)
    m = ordered.size
    # No value passes at a larger p than the rate itself.
    candidates = ordered[ordered > quantile(rate, weights)]
    if not candidates.size:
        return np.inf
    places = np.linspace(candidates[-1] * (1.0 - 1e-6), candidates[0] * (1.0 + 1e-6), TABLE)
    logs = CubicSpline(places, [log_tail(x, weights) for x in places])(candidates)
    harmonic = np.log(m) + np.euler_gamma + 0.5 / m
    allowed = np.log(rate / (m * harmonic)) + np.log(np.arange(1, candidates.size + 1))
    passing = np.flatnonzero(logs <= allowed)
    return float(candidates[passing[-1]]) if passing.size else np.inf


# --- words --------------------------------------------------------------------------------------------------------


def _details(
    scales: Float64,
    counts: List[int],
    whitening: Optional[Whitening],
    grid: Grid,
    source: Grid,
    parameters: ResmapParameters,
) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "min_resolution": float(scales[0]),
        "max_resolution": float(scales[-1]),
        "tested_resolutions": scales.tolist(),
        "voxels_assigned": counts,
        "working_voxel_size": grid.spacing,
    }
    if grid.shape != source.shape:
        found["warnings"] = [
            f"the map was low-passed near {grid.nyquist:.2f} Å: it was analysed on voxels of {grid.spacing:.2f} Å; "
            "give the unfiltered map"
        ]
    if whitening is not None:
        found["noise_slope_after_whitening"] = whitening.slope
    return found


def _criterion(inputs: Inputs, parameters: ResmapParameters) -> str:
    noise = "half the difference of the halves" if isinstance(inputs.maps, HalfMaps) else "the background"
    corrected = "false discovery rate" if parameters.correction != "none" else "uncorrected p-value"
    return (
        f"Finest scale at which a local steerable model explains more than noise ({noise}) would, "
        f"{corrected} {parameters.p_value:g}"
    )


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: ResmapParameters) -> List[str]:
    tested_resolutions(inputs.grid, parameters)
    if isinstance(inputs.maps, HalfMaps):
        return []
    return ["a single map shows its noise only outside the molecule: half maps are better"]


def _memory(inputs: Inputs, parameters: ResmapParameters, threads: int) -> float:
    # In volumes: data, noise, the map's spectrum, a plan's real and spectrum, and the sum of squares; while the maps
    # are prepared, copies and spectra of both. Each tested voxel has its place (8 bytes) and its statistic.
    tested = inputs.grid.size if inputs.mask is None else np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD)
    return 4.0 * inputs.grid.size * 6.3 + 28.0 * float(tested)


def _gpu_memory(inputs: Inputs, parameters: ResmapParameters) -> float:
    # The map, and what of it the windows of the mask reach into, cut out along one axis after the other.
    grid, mask = inputs.grid, inputs.mask
    coarsest = float(tested_resolutions(grid, parameters)[-1])
    reach = 2 * int(np.ceil(0.5 * coarsest / grid.spacing))
    size = grid.shape if mask is None else [part.stop - part.start for part in bounding_box(mask)]
    along_z, along_y = (n + reach for n in size[:2])
    return gpu_bytes(grid, 1.0) + 4.0 * along_z * (grid.shape[1] + along_y) * grid.shape[2]


METHOD = Method(
    name="resmap",
    title="ResMap",
    maps=(HALVES, MAP),
    parameters=ResmapParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={"resolution.mrc": "local resolution in Å, 0 outside the mask and where no tested scale is significant"},
    citations=("Kucukelbir2014",),
    mask="made",
    check=_check,
)
