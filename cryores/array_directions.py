"""The array forms of the sums over directions of Fourier space, and of the amplitudes along directions.

`cryores.array_backend` says what an array form is, `cryores.resolution._directional` what the sums are, and
`cryores.resolution._directional_amplitude` what the amplitudes are.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from cryores.array_backend import Host, fetched_sum, single, slabs, squared, summed_axes
from cryores.backend import Array, Backend, backend_of
from cryores.fourier import Float64, frequency_axes, spectrum_shape
from cryores.monogenic import Edges
from cryores.volume import FloatArray, Grid, IntTriple


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


# --- amplitudes along directions --------------------------------------------------------------------------------------

NYQUIST = 0.5
"""Digital frequency up to which a cone reaches."""

NOWHERE = -9.0
"""The frequency of what lies in the block of a cone, but not in the cone: no filter passes it."""


class BlockCone(NamedTuple):
    """What `cryores.resolution._directional_amplitude.Cone` is on the host: a block of the spectrum that holds it."""

    value: Array
    frequency: Array

    def strength(self, band: Edges) -> float:
        """Return the root mean square, over the box, of the amplitude of what ``band`` passes, times its voxels."""
        backend, (gain, _) = backend_of(self.value), self._passed(band)
        xp, parts = backend.xp, []
        for part in slabs(gain.shape):
            size = xp.asarray(gain[part, ...] * xp.abs(self.value[part, ...]), dtype=xp.float64)
            parts.append(xp.sum(size * size))
        return 2.0 * float(np.sqrt(float(xp.sum(xp.stack(parts)))))

    def block(self, band: Edges, scale: float) -> Optional[Array]:
        """Return the smallest block with all that ``band`` passes, filtered and times ``scale``; None without any."""
        backend, (gain, passed) = backend_of(self.value), self._passed(band)
        along = [backend.to_host(backend.xp.any(passed, axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        if not along[0].any():
            return None
        ends = [np.flatnonzero(held)[[0, -1]].tolist() for held in along]
        z, y, x = (slice(first, last + 1) for first, last in ends)
        return self.value[z, y, x] * (gain[z, y, x] * float(scale))

    def _passed(self, band: Edges) -> Tuple[Array, Array]:
        """Return the gain of every coefficient, float32, and which of them the band reaches."""
        backend, shape = backend_of(self.value), tuple(self.value.shape)
        xp, gain, passed = backend.xp, backend.zeros(shape, np.float32), backend.zeros(shape, np.bool_)
        for part in slabs(shape):
            u = xp.asarray(self.frequency[part, ...], dtype=xp.float64)
            reached = (u > float(band.rise[0])) & (u <= float(band.fall[1]))
            response = _raised_cosine(xp, u, *band.rise) * _raised_cosine(xp, -u, -band.fall[1], -band.fall[0])
            gain[part, ...] = single(xp, response) * single(xp, reached)
            passed[part, ...] = reached
        return gain, passed


def _raised_cosine(xp: Any, u: Array, start: float, end: float) -> Array:
    if not np.isfinite(start) or end <= start:
        return xp.asarray(u >= float(start), dtype=xp.float64)
    share = (u - float(start)) / float(end - start)
    share = xp.where(share < 0, 0 * u, xp.where(share > 1, 1 + 0 * u, share))
    return 0.5 - 0.5 * xp.cos(float(np.pi) * share)


def cone_of(backend: Backend, spectrum: Array, axis: Float64, grid: Grid, half_angle: float) -> BlockCone:
    """Return the coefficients within an angle of an axis, on its side, of the map that starts at its voxel n // 2."""
    xp = backend.xp
    uz, uy, ux = (f * grid.spacing for f in frequency_axes(grid.shape, grid.voxel_size))
    z, y, x = (_reached(n, v, grid.spacing, c, half_angle) for n, v, c in zip(grid.shape, grid.voxel_size, axis))
    (uz, uy, ux), least = (uz[z], uy[y], np.sign(x) * ux[np.abs(x)]), float(np.cos(half_angle))
    turns = [np.exp(2j * np.pi * (k * (n // 2) % n) / n).astype(np.complex64) for k, n in zip((z, y, x), grid.shape)]
    value = _signed_rows(backend, spectrum, z, y, x)
    frequency = backend.zeros(tuple(value.shape), np.float32)
    for part in slabs(value.shape):
        u2 = squared(backend, uz[part], uy, ux)
        along = summed_axes(backend, uz[part] * axis[0], uy * axis[1], ux * axis[2])
        held = (along > 0) & (along * along >= least * least * u2) & (u2 > 0) & (u2 <= NYQUIST * NYQUIST)
        turn = backend.asarray(turns[0][part, None, None] * turns[1][None, :, None])
        moved = value[part, ...] * turn * backend.asarray(turns[2][None, None, :])
        value[part, ...] = xp.where(held, moved, 0 * moved)
        frequency[part, ...] = single(xp, xp.where(held, xp.sqrt(u2), NOWHERE + 0 * u2))
    return BlockCone(value, frequency)


def _reached(n: int, voxel: float, spacing: float, cosine: float, half_angle: float) -> npt.NDArray[np.int64]:
    """Return the indices along an axis that a cone reaches up to Nyquist, but for the plane that mirrors itself."""
    away = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    highest = max(0.0, float(np.cos(max(0.0, away - half_angle))))
    lowest = min(0.0, float(np.cos(min(np.pi, away + half_angle))))
    per_unit = 0.5 * n * voxel / spacing
    end = (n - 1) // 2
    return np.arange(max(-end, int(np.floor(lowest * per_unit))), min(end, int(np.ceil(highest * per_unit))) + 1)


def _signed_rows(
    backend: Backend,
    spectrum: Array,
    z: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
) -> Array:
    """Return the coefficients with these signed indices of the whole spectrum, of which ``spectrum`` is one half."""
    xp = backend.xp
    out = backend.zeros((len(z), len(y), len(x)), np.complex64)
    mirrored = int(np.searchsorted(x, 0))
    for side, columns in ((-1, slice(0, mirrored)), (1, slice(mirrored, len(x)))):
        if columns.stop == columns.start:
            continue
        rows = [backend.asarray(side * k % n) for k, n in zip((z, y), spectrum.shape)]
        # Columns first: there are the fewest of them, and slices take no copy.
        reach = np.abs(x[columns])
        part = spectrum[:, :, int(reach.min()) : int(reach.max()) + 1]
        part = xp.take(xp.take(part, rows[0], axis=0), rows[1], axis=1)
        out[:, :, columns] = part if side > 0 else xp.conj(xp.flip(part, axis=2))
    return out


def inverse(backend: Backend, block: Array, shape: IntTriple) -> Array:
    """Return the unnormalised inverse transform on ``shape`` of a spectrum that is 0 beyond ``block``."""
    return backend.xp.fft.ifftn(block, s=shape, axes=(0, 1, 2), norm="forward")


def tapered_modulus(
    backend: Backend, analytic: Array, z2: Float64, y2: Float64, x2: Float64, rim: float, fall: float
) -> Array:
    """Return the modulus, which falls to 0 at the rim."""
    xp, amplitude = backend.xp, backend.zeros(tuple(analytic.shape), np.float32)
    for part in slabs(analytic.shape):
        radius = xp.sqrt(summed_axes(backend, z2[part], y2, x2))
        share = _raised_cosine(xp, -radius, -float(rim), float(fall - rim))
        amplitude[part, ...] = xp.abs(analytic[part, ...]) * single(xp, share)
    return amplitude


def spectrum_within(backend: Backend, amplitude: Array, ends: Sequence[int]) -> Array:
    """Return the spectrum of ``amplitude`` over its voxels, its frequencies up to ``ends`` along z, y and x."""
    whole = backend.xp.fft.rfftn(amplitude, norm="forward")
    out = backend.zeros((2 * ends[0] + 1, 2 * ends[1] + 1, ends[2] + 1), np.complex64)
    for (z, far_z), (y, far_y) in _corners(ends, whole.shape):
        out[z, y, :] = whole[far_z, far_y, : ends[2] + 1]
    return out


def synthesis(backend: Backend, spectrum: Array, shape: IntTriple, lengths: Sequence[int]) -> Array:
    """Return the first voxels (``lengths`` along z, y, x) of the array of ``shape`` with this spectrum."""
    ends = [spectrum.shape[0] // 2, spectrum.shape[1] // 2]
    whole = backend.zeros(spectrum_shape(shape), np.complex64)
    for (z, far_z), (y, far_y) in _corners(ends, shape):
        whole[far_z, far_y, : spectrum.shape[2]] = spectrum[z, y, :]
    values = backend.xp.fft.irfftn(whole, s=shape, axes=(0, 1, 2), norm="forward")
    return values[: lengths[0], : lengths[1], : lengths[2]]


def _corners(ends: Sequence[int], shape: Sequence[int]) -> List[Tuple[Tuple[slice, slice], Tuple[slice, slice]]]:
    """Return where the rows of the lowest frequencies along z and y lie, without and with the others."""
    z, y = (
        [(slice(0, end + 1), slice(0, end + 1)), (slice(end + 1, 2 * end + 1), slice(n - end, n))]
        for end, n in zip(ends[:2], shape[:2])
    )
    return [(along_z, along_y) for along_z in z for along_y in y]


def low_pass(backend: Backend, spectrum: Array, uz: Host, uy: Host, ux: Host, start: float, end: float) -> None:
    """Multiply a spectrum by a low-pass with a raised-cosine edge, in place."""
    xp = backend.xp
    for part in slabs(spectrum.shape):
        u = xp.sqrt(squared(backend, uz[part], uy, ux))
        spectrum[part, ...] = spectrum[part, ...] * single(xp, _raised_cosine(xp, -u, -float(end), -float(start)))


def noise_values(
    backend: Backend,
    amplitude: Array,
    region: Array,
    iz: Host,
    iy: Host,
    ix: Host,
    z: Host,
    y: Host,
    x: Host,
    axis: Float64,
    least_cosine: float,
) -> Array:
    """Return the amplitudes where the nearest voxels are of the region, and not too far from the axis."""
    xp, chosen = backend.xp, backend.zeros(tuple(amplitude.shape), np.bool_)
    for part in slabs(amplitude.shape):
        inside = region
        for a, places in enumerate((iz[part], iy, ix)):
            inside = xp.take(inside, backend.asarray(places), axis=a)
        along = summed_axes(backend, z[part] * axis[0], y * axis[1], x * axis[2])
        near = along * along >= float(least_cosine) ** 2 * squared(backend, z[part], y, x)
        chosen[part, ...] = inside & near
    return amplitude[chosen]


def binned(backend: Backend, values: Array, scale: float, bins: int) -> npt.NDArray[np.int64]:
    """Return how many values, times ``scale``, lie in each bin of 1; the last one holds all that are larger."""
    xp = backend.xp
    place = values * float(scale)
    ordered = xp.sort(xp.asarray(xp.where(place < bins - 1, place, bins - 1 + 0 * place), dtype=xp.int32))
    starts = xp.searchsorted(ordered, backend.asarray(np.arange(bins + 1, dtype=np.int32)))
    counts: npt.NDArray[np.int64] = np.diff(backend.to_host(starts))
    return counts


def ranked(backend: Backend, values: Array, share: float) -> float:
    """Return the value that a share of them lies below."""
    count = values.shape[0]
    return float(backend.xp.sort(values)[min(int(count * share), count - 1)])


def test_along(
    backend: Backend, state: Array, level: Array, amplitude: Array, voxels: Array, threshold: float, index: int
) -> Tuple[int, float]:
    """Test every voxel that is not finished; return how many finished now, and the sum of the tested amplitudes."""
    xp, sums = backend.xp, []
    for part in slabs(state.shape):
        before, value = state[part], xp.take(amplitude, voxels[part])
        tested = before != 0
        passed = tested & (value > float(threshold))
        failed = (before == 1) & ~passed
        done = xp.asarray((before == 2) & ~passed, dtype=xp.float64)
        counted = xp.asarray(value, dtype=xp.float64) * xp.asarray(tested, dtype=xp.float64)
        sums.append(xp.stack([xp.sum(done), xp.sum(counted)]))
        # After all that looks at what was before, of which ``before`` is a view.
        state[part] = xp.asarray(passed, dtype=xp.uint8) + 2 * xp.asarray(failed, dtype=xp.uint8)
        level[part] = xp.where(passed, index + 0 * level[part], level[part])
    finished, total = fetched_sum(backend, sums)[0].tolist()
    return int(finished), total
