"""The second step of our enhancers: a 3D U-net on voxels of 1 Å that says what of an enhanced map is noise.

It sees density, hence could draw what it knows of molecules. It may not: what it says is a correction, measured in
standard deviations of the noise that the first step's gains have let through in each place, and in every band of
frequency the correction's local power is cut off at that of this noise. Where a map is all signal it stays as it is,
and where a band has been left out nothing comes.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from cryores.nets import load_keras
from cryores.nets.enhancer import SLOPE, convolved
from cryores.nets.enhancer_bands import CONTRAST, Described, block_powers, spread_over_voxels, weighted_bands, widened
from cryores.volume import FloatArray

FORMAT = "cryores-denoiser-1"
"""What its files of weights say that they are."""

WIDTHS = (32, 48, 64)
"""Channels of the levels, whose voxels are 2, 4 and 8 Å."""

LAST_WIDTH = 8
"""Channels on voxels of 1 Å, from which the correction is made together with what was shown."""

STRIDE = 8
"""Edges of what the network is fed are multiples of this, in voxels."""


def build_denoiser(widths: Tuple[int, ...] = WIDTHS) -> Any:
    """Build the network with random weights.

    Parameters
    ----------
    widths : tuple of int
        Channels of the levels, from fine to coarse.

    Returns
    -------
    keras.Model
        From what `shown` gives, (n, z, y, x, 2), to corrections, (n, z, y, x, 1), in units of `CONTRAST`.
    """
    keras = load_keras()
    given = keras.Input(shape=(None, None, None, 2), name="shown")
    features, skips = given, []
    for level, width in enumerate(widths):
        features = convolved(keras, features, width, f"down{level}a", size=3 if level else 4, strides=2)
        features = convolved(keras, features, width, f"down{level}b")
        skips.append(features)
    for level in reversed(range(len(widths) - 1)):
        # Fewer channels before there are eight times as many voxels.
        narrow = keras.layers.Conv3D(widths[level], 1, name=f"narrow{level}")(features)
        raised = keras.layers.UpSampling3D(2, name=f"up{level}")(narrow)
        features = keras.layers.Concatenate(name=f"joined{level}")([raised, skips[level]])
        features = convolved(keras, features, widths[level], f"up{level}a")
        features = convolved(keras, features, widths[level], f"up{level}b")
    fine = keras.layers.Conv3DTranspose(LAST_WIDTH, 4, 2, "same", kernel_initializer="he_normal", name="fine")(features)
    fine = keras.layers.Concatenate(name="joined")([keras.layers.LeakyReLU(negative_slope=SLOPE)(fine), given])
    units = keras.layers.Conv3D(1, 3, padding="same", kernel_initializer="zeros", name="units")(fine)
    return keras.Model(given, keras.layers.Multiply(name="correction")([units, given[..., 1:]]))


def noise_let_through(told: Described, gains: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the power of the noise in the enhanced map, (nz / 4, ny / 4, nx / 4, COUNT), by that in the map."""
    left: FloatArray = np.square(gains / told.amplitude) * np.minimum(noise, told.power)
    return left.astype(np.float32)


def shown(enhanced: FloatArray, let_through: FloatArray) -> FloatArray:
    """Return what the network sees: enhanced density, and standard deviation of its noise, (nz, ny, nx, 2)."""
    both: FloatArray = np.stack([enhanced, deviation(let_through)], axis=-1) * np.float32(1.0 / CONTRAST)
    return both


def deviation(let_through: FloatArray) -> FloatArray:
    """Return the standard deviation of the noise at the voxels, from its power by blocks and bands."""
    return spread_over_voxels(np.sqrt(let_through.sum(axis=-1)))


def bounded(correction: FloatArray, let_through: FloatArray, threads: int = 1) -> FloatArray:
    """Return a correction that has, in no band and no place, more power than the noise."""
    power = widened(block_powers(correction, threads))
    allowed = np.sqrt(np.minimum(let_through / np.maximum(power, np.finfo(np.float32).tiny), 1.0))
    return weighted_bands(correction, allowed, threads)
