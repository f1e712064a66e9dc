"""Cost of DeepRes with our own network, one range."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, phantom
from cryores.resolution.deepres import METHOD


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row."""
    return [cost("deepres", METHOD, phantom, size, range="2.5-13")]
