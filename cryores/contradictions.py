"""Results of one run that cannot both be right."""

from __future__ import annotations

from typing import List, Optional

from cryores.global_resolution import resolution_of_whole_boxes
from cryores.method import LocalResolution, Outcome

FINER_THAN_GLOBAL = 0.85
"""Lower quartile of local resolutions, in units of the global one, below which the two contradict each other."""


def contradictions(outcome: Outcome) -> List[str]:
    """Say in words where a local resolution and the global one of the same half maps contradict.

    Where a quarter of the voxels have a signal as strong as the noise of the half maps, FSC 0.5, and the others have
    none, the FSC of them all is 0.25 / 1.25 = 0.2: above the 0.143 at which the global resolution is read. So a quarter
    of the values cannot be finer than that.
    """
    quartile, overall = _lower_quartile(outcome), outcome.global_resolution
    if quartile is None or overall is None or quartile >= FINER_THAN_GLOBAL * overall:
        return []
    return [
        f"a quarter of the values are finer than {quartile:.2f} Å, and the FSC of the half maps under the same mask "
        f"ends at {overall:.2f} Å; the method reads this map too fine: compare with another one, and trust the order "
        "of the values only"
    ]


def may_contradict(outcome: Outcome) -> bool:
    """Tell, in a quarter of the time, whether it is worth the FSC under the mask to look for `contradictions`.

    The noise around a particle makes the FSC of whole boxes end sooner than that under the mask: values that do not
    contradict the one do not contradict the other.
    """
    quartile = _lower_quartile(outcome)
    if quartile is None:
        return False
    whole = resolution_of_whole_boxes(outcome)
    return whole is None or quartile < FINER_THAN_GLOBAL * whole


def _lower_quartile(outcome: Outcome) -> Optional[float]:
    """Return that of local resolutions in Å, None where there are none."""
    return outcome.summary.get("p25") if isinstance(outcome.result, LocalResolution) else None
