"""Is a set of axes spread evenly? Bingham's test for axes whose cones overlap, and the principal axes of a function."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from cryores.directions import geodesic_axes
from cryores.fourier import Float64
from cryores.resolution._directional import cone_weight
from cryores.volume import BoolArray

QUADRATURE = 16
"""Frequency of the geodesic axes (1281) that stand for all directions in integrals over a cone."""

DEGREES_OF_FREEDOM = 5
"""Of Bingham's statistic in three dimensions: a symmetric matrix of trace 1."""

STEPS = 400
"""Of the integral over the correlation."""


def cone_overlap(axes: Float64, angle: float) -> Float64:
    """Return the correlation that the overlap of their cones gives to the noise of two axes, a matrix."""
    weights = cone_weight(axes @ geodesic_axes(QUADRATURE).T, angle)
    products = weights @ weights.T
    scale = np.sqrt(np.diag(products))
    overlap: Float64 = products / np.outer(scale, scale)
    return np.clip(overlap, 0.0, 1.0)


def bingham_test(axes: Float64, passing: BoolArray, overlap: Float64) -> Tuple[float, float]:
    """Test whether the axes that pass are spread evenly over the sphere.

    Parameters
    ----------
    axes : ndarray of float64, shape (axes, 3)
        An even set of axes.
    passing : ndarray of bool, shape (axes,)
        Those to be tested.
    overlap : ndarray of float64, shape (axes, axes)
        Correlation of the noise of two axes, see `cone_overlap`.

    Returns
    -------
    statistic, p : float
        Bingham's statistic S and the probability of a larger one if the axes were spread evenly; 0 and 1 when none or
        all pass.

    Notes
    -----
    S = p (p + 2) / 2 n (tr T^2 - 1 / p) with p = 3 and T the mean of n n^T over the passing axes; under uniformity it
    follows chi-square with 5 degrees of freedom, whose tail is Q(5/2, S/2). n is the number of *independent* axes: the
    cones of neighbours share coefficients, so that they pass together and crowd by chance. It is the number for which
    the mean of S is 5 when axes pass where a Gaussian field with the correlation ``overlap`` is high. Source: Bingham
    (1974); Mardia & Jupp, Directional Statistics (2000), section 10.7.
    """
    from scipy.special import gammaincc

    count = int(np.count_nonzero(passing))
    if count in (0, passing.size):
        return 0.0, 1.0
    chosen = axes[passing]
    tensor = chosen.T @ chosen / count
    excess = float(np.sum(tensor * tensor)) - 1.0 / 3.0
    covariance = _covariance_of_passing(overlap, count / passing.size)
    expected = float(np.sum(covariance * ((axes @ axes.T) ** 2 - 1.0 / 3.0))) / count**2
    independent = 2.0 / (3.0 * expected)
    statistic = 7.5 * independent * excess
    return statistic, float(gammaincc(DEGREES_OF_FREEDOM / 2.0, statistic / 2.0))


def _covariance_of_passing(correlation: Float64, share: float) -> Float64:
    """Return the covariance of "is above" of two Gaussian variables, each of which is above in ``share`` of all cases.

    The integral of exp(-u^2 / (1 + sin t)) / 2 pi from 0 to arcsin(correlation), u the threshold.
    """
    from scipy.integrate import cumulative_trapezoid
    from scipy.special import ndtri

    angle = np.linspace(0.0, np.pi / 2.0, STEPS)
    density = np.exp(-(ndtri(share) ** 2) / (1.0 + np.sin(angle))) / (2.0 * np.pi)
    covariance: Float64 = np.interp(np.arcsin(correlation), angle, cumulative_trapezoid(density, angle, initial=0.0))
    return covariance


def principal_axes(axes: Float64, values: Float64) -> Tuple[Float64, Float64]:
    """Fit n^T A n to values on axes n by least squares; return the eigenvalues of A, rising, and its axes as rows."""
    z, y, x = axes.T
    design = np.stack([z * z, y * y, x * x, 2 * z * y, 2 * z * x, 2 * y * x], axis=1)
    zz, yy, xx, zy, zx, yx = np.linalg.lstsq(design, values, rcond=None)[0]
    eigenvalues, vectors = np.linalg.eigh(np.array([[zz, zy, zx], [zy, yy, yx], [zx, yx, xx]]))
    return eigenvalues, upper(vectors.T)


def main_axis(axes: Float64) -> Float64:
    """Return the axis (z, y, x) about which a set of axes lies most closely."""
    axis: Float64 = upper(np.linalg.eigh(axes.T @ axes)[1].T[-1:])[0]
    return axis


def upper(axes: Float64) -> Float64:
    """Return each axis as the one of its two directions with z > 0."""
    return np.where(axes[:, :1] < 0, -axes, axes)
