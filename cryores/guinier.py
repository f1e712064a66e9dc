"""Guinier plots: the logarithm of the mean amplitude against 1/d^2, and the B-factor that its slope is.

ln F(s) = ln F(0) + (B / 4) s^2, so a line fitted over a range of resolution has the slope B / 4. B is negative where
amplitudes decay; multiplying by exp(-B s^2 / 4) levels them. Source: Rosenthal & Henderson, J. Mol. Biol. 333, 721
(2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryores.errors import UsageError
from cryores.fourier import Complex, Float64, shell_sums
from cryores.volume import Grid

FEWEST_SHELLS = 3
"""A line through fewer points says nothing about how well it fits."""


@dataclass(frozen=True)
class GuinierFit:
    """A line fitted to a Guinier plot.

    Parameters
    ----------
    bfactor : float
        Four times the slope, in Å²; negative where amplitudes decay.
    intercept : float
        ln F at s = 0.
    quality : float
        Squared correlation coefficient of the line and the points, 0 to 1.
    coarsest, finest : float
        Resolution (Å) of the first and last shell that took part.
    shells : int
        How many shells took part.
    """

    bfactor: float
    intercept: float
    quality: float
    coarsest: float
    finest: float
    shells: int

    def line(self, frequency: Float64) -> Float64:
        """Return ln F of the line at each frequency (1/Å)."""
        height: Float64 = self.intercept + 0.25 * self.bfactor * np.asarray(frequency) ** 2
        return height


def mean_amplitudes(spectrum: Complex, grid: Grid) -> Float64:
    """Return the root mean square of |F| in each shell of `cryores.fourier.shell_frequencies`."""
    sums = shell_sums(spectrum, spectrum, grid)
    amplitudes: Float64 = np.sqrt(sums.power1 / np.maximum(sums.count, 1.0))
    return amplitudes


def fit_guinier(frequency: Float64, amplitude: Float64, coarsest: float, finest: float) -> GuinierFit:
    """Fit a line to ln(amplitude) against s^2 between two resolutions (Å), leaving out shells without amplitude.

    Raises
    ------
    UsageError
        ``E_FIT_RANGE`` if fewer than three shells lie in the range.
    """
    tolerance = 1e-6
    chosen = (frequency * coarsest >= 1.0 - tolerance) & (frequency * finest <= 1.0 + tolerance) & (amplitude > 0)
    shells = int(np.count_nonzero(chosen))
    if shells < FEWEST_SHELLS:
        raise UsageError(
            "E_FIT_RANGE",
            f"only {shells} shells with density lie between {coarsest:.4g} and {finest:.4g} Å: "
            "no B-factor can be fitted",
            "widen the range of the fit, or give the B-factor",
        )
    x, y = frequency[chosen] ** 2, np.log(amplitude[chosen])
    slope, intercept = np.polyfit(x, y, 1)
    spread = np.std(x) * np.std(y)
    quality = float((np.mean((x - x.mean()) * (y - y.mean())) / spread) ** 2) if spread > 0 else 1.0
    used = frequency[chosen]
    return GuinierFit(
        4.0 * float(slope), float(intercept), quality, 1.0 / float(used[0]), 1.0 / float(used[-1]), shells
    )
