"""What each method is given when its cost is measured, and the rows that come of it."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Callable, Dict, List

import numpy as np

from benchmarks.measuring import cost, phantom, softly_masked, with_resolution
from cryores.localres_maps import recognise
from cryores.method import Inputs, load_method
from cryores.volume import full_map

COMPARED = 4
"""Maps that are compared with each other."""


def several_resolutions(size: int) -> Inputs:
    """Make maps of 3 to 8 Å in the ball of the phantom."""
    inputs = phantom(size)
    assert inputs.mask is not None
    rng = np.random.default_rng(1)
    made = {
        f"map {n}": recognise(inputs.mask.like(inputs.mask.data * rng.uniform(3, 8, inputs.grid.shape)))
        for n in range(COMPARED)
    }
    return dataclasses.replace(inputs, maps=full_map(inputs.maps), resolution_maps=made)


MAKERS: Dict[str, Callable[[int], Inputs]] = {
    "fsc": softly_masked,
    "fso": softly_masked,
    "postprocess": softly_masked,
    "compare": several_resolutions,
    "blocfilt": with_resolution,
    "local-lowpass": with_resolution,
    "localdeblur": with_resolution,
}
"""How inputs are made where half maps under a mask are not enough."""

OPTIONS: Dict[str, Dict[str, Any]] = {
    "autosharpen": {"resolution": 4.0},
    "evaluate": {"resolution": 3.5},
    "localdeblur": {"iterations": 8},
    "locbfactor": {"min_resolution": 3.0},
    "locbsharpen": {"min_resolution": 3.0},
    "locscale": {"min_resolution": 3.0},
    "locspiral": {"min_resolution": 3.0},
    "deepres": {"range": "2.5-13"},
    "relion-locres": {"sampling": 16.0},
    "resmap": {"min_resolution": 3.0, "max_resolution": 9.0},
    "verdict": {"bfactors": (0.0, -50.0)},
}
"""What cannot stay at its default on white signal, or would take long, or differs in the published measurements."""


def rows_of(name: str, size: int) -> List[Dict[str, Any]]:
    """Measure a method: by the ``measure`` of its bench_NAME.py where there is one, else in one row."""
    several = f"benchmarks.bench_{name.replace('-', '_')}"
    if find_spec(several) is not None:
        rows: List[Dict[str, Any]] = import_module(several).measure(size)
        return rows
    return [cost(name, load_method(name), MAKERS.get(name, phantom), size, **OPTIONS.get(name, {}))]
