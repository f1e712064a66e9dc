"""Map sharpened by the B-factor that shows most detail in fewest pieces: AutoSharpen.

Source: Terwilliger, Sobolev, Afonine & Adams, Acta Cryst. D 74, 545 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.backend import Array, gpu_bytes
from cryores.curves import csv_text
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.filters import Response
from cryores.fourier import Float64, multiply_radial, rfft, shell_frequencies, shell_sums
from cryores.guinier import fit_guinier, mean_amplitudes
from cryores.masks import BINARY_THRESHOLD, SOFT_EDGE, bounding_box, softened
from cryores.method import HALVES, MAP, Inputs, Method, parameter
from cryores.postprocessing._adjusted_surface import Surface, kurtosis, region_weight, surface_of
from cryores.postprocessing.postprocess import shell_weights
from cryores.processed import ProcessedMap, finish
from cryores.resolution._fsc_result import FSCResult, MadeByFSC
from cryores.resolution.fsc import METHOD as FSC
from cryores.shell_correlation import fsc_curve
from cryores.volume import FloatArray, Grid, HalfMaps, Maps, Volume, full_map

SHAPE = 10.0
"""Å: the Guinier fit begins here; coarser shells show the shape of the molecule."""

BEYOND = 0.833
"""Share of the resolution (Å) up to which a map is kept; it is 0 beyond."""

BLUR = 200.0
"""Å² of blur for what is finer than the resolution."""

STEEPNESS = 10.0
"""1/Å: how fast the blur sets in about the resolution."""

LARGEST_EXPONENT = 20.0

USUAL_WEIGHT = 30.0
"""Weight of the regions where the map does not tell."""

LEAST_FSC = 0.0001

VARIANTS = ("b-iso", "half-maps", "model", "best")


@dataclass(frozen=True)
class AutosharpenParameters:
    """Parameters of AutoSharpen."""

    resolution: Optional[float] = parameter(
        None, "Resolution of the map; default, FSC 0.143 of the half maps", "Å", 0.1
    )
    target: str = parameter(
        "surface", "What is made largest: the adjusted surface area, or the kurtosis", choices=("surface", "kurtosis")
    )
    variant: str = parameter(
        "b-iso",
        "b-iso: one B-factor; half-maps: shells levelled and weighted by their FSC; model: shells as strong as the "
        "model's; best: the highest score of those that the input allows",
        choices=VARIANTS,
    )
    b_min: float = parameter(-100.0, "Smallest B of the result that is tried", "Å²", -1000, 1000)
    b_max: float = parameter(300.0, "Largest B of the result that is tried", "Å²", -1000, 1000)
    trials: int = parameter(21, "B-factors that are tried", "", 3, 200)
    region_weight: Optional[float] = parameter(
        None, "How much the number of regions counts; default, found from three trials", "", 0.0
    )


@dataclass(frozen=True)
class AutosharpenResult(MadeByFSC, ProcessedMap):
    """A sharpened map and the search that found it.

    Parameters
    ----------
    tried : dict of dict of ndarray
        Variant -> for each of its trials ``b_iso`` (Å²), ``score``, and of surfaces ``area``, ``regions``.
    fsc : FSCResult or None
        FSC of the half maps, None for a single map.
    """

    tried: Dict[str, Dict[str, Float64]] = field(default_factory=dict)
    fsc: Optional[FSCResult] = None

    def tables(self) -> Dict[str, str]:
        """Return ``search_VARIANT.csv``, a row a trial."""
        return {f"search_{variant}.csv": csv_text(columns) for variant, columns in self.tried.items()}


def autosharpen(
    maps: Maps,
    mask: Optional[Volume] = None,
    model: Optional[str] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> AutosharpenResult:
    """Sharpen a map by the B-factor that shows most detail in fewest pieces.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Half maps, whose mean is sharpened; or one map.
    mask : Volume, optional
        Tight around the molecule: its volume sets the contour, and what is outside does not count. Made when not given.
    model : str, optional
        Path of an atomic model in the frame of the map, for ``variant="model"``.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `AutosharpenParameters`.

    Returns
    -------
    AutosharpenResult
        ``sharpened``, on the scale of the input times the filter.

    Raises
    ------
    UsageError
        ``E_NO_HALVES`` one map and no resolution, or a variant that wants halves · ``E_MISSING_INPUT`` no model for
        ``variant="model"`` · ``E_RANGE`` B-factors upside down · ``E_FIT_RANGE`` fewer than three shells from 10 Å on.

    Notes
    -----
    With B0 of the map from a Guinier fit, F is multiplied by exp((B0 - b) s^2 / 4) for each b that is tried, blurred by
    200 Å² more beyond the resolution, and cut at 0.833 of it; the map with the highest score wins. The score is the
    surface of the largest regions by their volume, minus a weight times the number of regions. Differences from Phenix:
    only density inside the mask counts; B0 is a Guinier fit, not a Wilson scaling; no anisotropy is taken out.
    """
    result: AutosharpenResult = METHOD.result(Inputs(maps, mask=mask, model=model, keep=keep), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: AutosharpenParameters, execution: Execution) -> AutosharpenResult:
    assert inputs.mask is not None
    curves = _fsc(inputs, execution)
    resolution = parameters.resolution or (None if curves is None else curves.resolution["0.143"])
    if resolution is None:
        raise UsageError("E_NO_HALVES", "the resolution of the map is not known", "give --resolution")
    search = _Search(inputs, resolution, parameters, execution)
    tried: Dict[str, Dict[str, Float64]] = {}
    best: Tuple[float, str, float, Response] = (-np.inf, "", 0.0, lambda s: s)
    bases = _bases(inputs, search, curves, parameters, execution)
    with execution.stage("sharpening", sum(len(_trials(name, parameters)) for name in bases)) as stage:
        for name, base in bases.items():
            rows = []
            for b in _trials(name, parameters):
                response = search.response(base, b)
                rows.append({"b_iso": b, **search.measure(response)})
                best = max(best, (rows[-1]["score"], name, b, response), key=lambda one: one[0])
                stage.advance()
            tried[name] = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    score, chosen, b, response = best
    details = {
        "resolution_used": resolution,
        "map_bfactor": search.map_bfactor,
        # As in postprocess: negative where it sharpens.
        "bfactor": b - search.map_bfactor if chosen == "b-iso" else None,
        "b_iso": b,
        "variant": chosen,
        "score": score,
        "region_weight": search.region_weight,
        "warnings": _doubts(tried[chosen], b, search.map_bfactor),
    }
    sharpened = execution.backend.to_host(search.sharpened(response))
    # They hold the search, and with it two spectra.
    del search, bases, base, response, best
    fields = finish(inputs, sharpened, _criterion(details, resolution, parameters), details, execution)
    return AutosharpenResult(**fields, tried=tried, fsc=curves)


class _Search:
    """The map's spectrum, and how a filtered map scores inside the mask."""

    def __init__(
        self, inputs: Inputs, resolution: float, parameters: AutosharpenParameters, execution: Execution
    ) -> None:
        assert inputs.mask is not None
        self.grid, self.resolution, self._target = inputs.grid, resolution, parameters.target
        self.box = bounding_box(inputs.mask)
        self._inside = inputs.mask.data[self.box] > BINARY_THRESHOLD
        self._there = there = execution.backend
        self._fft = there.real_fft(self.grid.shape, execution.threads)
        self.spectrum, self._scratch = self._fft.empty_spectrum(), self._fft.empty_spectrum()
        self._real = self._fft.empty_real()
        self._real[...] = there.asarray(full_map(inputs.maps).data)
        self._fft.forward(self._real, self.spectrum)
        self.amplitudes = mean_amplitudes(self.spectrum, self.grid)
        fit = fit_guinier(shell_frequencies(self.grid), self.amplitudes, SHAPE, resolution)
        # Of a map B is positive where amplitudes decay, as of atoms.
        self.map_bfactor = -fit.bfactor
        self.region_weight = parameters.region_weight
        if self.region_weight is None and parameters.target == "surface":
            self.region_weight = self._found_weight()

    def _found_weight(self) -> float:
        low, high = min(self.map_bfactor, -100.0), max(self.map_bfactor, 300.0)
        # The largest B is the blurred end.
        bs = (high, low + 0.375 * (high - low), low)
        blurred, middle, sharp = (self._surface(self.response(self.level(), b)) for b in bs)
        return region_weight(blurred, middle, sharp, USUAL_WEIGHT)

    def level(self) -> Response:
        """Return the filter that takes the map's own B-factor out."""
        return lambda s: np.exp(np.minimum(0.25 * self.map_bfactor * s**2, LARGEST_EXPONENT))

    def response(self, base: Response, b: float) -> Response:
        """Return ``base`` followed by a B-factor, blurred beyond the resolution and cut at 0.833 of it."""

        def filtered(s: Float64) -> Float64:
            d = 1.0 / np.maximum(s, 1e-6)
            share = 1.0 / (1.0 + np.exp(np.clip(STEEPNESS * (self.resolution - d), -50, 50)))
            exponent = np.clip(-0.25 * (b + BLUR * (1.0 - share)) * s**2, -LARGEST_EXPONENT, LARGEST_EXPONENT)
            return np.where(d >= BEYOND * self.resolution, base(s) * np.exp(exponent), 0.0)

        return filtered

    def sharpened(self, response: Response) -> Array:
        """Return the filtered map where it is computed; valid until the next one."""
        self._scratch[...] = self.spectrum
        multiply_radial(self._scratch, response, self.grid)
        self._fft.backward(self._scratch, self._real)
        self._real *= self._fft.scale
        return self._real

    def _surface(self, response: Response) -> Surface:
        return surface_of(self._boxed(response), self._inside)

    def _boxed(self, response: Response) -> FloatArray:
        """Return the filtered map around the mask; valid until the next one."""
        boxed: FloatArray = self._there.to_host(self.sharpened(response)[self.box])
        return boxed

    def measure(self, response: Response) -> Dict[str, float]:
        """Return the score of a filtered map, and what it is made of."""
        if self._target == "kurtosis":
            return {"score": kurtosis(self._boxed(response)[self._inside])}
        surface = self._surface(response)
        assert self.region_weight is not None
        return {"score": surface.score(self.region_weight), "area": surface.area, "regions": surface.regions}


# --- variants -----------------------------------------------------------------------------------------------------


def _bases(
    inputs: Inputs,
    search: _Search,
    curves: Optional[FSCResult],
    parameters: AutosharpenParameters,
    execution: Execution,
) -> Dict[str, Response]:
    """Return the filter of each variant that is asked for, before a B-factor is laid over it."""
    wanted = VARIANTS[:-1] if parameters.variant == "best" else (parameters.variant,)
    bases: Dict[str, Response] = {}
    if "b-iso" in wanted:
        bases["b-iso"] = search.level()
    if "half-maps" in wanted and curves is not None and curves.corrected is not None:
        weight = shell_weights(curves.corrected, LEAST_FSC)
        bases["half-maps"] = _levelled(search, weight)
    if "model" in wanted and inputs.model is not None:
        bases["model"] = _levelled(search, *_of_model(inputs, search, execution))
    return bases


def _levelled(search: _Search, weight: Float64, amplitude: Optional[Float64] = None) -> Response:
    """Return the filter that gives every shell the ``amplitude`` (even, where there is none) times the ``weight``."""
    wanted = np.ones_like(weight) if amplitude is None else amplitude
    own = search.amplitudes
    gain = np.divide(weight * wanted, own, out=np.zeros_like(own), where=own > 0)
    # On the scale of the map, where its amplitudes count most.
    gain *= np.sqrt(np.sum(own**2) / np.maximum(np.sum((gain * own) ** 2), 1e-30))
    frequency = shell_frequencies(search.grid)
    return lambda s: np.interp(s, frequency, gain, right=0.0)


def _of_model(inputs: Inputs, search: _Search, execution: Execution) -> Tuple[Float64, Float64]:
    """Return the FSC of map and model, not below 0, and the model's amplitudes."""
    from cryores.atoms import density_from_model

    assert inputs.model is not None
    grid: Grid = search.grid
    density = density_from_model(inputs.model, grid, resolution=grid.nyquist).data
    spectrum = rfft(execution.backend.asarray(density), execution.threads)
    return np.maximum(fsc_curve(shell_sums(search.spectrum, spectrum, grid)), 0.0), mean_amplitudes(spectrum, grid)


def _trials(variant: str, parameters: AutosharpenParameters) -> Float64:
    """Return the B-factors that are tried: of a model's amplitudes only their own."""
    return np.zeros(1) if variant == "model" else np.linspace(parameters.b_min, parameters.b_max, parameters.trials)


# --- checks and words ---------------------------------------------------------------------------------------------


def _fsc(inputs: Inputs, execution: Execution) -> Optional[FSCResult]:
    if not isinstance(inputs.maps, HalfMaps):
        return None
    assert inputs.mask is not None
    # The search asks which voxels are inside, and a mask for that is hard.
    soft = softened(inputs.mask, SOFT_EDGE * inputs.grid.spacing)
    result: FSCResult = FSC.compute(Inputs(inputs.maps, mask=soft), FSC.make_parameters({}), execution)
    return result


def _doubts(tried: Dict[str, Float64], b: float, own: float) -> List[str]:
    """Return warnings: a map whose amplitudes rise; a softer one that is a maximum too, as noise is for detail."""
    if own < 0:
        return [f"amplitudes do not decay (B-factor {own:.1f} Å²): the map looks sharpened before; give the raw maps"]
    scores, bs = tried["score"], tried["b_iso"]
    peaks = [i for i in range(1, len(bs) - 1) if scores[i] > max(scores[i - 1], scores[i + 1]) and bs[i] > b]
    if not peaks:
        return []
    return [
        f"the score has another maximum, at B = {bs[peaks[-1]]:.0f} Å²; the map may be too sharp: look at search.png, "
        "and limit the search with --b-min"
    ]


def _criterion(details: Dict[str, Any], resolution: float, parameters: AutosharpenParameters) -> str:
    score = "adjusted surface area" if parameters.target == "surface" else "kurtosis"
    how = {
        "b-iso": f"the map's own B of {details['map_bfactor']:.0f} Å² taken out",
        "half-maps": "shells levelled and weighted by the FSC of the half maps",
        "model": "shells as strong as the model's, weighted by their FSC",
    }[details["variant"]]
    return (
        f"{how}, then B = {details['b_iso']:.0f} Å², the one of {parameters.trials} with the largest {score} inside "
        f"the mask; blurred beyond {resolution:.3g} Å and 0 beyond {BEYOND * resolution:.3g} Å"
    )


def _check(inputs: Inputs, parameters: AutosharpenParameters) -> List[str]:
    halves = isinstance(inputs.maps, HalfMaps)
    if parameters.b_min >= parameters.b_max:
        raise UsageError("E_RANGE", "--b-min is not below --b-max", "the largest B is the most blurred map")
    if not halves and (parameters.resolution is None or parameters.variant == "half-maps"):
        raise UsageError(
            "E_NO_HALVES",
            "one map tells neither its resolution nor its FSC",
            "give --resolution 3.4, say, and leave --variant b-iso",
        )
    if parameters.variant == "model" and inputs.model is None:
        raise UsageError("E_MISSING_INPUT", "the variant 'model' wants an atomic model", "give --model")
    if inputs.model is not None and parameters.variant in ("b-iso", "half-maps"):
        return [f"the model plays no part in the variant {parameters.variant!r}"]
    return []


def _memory(inputs: Inputs, parameters: AutosharpenParameters, threads: int) -> float:
    # In volumes: mean of the halves, two spectra, the filtered map; cut to the mask, copies, labels and sizes.
    return 4.0 * inputs.grid.size * (5.8 if isinstance(inputs.maps, HalfMaps) else 4.8)


def _gpu_memory(inputs: Inputs, parameters: AutosharpenParameters) -> float:
    # In volumes: two spectra, the order of their coefficients, the filtered map and what a transform returns, or what
    # the masked FSC holds; the model.
    return gpu_bytes(inputs.grid, 5.3 if inputs.model else 4.3)


METHOD = Method(
    name="autosharpen",
    title="AutoSharpen",
    maps=(HALVES, MAP),
    parameters=AutosharpenParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "sharpened.mrc": "the sharpened map",
        "masked.mrc": "the sharpened map times the mask",
        "difference.mrc": "after minus before, in standard deviations inside the mask",
        "search_b-iso.csv": "score of each B-factor; named after the variant",
    },
    citations=("Terwilliger2018",),
    optional=("model", "keep"),
    mask="made",
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
