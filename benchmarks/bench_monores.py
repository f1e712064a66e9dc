"""Cost of MonoRes in both modes, over 39 frequencies, and against the transforms that it cannot avoid."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from benchmarks.measuring import VOXEL_SIZE, best, cost, phantom
from cryores.execution import Execution
from cryores.fourier import RealFFT
from cryores.resolution.monores import METHOD
from cryores.volume import Grid

FREQUENCIES = 39


def measure(size: int) -> List[Dict[str, Any]]:
    """Return one row for each filter, with the time in units of 12 planned transforms a frequency."""
    grid = Grid.regular((size, size, size), VOXEL_SIZE)
    twelve = FREQUENCIES * _twelve_transforms(grid, Execution().threads)
    rows = []
    for name in ("highpass", "bandpass"):
        row = cost(f"monores {name}", METHOD, phantom, size, filter=name, **_range_of_39(grid))
        rows.append({**row, "over_12_planned_ffts": row["seconds"] / twelve})
    return rows


def _twelve_transforms(grid: Grid, threads: int) -> float:
    """Time what each frequency needs of two half maps: ten inverse and two forward planned transforms."""
    plan = RealFFT(grid.shape, threads)
    real, spectrum = plan.empty_real(), plan.empty_spectrum()
    real[:] = 0
    forward = best(lambda: plan.forward(real, spectrum))
    backward = best(lambda: plan.backward(spectrum, real))
    return 10 * backward + 2 * forward


def _range_of_39(grid: Grid) -> Dict[str, float]:
    from cryores.monogenic import sweep_resolutions

    for step in np.arange(0.6, 0.1, -0.01):
        found = sweep_resolutions(grid, 18.0, grid.nyquist, float(step))
        if len(found) >= FREQUENCIES:
            return {
                "max_resolution": 18.0,
                "min_resolution": float(found[FREQUENCIES - 1]),
                "resolution_step": float(step),
            }
    return {"max_resolution": 18.0, "resolution_step": 0.1}
