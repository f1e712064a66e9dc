"""Several ways of post-processing one map, each judged by the same model: the rows of DeepEMhancer's figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from cryores.atoms import heavy_atoms, model_outside, read_model
from cryores.errors import CryoresError
from cryores.execution import Execution
from cryores.masks import soft_edge
from cryores.postprocessing._real_space import around_atoms
from cryores.postprocessing.deepemhancer import deepemhancer
from cryores.postprocessing.evaluate import evaluate
from cryores.postprocessing.localdeblur import localdeblur
from cryores.postprocessing.locscale import locscale
from cryores.postprocessing.locspiral import locspiral
from cryores.postprocessing.postprocess import postprocess
from cryores.resolution.deepres import deepres
from cryores.shell_correlation import correlation
from cryores.volume import HalfMaps, Maps, Volume, full_map

MASK_RADIUS, MASK_EDGE = 2.5, 3.0
"""Å from the atoms at which the tight mask begins to fall, and over which it does."""

MEASURES = {
    "model_fsc_0.5": "Map-model FSC at 0.5 (Å)",
    "masked_model_fsc_0.5": "  in a tight mask (Å)",
    "cc_locscale": "Correlation with LocScale's map",
    "cc_mask": "CC_mask",
    "q_score": "Q-score",
    "deepres": "DeepRes, median (Å)",
}
"""What every map is judged by."""

FINER_IS_BETTER = ("model_fsc_0.5", "masked_model_fsc_0.5", "deepres")


@dataclass(frozen=True)
class Case:
    """What one row of the table gives.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened.
    model : str
        Path of the atomic model.
    resolution : float, optional
        Å; default: what `evaluate` finds. A single map needs it.
    bfactor : float, optional
        B-factor (Å²) for the post-processing with a given one.
    deposited : Volume, optional
        The map as it was deposited.
    """

    maps: Maps
    model: str
    resolution: Optional[float] = None
    bfactor: Optional[float] = None
    deposited: Optional[Volume] = None


Made = Callable[[Case, Volume, Execution], Optional[Volume]]
"""From the case and the tight mask to the map; None where the case has not what it takes."""


def _of_single(case: Case) -> Dict[str, Any]:
    return {} if isinstance(case.maps, HalfMaps) else {"min_resolution": case.resolution}


def _auto_b(case: Case, mask: Volume, execution: Execution) -> Optional[Volume]:
    return postprocess(case.maps, mask, execution=execution).sharpened


def _given_b(case: Case, mask: Volume, execution: Execution) -> Optional[Volume]:
    if case.bfactor is None:
        return None
    return postprocess(case.maps, mask, execution=execution, bfactor=case.bfactor).sharpened


def _localdeblur(case: Case, mask: Volume, execution: Execution) -> Optional[Volume]:
    return localdeblur(case.maps, mask=mask, execution=execution).sharpened


def _locspiral(case: Case, mask: Volume, execution: Execution) -> Optional[Volume]:
    return locspiral(case.maps, mask, execution=execution, **_of_single(case)).sharpened


def _enhanced(case: Case, mask: Volume, execution: Execution) -> Optional[Volume]:
    return deepemhancer(case.maps, mask, execution=execution).sharpened


MAKERS: Dict[str, Made] = {
    "input": lambda case, mask, execution: full_map(case.maps),
    "auto_b": _auto_b,
    "given_b": _given_b,
    "deposited": lambda case, mask, execution: case.deposited,
    "localdeblur": _localdeblur,
    "locspiral": _locspiral,
    "deepemhancer": _enhanced,
}
"""Name in the table -> how the map is made."""


@dataclass(frozen=True)
class Compared:
    """Values of `MEASURES` of each map that could be made, and why others could not."""

    values: Dict[str, Dict[str, float]]
    failed: Dict[str, str]


def compared(case: Case, kinds: Sequence[str], execution: Execution) -> Compared:
    """Make the maps of ``kinds`` and judge each by the model.

    Parameters
    ----------
    case : Case
        Maps and model.
    kinds : sequence of str
        Keys of `MAKERS`.
    execution : Execution
        Threads, memory, progress.

    Raises
    ------
    InputError
        ``E_MODEL_OUTSIDE``; what reading the model raises. A way that fails is told of in ``failed``.
    """
    before = full_map(case.maps)
    grid = before.grid
    near = around_atoms(heavy_atoms(read_model(case.model)).positions, grid, max(MASK_RADIUS, grid.spacing))
    if not near.any():
        raise model_outside()
    mask = soft_edge(before.like(near), MASK_EDGE)
    wanted = locscale(
        case.maps, mask.like(mask.data > 0.01), case.model, execution=execution, **_of_single(case)
    ).sharpened
    target = wanted.data * mask.data
    values: Dict[str, Dict[str, float]] = {}
    failed: Dict[str, str] = {}
    with execution.stage("maps", len(kinds)) as stage:
        for kind in kinds:
            try:
                made = MAKERS[kind](case, mask, execution)
                if made is not None:
                    values[kind] = _judged(made, case, near, target, execution)
            except CryoresError as error:
                failed[kind] = f"{error.code}: {error.message}"
            stage.advance()
    return Compared(values, failed)


def _judged(made: Volume, case: Case, near: Any, target: Any, execution: Execution) -> Dict[str, float]:
    given: Dict[str, Any] = {} if case.resolution is None else {"resolution": case.resolution}
    result: Any = evaluate(made, case.model, execution=execution, mask_radius=MASK_RADIUS, **given)
    found = {name: row["after"] for name, row in result.measures().items() if name in MEASURES}
    found["cc_locscale"] = correlation(made.data, target)
    local = deepres(made, made.like(near), execution=execution).resolution.data[near]
    found["deepres"] = float(np.median(local[np.isfinite(local) & (local > 0)]))
    return {name: float("nan") if found.get(name) is None else float(found[name]) for name in MEASURES}


def medians(rows: Sequence[Compared], kinds: Sequence[str]) -> Dict[str, Dict[str, float]]:
    """Return the medians over the maps, of each kind that any map has."""
    present = [kind for kind in kinds if any(kind in row.values for row in rows)]

    def of(kind: str, measure: str) -> float:
        known: List[float] = [row.values[kind][measure] for row in rows if kind in row.values]
        finite = [value for value in known if np.isfinite(value)]
        return float(np.median(finite)) if finite else float("nan")

    return {kind: {measure: of(kind, measure) for measure in MEASURES} for kind in present}
