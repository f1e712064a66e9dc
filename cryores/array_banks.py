"""The array forms of the kernels of banks of filters: the local low-pass, LocSpiral and its kin, LocalDeblur.

`cryores.array_backend` says what an array form is.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from cryores.array_backend import Host, complex_of, interpolated, slabs, squared
from cryores.backend import Array, Backend
from cryores.volume import FloatArray

# --- the local low-pass -----------------------------------------------------------------------------------------------


def add_share(backend: Backend, total: Array, place: Array, node: float, filtered: Array, scale: float) -> None:
    """Add one map of a bank to ``total``, with the share that each voxel has of it."""
    xp = backend.xp
    for part in slabs(total.shape):
        distance = place[part, ...] - node
        share = 1.0 - xp.where(distance < 0, -distance, distance)
        share = xp.where(share > 0, share, 0 * share)
        total[part, ...] = total[part, ...] + share * float(scale) * filtered[part, ...]


# --- LocSpiral and its kin --------------------------------------------------------------------------------------------


def take_band(
    backend: Backend,
    spectrum: Array,
    out: Array,
    kz: Host,
    ky: Host,
    kx: Host,
    steps: float,
    table: FloatArray,
    end: float,
) -> None:
    """Fill ``out`` with the band of a spectrum that the table holds."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        radius = xp.sqrt(squared(backend, kz[part], ky, kx))
        out[part, ...] = spectrum[part, ...] * interpolated(xp, gains, radius * float(steps))


def take_odd_band(
    backend: Backend,
    spectrum: Array,
    out: Array,
    kz: Host,
    ky: Host,
    kx: Host,
    oz: Host,
    oy: Host,
    ox: Host,
    steps: float,
    table: FloatArray,
    end: float,
) -> None:
    """Fill ``out`` with the Riesz transform of `take_band` along the axis of which ``oz, oy, ox`` hold frequencies."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        radius = xp.sqrt(squared(backend, kz[part], ky, kx))
        along = backend.asarray(oz[part, None, None] + oy[None, :, None]) + backend.asarray(ox[None, None, :])
        gain = interpolated(xp, gains, radius * float(steps)) * along / (radius + 1e-30)
        out[part, ...] = spectrum[part, ...] * gain * -1j


def take_published(
    backend: Backend,
    spectrum: Array,
    out: Array,
    kz: Host,
    ky: Host,
    kx: Host,
    mz: Host,
    my: Host,
    mx: Host,
    steps: float,
    table: FloatArray,
    part: int,
) -> None:
    """Fill ``out`` with the even band (``part`` -1), or what gives the real or imaginary part (0, 1) of the spiral."""
    xp, gains = backend.xp, backend.asarray(table)
    for some in slabs(out.shape):
        here, there = (
            interpolated(xp, gains, xp.sqrt(squared(backend, z[some], y, x)) * float(steps))
            for z, y, x in ((kz, ky, kx), (mz, my, mx))
        )
        factor = complex_of(xp, here + there, 0 * here)
        if part >= 0:
            (a, b), (c, d) = (_spiral(backend, z[some], y, x) for z, y, x in ((kz, ky, kx), (mz, my, mx)))
            real, imaginary = (here * a + there * c, here * b - there * d)
            if part == 1:
                real, imaginary = (here * b + there * d, there * c - here * a)
            factor = complex_of(xp, real, imaginary)
        out[some, ...] = spectrum[some, ...] * (0.5 * factor)


def _spiral(backend: Backend, kz: Host, ky: Host, kx: Host) -> Tuple[Array, Array]:
    """Return cosine and sine of the angle of (kz + ky, kx), 0 where there is none."""
    along, across = (kz[:, None] + ky)[:, :, None], kx[None, None, :]
    length = backend.xp.sqrt(backend.asarray(along * along) + backend.asarray(across * across)) + 1e-300
    return backend.asarray(along) / length, backend.asarray(across) / length


def add_square(backend: Backend, total: Array, first: Optional[Array], part: Array, last: bool) -> None:
    """Add the square of ``part`` to that of ``first``, or to ``total`` without it; take the root at the last part."""
    for some in slabs(total.shape):
        other = part[some, ...]
        before = total[some, ...] if first is None else first[some, ...] * first[some, ...]
        squares = other * other + before
        total[some, ...] = backend.xp.sqrt(squares) if last else squares


def add_phase(backend: Backend, total: Array, density: Array, amplitude: Array, noise: float) -> None:
    """Add c / (m + Q) where the amplitude m is at least Q."""
    for part in slabs(total.shape):
        m = amplitude[part, ...]
        weight = _over_noise(backend.xp, m, float(noise), (m > 0) & (m >= float(noise)))
        total[part, ...] = total[part, ...] + density[part, ...] * weight


def add_levelled(
    backend: Backend,
    total: Array,
    density: Array,
    amplitude: Array,
    noise: float,
    reference: Optional[Array],
    significant: bool,
) -> None:
    """Add the density c, or cos(phase) times ``reference``, weighted by m / (m + Q)."""
    for part in slabs(total.shape):
        m = amplitude[part, ...]
        counted = (m > 0) & (m >= float(noise)) if significant else m > 0
        height = m if reference is None else reference[part, ...]
        weight = _over_noise(backend.xp, m, float(noise), counted)
        total[part, ...] = total[part, ...] + density[part, ...] * height * weight


def _over_noise(xp: Any, m: Array, noise: float, counted: Array) -> Array:
    """Return 1 / (m + Q) where voxels count, 0 elsewhere."""
    return xp.asarray(counted, dtype=xp.float32) / xp.where(counted, m + noise, 1 + 0 * m)


# --- LocalDeblur ------------------------------------------------------------------------------------------------------


def add_weighted(
    backend: Backend,
    total: Array,
    resolution: Array,
    finest: float,
    step: float,
    limit: float,
    weights: FloatArray,
    filtered: Array,
    scale: float,
) -> None:
    """Add a filtered map, with the weight that each voxel's resolution has, where it has one."""
    xp, table = backend.xp, backend.asarray(weights)
    for part in slabs(total.shape):
        d = xp.asarray(resolution[part, ...], dtype=xp.float64)
        known = d == d
        least = xp.full_like(d, max(float(limit), float(finest)))
        place = (xp.where(known & (d > least), d, least) - finest) / step
        weight = xp.where(known, interpolated(xp, table, place), xp.zeros_like(total[part, ...]))
        total[part, ...] = total[part, ...] + weight * float(scale) * filtered[part, ...]


def step_on(backend: Backend, current: Array, change: Array, step: float, floor: float) -> None:
    """Add ``step`` times the change to a map in place, and cut it off below ``floor``."""
    for part in slabs(current.shape):
        new = current[part, ...] + change[part, ...] * float(step)
        current[part, ...] = backend.xp.where(new < float(floor), float(floor) + 0 * new, new)


def norm(backend: Backend, data: Array) -> float:
    """Return the root of the sum of squares."""
    xp, total = backend.xp, 0.0
    for part in slabs(data.shape):
        values = xp.asarray(data[part, ...], dtype=xp.float64)
        total += float(xp.sum(values * values))
    return float(np.sqrt(total))
