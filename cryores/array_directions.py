"""The array forms of the sums over directions of Fourier space.

`cryores.array_backend` says what an array form is, `cryores.resolution._directional` what these compute.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np

from cryores.array_backend import Host, single, slabs
from cryores.backend import Array, Backend
from cryores.fourier import Float64
from cryores.volume import FloatArray


def cone_sums(
    backend: Backend,
    unit: Array,
    products: Array,
    start: Host,
    axes: FloatArray,
    rim: float,
    steepness: float,
) -> Float64:
    """Return the sums of the weighted products, the weights and their squares, shape (axes, shells, 5)."""
    xp, found = backend.xp, np.zeros((axes.shape[0], start.size - 1, 5))
    for shell, (first, last) in _filled(start):
        powers = xp.asarray(products[first:last, :], dtype=xp.float64)
        for some in slabs((axes.shape[0], last - first)):
            cosine = _cosines(xp, backend.asarray(axes[some]), unit[first:last, :])
            away = xp.asarray(1.0 - cosine, dtype=xp.float64)
            weight = xp.exp(-steepness * away * away) * xp.asarray(cosine >= float(rim), dtype=xp.float64)
            found[some, shell, :3] = backend.to_host(xp.matmul(weight, powers))
            found[some, shell, 3] = backend.to_host(xp.sum(weight, axis=1))
            found[some, shell, 4] = backend.to_host(xp.sum(weight * weight, axis=1))
    return found


def _cosines(xp: Any, axes: Array, unit: Array) -> Array:
    """Return |cos| of the angle of each axis to each direction: added as the loop adds, so that rims are the same."""
    (az, ay, ax), (z, y, x) = ([axes[:, i : i + 1] for i in range(3)], [unit[:, i][None, :] for i in range(3)])
    return xp.abs(z * az + y * ay + x * ax)


def _filled(start: Host) -> List[Tuple[int, Tuple[int, int]]]:
    """Return number, first and last coefficient of every shell that has any."""
    pairs = enumerate(zip(start[:-1].tolist(), start[1:].tolist()))
    return [(shell, pair) for shell, pair in pairs if pair[1] > pair[0]]


def pair_correlations(backend: Backend, unit: Array, products: Array, start: Host, rim: float, values: Array) -> None:
    """Fill ``values`` with the correlation of what lies in the cone about every coefficient of some shells."""
    xp = backend.xp
    for _, (first, last) in _filled(start):
        powers = xp.asarray(products[first:last, :], dtype=xp.float64)
        for some in slabs((last - first, last - first)):
            part = slice(first + some.start, first + some.stop)
            cosine = _cosines(xp, unit[part, :], unit[first:last, :])
            values[part] = _ratio(xp, xp.matmul(xp.asarray(cosine >= float(rim), dtype=xp.float64), powers).T, 0.0)


def harmonic_sums(backend: Backend, unit: Array, products: Array, chunks: Host, factors: Float64) -> Float64:
    """Return the sums over each chunk of the harmonics times the products, shape (chunks, harmonics, 3)."""
    xp, degree = backend.xp, factors.shape[0] - 1
    sums = np.zeros((len(chunks), (degree + 1) * (degree + 2) // 2, 3))
    for chunk, (first, last, _) in enumerate(chunks.tolist()):
        powers = xp.asarray(products[first:last, :], dtype=xp.float64)
        sums[chunk] = backend.to_host(xp.matmul(_harmonics(xp, unit[first:last, :], factors), powers))
    return sums


def harmonic_correlations(
    backend: Backend, unit: Array, moments: Float64, chunks: Host, factors: Float64, values: Array, faint: float
) -> None:
    """Fill ``values`` with the correlation in the cone about every coefficient, from the moments of its shell."""
    xp, mean = backend.xp, np.sqrt(1.0 / (4.0 * np.pi))
    for first, last, shell in chunks.tolist():
        of_shell = backend.asarray(np.ascontiguousarray(moments[shell].T))
        least = float(faint * mean * min(moments[shell, 0, 1], moments[shell, 0, 2]))
        values[first:last] = _ratio(xp, xp.matmul(of_shell, _harmonics(xp, unit[first:last, :], factors)), least)


def _ratio(xp: Any, sums: Array, least: float) -> Array:
    """Return the correlation of sums (3, n) as float32; 0 where there is no more power than ``least``."""
    enough = (sums[1, :] > least) & (sums[2, :] > least)
    one = xp.ones_like(sums[0, :])
    found = sums[0, :] / xp.sqrt(xp.where(enough, sums[1, :], one)) / xp.sqrt(xp.where(enough, sums[2, :], one))
    found = xp.where(found > 1.0, one, xp.where(found < -1.0, -one, found))
    return single(xp, xp.where(enough, found, 0 * one))


def _harmonics(xp: Any, unit: Array, factors: Float64) -> Array:
    """Return the harmonics of even degree of directions (n, 3), in the order of `cryores.resolution._directional`."""
    z, y, x = (xp.asarray(unit[:, axis], dtype=xp.float64) for axis in range(3))
    one = xp.ones_like(z)
    cosine, sine, sectoral, root = one, 0 * one, float(np.sqrt(1.0 / (4.0 * np.pi))), float(np.sqrt(2.0))
    rows: Dict[int, Array] = {}
    for m in range(factors.shape[0]):
        if m > 0:
            cosine, sine = cosine * x - sine * y, sine * x + cosine * y
            sectoral *= float(factors[m, m, 0])
        before, now = 0 * one, sectoral * one
        for degree in range(m, factors.shape[0]):
            if degree > m:
                a, b = factors[degree, m].tolist()
                before, now = now, a * (z * now - b * before)
            row = degree * (degree - 1) // 2
            if degree % 2 == 0 and m == 0:
                rows[row] = now
            elif degree % 2 == 0:
                rows[row + 2 * m - 1], rows[row + 2 * m] = root * now * cosine, root * now * sine
    return xp.stack([rows[row] for row in range(len(rows))])
