"""Local resolution of one map against another, inside a mask: a moving box in a block around it."""

from __future__ import annotations

import numpy as np

from cryores.execution import Execution
from cryores.masks import bounding_box
from cryores.method import Inputs
from cryores.resolution.blocres import METHOD as BLOCRES
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume


def local_resolution(
    one: FloatArray, two: FloatArray, inside: BoolArray, grid: Grid, box: int, execution: Execution
) -> FloatArray:
    """Return where the FSC of two maps in a moving box falls to 0.5 (Å), at the voxels inside."""
    mask = Volume(inside.astype(np.float32), grid)
    block = bounding_box(mask, box // 2)
    z, y, x = one[block].shape
    part = Grid.regular((z, y, x), grid.voxel_size)
    pair = HalfMaps(Volume(one[block], part), Volume(two[block], part))
    parameters = BLOCRES.make_parameters({"box": min(box, (min(z, y, x) - 1) // 2 * 2 + 1)})
    silent = Execution(execution.threads, execution.memory)
    found = BLOCRES.compute(Inputs(pair, mask=Volume(mask.data[block], part)), parameters, silent)
    values: FloatArray = found.resolution.data[inside[block]]
    return values
