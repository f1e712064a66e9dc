"""The global resolution of the half maps that a run was given: what its local values are compared with."""

from __future__ import annotations

from typing import Dict, Optional

from cryores.execution import Execution
from cryores.method import Inputs, Outcome, load_method
from cryores.volume import HalfMaps, Volume


def resolution_of_halves(outcome: Outcome) -> Optional[float]:
    """Return the resolution (Å) at FSC 0.143 that ``cryores fsc`` gives under the same mask.

    What the method has measured on its way is not measured again. None of a single map, where the half maps have
    nothing in common, and where the FSC would go beyond the budget of memory.
    """
    measured: Optional[Dict[str, Optional[float]]] = outcome.result.measured_resolution()
    if measured is not None:
        return measured.get("0.143")
    return _of_fsc(outcome, outcome.inputs.mask, "global resolution")


def resolution_of_whole_boxes(outcome: Outcome) -> Optional[float]:
    """Return the resolution (Å) of the half maps without the mask: coarser, and known in a quarter of the time."""
    if outcome.inputs.mask is None:
        return outcome.global_resolution
    return _of_fsc(outcome, None, "global resolution of the whole boxes")


def _of_fsc(outcome: Outcome, mask: Optional[Volume], stage: str) -> Optional[float]:
    maps, execution = outcome.inputs.maps, outcome.execution
    if not isinstance(maps, HalfMaps):
        return None
    fsc = load_method("fsc")
    inputs, usual = Inputs(maps, mask=mask), fsc.make_parameters({})
    silent = Execution(execution.threads, execution.memory)
    silent.held_bytes = execution.held_bytes + _held_by_result(outcome)
    if fsc.memory(inputs, usual, silent.threads) > silent.budget:
        return None
    with execution.stage(stage):
        curves = fsc.compute(inputs, usual, silent)
    found: Optional[float] = curves.resolution["0.143"]
    return found


def _held_by_result(outcome: Outcome) -> float:
    """Return the bytes that the maps of the result take beside the inputs."""
    kept = list(vars(outcome.result).values())
    kept += [item for some in kept if isinstance(some, dict) for item in some.values()]
    given = {id(volume.data) for volume in outcome.inputs.beside_the_maps().values()}
    made = {id(item.data): item.data.nbytes for item in kept if isinstance(item, Volume)}
    return float(sum(size for name, size in made.items() if name not in given))
