"""Over- or under-sharpened? DeepRes of maps sharpened more and more, against MonoRes or locres of the raw half maps.

DeepRes judges what density looks like and falls with every bit of sharpening, right or wrong; MonoRes, or our locres,
compares signal with noise and hardly feels it. Where the bulk of a map looks finer than the best fifth of what the half
maps hold, the map is over-sharpened. Source: Ramirez-Aportela et al. (2019), IUCrJ 6, 1054, supporting information,
figure S6.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from cryores.atoms import density_from_model, heavy_atoms, model_outside, read_model, share_outside
from cryores.diagnosis import check_density
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import filtered, shell_width
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter, several_role, statistics
from cryores.postprocessing._sharpened_series import SHARES, Series, bfactor_name, series_to_judge
from cryores.postprocessing._sharpening import (
    BALANCED,
    EXPECTED_SHARE,
    SUPPORTED_PERCENTILE,
    Judgement,
    Supported,
    best,
    judgement,
    past_the_turn,
)
from cryores.postprocessing.postprocess import METHOD as POSTPROCESS
from cryores.resolution._fsc_result import FSCResult, MadeByFSC
from cryores.resolution.compare import file_stem
from cryores.resolution.deepres import COARSE, FINE, HIGH_BELOW
from cryores.resolution.deepres import METHOD as DEEPRES
from cryores.resolution.deepres import memory_within as memory_of_deepres
from cryores.resolution.locres import METHOD as LOCRES
from cryores.resolution.monores import METHOD as MONORES
from cryores.shell_correlation import correlation
from cryores.tables import records_text
from cryores.volume import BoolArray, FloatArray, HalfMaps, Volume

FINE_BELOW = 3.0
"""Å: where the limit of the verdict is finer, the network of 2.5 to 13 Å has little room beyond it."""

UNLIKE = 0.3
"""Correlation inside the mask below which a given map does not seem to be made from the half maps."""

METHODS = {"monores": "MonoRes", "locres": "locres"}
"""What can say what the half maps hold, and what it is called."""

FEW_VALUES = 0.5
"""Share of the mask below which the voxels that can be judged do not stand for the map."""


@dataclass(frozen=True)
class VerdictParameters:
    """Parameters of the verdict on sharpening."""

    bfactors: Tuple[float, ...] = parameter(
        (),
        "B-factors to judge, negative to sharpen; chosen, where no sharpened maps are given: 0, 0.2, 0.4, 0.7 and 1 "
        "times that of the Guinier plot",
        "Å²",
    )
    tolerance: float = parameter(
        0.25,
        "A map is under-sharpened when its DeepRes median is so much coarser than that of the half maps",
        "Å",
        0.0,
        5.0,
    )
    against: str = parameter(
        "monores",
        "Local resolution of the raw half maps that DeepRes is set against: MonoRes, as published, or ours",
        choices=tuple(METHODS),
    )
    range: Optional[str] = parameter(
        None,
        "Range of DeepRes in Å, the same for all maps; default 2.5-13, and 1.5-6 where the limit is finer than 3 Å.",
        choices=(COARSE, FINE),
    )
    weights: str = parameter("own", "DeepRes' network, see 'cryores deepres'", choices=("own", "published"))
    max_resolution: Optional[float] = parameter(
        None,
        "Coarsest resolution that MonoRes tests; default 18 Å, or a quarter of the box",
        "Å",
        0.1,
        1000,
        expert=True,
    )
    resolution_step: float = parameter(
        0.5, "Distance of the resolutions that MonoRes tests", "Å", 0.01, 10, expert=True
    )


@dataclass(frozen=True)
class Verdict(MadeByFSC):
    """Sharpened maps judged by DeepRes against the local resolution of the half maps.

    Parameters
    ----------
    against : str
        What that was measured with, ``MonoRes`` or ``locres``.
    held : Volume
        Local resolution of the half maps in Å; NaN where it has no value.
    deepres : dict of Volume
        Map's name -> its DeepRes in Å; NaN outside the mask.
    judged : ndarray of bool
        The voxels inside the mask that all of these give a value.
    mask : Volume
        Above 0.5 where resolution was asked for.
    judgements : list of Judgement
        Of every map, the B-factors first, from no sharpening on.
    best : Judgement
        The map to take.
    best_map : Volume
        That map.
    supported : Supported
        Local resolution of the half maps at the judged voxels.
    tolerance : float
        Å.
    fsc : FSCResult or None
        Of the half maps, by which the sharpened maps were weighted; None where only given maps are judged.
    """

    against: str
    held: Volume
    deepres: Dict[str, Volume]
    judged: BoolArray = field(repr=False)
    mask: Volume
    judgements: List[Judgement]
    best: Judgement
    best_map: Volume
    supported: Supported
    tolerance: float
    fsc: Optional[FSCResult]
    details: Dict[str, Any]

    @property
    def criterion(self) -> str:  # type: ignore[override]
        """One sentence: the verdict, and what it means."""
        count = len(self.judgements)
        found = f"The best of {count} maps is {self.best.name}," if count > 1 else f"The map {self.best.name} is"
        return (
            f"{found} {self.best.verdict}. A map is over-sharpened when its "
            f"DeepRes median is finer than the {SUPPORTED_PERCENTILE:g}th percentile of {self.against} of the raw half "
            f"maps ({self.supported.p20:.2f} Å), under-sharpened when it is coarser than the median of {self.against} "
            f"({self.supported.median:.2f} Å) + {self.tolerance:g} Å" + self._taken
        )

    @property
    def _taken(self) -> str:
        expected = self.details["expected_bfactor"]
        if expected is None:
            return ""
        return (
            f". Of the B-factors that do not over-sharpen the best is that nearest to {EXPECTED_SHARE:g} times that of "
            f"the Guinier plot ({expected:.0f} Å²)"
        )

    def values(self, name: str) -> FloatArray:
        """Return DeepRes of a map at the judged voxels (Å)."""
        found: FloatArray = self.deepres[name].data[self.judged]
        return found

    def volumes(self) -> Dict[str, Volume]:
        """Return that of the half maps as ``resolution``, DeepRes of every map, and the best map."""
        deep = {f"deepres_{file_stem(name)}": volume for name, volume in self.deepres.items()}
        return {"resolution": self.held, **deep, "best": self.best_map}

    def tables(self) -> Dict[str, str]:
        """Return ``verdict.csv``, a row a map."""
        rows = [asdict(one) for one in self.judgements]
        return {"verdict.csv": records_text([{k: np.nan if v is None else v for k, v in r.items()} for r in rows])}

    def summary(self) -> Dict[str, Any]:
        """Return the best map, every map's row, and what the half maps hold."""
        held = statistics(self.supported.values, int(np.count_nonzero(self.mask.data > BINARY_THRESHOLD)))
        return {
            "best": self.best.name,
            "best_file": f"deepres_{file_stem(self.best.name)}.mrc",
            "best_bfactor": self.best.bfactor,
            "best_verdict": self.best.verdict,
            "bfactors": [one.bfactor for one in self.judgements if one.bfactor is not None],
            "maps": {one.name: {k: v for k, v in asdict(one).items() if k != "name"} for one in self.judgements},
            "half_maps": {"method": self.against, **held, "p20": self.supported.p20},
            **self.details,
        }


def verdict(
    halves: HalfMaps,
    maps: Optional[Mapping[str, Volume]] = None,
    mask: Optional[Volume] = None,
    model: Optional[str] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> Verdict:
    """Find out which of several sharpened maps shows what the half maps hold, and no more.

    Parameters
    ----------
    halves : HalfMaps
        The raw half maps of the refinement, never sharpened ones.
    maps : mapping, optional
        Name -> sharpened map, of any program, on the grid of the half maps.
    mask : Volume, optional
        Above 0.5 where the maps are judged; made when not given.
    model : str, optional
        Path of an atomic model in the frame of the maps; adds its correlation with every map.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `VerdictParameters`.

    Returns
    -------
    Verdict
        A `Judgement` of each map, and the best.

    Raises
    ------
    UsageError
        ``E_BFACTORS`` the same B-factor twice · ``E_MAPS`` names that give the same file.
    InputError
        ``E_SHARPENED_HALVES`` half maps whose amplitudes do not decay, where the B-factors are to be chosen ·
        ``E_NOTHING_TO_JUDGE`` no voxel with both values · ``E_MODEL`` · ``E_MODEL_OUTSIDE``.
    WeightsError
        The network's weights, or TensorFlow, are missing.

    Notes
    -----
    Maps of B-factors are made in `cryores.postprocessing._sharpened_series`.
    """
    inputs = Inputs(halves, mask=mask, model=model, sharpened_maps=maps)
    result: Verdict = METHOD.result(inputs, execution, parameters)
    return result


# --- computation --------------------------------------------------------------------------------------------------


def _compute(inputs: Inputs, parameters: VerdictParameters, execution: Execution) -> Verdict:
    assert inputs.mask is not None and isinstance(inputs.maps, HalfMaps)
    series = series_to_judge(inputs, parameters.bfactors, execution)
    raw = replace(inputs, model=None, sharpened_maps=None)
    method, of_method = _of_halves(parameters)
    found = method.compute(raw, of_method, execution)
    chosen = _of_deepres(parameters, _range(found, parameters))
    silent = Execution(execution.threads, execution.memory, execution.device)
    if execution.planned_bytes:
        silent.planned_bytes = execution.planned_bytes - _kept(inputs, parameters)
    deepres: Dict[str, Volume] = {}
    with execution.stage("DeepRes of every map", series.count) as stage:
        for name, volume in series.maps():
            deepres[name] = DEEPRES.compute(Inputs(volume, mask=inputs.mask), chosen, silent).resolution
            stage.advance()
    judged = (inputs.mask.data > BINARY_THRESHOLD) & np.isfinite(found.resolution.data)
    for volume in deepres.values():
        judged &= np.isfinite(volume.data)
    if not judged.any():
        raise InputError(
            "E_NOTHING_TO_JUDGE",
            f"no voxel has a value of both {METHODS[parameters.against]} and DeepRes",
            "look at the mask and the halves",
        )
    supported = Supported(found.resolution.data[judged].astype(np.float64))
    correlations = _correlations(inputs, series, execution)
    judgements = [
        judgement(
            name,
            volume.data[judged],
            supported,
            parameters.tolerance,
            series.bfactors.get(name),
            correlations.get(name),
        )
        for name, volume in deepres.items()
    ]
    judgements = past_the_turn(judgements, parameters.tolerance)
    winner = best(judgements, supported, series.expected)
    share = float(np.count_nonzero(judged) / np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD))
    details = {
        "guinier_bfactor": series.guinier,
        "expected_bfactor": series.expected,
        "judged_fraction": share,
        "range": chosen.range,
        "warnings": [*series.doubts, *_doubts(judgements, winner, share, series.expected, METHODS[parameters.against])],
    }
    return Verdict(
        METHODS[parameters.against], found.resolution, deepres, judged, inputs.mask, judgements, winner,
        series.map(winner.name), supported, parameters.tolerance, series.fsc, details,
    )  # fmt: skip


def _of_halves(parameters: VerdictParameters) -> Tuple[Method, Any]:
    """Return the method that says what the half maps hold, and its parameters."""
    if parameters.against == "locres":
        return LOCRES, LOCRES.make_parameters({})
    wanted = {"max_resolution": parameters.max_resolution, "resolution_step": parameters.resolution_step}
    return MONORES, MONORES.make_parameters({name: value for name, value in wanted.items() if value is not None})


def _range(found: LocalResolution, parameters: VerdictParameters) -> str:
    """Return the range of the network that sees the limit: chosen once, since the two networks differ a little."""
    if parameters.range is not None:
        return parameters.range
    values = found.values()
    fine = values.size > 0 and np.percentile(values, SUPPORTED_PERCENTILE) < FINE_BELOW
    return FINE if fine and found.mask.grid.nyquist < HIGH_BELOW else COARSE


def _of_deepres(parameters: VerdictParameters, wanted: Optional[str]) -> Any:
    values = {"weights": parameters.weights, "range": wanted}
    return DEEPRES.make_parameters({name: value for name, value in values.items() if value is not None})


def _correlations(inputs: Inputs, series: Series, execution: Execution) -> Dict[str, float]:
    """Return each map's correlation with the density of the model inside the mask, nothing without a model."""
    if inputs.model is None:
        return {}
    assert inputs.mask is not None
    grid, threads, inside = inputs.grid, execution.threads, inputs.mask.data > BINARY_THRESHOLD
    with execution.stage("correlation with the model"):
        density = density_from_model(read_model(inputs.model), grid).data
        estimate = None if series.fsc is None else series.fsc.resolution.get("0.143")
        if estimate is not None:
            density = filtered(density, low_pass(estimate, 2 * shell_width(grid)), grid, threads)
        return {name: correlation(volume.data[inside], density[inside]) for name, volume in series.maps()}


# --- words --------------------------------------------------------------------------------------------------------


def _doubts(
    judgements: List[Judgement], chosen: Judgement, share: float, expected: Optional[float], against: str
) -> List[str]:
    found = []
    if chosen.verdict != BALANCED and any(one.verdict == BALANCED for one in judgements):
        found.append(f"{chosen.name} is best by the decay of the half maps, although by its look {chosen.verdict}")
    elif chosen.verdict != BALANCED:
        found.append(f"no map is balanced: {chosen.name} is nearest, and {chosen.verdict}; try other B-factors or maps")
    turned = [one.name for one in judgements if one.turned]
    if turned:
        found.append(
            f"DeepRes becomes coarser again with more sharpening ({', '.join(turned)}): these maps look like noise"
        )
    tried = sorted(one.bfactor for one in judgements if one.bfactor is not None)
    if len(tried) > 1 and chosen.bfactor == tried[0] and (expected is None or expected < tried[0]):
        found.append(
            f"the best is the strongest sharpening that was tried, {chosen.name} Å²: go on with more negative "
            "--bfactors"
        )
    if share < FEW_VALUES:
        found.append(
            f"only {share:.0%} of the mask could be judged: {against} or DeepRes has no value elsewhere; look at the "
            "mask"
        )
    return found


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: VerdictParameters) -> List[str]:
    if len(set(parameters.bfactors)) < len(parameters.bfactors):
        raise UsageError("E_BFACTORS", "--bfactors: the same B-factor twice", "give each once")
    given = inputs.sharpened_maps or {}
    names = [*given, *(bfactor_name(b) for b in parameters.bfactors)]
    if len({file_stem(name).lower() for name in names}) < len(names):
        raise UsageError("E_MAPS", f"the names {', '.join(names)} give the same file names", "give others with --names")
    found = []
    assert isinstance(inputs.maps, HalfMaps)
    mean = inputs.maps.mean().data
    inside = None if inputs.mask is None else inputs.mask.data > BINARY_THRESHOLD
    for name, volume in given.items():
        check_density(f"the {several_role('sharpened_maps', name)}", volume)
        likeness = correlation(*((mean, volume.data) if inside is None else (mean[inside], volume.data[inside])))
        if likeness < UNLIKE:
            found.append(
                f"{name} is little like the mean of the half maps (correlation {likeness:.2f}): is it made from them, "
                "in the same place and hand, and with positive density?"
            )
    if inputs.model is not None and share_outside(heavy_atoms(read_model(inputs.model)).positions, inputs.grid) == 1.0:
        raise model_outside()
    return found + DEEPRES.check(Inputs(inputs.maps, mask=inputs.mask), _of_deepres(parameters, parameters.range))


def _memory(inputs: Inputs, parameters: VerdictParameters, threads: int) -> float:
    return _memory_within(inputs, parameters, threads, 0.0)


def _memory_within(inputs: Inputs, parameters: VerdictParameters, threads: int, budget: float) -> float:
    kept, single = _kept(inputs, parameters), Inputs(inputs.maps, mask=inputs.mask)
    method, of_method = _of_halves(parameters)
    return kept + max(
        POSTPROCESS.memory(inputs, POSTPROCESS.make_parameters({}), threads),
        method.memory(inputs, of_method, threads),
        memory_of_deepres(single, _of_deepres(parameters, parameters.range), threads, budget - kept),
    )


def _kept(inputs: Inputs, parameters: VerdictParameters) -> float:
    """Return the bytes of what is kept while the methods run."""
    count = len(parameters.bfactors) + len(inputs.sharpened_maps or {}) or len(SHARES)
    return 4.0 * inputs.grid.size * (count + 3.0)


METHOD = Method(
    name="verdict",
    title="Sharpening verdict",
    maps=(HALVES,),
    parameters=VerdictParameters,
    compute=_compute,
    memory=_memory,
    memory_within=_memory_within,
    outputs={
        "verdict.csv": "a row a map: DeepRes' percentiles, share past the limit, distance from the half maps', verdict",
        "verdict.png": "all of it at a glance",
        "best.mrc": "the best map",
        "resolution.mrc": "MonoRes, or locres, of the raw half maps in Å",
        "deepres_NAME.mrc": "DeepRes of every map in Å",
    },
    citations=("RamirezAportela2019", "Vilas2018", "Vilas2020", "Rosenthal2003"),
    optional=("sharpened_maps", "model"),
    check=_check,
    network=DEEPRES.network,
)
