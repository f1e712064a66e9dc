"""The published DeepRes network (Ramirez-Aportela et al. 2019): resolution from 13^3 windows of density.

A window is divided by its L2 norm and goes through one convolution and two dense layers; what comes out is the
resolution in Å of the voxel in its middle. Every second voxel of the mask is seen so, as on a three-dimensional
checkerboard; the others take the mean of their face neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Optional, Tuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cryores.errors import UsageError, WeightsError
from cryores.execution import GIGABYTE, Execution
from cryores.files import PathLike
from cryores.nets import weights
from cryores.nets.devices import on_device
from cryores.nets.legacy_hdf5 import read_network
from cryores.volume import BoolArray, FloatArray, IntTriple, Volume

WINDOW = 13
HALF = WINDOW // 2
MASK_LEVEL = 0.15
"""A resampled mask is cut here, as published."""

MOST_WINDOWS = 512
"""Windows at a time: more are no faster, and leave the processor's caches."""

WINDOW_BYTES = 6e5
"""What one window takes on its way through the network: 32 maps of 13^3, twice."""

RUNTIME_BYTES = 0.97 * GIGABYTE
"""TensorFlow with the weights (144 MB) in it (measured)."""


@dataclass(frozen=True)
class PublishedModel:
    """One of the two networks: its file, the voxel size that it was trained at, and its range of resolutions (Å)."""

    file: str
    voxel_size: float
    finest: float
    coarsest: float


MODELS = (PublishedModel("model_w13.h5", 1.0, 2.5, 12.9), PublishedModel("model_w7.h5", 0.5, 1.5, 5.9))

_FACES = ndimage.generate_binary_structure(3, 1).astype(np.float64)
_CELL = np.multiply.outer(np.multiply.outer([0.5, 1.0, 0.5], [0.5, 1.0, 0.5]), [0.5, 1.0, 0.5])


def model_for(working_voxel: float) -> PublishedModel:
    """Return the network that was trained at a voxel size of 1.0 or 0.5 Å; raises `UsageError` for another."""
    for model in MODELS:
        if abs(model.voxel_size - working_voxel) < 0.05 * model.voxel_size:
            return model
    raise UsageError(
        "E_PARAMETER",
        f"the published networks see 1.0 or 0.5 Å a voxel, not {working_voxel:g} Å",
        "resample the map to one of these",
    )


def estimate(
    volume: Volume,
    mask: npt.NDArray[Any],
    working_voxel: float,
    execution: Optional[Execution] = None,
    *,
    original_voxel: Optional[float] = None,
    every_second: bool = False,
    path: Optional[PathLike] = None,
) -> FloatArray:
    """Estimate the local resolution of a map that is on the network's grid already.

    Parameters
    ----------
    volume : Volume
        Density resampled to 1.0 or 0.5 Å a voxel; any scale. As published, multiply it by its mask grown by one
        voxel (`masked`) before it is resampled.
    mask : ndarray, shape (nz, ny, nx)
        Where to estimate: above 0.15.
    working_voxel : float
        1.0 (for 2.5 to 12.9 Å) or 0.5 (for 1.5 to 5.9 Å): chooses the network.
    execution : Execution, optional
        Threads, memory budget, device, progress.
    original_voxel : float, optional
        Voxel size in Å before resampling: no estimate is finer than twice this. Default, ``working_voxel``.
    every_second : bool
        Look at every second voxel along each axis (an eighth of the mask instead of a half) and interpolate
        linearly between: about four times faster, and not what was published.
    path : path, optional
        The weight file; default, the one that ``cryores weights`` installed.

    Returns
    -------
    ndarray of float32, shape (nz, ny, nx)
        Å within the model's range; NaN outside the mask, within 6 voxels of an edge of the box, and where there is
        no density at all within the window.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged or those of another network, or there is no TensorFlow.

    Notes
    -----
    The published program leaves out voxels whose density is below 0.00015, whatever the scale of the map, and then
    may shift all results by one voxel; here the mask alone decides. It also sends zeros through its resampling at
    the mask's rim; here what is not known is NaN.
    """
    execution = execution or Execution()
    model = model_for(working_voxel)
    path = path or weights.find("deepres", model.file)
    seen = _with_whole_windows(np.asarray(mask) > MASK_LEVEL)
    lattice, kernel = (_even_voxels(seen.shape), _CELL) if every_second else (_white_fields(seen.shape), _FACES)
    finest = max(model.finest, 2 * (original_voxel or working_voxel))
    sampled = np.full(seen.shape, np.nan, dtype=np.float32)
    centres = np.nonzero(seen & lattice)
    with on_device(execution):
        found = _predictions(read_published(path), volume.data, centres, execution)
    sampled[centres] = np.clip(found, finest, model.coarsest)
    return _filled(sampled, seen, kernel)


def masked(volume: Volume, mask: BoolArray) -> Volume:
    """Return the map times its mask grown by one voxel: zeros outside, as the network was trained."""
    return volume.like(volume.data * ndimage.binary_dilation(mask))


def memory(shape: IntTriple) -> float:
    """Return the least bytes that `estimate` holds on a grid of ``shape``: six maps and 64 windows in the network."""
    return 6 * 4.0 * math.prod(shape) + RUNTIME_BYTES + 64 * WINDOW_BYTES


def read_published(path: PathLike) -> Any:
    """Read one of the two networks; ``E_WEIGHTS_FOREIGN`` unless it makes one number of a 13^3 window."""
    network = read_network(path)
    if tuple(network.input_shape) != (None, WINDOW, WINDOW, WINDOW, 1) or tuple(network.output_shape) != (None, 1):
        raise WeightsError(
            "E_WEIGHTS_FOREIGN",
            f"{path} holds another network: it takes {network.input_shape} and gives {network.output_shape}",
            "give model_w13.h5 or model_w7.h5 of DeepRes",
        )
    return network


def _predictions(
    network: Any, data: FloatArray, centres: Tuple[npt.NDArray[np.intp], ...], execution: Execution
) -> FloatArray:
    """Return what the network makes of the windows around ``centres``; NaN for a window of zeros."""
    windows = np.lib.stride_tricks.sliding_window_view(data, (WINDOW,) * 3)
    corners = np.stack(centres) - HALF
    count = corners.shape[1]
    batch = _windows_at_a_time(data, execution)
    found = np.full(count, np.nan, dtype=np.float32)
    with execution.stage("network", count) as stage:
        for start in range(0, count, batch):
            z, y, x = corners[:, start : start + batch]
            block = np.zeros((batch, WINDOW, WINDOW, WINDOW, 1), dtype=np.float32)
            block[: z.size, ..., 0] = windows[z, y, x]
            norms = np.sqrt(np.einsum("nzyxc,nzyxc->n", block, block, dtype=np.float64)).astype(np.float32)
            some = norms[: z.size] > 0
            block /= np.where(norms > 0, norms, 1)[:, None, None, None, None]
            # Always whole batches: a shorter one at the end would be compiled anew.
            made = np.asarray(network.predict_on_batch(block))[: z.size, 0]
            found[start : start + z.size][some] = made[some]
            stage.advance(z.size)
    return found


def _windows_at_a_time(data: FloatArray, execution: Execution) -> int:
    left = execution.budget - 6.0 * data.nbytes - RUNTIME_BYTES
    return int(np.clip(left / WINDOW_BYTES, 64, MOST_WINDOWS))


def _with_whole_windows(mask: BoolArray) -> BoolArray:
    inner = np.zeros_like(mask)
    middle = (slice(HALF, -HALF),) * 3
    inner[middle] = mask[middle]
    return inner


def _white_fields(shape: Tuple[int, ...]) -> BoolArray:
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    return np.asarray((z + y + x) % 2 == 0)


def _even_voxels(shape: Tuple[int, ...]) -> BoolArray:
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    return np.asarray((z % 2 == 0) & (y % 2 == 0) & (x % 2 == 0))


def _filled(sampled: FloatArray, seen: BoolArray, kernel: npt.NDArray[np.float64]) -> FloatArray:
    """Give the voxels of the mask that were not looked at the weighted mean of their neighbours that were."""
    known = np.isfinite(sampled)
    total = ndimage.convolve(np.where(known, sampled, np.float32(0)), kernel, mode="constant")
    weight = ndimage.convolve(known.astype(np.float32), kernel, mode="constant")
    missing = seen & ~known & (weight > 0)
    sampled[missing] = total[missing] / weight[missing]
    return sampled
