"""Cost of blocfilt in boxes of 20 voxels, by a given resolution map."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, with_resolution
from cryores.postprocessing.blocfilt import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("blocfilt", METHOD, with_resolution, size)]
