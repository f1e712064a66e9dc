"""Local-resolution maps of any program, in one convention: Å where there is a value, NaN where there is none.

Every program marks the voxels that it gives no value in its own way. What is recognised, and what is asked:

* NaN and 0 are never a resolution: no value. (cryores, MonoRes, MonoDir, RELION outside its box, blocres)
* Where more than half of the voxels on the faces of the box hold one other number, that number is the mark if it is
  at least `ISOLATED` times every other value (100 of ResMap, the ``-fill`` of blocres). If it is not, it may as well be
  a resolution, and the user is asked.
* Where the faces hold nothing of that kind, 100 is the mark if more than `FEW` of the voxels hold it (ResMap under
  a mask) and it is as far from every other value. A few voxels of 100 Å are voxels of 100 Å.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from cryores.errors import InputError, UsageError
from cryores.files import PathLike
from cryores.mapio import read_map_with_gaps
from cryores.volume import BoolArray, FloatArray, Volume

AUTO = "auto"
NONE = "none"

RESMAP_UNASSIGNED = 100.0
"""What ResMap writes where no wave is significant, in Å."""

ISOLATED = 2.0
"""Ratio to the largest other value from which a number is no resolution: steps of a searched range are smaller."""

FEW = 0.01
"""Share of the voxels with values up to which voxels of 100 Å are taken for what they say."""

MARK_TOLERANCE = 1e-5
"""Relative difference up to which a voxel holds the mark: it is typed, or was written as text."""


@dataclass(frozen=True)
class ResolutionMap:
    """A local-resolution map whose voxels without a value are known.

    Parameters
    ----------
    resolution : Volume
        Å; NaN where there is no value.
    background : float, optional
        The number that stood for "no value" beside NaN and 0; None where there was none.
    """

    resolution: Volume
    background: Optional[float] = None


def read_resolution_map(path: PathLike, background: str = AUTO, voxel_size: Optional[float] = None) -> ResolutionMap:
    """Read a local-resolution map of any program.

    Parameters
    ----------
    path : path
        An MRC or CCP4 file; NaN is allowed.
    background : str
        ``auto``: recognised; ``none``: every voxel but NaN and 0 has a value; a number: what stands for "no value".
    voxel_size : float, optional
        Å; overrides the header.

    Raises
    ------
    InputError
        What `read_map` raises but for NaN, and what `recognise` raises.
    """
    return recognise(read_map_with_gaps(path, voxel_size), Path(path).name, background)


def recognise(volume: Volume, name: str = "the resolution map", background: str = AUTO) -> ResolutionMap:
    """Tell the voxels that have a value from those that have none, by the rule at the head of this module.

    Raises
    ------
    UsageError
        ``E_BACKGROUND`` if ``background`` is neither a number, nor ``auto``, nor ``none``.
    InputError
        ``E_BACKGROUND`` where the mark cannot be told from a resolution · ``E_RESOLUTION_EMPTY`` no voxel has a value ·
        ``E_RESOLUTION_NEGATIVE`` · ``E_NOT_FINITE`` infinite values.
    """
    data = volume.data
    known = ~np.isnan(data) & (data != 0)
    mark = _mark(data, known, name) if background == AUTO else _given_mark(background)
    if mark is not None:
        known &= ~_holds(data, mark)
    _check_values(data[known], name)
    return ResolutionMap(volume.like(np.where(known, data, np.float32(np.nan))), mark)


def _mark(data: FloatArray, known: BoolArray, name: str) -> Optional[float]:
    faces = np.concatenate([np.take(data, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)])
    values, counts = np.unique(np.nan_to_num(faces), return_counts=True)
    usual = float(values[np.argmax(counts)])
    if counts.max() > 0.5 * faces.size and usual != 0:
        candidate, where = usual, "the faces of its box hold"
    elif np.count_nonzero(_holds(data[known], RESMAP_UNASSIGNED)) > FEW * np.count_nonzero(known):
        candidate, where = RESMAP_UNASSIGNED, "many of its voxels hold"
    else:
        return None
    others = data[known & ~_holds(data, candidate)]
    if candidate > 0 and candidate >= ISOLATED * float(others.max(initial=0.0)):
        return candidate
    raise InputError(
        "E_BACKGROUND",
        f"{name}: {where} {candidate:.7g}, which may stand for 'no value' or be a resolution in Å",
        f"say --background {candidate:.7g} if it stands for 'no value', --background none if it is a resolution",
    )


def _holds(data: FloatArray, mark: float) -> BoolArray:
    held: BoolArray = np.isclose(data, mark, rtol=MARK_TOLERANCE, atol=0)
    return held


def _given_mark(background: str) -> Optional[float]:
    if background == NONE:
        return None
    try:
        return float(background)
    except ValueError:
        raise UsageError(
            "E_BACKGROUND", f"--background: {background!r} is no number", "give a number, auto or none"
        ) from None


def _check_values(values: FloatArray, name: str) -> None:
    if not values.size:
        raise InputError(
            "E_RESOLUTION_EMPTY", f"{name} has no value: every voxel is background", "give a local-resolution map in Å"
        )
    if not np.isfinite(values).all():
        raise InputError(
            "E_NOT_FINITE", f"{name} has infinite voxels", "say --background inf if they stand for 'no value'"
        )
    if values.min() < 0:
        raise InputError(
            "E_RESOLUTION_NEGATIVE",
            f"{name} has negative values, down to {values.min():.7g}: no resolution is negative",
            "give a local-resolution map in Å; if one number stands for 'no value', say it with --background",
        )


def filled_outwards(resolution: Volume) -> Volume:
    """Give every voxel without a value (NaN) that of the nearest voxel that has one.

    A surface drawn at some level leaves the mask here and there, and a filter acts everywhere; a map that is 0 outside
    would say there that it is better than anything inside. Beyond the bounding box of the values, the value at the
    nearest point of that box is taken. Without any value, or with all, the map is returned as it is.
    """
    from scipy import ndimage

    from cryores.masks import bounding_box  # brings numba, which `import cryores` does without

    known = np.isfinite(resolution.data)
    if known.all() or not known.any():
        return resolution
    box = bounding_box(resolution.like(known))
    nearest = ndimage.distance_transform_edt(
        ~known[box], sampling=resolution.grid.voxel_size, return_distances=False, return_indices=True
    )
    inside = resolution.data[box][tuple(nearest)]
    around = [(part.start, n - part.stop) for part, n in zip(box, resolution.grid.shape)]
    return resolution.like(np.pad(inside, around, mode="edge"))
