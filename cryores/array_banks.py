"""The array forms of the kernels of banks of filters: blocres, locres, local low-pass, LocSpiral, LocalDeblur and kin.

`cryores.array_backend` says what an array form is.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from cryores.array_backend import Host, complex_of, fetched_sum, interpolated, single, slabs, squared, summed_axes
from cryores.backend import Array, Backend
from cryores.fourier import Float64, spectrum_shape
from cryores.volume import FloatArray, IntTriple

# --- the local low-pass -----------------------------------------------------------------------------------------------


def add_share(backend: Backend, total: Array, place: Array, node: float, filtered: Array, scale: float) -> None:
    """Add one map of a bank to ``total``, with the share that each voxel has of it."""
    xp = backend.xp
    for part in slabs(total.shape):
        distance = place[part, ...] - node
        share = 1.0 - xp.where(distance < 0, -distance, distance)
        share = xp.where(share > 0, share, 0 * share)
        total[part, ...] = total[part, ...] + share * float(scale) * filtered[part, ...]


# --- blocres, shell by shell, and in concentric shells ----------------------------------------------------------------


def take_shell(
    backend: Backend, spectrum: Array, table: FloatArray, per_step: float, sz: Host, sy: Host, sx: Host, out: Array
) -> None:
    """Fill ``out`` with the band of a spectrum that the table holds, 0 beyond its end."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        place = xp.sqrt(squared(backend, sz[part], sy, sx)) * float(per_step)
        held = place < float(table.size - 1)
        gain = interpolated(xp, gains, xp.where(held, place, 0 * place)) * xp.asarray(held, dtype=xp.float32)
        out[part, ...] = spectrum[part, ...] * gain


def products(backend: Backend, one: Array, two: Array, cross: Array) -> None:
    """Fill ``cross`` with the product of two maps, and these with their squares."""
    for part in slabs(one.shape):
        a, b = one[part, ...], two[part, ...]
        cross[part, ...] = a * b
        one[part, ...] = a * a
        two[part, ...] = b * b


def multiply_spectra(backend: Backend, spectrum: Array, other: Array) -> None:
    """Multiply a spectrum by another, in place."""
    for part in slabs(spectrum.shape):
        spectrum[part, ...] = spectrum[part, ...] * other[part, ...]


def follow_crossings(
    backend: Backend,
    cross: Array,
    power1: Array,
    power2: Array,
    flat: Array,
    before: Array,
    cutoffs: FloatArray,
    shell: int,
    final: int,
    last: bool,
    position: Array,
) -> None:
    """Set the shell at which the correlation of each voxel falls below each cutoff, where it does so now."""
    xp = backend.xp
    for part in slabs(flat.shape):
        places, earlier = flat[part], before[part]
        sums, one, two = (xp.take(xp.reshape(values, (-1,)), places) for values in (cross, power1, power2))
        scale = xp.sqrt(xp.where(one > 0, one, 0 * one)) * xp.sqrt(xp.where(two > 0, two, 0 * two))
        counted = scale > 1e-30
        value = xp.where(counted, sums / xp.where(counted, scale, 1 + 0 * scale), 0 * scale)
        for t, cutoff in enumerate(cutoffs.tolist()):
            found = position[part, t]
            falls = (earlier >= cutoff) & (cutoff > value)
            if not last:
                falls = falls & (found < 0)
            height = xp.where(falls, earlier - value, 1 + 0 * value)
            found = xp.where(falls, float(shell - 1) + (earlier - cutoff) / height, found)
            if shell == final:
                found = xp.where((found < 0) & (value > cutoff), float(final) + 0 * found, found)
            position[part, t] = found
        before[part] = value


def shell_mean(
    backend: Backend, data: Array, z: Host, y: Host, x: Host, radius: float, thickness: float, smooth: bool
) -> Float64:
    """Return the sums of the weights and of the weighted densities in a spherical shell, shape (1, 2)."""
    xp, sums = backend.xp, []
    for part in slabs(data.shape):
        weight = _shell_weight(backend, z[part], y, x, radius, thickness, smooth)
        sums.append(xp.stack([xp.sum(weight), xp.sum(weight * data[part, ...])]))
    return fetched_sum(backend, sums)


def cut_shell(
    backend: Backend,
    data: Array,
    mean: float,
    z: Host,
    y: Host,
    x: Host,
    radius: float,
    thickness: float,
    smooth: bool,
    out: Array,
) -> None:
    """Fill ``out`` with a map less ``mean``, in a spherical shell."""
    for part in slabs(data.shape):
        weight = _shell_weight(backend, z[part], y, x, radius, thickness, smooth)
        out[part, ...] = single(backend.xp, weight * (data[part, ...] - float(mean)))


def _shell_weight(backend: Backend, z: Host, y: Host, x: Host, radius: float, thickness: float, smooth: bool) -> Array:
    xp = backend.xp
    off = xp.abs(xp.sqrt(squared(backend, z, y, x)) - float(radius)) / float(thickness)
    inside = xp.asarray(off <= 0.5, dtype=xp.float64)
    return inside * xp.cos(float(np.pi) * off) ** 2 if smooth else inside


# --- locres -----------------------------------------------------------------------------------------------------------


def divide_radially(
    backend: Backend, spectrum: Array, sz: Host, sy: Host, sx: Host, amplitude: Float64, per_shell: float
) -> None:
    """Divide a spectrum in place by an amplitude that is known at every shell, from the first one on."""
    xp, table, last = backend.xp, backend.asarray(amplitude), float(amplitude.size - 1) - 1e-6
    for part in slabs(spectrum.shape):
        place = xp.sqrt(squared(backend, sz[part], sy, sx)) * float(per_shell)
        place = xp.where(place < 1.0, 1.0 + 0 * place, xp.where(place > last, last + 0 * place, place))
        spectrum[part, ...] = spectrum[part, ...] / single(xp, interpolated(xp, table, place))


def cropped(backend: Backend, spectrum: Array, shape: IntTriple) -> Array:
    """Return the spectrum of ``shape`` voxels over the same box; ``spectrum`` itself if it has as many."""
    if tuple(spectrum.shape) == spectrum_shape(shape):
        return spectrum
    kept = spectrum[:, :, : shape[2] // 2 + 1]
    for axis in (0, 1):
        rows = np.arange(shape[axis])
        rows[(shape[axis] + 1) // 2 :] += spectrum.shape[axis] - shape[axis]
        kept = backend.xp.take(kept, backend.asarray(rows), axis=axis)
    return kept


def gaussian_band(
    backend: Backend, spectrum: Array, uz: Host, uy: Host, ux: Host, frequency: float, width: float, reach: float
) -> Array:
    """Return the first columns of a spectrum, filtered to a Gaussian band that ends after ``reach`` widths."""
    xp, out = backend.xp, backend.zeros((uz.size, uy.size, ux.size), np.complex64)
    for part in slabs(out.shape):
        off = (xp.sqrt(squared(backend, uz[part], uy, ux)) - float(frequency)) / float(width)
        gain = xp.exp(-0.5 * off * off) * xp.asarray(xp.abs(off) <= float(reach), dtype=xp.float64)
        out[part, ...] = spectrum[part, :, : ux.size] * single(xp, gain)
    return out


def product_and_power(backend: Backend, fields: Array, inside: Array) -> None:
    """Make of two maps, inside a mask, their product and their mean power."""
    for part in slabs(inside.shape):
        a, b, m = fields[0, part, ...], fields[1, part, ...], inside[part, ...]
        product, power = m * a * b, 0.5 * m * (a * a + b * b)
        fields[0, part, ...] = product
        fields[1, part, ...] = power


def weighted_rows(backend: Backend, rows: Array, weights: FloatArray, threads: int) -> Array:
    """Return ``weights @ rows.T``."""
    return backend.xp.matmul(backend.asarray(weights), rows.T)


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
        along = summed_axes(backend, oz[part], oy, ox)
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
    xp, parts = backend.xp, []
    for part in slabs(data.shape):
        values = xp.asarray(data[part, ...], dtype=xp.float64)
        parts.append(xp.sum(values * values))
    return float(np.sqrt(float(xp.sum(xp.stack(parts)))))
