"""The enhancer: a 3D U-net without normalisation layers, so that a voxel's result depends on its surroundings alone.

Layers that normalise over a cube make the result depend on where the cube was cut. Here nothing does: what is computed
on a whole volume and on cubes of it agrees wherever the cubes reach far enough. The first level works on blocks of
2 x 2 x 2 voxels that were folded into channels, which loses nothing and takes an eighth of the time.
"""

from __future__ import annotations

from typing import Any, Tuple

from cryores.nets import load_keras

FORMAT = "cryores-enhancer-1"
"""What its files of weights say that they are."""

FOLD = 2
"""Voxels along an edge of the blocks that are folded into channels."""

STRIDE = 8
"""Edges of what is fed to the network are multiples of this."""

WIDTHS = (32, 48, 64)
"""Channels of the three levels, whose voxels are 2, 4 and 8 Å."""

FINE = 8
"""Channels of the last step, which works on the voxels themselves."""

SLOPE = 0.1
"""Slope of the activation below 0."""


def build_enhancer(widths: Tuple[int, ...] = WIDTHS, fine: int = FINE) -> Any:
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
    density = keras.Input(shape=(None, None, None, 1), name="density")
    # A convolution whose stride is the block's edge folds blocks of voxels into channels, and learns how.
    features = _convolved(keras, density, 2 * FOLD**3, "fold", size=2 * FOLD, strides=FOLD)
    skips = []
    for level, width in enumerate(widths):
        if level:
            features = _convolved(keras, features, width, f"down{level}", strides=2)
        features = _convolved(keras, features, width, f"down{level}a")
        features = _convolved(keras, features, width, f"down{level}b")
        if level < len(widths) - 1:
            skips.append(features)
    for level in reversed(range(len(widths) - 1)):
        features = _spread(keras, features, widths[level], f"up{level}")
        features = keras.layers.Concatenate(name=f"up{level}_joined")([features, skips[level]])
        features = _convolved(keras, features, widths[level], f"up{level}a")
        features = _convolved(keras, features, widths[level], f"up{level}b")
    together = keras.layers.Concatenate(name="joined")([_spread(keras, features, fine, "unfold"), density])
    together = _convolved(keras, together, fine, "fine")
    enhanced = keras.layers.Conv3D(1, 3, padding="same", name="enhanced")(together)
    return keras.Model(density, enhanced)


def _convolved(keras: Any, features: Any, width: int, name: str, size: int = 3, strides: int = 1) -> Any:
    layer = keras.layers.Conv3D(width, size, strides, "same", kernel_initializer="he_normal", name=name)
    return keras.layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_active")(layer(features))


def _spread(keras: Any, features: Any, width: int, name: str) -> Any:
    return keras.layers.Conv3DTranspose(width, 2, strides=2, padding="same", name=name)(features)
