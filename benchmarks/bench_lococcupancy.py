"""Cost of LocOccupancy from 25 to 10 Å."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.lococcupancy import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("lococcupancy", METHOD, phantom, size)]
