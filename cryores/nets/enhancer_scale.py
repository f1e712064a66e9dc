"""The scale on which our enhancers see a map: solvent at 0, the molecule's mean density at 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from cryores.volume import FloatArray

SMOOTHING = 3.0
"""Standard deviation in voxels (of 1 Å) of the Gaussian after which the molecule stands out of the noise."""

LEAST_CONTRAST = 6.0
"""Molecule over solvent, in standard deviations of the smoothed solvent, below which the solvent sets the scale."""

NORMAL = 1.4826
"""Standard deviation of normal numbers over their median absolute deviation."""


@dataclass(frozen=True)
class DensityScale:
    """``(density - solvent) / contrast`` is what the networks get; solvent lies below ``threshold`` on that scale.

    ``stands_out`` is the molecule's mean over the solvent in standard deviations of the smoothed solvent, 2.5 where a
    box holds normal noise alone, of whatever spectrum; maps have 10 and more.
    """

    solvent: float
    contrast: float
    threshold: float = 0.5
    stands_out: float = np.inf

    def apply(self, density: FloatArray) -> FloatArray:
        """Return a density on this scale."""
        scaled: FloatArray = (density - np.float32(self.solvent)) * np.float32(1.0 / self.contrast)
        return scaled


def density_scale(density: FloatArray, threads: int = 1) -> DensityScale:
    """Find the scale of a map with voxels of 1 Å.

    Otsu's threshold divides the smoothed map into solvent and molecule. Of noise alone it makes two halves, whose means
    differ less than `LEAST_CONTRAST`; noise then stays far below 1.
    """
    from skimage.filters import threshold_otsu

    smooth = _smoothed(density, threads)
    level = float(threshold_otsu(smooth))
    outside = smooth <= level
    solvent = float(np.median(smooth[outside]))
    spread = NORMAL * float(np.median(np.abs(smooth[outside] - np.float32(solvent))))
    molecule = float(smooth[~outside].mean(dtype=np.float64)) - solvent
    contrast = max(molecule, LEAST_CONTRAST * spread, float(np.finfo(np.float32).tiny))
    stands_out = molecule / max(spread, 1e-6 * contrast)
    return DensityScale(solvent, contrast, (level - solvent) / contrast, stands_out)


def _smoothed(density: FloatArray, threads: int) -> FloatArray:
    spectrum: Any = scipy.fft.rfftn(density, workers=threads)
    for axis, n in enumerate(density.shape):
        s = np.fft.rfftfreq(n) if axis == 2 else np.fft.fftfreq(n)
        gain = np.exp(-2.0 * (np.pi * SMOOTHING * s) ** 2).astype(np.float32)
        spectrum *= gain.reshape([-1 if axis == i else 1 for i in range(3)])
    smooth: FloatArray = scipy.fft.irfftn(spectrum, s=density.shape, workers=threads)
    return smooth
