"""What the filters by local resolution share: the resolution of every voxel, measured where it is not given."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from cryores.diagnosis import diagnose
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.localres_maps import filled_outwards
from cryores.masks import BINARY_THRESHOLD, automatic_mask, distance_outside
from cryores.method import Inputs, LocalResolution, Method
from cryores.resolution.blocres import METHOD as BLOCRES
from cryores.volume import BoolArray, FloatArray, HalfMaps, Volume

FEW_VALUES = 0.5
"""Share of the mask below which a resolution map is worth a warning."""


def resolution_of(inputs: Inputs, execution: Execution, method: Method = BLOCRES) -> LocalResolution:
    """Return the resolution map that is given; or what ``method`` finds with its defaults, where there is none.

    Its values are NaN where there are none. Its mask is the one given; else where the map has values; else made.
    """
    if inputs.resolution_map is not None:
        known = _known(inputs.resolution_map)
        # On the grid of the maps: resolution maps often carry no voxel size, or a wrong one.
        resolution = Volume(np.where(known, inputs.resolution_map.data, np.float32(np.nan)), inputs.grid)
        return LocalResolution(resolution, inputs.mask or resolution.like(known), "the resolution map that was given")
    mask = inputs.mask or automatic_mask(inputs.maps, execution.threads)
    measured: LocalResolution = method.compute(Inputs(inputs.maps, mask=mask), method.make_parameters({}), execution)
    return measured


def resolution_everywhere(resolution: Volume) -> FloatArray:
    """Return the resolution (Å) also where the map has no value (NaN).

    There it is the nearest value; or the distance to it, where that is more; and never more than the coarsest value. So
    the filter goes on beyond the mask as it is at its rim, and passes the less of the solvent the farther out.
    """
    known = np.isfinite(resolution.data)
    if known.all():
        return resolution.data
    coarsest = np.float32(np.nanmax(resolution.data))
    distance = distance_outside(known, resolution.grid.voxel_size, float(coarsest))
    np.minimum(distance, coarsest, out=distance)
    return np.maximum(filled_outwards(resolution).data, distance, out=distance)


def extra_maps(inputs: Inputs, found: LocalResolution) -> Dict[str, Volume]:
    """Return the maps that were made because they were not given, by file name."""
    if inputs.resolution_map is not None:
        return {}
    return {"resolution": found.resolution, **({} if inputs.mask else {"mask": found.mask})}


def in_a_sentence(found: LocalResolution) -> str:
    """Return what a value of the resolution means, as a part of the sentence on the filter."""
    return found.criterion[:1].lower() + found.criterion[1:]


def details_of(inputs: Inputs, found: LocalResolution) -> Dict[str, Any]:
    """Return what the report says of the resolution that was filtered by."""
    made = inputs.resolution_map is None
    return {"local_resolution": found.summary(), "resolution_was_made": made}


def findings(inputs: Inputs) -> List[str]:
    """Return what is doubtful about the resolution map, or about the half maps that it is to be made of.

    Raises
    ------
    UsageError
        ``E_MISSING_INPUT`` one map and no resolution map.
    InputError
        ``E_RESOLUTION_EMPTY`` no voxel of the mask has a value · ``E_RESOLUTION_NEGATIVE``.
    """
    if inputs.resolution_map is None:
        if not isinstance(inputs.maps, HalfMaps):
            raise UsageError(
                "E_MISSING_INPUT",
                "one map does not tell its local resolution",
                "give --resolution-map, or the half maps",
            )
        return [str(finding) for finding in diagnose(inputs.maps, inputs.mask)]
    data, known = inputs.resolution_map.data, _known(inputs.resolution_map)
    if np.nan_to_num(data).min() < 0:
        raise InputError("E_RESOLUTION_NEGATIVE", "no resolution is negative", "give a local-resolution map in Å")
    inside = np.ones(known.shape, dtype=bool) if inputs.mask is None else inputs.mask.data > BINARY_THRESHOLD
    return _doubts(data[known & inside], inputs, float(inside.sum()))


def _doubts(values: FloatArray, inputs: Inputs, asked: float) -> List[str]:
    if not values.size:
        raise InputError(
            "E_RESOLUTION_EMPTY",
            "the resolution map has no value" + ("" if inputs.mask is None else " inside the mask"),
            "give a local-resolution map in Å, and its own mask",
        )
    found = []
    if inputs.mask is not None and values.size < FEW_VALUES * asked:
        found.append(f"the resolution map has values in {values.size / asked:.0%} of the mask; it is guessed elsewhere")
    if float(np.median(values)) < inputs.grid.nyquist:
        found.append(
            f"half of the resolutions are finer than {inputs.grid.nyquist:.3g} Å (Nyquist): nothing is filtered there; "
            "is the resolution map in Å?"
        )
    return found


def memory(inputs: Inputs, threads: int, own: float, method: Method = BLOCRES) -> float:
    """Return the bytes of the plan: ``own``, or what ``method`` needs where it has to be run before."""
    if inputs.resolution_map is not None:
        return own
    return max(own, method.memory(Inputs(inputs.maps, mask=inputs.mask), method.make_parameters({}), threads))


def gpu_memory(inputs: Inputs, own: float, method: Method = BLOCRES) -> float:
    """Return the bytes of the plan on a GPU, as `memory` does."""
    if inputs.resolution_map is not None or method.gpu_memory is None:
        return own
    return max(own, method.gpu_memory(Inputs(inputs.maps, mask=inputs.mask), method.make_parameters({})))


def _known(resolution: Volume) -> BoolArray:
    known: BoolArray = np.nan_to_num(resolution.data) > 0
    return known
