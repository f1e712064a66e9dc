"""How connected and detailed a map is: its adjusted surface area, and its kurtosis.

At the level above which lies a fifth of the molecule's volume, a good map is a few connected regions with much surface.
Blurred density has little surface for its volume; noise that is sharpened too far falls into many regions.
Source: Terwilliger, Sobolev, Afonine & Adams, Acta Cryst. D 74, 545 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cryores.volume import BoolArray, FloatArray

OCCUPIED = 0.2
"""Share of the molecule's voxels that lie above the contour."""

COUNTED = 0.3
"""Share of those voxels in whose largest regions the surface is measured."""

MOST_REGIONS = 30


@dataclass(frozen=True)
class Surface:
    """The surface of a map at its contour.

    Parameters
    ----------
    area : float
        Voxels one step outside the largest regions, by voxels inside.
    regions : float
        Number of connected regions (six neighbours), by voxels above the contour.
    """

    area: float
    regions: float

    def score(self, region_weight: float) -> float:
        """Return the adjusted surface area."""
        return self.area - region_weight * self.regions


def surface_of(data: FloatArray, inside: BoolArray) -> Surface:
    """Measure a map inside a mask; the array may be cut to the mask's bounding box."""
    target = max(1, round(OCCUPIED * int(np.count_nonzero(inside))))
    values = data[inside]
    level = np.partition(values, values.size - target)[values.size - target]
    # A border of one voxel, so that regions can be dilated.
    above = np.pad((data >= level) & inside, 1)
    labels, count = ndimage.label(above)
    sizes = np.bincount(labels.ravel())[1:]
    largest = np.argsort(sizes, kind="stable")[::-1][: MOST_REGIONS + 1]
    enough = int(np.searchsorted(np.cumsum(sizes[largest]), COUNTED * target)) + 1
    boxes = ndimage.find_objects(labels)
    volume = outside = 0
    for number in largest[:enough]:
        region = np.pad(labels[boxes[number]] == number + 1, 1)
        volume += int(sizes[number])
        outside += int(np.count_nonzero(ndimage.maximum_filter(region, size=3))) - int(sizes[number])
    return Surface(outside / volume, count / target)


def region_weight(low: Surface, middle: Surface, high: Surface, usual: float) -> float:
    """Return how much regions count, from maps that are sharpened too little (``low``), some, and too much.

    With it the scores of ``low`` and ``high`` are equal, within limits that put the best score between them; ``usual``
    where the three do not tell.
    """

    def ratio(a: Surface, b: Surface) -> float:
        return (a.area - b.area) / (a.regions - b.regions) if a.regions != b.regions else np.nan

    found, least, most = ratio(low, high), ratio(low, middle), ratio(middle, high)
    if not np.isfinite([found, least, most]).all() or found <= 0:
        return usual
    least, most = sorted((least, most))
    return float(np.clip(found, 1.1 * least, max(0.9 * most, 1.1 * least)))


def kurtosis(values: FloatArray) -> float:
    """Return the mean fourth power of the deviations in standard deviations: 3 for Gaussian noise."""
    deviation = values - values.mean(dtype=np.float64)
    variance = float(np.mean(deviation**2, dtype=np.float64))
    return float(np.mean(deviation**4, dtype=np.float64)) / variance**2 if variance > 0 else 0.0
