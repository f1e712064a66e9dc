"""The architecture of our own DeepRes: convolutions that scale with their input, until a local norm divides it away.

Nothing before the norm has a bias and nothing is padded or strided, so that a window's answer is the volume's answer
at that place, whatever the scale of the density. Only operations of Keras 3 are used: any of its backends trains it.

=============  ========================================================================================
bank           fixed filters, each a shell of frequencies; none passes a constant
texture        3^3 convolutions with ReLU of the bank, then of every second voxel (in all eight phases)
norm           root of the bank's mean power about the voxel
head           the logarithm of powers and textures over the norm, and a small network of one voxel: ln(Å)
=============  ========================================================================================
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from cryores.volume import FloatArray

BANK_EDGE, BANK_SIZE = 13, 16
"""Voxels along the edge of the fixed filters, and how many there are."""

BANK_FREQUENCIES = (0.04, 0.58)
"""Middle of the first and the last filter's shell, in 1/voxel."""

BANK_WINDOW = 2.1
"""Standard deviation in voxels of the Gaussian that ends the filters."""

EXPECTED_B = 60.0
"""The filters are scaled to equal power on amplitudes that fall with this B-factor (in squared voxels)."""

FINE, COARSE = (32, 32), (32, 32, 32)
"""Channels of the convolutions of every voxel, and of every second voxel."""

POOL = 3
"""Every second voxels over which powers and textures are averaged at the end."""

HEAD = (64, 32)
"""Units of the head."""

SMALLEST_TEXTURE, SMALLEST_POWER = 1e-2, 1e-7
"""Added before the logarithm is taken."""

MARGIN = (BANK_EDGE // 2 + len(FINE)) + 2 * len(COARSE) + (POOL - 1)
"""Voxels of the input before the first one of the output, along each axis."""


def filter_bank() -> FloatArray:
    """Return the fixed filters, shape (edge, edge, edge, 1, filters)."""
    reach = np.arange(BANK_EDGE) - BANK_EDGE // 2
    z, y, x = np.meshgrid(reach, reach, reach, indexing="ij")
    r = np.sqrt(z**2 + y**2 + x**2)
    window = np.exp(-0.5 * (r / BANK_WINDOW) ** 2)
    middles = np.linspace(*BANK_FREQUENCIES, BANK_SIZE)
    filters = [window * np.sinc(2 * s * r) for s in middles]
    filters = [one - window * (one.sum() / window.sum()) for one in filters]
    size = 48
    s2 = sum(np.meshgrid(*[np.fft.fftfreq(size) ** 2] * 3, indexing="ij"))
    expected = np.exp(-0.25 * EXPECTED_B * s2)
    gains = [1.0 / np.sqrt(np.sum(np.abs(np.fft.fftn(one, s=(size,) * 3)) ** 2 * expected**2)) for one in filters]
    bank = np.stack([one * gain for one, gain in zip(filters, gains)], axis=-1)
    return np.asarray(bank[:, :, :, None, :] * size**1.5, dtype=np.float32)


def network(edge: int, start: float) -> Any:
    """Build the network for cubes of ``edge`` voxels (even); it returns ln(Å) of ``edge - 2 MARGIN`` voxels.

    Parameters
    ----------
    edge : int
        Voxels along the edge of the input, even and larger than ``2 MARGIN``.
    start : float
        Å that it says before it has learned anything.
    """
    import keras
    from keras import layers, ops

    def convolution(x: Any, channels: int, name: str) -> Any:
        return layers.Conv3D(channels, 3, use_bias=False, activation="relu", name=name)(x)

    density = keras.Input((edge, edge, edge, 1), name="density")
    fixed = layers.Conv3D(BANK_SIZE, BANK_EDGE, use_bias=False, trainable=False, name="bank")
    bank = fixed(density)
    fixed.set_weights([filter_bank()])
    x = bank
    for number, channels in enumerate(FINE):
        x = convolution(x, channels, f"fine{number}")
    inner = edge - 2 * (BANK_EDGE // 2 + len(FINE))
    powers = to_phases(ops.square(trimmed(bank, len(FINE))), inner)
    fine = x = to_phases(x, inner)
    for number, channels in enumerate(COARSE):
        x = convolution(x, channels, f"coarse{number}")
    wide = 2 * len(COARSE) + POOL
    powers, wide_powers = mean_of(trimmed(powers, len(COARSE)), POOL), mean_of(powers, wide)
    fine, x = mean_of(fine, wide), mean_of(x, POOL)
    power = ops.mean(wide_powers, axis=-1, keepdims=True) + 1e-30
    norm = ops.sqrt(power)
    x = layers.Concatenate()(
        [
            ops.log(powers / power + SMALLEST_POWER),
            ops.log(wide_powers / power + SMALLEST_POWER),
            ops.log(fine / norm + SMALLEST_TEXTURE),
            ops.log(x / norm + SMALLEST_TEXTURE),
        ]
    )
    for number, units in enumerate(HEAD):
        x = layers.Dense(units, activation="relu", name=f"head{number}")(x)
    last = layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(np.log(start)))
    x = from_phases(last(x), (edge - 2 * MARGIN) // 2)
    return keras.Model(density, x)


def trimmed(x: Any, rim: int) -> Any:
    """Return a batch of cubes without their outermost ``rim`` voxels."""
    return x[:, rim:-rim, rim:-rim, rim:-rim, :]


def mean_of(x: Any, edge: int) -> Any:
    """Return the mean of each cube of ``edge`` voxels, axis by axis."""
    from keras import ops

    for window in ((edge, 1, 1), (1, edge, 1), (1, 1, edge)):
        x = ops.average_pool(x, window, 1, "valid")
    return x


def to_phases(x: Any, edge: int) -> Any:
    """Return a batch of cubes of ``edge`` voxels as eight times as many, of every second voxel each."""
    from keras import ops

    half, channels = edge // 2, x.shape[-1]
    x = ops.reshape(x, (-1, half, 2, half, 2, half, 2, channels))
    return ops.reshape(ops.transpose(x, (0, 2, 4, 6, 1, 3, 5, 7)), (-1, half, half, half, channels))


def from_phases(x: Any, half: int) -> Any:
    """Undo `to_phases` on cubes of ``half`` voxels."""
    from keras import ops

    channels = x.shape[-1]
    x = ops.reshape(x, (-1, 2, 2, 2, half, half, half, channels))
    return ops.reshape(ops.transpose(x, (0, 4, 1, 5, 2, 6, 3, 7)), (-1, 2 * half, 2 * half, 2 * half, channels))
