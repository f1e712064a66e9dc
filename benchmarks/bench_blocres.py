"""Cost of blocres: fast at every voxel, and boxes on a lattice."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.resolution.blocres import METHOD

BOX = 20


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row for each mode; the exact one at the step of the published program's measurement."""
    return [
        cost("blocres fast", METHOD, phantom, size, box=BOX, mode="fast"),
        cost("blocres exact", METHOD, phantom, size, box=BOX, mode="exact", step=4),
    ]
