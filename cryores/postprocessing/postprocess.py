"""Sharpened map from two half maps: FSC weighting, detector correction, B-factor from the Guinier plot, low-pass.

The mean of the half maps is divided by the detector's transfer function and weighted by what the FSC says each shell is
worth; the line through its Guinier plot gives the B-factor that levels the amplitudes. Source: Rosenthal & Henderson,
J. Mol. Biol. 333, 721 (2003).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Union

import numpy as np

from cryores.backend import gpu_bytes
from cryores.curves import csv_text, read_curve, star_text
from cryores.diagnosis import hard_mask_findings
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.filters import Response, bfactor, low_pass
from cryores.fourier import Float64, irfft, multiply_radial, rfft, shell_frequencies, shell_width
from cryores.guinier import GuinierFit, fit_guinier, mean_amplitudes
from cryores.masks import independent_share
from cryores.method import HALVES, MAP, Inputs, Method, parameter
from cryores.processed import ProcessedMap, finish
from cryores.resolution._fsc_result import FSCResult, MadeByFSC
from cryores.resolution.fsc import METHOD as FSC
from cryores.resolution.fsc import FSCParameters
from cryores.shell_correlation import reference_correlation, threshold_curve
from cryores.volume import Grid, HalfMaps, Maps, Volume, full_map

NOTHING_LEFT = 1e-4
"""In RELION the weight ends before the first shell whose FSC is below this: a matter of luck with the noise."""

SIGNIFICANT = "3-sigma"
"""Here it ends before the first shell whose FSC could be that of noise."""

USUAL_BFACTORS = (-500.0, 0.0)
"""A B-factor outside of this range (Å²) is worth a warning.

At -500 the amplitudes fall from 10 to 4 Å by a factor of 700: with noise as strong at both, half maps whose FSC is
0.143 at 4 Å would have a signal of 80 000 times the power of the noise at 10 Å.
"""

SHORTEST_FIT = 0.01
"""Range of 1/d² (1/Å²), as that from 10 to 7.07 Å, below which the Guinier plot shows the shape of the molecule.

Where that changes ln F by 1 between the ends, the B-factor is wrong by 400 Å² or more.
"""

POOR_FIT = 0.8
"""Squared correlation below which the Guinier plot is no line."""

WILSON = 10.0
"""Å: amplitudes coarser than this show the shape of the molecule, not the decay."""

SMALLEST_TRANSFER = 1e-10

MTF_COLUMN = "rlnMtfValue"


@dataclass(frozen=True)
class PostprocessParameters:
    """Parameters of the B-factor sharpening."""

    bfactor: Optional[float] = parameter(
        None,
        "B-factor that is taken out, negative to sharpen; default, the one of the Guinier plot",
        "Å²",
    )
    fit_max_resolution: float = parameter(
        WILSON, "Coarsest resolution of the Guinier fit; above 10 Å the shape of the molecule shows", "Å", 0.1
    )
    fit_min_resolution: Optional[float] = parameter(
        None, "Finest resolution of the Guinier fit; default, that of FSC 0.143", "Å", 0.1
    )
    fsc_weighting: bool = parameter(True, "Weigh every shell by sqrt(2 FSC / (1 + FSC)): what it is worth")
    low_pass: str = parameter(
        "none", "Low-pass at the end: none (the FSC weight ends by itself), fsc (at FSC 0.143), or a resolution in Å"
    )
    sharpen_to: str = parameter(
        "nyquist",
        "Where the B-factor ends: nyquist, or cutoff: shells finer than the FSC resolution stay as they are",
        choices=("nyquist", "cutoff"),
        expert=True,
    )
    mtf: Optional[str] = parameter(
        None, "STAR file of the detector's modulation transfer function (rlnResolutionInversePixel, rlnMtfValue)"
    )
    mtf_voxel_size: Optional[float] = parameter(
        None, "Pixel size of the detector's images as recorded; default, the map's voxel size", "Å", 0.01
    )
    edge: int = parameter(2, "Width of the low-pass filter's edge in shells", minimum=0, maximum=50, expert=True)
    randomise_below: float = parameter(
        0.8, "Unmasked FSC below which phases are randomised to correct for the mask", "", 0.0, 1.0, expert=True
    )
    seed: int = parameter(0, "Seed of the random phases", minimum=0, expert=True)
    compat: Optional[str] = parameter(
        None,
        "relion: FSC as RELION counts it, one weight a shell",
        choices=("relion",),
        expert=True,
    )


@dataclass(frozen=True)
class PostprocessResult(MadeByFSC, ProcessedMap):
    """A sharpened map with the curves that it was made by.

    Parameters
    ----------
    frequency : ndarray of float64
        Shells in 1/Å.
    amplitudes : dict of ndarray
        Mean amplitude of each shell: ``original``, ``mtf`` (corrected for the detector), ``weighted``, ``sharpened``.
    fit : GuinierFit or None
        The line that gave B, None where B was given.
    fsc : FSCResult or None
        FSC of the half maps, None for a single map.
    """

    frequency: Float64 = field(default_factory=lambda: np.zeros(0))
    amplitudes: Dict[str, Float64] = field(default_factory=dict)
    fit: Optional[GuinierFit] = None
    fsc: Optional[FSCResult] = None

    def tables(self) -> Dict[str, str]:
        """Return the FSC's tables, ``guinier.csv`` and ``postprocess.star`` with RELION's labels."""
        with np.errstate(divide="ignore"):
            logarithms = {n: np.where(c > 0, np.log(c), np.nan) for n, c in self.amplitudes.items()}
        guinier = {"inverse_squared_resolution": self.frequency**2, **{f"ln_{n}": c for n, c in logarithms.items()}}
        general: Dict[str, object] = {"rlnBfactorUsedForSharpening": self.details["bfactor"]}
        if self.details.get("estimate"):
            general["rlnFinalResolution"] = self.details["estimate"]
        if self.fit is not None:
            general["rlnFittedSlopeGuinierPlot"] = self.fit.bfactor / 4.0
            general["rlnFittedInterceptGuinierPlot"] = self.fit.intercept
            general["rlnCorrelationFitGuinierPlot"] = self.fit.quality
        star = {"rlnResolutionSquared": self.frequency**2}
        star.update({GUINIER_LABELS[name]: curve for name, curve in logarithms.items()})
        return {
            **({} if self.fsc is None else self.fsc.tables()),
            "guinier.csv": csv_text(guinier),
            "postprocess.star": star_text(general, star),
        }


GUINIER_LABELS = {
    "original": "rlnLogAmplitudesOriginal",
    "mtf": "rlnLogAmplitudesMTFCorrected",
    "weighted": "rlnLogAmplitudesWeighted",
    "sharpened": "rlnLogAmplitudesSharpened",
}


def postprocess(
    maps: Maps,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> PostprocessResult:
    """Sharpen a map by one B-factor, weighted by its FSC.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Two unsharpened half maps; or one map, which is then not weighted.
    mask : Volume, optional
        Soft mask for the FSC and the masked map; made when not given.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `PostprocessParameters`; ``low_pass`` may be a number (Å).

    Returns
    -------
    PostprocessResult
        ``sharpened``, on the scale of the input times the filter.

    Raises
    ------
    UsageError
        ``E_FIT_RANGE`` fewer than three shells for the fit, or its ends turned round · ``E_MTF`` a transfer function
        that cannot be divided by · ``E_LOW_PASS`` · ``E_AUTO_BFACTOR`` a map coarser than the fit's coarse end.

    Notes
    -----
    F is divided by the MTF, multiplied by sqrt(2 FSC / (1 + FSC)) up to the first shell whose FSC could be that of
    noise (3 sigma; RELION: the first below 0.0001), then by exp(-B s^2 / 4) up to Nyquist, then low-passed. B is
    fitted to the weighted amplitudes between 10 Å and FSC 0.143; RELION (``compat="relion"``) goes on to the last shell
    with weight, which is where noise makes the FSC touch 0. The amplitude of a shell is the root mean square, there
    the mean modulus: the slope is the same. Source: Rosenthal & Henderson 2003.
    """
    if isinstance(parameters.get("low_pass"), (int, float)):
        parameters["low_pass"] = str(parameters["low_pass"])  # as at the command line, where it may be a word too
    result: PostprocessResult = METHOD.result(Inputs(maps, mask=mask, keep=keep), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: PostprocessParameters, execution: Execution) -> PostprocessResult:
    grid = inputs.grid
    curves = _global_fsc(inputs, parameters, execution)
    estimate = None if curves is None else curves.resolution["0.143"]
    frequency = shell_frequencies(grid)
    amplitudes: Dict[str, Float64] = {}
    with execution.stage("sharpening"):
        spectrum = rfft(execution.backend.asarray(full_map(inputs.maps).data), execution.threads)
        amplitudes["original"] = mean_amplitudes(spectrum, grid)
        if parameters.mtf is not None:
            multiply_radial(spectrum, _without_mtf(parameters, grid), grid)
            amplitudes["mtf"] = mean_amplitudes(spectrum, grid)
        if curves is not None and parameters.fsc_weighting:
            weight = shell_weights(curves.corrected, _least_fsc(curves, inputs.mask, parameters))  # type: ignore[arg-type]
            multiply_radial(spectrum, _per_shell(frequency, weight, parameters.compat), grid)
            amplitudes["weighted"] = mean_amplitudes(spectrum, grid)
        fit = None
        b = parameters.bfactor
        if b is None:
            fit = _fitted(frequency, list(amplitudes.values())[-1], estimate, parameters, grid)
            b = fit.bfactor
        multiply_radial(spectrum, _sharpening(b, estimate, parameters, grid), grid)
        cut = _cut(parameters, estimate, grid)
        if cut is not None:
            multiply_radial(spectrum, _low_pass_by_shells(cut, parameters.edge, grid), grid)
        amplitudes["sharpened"] = mean_amplitudes(spectrum, grid)
        sharpened = execution.backend.to_host(irfft(spectrum, grid.shape, execution.threads, destroy=True))
        del spectrum
    details = _details(b, fit, estimate, cut, curves, parameters)
    fields = finish(inputs, sharpened, _criterion(b, fit, cut, parameters, curves), details, execution)
    return PostprocessResult(**fields, frequency=frequency, amplitudes=amplitudes, fit=fit, fsc=curves)


def _global_fsc(inputs: Inputs, parameters: PostprocessParameters, execution: Execution) -> Optional[FSCResult]:
    if not isinstance(inputs.maps, HalfMaps):
        return None
    chosen = FSCParameters(
        seed=parameters.seed,
        compat=parameters.compat,
        randomise_below=parameters.randomise_below,
        crossing="shell" if parameters.compat else "first",
    )
    result: FSCResult = FSC.compute(Inputs(inputs.maps, mask=inputs.mask), chosen, execution)
    return result


# --- the factors --------------------------------------------------------------------------------------------------


def shell_weights(fsc: Float64, least: Union[float, Float64]) -> Float64:
    """Return sqrt(2 FSC / (1 + FSC)) of each shell up to the one before the first FSC < ``least``, 0 from there on."""
    weights = reference_correlation(fsc)
    ended = np.flatnonzero((fsc < least)[1:])
    if ended.size:
        weights[ended[0] + 1 :] = 0.0
    weights[0] = 1.0
    return weights


def _least_fsc(curves: FSCResult, mask: Optional[Volume], parameters: PostprocessParameters) -> Union[float, Float64]:
    if parameters.compat:
        return NOTHING_LEFT
    share = 1.0 if mask is None else independent_share(mask.data)
    return threshold_curve(SIGNIFICANT, np.maximum(curves.count * share, 1.0))


def _per_shell(frequency: Float64, weight: Float64, compat: Optional[str]) -> Response:
    """Return the weight as a function of s: between shells interpolated, or that of the nearest shell (relion)."""
    if compat:
        return lambda s: np.append(weight, 0.0)[np.minimum(np.rint(s / frequency[1]).astype(int), weight.size)]
    return lambda s: np.interp(s, frequency, weight, right=0.0)


def _without_mtf(parameters: PostprocessParameters, grid: Grid) -> Response:
    mtf = read_curve(str(parameters.mtf), MTF_COLUMN)
    pixel = parameters.mtf_voxel_size or grid.spacing
    beyond = np.interp(0.5 * pixel / grid.spacing, mtf.frequency, mtf.values)
    if min(float(mtf.values.min()), float(beyond)) < SMALLEST_TRANSFER:
        raise UsageError(
            "E_MTF",
            f"the transfer function in {parameters.mtf} falls to 0: nothing can be divided by it",
            "give the detector's MTF, in values between 0 and 1",
        )
    nyquist = 1.0 / grid.nyquist

    def response(s: Float64) -> Float64:
        divided: Float64 = np.where(s <= nyquist, 1.0 / np.interp(s * pixel, mtf.frequency, mtf.values), 1.0)
        return divided

    return response


def _fitted(
    frequency: Float64, amplitude: Float64, estimate: Optional[float], parameters: PostprocessParameters, grid: Grid
) -> GuinierFit:
    coarsest = parameters.fit_max_resolution
    if estimate is not None and estimate >= coarsest:
        raise UsageError(
            "E_AUTO_BFACTOR",
            f"the resolution is {estimate:.3g} Å and the Guinier fit starts at {coarsest:.3g} Å: no B shows there",
            "give the B-factor with --bfactor",
        )
    # Beyond the estimate, the weight ends where the noise of the FSC happens to touch 0: RELION fits up to there.
    finest = grid.nyquist if parameters.compat or estimate is None else estimate
    return fit_guinier(frequency, amplitude, coarsest, parameters.fit_min_resolution or finest)


def _sharpening(b: float, estimate: Optional[float], parameters: PostprocessParameters, grid: Grid) -> Response:
    sharpen = bfactor(b)
    if parameters.sharpen_to == "cutoff" and estimate is not None:
        return lambda s: np.where(s <= 1.0 / estimate, sharpen(s), 1.0)
    return lambda s: np.where(s <= 1.0 / grid.nyquist * (1.0 + 1e-6), sharpen(s), 0.0)


def _cut(parameters: PostprocessParameters, estimate: Optional[float], grid: Grid) -> Optional[float]:
    if parameters.low_pass == "none":
        return None
    return estimate if parameters.low_pass == "fsc" else float(parameters.low_pass)


def _low_pass_by_shells(cut: float, edge: int, grid: Grid) -> Response:
    """Return the low-pass whose edge of so many shells has its middle at ``cut``, given to a whole shell."""
    width = shell_width(grid)
    start = (round(1.0 / (cut * width)) - edge / 2.0) * width
    return low_pass(1.0 / max(start, 0.5 * width), edge * width)


# --- words --------------------------------------------------------------------------------------------------------


def _details(
    b: float,
    fit: Optional[GuinierFit],
    estimate: Optional[float],
    cut: Optional[float],
    curves: Optional[FSCResult],
    parameters: PostprocessParameters,
) -> Dict[str, Any]:
    doubts: List[str] = [] if curves is None else list(curves.details.get("warnings", []))
    if fit is not None and b > 0:
        doubts.append(
            f"amplitudes do not decay (B-factor {b:.1f} Å²): the map looks sharpened before; give the raw half maps"
        )
    elif not USUAL_BFACTORS[0] <= b <= USUAL_BFACTORS[1]:
        doubts.append(
            f"the B-factor {b:.1f} Å² is unusual, beyond {USUAL_BFACTORS[0]:g} to 0: look at the Guinier plot"
        )
    found: Dict[str, Any] = {"bfactor": b, "estimate": estimate, "low_pass_resolution": cut, "seed": parameters.seed}
    if fit is not None:
        if fit.finest**-2 - fit.coarsest**-2 < SHORTEST_FIT:
            doubts.append(
                f"the Guinier fit from {fit.coarsest:.2f} to {fit.finest:.2f} Å is short: there the shape of the "
                f"molecule makes the slope, and the B-factor {b:.1f} Å² is a guess; give one with --bfactor"
            )
        if fit.quality < POOR_FIT:
            doubts.append(f"the Guinier plot is no line (r^2 = {fit.quality:.2f}): the B-factor {b:.1f} Å² is a guess")
        found.update(
            guinier_quality=fit.quality,
            guinier_shells=fit.shells,
            fit_max_resolution=fit.coarsest,
            fit_min_resolution=fit.finest,
        )
    if curves is not None:
        found["resolution"] = curves.resolution
    return {**found, "warnings": doubts}


def _criterion(
    b: float,
    fit: Optional[GuinierFit],
    cut: Optional[float],
    parameters: PostprocessParameters,
    curves: Optional[FSCResult],
) -> str:
    origin = "given" if fit is None else f"fitted from {fit.coarsest:.2f} to {fit.finest:.2f} Å, r^2 {fit.quality:.3f}"
    weighted = "weighted by sqrt(2 FSC / (1 + FSC)), " if curves is not None and parameters.fsc_weighting else ""
    end = f", low-passed at {cut:.2f} Å" if cut is not None else ""
    return f"Map {weighted}sharpened by B = {b:.1f} Å² ({origin}){end}; density on the input's scale times the filter"


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: PostprocessParameters) -> List[str]:
    found = []
    single = not isinstance(inputs.maps, HalfMaps)
    if parameters.low_pass not in ("none", "fsc"):
        _check_low_pass(parameters.low_pass, inputs.grid)
    if parameters.low_pass == "fsc" and single:
        raise UsageError("E_LOW_PASS", "one map has no FSC to be low-passed at", "give a resolution in Å or the halves")
    if single and parameters.low_pass == "none":
        found.append("a single map is not weighted: sharpening raises its noise too; give the half maps, or --low-pass")
    if parameters.mtf is not None:
        _without_mtf(parameters, inputs.grid)
    finest, coarsest = parameters.fit_min_resolution, parameters.fit_max_resolution
    if parameters.bfactor is None and finest is not None and finest >= coarsest:
        raise UsageError(
            "E_FIT_RANGE",
            f"the range of the Guinier fit is upside down: it would go from {coarsest:.3g} to {finest:.3g} Å",
            "--fit-min-resolution is the fine end, the smaller number of Å",
        )
    if not single and inputs.mask is not None:
        found += map(str, hard_mask_findings(inputs.mask))
    return found


def _check_low_pass(text: str, grid: Grid) -> None:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not grid.nyquist * (1.0 - 1e-6) <= value <= max(grid.extent):
        raise UsageError(
            "E_LOW_PASS",
            f"--low-pass: {text!r} is neither none, nor fsc, nor a resolution from {grid.nyquist:.4g} Å up to the box",
            "a resolution in Å, such as 3.2",
        )


def _memory(inputs: Inputs, parameters: PostprocessParameters, threads: int) -> float:
    # In volumes: what the masked FSC holds; then map, spectrum, sharpened map, and what changed.
    return 4.0 * inputs.grid.size * (5.7 if isinstance(inputs.maps, HalfMaps) else 4.7)


def _gpu_memory(inputs: Inputs, parameters: PostprocessParameters) -> float:
    # In volumes: what the masked FSC holds; of one map, its spectrum and itself.
    return gpu_bytes(inputs.grid, 4.3 if isinstance(inputs.maps, HalfMaps) else 2.3)


METHOD = Method(
    name="postprocess",
    title="Post-processing by B-factor and FSC",
    maps=(HALVES, MAP),
    parameters=PostprocessParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "sharpened.mrc": "the sharpened map",
        "masked.mrc": "the sharpened map times the mask",
        "difference.mrc": "sharpened minus input, in standard deviations inside the mask",
        "guinier.csv": "logarithms of the mean amplitudes against 1/d^2",
        "postprocess.star": "B-factor, fit and Guinier plot with RELION's labels",
        "fsc.star": "the FSC curves",
        "fsc.xml": "the corrected FSC in EMDB's format",
        "fsc.csv": "the same curves, with the number of independent coefficients of each shell",
    },
    citations=("Rosenthal2003", "Chen2013"),
    optional=("keep",),
    mask="made",
    soft_mask=True,
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
