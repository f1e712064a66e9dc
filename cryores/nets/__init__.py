"""The networks: architectures, weights and inference. Nothing outside this room imports keras or tensorflow."""

from __future__ import annotations

import os
from typing import Any

from cryores.errors import WeightsError


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
        import keras
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise WeightsError(
            "E_NO_TENSORFLOW",
            f"this method runs a network, and TensorFlow with Keras 3 is not installed here ({error})",
            "use Python 3.10 to 3.12 and run 'pip install tensorflow', or name such a Python in CRYORES_PYTHON",
        ) from error
    return keras
