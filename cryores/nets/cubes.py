"""Networks on volumes of any size: overlapping cubes, blended where they overlap, those without density left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from cryores.execution import Stage
from cryores.volume import BoolArray, FloatArray, IntTriple

Predict = Callable[[FloatArray], FloatArray]
"""From cubes, shape (n, edge, edge, edge), to cubes of the same shape."""

EMPTY = 0.2
"""Smoothed density, relative to the molecule's mean, that a cube must reach to hold anything."""


@dataclass(frozen=True)
class CubePlan:
    """Which cubes a volume is cut into.

    Parameters
    ----------
    edge : int
        Edge of a cube in voxels; no edge of the volume is shorter.
    stride : int
        Voxels from one cube to the next; the last one of each axis ends where the volume ends.
    """

    edge: int
    stride: int

    def starts(self, length: int) -> List[int]:
        """Return where the cubes of an axis of ``length`` voxels start."""
        last = length - self.edge
        return [*range(0, last, self.stride), last]

    def places(self, shape: IntTriple) -> List[IntTriple]:
        """Return the first voxel of every cube."""
        z, y, x = (self.starts(n) for n in shape)
        return [(i, j, k) for i in z for j in y for k in x]

    def weight(self) -> FloatArray:
        """Return the weight of a cube's voxels: it falls towards the faces as half a squared sine over the overlap."""
        overlap = max(self.edge - self.stride, 1)
        inward = np.minimum(np.arange(self.edge) + 0.5, self.edge - 0.5 - np.arange(self.edge))
        along = np.sin(0.5 * np.pi * np.minimum(inward / overlap, 1.0)) ** 2
        weight: FloatArray = (along[:, None, None] * along[:, None] * along).astype(np.float32)
        return weight


def occupied(
    places: Sequence[IntTriple], edge: int, density: Union[FloatArray, BoolArray], least: float = EMPTY
) -> List[IntTriple]:
    """Return the places whose cube has a voxel of ``density`` above ``least``."""
    above = density > np.float32(least)
    return [place for place in places if bool(above[block(place, edge)].any())]


def block(place: IntTriple, edge: int) -> Tuple[slice, slice, slice]:
    """Return the slices of the cube that starts at ``place``."""
    z, y, x = (slice(start, start + edge) for start in place)
    return (z, y, x)


def predicted(
    volume: FloatArray,
    predict: Predict,
    plan: CubePlan,
    density: Union[FloatArray, BoolArray, None] = None,
    batch: int = 1,
    stage: Optional[Stage] = None,
    channels: int = 0,
) -> FloatArray:
    """Run a network over a volume.

    Parameters
    ----------
    volume : ndarray of float32, shape (nz, ny, nx), or (nz, ny, nx, channels)
        What the network takes.
    predict : callable
        The network.
    plan : CubePlan
        The cubes.
    density : ndarray of float32 or bool, shape (nz, ny, nx), optional
        Cubes in which it stays below `EMPTY` are not computed; their result is 0.
    batch : int
        Cubes that are computed at a time, halved when the memory runs out.
    stage : Stage, optional
        Counts the cubes.
    channels : int
        Channels of what the network gives; 0 where it gives volumes.
    """
    places = plan.places(volume.shape[:3])  # type: ignore[arg-type]
    weight = plan.weight()
    chosen = places if density is None else occupied(places, plan.edge, density)
    shape = (*volume.shape[:3], *((channels,) if channels else ()))
    each = (..., None) if channels else (...,)
    total = np.zeros(shape, dtype=np.float32)
    for place, cube in _each(volume, predict, plan.edge, chosen, batch, stage):
        total[block(place, plan.edge)] += weight[each] * cube
    for plane, sums in zip(total, _weights(plan, volume.shape[:3])):
        plane /= sums[each]
    return total


def _weights(plan: CubePlan, shape: Any) -> Iterator[FloatArray]:
    """Yield the sum of the weights of all cubes in each plane: it is a product of sums along the axes."""
    along = plan.weight()[plan.edge // 2, plan.edge // 2]
    along = along / along.max()
    sums = []
    for length in shape:
        one = np.zeros(length, dtype=np.float32)
        for start in plan.starts(length):
            one[start : start + plan.edge] += along
        sums.append(one)
    for of_plane in sums[0]:
        yield of_plane * sums[1][:, None] * sums[2] * plan.weight().max()


def _each(
    volume: FloatArray, predict: Predict, edge: int, places: Sequence[IntTriple], batch: int, stage: Optional[Stage]
) -> Iterator[Tuple[IntTriple, FloatArray]]:
    done = 0
    while done < len(places):
        some = places[done : done + batch]
        try:
            cubes = predict(np.stack([volume[block(place, edge)] for place in some]))
        except Exception as error:
            if batch == 1 or not _out_of_memory(error):
                raise
            batch //= 2
            continue
        yield from zip(some, cubes)
        done += len(some)
        if stage is not None:
            stage.advance(len(some))


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
