"""The operator of LocalDeblur: every voxel keeps the bands near its local resolution.

A(x)(c) = sum_b g_b(c) (h_b * x)(c) / sum_b g_b(c), with raised cosines h_b about the frequencies 1/d_b, d_b every
0.2 Å, and g_b(c) = exp(-K (d_b - d(c))^2) for the local resolution d(c). Source: Ramirez-Aportela et al.,
Bioinformatics 36, 765 (2020).

The weights are smooth functions of d. Their matrix over bands and resolutions has a rank of about ten, so that
A(x)(c) = sum_q v_q(d(c)) F^-1[U_q F x](c) with few radial filters U_q in place of one for each band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from cryores.backend import HOST, Array, Backend, kernel
from cryores.fourier import Float64, multiply_table, radial_table
from cryores.volume import FloatArray, Grid, Volume

BAND_STEP = 0.2
"""Å between the bands, and half the width of each."""

BEYOND = 2.0
"""Å by which the bands go beyond the coarsest local resolution."""

TABLE_STEPS = 128
"""Points of a filter's table per shell: at 20 Å a band is a twentieth of a shell wide."""

RESOLUTION_STEP = 0.01
"""Å between the resolutions at which the weights are tabulated."""

RANK_ERROR = 1e-6
"""Singular values below this share of the largest are left out."""


@dataclass(frozen=True)
class Factors:
    """The weights of the bands, factorised.

    Parameters
    ----------
    responses : ndarray of float64, shape (rank, points)
        Radial filters U_q at multiples of ``frequency_step`` (1/Å).
    weights : ndarray of float32, shape (rank, resolutions)
        v_q at the resolutions from ``finest`` on, `RESOLUTION_STEP` apart.
    """

    responses: FloatArray
    frequency_step: float
    weights: FloatArray
    finest: float


def band_resolutions(grid: Grid, coarsest: float) -> Float64:
    """Return the d_b in Å: from Nyquist on, without those that fall on the Fourier pixel of the one before."""
    edge = max(grid.extent)
    tried = np.arange(2.0 * grid.spacing, coarsest + BEYOND, BAND_STEP)
    pixel = np.rint(edge / tried)
    kept: Float64 = tried[np.append(True, np.diff(pixel) != 0)]
    return kept


def band_response(resolution: float, s: Float64) -> Float64:
    """Return h_b at frequencies ``s`` (1/Å): half a cosine to both sides of 1/d_b, up to that of d_b - 0.2 Å."""
    centre = 1.0 / resolution
    width = 1.0 / (resolution - BAND_STEP) - centre
    off = np.abs(s - centre) / width
    return np.where(off <= 1.0, 0.5 * (1.0 + np.cos(np.pi * off)), 0.0)


def band_weights(bands: Float64, resolutions: Float64, k: float) -> Float64:
    """Return g_b / sum g_b, shape (bands, resolutions)."""
    log = -k * (bands[:, None] - resolutions) ** 2
    weights = np.exp(log - log.max(axis=0))
    found: Float64 = weights / weights.sum(axis=0)
    return found


def factorised(grid: Grid, finest: float, coarsest: float, k: float) -> Factors:
    """Return the factors for local resolutions from ``finest`` to ``coarsest`` (Å)."""
    bands = band_resolutions(grid, coarsest)
    resolutions = finest + RESOLUTION_STEP * np.arange(int(np.ceil((coarsest - finest) / RESOLUTION_STEP)) + 2)
    left, singular, right = np.linalg.svd(band_weights(bands, resolutions, k), full_matrices=False)
    rank = int(np.count_nonzero(singular > RANK_ERROR * singular[0]))
    tables = [radial_table(lambda s, d=d: band_response(d, s), grid, TABLE_STEPS) for d in bands]  # type: ignore[misc]
    responses = (left[:, :rank] * singular[:rank]).T @ np.array([table for table, _ in tables], dtype=np.float64)
    return Factors(responses.astype(np.float32), tables[0][1], right[:rank].astype(np.float32), finest)


class Deblurring:
    """The operator A of one resolution map.

    Parameters
    ----------
    resolution : Volume
        Å; A(x) is 0 where it is NaN. Finer than two voxels counts as two voxels.
    k : float
        Width of the weights in 1/Å².
    threads : int
        Threads of each transform.
    backend : Backend
        Where maps lie.

    Attributes
    ----------
    finest, coarsest : float
        Local resolutions (Å) that occur.
    """

    def __init__(self, resolution: Volume, k: float, threads: int, backend: Backend = HOST) -> None:
        grid = resolution.grid
        self._limit = 2.0 * grid.spacing
        self.finest, self.coarsest = (max(float(f(resolution.data)), self._limit) for f in (np.nanmin, np.nanmax))
        self._factors = factorised(grid, self.finest, self.coarsest, k)
        self._resolution, self._grid = backend.asarray(resolution.data), grid
        self._fft = backend.in_place_fft(grid.shape, threads)
        self._whole, self._band = self._fft.first, self._fft.empty()

    @property
    def rank(self) -> int:
        """Filters that one application needs."""
        return len(self._factors.responses)

    def apply(self, data: Array, out: Array) -> Array:
        """Write A(data) to ``out``, which may be ``data``, and return it."""
        factors, scale = self._factors, np.float32(1.0 / self._grid.size)
        self._fft.real(self._whole)[...] = data
        spectrum = self._fft.forward(self._whole)
        out[...] = 0
        for response, weights in zip(factors.responses, factors.weights):
            band = self._fft.spectrum(self._band)
            band[...] = spectrum
            multiply_table(band, response, factors.frequency_step, self._grid)
            filtered = self._fft.backward(self._band)
            _add_weighted(out, self._resolution, self.finest, RESOLUTION_STEP, self._limit, weights, filtered, scale)
        return out


@kernel
@numba.njit(parallel=True, cache=True, error_model="numpy")  # type: ignore[misc]
def _add_weighted(total, resolution, finest, step, limit, weights, filtered, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                d = resolution[z, y, x]
                if not np.isnan(d):
                    at = (max(np.float64(d), limit) - finest) / step
                    i = int(at)
                    fraction = np.float32(at - i)
                    weight = weights[i] * (np.float32(1) - fraction) + weights[i + 1] * fraction
                    total[z, y, x] += weight * scale * filtered[z, y, x]


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def step_on(current, change, step, floor):  # type: ignore[no-untyped-def]
    """Add ``step`` times the change to a map in place, and cut it off below ``floor``."""
    for z in numba.prange(current.shape[0]):
        for y in range(current.shape[1]):
            for x in range(current.shape[2]):
                current[z, y, x] = max(current[z, y, x] + step * change[z, y, x], floor)


@kernel
def norm(data: FloatArray) -> float:
    """Return the root of the sum of squares."""
    return float(np.sqrt(np.einsum("zyx,zyx->", data, data, dtype=np.float64)))
