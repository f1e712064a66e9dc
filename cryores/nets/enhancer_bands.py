"""A map taken apart into bands of frequency, and what each place looks like in each band.

A band holds the waves about a multiple of 0.05/Å; all together are the map. On blocks of 4 x 4 x 4 voxels (of 1 Å) a
band's local power is compared with its power in the solvent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Sequence, Tuple

import numpy as np

from cryores.fourier import Complex, irfft, rfft
from cryores.nets.enhancer_scale import DensityScale, density_scale
from cryores.volume import FloatArray

WIDTH = 0.05
"""Distance of the bands' middles in 1/Å."""

COUNT = 10
"""Bands, from 0 to 0.45/Å."""

BLOCK = 4
"""Edge of a block in voxels."""

WINDOW = 2.0
"""Standard deviation in blocks of the Gaussian over which local power is taken: 8 Å, about as LocScale's windows."""

FLOOR = 1e-4
"""Least power of a solvent, as a share of the power of the strongest places: masked maps have none."""

TOLD = 0.3
"""Power of the solvent in some band, as a share of that of the strongest places, from which it is the map's noise."""

WEAKEST = 10
"""Percentile of the blocks' mean density up to which they are taken for solvent where none is by the scale."""

CONTRAST = 0.3
"""Standard deviation of the enhanced density of a molecule: bright density is then about 1."""

MODEL_POWER = np.array([0.165, 0.104, 0.065, 0.060, 0.143, 0.144, 0.094, 0.061, 0.049, 0.093])
"""Power of each band in the density of atomic models: median of the models that the networks learnt from."""

FEATURES = 3 * COUNT + 2
"""What is told of a block: power of each band around it, that over the solvent's, the power in the block alone over the
solvent's, mean density, and that of its surroundings."""


@dataclass(frozen=True)
class Described:
    """A map on the scale of the networks, its spectrum, and what its blocks look like.

    Parameters
    ----------
    density : ndarray of float32, shape (nz, ny, nx)
        The map, edges multiples of `BLOCK`, solvent 0 and molecule 1.
    features : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, FEATURES)
        What the blocks look like, as logarithms.
    power : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        Local power of each band.
    amplitude : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        Local amplitude of each band, by which its gain is divided.
    noise : ndarray of float32, shape (COUNT,)
        Power of each band in the solvent.
    scale : DensityScale
        How density follows from the map.
    """

    density: FloatArray
    features: FloatArray
    power: FloatArray
    amplitude: FloatArray
    noise: FloatArray
    scale: DensityScale


def bands(density: FloatArray, threads: int = 1) -> Iterator[FloatArray]:
    """Yield the bands of a map with voxels of 1 Å, from slow to fast; the last holds all that is faster."""
    return joined_bands(density, [(k, k + 1) for k in range(COUNT)], threads)


def joined_bands(density: FloatArray, joined: Sequence[Tuple[int, int]], threads: int = 1) -> Iterator[FloatArray]:
    """Yield the sum of the bands from the first to before the second number of each pair."""
    spectrum = rfft(density, threads)
    for first, end in joined:
        yield irfft(_band(spectrum, density.shape, first, end), density.shape, threads, destroy=True)  # type: ignore[arg-type]


def _band(spectrum: Complex, shape: Any, first: int, end: int) -> Complex:
    """Return the coefficients of the bands from ``first`` to before ``end``."""
    axes = [np.fft.fftfreq(n) for n in shape[:2]] + [np.fft.rfftfreq(shape[2])]
    z, y, x = (a.astype(np.float32) ** 2 for a in axes)
    band = np.empty_like(spectrum)
    # Plane by plane: the shares of all coefficients would take as much as a map.
    for plane, given, z2 in zip(band, spectrum, z):
        position = np.sqrt(z2 + y[:, None] + x) / np.float32(WIDTH)
        share = np.clip(position - (first - 1), 0.0, 1.0)
        if end < COUNT:
            share = np.minimum(share, np.clip(end - position, 0.0, 1.0))
        np.multiply(given, share, out=plane)
    return band


def described(density: FloatArray, threads: int = 1) -> Described:
    """Describe a map with voxels of 1 Å, whose edges are multiples of `BLOCK`."""
    from scipy.ndimage import gaussian_filter

    scale = density_scale(density, threads)
    scaled = scale.apply(density)
    mean = block_means(scaled)
    around = gaussian_filter(mean, WINDOW)
    alone = block_powers(scaled, threads)
    power = widened(alone)
    solvent = around <= np.float32(scale.threshold)
    if not solvent.any():
        solvent = around <= np.percentile(around, WEAKEST)
    noise = np.median(power[solvent], axis=0)
    noise = np.maximum(noise, FLOOR * np.percentile(power.reshape(-1, COUNT), 99, axis=0))
    noise = np.maximum(noise, np.finfo(np.float32).tiny).astype(np.float32)
    over, here = (np.log(np.maximum(some, 1e-2 * noise) / noise) for some in (power, alone))
    own = np.log(np.maximum(power, 1e-8))
    features = np.concatenate([own / 4.0, over / 2.0, here / 2.0, mean[..., None], around[..., None]], axis=-1)
    # Below the solvent's power there is nothing to be raised.
    amplitude = np.sqrt(np.maximum(power, 0.25 * noise))
    return Described(scaled, features.astype(np.float32), power, amplitude.astype(np.float32), noise, scale)


def noise_is_told(told: Described) -> bool:
    """Return whether a map's solvent says how strong its noise is: that of masked maps is weak in every band."""
    strongest = np.percentile(told.power.reshape(-1, COUNT), 99, axis=0)
    return bool(np.any(told.noise > TOLD * strongest))


def block_powers(density: FloatArray, threads: int = 1) -> FloatArray:
    """Return the power of each band in every block alone, shape (nz / 4, ny / 4, nx / 4, COUNT)."""
    return np.stack([block_means(np.square(band, out=band)) for band in bands(density, threads)], axis=-1)


def widened(blocks: FloatArray) -> FloatArray:
    """Return means of values of blocks over `WINDOW`."""
    from scipy.ndimage import gaussian_filter

    mean: FloatArray = gaussian_filter(blocks, (WINDOW, WINDOW, WINDOW, 0.0))
    return mean


def block_means(volume: FloatArray) -> FloatArray:
    """Return the means over blocks of `BLOCK` voxels along each axis."""
    z, y, x = (n // BLOCK for n in volume.shape)
    means: FloatArray = volume.reshape(z, BLOCK, y, BLOCK, x, BLOCK).mean(axis=(1, 3, 5), dtype=np.float32)
    return means


def spread_over_voxels(blocks: FloatArray) -> FloatArray:
    """Return values of blocks at the voxels, linear between the blocks' middles and constant beyond the outermost."""
    spread = np.empty([n * BLOCK for n in blocks.shape], dtype=np.float32)
    low, high, shares = _neighbours(blocks.shape[0])
    for plane, before, after, share in zip(spread, low, high, shares):
        between = blocks[before] * (1 - share) + blocks[after] * share
        plane[...] = _spread_along(_spread_along(between, 0), 1)
    return spread


def _spread_along(blocks: Any, axis: int) -> Any:
    """Return values of blocks at the voxels along one axis."""
    low, high, share = _neighbours(blocks.shape[axis])
    share = share.reshape([-1 if i == axis else 1 for i in range(blocks.ndim)])
    return blocks.take(low, axis) * (1 - share) + blocks.take(high, axis) * share


def _neighbours(n: int) -> Tuple[Any, Any, Any]:
    """Return the blocks before and after each voxel of an axis of ``n`` blocks, and the share of the latter."""
    at = np.clip((np.arange(n * BLOCK) + 0.5) / BLOCK - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), max(n - 2, 0))
    return low, np.minimum(low + 1, n - 1), at - low


def with_gains(described_map: Described, gains: FloatArray, threads: int = 1) -> FloatArray:
    """Return the sum of the bands, each brought to a local amplitude of 1 and multiplied by its gain.

    Parameters
    ----------
    described_map : Described
        The map.
    gains : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        The gains of the blocks.
    threads : int
        Threads of the transforms.
    """
    return weighted_bands(described_map.density, gains / described_map.amplitude, threads)


def weighted_bands(density: FloatArray, factors: FloatArray, threads: int = 1) -> FloatArray:
    """Return the sum of a map's bands, each multiplied by its factor in each block, shape (..., COUNT)."""
    total = np.zeros(density.shape, dtype=np.float32)
    for k, band in enumerate(bands(density, threads)):
        band *= spread_over_voxels(factors[..., k])
        total += band
    return total
