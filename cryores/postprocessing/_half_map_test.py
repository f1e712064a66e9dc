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
        return np.sqrt(np.maximum(self.raw[self.band], 0.0))

    @property
    def signal_after(self) -> Float64:
        """Correlation of P(h1) with the true signal in the shells of the band: FSC(P(h1), h2) / sqrt(FSC(h1, h2))."""
        return self.processed[self.band] / self.signal_before

    @property
    def new_share(self) -> Float64:
        """Share of the power of P(h1) that is no multiple of h1, in the shells of the band."""
        return 1.0 - np.minimum(self.kept[self.band] ** 2, 1.0)

    @property
    def new_signal(self) -> float:
        """Correlation of what is new in P(h1) with the true signal, mean over the band weighted by how much is new.

        Above 0 where the processing found signal, 0 where what it adds has nothing to do with the data, below 0 where
        it took signal away. NaN where nothing is new.
        """
        share = self.new_share
        rest = (self.processed - self.kept * self.raw)[self.band]
        with np.errstate(invalid="ignore", divide="ignore"):
            agreement = np.where(share > 1e-6, rest / (np.sqrt(share) * self.signal_before), 0.0)
        return float(np.sum(share * agreement) / np.sum(share)) if share.max(initial=0.0) > 1e-6 else float("nan")

    def measures(self) -> Dict[str, Dict[str, Optional[float]]]:
        """Return the rows that this test adds to the table: measure -> before and after."""
        rows: Dict[str, Dict[str, Optional[float]]] = {}
        for cutoff in (0.5, LIMIT):
            rows[f"half_fsc_{cutoff:g}"] = {
                "before": crossing_resolution(self.frequency, self.raw, cutoff),
                "after": crossing_resolution(self.frequency, self.processed, cutoff),
            }
        if self.signal_before.size:
            before, after = (float(np.mean(c)) for c in (self.signal_before, self.signal_after))
            rows["half_signal"] = {"before": before, "after": after}
            rows["half_new_share"] = {"before": 0.0, "after": float(np.mean(self.new_share))}
            rows["half_new_signal"] = {"before": None, "after": self.new_signal}
        return rows

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
