"""Cost of LocSpiral from 30 to 3 Å."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.locspiral import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("locspiral", METHOD, phantom, size, min_resolution=3.0)]
