"""Cost of MonoTomo in both modes, from 30 Å to Nyquist."""

from __future__ import annotations

from typing import Any, Dict, List

from benchmarks.measuring import cost, unmasked
from cryores.resolution.monotomo import METHOD

RANGE = {"max_resolution": 30.0, "resolution_step": 0.5}


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row for each filter."""
    return [cost(f"monotomo {name}", METHOD, unmasked, size, filter=name, **RANGE) for name in ("bandpass", "highpass")]
