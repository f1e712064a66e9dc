"""Our own DeepRes: local resolution from what the density looks like, by the networks that come with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np

from cryores.errors import UsageError
from cryores.execution import GIGABYTE, Execution
from cryores.nets.devices import on_device
from cryores.nets.homogeneous import MARGIN, network
from cryores.nets.stored_weights import StoredWeights, load_weights
from cryores.nets.tiles import cheapest_edge, over_blocks
from cryores.nets.weights import SHIPPED
from cryores.volume import BoolArray, FloatArray, IntTriple, Volume

FORMAT = "cryores deepres 1"
WEIGHT_FILES = {1.0: "deepres-low.npz", 0.5: "deepres-high.npz"}
"""By the voxel size in Å."""

EDGES = (64, 96, 128)
"""Edges of the blocks, margins included, of which the cheapest is taken."""

BYTES_A_VOXEL = 900.0
"""What a voxel of a block takes on its way through the network (measured)."""

RUNTIME = 0.9 * GIGABYTE
"""What TensorFlow holds when it does nothing."""


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
        Device, threads, memory, progress.
    weights : str
        A file of weights; empty for the one that comes with the package.

    Raises
    ------
    WeightsError
        No TensorFlow; weights missing, damaged, of another network.
    UsageError
        ``E_NO_GPU``; ``E_PARAMETER`` if there is no network for this voxel size.
    """
    stored = load_weights(weights or shipped_weights(working_voxel), FORMAT)
    data = _scaled(volume.data, mask)
    with on_device(execution):
        edge = _edge(mask, execution)
        answer, error = np.exp(over_blocks(data, mask, MARGIN, edge, _answering(edge, stored), execution, channels=2))
    # The network was told a voxel of exactly the working size.
    scale = np.float32(volume.grid.spacing / working_voxel)
    return Estimate(answer * scale, error * scale * np.float32(stored.description["standard_error"]))


def shipped_weights(working_voxel: float) -> Path:
    """Return the file of weights for a working voxel size of 1.0 or 0.5 Å."""
    if working_voxel not in WEIGHT_FILES:
        raise UsageError("E_PARAMETER", f"there is no network for voxels of {working_voxel:g} Å", "use 1.0 or 0.5 Å")
    return SHIPPED / WEIGHT_FILES[working_voxel]


def memory(shape: IntTriple) -> float:
    """Return the bytes that `estimate` holds for a volume of ``shape``: the map, the answers twice, and a block."""
    return 4.0 * float(np.prod(shape)) * 5.0 + RUNTIME + BYTES_A_VOXEL * EDGES[0] ** 3


def _scaled(data: FloatArray, mask: BoolArray) -> FloatArray:
    """Return the map over its root mean square in the mask: the network is blind to scale but for tiny numbers."""
    size = float(np.sqrt(np.mean(np.square(data[mask], dtype=np.float64)))) if mask.any() else 0.0
    return data / np.float32(size) if size > 0 else data


def _edge(mask: BoolArray, execution: Execution) -> int:
    left = execution.budget - memory(mask.shape)  # type: ignore[arg-type]
    fitting = [edge for edge in EDGES if BYTES_A_VOXEL * (edge**3 - EDGES[0] ** 3) <= left]
    return cheapest_edge(mask, MARGIN, fitting or EDGES[:1])


def _answering(edge: int, stored: StoredWeights) -> Callable[[FloatArray], FloatArray]:
    """Return the network as a function of a cube of ``edge`` voxels: its two answers."""
    model = network(edge)
    stored.put_into(model)
    model.compile(jit_compile=False)
    return lambda cube: np.asarray(model.predict_on_batch(cube[None, ..., None]))[0]
