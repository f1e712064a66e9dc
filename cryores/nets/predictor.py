"""A network as a function of arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Sequence

import numpy as np

from cryores.nets import load_keras
from cryores.volume import FloatArray


def predictor(network: Any, devices: Sequence[str] = ()) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network on arrays of the shape that it takes, compiled once for each shape.

    Parameters
    ----------
    network : keras.Model
        The network.
    devices : sequence of str
        From `device_names`: what is given is divided among them; default, the one of the context.
    """
    load_keras()
    import tensorflow

    # XLA makes these convolutions several times slower on processors. AutoGraph would write programs into the folder of
    # temporary files, which stay there where a run is killed; the networks have no loops or conditions to translate.
    graph = tensorflow.function(lambda given: network(given, training=False), jit_compile=False, autograph=False)

    def predict(given: FloatArray) -> FloatArray:
        return np.asarray(graph(tensorflow.constant(given)), dtype=np.float32)

    if len(devices) < 2:
        return predict

    def there(device: str, given: FloatArray) -> FloatArray:
        with tensorflow.device(device):
            return predict(given)

    def shared(given: FloatArray) -> FloatArray:
        parts = np.array_split(given, min(len(devices), len(given)))
        with ThreadPoolExecutor(len(parts)) as pool:
            return np.concatenate(list(pool.map(there, devices, parts)))

    return shared


def on_cubes(network: Any, devices: Sequence[str] = ()) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network of one channel on cubes, shape (n, edge, edge, edge)."""
    predict = predictor(network, devices)
    return lambda cubes: predict(cubes[..., None])[..., 0]


def on_channels(network: Any, devices: Sequence[str] = ()) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network from several channels to one, from (n, edge, edge, edge, channels)."""
    predict = predictor(network, devices)
    return lambda cubes: predict(cubes)[..., 0]
