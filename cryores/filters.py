"""Shapes of isotropic filters: each returns a response, a function of the frequency s in 1/Å.

Apply one with `cryores.fourier.filtered` or `cryores.fourier.multiply_radial`.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from cryores.fourier import Float64

Response = Callable[[Float64], Float64]


def low_pass(resolution: float, edge: float = 0.0) -> Response:
    """Pass up to 1/``resolution`` (Å), then fall to 0 over ``edge`` (1/Å) as half a cosine."""
    cut = 1.0 / resolution

    def response(s: Float64) -> Float64:
        if edge <= 0:
            return (s <= cut).astype(np.float64)
        fall: Float64 = 0.5 * (1.0 + np.cos(np.pi * np.clip((s - cut) / edge, 0.0, 1.0)))
        return fall

    return response


def gaussian(sigma: float) -> Response:
    """Transform of a real-space Gaussian of standard deviation ``sigma`` (Å)."""
    return lambda s: np.exp(-2.0 * (np.pi * sigma * s) ** 2)


LARGEST_EXPONENT = 40.0
"""No frequency is raised by more than exp(40): float32 would overflow, and what is raised so far is noise."""


def bfactor(b: float) -> Response:
    """exp(-b s^2 / 4), at most exp(`LARGEST_EXPONENT`): amplitudes decay for b > 0 (Å²), are sharpened for b < 0."""
    return lambda s: np.exp(np.minimum(-0.25 * b * s**2, LARGEST_EXPONENT))
