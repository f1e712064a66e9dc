"""Map sharpened at each place in the frequencies near its local resolution, by a few steps of deconvolution.

Source: Ramirez-Aportela et al., Bioinformatics 36, 765 (2020).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from cryores.backend import gpu_bytes
from cryores.diagnosis import diagnose
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.postprocessing._deblur_bank import Deblurring, norm, step_on
from cryores.postprocessing._local_filter import (
    details_of,
    extra_maps,
    findings,
    in_a_sentence,
    memory,
    resolution_of,
)
from cryores.processed import ProcessedMap, finish
from cryores.resolution.monores import METHOD as MONORES
from cryores.volume import FloatArray, HalfMaps, Maps, Volume, full_map

CLIP = 4.0
"""Standard deviations of the solvent below which density is cut off."""

LEAST_RISE = 1.0
"""Iterations end when the ratio of successive norms rises by less than this many percent."""

LEAST_ITERATIONS = 3
STEP_DIVISOR = 12.0

SETTLED_STEP = 0.2
SETTLED_RANGE = 0.75
"""Automatic rounds end when the step changes by no more, or the local resolutions lie within so many Å."""

MOST_ROUNDS = 10


@dataclass(frozen=True)
class LocaldeblurParameters:
    """Parameters of LocalDeblur."""

    step: Optional[float] = parameter(
        None,
        "Step of an iteration (lambda); default, a twelfth of the ratio of the norms of V and A V",
        "",
        1e-6,
    )
    k: float = parameter(
        0.025, "How narrowly bands about the local resolution are weighted; 0.01 where it is worse than 6 Å", "1/Å²",
        1e-4, 1.0,
    )  # fmt: skip
    iterations: int = parameter(50, "Most steps; fewer where the map no longer changes", "", 1, 1000)
    rounds: int = parameter(
        1, "Times that the local resolution is measured again on the result; 0, until it settles", "", 0, 50
    )


def localdeblur(
    maps: Maps,
    resolution_map: Optional[Volume] = None,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> ProcessedMap:
    """Sharpen a map in the frequencies near its local resolution.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened half maps, whose mean is sharpened; or one map.
    resolution_map : Volume, optional
        Local resolution in Å, NaN or 0 where it has no value. Default: MonoRes of ``maps``.
    mask : Volume, optional
        Where the resolution is measured, and what ``masked`` shows. Default: where the resolution map has values.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocaldeblurParameters`.

    Returns
    -------
    ProcessedMap
        ``sharpened`` on the scale of the input; where there is no resolution the map stays as it is.

    Raises
    ------
    InputError
        ``E_OTHER_GRID`` · ``E_RESOLUTION_EMPTY`` · ``E_RESOLUTION_NEGATIVE`` · ``E_NO_NOISE`` no
        voxel without resolution.

    Notes
    -----
    With the operator A of `cryores.postprocessing._deblur_bank`, x_0 = V and x_{k+1} = x_k + lambda A(V - A x_k),
    density below minus four standard deviations of the solvent cut off. It ends when ``100 |A x_{k-1}| / |A x_k|``
    rises by less than one. The numbers are those of Xmipp's program.
    """
    given = Inputs(maps, mask=mask, keep=keep, resolution_map=resolution_map)
    result: ProcessedMap = METHOD.result(given, execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LocaldeblurParameters, execution: Execution) -> ProcessedMap:
    before = full_map(inputs.maps)
    found = first = resolution_of(inputs, execution, MONORES)
    sharpened, rounds = before.data, []
    extra = extra_maps(inputs, found)
    for number in range(1, (parameters.rounds or MOST_ROUNDS) + 1):
        if number > 1:
            found = _measured_again(before.like(sharpened), found, execution)
            if not np.isfinite(found.resolution.data).any():
                break
        sharpened, details = _deblurred(sharpened, found, parameters, execution)
        rounds.append(details)
        if parameters.rounds != 1:
            extra[f"round_{number}"] = before.like(sharpened)
        if parameters.rounds == 0 and _settled(rounds):
            break
    criterion = (
        f"Deconvolution of the bands near the local resolution, K = {parameters.k:g}, {rounds[-1]['iterations']} steps "
        f"of {rounds[-1]['step']:.3g}; {in_a_sentence(first)}; scale of the input"
    )
    chosen = dataclasses.replace(inputs, mask=first.mask)
    told = {**details_of(inputs, first), "rounds": rounds, "warnings": _doubts(inputs, first)}
    return ProcessedMap(**finish(chosen, sharpened, criterion, told, execution, extra))


def _doubts(inputs: Inputs, found: LocalResolution) -> List[str]:
    """Return what is doubtful about one map without a mask: what is noise in it is known when the mask is made."""
    if inputs.resolution_map is not None or isinstance(inputs.maps, HalfMaps) or inputs.mask is not None:
        return []
    return [str(finding) for finding in diagnose(inputs.maps, found.mask)]


def _deblurred(
    data: FloatArray, found: LocalResolution, parameters: LocaldeblurParameters, execution: Execution
) -> Any:
    """Return the sharpened map, and step, steps taken and range of resolutions as a dict."""
    known = np.isfinite(found.resolution.data)
    solvent = data[~known]
    if not solvent.size:
        raise InputError(
            "E_NO_NOISE", "the resolution map has a value everywhere", "give one that ends at the molecule, or --mask"
        )
    floor = np.float32(-CLIP * solvent.std(dtype=np.float64))
    del solvent, known
    there = execution.backend
    operator = Deblurring(found.resolution, parameters.k, execution.threads, there)
    given = there.asarray(data)
    current, change = there.xp.empty_like(given), there.xp.empty_like(given)
    current[...] = given
    step, ratios, last = parameters.step, [0.0], 0.0
    with execution.stage("deblurring", parameters.iterations) as stage:
        for number in range(1, parameters.iterations + 1):
            operator.apply(current, change)
            before, last = last, norm(change)
            if step is None:
                step = norm(given) / last / STEP_DIVISOR
            ratios.append(100.0 * before / last)
            # A is linear: minus what the step adds.
            change -= given
            operator.apply(change, change)
            step_on(current, change, np.float32(-step), floor)
            stage.advance()
            if number >= LEAST_ITERATIONS and ratios[-1] - ratios[-2] < LEAST_RISE:
                break
    told: Dict[str, Any] = {
        "step": step,
        "iterations": number,
        "filters": operator.rank,
        "finest": operator.finest,
        "coarsest": operator.coarsest,
    }
    return there.to_host(current), told


def _measured_again(sharpened: Volume, found: LocalResolution, execution: Execution) -> LocalResolution:
    """Return MonoRes of a sharpened map, from the coarsest value of the resolution before."""
    coarsest = float(np.nanmax(found.resolution.data))
    parameters = MONORES.make_parameters({"max_resolution": coarsest, "resolution_step": 0.25})
    measured: LocalResolution = MONORES.compute(Inputs(sharpened, mask=found.mask), parameters, execution)
    return measured


def _settled(rounds: List[Dict[str, Any]]) -> bool:
    if rounds[-1]["coarsest"] - rounds[-1]["finest"] < SETTLED_RANGE:
        return True
    return len(rounds) > 1 and abs(rounds[-1]["step"] - rounds[-2]["step"]) <= SETTLED_STEP


def _check(inputs: Inputs, parameters: LocaldeblurParameters) -> List[str]:
    found = []
    if inputs.resolution_map is not None or isinstance(inputs.maps, HalfMaps):
        found = findings(inputs)
    elif inputs.mask is not None:
        found = [str(finding) for finding in diagnose(inputs.maps, inputs.mask)]
    if parameters.rounds != 1:
        found.append("LocalDeblur takes noise out: what MonoRes measures on its result is finer than what is there")
    return found


def _memory(inputs: Inputs, parameters: LocaldeblurParameters, threads: int) -> float:
    # In volumes: mean of the halves, resolution and mask, spectrum and band, two maps; then what changed.
    return memory(
        inputs, threads, 4.0 * inputs.grid.size * (7.8 if isinstance(inputs.maps, HalfMaps) else 5.9), MONORES
    )


def _gpu_memory(inputs: Inputs, parameters: LocaldeblurParameters) -> float:
    # In volumes: the map, what it becomes and the change, the resolution, two with their spectra, what a transform
    # returns before it is stored; or MonoRes.
    own = gpu_bytes(inputs.grid, 9.0)
    if inputs.resolution_map is not None and parameters.rounds == 1:
        return own
    assert MONORES.gpu_memory is not None
    return max(own, MONORES.gpu_memory(Inputs(inputs.maps, mask=inputs.mask), MONORES.make_parameters({})))


METHOD = Method(
    name="localdeblur",
    title="LocalDeblur",
    maps=(HALVES, MAP),
    parameters=LocaldeblurParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "sharpened.mrc": "the sharpened map, on the scale of the input",
        "masked.mrc": "the sharpened map times the mask",
        "difference.mrc": "after minus before, in standard deviations inside the mask",
        "resolution.mrc": "the local resolution in Å, where it was not given",
    },
    citations=("RamirezAportela2020", "Vilas2018"),
    optional=("resolution_map", "keep"),
    mask="used",
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
