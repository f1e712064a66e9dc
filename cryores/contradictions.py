"""Results of one run that cannot both be right."""

from __future__ import annotations

from typing import List, Optional

from cryores.method import LocalResolution, Outcome

FINER_THAN_GLOBAL = 0.85
"""Lower quartile of local resolutions, in units of the global one, below which the two contradict each other."""


def contradictions(outcome: Outcome, overall: Optional[float]) -> List[str]:
    """Say in words where a local resolution and the global one ``overall`` (Å) of the same half maps contradict.

    Where a quarter of the voxels have a signal as strong as the noise of the half maps, FSC 0.5, and the others have
    none, the FSC of them all is 0.25 / 1.25 = 0.2: above the 0.143 at which the global resolution is read. So a quarter
    of the values cannot be finer than that.
    """
    quartile = outcome.summary.get("p25")
    if not isinstance(outcome.result, LocalResolution) or quartile is None or overall is None:
        return []
    if quartile >= FINER_THAN_GLOBAL * overall:
        return []
    return [
        f"a quarter of the values are finer than {quartile:.2f} Å, and the FSC of the half maps under the same mask "
        f"ends at {overall:.2f} Å; the method reads this map too fine: compare with another one, and trust the order "
        "of the values only"
    ]
