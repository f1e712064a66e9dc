"""Running what needs a margin over a volume of any size: block by block, only where a mask has voxels."""

from __future__ import annotations

from typing import Callable, List, Tuple

import numpy as np

from cryores.execution import Execution
from cryores.volume import BoolArray, FloatArray

Corner = Tuple[int, int, int]


def corners(mask: BoolArray, inner: int) -> List[Corner]:
    """Return the first voxels of the blocks of ``inner`` voxels that together hold the mask."""
    if not mask.any():
        return []
    used = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    starts = [range(int(one[0]), int(one[-1]) + 1, inner) for one in used]
    return [
        (z, y, x)
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
        if mask[z : z + inner, y : y + inner, x : x + inner].any()
    ]


def over_blocks(
    data: FloatArray,
    mask: BoolArray,
    margin: int,
    edge: int,
    answer: Callable[[FloatArray, BoolArray], FloatArray],
    execution: Execution,
    channels: int = 1,
) -> FloatArray:
    """Return what a network says of every voxel of the mask, shape (channels, nz, ny, nx); NaN elsewhere.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        Input of the network; beyond its border it is continued by reflection.
    mask : ndarray of bool, same shape
        Where the answer is wanted.
    margin : int
        Voxels that the network loses on each side.
    edge : int
        Edge of the cubes that the network takes.
    answer : callable
        A cube of ``edge`` voxels, and where in it the answer is wanted -> array of shape (voxels, channels).
    execution : Execution
        Shows the progress.
    channels : int
        How many answers a voxel gets.
    """
    inner = edge - 2 * margin
    result = np.full((channels, *data.shape), np.nan, dtype=np.float32)
    blocks = corners(mask, inner)
    with execution.stage("network", len(blocks)) as stage:
        for corner in blocks:
            place = tuple(slice(c, c + inner) for c in corner)
            wanted = mask[place]
            inside = np.zeros((edge,) * 3, dtype=bool)
            inside[tuple(slice(margin, margin + n) for n in wanted.shape)] = wanted
            told = answer(_cube(data, corner, margin, edge), inside)
            for channel in range(channels):
                result[channel][place][wanted] = told[:, channel]
            stage.advance()
    return result


def _cube(data: FloatArray, corner: Corner, margin: int, edge: int) -> FloatArray:
    """Return the cube of ``edge`` voxels whose answers begin at ``corner``, reflected beyond the border."""
    return data[np.ix_(*(_reflected(c - margin, edge, n) for c, n in zip(corner, data.shape)))]


def _reflected(start: int, count: int, size: int) -> List[int]:
    """Return ``count`` indices from ``start`` on into an axis of ``size`` voxels, turned back at its ends."""
    period = max(2 * (size - 1), 1)
    index = np.arange(start, start + count) % period
    return np.minimum(index, period - index).tolist()  # type: ignore[no-any-return]
