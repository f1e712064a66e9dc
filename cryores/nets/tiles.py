"""Running what needs a margin over a volume of any size: block by block, only where a mask has voxels.

The volume may be seen on another grid than its own: then each block is resampled when its turn comes, and its answers
go back at once, so that nothing is ever held on that other grid but a block.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from cryores.execution import Execution
from cryores.resample import Between, Places, Resampled, interpolated, nearest_voxels
from cryores.volume import BoolArray, FloatArray, IntTriple

Corner = Tuple[int, int, int]


def corners(mask: BoolArray, inner: IntTriple) -> List[Corner]:
    """Return the first voxels of the blocks of ``inner`` voxels that together hold the mask."""
    if not mask.any():
        return []
    used = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    z, y, x = (range(int(one[0]), int(one[-1]) + 1, n) for one, n in zip(used, inner))
    return [(i, j, k) for i in z for j in y for k in x if mask[_block((i, j, k), inner)].any()]


def blocks_within(shape: IntTriple, seen: IntTriple, inner: int) -> IntTriple:
    """Return how many voxels of a grid of ``shape`` lie between ``inner`` voxels of another, wherever they begin."""
    z, y, x = (_within(n, m, inner) for n, m in zip(shape, seen))
    return z, y, x


def _within(own: int, other: int, inner: int) -> int:
    # Where a voxel of the one never lies between two of the other, one voxel more on either side need not be seen.
    return (inner - (1 if other % own == 0 else 3)) * own // other + 1


def over_blocks(
    seen: Resampled,
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
    seen : Resampled
        Input of the network, on the grid that it sees; beyond its border it is continued by reflection.
    mask : ndarray of bool, shape (nz, ny, nx), on the map's own grid
        Where the answer is wanted. There it is interpolated between the voxels that are nearest to some of the mask;
        NaN where there are none.
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
    shape: IntTriple = mask.shape  # type: ignore[assignment]
    inner = blocks_within(shape, seen.shape, edge - 2 * margin)
    ways = [_Way(Between.of(m, n), nearest_voxels(n, m)) for n, m in zip(shape, seen.shape)]
    result = np.full((channels, *shape), np.nan, dtype=np.float32)
    blocks = corners(mask, inner)
    with execution.stage("network", len(blocks)) as stage:
        for corner in blocks:
            place = _block(corner, inner)
            parts = [way.part(voxels) for way, voxels in zip(ways, place)]
            told = _told(seen, mask, parts, margin, edge, answer, channels)
            of_all = (slice(None), *place)
            result[of_all] = np.where(mask[place], told, np.float32(np.nan))
            stage.advance()
    return result


class _Way(NamedTuple):
    """From one edge of the map to that of the grid that is seen, and back."""

    back: Between
    nearest: Places

    def part(self, voxels: slice) -> _Way:
        return _Way(self.back.part(voxels), self.nearest)


def _told(
    seen: Resampled,
    mask: BoolArray,
    ways: List[_Way],
    margin: int,
    edge: int,
    answer: Callable[[FloatArray, BoolArray], FloatArray],
    channels: int,
) -> FloatArray:
    """Return what the network says of one block, shape (channels, z, y, x), interpolated at the map's own voxels."""
    needed = [way.back.needed for way in ways]
    firsts = [int(voxels[0]) for voxels in needed]
    wanted = np.zeros((edge,) * 3, dtype=bool)
    within = np.ix_(*(voxels - first + margin for voxels, first in zip(needed, firsts)))
    wanted[within] = mask[np.ix_(*(way.nearest[voxels] for way, voxels in zip(ways, needed)))]
    told = np.full((channels, edge, edge, edge), np.nan, dtype=np.float32)
    if wanted.any():
        cube = seen.at(*(_reflected(first - margin, edge, n) for first, n in zip(firsts, seen.shape)))
        told[:, wanted] = answer(cube, wanted).T
    backs = [
        Between(way.back.below - first + margin, way.back.above - first + margin, way.back.share)
        for way, first in zip(ways, firsts)
    ]
    return interpolated(told, backs)


def _block(corner: Corner, inner: IntTriple) -> Tuple[slice, slice, slice]:
    z, y, x = (slice(first, first + n) for first, n in zip(corner, inner))
    return z, y, x


def _reflected(start: int, count: int, size: int) -> Places:
    """Return ``count`` indices from ``start`` on into an axis of ``size`` voxels, turned back at its ends."""
    period = max(2 * (size - 1), 1)
    index = np.arange(start, start + count) % period
    return np.minimum(index, period - index)
