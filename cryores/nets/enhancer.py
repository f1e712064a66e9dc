"""The enhancer: a 3D U-net without normalisation layers, so that a voxel's result depends on its surroundings alone.

Layers that normalise over a cube make the result depend on where the cube was cut. Here nothing does: what is computed
on a whole volume and on cubes of it agrees wherever the cubes reach far enough. The first level works on blocks of
2 x 2 x 2 voxels that were folded into channels, which loses nothing and takes an eighth of the time.
"""

from __future__ import annotations

from typing import Any, Tuple

from cryores.nets import load_keras

FOLD = 2
"""Voxels along an edge of the blocks that are folded into channels."""

STRIDE = 8
"""Edges of what is fed to the network are multiples of this."""

WIDTHS = (32, 48, 64)
"""Channels of the three levels, whose voxels are 2, 4 and 8 Å."""

SLOPE = 0.1
"""Slope of the activation below 0."""


def build_enhancer(widths: Tuple[int, ...] = WIDTHS, fine: int = 8) -> Any:
    """Build the network with random weights.

    Parameters
    ----------
    widths : tuple of int
        Channels of the levels, from fine to coarse.
    fine : int
        Channels of the last step, which works on the voxels themselves.

    Returns
    -------
    keras.Model
        From (n, z, y, x, 1) to the same shape; edges are multiples of `STRIDE`.
    """
    keras = load_keras()
    density = keras.Input(shape=(None, None, None, 1))
    features = _folded(keras, density)
    skips = []
    for level, width in enumerate(widths):
        if level:
            features = _convolved(keras, features, width, strides=2)
        features = _convolved(keras, features, width)
        features = _convolved(keras, features, width)
        if level < len(widths) - 1:
            skips.append(features)
    for width, skip in zip(widths[-2::-1], skips[::-1]):
        features = keras.layers.Conv3DTranspose(width, 2, strides=2, padding="same")(features)
        features = keras.layers.Concatenate()([features, skip])
        features = _convolved(keras, features, width)
        features = _convolved(keras, features, width)
    unfolded = keras.layers.Conv3DTranspose(fine, FOLD, strides=FOLD, padding="same")(features)
    together = keras.layers.Concatenate()([unfolded, density])
    together = _convolved(keras, together, fine)
    enhanced = keras.layers.Conv3D(1, 3, padding="same", name="enhanced")(together)
    return keras.Model(density, enhanced)


def _folded(keras: Any, density: Any) -> Any:
    """Return blocks of voxels as channels: a convolution whose stride is its size can do just that, and learn better."""
    return _convolved(keras, density, FOLD**3 * 2, size=2 * FOLD, strides=FOLD)


def _convolved(keras: Any, features: Any, width: int, size: int = 3, strides: int = 1) -> Any:
    features = keras.layers.Conv3D(width, size, strides=strides, padding="same", kernel_initializer="he_normal")(features)
    return keras.layers.LeakyReLU(negative_slope=SLOPE)(features)
