"""Cost of MonoDir with half maps and with one map, as in the published program's measurement."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.method import Inputs
from cryores.resolution.monodir import METHOD
from cryores.volume import full_map


def one_map(size: int) -> Inputs:
    """Make the mean of the half maps of the phantom, with its mask."""
    inputs = phantom(size)
    return dataclasses.replace(inputs, maps=full_map(inputs.maps))


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row for half maps, one for one map, and one for one map and fewer directions."""
    return [
        cost("monodir halves", METHOD, phantom, size),
        cost("monodir one map", METHOD, one_map, size),
        cost("monodir one map, fast", METHOD, one_map, size, fast=True),
    ]
