"""Cost of a verdict on two B-factors."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.verdict import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("verdict", METHOD, phantom, size, bfactors=(0.0, -50.0))]
