"""Our own DeepRes: local resolution from what the density looks like, by the networks that come with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Tuple

import numpy as np

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.nets.homogeneous import ANSWERS, FEATURES, HEAD, MARGIN, Describer, quantiles
from cryores.nets.stored_weights import foreign, load_weights
from cryores.nets.tiles import corners, over_blocks
from cryores.nets.weights import SHIPPED
from cryores.volume import BoolArray, FloatArray, IntTriple, Volume

FORMAT = "cryores deepres 4"
COUNTED = "counted"
"""Name of the least and the largest value of each number of a description that the head is given."""

BOUNDS = "bounds"
"""Name of the bounds in Å of the bins of resolution whose probability the head tells."""

WEIGHT_FILES = {1.0: "deepres-low.npz", 0.5: "deepres-high.npz"}
"""By the voxel size in Å."""

LEARNED = {1.0: (2.05, 16.0), 0.5: (1.1, 7.5)}
"""By the voxel size, the finest and the coarsest resolution in Å of the lessons: answers may be trusted as far."""

EDGES = (102, 130, 150)
"""Edges of the blocks, margins included, of which the cheapest is taken. Without the rims of the bands 80, 108 and 128
are left: both kinds of cubes have fast transforms."""

BYTES_A_VOXEL, BYTES_A_THREAD = 240.0, 32.0
"""What a voxel of a block takes: its filters, description and answers; and, per thread, its bands (measured)."""

SPREAD = (0.1587, 0.5, 0.8413)
"""Probabilities at which a distribution is read: one standard deviation of a Gaussian below, its middle, one above."""

VOXELS_AT_A_TIME = 16384
"""That the head is given."""


class Reading:
    """What a trained head says of described voxels. It is so small that it needs no TensorFlow.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Keyed ``layer/kernel`` and ``layer/bias``, of the layers of `cryores.nets.homogeneous.head`; `COUNTED` and
        `BOUNDS`.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_OTHER`` where a name or a shape differs.
    """

    def __init__(self, arrays: Mapping[str, FloatArray]) -> None:
        names = [*(f"head{number}" for number in range(len(HEAD))), "answer"]
        widths = (FEATURES, *HEAD, ANSWERS)
        wanted = {f"{name}/kernel": widths[k : k + 2] for k, name in enumerate(names)}
        wanted.update({f"{name}/bias": widths[k + 1 : k + 2] for k, name in enumerate(names)})
        wanted.update({COUNTED: (2, FEATURES), BOUNDS: (ANSWERS + 1,)})
        for name, shape in wanted.items():
            if name not in arrays or arrays[name].shape != shape:
                raise foreign(name)
        self._layers = [(arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for name in names]
        self._counted = arrays[COUNTED]
        self._bounds = arrays[BOUNDS]

    def __call__(self, voxels: FloatArray) -> Tuple[FloatArray, FloatArray]:
        """Return the median of the probable resolutions of each voxel and half the width of their middle 68 %, in Å."""
        parts = [self._read(voxels[k : k + VOXELS_AT_A_TIME]) for k in range(0, len(voxels), VOXELS_AT_A_TIME)]
        low, middle, high = np.concatenate([np.empty((0, 3), dtype=np.float32), *parts]).T
        return middle, 0.5 * (high - low)

    def _read(self, voxels: FloatArray) -> FloatArray:
        *hidden, last = self._layers
        # The two are several times faster than np.clip with bounds for each column.
        x = np.minimum(np.maximum(voxels, self._counted[0]), self._counted[1])
        for kernel, bias in hidden:
            x = np.maximum(x @ kernel + bias, 0.0)
        return quantiles(x @ last[0] + last[1], self._bounds, SPREAD)


@dataclass(frozen=True)
class Estimate:
    """What the network says of every voxel of the mask.

    Parameters
    ----------
    resolution : ndarray of float32
        Å; NaN outside the mask.
    uncertainty : ndarray of float32
        Standard error in Å, as the network expects it: calibrated on models that it was not trained on.
    """

    resolution: FloatArray = field(repr=False)
    uncertainty: FloatArray = field(repr=False)


def estimate(
    volume: Volume, mask: BoolArray, working_voxel: float, execution: Execution, weights: str = ""
) -> Estimate:
    """Estimate the local resolution of a map on the grid that a network was trained on.

    Parameters
    ----------
    volume : Volume
        Density on voxels of about ``working_voxel``.
    mask : ndarray of bool
        Where the resolution is asked for.
    working_voxel : float
        1.0 or 0.5 Å.
    execution : Execution
        Threads, memory, progress.
    weights : str
        A file of weights; empty for the one that comes with the package.

    Raises
    ------
    WeightsError
        Weights missing, damaged, of another network.
    UsageError
        ``E_PARAMETER`` if there is no network for this voxel size.
    """
    stored = load_weights(weights or shipped_weights(working_voxel), FORMAT)
    reading = Reading(stored.arrays)
    edge = _edge(mask, execution)
    described = Describer(edge, execution.threads)

    def answer(cube: FloatArray, where: BoolArray) -> FloatArray:
        return np.stack(reading(described(cube, where)), axis=-1)

    found, error = over_blocks(_scaled(volume.data, mask), mask, MARGIN, edge, answer, execution, channels=2)
    # The network was told a voxel of exactly the working size.
    scale = np.float32(volume.grid.spacing / working_voxel)
    return Estimate(found * scale, error * scale * np.float32(stored.description["standard_error"]))


def shipped_weights(working_voxel: float) -> Path:
    """Return the file of weights for a working voxel size of 1.0 or 0.5 Å."""
    if working_voxel not in WEIGHT_FILES:
        raise UsageError("E_PARAMETER", f"there is no network for voxels of {working_voxel:g} Å", "use 1.0 or 0.5 Å")
    return SHIPPED / WEIGHT_FILES[working_voxel]


def memory(shape: IntTriple, threads: int) -> float:
    """Return the least bytes that `estimate` holds for ``shape``; larger blocks take what a budget leaves."""
    return 4.0 * float(np.prod(shape)) * 5.0 + _of_block(EDGES[0], threads)


def _of_block(edge: int, threads: int) -> float:
    return (BYTES_A_VOXEL + BYTES_A_THREAD * threads) * edge**3


def _scaled(data: FloatArray, mask: BoolArray) -> FloatArray:
    """Return the map over its root mean square in the mask: the network is blind to scale but for tiny numbers."""
    size = float(np.sqrt(np.mean(np.square(data[mask], dtype=np.float64)))) if mask.any() else 0.0
    return data / np.float32(size) if size > 0 else data


def _edge(mask: BoolArray, execution: Execution) -> int:
    threads = execution.threads
    left = execution.budget - memory(mask.shape, threads) + _of_block(EDGES[0], threads)  # type: ignore[arg-type]
    fitting = [edge for edge in EDGES if _of_block(edge, threads) <= left]
    return min(fitting or EDGES[:1], key=lambda edge: len(corners(mask, edge - 2 * MARGIN)) * Describer.work(edge))
