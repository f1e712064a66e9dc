"""Cost of B-factor sharpening."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, softly_masked
from cryores.postprocessing.postprocess import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("postprocess", METHOD, softly_masked, size)]
