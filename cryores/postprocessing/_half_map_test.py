"""What a processing adds, judged by the half map that it has not seen.

Half 1 is processed, and compared with half 2 as it is. Their noise is independent, so that the correlation of the
processed half with the true signal follows in every shell from three Fourier shell correlations, without a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np

from cryores.fourier import Float64, rfft, shell_sums
from cryores.resolution.fsc import solvent_level
from cryores.shell_correlation import crossing_resolution, fsc_curve
from cryores.volume import FloatArray, HalfMaps, Volume

LIMIT = 0.143
"""FSC of the half maps down to which they tell anything of the true signal."""

CHANGE = 0.01
"""Change of the correlation with the signal from which it counts as gain or loss."""

NOTHING_NEW = 1e-6
"""Share of power that is rounding."""


@dataclass(frozen=True)
class HalfMapTest:
    """Fourier shell correlations of the raw halves h1 and h2 and the processed half P(h1), under one mask.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        In 1/Å.
    raw, processed, kept : ndarray of float64, shape (shells,)
        FSC(h1, h2), FSC(P(h1), h2) and FSC(P(h1), h1).
    """

    frequency: Float64
    raw: Float64
    processed: Float64
    kept: Float64

    @property
    def band(self) -> slice:
        """The shells, from the first, in which the raw halves tell anything of the signal."""
        below = np.flatnonzero(self.raw[1:] < LIMIT)
        return slice(1, 1 + (int(below[0]) if below.size else self.raw.size))

    @property
    def signal_before(self) -> Float64:
        """Correlation of h1 with the true signal in the shells of the band: sqrt(FSC(h1, h2))."""
        before: Float64 = np.sqrt(self.raw[self.band])
        return before

    @property
    def signal_after(self) -> Float64:
        """Correlation of P(h1) with the true signal in the shells of the band: FSC(P(h1), h2) / sqrt(FSC(h1, h2))."""
        return self.processed[self.band] / self.signal_before

    @property
    def new_share(self) -> Float64:
        """Share of the power of P(h1) that is no multiple of h1, in the shells of the band."""
        return 1.0 - np.minimum(self.kept[self.band] ** 2, 1.0)

    @property
    def new_signal(self) -> Optional[float]:
        """Correlation of what is new in P(h1) with the true signal, mean over the band weighted by how much is new.

        Above 0 where the processing found signal, 0 where what it adds has nothing to do with the data, below 0 where
        it took signal away. None where nothing is new.
        """
        share = self.new_share
        rest = (self.processed - self.kept * self.raw)[self.band]
        if share.max(initial=0.0) < NOTHING_NEW:
            return None
        agreement = rest / (np.sqrt(np.maximum(share, NOTHING_NEW)) * self.signal_before)
        return float(np.sum(share * agreement) / np.sum(share))

    def measures(self, side: str) -> Dict[str, Optional[float]]:
        """Return what this test adds to the table, of half 1 ``before`` or ``after`` the processing."""
        curve = self.raw if side == "before" else self.processed
        found = {f"half_fsc_{c:g}": crossing_resolution(self.frequency, curve, c) for c in (0.5, LIMIT)}
        if self.signal_before.size:
            signal = self.signal_before if side == "before" else self.signal_after
            found["half_signal"] = float(np.mean(signal))
            found["half_new_share"] = 0.0 if side == "before" else float(np.mean(self.new_share))
            found["half_new_signal"] = None if side == "before" else self.new_signal
        return found

    @property
    def verdict(self) -> str:
        """One word: gain, loss or neutral; "unknown" where the raw halves have nothing in common."""
        if not self.signal_before.size:
            return "unknown"
        change = float(np.mean(self.signal_after) - np.mean(self.signal_before))
        return "gain" if change > CHANGE else "loss" if change < -CHANGE else "neutral"


def half_map_test(raw: HalfMaps, processed: Volume, mask: FloatArray, threads: int) -> HalfMapTest:
    """Compare the halves under a soft mask; each loses the mean that it has outside of it first."""
    grid = raw.grid

    def spectrum(volume: Volume) -> Any:
        return rfft((volume.data - np.float32(solvent_level(volume.data, mask))) * mask, threads)

    half1, half2, changed = (spectrum(volume) for volume in (raw.half1, raw.half2, processed))
    pairs = ((half1, half2), (changed, half2), (changed, half1))
    sums = [shell_sums(a, b, grid) for a, b in pairs]
    return HalfMapTest(sums[0].frequency, *(fsc_curve(s) for s in sums))
