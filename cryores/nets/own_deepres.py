"""Our own DeepRes: local resolution from what the density looks like, by the networks that come with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional, Tuple

import numpy as np

from cryores.errors import UsageError
from cryores.execution import Execution, share_out
from cryores.nets.homogeneous import ANSWERS, FEATURES, HEAD, MARGIN, Describer, quantiles
from cryores.nets.stored_weights import foreign, load_weights
from cryores.nets.tiles import blocks_within, corners, over_blocks
from cryores.nets.weights import SHIPPED
from cryores.resample import Resampled, resampled_grid
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

BYTES_A_VOXEL, BYTES_A_THREAD, BYTES_A_PLACE = 60.0, 16.0, 560.0
"""What a voxel of a block takes: its filters; per thread, its bands; and where an answer is wanted, its description
(measured)."""

SPREAD = (0.1587, 0.5, 0.8413)
"""Probabilities at which a distribution is read: one standard deviation of a Gaussian below, its middle, one above."""

VOXELS_AT_A_TIME = 16384
"""That the head is given: the logits of a block are more than the block."""


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

    def __call__(self, voxels: FloatArray, threads: int = 1) -> Tuple[FloatArray, FloatArray]:
        """Return the median of the probable resolutions of each voxel and half the width of their middle 68 %, in Å."""
        found = np.empty((len(voxels), len(SPREAD)), dtype=np.float32)

        def read(part: slice) -> None:
            found[part] = quantiles(self._logits(voxels[part]), self._bounds, SPREAD)

        share_out(len(voxels), VOXELS_AT_A_TIME, read, threads)
        low, middle, high = found.T
        return middle, 0.5 * (high - low)

    def _logits(self, voxels: FloatArray) -> FloatArray:
        *hidden, last = self._layers
        # The two are several times faster than np.clip with bounds for each column.
        x = np.minimum(np.maximum(voxels, self._counted[0]), self._counted[1])
        for kernel, bias in hidden:
            x = np.maximum(x @ kernel + bias, 0.0)
        logits: FloatArray = x @ last[0] + last[1]
        return logits


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
    volume: Volume,
    mask: BoolArray,
    shape: IntTriple,
    working_voxel: float,
    execution: Execution,
    room: float = np.inf,
    weights: str = "",
) -> Estimate:
    """Estimate the local resolution of a map, which the network sees on the grid that it was trained on.

    Parameters
    ----------
    volume : Volume
        Density.
    mask : ndarray of bool
        Where the resolution is asked for, on the grid of the density.
    shape : tuple of int
        The voxels, of about ``working_voxel``, that the network sees over the same box.
    working_voxel : float
        1.0 or 0.5 Å.
    execution : Execution
        Threads, progress.
    room : float
        Bytes that may be held, see `memory`.
    weights : str
        A file of weights; empty for the one that comes with the package.

    Returns
    -------
    Estimate
        On the grid of the density. NaN also at voxels of the mask that are nearest to none of ``shape``: a few at the
        rim where these are larger.

    Raises
    ------
    WeightsError
        Weights missing, damaged, of another network.
    UsageError
        ``E_PARAMETER`` if there is no network for this voxel size.
    """
    stored = load_weights(weights or shipped_weights(working_voxel), FORMAT)
    reading = Reading(stored.arrays)
    edge = _edge(volume.grid.shape, shape, execution.threads, room, mask)
    described = Describer(edge, execution.threads)
    size = _size(volume.data, mask)

    def answer(cube: FloatArray, where: BoolArray) -> FloatArray:
        return np.stack(reading(described(cube / size, where), execution.threads), axis=-1)

    found = over_blocks(
        Resampled(volume.data, shape, execution.threads), mask, MARGIN, edge, answer, execution, channels=2
    )
    # The network was told a voxel of exactly the working size.
    scale = np.float32(resampled_grid(volume.grid, shape).spacing / working_voxel)
    found *= np.array([scale, scale * stored.description["standard_error"]], dtype=np.float32)[:, None, None, None]
    return Estimate(*found)


def shipped_weights(working_voxel: float) -> Path:
    """Return the file of weights for a working voxel size of 1.0 or 0.5 Å."""
    if working_voxel not in WEIGHT_FILES:
        raise UsageError("E_PARAMETER", f"there is no network for voxels of {working_voxel:g} Å", "use 1.0 or 0.5 Å")
    return SHIPPED / WEIGHT_FILES[working_voxel]


def memory(
    grid: IntTriple, seen: IntTriple, threads: int, room: float = np.inf, mask: Optional[BoolArray] = None
) -> float:
    """Return the bytes that `estimate` holds for a map on ``grid``: in blocks as ``room`` bytes allow, or the least.

    Without a mask they are the largest, with one those of the least work.
    """
    return _held(grid, seen, _edge(grid, seen, threads, room, mask), threads, mask)


def _edge(grid: IntTriple, seen: IntTriple, threads: int, room: float, mask: Optional[BoolArray]) -> int:
    fitting = [edge for edge in EDGES if _held(grid, seen, edge, threads, mask) <= room] or EDGES[:1]
    if mask is None:
        return max(fitting)
    some = mask

    def work(edge: int) -> int:
        return len(corners(some, blocks_within(grid, seen, edge - 2 * MARGIN))) * Describer.work(edge)

    return min(fitting, key=work)


def _held(grid: IntTriple, seen: IntTriple, edge: int, threads: int, mask: Optional[BoolArray]) -> float:
    # Two answers; on another grid, what of a block is resampled along z alone.
    nz, ny, nx = grid
    slab = 0.0 if seen == grid else 4.0 * edge * ny * nx
    # Voxels between which none of the map lies are not described.
    between = [m // n if m % n == 0 else 1 for n, m in zip(grid, seen)]
    places = float(np.prod([(edge - 2 * MARGIN) // step for step in between]))
    if mask is not None:
        finer = [max(1.0, m / (n * step)) for n, m, step in zip(grid, seen, between)]
        places = min(places, float(np.count_nonzero(mask) * np.prod(finer)))
    block = (BYTES_A_VOXEL + BYTES_A_THREAD * threads) * edge**3 + BYTES_A_PLACE * places
    return 8.0 * nz * ny * nx + slab + block


def _size(data: FloatArray, mask: BoolArray) -> np.float32:
    """Return the root mean square of a map in the mask: the network is blind to scale but for tiny numbers."""
    size = float(np.sqrt(np.mean(np.square(data[mask], dtype=np.float64)))) if mask.any() else 0.0
    return np.float32(size if size > 0 else 1.0)
