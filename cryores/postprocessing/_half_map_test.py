"""What a processing adds, judged by the half map that it has not seen.

Half 1 is processed, and compared with half 2 as it is. Their noise is independent, so that the correlation of the
processed half with the true signal follows in every shell from three Fourier shell correlations, without a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np

from cryores.fourier import Float64, irfft, multiply_radial, rfft, shell_frequencies, shell_sums
from cryores.masks import solvent_level
from cryores.shell_correlation import crossing_past_shape, fsc_curve
from cryores.volume import BoolArray, FloatArray, HalfMaps, Volume

LIMIT = 0.143
"""FSC of the half maps down to which they tell anything of the true signal."""

CHANGE = 0.01
"""Change of the correlation with the signal from which it counts as gain or loss."""

TOO_GOOD = 1.2
"""Agreement of what is new with half 2, relative to the most that is possible, from which it must come from half 2."""

LITTLE_NEW = 0.002
"""Mean share of new power below which nothing is concluded from it."""

ROUNDING = 1e-8
"""The same, relative to all shells, below which nothing is left of what a high-pass took out."""

HARDLY = 0.1
"""Power, relative to the raw half's, below which a shell was filtered out, and holds what the mask brought there."""

NOTHING_NEW = 1e-6
"""Share of power that is rounding."""

EMPTY = 0.01
"""Power over that of the raw half, relative to the shells before, below which a shell was filtered out."""


@dataclass(frozen=True)
class HalfMapTest:
    """Fourier shell correlations of the raw halves h1 and h2 and the processed half P(h1), under one mask.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        In 1/Å.
    raw, processed, kept : ndarray of float64, shape (shells,)
        FSC(h1, h2), FSC(P(h1), h2) and FSC(P(h1), h1).
    filled : ndarray of bool, shape (shells,)
        Where P(h1), levelled, has any power: a low-pass takes signal away, which is no invention.
    """

    frequency: Float64
    raw: Float64
    processed: Float64
    kept: Float64
    filled: BoolArray

    @property
    def band(self) -> BoolArray:
        """The shells in which the raw halves tell anything of the signal and P(h1) holds anything."""
        below = np.flatnonzero(self.raw[1:] < LIMIT) + 1
        shells = np.arange(self.raw.size)
        found: BoolArray = (shells > 0) & (shells < (below[0] if below.size else self.raw.size)) & self.filled
        return found

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
        if share.max(initial=0.0) < NOTHING_NEW:
            return None
        return float(np.sum(share * self._agreement) / np.sum(share))

    @property
    def _agreement(self) -> Float64:
        """Correlation of what is new with the true signal, by shell."""
        rest = (self.processed - self.kept * self.raw)[self.band]
        found: Float64 = rest / (np.sqrt(np.maximum(self.new_share, NOTHING_NEW)) * self.signal_before)
        return found

    def measures(self, side: str) -> Dict[str, Optional[float]]:
        """Return what this test adds to the table, of half 1 ``before`` or ``after`` the processing."""
        curve = self.raw if side == "before" else self.processed
        found = {f"half_fsc_{c:g}": crossing_past_shape(self.frequency, curve, c) for c in (0.5, LIMIT)}
        if self.signal_before.size:
            signal = self.signal_before if side == "before" else self.signal_after
            found["half_signal"] = float(np.mean(signal))
            found["half_new_share"] = 0.0 if side == "before" else float(np.mean(self.new_share))
            found["half_new_signal"] = None if side == "before" else self.new_signal
        return found

    def curves(self) -> Dict[str, Float64]:
        """Return the curves as columns of a table."""
        return {"frequency": self.frequency, "raw": self.raw, "processed": self.processed, "kept": self.kept}

    @property
    def has_seen_half2(self) -> bool:
        """Whether what is new agrees better with h2 than all the signal that h1 lacks could, sqrt(1 - FSC(h1, h2)).

        Of the mean of the halves it is at least 1.4 times as much.
        """
        share, lacking = self.new_share, np.sqrt(np.maximum(1.0 - self.raw[self.band], 0.0))
        enough = share.size > 0 and float(np.mean(share)) > LITTLE_NEW
        return enough and bool(np.sum(share * self._agreement) > TOO_GOOD * np.sum(share * lacking))

    @property
    def verdict(self) -> str:
        """One word: gain, loss or neutral; "unknown" where the raw halves have nothing in common."""
        if not self.signal_before.size:
            return "unknown"
        change = float(np.mean(self.signal_after) - np.mean(self.signal_before))
        return "gain" if change > CHANGE else "loss" if change < -CHANGE else "neutral"


def half_map_test(raw: HalfMaps, processed: Volume, mask: FloatArray, threads: int) -> HalfMapTest:
    """Compare the halves under a soft mask; each loses the mean that it has outside of it first.

    ``processed`` should be `levelled`: a mask mixes neighbouring shells, and would carry noise that was sharpened into
    shells where there was none.
    """
    grid = raw.grid

    def spectrum(volume: Volume) -> Any:
        return rfft((volume.data - np.float32(solvent_level(volume.data, mask))) * mask, threads)

    changed, half2 = spectrum(processed), spectrum(raw.half2)
    sums = shell_sums(changed, half2, grid)
    half1 = spectrum(raw.half1)
    raw_sums = shell_sums(half1, half2, grid)
    return HalfMapTest(
        frequency=sums.frequency,
        raw=fsc_curve(raw_sums),
        processed=fsc_curve(sums),
        kept=fsc_curve(shell_sums(changed, half1, grid)),
        filled=sums.power1 > HARDLY * raw_sums.power1,
    )


def levelled(volume: Volume, like: Volume, threads: int) -> Volume:
    """Return ``volume`` with the mean power that ``like`` has in each shell; shells that were cut off are emptied.

    What a filter of the frequency alone did is taken back by this.
    """
    grid = volume.grid
    spectrum = rfft(volume.data, threads)
    power = shell_sums(spectrum, spectrum, grid).power1
    wanted = rfft(like.data, threads)
    target = shell_sums(wanted, wanted, grid).power1
    del wanted
    left = power / np.maximum(target, np.finfo(np.float64).tiny)
    left[0] = left[1]  # the mean of a map tells nothing of its filter
    empty = (left <= EMPTY * np.maximum.accumulate(left)) | (left <= ROUNDING * left.max())
    gain = np.where(empty, 0.0, 1.0 / np.sqrt(np.where(empty, 1.0, left)))
    multiply_radial(spectrum, lambda s: np.interp(s, shell_frequencies(grid), gain), grid)
    return volume.like(irfft(spectrum, grid.shape, threads))
