"""How much of an enhanced map's density is likely right: by how strong it is, and by how much the map knows at all.

The error of density over the density that should be there, squares averaged over a residue, is taken to be
`SCALE` unknown^`BY_UNKNOWN` / strength^`BY_STRENGTH`. The three numbers are a fit to maps of models that the networks
learnt from: ``python -m benchmarks.enhancer_confidence --models DIR``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryores.nets.enhancer_bands import CONTRAST, MODEL_POWER, block_means
from cryores.volume import FloatArray

RESIDUE = 3.0
"""Standard deviation in Å of the Gaussian over which density is averaged: about a residue."""

SCALE, BY_STRENGTH, BY_UNKNOWN = 4.7, 0.82, 2.5
"""Error where nothing is known and density is as strong as is usual; how it falls with strength and with knowledge."""

NEVER_KNOWN = 0.02
"""Share that is never taken for known."""


def known_share(noise: FloatArray, power: FloatArray, density: FloatArray) -> float:
    """Return the share of what a molecule's density holds, up to 2.2 Å, that a map knows.

    A band counts by its power in atomic models, a block by its power in the enhanced map; known is signal over signal
    and noise.

    Parameters
    ----------
    noise, power : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        Local powers of the noise and of the map.
    density : ndarray of float32, shape (nz, ny, nx)
        The enhanced map, with voxels of 1 Å.
    """
    known = np.clip(1.0 - noise / np.maximum(power, np.finfo(np.float32).tiny), 0.0, 1.0)
    share, counts = known @ (MODEL_POWER / MODEL_POWER.sum()), block_means(np.square(density))
    return float(np.sum(share * counts, dtype=np.float64) / max(np.sum(counts, dtype=np.float64), 1e-20))


def strength(density: FloatArray) -> FloatArray:
    """Return the mean density around the voxels (of 1 Å) of an enhanced map, in `CONTRAST`; where it is below 0, 0."""
    from scipy.ndimage import gaussian_filter

    around: FloatArray = np.maximum(gaussian_filter(density, RESIDUE), 0.0) / np.float32(CONTRAST)
    return around


def confidence(density: FloatArray, known: float) -> FloatArray:
    """Return right over right and wrong density, 0 to 1, as it is to be expected.

    Parameters
    ----------
    density : ndarray of float32, shape (nz, ny, nx)
        An enhanced map with voxels of 1 Å.
    known : float
        By `known_share`.
    """
    right = strength(density) ** np.float32(BY_STRENGTH)
    wrong = np.float32(SCALE * (1.0 + NEVER_KNOWN - known) ** BY_UNKNOWN)
    likely: FloatArray = right / (right + wrong)
    return likely


def fitted(strengths: Any, known: Any, error: Any) -> Any:
    """Return `SCALE`, `BY_STRENGTH` and `BY_UNKNOWN` for voxels of maps whose error, over what is right, is known."""
    ones, logs = np.ones(len(error)), np.log(np.maximum(strengths, 0.02))
    columns = np.stack([ones, -logs, np.log(1.0 + NEVER_KNOWN - known)], axis=1)
    found = np.linalg.lstsq(columns, np.log(np.clip(error, 1e-2, 1e2)), rcond=None)[0]
    return np.exp(found[0]), found[1], found[2]
