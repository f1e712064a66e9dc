"""Cost of LocBFactor from 15 to 3 Å."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.locbfactor import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("locbfactor", METHOD, phantom, size, min_resolution=3.0)]
