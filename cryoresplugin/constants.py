"""Names that the plugin's parts share."""

CRYORES_PYTHON = "CRYORES_PYTHON"
"""Scipion variable: the interpreter that runs the engine; empty for Scipion's own."""

ENGINE_PACKAGE = "cryores-engine"
ENGINE_READY = "ENGINE_READY"
OLDEST_FULL_PYTHON = (3, 10)
"""TensorFlow with Keras 3 needs this; on an older Scipion the installer makes an environment of its own."""
