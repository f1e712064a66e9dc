"""By what the enhancers' second step learns: the error that it leaves, and how shells of frequency agree.

Both are relative to each map, so that those with little noise count as much as those with much. The agreement of the
shells is what a map-model FSC measures; the error alone would be satisfied with less of every band in doubt.
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

SHELLS_COUNT = 4.0
"""Of the disagreement of the shells, against the share of the error that is left."""


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
    counts = np.bincount(shell)[FIRST : LAST + 1, None].astype(np.float32)
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
        (a, b), (c, d) = spectrum(found), spectrum(wanted)
        power = sums(c * c + d * d)
        agreement = sums(a * c + b * d) / tf.sqrt(sums(a * a + b * b) * power + 1e-3)
        strength = tf.sqrt(power / counts)
        strength /= tf.reduce_sum(strength, 0) + 1e-6
        return left + SHELLS_COUNT * tf.reduce_sum(strength * (1.0 - agreement), 0)

    return loss
