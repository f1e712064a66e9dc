"""Cost of the local resolution as in RELION, at its default sampling."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.resolution.relion_locres import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("relion-locres", METHOD, phantom, size, sampling=16.0)]
