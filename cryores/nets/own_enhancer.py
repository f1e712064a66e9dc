"""Our enhancers on whole maps: scale, cubes, views, and how far the results of several views and halves differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np

from cryores.execution import Execution
from cryores.filters import gaussian
from cryores.fourier import filtered
from cryores.mapio import PathLike
from cryores.nets.cubes import CubePlan, predicted
from cryores.nets.enhancer import FORMAT, STRIDE, build_enhancer
from cryores.nets.enhancer_scale import SMOOTHING, density_scale
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.predictor import predictor
from cryores.nets.stored_weights import load_weights
from cryores.nets.views import rotated_views, seen, unseen
from cryores.nets.weights import SHIPPED
from cryores.volume import FloatArray, Grid, HalfMaps, IntTriple, Maps, full_map

PLAN = CubePlan(edge=96, stride=64)
"""Cubes of our networks: what they see reaches less far than the overlap."""

CONTRAST = 0.3
"""Standard deviation of an enhanced molecule's density, whose bright parts are 1."""

SMOOTH_SPREAD = 2.0
"""Standard deviation in Å of the Gaussian over which the spread is averaged."""


@dataclass(frozen=True)
class Enhanced:
    """An enhanced map, and the standard deviation of what several views and the halves made of it."""

    density: FloatArray
    spread: FloatArray
    details: Dict[str, Any] = field(default_factory=dict)

    @property
    def confidence(self) -> FloatArray:
        """``C^2 / (C^2 + spread^2)``, C the contrast of a molecule: 1 where all views and halves agree."""
        power = np.float32(CONTRAST**2)
        return power / (power + np.square(self.spread))


def weights_file(target: str) -> Path:
    """Return the file of our network for ``target``."""
    return SHIPPED / f"enhancer-{target}.npz"


def read_enhancer(path: PathLike) -> Any:
    """Return a network of `cryores.nets.enhancer` with the weights of a file.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``, ``E_WEIGHTS_OTHER``, ``E_NO_TENSORFLOW``.
    """
    stored = load_weights(path, FORMAT)
    network = build_enhancer(tuple(stored.description["widths"]), stored.description["fine"])
    stored.put_into(network)
    return network


def enhance(
    maps: Maps,
    network: Any,
    execution: Execution,
    views: int = 1,
    halves_apart: bool = True,
    batch: int = 1,
) -> Enhanced:
    """Enhance a map, or the mean of two half maps.

    Parameters
    ----------
    maps : Volume or HalfMaps
        Not sharpened.
    network : keras.Model
        From `read_enhancer`.
    execution : Execution
        Threads, device, and who hears of the progress.
    views : int
        Rotations whose results are averaged, 1 to 24.
    halves_apart : bool
        Whether half maps are also enhanced one by one, for the spread.
    batch : int
        Cubes at a time.
    """
    predict = predictor(network)
    data = full_map(maps).data
    way = OneAngstrom.of(maps.grid)
    fine = way.there(data, float(np.median(data)), execution.threads)
    scale = density_scale(fine, execution.threads)
    turns = rotated_views(views)
    apart = [maps.half1.data, maps.half2.data] if halves_apart and isinstance(maps, HalfMaps) else []
    total, squares = (np.zeros(fine.shape, dtype=np.float32) for _ in range(2))
    with execution.stage("network", (len(turns) + len(apart)) * _count(fine.shape)) as stage:
        given = scale.apply(fine)
        for turn in turns:
            found = unseen(_over(seen(given, turn), predict, batch, execution, stage), turn)
            total += found
            squares += np.square(found)
        mean = total / np.float32(len(turns))
        variance = np.maximum(squares / np.float32(len(turns)) - np.square(mean), 0.0)
        for half in apart:
            # The halves share the scale of their mean: they differ by their noise alone.
            one = scale.apply(way.there(half, scale.solvent, execution.threads))
            variance += np.square(_over(one, predict, batch, execution, stage) - mean) * np.float32(0.5)
    plain = Grid.regular(way.fine, 1.0)
    smooth = filtered(variance, gaussian(SMOOTH_SPREAD), plain, execution.threads)
    spread = np.sqrt(np.maximum(way.back(smooth, execution.threads), 0.0))
    details = {"solvent": scale.solvent, "contrast": scale.contrast, "views": len(turns), "halves_apart": bool(apart)}
    return Enhanced(way.back(mean, execution.threads), spread, details)


def _count(shape: Sequence[int]) -> int:
    return len(PLAN.places(_padded_shape(shape)))


def _padded_shape(shape: Sequence[int]) -> IntTriple:
    z, y, x = (max(PLAN.edge, -(-n // STRIDE) * STRIDE) for n in shape)
    return (z, y, x)


def _over(given: FloatArray, predict: Any, batch: int, execution: Execution, stage: Any) -> FloatArray:
    """Run the network over a map of any shape: solvent is put around it in equal parts where it is too small."""
    wanted = _padded_shape(given.shape)
    pads = [((w - n) // 2, w - n - (w - n) // 2) for n, w in zip(given.shape, wanted)]
    volume = np.pad(given, pads)
    density = filtered(volume, gaussian(SMOOTHING), Grid.regular(wanted, 1.0), execution.threads)
    found = predicted(volume, predict, PLAN, density, batch, stage)
    z, y, x = (slice(before, before + n) for (before, _), n in zip(pads, given.shape))
    return found[z, y, x]
