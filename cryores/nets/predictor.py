"""A network as a function of arrays."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from cryores.nets import load_keras
from cryores.volume import FloatArray


def predictor(network: Any) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network on cubes, shape (n, edge, edge, edge), compiled once for each shape."""
    load_keras()
    import tensorflow

    # XLA makes these convolutions several times slower on processors.
    graph = tensorflow.function(lambda cubes: network(cubes, training=False), jit_compile=False)

    def predict(cubes: FloatArray) -> FloatArray:
        result: FloatArray = np.asarray(graph(tensorflow.constant(cubes[..., None])), dtype=np.float32)[..., 0]
        return result

    return predict
