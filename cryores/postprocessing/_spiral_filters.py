"""The filters of the bands of LocSpiral and its kin: Gaussian bands about a frequency, even and odd.

Frequencies are in Fourier pixels of the longest edge of the box. The even filter of a band gives the filtered map c,
its odd ones what c is in quadrature to: with the three Riesz components the amplitude is the same for waves of all
directions. The published program has one complex spiral (ky + kz + i kx) / |.|, which leaves directions out, and a grid
that is one Fourier pixel off along every even edge, so that its filters are not symmetric: `PublishedFilters`.
Source: Kaur et al., Nat. Commun. 12, 1240 (2021), and the program that comes with it.
"""

from __future__ import annotations

from typing import List

import numba
import numpy as np

from cryores.fourier import Complex, Float64, hermitian_weights
from cryores.volume import Grid

DC_WIDTH = 0.05
"""Fourier pixels: the mean density is taken out of every band."""

DC_REACH = 0.5
"""Fourier pixels: farther from the mean density nothing is taken out."""

TAIL = 6.0
"""Widths from its centre where a band ends: what is left there is below the rounding of a float32."""


class RieszFilters:
    """Bands with the three Riesz components.

    Parameters
    ----------
    grid : Grid
        The grid of the map.
    width : float
        Standard deviation of a band.
    """

    odd_parts = 3

    def __init__(self, grid: Grid, width: float) -> None:
        self._width = width
        self._k = _frequencies(grid, 0)
        self._k[2] = np.abs(self._k[2][: grid.shape[2] // 2 + 1])
        # The frequency that is its own mirror image has no odd part.
        self._odd = [np.where(np.arange(a.size) * 2 == n, 0.0, a) for a, n in zip(self._k, grid.shape)]
        self._weights = hermitian_weights(grid.shape[2])

    def total(self, centre: float) -> float:
        """Return the sum of a band over the full spectrum."""
        return float(_band_sum(*self._k, self._weights, centre, self._width).sum())

    def take_even(self, spectrum: Complex, out: Complex, centre: float, scale: float) -> None:
        """Write the band of ``spectrum`` times ``scale`` to ``out``."""
        _take_band(spectrum, out, *self._k, centre, self._width, scale)

    def take_odd(self, spectrum: Complex, out: Complex, part: int, centre: float, scale: float) -> None:
        """Write the Riesz component number ``part`` (z, y, x) of the band."""
        _take_odd_band(spectrum, out, *self._k, self._odd[part], part, centre, self._width, scale)


class PublishedFilters:
    """Bands as the published program has them; the methods are those of `RieszFilters`."""

    odd_parts = 2

    def __init__(self, grid: Grid, width: float) -> None:
        self._width = width
        self._k = _frequencies(grid, 1)
        half = grid.shape[2] // 2 + 1
        mirrored = [np.roll(a[::-1], 1) for a in self._k]
        self._pairs = [*self._k[:2], self._k[2][:half], *mirrored[:2], mirrored[2][:half]]

    def total(self, centre: float) -> float:
        """Return the sum of a band over the full spectrum."""
        return float(_band_sum(*self._k, np.ones(self._k[2].size), centre, self._width).sum())

    def take_even(self, spectrum: Complex, out: Complex, centre: float, scale: float) -> None:
        """Write the band of ``spectrum`` times ``scale``, of which the real part of the map is kept."""
        _take_published(spectrum, out, *self._pairs, centre, self._width, scale, -1)

    def take_odd(self, spectrum: Complex, out: Complex, part: int, centre: float, scale: float) -> None:
        """Write what gives the real (``part`` 0) or imaginary (1) part of the map times the spiral."""
        _take_published(spectrum, out, *self._pairs, centre, self._width, scale, part)


def published_shift(size: int) -> int:
    """Return by how many pixels the published program's centre lies before that of an edge of ``size`` voxels."""
    return 1 - size % 2


def _frequencies(grid: Grid, shifted: int) -> List[Float64]:
    pixels = [np.fft.fftfreq(n, 1.0 / n) + shifted * published_shift(n) for n in grid.shape]
    return [along * (max(grid.extent) / edge) for along, edge in zip(pixels, grid.extent)]


# --- kernels ------------------------------------------------------------------------------------------------------


@numba.njit(inline="always")  # type: ignore[misc]
def _gain(r, centre, width):  # type: ignore[no-untyped-def]
    off = (r - centre) / width
    if abs(off) > TAIL:
        return 0.0
    gain = np.exp(-0.5 * off * off)
    if r < DC_REACH:
        gain *= 1.0 - np.exp(-0.5 * (r / DC_WIDTH) ** 2)
    return gain


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _band_sum(kz, ky, kx, weights, centre, width):  # type: ignore[no-untyped-def]
    sums = np.zeros(kz.size)
    for z in numba.prange(kz.size):
        total = 0.0
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                total += weights[x] * _gain(r, centre, width)
        sums[z] = total
    return sums


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_band(spectrum, out, kz, ky, kx, centre, width, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                out[z, y, x] = spectrum[z, y, x] * np.float32(_gain(r, centre, width) * scale)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_odd_band(spectrum, out, kz, ky, kx, odd, axis, centre, width, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                r = np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x])
                gain = np.float32(0)
                if r > 0:
                    along = odd[z] if axis == 0 else odd[y] if axis == 1 else odd[x]
                    gain = np.float32(_gain(r, centre, width) * scale * along / r)
                value = spectrum[z, y, x]
                out[z, y, x] = complex(value.imag * gain, -value.real * gain)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_published(spectrum, out, kz, ky, kx, mz, my, mx, centre, width, scale, part):  # type: ignore[no-untyped-def]
    # A filter G gives a complex map. Its real part is that of (G(k) + G(-k)*) / 2, its imaginary one that of
    # (G(k) - G(-k)*) / 2i: m.. are the frequencies that the mirror image of a coefficient has in the shifted grid.
    for z in numba.prange(kz.size):
        for y in range(ky.size):
            for x in range(kx.size):
                here = _gain(np.sqrt(kz[z] * kz[z] + ky[y] * ky[y] + kx[x] * kx[x]), centre, width)
                there = _gain(np.sqrt(mz[z] * mz[z] + my[y] * my[y] + mx[x] * mx[x]), centre, width)
                re, im = here + there, 0.0
                if part >= 0:
                    a, b = _spiral(kz[z] + ky[y], kx[x])
                    c, d = _spiral(mz[z] + my[y], mx[x])
                    if part == 0:
                        re, im = here * a + there * c, here * b - there * d
                    else:
                        re, im = here * b + there * d, there * c - here * a
                factor = complex(np.float32(0.5 * scale * re), np.float32(0.5 * scale * im))
                out[z, y, x] = spectrum[z, y, x] * factor


@numba.njit(inline="always")  # type: ignore[misc]
def _spiral(u, v):  # type: ignore[no-untyped-def]
    length = np.sqrt(u * u + v * v)
    if length == 0.0:
        return 0.0, 0.0
    return u / length, v / length
