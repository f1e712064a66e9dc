"""On which processor a network runs, and with how many threads."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Callable, List

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.nets import load_keras


def on_device(execution: Execution) -> AbstractContextManager[Any]:
    """Return the context in which networks run on the device of ``execution``, the first where there are several.

    Raises
    ------
    WeightsError
        ``E_NO_TENSORFLOW``.
    UsageError
        ``E_NO_GPU`` if a GPU is asked for and TensorFlow sees none of that number.
    """
    use_threads(execution.threads, execution.say)
    import tensorflow as tf

    device: AbstractContextManager[Any] = tf.device(device_names(execution)[0])
    return device


def use_threads(threads: int, tell: Callable[[str], None]) -> None:
    """Give TensorFlow so many threads, and tell where that cannot be done any more."""
    load_keras()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        # TensorFlow has started already in this process: its threads cannot be changed any more.
        tell("TensorFlow keeps the number of threads that it was started with")


def device_names(execution: Execution) -> List[str]:
    """Return TensorFlow's names of the devices of ``execution``, over which cubes are shared; raises ``E_NO_GPU``."""
    if execution.device == "cpu":
        return ["/CPU:0"]
    import tensorflow as tf

    numbers = execution.device.partition(":")[2]
    wanted = [int(number) for number in numbers.split(",")] if numbers else [0]
    seen = len(tf.config.list_physical_devices("GPU"))
    if max(wanted) >= seen:
        raise UsageError(
            "E_NO_GPU",
            f"{execution.device} was asked for and TensorFlow sees {seen or 'no'} GPU{'s' if seen > 1 else ''} here",
            "use --device cpu, or install TensorFlow with CUDA: pip install 'tensorflow[and-cuda]'",
        )
    return [f"/GPU:{number}" for number in wanted]
