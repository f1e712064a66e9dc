"""The inputs of a method, read from the files that its command line names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from cryores.cli.method_parser import VOLUME_INPUTS, several_of
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.files import require_file, spelled
from cryores.localres_maps import AUTO, ResolutionMap, read_resolution_map
from cryores.mapio import read_half_maps, read_map
from cryores.method import HALVES, MAP, Inputs, Method
from cryores.volume import Grid, Maps, Volume

MAPPED_SHARE = 0.25
"""Maps that take more of the memory stay in their files, where the method can do with parts of them."""


def named_by_file(paths: Sequence[str], names: Optional[Sequence[str]]) -> Dict[str, str]:
    """Return name -> path; a map without a name is called by its file, and by its folder where files share theirs."""
    if names is None:
        stems = [re.sub(r"(\.(mrc|map|ccp4))?(\.gz)?$", "", Path(spelled(path)).name) for path in paths]
        folders = [Path(spelled(path)).absolute().parent.name for path in paths]
        names = [s if stems.count(s) == 1 else f"{folder}/{s}" for s, folder in zip(stems, folders)]
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise UsageError(
            "E_NAMES",
            f"{len(paths)} maps are given and {len(set(names))} different names: {', '.join(names)}",
            "give one name for each map with --names, all different",
        )
    return dict(zip(names, paths))


def read_inputs(
    method: Method,
    sources: Mapping[str, str],
    voxel_size: Optional[float],
    execution: Execution,
    several: Optional[Mapping[str, str]] = None,
    backgrounds: Sequence[str] = (AUTO,),
) -> Inputs:
    """Read the files of ``sources`` (role -> path) and ``several`` (name -> map) for ``method``.

    ``backgrounds`` holds what stands for "no value" in the resolution maps: one for all, or one a map.

    Raises
    ------
    UsageError
        If the maps that the method starts from are not named, or named twice over; if the backgrounds are not as many
        as the maps.
    InputError
        From `read_map`, `HalfMaps` and `read_resolution_map`.
    """
    _check_start(method, sources)
    with execution.stage("reading"):
        mapped = method.memory_within is not None and _too_large(sources, execution)
        maps: Maps = (
            read_half_maps(sources["half1"], sources["half2"], voxel_size, mapped)
            if "half1" in sources
            else read_map(sources["map"], voxel_size, mapped)
        )
        roles = [role for role in ("mask", *VOLUME_INPUTS) if role in sources and role != "resolution_map"]
        others = {role: _read_on_grid(sources[role], maps.grid) for role in roles}
        sharpened = several if several_of(method) == "sharpened_maps" else None
        resolutions = (several or {}) if sharpened is None else {}
        marks = iter(_one_each(backgrounds, len(resolutions) + ("resolution_map" in sources)))
        if "resolution_map" in sources:
            found = _read_resolution_on_grid(sources["resolution_map"], maps.grid, next(marks))
            others["resolution_map"] = found.resolution
        named = {n: _read_resolution_on_grid(path, maps.grid, next(marks)) for n, path in resolutions.items()}
        processed = {n: _read_on_grid(path, maps.grid) for n, path in (sharpened or {}).items()}
    model = sources.get("model")
    return Inputs(maps=maps, model=model, resolution_maps=named or None, sharpened_maps=processed or None, **others)


def _check_start(method: Method, sources: Mapping[str, str]) -> None:
    """Raise `UsageError` unless the sources name either two half maps or one map."""
    halves = [role for role in ("half1", "half2") if role in sources]
    wanted = " or ".join({HALVES: "--half1 and --half2", MAP: "--map"}[kind] for kind in method.maps)
    if len(halves) == 1 and "map" not in sources:
        missing = {"half1": "--half2", "half2": "--half1"}[halves[0]]
        raise UsageError("E_USAGE", f"{missing} is missing", f"{method.name} starts from {wanted}")
    if not halves and "map" not in sources:
        raise UsageError("E_USAGE", f"{wanted} is missing", f"{method.name} starts from it")
    if halves and "map" in sources:
        raise UsageError("E_USAGE", f"{method.name} starts from {wanted}", "give half maps or one map, not both")


def _too_large(sources: Mapping[str, str], execution: Execution) -> bool:
    """Tell whether the maps would take so much of the budget that they are better left in their files."""
    files = [require_file(sources[role]) for role in ("half1", "half2", "map") if role in sources]
    return sum(file.stat().st_size for file in files) > MAPPED_SHARE * execution.budget


def _one_each(backgrounds: Sequence[str], count: int) -> List[str]:
    if len(backgrounds) not in (1, count):
        raise UsageError(
            "E_BACKGROUND",
            f"--background has {len(backgrounds)} values and there are {count} resolution maps",
            "give one for all, or one for each in their order (auto where it is to be recognised)",
        )
    return list(backgrounds) * (count if len(backgrounds) == 1 else 1)


def _read_on_grid(path: str, grid: Grid) -> Volume:
    # Masks often carry no voxel size, or a wrong one: their voxels are those of the maps or the shape differs.
    try:
        return read_map(path)
    except InputError as error:
        if error.code != "E_VOXEL_SIZE":
            raise
    return read_map(path, grid.spacing)


def _read_resolution_on_grid(path: str, grid: Grid, background: str) -> ResolutionMap:
    try:
        return read_resolution_map(path, background)
    except InputError as error:
        if error.code != "E_VOXEL_SIZE":
            raise
    return read_resolution_map(path, background, grid.spacing)
