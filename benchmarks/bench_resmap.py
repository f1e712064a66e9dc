"""Cost of ResMap over seven scales, as in the published program's measurement."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.resolution.resmap import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("resmap", METHOD, phantom, size, min_resolution=3.0, max_resolution=9.0)]
