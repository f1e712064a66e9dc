"""The local model of ResMap at one scale: a steerable basis, its significance, and its response at every voxel.

In a window about each voxel the density is fitted by a constant and 16 steerable functions, second derivatives of a
Gaussian along the 6 five-fold axes of an icosahedron and their odd partners along its 10 three-fold axes. How much they
explain beyond the constant is a sum of 16 squared correlations; in white noise it is a weighted sum of squared normal
variables. Source: Kucukelbir, Sigworth & Tagare, Nat. Methods 11, 63 (2014); basis: Freeman & Adelson, IEEE Trans. PAMI
13, 891 (1991).

Every function is a polynomial of degree 3 times a Gaussian, so the 16 correlations are combinations of 19 moments, each
made of one correlation along every axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.backend import Array, backend_of, kernel
from cryores.fourier import Float64, irfft, rfft
from cryores.volume import BoolArray, FloatArray

GOLDEN = (1.0 + np.sqrt(5.0)) / 2.0
COMPAT_EIGENVALUES = 0.1
"""The published program drops eigenvalues below this share of the largest."""

DEGREE = 3
ORDERS = np.array(
    [
        (i, j, k)
        for i in range(DEGREE + 1)
        for j in range(DEGREE + 1 - i)
        for k in range(DEGREE + 1 - i - j)
        if i + j + k > 0
    ]
)
"""Degrees along (z, y, x) of the 19 moments, in the order in which the loops over axes meet them."""

ROUNDING = 1e-10
"""Share of the largest coefficient below which one is 0: moments of different parity do not mix."""


@dataclass(frozen=True)
class Model:
    """The local model at one scale.

    Parameters
    ----------
    radius : int
        The window has w = 2 radius + 1 voxels along each edge.
    kernels : ndarray of float64, shape (16, w, w, w)
        What the density is correlated with.
    taps : ndarray of float64, shape (4, w)
        Orthogonal polynomials of degree 0 to 3 along one axis, times the Gaussian weight.
    form : ndarray of float64, shape (19, 19)
        The sum of the squared correlations is this quadratic form of the moments; the constant's moment has no part.
    eigenvalues : ndarray of float64, shape (16,)
        The statistic of white noise of variance 1 is distributed as the sum of eigenvalue * Z^2.
    """

    radius: int
    kernels: Float64
    taps: Float64
    form: Float64
    eigenvalues: Float64

    def null_weights(self, compat: bool) -> Float64:
        """Return the eigenvalues that the significance is computed from."""
        return (
            self.eigenvalues[self.eigenvalues > COMPAT_EIGENVALUES * self.eigenvalues.max()]
            if compat
            else self.eigenvalues
        )

    @property
    def weight(self) -> Float64:
        """Gaussian weight of the voxels of a window, shape (w, w, w)."""
        weight: Float64 = self.taps[0][:, None, None] * self.taps[0][:, None] * self.taps[0]
        return weight


def model_at(resolution: float, voxel_size: float) -> Model:
    """Return the model whose second derivative responds most at a wavelength of ``resolution`` Å."""
    radius = int(np.ceil(0.5 * resolution / voxel_size))
    step = 2.0 * np.pi / resolution * np.sqrt(0.4) * voxel_size
    axis = step * np.arange(-radius, radius + 1)
    z, y, x = (c.ravel() for c in np.meshgrid(axis, axis, axis, indexing="ij"))
    weight = np.exp(-(x * x + y * y + z * z))
    root = np.sqrt(weight)
    projected = [[n[0] * x + n[1] * y + n[2] * z for n in directions] for directions in _icosahedral_axes()]
    columns = [4.0 * p**2 - 2.0 for p in projected[0]] + [p**3 - 2.254 * p for p in projected[1]]
    constant = root / np.linalg.norm(root)
    design = np.stack([root * c for c in columns], axis=1)
    design -= constant[:, None] * (constant @ design)
    basis, _ = np.linalg.qr(design)
    kernels = np.ascontiguousarray((root[:, None] * basis).T)
    taps, form = _separated(kernels, axis)
    edge = 2 * radius + 1
    eigenvalues = np.linalg.eigvalsh(kernels @ kernels.T)[::-1]
    return Model(radius, kernels.reshape(-1, edge, edge, edge), taps, form, eigenvalues)


def _icosahedral_axes() -> List[Float64]:
    """Return the 6 five-fold and the 10 three-fold axes of an icosahedron as unit vectors."""
    five, three = [], []
    for sign in (1.0, -1.0):
        for turn in range(3):
            five.append(np.roll((1.0, 0.0, sign * GOLDEN), turn))
            three.append(np.roll((0.0, GOLDEN, sign / GOLDEN), turn))
    three += [np.array((a, b, 1.0)) for a in (1.0, -1.0) for b in (1.0, -1.0)]
    return [np.array([n / np.linalg.norm(n) for n in axes]) for axes in (five, three)]


def _separated(kernels: Float64, axis: Float64) -> Tuple[Float64, Float64]:
    """Return the taps along one axis and the quadratic form of the moments that stand for ``kernels``."""
    gauss = np.exp(-(axis**2))
    spread = gauss @ axis**2
    polynomials = np.stack(
        [np.ones_like(axis), axis, axis**2 - spread / gauss.sum(), axis**3 - axis * (gauss @ axis**4) / spread]
    )
    # Orthogonal under the weight, so that each coefficient is one projection.
    norms = polynomials**2 @ gauss
    products = [np.kron(np.kron(polynomials[i], polynomials[j]), polynomials[k]) for i, j, k in ORDERS]
    coefficients = kernels @ np.stack(products, axis=1) / np.prod(norms[ORDERS], axis=1)
    form = coefficients.T @ coefficients
    form[np.abs(form) < ROUNDING * np.abs(form).max()] = 0.0
    return polynomials * gauss, form


# --- the statistic ------------------------------------------------------------------------------------------------


def statistic(data: Array, model: Model, wanted: BoolArray) -> FloatArray:
    """Return the sum of squared correlations with the kernels, for noise of variance 1.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        The map; the window reaches round the border.
    model : Model
        The model of the scale.
    wanted : ndarray of bool, shape (nz, ny, nx)
        Voxels to do.

    Returns
    -------
    ndarray of float32, shape (wanted.sum(),)
        In the order of ``data[wanted]``.
    """
    if not wanted.any():
        return np.zeros(0, dtype=np.float32)
    z, y, x = (np.flatnonzero(wanted.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    r = model.radius
    there = backend_of(data)
    block = data
    for a, places in enumerate((z, y, x)):
        around = np.arange(places[0] - r, places[-1] + r + 1) % data.shape[a]
        block = there.xp.take(block, there.asarray(around), axis=a)
    inside = np.ascontiguousarray(wanted[z[0] : z[-1] + 1, y[0] : y[-1] + 1, x[0] : x[-1] + 1])
    rows, columns = np.nonzero(np.triu(model.form))
    factors = np.where(rows == columns, 1.0, 2.0) * model.form[rows, columns]
    out = there.zeros(inside.shape, np.float32)
    _quadratic_form(block, inside, model.taps.astype(np.float32), rows, columns, factors.astype(np.float32), out)
    found: FloatArray = there.to_host(out)[inside]
    return found


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _quadratic_form(block, wanted, taps, rows, columns, factors, out):  # type: ignore[no-untyped-def]
    # One correlation along z a plane, along y a line, along x a line again: all that is read lies in the cache.
    nz, ny, nx = wanted.shape
    edge = taps.shape[1]
    for z in numba.prange(nz):
        if not wanted[z].any():
            continue
        planes = np.zeros((DEGREE + 1, block.shape[1], block.shape[2]), dtype=np.float32)
        for i in range(DEGREE + 1):
            for d in range(edge):
                for y in range(block.shape[1]):
                    _add(planes[i, y], block[z + d, y], taps[i, d])
        line = np.empty(block.shape[2], dtype=np.float32)
        moments = np.empty((len(ORDERS), nx), dtype=np.float32)
        for y in range(ny):
            if not wanted[z, y].any():
                continue
            moment = 0
            for i in range(DEGREE + 1):
                for j in range(DEGREE + 1 - i):
                    line[:] = 0.0
                    for d in range(edge):
                        _add(line, planes[i, y + d], taps[j, d])
                    # The constant's own moment has no part in the form.
                    for k in range(1 if i + j == 0 else 0, DEGREE + 1 - i - j):
                        moments[moment] = 0.0
                        for d in range(edge):
                            _add(moments[moment], line[d : d + nx], taps[k, d])
                        moment += 1
            for n in range(len(factors)):
                _add_product(out[z, y], moments[rows[n]], moments[columns[n]], factors[n])


@numba.njit(inline="always")  # type: ignore[misc]
def _add(total, part, factor):  # type: ignore[no-untyped-def]
    for n in range(total.size):
        total[n] += factor * part[n]


@numba.njit(inline="always")  # type: ignore[misc]
def _add_product(total, a, b, factor):  # type: ignore[no-untyped-def]
    for n in range(total.size):
        total[n] += factor * a[n] * b[n]


# --- the noise ----------------------------------------------------------------------------------------------------


def autocorrelation(noise: FloatArray, region: BoolArray, threads: int) -> FloatArray:
    """Return the mean product of two voxels of ``region``, less their means, at each distance.

    Parameters
    ----------
    noise : ndarray of float32, shape (nz, ny, nx)
        The noise.
    region : ndarray of bool, shape (nz, ny, nx)
        Where it is measured; at least one voxel.
    threads : int
        Threads of the transforms.

    Returns
    -------
    ndarray of float32, shape (nz, ny, nx)
        Distance 0 first, negative ones from the end; 0 at distances that no pair has.
    """
    values = np.where(region, noise - np.float32(noise[region].mean(dtype=np.float64)), np.float32(0.0))
    products = irfft(np.abs(rfft(values, threads)) ** 2, noise.shape, threads)  # type: ignore[arg-type]
    del values
    pairs = irfft(np.abs(rfft(region.astype(np.float32), threads)) ** 2, noise.shape, threads)  # type: ignore[arg-type]
    products /= np.maximum(pairs, 1.0)
    products[pairs < 0.5] = 0.0
    return products


def noise_variance(model: Model, correlation: FloatArray, compat: bool) -> float:
    """Return the variance of white noise, from what the model does not explain in a window of noise.

    What it does not explain is a quadratic form of the window; its mean over all windows is a sum over the noise's
    autocorrelation. With ``compat`` the mean of a window is taken out without counting it, as in the published
    program: a few per cent too little in small windows.
    """
    unexplained = _lags(model)
    r = model.radius
    around = np.ix_(*(np.arange(-2 * r, 2 * r + 1) % n for n in correlation.shape))
    # Distance 0 of the form is its trace.
    trace = float(unexplained[2 * r, 2 * r, 2 * r])
    if compat:
        trace = float(model.weight.sum() - model.eigenvalues.sum())
    return float(np.sum(unexplained * correlation[around])) / trace


def _lags(model: Model) -> Float64:
    """Return the quadratic form of what the model does not explain in a window less its mean, summed by distance."""
    edge = 2 * model.radius + 1
    size = 2 * edge - 1
    shape = (scipy.fft.next_fast_len(size, real=True),) * 3

    def spectrum(a: Float64) -> npt.NDArray[np.complex128]:
        transform: npt.NDArray[np.complex128] = scipy.fft.rfftn(a, shape)
        return transform

    weight, box = model.weight, np.ones((edge, edge, edge)) / edge**3
    flat, heavy = spectrum(box), spectrum(weight)
    power = -2.0 * (heavy * flat.conj()).real + weight.sum() * np.abs(flat) ** 2
    for correlated in model.kernels:
        power -= np.abs(spectrum(correlated)) ** 2
    lags = scipy.fft.irfftn(power, shape)
    lags[0, 0, 0] += weight.sum()
    around = np.arange(-2 * model.radius, 2 * model.radius + 1)
    found: Float64 = lags[np.ix_(around, around, around)]
    return found
