"""Cost of FSO alone, and with the 3DFSC, its sphericity and the filtered map."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, softly_masked
from cryores.resolution.fso import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row without and one with the 3DFSC."""
    return [
        cost("fso", METHOD, softly_masked, size, estimate_3dfsc=False),
        cost("fso with 3DFSC", METHOD, softly_masked, size),
    ]
