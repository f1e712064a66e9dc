"""Map low-passed to its local resolution in a moving box, as in Bsoft.

The box around a voxel is low-passed at the voxel's resolution, and its centre is kept. The centre of a filtered box is
the sum of the box times one kernel, which depends on the resolution alone.
Source: Cardone, Heymann & Steven, J. Struct. Biol. 184, 226 (2013).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, List, Optional

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.special import expit

from cryores.backend import gpu_bytes, kernel
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import Float64, frequency_axes
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.postprocessing._local_filter import (
    details_of,
    extra_maps,
    findings,
    gpu_memory,
    in_a_sentence,
    memory,
    resolution_everywhere,
    resolution_of,
)
from cryores.processed import ProcessedMap, finish
from cryores.volume import BoolArray, FloatArray, HalfMaps, Maps, Triple, Volume, full_map
from cryores.windows import GOLDEN

FALL = 0.002 / GOLDEN
"""1/Å: the response falls around the cutoff as a Fermi function of this width."""

CUTOFF_STEP = FALL / 8.0
"""1/Å between two kernels. Between them the response is interpolated linearly and errs by 2e-4 at most."""

KERNEL_BYTES = 1e6
"""Kernels that are held at once: as many as the caches hold."""

MANY_COARSE = 0.05
"""Share of resolutions coarser than the box that is worth a warning."""

COMPAT = "bsoft"
COMPAT_MASK = 0.99
"""The published program filters where the mask is at least so much."""


@dataclass(frozen=True)
class BlocfiltParameters:
    """Parameters of blocfilt."""

    box: int = parameter(20, "Edge of the box", "voxels", 4, 128)
    compat: Optional[str] = parameter(
        None,
        "bsoft: half of the box's mean is taken out, and nothing is done next to the border",
        choices=(COMPAT,),
        expert=True,
    )


def blocfilt(
    maps: Maps,
    resolution_map: Optional[Volume] = None,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> ProcessedMap:
    """Low-pass a map to its local resolution in a moving box.

    Parameters
    ----------
    maps : HalfMaps or Volume
        A map, which may be sharpened; or half maps, whose mean is filtered.
    resolution_map : Volume, optional
        Local resolution in Å, NaN or 0 where it has no value (see `cryores.localres_maps.recognise` for maps of other
        programs); there the nearest value is taken, coarsened by the distance. Default: blocres of the half maps.
    mask : Volume, optional
        Voxels above 0.5 are filtered, the others are 0. Default: where the resolution map has values.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `BlocfiltParameters`.

    Returns
    -------
    ProcessedMap
        ``sharpened`` is the filtered map, on the scale of the input; 0 outside the mask.

    Raises
    ------
    UsageError
        ``E_BOX`` a box larger than the map · ``E_MISSING_INPUT`` one map and no resolution map.
    InputError
        ``E_OTHER_GRID`` · ``E_RESOLUTION_EMPTY`` · ``E_RESOLUTION_NEGATIVE`` · ``E_MASK_EMPTY`` with ``compat``, a mask
        that lies along the border.

    Notes
    -----
    Differences from Bsoft's blocfilt: (1) the mean of a box passes, of which the program takes out half; (2) voxels
    next to the border are filtered too, with the map's mean beyond it; (3) voxels of the mask without a value take the
    nearest one, coarsened by the distance. ``compat="bsoft"`` has none of them. Neither tapers the box.
    """
    given = Inputs(maps, mask=mask, keep=keep, resolution_map=resolution_map)
    result: ProcessedMap = METHOD.result(given, execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: BlocfiltParameters, execution: Execution) -> ProcessedMap:
    found = resolution_of(inputs, execution)
    filtered = _filtered(full_map(inputs.maps), found, parameters, execution)
    criterion = (
        f"Low-pass at the local resolution, {in_a_sentence(found)}, in a box of "
        f"{parameters.box} voxels around each; scale of the input"
    )
    chosen = dataclasses.replace(inputs, mask=found.mask)
    details, extra = details_of(inputs, found), extra_maps(inputs, found)
    # A resolution map that is not written is not held while changes are looked for.
    del found
    return ProcessedMap(**finish(chosen, filtered, criterion, details, execution, extra))


def _filtered(
    before: Volume, found: LocalResolution, parameters: BlocfiltParameters, execution: Execution
) -> FloatArray:
    """Return the map low-passed to the resolution that was found, 0 where no voxel is wanted."""
    wanted = _wanted(found, parameters)
    if not wanted.any():
        raise InputError("E_MASK_EMPTY", "every voxel of the mask is too near to the border", "give a smaller --box")
    resolution = found.resolution.data[wanted]
    if not np.isfinite(resolution).all():
        resolution = resolution_everywhere(found.resolution)[wanted]
    filtered = np.zeros(before.grid.shape, dtype=np.float32)
    filtered[wanted] = centres_of_boxes(
        before.data, np.flatnonzero(wanted), 1.0 / resolution.astype(np.float64), parameters.box,
        before.grid.voxel_size, 0.5 if parameters.compat else 1.0, execution,
    )  # fmt: skip
    return filtered


def _wanted(found: LocalResolution, parameters: BlocfiltParameters) -> BoolArray:
    """Return the voxels that are filtered."""
    if not parameters.compat:
        return found.mask.data > BINARY_THRESHOLD
    half = parameters.box // 2
    wanted = np.zeros(found.mask.data.shape, dtype=bool)
    inner = tuple(slice(half, n - half + 1) for n in wanted.shape)
    wanted[inner] = (found.mask.data[inner] >= COMPAT_MASK) & np.isfinite(found.resolution.data[inner])
    return wanted


def centres_of_boxes(
    data: FloatArray,
    voxels: npt.NDArray[np.int64],
    cutoff: Float64,
    box: int,
    voxel_size: Triple,
    mean_share: float,
    execution: Execution,
) -> FloatArray:
    """Return the centre of the filtered box around each voxel.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        The map; beyond it its mean is taken.
    voxels : ndarray of int, shape (m,)
        Flat indices into ``data``.
    cutoff : ndarray of float64, shape (m,)
        Cutoff of each voxel in 1/Å.
    box : int
        Edge of the box; voxel ``box // 2`` of it is its centre.
    voxel_size : tuple of float
        Å along (z, y, x).
    mean_share : float
        How much of the box's mean passes.
    execution : Execution
        Threads, and where the sums are made.
    """
    before = box // 2
    around = np.pad(data, (before, box - before - 1), constant_values=data.mean(dtype=np.float64))
    padded = execution.backend.asarray(around)
    del around
    lowest = float(cutoff.min())
    place = (cutoff - lowest) / CUTOFF_STEP
    steps, step_of = np.unique(place.astype(np.int64), return_inverse=True)
    order = np.argsort(step_of, kind="stable")
    starts = np.searchsorted(step_of[order], np.arange(len(steps) + 1))
    at_once = max(1, int(KERNEL_BYTES / (4 * box**3)))
    centres = np.empty(len(voxels), dtype=np.float32)
    with execution.stage("filtering boxes", len(voxels)) as stage:
        for first in range(0, len(steps), at_once):
            some = steps[first : first + at_once]
            chosen = order[starts[first] : starts[first + len(some)]]
            tables = [kernels(lowest + (some + i) * CUTOFF_STEP, box, voxel_size, mean_share) for i in range(2)]
            where = (voxels[chosen], step_of[chosen] - first, place[chosen] - steps[step_of[chosen]])
            centres[chosen] = _weighted_sums(padded, data.shape, *where, *tables)
            stage.advance(len(chosen))
    return centres


def kernels(cutoffs: Float64, box: int, voxel_size: Triple, mean_share: float = 1.0) -> FloatArray:
    """Return, for each cutoff, what a box is multiplied by and summed to have the centre of the filtered box.

    The response is 1 / (1 + exp((s - cutoff) / FALL)) at the frequencies s of the box, and ``mean_share`` at s = 0. The
    shape is (cutoffs, box, box, box).
    """
    sz, sy, sx = frequency_axes((box, box, box), voxel_size)
    s = np.sqrt(sz[:, None, None] ** 2 + sy[:, None] ** 2 + sx**2)
    response = expit((cutoffs[:, None, None, None] - s) / FALL)
    response[:, 0, 0, 0] = mean_share
    found: FloatArray = scipy.fft.irfftn(response, (box, box, box)).astype(np.float32)
    return np.fft.fftshift(found, axes=(1, 2, 3))


@kernel
@numba.njit(parallel=True, cache=True, fastmath={"reassoc", "contract"})  # type: ignore[misc]
def _weighted_sums(padded, shape, voxels, kernel, fraction, lower, upper):  # type: ignore[no-untyped-def]
    centres = np.empty(voxels.size, dtype=np.float32)
    n = lower.shape[1]
    for i in numba.prange(voxels.size):
        zy, x = divmod(voxels[i], shape[2])
        z, y = divmod(zy, shape[1])
        low, high = 0.0, 0.0
        for dz in range(n):
            for dy in range(n):
                # Rows, not indices: only so the compiler knows them for contiguous, and sums many products at once.
                row = padded[z + dz, y + dy, x : x + n]
                at_low, at_high = lower[kernel[i], dz, dy], upper[kernel[i], dz, dy]
                a, b = np.float32(0), np.float32(0)
                for dx in range(n):
                    a += row[dx] * at_low[dx]
                    b += row[dx] * at_high[dx]
                low += float(a)
                high += float(b)
        centres[i] = low + fraction[i] * (high - low)
    return centres


def _check(inputs: Inputs, parameters: BlocfiltParameters) -> List[str]:
    if parameters.box > min(inputs.grid.shape):
        raise UsageError(
            "E_BOX",
            f"a box of {parameters.box} voxels is larger than the map ({min(inputs.grid.shape)} at its thinnest)",
            "give a smaller --box",
        )
    found = findings(inputs)
    if inputs.resolution_map is not None:
        edge = parameters.box * inputs.grid.spacing
        coarse = float(np.mean(inputs.resolution_map.data[np.nan_to_num(inputs.resolution_map.data) > 0] > edge))
        if coarse > MANY_COARSE:
            found.append(
                f"{coarse:.0%} of the resolutions are coarser than the box of {edge:.1f} Å: only its mean passes "
                "there; give a larger --box"
            )
    return found


def _memory(inputs: Inputs, parameters: BlocfiltParameters, threads: int) -> float:
    grid = inputs.grid
    padded = float(np.prod([n + parameters.box for n in grid.shape]))
    # A voxel has its index, resolution, cutoff, place, step, order and result, and some of them twice for a while.
    inside = grid.size if inputs.mask is None else np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD)
    making_kernels = 12.0 * max(KERNEL_BYTES, 4.0 * parameters.box**3)
    volumes = 3.0 if isinstance(inputs.maps, HalfMaps) else 1.0
    return memory(inputs, threads, 4.0 * (padded + volumes * grid.size) + 64.0 * inside + making_kernels)


def _gpu_memory(inputs: Inputs, parameters: BlocfiltParameters) -> float:
    # The padded map, and boxes.
    padded = float(np.prod([n + parameters.box for n in inputs.grid.shape]))
    return gpu_memory(inputs, gpu_bytes(inputs.grid, 0.0, boxes=True) + 4.0 * padded)


METHOD = Method(
    name="blocfilt",
    title="blocfilt",
    maps=(HALVES, MAP),
    parameters=BlocfiltParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={
        "sharpened.mrc": "the filtered map, on the scale of the input; 0 outside the mask",
        "masked.mrc": "the filtered map times the mask",
        "difference.mrc": "filtered minus input, in standard deviations inside the mask",
        "resolution.mrc": "the local resolution in Å, where it was not given",
    },
    citations=("Cardone2013",),
    optional=("resolution_map", "keep"),
    mask="used",
    needs_noise=False,
    check=_check,
)
