"""A network as a function of arrays."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from cryores.nets import load_keras
from cryores.volume import FloatArray


def predictor(network: Any) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network on arrays of the shape that it takes, compiled once for each shape."""
    load_keras()
    import tensorflow

    # XLA makes these convolutions several times slower on processors.
    graph = tensorflow.function(lambda given: network(given, training=False), jit_compile=False)

    def predict(given: FloatArray) -> FloatArray:
        return np.asarray(graph(tensorflow.constant(given)), dtype=np.float32)

    return predict


def on_cubes(network: Any) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network of one channel on cubes, shape (n, edge, edge, edge)."""
    predict = predictor(network)
    return lambda cubes: predict(cubes[..., None])[..., 0]


def on_channels(network: Any) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network from several channels to one, from (n, edge, edge, edge, channels)."""
    predict = predictor(network)
    return lambda cubes: predict(cubes)[..., 0]
