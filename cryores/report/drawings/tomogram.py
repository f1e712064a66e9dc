"""A local-resolution map of a tomogram: drawn as every other, on larger voxels where it has too many for a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Optional

import numpy as np

from cryores.method import LocalResolution, Outcome
from cryores.report import html, views
from cryores.report.drawings import local_map
from cryores.volume import Grid, HalfMaps, Volume

MOST_VOXELS = 256**3
"""Of a tomogram that is drawn as it is."""


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write the pictures, ``view.cxc`` and the two maps that it opens, whose voxels are those of the pictures."""
    factor = int(np.ceil((outcome.inputs.grid.size / MOST_VOXELS) ** (1 / 3) - 1e-9))
    if factor == 1:
        return local_map.draw(outcome, folder, global_resolution)
    sections = local_map.draw(on_larger_voxels(outcome, factor), folder, global_resolution)
    words = f" Drawn on voxels {factor} times as large as those of the tomogram."
    return [replace(section, words=section.words + words) for section in sections]


def on_larger_voxels(outcome: Outcome, factor: int) -> Outcome:
    """Return the outcome with the means of the tomogram over blocks of voxels, and the resolution at their middles.

    It has one map in the place of the halves; voxels at the end of an axis that fill no block are left out.
    """
    maps, result = outcome.inputs.maps, outcome.result
    assert isinstance(maps, HalfMaps) and isinstance(result, LocalResolution)
    z, y, x = (n // factor for n in maps.grid.shape)
    first, size = np.array(maps.grid.first_voxel), np.array(maps.grid.voxel_size)
    origin = tuple((first + 0.5 * (factor - 1) * size).tolist())
    grid = replace(Grid.regular((z, y, x), tuple((factor * size).tolist())), origin=origin)
    density = 0.5 * (views.block_means(maps.half1.data, factor) + views.block_means(maps.half2.data, factor))
    middles = tuple(slice(factor // 2, n * factor, factor) for n in (z, y, x))
    resolution, mask = (Volume(volume.data[middles], grid) for volume in (result.resolution, result.mask))
    return replace(
        outcome,
        inputs=replace(outcome.inputs, maps=Volume(density, grid), mask=None),
        result=replace(result, resolution=resolution, mask=mask),
    )
