"""Neural networks: the only place where keras and tensorflow are imported, and only inside functions."""

from __future__ import annotations

import os
from typing import Any

from cryores.errors import WeightsError


def require_keras() -> Any:
    """Import keras with its backend, without its chatter, and return it.

    Raises
    ------
    WeightsError
        ``E_NO_TENSORFLOW`` (exit status 5) if keras or tensorflow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        import keras
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise WeightsError(
            "E_NO_TENSORFLOW",
            f"the deep methods need TensorFlow, which is not installed here ({error})",
            "pip install tensorflow keras, on Python 3.10 or newer; CRYORES_PYTHON may name such a Python",
        ) from error
    return keras
