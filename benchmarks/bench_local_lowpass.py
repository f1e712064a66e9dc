"""Cost of the local low-pass, by a given resolution map."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, with_resolution
from cryores.postprocessing.local_lowpass import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("local-lowpass", METHOD, with_resolution, size)]
