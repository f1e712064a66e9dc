"""The curves of a Fourier shell correlation, the resolutions that they give, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional

import numpy as np

from cryores.curves import Curve, csv_text, star_text, xml_text
from cryores.fourier import Float64
from cryores.method import Result
from cryores.shell_correlation import ssnr_curve
from cryores.volume import Grid


@dataclass(frozen=True)
class FSCResult(Result):
    """Curves over the shells of the spectrum, and the resolutions they give.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        Shell centres in 1/Å, from 0 to Nyquist.
    count : ndarray
        Independent coefficients of each shell: half of those in the full spectrum, divided by the symmetry's order.
    criterion : str
        The threshold and the crossing rule in words.
    grid : Grid
        Grid of the input.
    unmasked, masked, randomised, corrected : ndarray or None
        FSC of the half maps; of the masked half maps; of these with random phases; without the mask's share. Without a
        mask ``corrected`` is ``unmasked`` and the two between are None. All None for a single map.
    particle : ndarray or None
        Unmasked FSC corrected for solvent.
    phase_residual : ndarray or None
        Differential phase residual of the unmasked half maps, in degrees.
    model : ndarray or None
        FSC of the full map (masked when there is a mask) and the model's density.
    fdr : ndarray or None
        What the corrected curve must exceed in each shell to be no noise, where a false discovery rate was given.
    resolution, unmasked_resolution, masked_resolution, model_resolution : dict
        Criterion -> Å of the corrected, unmasked, masked and model curves; None where a curve is below the threshold
        from the first shell on.
    reaches_nyquist : dict
        Criterion -> whether the corrected curve never falls below it: its resolution is then at least Nyquist.
    details : dict
        Resolved choices, the model's correlation coefficients, and warnings.
    """

    frequency: Float64
    count: Float64
    criterion: str
    grid: Grid = field(repr=False)
    unmasked: Optional[Float64] = None
    masked: Optional[Float64] = None
    randomised: Optional[Float64] = None
    corrected: Optional[Float64] = None
    particle: Optional[Float64] = None
    phase_residual: Optional[Float64] = None
    model: Optional[Float64] = None
    fdr: Optional[Float64] = None
    resolution: Dict[str, Optional[float]] = field(default_factory=dict)
    unmasked_resolution: Dict[str, Optional[float]] = field(default_factory=dict)
    masked_resolution: Dict[str, Optional[float]] = field(default_factory=dict)
    model_resolution: Dict[str, Optional[float]] = field(default_factory=dict)
    reaches_nyquist: Dict[str, bool] = field(default_factory=dict)
    details: Dict[str, Any] = field(default_factory=dict)

    @property
    def ssnr(self) -> Optional[Float64]:
        """Spectral signal-to-noise ratio of the full map, from the corrected curve."""
        return None if self.corrected is None else ssnr_curve(self.corrected)

    def columns(self) -> Dict[str, Any]:
        """Return the curves that exist, keyed by name, in the order of the tables."""
        named = {
            "corrected": self.corrected,
            "particle": self.particle,
            "unmasked": self.unmasked,
            "masked": self.masked,
            "randomised": self.randomised,
            "model": self.model,
            "phase_residual": self.phase_residual,
            "ssnr": self.ssnr,
        }
        return {name: curve for name, curve in named.items() if curve is not None}

    def tables(self) -> Dict[str, str]:
        """Return ``fsc.star`` (RELION's labels), ``fsc.xml`` (EMDB's format) and ``fsc.csv``."""
        shells = np.arange(len(self.frequency))
        angstrom = 1.0 / np.maximum(self.frequency, 1e-3)
        columns = self.columns()
        star = {"rlnSpectralIndex": shells, "rlnResolution": self.frequency, "rlnAngstromResolution": angstrom}
        star.update({STAR_LABELS[name]: curve for name, curve in columns.items()})
        main = "corrected" if self.corrected is not None else "model"
        title = XML_TITLES[main if self.masked is not None or main == "model" else "unmasked"]
        return {
            "fsc.star": star_text(self._star_general(), star),
            "fsc.xml": xml_text(Curve(self.frequency, columns[main], title)),
            "fsc.csv": csv_text({"frequency": self.frequency, "independent": self.count, **columns}),
        }

    def _star_general(self) -> Dict[str, object]:
        named = {"rlnFinalResolution": "estimate", "rlnRandomiseFrom": "randomised_from"}
        return {label: float(self.details[n]) for label, n in named.items() if self.details.get(n) is not None}

    def summary(self) -> Dict[str, Any]:
        """Return the resolutions by criterion and curve, what reaches Nyquist, and the details."""
        numbers: Dict[str, Any] = {
            "resolution": self.resolution,
            "reaches_nyquist": self.reaches_nyquist,
            "unmasked_resolution": self.unmasked_resolution,
            "masked_resolution": self.masked_resolution,
            "model_resolution": self.model_resolution,
            "nyquist": self.grid.nyquist,
        }
        return {**{name: value for name, value in numbers.items() if value != {}}, **self.details}

    def measured_resolution(self) -> Dict[str, Optional[float]]:
        """Return the resolutions of the corrected curve; empty for a single map."""
        return self.resolution


class MadeByFSC(Result):
    """A result that was made by the FSC of its half maps, and holds it."""

    fsc: Optional[FSCResult]
    """None where there was none."""

    def measured_resolution(self) -> Optional[Dict[str, Optional[float]]]:
        """Return the resolutions of that FSC, None without one."""
        return None if self.fsc is None else self.fsc.resolution


STAR_LABELS = {
    "corrected": "rlnFourierShellCorrelationCorrected",
    "particle": "rlnFourierShellCorrelationParticleMaskFraction",
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "randomised": "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps",
    "model": "cryoresMapModelFsc",
    "phase_residual": "cryoresDifferentialPhaseResidual",
    "ssnr": "cryoresSpectralSignalToNoise",
}

XML_TITLES = {
    "corrected": "cryores FSC of half maps, masked, corrected by phase randomisation",
    "unmasked": "cryores FSC of half maps, unmasked",
    "model": "cryores FSC of map and model",
}
