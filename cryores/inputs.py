"""What a method may be given, and what messages and reports call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional

from cryores.blocks import is_mapped
from cryores.localres_maps import ResolutionMap
from cryores.volume import Grid, HalfMaps, Maps, Volume

HALVES = "halves"
MAP = "map"
"""What a method can start from: the two half maps of a refinement, or one map."""

VOLUME_ROLES = (
    "mask", "exclude", "keep", "reference", "resolution_map", "before", "raw_half1", "raw_half2", "processed_half1",
)  # fmt: skip
"""Fields of `Inputs` that are volumes on the grid of the maps."""


def in_words(role: str) -> str:
    """Return what messages call the volume that `Inputs.beside_the_maps` calls ``role``."""
    if role not in VOLUME_ROLES:
        return role
    return "map before" if role == "before" else role.replace("_", " ")


SEVERAL_ROLES = {"resolution_maps": "resolution map", "sharpened_maps": "sharpened map"}
"""Fields of `Inputs` that are any number of volumes by name, and what messages call one of them."""


def several_role(role: str, name: str) -> str:
    """Return what messages and the report call the map ``name`` of the field ``role`` of `Inputs`."""
    return f"{SEVERAL_ROLES[role]} {name}"


@dataclass(frozen=True)
class Inputs:
    """What a method may be given; a method declares which of these it takes.

    ``mask`` is a Volume (voxels above 0.5 are analysed, unless the method documents a soft mask); ``exclude`` marks
    voxels that belong to neither signal nor noise; ``keep`` marks those that a post-processing leaves as they are;
    ``model`` is the path of an atomic model. ``resolution_map`` has NaN where it has no value; ``resolution_maps`` are
    several of any program, by name; ``sharpened_maps`` are several processed maps, by name. ``before``,
    ``raw_half1`` and ``raw_half2`` are what a processed map was made from, ``processed_half1`` is what the same
    processing makes of ``raw_half1`` alone.
    """

    maps: Maps
    mask: Optional[Volume] = None
    exclude: Optional[Volume] = None
    keep: Optional[Volume] = None
    model: Optional[str] = None
    reference: Optional[Volume] = None
    resolution_map: Optional[Volume] = None
    resolution_maps: Optional[Mapping[str, ResolutionMap]] = None
    sharpened_maps: Optional[Mapping[str, Volume]] = None
    before: Optional[Volume] = None
    raw_half1: Optional[Volume] = None
    raw_half2: Optional[Volume] = None
    processed_half1: Optional[Volume] = None

    def beside_the_maps(self) -> Dict[str, Volume]:
        """Return every other volume that is given, by what messages and the report call it."""
        found = {role: getattr(self, role) for role in VOLUME_ROLES if getattr(self, role) is not None}
        for name, item in (self.resolution_maps or {}).items():
            found[several_role("resolution_maps", name)] = item.resolution
        for name, volume in (self.sharpened_maps or {}).items():
            found[several_role("sharpened_maps", name)] = volume
        return found

    @property
    def held_bytes(self) -> float:
        """The bytes that all volumes take in memory; those that lie in mapped files take none."""
        maps = [self.maps.half1, self.maps.half2] if isinstance(self.maps, HalfMaps) else [self.maps]
        volumes = [*maps, *self.beside_the_maps().values()]
        return float(sum(volume.data.nbytes for volume in volumes if not is_mapped(volume.data)))

    @property
    def grid(self) -> Grid:
        """The grid of the input, on which outputs are written."""
        return self.maps.grid
