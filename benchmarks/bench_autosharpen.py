"""Cost of AutoSharpen, 21 B-factors."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.autosharpen import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("autosharpen", METHOD, phantom, size, resolution=4.0)]
