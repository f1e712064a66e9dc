"""Cost of blocres in shells, at every eighth of the radius."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.resolution.blocres_shells import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("blocres-shells", METHOD, phantom, size, step=size // 16)]
