"""Where networks run: so many processors, or the GPUs that are named."""

from __future__ import annotations

from typing import Any, Callable, List

import numpy as np

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.nets import load_keras
from cryores.volume import FloatArray


def predictor(network: Any, execution: Execution) -> Callable[[FloatArray], FloatArray]:
    """Return what runs a network on cubes, shape (n, edge, edge, edge), on the device of ``execution``.

    Raises
    ------
    UsageError
        ``E_NO_GPU`` if a GPU is asked for and there is none.
    """
    tensorflow = _tensorflow(execution.threads)
    device = _device(tensorflow, execution.device)
    graph = tensorflow.function(lambda cubes: network(cubes, training=False), reduce_retracing=True)

    def predict(cubes: FloatArray) -> FloatArray:
        with tensorflow.device(device):
            found = graph(tensorflow.constant(cubes[..., None]))
        result: FloatArray = np.asarray(found, dtype=np.float32)[..., 0]
        return result

    return predict


def _tensorflow(threads: int) -> Any:
    load_keras()
    import tensorflow

    # TensorFlow takes the number of threads before its first work only.
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        pass
    return tensorflow


def _device(tensorflow: Any, asked: str) -> str:
    if asked == "cpu":
        return "/CPU:0"
    found: List[Any] = tensorflow.config.list_physical_devices("GPU")
    number = int(asked.partition(":")[2] or 0)
    if number >= len(found):
        raise UsageError(
            "E_NO_GPU", f"{asked} is asked for and TensorFlow sees {len(found)} GPUs", "leave --device out, or mend CUDA"
        )
    return f"/GPU:{number}"
