"""Windows of moving boxes: how a box of n^3 voxels is tapered before its transform."""

from __future__ import annotations

import numpy as np

from cryores.fourier import Float64
from cryores.volume import FloatArray

TAPERS = ("hann", "edge", "none")

GOLDEN = 1.618
"""Steepness of the soft sphere of `taper_window`."""


def hann(n: int) -> Float64:
    """Return the symmetric Hann window of n points, 0 at both ends."""
    window: Float64 = 0.5 * (1.0 - np.cos(2.0 * np.pi * np.arange(n) / (n - 1)))
    return window


def taper_window(kind: str, n: int) -> FloatArray:
    """Return the window of a box of n voxels, shape (n, n, n).

    Parameters
    ----------
    kind : str
        ``hann``: a Hann window along each axis · ``edge``: a sphere of half the box with a soft edge · ``none``: 1.
    n : int
        Box edge in voxels.
    """
    if kind == "hann":
        w = hann(n)
        window = w[:, None, None] * w[:, None] * w
    elif kind == "edge":
        z, y, x = np.indices((n, n, n)) - (n / 2 - 0.5)
        radius = np.sqrt(z * z + y * y + x * x)
        window = 1.0 / (1.0 + np.exp(GOLDEN * (radius - n / 4) / (n / 4)))
    else:
        window = np.ones((n, n, n))
    return window.astype(np.float32)
