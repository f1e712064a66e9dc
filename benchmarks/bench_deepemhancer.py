"""Cost of DeepEMhancer with our network: described, seen in four views, put together, and the noise of the halves."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.postprocessing.deepemhancer import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("deepemhancer", METHOD, phantom, size)]
