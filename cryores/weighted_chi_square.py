"""The tail of a sum of weighted chi-square variables, right to a relative 1e-9 however small it is (six or more terms).

P(sum of w_j Z_j^2 > x) is an integral of exp(K(t) - t x) / t along a line of complex t, with K(t) = -1/2 sum of
log(1 - 2 w_j t). Through the saddlepoint the integrand falls off fast and never cancels, so that a trapezoidal sum
keeps its relative precision in the farthest tail, where series and characteristic functions have lost theirs.
Source of the saddlepoint: Kuonen, Biometrika 86, 929 (1999).
"""

from __future__ import annotations

import numpy as np

from cryores.fourier import Float64

NODES = 1000
FARTHEST = 1e-300


def log_tail(x: float, weights: Float64) -> float:
    """Return ln P(sum of weights * Z^2 > x) for independent standard normal Z.

    Parameters
    ----------
    x : float
        Where the tail starts; at 0 or below it is everything.
    weights : ndarray of float64
        Positive weights, one for each variable.
    """
    if x <= 0:
        return 0.0
    pole = 0.5 / float(weights.max())
    centre = _saddlepoint(x, weights, pole)
    # Distance over which the integrand falls off, from its curvature at the saddlepoint.
    spread = 1.0 / np.sqrt(np.sum(2.0 * (weights / (1.0 - 2.0 * weights * centre)) ** 2) + 1.0 / centre**2)
    u = np.linspace(0.0, 1.0, NODES, endpoint=False)
    # Dense where the integrand is large, and reaching far beyond.
    height = 2.0 * spread * np.sinh(12.0 * u) / np.cosh(4.0 * u)
    slope = 2.0 * spread * (12.0 * np.cosh(12.0 * u) - 4.0 * np.sinh(12.0 * u) * np.tanh(4.0 * u)) / np.cosh(4.0 * u)
    t = centre + 1j * height
    logs = -0.5 * np.sum(np.log(1.0 - 2.0 * weights[:, None] * t), axis=0) - t * x - np.log(t)
    peak = float(logs[0].real)
    values = np.exp(logs - peak).real * slope
    integral = (values.sum() - 0.5 * values[0]) / NODES
    return float(min(peak + np.log(max(integral / np.pi, FARTHEST)), 0.0))


def _saddlepoint(x: float, weights: Float64, pole: float) -> float:
    """Return where the integrand is smallest on the real axis, between 0 and the first pole."""
    from scipy.optimize import brentq

    def slope(t: float) -> float:
        return float(np.sum(weights / (1.0 - 2.0 * weights * t))) - x - 1.0 / t

    return float(brentq(slope, pole * 1e-9, pole * (1.0 - 1e-12)))


def quantile(tail: float, weights: Float64) -> float:
    """Return the x whose tail probability is ``tail``."""
    from scipy.optimize import brentq

    high = float(weights.sum())
    while log_tail(high, weights) > np.log(tail):
        high *= 2.0
    return float(brentq(lambda x: log_tail(x, weights) - np.log(tail), 1e-9 * high, high, xtol=1e-10 * high))
