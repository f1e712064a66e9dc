"""By what the enhancers' second step learns: how the shells of frequency agree with what is wanted.

Every shell counts by how much there is to be gained: little where signal is all there is, nothing where there is none.
So fast waves count as much as slow ones, which have most of the power: a map-model FSC does the same. The mean squared
error, relative to the map's own noise, keeps the amplitudes, and empties what has no molecule.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from cryores.nets import load_keras

SHELL = 0.02
"""Width of a shell in 1/Å."""

FIRST, LAST = 2, 23
"""Shells that count: from 25 to 2.3 Å."""

LEAST_ERROR = 0.005
"""Mean squared error (density over `CONTRAST`) that is added where errors are compared."""

ERROR_COUNTS, SHELL_ERROR_COUNTS = 0.25, 0.25
"""Of the error of the map, and of that of each shell, against the disagreement of the shells."""


def denoiser_loss(edge: int) -> Callable[[Any, Any], Any]:
    """Return the loss for cubes of ``edge`` voxels of 1 Å.

    It takes wanted and given density, (n, z, y, x, 2), and the correction, (n, z, y, x, 1).
    """
    load_keras()
    import tensorflow as tf

    axis = np.fft.fftfreq(edge)
    s = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).ravel()
    shell = np.minimum(np.rint(s / SHELL), LAST + 1).astype(np.int32)
    order = np.argsort(shell, kind="stable").astype(np.int32)
    shell = shell[order]

    def sums(values: Any) -> Any:
        return tf.math.segment_sum(tf.gather(values, order), shell)[FIRST : LAST + 1]

    def spectrum(volumes: Any) -> Any:
        # The transform of real volumes has no gradient in TensorFlow.
        flat = tf.transpose(tf.reshape(tf.signal.fft3d(tf.cast(volumes, tf.complex64)), (-1, len(order))))
        return tf.math.real(flat), tf.math.imag(flat)

    def loss(told: Any, correction: Any) -> Any:
        wanted, given = told[..., 0], told[..., 1]
        found = given + correction[..., 0]
        whole = (1, 2, 3)
        left = tf.reduce_mean(tf.square(found - wanted), whole)
        left /= tf.reduce_mean(tf.square(given - wanted), whole) + LEAST_ERROR
        # A map with next to no noise would outweigh all the others.
        left = tf.math.log1p(left)
        (a, b), (c, d), (e, f) = (spectrum(some) for some in (found, wanted, given))
        power = sums(c * c + d * d) + 1e-3
        known = sums(e * c + f * d) / tf.sqrt((sums(e * e + f * f) + 1e-3) * power)
        to_gain = tf.maximum(known * (1.0 - known), 0.0) + 1e-3
        to_gain *= power / (power + 1e-3 * tf.reduce_max(power, 0) + 1.0)
        counts = to_gain / (tf.reduce_sum(to_gain, 0) + 1e-3)
        agreement = sums(a * c + b * d) / tf.sqrt((sums(a * a + b * b) + 1e-3) * power)
        error = sums(tf.square(a - c) + tf.square(b - d)) / power
        shells = 1.0 - agreement + SHELL_ERROR_COUNTS * tf.math.log1p(error)
        return ERROR_COUNTS * left + tf.reduce_sum(counts * shells, 0)

    return loss
