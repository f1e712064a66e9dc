"""What a processing did to a map: the difference, and the blobs of density that went or came.

The two maps may have any scale and sharpness: both are smoothed to the size of a blob, and each is compared with its
own distribution of densities inside the mask. So a blob has gone when it was among the mask's highest densities before
and is far from them after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import numba
import numpy as np

import cryores.openmp  # noqa: F401  before numba starts a thread
from cryores.filters import gaussian
from cryores.fourier import filtered
from cryores.volume import BoolArray, FloatArray, Grid, Triple, Volume

FAR = 3.0
"""A voxel of the densest share q before is far from it when it lies outside the densest share FAR * q after."""

SMOOTHING = 2.0
"""Standard deviation in Å of the Gaussian that takes out what sharpening changes everywhere."""

SMALLEST_BLOB = 40.0
"""Blobs of fewer Å^3 (two water molecules) are noise of the contour and are not listed."""

LISTED = 20
"""Blobs that are listed, the largest first."""


@dataclass(frozen=True)
class Blob:
    """A connected piece of density that one map has and the other has not.

    Parameters
    ----------
    volume : float
        Size in Å^3 at the contour.
    position : tuple of float
        Centre of mass in Å along (x, y, z), in the frame of the map.
    contour : float
        Contour, in the units of the smoothed map that has the blob.
    peak : float
        Highest density of the blob in that smoothed map.
    """

    volume: float
    position: Triple
    contour: float
    peak: float

    def as_record(self) -> Dict[str, Any]:
        """Return it for the report."""
        return {"volume": self.volume, "position": self.position, "contour": self.contour, "peak": self.peak}


def contour_level(density: FloatArray, inside: BoolArray) -> float:
    """Return the density that best divides the mask's voxels into solvent and particle (Otsu's threshold)."""
    from skimage.filters import threshold_otsu

    values = density[inside] if inside.any() else density
    return float(threshold_otsu(values))


def difference(before: Volume, after: Volume, inside: BoolArray) -> Volume:
    """Return ``after - before``, each minus its mean and divided by its standard deviation inside the mask."""
    return before.like(_standardised(after.data, inside) - _standardised(before.data, inside))


def changed_blobs(before: Volume, after: Volume, inside: BoolArray, threads: int = 1) -> Tuple[List[Blob], List[Blob]]:
    """Return the blobs that went and those that came, the largest first.

    The contour of ``before``, smoothed, is Otsu's threshold inside the mask; that of ``after`` encloses as many voxels.
    """
    before, after = (v.like(filtered(v.data, gaussian(SMOOTHING), v.grid, threads)) for v in (before, after))
    values = before.data[inside]
    level = contour_level(before.data, inside)
    share = float(np.count_nonzero(values > level)) / max(values.size, 1)
    low = max(0.0, 1.0 - FAR * share)
    level_after, far_after = np.quantile(after.data[inside], (1.0 - share, low))
    far_before = float(np.quantile(values, low))
    went = _blobs((before.data > level) & (after.data <= far_after), before, level)
    came = _blobs((after.data > level_after) & (before.data <= far_before), after, float(level_after))
    return went, came


def _standardised(data: FloatArray, inside: BoolArray) -> FloatArray:
    values = data[inside].astype(np.float64)
    spread = float(values.std()) or 1.0
    return (data - np.float32(values.mean())) * np.float32(1.0 / spread)


def _blobs(found: BoolArray, density: Volume, contour: float) -> List[Blob]:
    from scipy import ndimage

    labels, count = ndimage.label(found)
    voxel = float(np.prod(density.grid.voxel_size))
    sizes = np.bincount(labels[found], minlength=count + 1)
    largest = [i for i in np.argsort(-sizes, kind="stable")[:LISTED].tolist() if sizes[i] * voxel >= SMALLEST_BLOB]
    number = np.full(count + 1, -1)
    number[largest] = np.arange(len(largest))
    sums, peaks = _moments(density.data, labels, number, len(largest))
    return [
        Blob(float(sizes[i]) * voxel, _position(density.grid, total[1:] / total[0]), contour, float(peak))
        for i, total, peak in zip(largest, sums, peaks)
    ]


@numba.njit(cache=True)  # type: ignore[misc]
def _moments(density, labels, number, count):  # type: ignore[no-untyped-def]
    """Return of every numbered label the sum of density and of density times z, y and x, and the highest density."""
    sums, peaks = np.zeros((count, 4)), np.full(count, -np.inf)
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                i = number[labels[z, y, x]]
                if i >= 0:
                    value = np.float64(density[z, y, x])
                    sums[i, 0] += value
                    sums[i, 1] += value * z
                    sums[i, 2] += value * y
                    sums[i, 3] += value * x
                    peaks[i] = max(peaks[i], value)
    return sums, peaks


def _position(grid: Grid, index: Any) -> Triple:
    z, y, x = (first + i * v for first, i, v in zip(grid.first_voxel, index, grid.voxel_size))
    return (float(x), float(y), float(z))
