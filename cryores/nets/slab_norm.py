"""The group normalisation that DeepEMhancer's published networks were trained with.

keras_contrib's layer meant to normalise groups of channels. On volumes with the channels last it cuts each sample,
in memory order, into ``groups`` equal pieces: slabs of neighbouring z sections over all channels. Each slab gets mean 0
and variance 1, then its own scale and shift, one for every C/groups-th channel. Keras' own `GroupNormalization` takes
the same weights without a complaint and computes something else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryores.nets import load_keras


def slab_normalization(groups: int, epsilon: float = 1e-5, center: bool = True, scale: bool = True, **rest: Any) -> Any:
    """Make the Keras layer ``y = gamma[slab, c mod C/groups] * (x - mean[slab]) / sqrt(var[slab] + epsilon) + beta``.

    Parameters
    ----------
    groups : int
        Number of slabs; it divides the number of channels and the number of z sections.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a ``beta``, a ``gamma``: vectors of as many numbers as channels.
    **rest
        What every Keras layer takes, such as ``name``.
    """
    return _layer_class()(groups=groups, epsilon=epsilon, center=center, scale=scale, **rest)


@lru_cache(maxsize=None)
def _layer_class() -> Any:
    keras = load_keras()
    ops = keras.ops

    class SlabNormalization(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, groups: int, epsilon: float, center: bool, scale: bool, **rest: Any) -> None:
            super().__init__(**rest)
            self.groups, self.epsilon, self.center, self.scale = groups, epsilon, center, scale

        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma") if self.scale else None
            self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta") if self.center else None

        def call(self, volumes: Any) -> Any:
            shape = ops.shape(volumes)
            slabs = ops.reshape(volumes, (shape[0], self.groups, -1))
            centred = slabs - ops.mean(slabs, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
            normal = centred * ops.rsqrt(variance + self.epsilon)
            per_slab = (1, self.groups, 1, shape[-1] // self.groups)
            normal = ops.reshape(normal, (shape[0], self.groups, -1, per_slab[-1]))
            if self.gamma is not None:
                normal = normal * ops.reshape(self.gamma, per_slab)
            if self.beta is not None:
                normal = normal + ops.reshape(self.beta, per_slab)
            return ops.reshape(normal, shape)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return SlabNormalization
