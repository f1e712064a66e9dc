"""Cost of a comparison of four maps."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List

import numpy as np

from benchmarks.measuring import cost, phantom
from cryores.localres_maps import recognise
from cryores.method import Inputs
from cryores.resolution.compare import METHOD
from cryores.volume import full_map

MAPS = 4


def maps(size: int) -> Inputs:
    """Make four maps of 3 to 8 Å in the ball of the phantom."""
    inputs = phantom(size)
    assert inputs.mask is not None
    rng = np.random.default_rng(1)
    made = {
        f"map {n}": recognise(inputs.mask.like(inputs.mask.data * rng.uniform(3, 8, inputs.grid.shape)))
        for n in range(MAPS)
    }
    return dataclasses.replace(inputs, maps=full_map(inputs.maps), resolution_maps=made)


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("compare", METHOD, maps, size)]
