"""Cost of LocalDeblur with a given resolution map, eight steps."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, with_resolution
from cryores.postprocessing.localdeblur import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("localdeblur", METHOD, with_resolution, size, iterations=8)]
