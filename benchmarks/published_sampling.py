"""Print what the published sampling of DeepRes, and sampling every second voxel, make of resolution maps.

Words: resolution maps (Å, 0 where nothing is known) of a network that saw every voxel, at about 1 or 0.5 Å a voxel.
"""

from __future__ import annotations

import sys
from typing import Dict

import numpy as np

from cryores.mapio import read_map
from cryores.nets import published_deepres as published
from cryores.volume import FloatArray


def deviations(seen: FloatArray) -> Dict[str, FloatArray]:
    """Return, for each way of sampling, sampled and filled minus seen, where all three say something."""
    known = np.isfinite(seen)
    ways = {
        "checkerboard": (published._white_fields(seen.shape), published._FACES),
        "every second": (published._even_voxels(seen.shape), published._CELL),
    }
    filled = {
        name: published._filled(np.where(known & lattice, seen, np.nan).astype(np.float32), known, kernel)
        for name, (lattice, kernel) in ways.items()
    }
    common = known & np.isfinite(sum(filled.values()))
    return {name: values[common] - seen[common] for name, values in filled.items()}


if __name__ == "__main__":
    print(f"{'map':32}{'sampling':>14}{'median |d|':>12}{'95 %':>8}{'99.9 %':>8}{'bias':>9}  (Å)")
    for path in sys.argv[1:]:
        data = read_map(path).data
        for name, difference in deviations(np.where(data > 0, data, np.nan).astype(np.float32)).items():
            size = np.abs(difference)
            figures = (np.median(size), np.percentile(size, 95), np.percentile(size, 99.9), difference.mean())
            print(f"{path[-31:]:32}{name:>14}{figures[0]:12.3f}{figures[1]:8.3f}{figures[2]:8.3f}{figures[3]:9.4f}")
