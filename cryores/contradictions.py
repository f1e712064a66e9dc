"""Results of one run that cannot both be right."""

from __future__ import annotations

from typing import List

from cryores.global_resolution import resolution_of_whole_boxes
from cryores.method import LocalResolution, Outcome
from cryores.volume import HalfMaps

FINER_THAN_GLOBAL = 0.85
"""Lower quartile of local resolutions, in units of the global one, below which the two contradict each other."""


def contradictions(outcome: Outcome) -> List[str]:
    """Say in words where a local resolution and the global one of the same half maps contradict.

    Where a quarter of the voxels have a signal as strong as the noise of the half maps, FSC 0.5, and the others have
    none, the FSC of them all is 0.25 / 1.25 = 0.2: above the 0.143 at which the global resolution is read. So a quarter
    of the values cannot be finer than that.

    The noise around a particle makes the FSC of whole boxes end sooner than that under the mask. Values that do not
    contradict the one are not compared with the other, which takes longer.
    """
    if not isinstance(outcome.result, LocalResolution) or not isinstance(outcome.inputs.maps, HalfMaps):
        return []
    quartile = outcome.summary.get("p25")
    if quartile is None:
        return []
    whole = resolution_of_whole_boxes(outcome)
    if whole is not None and quartile >= FINER_THAN_GLOBAL * whole:
        return []
    overall = outcome.global_resolution
    if overall is None or quartile >= FINER_THAN_GLOBAL * overall:
        return []
    return [
        f"a quarter of the values are finer than {quartile:.2f} Å, and the FSC of the half maps under the same mask "
        f"ends at {overall:.2f} Å; the method reads this map too fine: compare with another one, and trust the order "
        "of the values only"
    ]
