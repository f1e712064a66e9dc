"""The second step of our enhancers: a 3D U-net on voxels of 1 Å that says what of an enhanced map is noise.

It sees density, hence could draw what it knows of molecules. It may not: what it says is a correction, measured in
standard deviations of the noise that the first step's gains have let through in each place, and in every band of
frequency the correction's local power is cut off at that of this noise. A band in which the map's molecule has no more
power than the noise is left alone: about what a map does not know nothing is said. Where a map is all signal it stays
as it is, and where a band has been left out nothing comes.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from cryores.nets import load_keras
from cryores.nets.enhancer import convolved
from cryores.nets.enhancer_bands import CONTRAST, Described, block_powers, spread_over_voxels, weighted_bands, widened
from cryores.volume import FloatArray

FORMAT = "cryores-denoiser-1"
"""What its files of weights say that they are."""

WIDTHS = (48, 64, 64)
"""Channels of the levels, whose voxels are 2, 4 and 8 Å."""

STRIDE = 8
"""Edges of what the network is fed are multiples of this, in voxels."""

CHANNELS = 3
"""What it is shown of a voxel: see `shown`."""

LEAST_DEVIATION, MOST_DEVIATIONS = 0.05, 8.0
"""Deviation (in `CONTRAST`) that is added where density is divided by it, and what the quotient is cut off at."""


KNOWN = (0.04, 0.1)
"""Share of signal in a band's power within the molecule up to which it is left alone, and from which it is not."""

LEAST_WITHIN = 0.01
"""Noise let through, of the most, from which a block belongs to the molecule."""

MOST_RAISED = 2.0
"""Most that a band's amplitude is raised after the correction."""


def build_denoiser(widths: Tuple[int, ...] = WIDTHS) -> Any:
    """Build the network with random weights.

    Parameters
    ----------
    widths : tuple of int
        Channels of the levels, from fine to coarse.

    Returns
    -------
    keras.Model
        From what `shown` gives, (n, z, y, x, CHANNELS), to corrections, (n, z, y, x, 1), in units of `CONTRAST`.
    """
    keras = load_keras()
    given = keras.Input(shape=(None, None, None, CHANNELS), name="shown")
    features, skips = given, []
    for level, width in enumerate(widths):
        features = convolved(keras, features, width, f"down{level}a", size=3 if level else 4, strides=2)
        features = convolved(keras, features, width, f"down{level}b")
        skips.append(features)
    features = convolved(keras, features, widths[-1], "deepest")
    for level in reversed(range(len(widths) - 1)):
        # Fewer channels before there are eight times as many voxels.
        narrow = keras.layers.Conv3D(widths[level], 1, name=f"narrow{level}")(features)
        raised = keras.layers.UpSampling3D(2, name=f"up{level}")(narrow)
        features = keras.layers.Concatenate(name=f"joined{level}")([raised, skips[level]])
        features = convolved(keras, features, widths[level], f"up{level}a")
        features = convolved(keras, features, widths[level], f"up{level}b")
    # No convolution on voxels of 1 Å: they are most of the time, and a map seldom knows more than every second.
    units = keras.layers.Conv3DTranspose(1, 4, 2, "same", kernel_initializer="zeros", name="units")(features)
    return keras.Model(given, keras.layers.Multiply(name="correction")([units, given[..., 1:2]]))


def noise_let_through(told: Described, gains: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the power of the noise in the enhanced map, (nz / 4, ny / 4, nx / 4, COUNT), by that in the map."""
    left: FloatArray = np.square(gains / told.amplitude) * np.minimum(noise, told.power)
    return left.astype(np.float32)


def shown(enhanced: FloatArray, let_through: FloatArray) -> FloatArray:
    """Return what the network sees of a map, (nz, ny, nx, CHANNELS).

    Enhanced density and the standard deviation of its noise, both over `CONTRAST`, and half of the one over the other.
    """
    return as_shown(enhanced / np.float32(CONTRAST), deviation(let_through) / np.float32(CONTRAST))


def as_shown(density: FloatArray, spread: FloatArray) -> FloatArray:
    """Return `shown` of density and deviation over `CONTRAST`."""
    ratio = np.clip(density / (spread + np.float32(LEAST_DEVIATION)), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    seen: FloatArray = np.stack([density, spread, 0.5 * ratio], axis=-1).astype(np.float32)
    return seen


def deviation(let_through: FloatArray) -> FloatArray:
    """Return the standard deviation of the noise at the voxels, from its power by blocks and bands."""
    return spread_over_voxels(np.sqrt(let_through.sum(axis=-1)))


def denoised(
    enhanced: FloatArray, correction: FloatArray, let_through: FloatArray, known: FloatArray, threads: int = 1
) -> FloatArray:
    """Return an enhanced map with the network's correction, as far as that may go.

    In doubt the network says less than a map-model FSC rewards: each band gets its local power back, its amplitude
    raised by `MOST_RAISED` at most.

    Parameters
    ----------
    enhanced : ndarray of float32, shape (nz, ny, nx)
        What the first step has made.
    correction : ndarray of float32, same shape
        What the network says.
    let_through : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        Power of the noise in ``enhanced``, by `noise_let_through`.
    known : ndarray of float32, shape (COUNT,)
        By `known_bands`.
    threads : int
        Threads of the transforms.
    """
    found = enhanced + bounded(correction, let_through * known, threads)
    before, after = (widened(block_powers(some, threads)) for some in (enhanced, found))
    lost = np.sqrt(before / np.maximum(after, np.finfo(np.float32).tiny))
    return weighted_bands(found, np.clip(lost, 1.0, MOST_RAISED), threads)


def known_bands(told: Described, noise: FloatArray, let_through: FloatArray) -> FloatArray:
    """Return of each band, 0 to 1, whether the map's molecule has more power in it than the noise, shape (COUNT,)."""
    molecule = let_through > LEAST_WITHIN * let_through.max(axis=(0, 1, 2))
    power, unknown = ((some * molecule).sum(axis=(0, 1, 2), dtype=np.float64) for some in (told.power, noise))
    share = 1.0 - unknown / np.maximum(power, np.finfo(np.float32).tiny)
    low, high = KNOWN
    known: FloatArray = np.clip((share - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return known


def bounded(correction: FloatArray, let_through: FloatArray, threads: int = 1) -> FloatArray:
    """Return a correction that has, in no band and no place, more power than the noise."""
    power = widened(block_powers(correction, threads))
    allowed = np.sqrt(np.minimum(let_through / np.maximum(power, np.finfo(np.float32).tiny), 1.0))
    return weighted_bands(correction, allowed, threads)
