"""The networks: architectures, weights and inference. Nothing outside this room imports keras or tensorflow."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import lru_cache
from typing import Any, Iterator

from cryores.errors import WeightsError


@lru_cache(maxsize=None)
def load_keras() -> Any:
    """Import Keras 3 on TensorFlow, without what TensorFlow says about the machine.

    Raises
    ------
    WeightsError
        ``E_NO_TENSORFLOW`` where they are not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with _silence():
            import keras
            import tensorflow

            tensorflow.config.list_physical_devices()  # which would say later that there is no GPU
    except ImportError as error:
        raise WeightsError(
            "E_NO_TENSORFLOW",
            f"this method runs a network, and TensorFlow with Keras 3 is not installed here ({error})",
            "use Python 3.10 to 3.12 and run 'pip install tensorflow', or name such a Python in CRYORES_PYTHON",
        ) from error
    return keras


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what libraries write to the standard error stream nowhere: TensorFlow's first lines heed no setting."""
    sys.stderr.flush()
    stream = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stream, 2)
        os.close(stream)
