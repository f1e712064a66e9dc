"""What the published enhancers were trained to see: noise of mean 0 and deviation 0.1, or a map inside a mask.

The noise is found by the published rule, on a copy of 100^3 voxels: local mean and variance are averaged over spheres,
the difference of the two profiles tells how far the box holds noise, and what has energy is taken for the molecule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple

import numpy as np

from cryores.errors import InputError
from cryores.fourier import Float64
from cryores.masks import automatic_mask
from cryores.volume import BoolArray, FloatArray, Volume

COPY = 100
"""Edge of the copy on which noise is looked for."""

HALF = COPY // 2
WINDOW = 5
ENERGY_SHARE = 0.05
"""Share of the range of the local mean square above which a voxel belongs to the molecule."""

WHOLE_BOX = HALF * 3**0.5
"""Radius that reaches the corners of the copy."""

NOISE_LEVEL = 0.1
"""Standard deviation of the noise after normalisation."""


@dataclass(frozen=True)
class NoiseStatistics:
    """Mean and standard deviation of a map's noise."""

    mean: float
    deviation: float

    def normalised(self, density: FloatArray) -> FloatArray:
        """Return the density with noise of mean 0 and deviation `NOISE_LEVEL`."""
        scaled: FloatArray = (density - np.float32(self.mean)) * np.float32(NOISE_LEVEL / self.deviation)
        return scaled


def resized(volume: FloatArray, shape: Tuple[int, ...]) -> FloatArray:
    """Return a volume on another grid as the published program does: cubic splines, reflected, with its smoothing."""
    from skimage.transform import resize

    result = resize(volume.astype(np.float32), shape, order=3, mode="reflect", anti_aliasing=True)
    return np.asarray(result, dtype=np.float32)


def statistics_of(density: FloatArray, noise: BoolArray) -> NoiseStatistics:
    """Return mean and deviation of the voxels of ``noise``.

    Raises
    ------
    InputError
        ``E_NO_NOISE`` if there are none, or they are all the same.
    """
    values = density[noise].astype(np.float64)
    if values.size < 2 or not values.std() > 0:
        raise InputError(
            "E_NO_NOISE",
            "there is no noise around the molecule: the map is masked",
            "give the unmasked map, or --noise-stats MEAN DEVIATION, or --target masked with --mask",
        )
    return NoiseStatistics(float(values.mean()), float(values.std()))


def automatic_statistics(density: FloatArray) -> NoiseStatistics:
    """Return the statistics of the noise that the published rule finds.

    Raises
    ------
    InputError
        ``E_HOLLOW`` where there is a second shell of density inside the noise; ``E_NO_NOISE``.
    """
    return statistics_of(density, noise_region(density))


def noise_region(density: FloatArray) -> BoolArray:
    """Return the voxels that the published rule takes for noise; raises ``E_HOLLOW``."""
    from scipy import ndimage

    copy = ndimage.gaussian_filter(resized(density, (COPY,) * 3), sigma=0.1)
    mean = ndimage.uniform_filter(copy, WINDOW)
    square = ndimage.uniform_filter(np.square(copy), WINDOW)
    radius = noise_radius(*(radial_profile(v) for v in (square - np.square(mean), mean, square)))
    low, high = float(square.min()), float(square.max())
    molecule = ndimage.grey_dilation((square > low + ENERGY_SHARE * (high - low)).astype(np.float32), size=WINDOW) > 0
    region = (_distance_from_middle() <= radius) & ~molecule
    back: BoolArray = resized(region.astype(np.float32), density.shape) > 0.5
    return back


def noise_or_outside(volume: Volume) -> Tuple[BoolArray, str]:
    """Return the voxels that are taken for noise, and in words where they are.

    Where the published rule finds a hollow structure, what lies outside an automatic mask.
    """
    try:
        return noise_region(volume.data), "by the published rule"
    except InputError as error:
        if error.code != "E_HOLLOW":
            raise
    return automatic_mask(volume).data <= 0.5, "outside a mask, as the structure looks hollow"


def noise_radius(variance: Float64, mean: Float64, energy: Float64) -> float:
    """Return the radius (voxels of the copy) up to which there is noise, from the profiles of the local statistics."""
    from scipy.signal import argrelextrema

    curve = variance - mean
    minima = argrelextrema(curve, np.less)[0]
    start = int(minima[0]) if minima.size and curve[minima[0]] < 0 else int(np.argmin(curve))
    if start > HALF:
        return float(HALF)
    peak = int(np.argmax(curve[start : HALF + 1])) + start
    if energy[peak] > curve[peak] > 0:
        raise InputError(
            "E_HOLLOW",
            "the noise around the molecule cannot be found: its structure is hollow",
            "give --noise-stats MEAN DEVIATION, measured where there is no molecule",
        )
    after = np.flatnonzero(curve[start:] > 0)
    if not after.size:
        return float(HALF)  # a filament, which reaches the end of the box
    first = int(after[0]) + start
    ended = np.flatnonzero(curve[first:] <= 0)
    last = int(ended[0]) + first if ended.size else HALF
    outer, inner = float(np.mean(np.diff(curve[-10:]))), float(np.mean(np.diff(curve[-25:-10])))
    if outer > 1e-8 and inner > 1e-8 and outer > 3.0 * inner:
        return WHOLE_BOX
    return float(round((first + last) / 2))


def radial_profile(volume: Any) -> Float64:
    """Return the means over shells of one voxel about voxel n // 2."""
    shell = _distance_from_middle().astype(np.int64)
    count = np.bincount(shell.ravel())
    profile: Float64 = np.bincount(shell.ravel(), volume.ravel().astype(np.float64)) / np.maximum(count, 1)
    return profile


def _distance_from_middle() -> Float64:
    along = (np.arange(COPY) - HALF) ** 2.0
    distance: Float64 = np.sqrt(along[:, None, None] + along[:, None] + along)
    return distance


def normalised_in_mask(density: FloatArray, mask: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """Return the density for the network of masked maps, and the mask as it was used.

    The mask is grown by a voxel and cut at 1 % of its range; of its positive density the median becomes 0 and the
    distance from the 10th to the 95th percentile 1.

    Raises
    ------
    InputError
        ``E_NO_DENSITY`` if no positive density lies in the mask.
    """
    from scipy import ndimage

    grown = ndimage.grey_dilation(mask, size=3)
    low, high = float(grown.min()), float(grown.max())
    used = (grown > low + 0.01 * (high - low)).astype(np.float32)
    values = density[(used > 0) & (density > 0)].astype(np.float64)
    if values.size < 2 or np.ptp(np.percentile(values, (10, 95))) <= 0:
        raise InputError("E_NO_DENSITY", "there is no positive density in the mask", "give a mask on the molecule")
    low, middle, high = np.percentile(values, (10, 50, 95))
    scaled: FloatArray = (density - np.float32(middle)) * np.float32(1.0 / (high - low)) * used
    return scaled, used
