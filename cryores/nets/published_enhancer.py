"""The published DeepEMhancer networks on whole maps (Sanchez-Garcia et al. 2021), to the letter or without the flaws.

Their normalisation layers see slabs of z sections of a cube of 64 voxels: other cubes give other results, and so does a
turned map. ``as_published`` does what the program does: resampling by splines to about 1 Å, padding at the end of each
axis with the opposite side of the box, cubes 16 voxels apart, and a mean that divides by one more than there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from cryores.errors import InputError, UsageError, WeightsError
from cryores.execution import Execution
from cryores.files import PathLike
from cryores.filters import gaussian
from cryores.fourier import filtered
from cryores.nets import weights
from cryores.nets.cubes import CubePlan, block, predicted
from cryores.nets.devices import device_names
from cryores.nets.enhancer_input import (
    NoiseStatistics,
    automatic_statistics,
    normalised_in_mask,
    resized,
    statistics_of,
)
from cryores.nets.enhancer_scale import SMOOTHING, density_scale
from cryores.nets.legacy_hdf5 import read_network
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.predictor import on_cubes
from cryores.volume import FloatArray, Grid, Volume

EDGE = 64
PLAN = CubePlan(edge=EDGE, stride=32)
PUBLISHED_STRIDE = 16
SET = "deepemhancer"


def published_file(given: str, target: str) -> Path:
    """Return the published file for ``target``: the installed one (``published``), or that of a file or folder.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``.
    """
    name = f"deepEMhancer_{target}.hd5"
    if given == "published":
        return weights.find(SET, name)
    place = Path(given).expanduser()
    inside = [place / name, place / "production_checkpoints" / name]
    found = next((p for p in inside if p.is_file()), inside[0]) if place.is_dir() else place
    if not found.is_file():
        raise WeightsError(
            "E_WEIGHTS_MISSING", f"there is no file {found}", "give --weights own, published, or a file or folder"
        )
    return found


def published_network(path: PathLike) -> Any:
    """Read a published network.

    Raises
    ------
    WeightsError
        What `read_network` raises; ``E_WEIGHTS_FOREIGN`` for a network that does not take cubes of 64 voxels.
    """
    network = read_network(path)
    shapes = tuple(network.input_shape), tuple(network.output_shape)
    if any(len(shape) != 5 or shape[-1] != 1 or any(n not in (None, EDGE) for n in shape[1:4]) for shape in shapes):
        raise WeightsError(
            "E_WEIGHTS_FOREIGN",
            f"the network takes {shapes[0]} and gives {shapes[1]}, not cubes of {EDGE} voxels",
            "give the published file: see 'cryores weights list'",
        )
    return network


def normalised(
    volume: Volume, mask: Optional[Volume], target: str, noise_stats: Tuple[float, ...], strictly: bool
) -> Tuple[FloatArray, Optional[FloatArray], Dict[str, Any], List[str]]:
    """Return what the network sees, on the grid of the map; the mask that it uses; numbers and doubts for the report.

    Where the published rule finds no noise, that outside the mask is taken, unless ``strictly``.
    """
    if target == "masked":
        if mask is None:
            raise UsageError("E_TARGET", "the target 'masked' needs a mask", "give --mask")
        given, used = normalised_in_mask(volume.data, mask.data)
        return given, used, {"normalisation": "mask"}, []
    doubts: List[str] = []
    if noise_stats:
        found, how = NoiseStatistics(*noise_stats), "given statistics"
    else:
        try:
            found, how = automatic_statistics(volume.data), "automatic"
        except InputError as error:
            if strictly or mask is None or error.code != "E_HOLLOW":
                raise
            found, how = statistics_of(volume.data, mask.data <= 0.5), "outside the mask"
            doubts.append(f"{error.message}; that outside the mask was taken")
    told = {"normalisation": how, "noise_mean": found.mean, "noise_deviation": found.deviation}
    return found.normalised(volume.data), None, told, doubts


def enhanced(
    given: FloatArray, grid: Grid, network: Any, execution: Execution, batch: int, plan: CubePlan = PLAN
) -> FloatArray:
    """Return a normalised map enhanced on voxels of exactly 1 Å, with smooth blending and true means."""
    way = OneAngstrom.of(grid)
    fine = way.there(given, 0.0, execution.threads)
    shape = tuple(max(EDGE, n) for n in fine.shape)
    pads = [((w - n) // 2, w - n - (w - n) // 2) for n, w in zip(fine.shape, shape)]
    volume = np.pad(fine, pads)
    scale = density_scale(fine, execution.threads)
    plain = Grid.regular(shape, 1.0)  # type: ignore[arg-type]
    density = filtered(scale.apply(volume), gaussian(SMOOTHING), plain, execution.threads)
    places = len(plan.places(shape))  # type: ignore[arg-type]
    devices = device_names(execution)
    with execution.stage("network", places) as stage:
        predict = on_cubes(network, devices)
        found = predicted(volume, predict, plan, density, batch * len(devices), stage)
    z, y, x = (slice(before, before + n) for (before, _), n in zip(pads, fine.shape))
    return way.back(found[z, y, x], execution.threads)


def as_published(
    given: FloatArray,
    used_mask: Optional[FloatArray],
    grid: Grid,
    network: Any,
    execution: Execution,
    batch: int,
    clean: Callable[[FloatArray], FloatArray] = lambda volume: volume,
) -> FloatArray:
    """Return a normalised map enhanced by the published program's steps.

    Raises
    ------
    InputError
        ``E_BOX_SMALL`` where the program gives an empty map: an edge that has less than 64 Å after padding.
    """
    spacing = grid.voxel_size[2]
    fine_shape = tuple(round(n * spacing) for n in grid.shape)
    volume = resized(given, fine_shape)
    # The program pads sections by what the columns need.
    depth, height, width = (PUBLISHED_STRIDE - n % PUBLISHED_STRIDE for n in (fine_shape[2], *fine_shape[1:]))
    pads = ((0, depth), (0, height), (0, width))
    volume = np.pad(volume, pads, mode="wrap")
    if min(volume.shape) < EDGE:
        raise InputError(
            "E_BOX_SMALL",
            f"the published program gives nothing for a box of {min(volume.shape)} Å",
            "leave --compat out",
        )
    mask = None if used_mask is None else np.pad(resized(used_mask, fine_shape) > 0.5, pads, mode="wrap")
    starts = [range(0, n - EDGE + 1, PUBLISHED_STRIDE) for n in volume.shape]
    places = [(z, y, x) for z in starts[0] for y in starts[1] for x in starts[2]]
    total, hits = np.zeros_like(volume), np.ones_like(volume)
    devices = device_names(execution)
    predict, batch = on_cubes(network, devices), batch * len(devices)
    chosen = [p for p in places if mask is None or bool(mask[block(p, EDGE)].any())]
    with execution.stage("network", len(chosen)) as stage:
        for first in range(0, len(chosen), batch):
            some = chosen[first : first + batch]
            for place, cube in zip(some, predict(np.stack([volume[block(p, EDGE)] for p in some]))):
                total[block(place, EDGE)] += cube
                hits[block(place, EDGE)] += 1
            stage.advance(len(some))
    z, y, x = fine_shape
    return resized(clean((total / hits)[:z, :y, :x]), grid.shape)
