"""The 24 rotations of a cube: views of a map that need no interpolation."""

from __future__ import annotations

from typing import List, Tuple, TypeVar

import numpy as np

from cryores.volume import BoolArray, FloatArray

Array = TypeVar("Array", FloatArray, BoolArray)

View = Tuple[Tuple[int, int, int], Tuple[bool, bool, bool]]
"""Where the axes go, and which of them are then reversed."""

AXES = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2))
FLIPS = ((0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0))


def rotated_views(count: int) -> List[View]:
    """Return the first ``count`` rotations, at most 24, the identity first; early ones differ in all axes."""
    views = []
    for flips in zip(FLIPS[:4], FLIPS[4:]):
        for number, axes in enumerate(AXES):
            # Exchanging two axes mirrors: an odd number of reversals makes a rotation of it again.
            views.append((axes, tuple(bool(f) for f in flips[number >= 3])))
    order = [(7 * k) % 24 for k in range(24)]
    return [views[k] for k in order[:count]]  # type: ignore[misc]


def seen(volume: Array, view: View) -> Array:
    """Return a volume, or several along a fourth axis, as it is seen in a view: the same array, not a copy."""
    axes, flips = view
    return np.flip(volume.transpose(*axes, *range(3, volume.ndim)), [axis for axis in range(3) if flips[axis]])


def unseen(volume: Array, view: View) -> Array:
    """Return what `seen` was given: the same array, not a copy."""
    axes, flips = view
    flipped = np.flip(volume, [axis for axis in range(3) if flips[axis]])
    return flipped.transpose(*np.argsort(axes), *range(3, volume.ndim))
