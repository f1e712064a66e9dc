"""Pre-whitening: the filter that makes the spectrum of the noise flat, found without anybody's help.

The logarithm of the noise's amplitude is fitted by a parabola in the frequency; beyond an elbow, where a map is noise
rather than shape, the fit counts most. Data and noise are divided by the fit. Source of the filter: Kucukelbir,
Sigworth & Tagare, Nat. Methods 11, 63 (2014), where the elbow is set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryores.filters import Response
from cryores.fourier import Float64

ELBOW = 10.0
"""Å: shells finer than this count fully."""

BELOW_ELBOW = 0.5
"""Weight of the shells just coarser than the elbow; those coarser still count nothing."""

START = 1.5
"""The coarsest shell that counts lies at this many elbows."""


@dataclass(frozen=True)
class Whitening:
    """The fitted spectrum of the noise.

    Parameters
    ----------
    frequency : ndarray of float64
        Shells in 1/Å.
    before, after : ndarray of float64
        Amplitude of the noise in each shell, before and after division by the fit.
    coefficients : ndarray of float64
        Of the parabola in s that fits ln(amplitude), the highest power first.
    start, end : float
        Frequencies (1/Å) outside of which the filter is constant; ``end`` may be infinite.
    """

    frequency: Float64
    before: Float64
    after: Float64
    coefficients: Float64
    start: float
    end: float

    @property
    def slope(self) -> float:
        """How much ln(amplitude) still changes over the fitted range, after whitening."""
        used = (self.frequency >= self.start) & (self.after > 0)
        line = np.polyfit(self.frequency[used], np.log(self.after[used]), 1)
        return float(line[0] * (self.frequency[-1] - self.start))

    def response(self) -> Response:
        """Return the filter: one over the fit, 1 at the elbow."""
        return lambda s: np.exp(np.polyval(self.coefficients, self.start) - self._fitted(s))

    def _fitted(self, s: Float64) -> Float64:
        height: Float64 = np.polyval(self.coefficients, np.clip(s, self.start, self.end))
        return height


def fit_whitening(frequency: Float64, amplitude: Float64, end: float, elbow: float = ELBOW) -> Whitening:
    """Fit the amplitude of the noise from the elbow (Å) to the last shell, for a filter that is constant from ``end``.

    Parameters
    ----------
    frequency, amplitude : ndarray of float64
        Shells in 1/Å and the amplitude of the noise in each.
    end : float
        Frequency in 1/Å; infinite to follow the fit into the corners of the spectrum.
    elbow : float
        Å; shells up to one and a half elbows count half.
    """
    elbow = max(elbow, 1.05 / frequency[-1])
    start = 1.0 / (START * elbow)
    weight = np.where(frequency >= 1.0 / elbow, 1.0, np.where(frequency >= start, BELOW_ELBOW, 0.0))
    used = (weight > 0) & (amplitude > 0)
    degree = min(2, max(int(np.count_nonzero(used)) - 1, 0))
    coefficients = np.polyfit(frequency[used], np.log(amplitude[used]), degree, w=np.sqrt(weight[used]))
    bare = Whitening(frequency, amplitude, amplitude, coefficients, start, end)
    return Whitening(frequency, amplitude, amplitude * bare.response()(frequency), coefficients, start, end)
