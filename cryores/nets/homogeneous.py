"""The architecture of our own DeepRes: how a local spectrum looks, and how lumpy each of its bands is.

=========  ============================================================================================================
bank       fixed filters, each a shell of frequencies; none passes a constant
moments    of every band about a voxel: power in three windows; skewness, kurtosis, and power shared with the next but
           one band in the widest. Noise has neither skewness nor lumps; molecules have both, up to their resolution
norm       all is divided by the power of all bands in the widest window: only from here on scale is lost
head       a network of one voxel, the part that is trained: ln(Å), and the logarithm of its expected error in Å
=========  ============================================================================================================

Nothing is padded or strided, and all before the norm scales with the density: a window's answer is the volume's answer
at that place, whatever the scale. Filters and windows do not change when a cube is turned by 90 degrees. Only
operations of Keras 3 are used: any of its backends runs and trains it.
"""

from __future__ import annotations

from typing import Any, List

import numpy as np

from cryores.volume import FloatArray

BANK_EDGE, BANDS = 15, 20
"""Voxels along the edge of the fixed filters, and how many there are."""

BAND_FREQUENCIES = (0.03, 0.57)
"""Middle of the first and the last filter's shell, in 1/voxel."""

BANK_WINDOW = 2.5
"""Standard deviation in voxels of the Gaussian that ends the filters."""

EXPECTED_B = 60.0
"""The filters are scaled to equal power on amplitudes that fall with this B-factor (in squared voxels)."""

WINDOWS = (5, 11, 19)
"""Edges in voxels of the cubes over which moments are averaged."""

NEXT = 2
"""Bands whose shared power is looked at are so far apart: closer ones overlap."""

LEAST = 1e-8
"""Share of the power of all bands below which a band is empty."""

HEAD = (128, 64, 32)
"""Units of the head."""

MARGIN = BANK_EDGE // 2 + WINDOWS[-1] // 2
"""Voxels of the input before the first one of the output, along each axis."""

FEATURES = BANDS * (len(WINDOWS) + 2) + BANDS - NEXT
"""Numbers that describe a voxel."""


def filter_bank() -> FloatArray:
    """Return the fixed filters, shape (edge, edge, edge, 1, bands)."""
    reach = np.arange(BANK_EDGE) - BANK_EDGE // 2
    z, y, x = np.meshgrid(reach, reach, reach, indexing="ij")
    r = np.sqrt(z**2 + y**2 + x**2)
    window = np.exp(-0.5 * (r / BANK_WINDOW) ** 2)
    filters = [window * np.sinc(2 * s * r) for s in np.linspace(*BAND_FREQUENCIES, BANDS)]
    filters = [one - window * (one.sum() / window.sum()) for one in filters]
    size = 48
    s2 = sum(np.meshgrid(*[np.fft.fftfreq(size) ** 2] * 3, indexing="ij"))
    expected = np.exp(-0.5 * EXPECTED_B * s2)
    powers = [np.sum(np.abs(np.fft.fftn(one, s=(size,) * 3)) ** 2 * expected) for one in filters]
    bank = np.stack([one / np.sqrt(power / size**3) for one, power in zip(filters, powers)], axis=-1)
    return np.asarray(bank[:, :, :, None, :], dtype=np.float32)


def features(edge: int) -> Any:
    """Return the fixed part of the network, for cubes of ``edge`` voxels: `FEATURES` numbers a voxel."""
    import keras
    from keras import layers, ops

    density = keras.Input((edge, edge, edge, 1), name="density")
    fixed = layers.Conv3D(BANDS, BANK_EDGE, use_bias=False, trainable=False, name="bank")
    bands = fixed(density)
    fixed.set_weights([filter_bank()])
    power = ops.square(bands)
    widest = WINDOWS[-1]
    powers = [trimmed(mean_of(power, w), (widest - w) // 2) for w in WINDOWS]
    wide = powers[-1]
    whole = ops.mean(wide, axis=-1, keepdims=True)
    least = LEAST * whole + 1e-15
    wide = wide + least
    skewness = mean_of(power * bands, widest) / (wide * ops.sqrt(wide))
    kurtosis = (mean_of(ops.square(power), widest) + ops.square(least)) / ops.square(wide)
    shared = mean_of(power[..., :-NEXT] * power[..., NEXT:], widest) + ops.square(least)
    shared = shared / (wide[..., :-NEXT] * wide[..., NEXT:])
    found: List[Any] = [ops.log((one + least) / (whole + 1e-7)) for one in powers]
    found += [skewness / (1.0 + ops.abs(skewness)), ops.log(kurtosis), ops.log(shared)]
    return keras.Model(density, layers.Concatenate()(found))


def head(start: float) -> Any:
    """Return the trained part of the network, of one voxel: `FEATURES` numbers -> ln(Å), at first that of ``start``.

    A second answer is the logarithm of the expected absolute error in Å.
    """
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((FEATURES,))], name="head")
    for number, units in enumerate(HEAD):
        model.add(layers.Dense(units, activation="relu", name=f"head{number}"))
    last = layers.Dense(2, kernel_initializer="zeros", name="answer")
    model.add(last)
    last.bias.assign([float(np.log(start)), 0.0])
    return model


def network(edge: int, start: float = 1.0) -> Any:
    """Return the whole network, for cubes of ``edge`` voxels: the two answers for cubes of ``edge - 2 MARGIN``.

    Its layers are those of `features` and `head`, under the same names.
    """
    import keras

    described = features(edge)
    x = described.output
    for layer in head(start).layers:
        x = layer(x)
    return keras.Model(described.input, x)


def trimmed(x: Any, rim: int) -> Any:
    """Return a batch of cubes without their outermost ``rim`` voxels."""
    return x[:, rim:-rim, rim:-rim, rim:-rim, :] if rim else x


def mean_of(x: Any, edge: int) -> Any:
    """Return the mean of each cube of ``edge`` voxels, axis by axis."""
    from keras import ops

    for window in ((edge, 1, 1), (1, edge, 1), (1, 1, edge)):
        x = ops.average_pool(x, window, 1, "valid")
    return x
