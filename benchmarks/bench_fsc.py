"""Cost of the FSC, without and with a mask."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, softly_masked, unmasked
from cryores.resolution.fsc import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row without and one with a mask."""
    return [cost("fsc plain", METHOD, unmasked, size), cost("fsc masked", METHOD, softly_masked, size)]
