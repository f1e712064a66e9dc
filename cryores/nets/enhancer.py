"""The enhancer: a 3D U-net on blocks of 4 Å that says how strong each band of frequency is to be in each place.

It sees how much power each band has around a block, how much of that the solvent has too, and the mean density; it
gives the amplitudes that local scaling to a model would give the bands, 0 outside the molecule. It never sees or makes
density: what is enhanced is a sum of the map's own bands. Hence it cannot invent structure, and turning a map only
turns the result. There are no normalisation layers, so that a place's result depends on its surroundings alone.
"""

from __future__ import annotations

from typing import Any, Tuple

from cryores.nets import load_keras
from cryores.nets.enhancer_bands import COUNT, FEATURES

FORMAT = "cryores-enhancer-2"
"""What its files of weights say that they are."""

WIDTHS = (24, 32, 48)
"""Channels of the levels, whose voxels are 4, 8 and 16 Å."""

STRIDE = 4
"""Edges of what the network is fed are multiples of this, in blocks."""

SLOPE = 0.1
"""Slope of the activation below 0."""


def build_enhancer(widths: Tuple[int, ...] = WIDTHS) -> Any:
    """Build the network with random weights.

    Parameters
    ----------
    widths : tuple of int
        Channels of the levels, from fine to coarse.

    Returns
    -------
    keras.Model
        From features, (n, z, y, x, FEATURES), to gains, (n, z, y, x, COUNT); those below 0 mean 0.
    """
    keras = load_keras()
    given = keras.Input(shape=(None, None, None, FEATURES), name="features")
    features = convolved(keras, given, widths[0], "each", size=1)
    skips = []
    for level, width in enumerate(widths):
        features = convolved(keras, features, width, f"down{level}a", strides=2 if level else 1)
        features = convolved(keras, features, width, f"down{level}b")
        skips.append(features)
    for level in reversed(range(len(widths) - 1)):
        features = raised(keras, features, skips[level], widths[level], level)
    # Linear, so that it can be learnt from below 0 too; what uses the gains cuts them off there.
    gains = keras.layers.Conv3D(COUNT, 1, kernel_initializer="zeros", name="gains")(features)
    return keras.Model(given, gains)


def convolved(keras: Any, features: Any, width: int, name: str, size: int = 3, strides: int = 1) -> Any:
    """Return features after a convolution and a leaky ramp."""
    layer = keras.layers.Conv3D(width, size, strides, "same", kernel_initializer="he_normal", name=name)
    return keras.layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_active")(layer(features))


def raised(keras: Any, features: Any, skip: Any, width: int, level: int) -> Any:
    """Return features on voxels half as wide, joined with those of the way down and convolved twice."""
    finer = keras.layers.UpSampling3D(2, name=f"up{level}")(features)
    joined = keras.layers.Concatenate(name=f"joined{level}")([finer, skip])
    return convolved(keras, convolved(keras, joined, width, f"up{level}a"), width, f"up{level}b")
