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
from cryores.nets.enhancer import convolved, raised
from cryores.nets.enhancer_bands import (
    BLOCK,
    CONTRAST,
    COUNT,
    MODEL_POWER,
    Described,
    block_powers,
    joined_bands,
    spread_over_voxels,
    weighted_bands,
    widened,
)
from cryores.volume import FloatArray

FORMAT = "cryores-denoiser-2"
"""What its files of weights say that they are."""

WIDTHS = (48, 64, 64)
"""Channels of the levels, whose voxels are 2, 4 and 8 Å."""

STRIDE = 8
"""Edges of what the network is fed are multiples of this, in voxels."""

RANGES = ((0, 3), (3, 5), (5, 7), (7, COUNT))
"""Bands that it is shown together, to beyond 7, 4.4, 3.1 and 2.2 Å or so: fast waves are weak beside slow ones."""

CHANNELS = 2 + 2 * len(RANGES)
"""What it is shown of a voxel: see `shown`."""

LEAST_DEVIATION = 0.01
"""Deviation (in `CONTRAST`) that is added where density is divided by it."""

KNOWN = (0.04, 0.1)
"""Share of signal in a band's power within the molecule up to which it is left alone, and from which it is not."""

LEAST_WITHIN = 0.01
"""Noise let through, of the most, from which a block belongs to the molecule."""

LIKE_MODELS, SLOW = 0.35, 3
"""Power to which a band is raised at the end, as a share of what a model has in it times what of it is signal; the
first bands, by which the others are measured."""

MOST_RAISED = 8.0
"""Most that a band's amplitude is raised."""


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
        features = raised(keras, narrow, skips[level], widths[level], level)
    # No convolution on voxels of 1 Å: they are most of the time, and a map seldom knows more than every second.
    units = keras.layers.Conv3DTranspose(1, 4, 2, "same", kernel_initializer="zeros", name="units")(features)
    return keras.Model(given, keras.layers.Multiply(name="correction")([units, given[..., 1:2]]))


def noise_let_through(told: Described, gains: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the power of the noise in the enhanced map, (nz / 4, ny / 4, nx / 4, COUNT), by that in the map."""
    left: FloatArray = np.square(gains / told.amplitude) * np.minimum(noise, told.power)
    return left.astype(np.float32)


def shown(enhanced: FloatArray, let_through: FloatArray, threads: int = 1) -> FloatArray:
    """Return what the network sees of a map, (nz, ny, nx, CHANNELS).

    Enhanced density and the standard deviation of its noise, both over `CONTRAST`; then of each of `RANGES` the
    density over the deviation of its noise, its large values drawn together (asinh), and these deviations.
    """
    return as_shown(enhanced, let_through / np.float32(CONTRAST**2), threads, CONTRAST)


def as_shown(density: FloatArray, let_through: FloatArray, threads: int = 1, contrast: float = 1.0) -> FloatArray:
    """Return `shown` of density that is divided by ``contrast``, and of the noise's power on that scale."""
    given = np.empty((*density.shape, CHANNELS), dtype=np.float32)
    unit, ranges = np.float32(contrast), given[..., 2 : 2 + len(RANGES)]
    given[..., 0], given[..., 1] = density / unit, deviation(let_through)
    parts = joined_bands(density, RANGES, threads)
    for k in range(len(RANGES)):
        # Without a name no part is held while the next one is made.
        np.divide(next(parts), unit, out=ranges[..., k])
    for k, (first, end) in enumerate(RANGES):
        spread = deviation(let_through[..., first:end])
        given[..., 2 + len(RANGES) + k] = spread
        spread += np.float32(LEAST_DEVIATION)
        ranges[..., k] /= spread
        np.arcsinh(ranges[..., k], out=ranges[..., k])
    return given


def deviation(let_through: FloatArray) -> FloatArray:
    """Return the standard deviation of the noise at the voxels, from its power by blocks and bands."""
    return spread_over_voxels(np.sqrt(let_through.sum(axis=-1)))


def denoised(
    enhanced: FloatArray, correction: FloatArray, let_through: FloatArray, shares: FloatArray, threads: int = 1
) -> FloatArray:
    """Return an enhanced map with the network's correction, as far as that may go.

    Parameters
    ----------
    enhanced : ndarray of float32, shape (nz, ny, nx)
        What the first step has made.
    correction : ndarray of float32, same shape
        What the network says.
    let_through : ndarray of float32, shape (nz / 4, ny / 4, nx / 4, COUNT)
        Power of the noise in ``enhanced``, by `noise_let_through`.
    shares : ndarray of float32, shape (COUNT,)
        By `signal_shares`.
    threads : int
        Threads of the transforms.
    """
    low, high = KNOWN
    known = np.clip((shares - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return enhanced + bounded(correction, let_through * known, threads)


def like_models(density: FloatArray, shares: FloatArray, threads: int = 1) -> FloatArray:
    """Return a map whose bands, each as a whole, are about as strong as in a model, as far as they are signal.

    In doubt both networks say less than a molecule holds: fast waves drown in what a mask's edge makes of the slow
    ones. A band's power is raised to `LIKE_MODELS` of `MODEL_POWER` times the share of signal, next to the `SLOW` ones.
    """
    power = block_powers(density, threads).mean(axis=(0, 1, 2), dtype=np.float64)
    wanted = MODEL_POWER * np.where(shares > KNOWN[0], shares, 0.0)
    wanted *= LIKE_MODELS * power[:SLOW].sum() / max(float(wanted[:SLOW].sum()), 1e-6)
    raised = np.clip(np.sqrt(wanted / np.maximum(power, np.finfo(np.float32).tiny)), 1.0, MOST_RAISED)
    raised[:SLOW] = 1.0
    each = np.broadcast_to(raised.astype(np.float32), (*(n // BLOCK for n in density.shape), COUNT))
    return weighted_bands(density, each, threads)


def signal_shares(told: Described, noise: FloatArray, let_through: FloatArray) -> FloatArray:
    """Return what of the power of each band in the map's molecule is signal, 0 to 1, shape (COUNT,)."""
    molecule = let_through > LEAST_WITHIN * let_through.max(axis=(0, 1, 2))
    power, unknown = ((some * molecule).sum(axis=(0, 1, 2), dtype=np.float64) for some in (told.power, noise))
    share = 1.0 - unknown / np.maximum(power, np.finfo(np.float32).tiny)
    shares: FloatArray = np.clip(share, 0.0, 1.0).astype(np.float32)
    return shares


def bounded(correction: FloatArray, let_through: FloatArray, threads: int = 1) -> FloatArray:
    """Return a correction that has, in no band and no place, more power than the noise."""
    power = widened(block_powers(correction, threads))
    allowed = np.sqrt(np.minimum(let_through / np.maximum(power, np.finfo(np.float32).tiny), 1.0))
    return weighted_bands(correction, allowed, threads)
