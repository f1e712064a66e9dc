"""The filters of the bands of LocSpiral and its kin: Gaussian bands about a frequency, even and odd.

Frequencies are in Fourier pixels of the longest edge of the box. The even filter of a band gives the filtered map c,
its odd ones what c is in quadrature to: with the three Riesz components the amplitude is the same for waves of all
directions. The published program has one complex spiral (ky + kz + i kx) / |.|, which leaves directions out, and a grid
that is one Fourier pixel off along every even edge, so that its filters are not symmetric: `PublishedFilters`.
Source: Kaur et al., Nat. Commun. 12, 1240 (2021), and the program that comes with it.
"""

from __future__ import annotations

from typing import List, Tuple

import numba
import numpy as np

from cryores.backend import kernel
from cryores.fourier import Complex, Float64, hermitian_weights
from cryores.volume import FloatArray, Grid

TAIL = 6.0
"""Widths from its centre where a band ends: what is left there is below the rounding of a float32."""

TABLE_STEPS = 64
"""Points of a band's table per Fourier pixel, between which it is interpolated linearly (1e-5 at the default width)."""

STEPS = np.float32(TABLE_STEPS)


class _Bands:
    """The tables of Gaussian bands, and their sums over the frequencies ``k`` with ``weights`` along x."""

    def __init__(self, k: List[Float64], weights: Float64, width: float) -> None:
        self._width = width
        self._corner = float(np.sqrt(sum(np.abs(a).max() ** 2 for a in k)))
        self._points = int(np.ceil(self._corner * TABLE_STEPS)) + 2
        self._counts = _count(*k, weights, self._points).sum(axis=0)

    def table(self, centre: float, total: float = 1.0) -> Tuple[FloatArray, float]:
        """Return the band over the table's frequencies, divided by ``total``, and the frequency where it ends."""
        off = (np.arange(self._points) / TABLE_STEPS - centre) / self._width
        response = np.where(np.abs(off) < TAIL, np.exp(-0.5 * off * off), 0.0)
        # The mean density is in no band.
        response[0] = 0.0
        return (response / total).astype(np.float32), centre + TAIL * self._width

    def normalised(self, centre: float) -> Tuple[FloatArray, float]:
        """Return the `table` of a band that sums to 1."""
        return self.table(centre, float(self._counts @ self.table(centre)[0].astype(np.float64)))


class RieszFilters:
    """Bands with the three Riesz components, each divided by its sum over the full spectrum.

    Parameters
    ----------
    grid : Grid
        The grid of the map.
    width : float
        Standard deviation of a band.
    """

    odd_parts = 3

    def __init__(self, grid: Grid, width: float) -> None:
        k = _frequencies(grid, 0)
        k[2] = np.abs(k[2][: grid.shape[2] // 2 + 1])
        self._bands = _Bands(k, hermitian_weights(grid.shape[2]), width)
        self._k = [a.astype(np.float32) for a in k]
        # The frequency that is its own mirror image has no odd part.
        self._odd = [np.where(np.arange(a.size) * 2 == n, np.float32(0), a) for a, n in zip(self._k, grid.shape)]

    def take_even(self, spectrum: Complex, out: Complex, centre: float) -> None:
        """Write the band of ``spectrum`` about ``centre`` to ``out``."""
        _take_band(spectrum, out, *self._k, STEPS, *self._bands.normalised(centre))

    def take_odd(self, spectrum: Complex, out: Complex, part: int, centre: float) -> None:
        """Write the Riesz component number ``part`` (z, y, x) of the band."""
        along = [odd if i == part else np.zeros_like(odd) for i, odd in enumerate(self._odd)]
        _take_odd_band(spectrum, out, *self._k, *along, STEPS, *self._bands.normalised(centre))


class PublishedFilters:
    """Bands as the published program has them; the methods are those of `RieszFilters`."""

    odd_parts = 2

    def __init__(self, grid: Grid, width: float) -> None:
        k = _frequencies(grid, 1)
        half = grid.shape[2] // 2 + 1
        mirrored = [np.roll(a[::-1], 1) for a in k]
        self._bands = _Bands(k, np.ones(k[2].size), width)
        self._pairs = [*k[:2], k[2][:half], *mirrored[:2], mirrored[2][:half]]

    def take_even(self, spectrum: Complex, out: Complex, centre: float) -> None:
        """Write the band of ``spectrum``, of which the real part of the map is kept."""
        _take_published(spectrum, out, *self._pairs, STEPS, self._bands.normalised(centre)[0], -1)

    def take_odd(self, spectrum: Complex, out: Complex, part: int, centre: float) -> None:
        """Write what gives the real (``part`` 0) or imaginary (1) part of the map times the spiral."""
        _take_published(spectrum, out, *self._pairs, STEPS, self._bands.normalised(centre)[0], part)


def published_shift(size: int) -> int:
    """Return by how many pixels the published program's centre lies before that of an edge of ``size`` voxels."""
    return 1 - size % 2


def _frequencies(grid: Grid, shifted: int) -> List[Float64]:
    pixels = [np.fft.fftfreq(n, 1.0 / n) + shifted * published_shift(n) for n in grid.shape]
    return [along * (max(grid.extent) / edge) for along, edge in zip(pixels, grid.extent)]


# --- kernels ------------------------------------------------------------------------------------------------------


@numba.njit(inline="always")  # type: ignore[misc]
def _gain(table, r, steps):  # type: ignore[no-untyped-def]
    position = r * steps
    i = int(position)
    return table[i] + (table[i + 1] - table[i]) * np.float32(position - i)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _count(kz, ky, kx, weights, points):  # type: ignore[no-untyped-def]
    # How much of every point of a table goes into the sum of what is interpolated from it.
    counts = np.zeros((16, points))
    for chunk in numba.prange(16):
        for z in range(chunk, kz.size, 16):
            for y in range(ky.size):
                for x in range(kx.size):
                    position = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x]) * TABLE_STEPS
                    i = int(position)
                    counts[chunk, i] += weights[x] * (1.0 - (position - i))
                    counts[chunk, i + 1] += weights[x] * (position - i)
    return counts


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_band(spectrum, out, kz, ky, kx, steps, table, end):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            r2_zy = kz[z] * kz[z] + ky[y] * ky[y]
            if r2_zy > end * end:
                out[z, y, :] = 0
                continue
            for x in range(kx.size):
                out[z, y, x] = spectrum[z, y, x] * _gain(table, np.sqrt(r2_zy + kx[x] * kx[x]), steps)


@kernel
@numba.njit(parallel=True, cache=True, error_model="numpy")  # type: ignore[misc]
def _take_odd_band(spectrum, out, kz, ky, kx, oz, oy, ox, steps, table, end):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            r2_zy = kz[z] * kz[z] + ky[y] * ky[y]
            if r2_zy > end * end:
                out[z, y, :] = 0
                continue
            along = oz[z] + oy[y]
            for x in range(kx.size):
                r = np.sqrt(r2_zy + kx[x] * kx[x])
                gain = _gain(table, r, steps) * (along + ox[x]) / max(r, np.float32(1e-6))
                value = spectrum[z, y, x]
                out[z, y, x] = complex(value.imag * gain, -value.real * gain)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_published(spectrum, out, kz, ky, kx, mz, my, mx, steps, table, part):  # type: ignore[no-untyped-def]
    # A filter G gives a complex map. Its real part is that of (G(k) + G(-k)*) / 2, its imaginary one that of
    # (G(k) - G(-k)*) / 2i: m.. are the frequencies that the mirror image of a coefficient has in the shifted grid.
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                here = _gain(table, np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x]), steps)
                there = _gain(table, np.sqrt(mz[z] * mz[z] + my[y] * my[y] + mx[x] * mx[x]), steps)
                re, im = here + there, 0.0
                if part >= 0:
                    a, b = _spiral(kz[z] + ky[y], kx[x])
                    c, d = _spiral(mz[z] + my[y], mx[x])
                    if part == 0:
                        re, im = here * a + there * c, here * b - there * d
                    else:
                        re, im = here * b + there * d, there * c - here * a
                out[z, y, x] = spectrum[z, y, x] * complex(np.float32(0.5 * re), np.float32(0.5 * im))


@numba.njit(inline="always")  # type: ignore[misc]
def _spiral(u, v):  # type: ignore[no-untyped-def]
    length = np.sqrt(u * u + v * v)
    if length == 0.0:
        return 0.0, 0.0
    return u / length, v / length
