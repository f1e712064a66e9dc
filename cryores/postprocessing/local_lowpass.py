"""Map low-passed at every voxel to its local resolution, by a bank of filtered maps.

The map is filtered to a row of cutoffs, and every voxel takes its value from the two whose cutoffs enclose its own, by
linear interpolation in the logarithm of the frequency.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numba
import numpy as np

from cryores.backend import gpu_bytes, kernel
from cryores.execution import Execution
from cryores.filters import Response, low_pass
from cryores.fourier import multiply_radial
from cryores.method import HALVES, MAP, Inputs, Method, parameter
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
from cryores.volume import FloatArray, Grid, HalfMaps, Maps, Volume, full_map

BANK_ERROR = 0.01
"""Largest error of the filter's response between two cutoffs of the bank; 0 at each of them."""


@dataclass(frozen=True)
class LocalLowpassParameters:
    """Parameters of the local low-pass."""

    edge: float = parameter(
        0.25,
        "Width of the filter's edge as a share of its cutoff: wider rings less, and acts more locally",
        "",
        0.05,
        1.0,
    )


def local_lowpass(
    maps: Maps,
    resolution_map: Optional[Volume] = None,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> ProcessedMap:
    """Low-pass a map at every voxel to its local resolution.

    Parameters
    ----------
    maps : HalfMaps or Volume
        A map (which may be sharpened) or a tomogram; or half maps, whose mean is filtered.
    resolution_map : Volume, optional
        Local resolution in Å, NaN or 0 where it has no value (see `cryores.localres_maps.recognise` for maps of other
        programs); there the nearest value is taken, coarsened by the distance. Default: blocres of the half maps.
    mask : Volume, optional
        Where the resolution is measured, and what ``masked`` shows; the whole map is filtered. Default: where the
        resolution map has values.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocalLowpassParameters`.

    Returns
    -------
    ProcessedMap
        ``sharpened`` is the filtered map, on the scale of the input.

    Raises
    ------
    UsageError
        ``E_MISSING_INPUT`` one map and no resolution map.
    InputError
        ``E_OTHER_GRID`` · ``E_RESOLUTION_EMPTY`` · ``E_RESOLUTION_NEGATIVE``.

    Notes
    -----
    The response falls as half a cosine and is 1/2 at the cutoff 1/d. A constant resolution map gives the global filter
    exactly; between two cutoffs of the bank the response is that of the voxel's own filter to `BANK_ERROR`.
    """
    given = Inputs(maps, mask=mask, keep=keep, resolution_map=resolution_map)
    result: ProcessedMap = METHOD.result(given, execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LocalLowpassParameters, execution: Execution) -> ProcessedMap:
    found = resolution_of(inputs, execution)
    resolution = resolution_everywhere(found.resolution)
    filtered, cutoffs = locally_filtered(
        full_map(inputs.maps).data, resolution, inputs.grid, parameters.edge, execution
    )
    criterion = (
        f"Low-pass to the local resolution of each voxel, {in_a_sentence(found)}: half a "
        f"cosine over {100 * parameters.edge:g} % of the cutoff, 1/2 at the cutoff; scale of the input"
    )
    details = {**details_of(inputs, found), "cutoffs": cutoffs, "largest_error_of_the_response": BANK_ERROR}
    chosen = dataclasses.replace(inputs, mask=found.mask)
    return ProcessedMap(**finish(chosen, filtered, criterion, details, execution, extra_maps(inputs, found)))


def response(resolution: float, edge: float) -> Response:
    """Return the filter of one resolution (Å): 1/2 at the cutoff, its edge that share of the cutoff wide."""
    return low_pass(resolution / (1.0 - edge / 2.0), edge / resolution)


def locally_filtered(
    data: FloatArray, resolution: FloatArray, grid: Grid, edge: float, execution: Execution
) -> Tuple[FloatArray, int]:
    """Return the map filtered at each voxel to its ``resolution`` (Å, everywhere > 0), and the number of filters.

    Cutoffs so far out that the filter passes everything, or nothing but the mean, are all the same to it.
    """
    corner = float(np.sqrt(sum((0.5 / v) ** 2 for v in grid.voxel_size)))
    place = np.clip(resolution, (1.0 - edge / 2.0) / corner, max(grid.extent) * (1.0 + edge / 2.0))
    coarsest, step = place.max(), bank_step(edge)
    # In place, for tomograms: the distance from the coarsest cutoff in ln(frequency), in steps of the bank.
    np.log(np.divide(coarsest, place, out=place), out=place)
    place *= np.float32(1.0 / step)
    needed = _needed(place)
    there = execution.backend
    total, places = there.asarray(np.zeros(grid.shape, dtype=np.float32)), there.asarray(place)
    fft = there.real_fft(grid.shape, execution.threads)
    spectrum, scratch, real = fft.empty_spectrum(), fft.empty_spectrum(), fft.empty_real()
    real[...] = there.asarray(data)
    fft.forward(real, spectrum)
    with execution.stage("filtering", len(needed)) as stage:
        for node in needed:
            scratch[...] = spectrum
            multiply_radial(scratch, response(float(coarsest) * float(np.exp(-node * step)), edge), grid)
            fft.backward(scratch, real)
            _add_share(total, places, float(node), real, np.float32(fft.scale))
            stage.advance()
    return there.to_host(total), len(needed)


def bank_step(edge: float) -> float:
    """Return the distance of the bank's cutoffs in ln(frequency), so that the response errs by `BANK_ERROR` at most.

    Linear interpolation errs by step^2 / 8 times the curvature, which for half a cosine over ``edge`` is at most
    (pi (1 + edge / 2) / edge)^2 / 2.
    """
    return 4.0 / np.pi * float(np.sqrt(BANK_ERROR)) * edge / (1.0 + edge / 2.0)


def _needed(place: FloatArray) -> List[int]:
    """Return the cutoffs of the bank that some voxel lies between."""
    return [int(node) for node in np.flatnonzero(_enclosing(place, int(place.max()) + 2).any(axis=0))]


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _enclosing(place, nodes):  # type: ignore[no-untyped-def]
    found = np.zeros((place.shape[0], nodes), dtype=np.bool_)
    for z in numba.prange(place.shape[0]):
        for y in range(place.shape[1]):
            for x in range(place.shape[2]):
                below = int(place[z, y, x])
                found[z, below] = True
                if place[z, y, x] > below:
                    found[z, below + 1] = True
    return found


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_share(total, place, node, filtered, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(place.shape[0]):
        for y in range(place.shape[1]):
            for x in range(place.shape[2]):
                share = np.float32(1.0 - abs(place[z, y, x] - node))
                if share > 0:
                    total[z, y, x] += share * scale * filtered[z, y, x]


def _check(inputs: Inputs, parameters: LocalLowpassParameters) -> List[str]:
    return findings(inputs)


def _memory(inputs: Inputs, parameters: LocalLowpassParameters, threads: int) -> float:
    # In volumes: mean of the halves, resolution and its places, two spectra, the filtered map, the sum, the mask.
    return memory(inputs, threads, 4.0 * inputs.grid.size * (8.3 if isinstance(inputs.maps, HalfMaps) else 7.6))


def _gpu_memory(inputs: Inputs, parameters: LocalLowpassParameters) -> float:
    # In volumes: places and sum, two spectra, the filtered map, and what a transform returns before it is stored.
    return gpu_memory(inputs, gpu_bytes(inputs.grid, 6.0))


METHOD = Method(
    name="local-lowpass",
    title="Local low-pass",
    maps=(HALVES, MAP),
    parameters=LocalLowpassParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "sharpened.mrc": "the filtered map, on the scale of the input",
        "masked.mrc": "the filtered map times the mask",
        "difference.mrc": "filtered minus input, in standard deviations inside the mask",
        "resolution.mrc": "the local resolution in Å, where it was not given",
    },
    citations=("Cardone2013",),
    optional=("resolution_map", "keep"),
    mask="used",
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
