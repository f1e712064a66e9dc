"""Post-processing: maps that are easier to read."""

from cryores.postprocessing.postprocess import postprocess  # noqa: F401
