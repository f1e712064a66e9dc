"""Names that the plugin's parts share."""

CRYORES_PYTHON = "CRYORES_PYTHON"
"""Scipion variable: the interpreter that runs the engine; empty for Scipion's own."""

ENGINE_PACKAGE = "cryores-engine"
ENGINE_READY = "ENGINE_READY"
OLDEST_FULL_PYTHON = (3, 10)
"""TensorFlow with Keras 3 needs this; on an older Scipion the installer makes an environment of its own."""

CRYORES_WEIGHTS = "CRYORES_WEIGHTS"
"""Scipion variable: the folder of published weights; the engine knows it by the same name."""

CRYORES_WEIGHTS_FROM = "CRYORES_WEIGHTS_FROM"
"""Scipion variable: the file or folder from which installb takes weights; empty for the network."""

WEIGHTS_FOLDER = "cryores-weights"
WEIGHTS_PACKAGE = "cryores_{}"
WEIGHTS_VERSION = "published"
