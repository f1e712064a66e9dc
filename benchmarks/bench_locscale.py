"""Cost of LocScale with a reference map, and with half maps and no reference."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.method import Inputs
from cryores.postprocessing.locscale import METHOD
from cryores.volume import HalfMaps


def measure(size: int) -> List[Dict[str, Any]]:
    """Return two rows; windows of 24 voxels."""
    return [
        cost("locscale, reference map", METHOD, _with_reference, size, window=24.0),
        cost("locscale, half maps", METHOD, phantom, size, window=24.0, min_resolution=3.0),
    ]


def _with_reference(size: int) -> Inputs:
    inputs = phantom(size)
    assert isinstance(inputs.maps, HalfMaps)
    return dataclasses.replace(inputs, maps=inputs.maps.half1, reference=inputs.maps.half2)
