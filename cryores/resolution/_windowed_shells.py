"""FSC around every voxel at once: band-pass the whole map to a shell, then average products over the window.

A box is first windowed and then split into shells; here the order is turned round. Both give the same expected sums
if the band-pass of shell i is H_i with |H_i|^2 = T_i convolved with |w^|^2: the shell's triangle T_i, blurred by the
spectrum of the window. H_i is radial to good approximation, and tabulated.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import numba
import numpy as np
import scipy.fft

from cryores.backend import Array, Backend, kernel
from cryores.execution import Execution
from cryores.fourier import frequency_axes, rfft
from cryores.masks import block_around
from cryores.resolution._boxed_fsc import Shells, without_mean
from cryores.volume import BoolArray, FloatArray, IntTriple, Triple

TABLE_STEPS = 4
"""Points of a band's table per shell."""


def windowed_resolutions(
    half1: FloatArray,
    half2: FloatArray,
    wanted: BoolArray,
    window: FloatArray,
    shells: Shells,
    voxel_size: Triple,
    cutoffs: Tuple[float, ...],
    last: bool,
    execution: Execution,
) -> FloatArray:
    """Return the local resolution (Å) at each voxel for each cutoff, shape (voxels, cutoffs).

    Parameters are those of `cryores.resolution._boxed_fsc.boxed_resolutions`, with the halves as they are; ``wanted``
    holds the voxels, a boolean array of their shape.
    """
    shape = padded_shape(half1.shape, block_around(wanted), window.shape[0])
    margin = tuple(padded - n for padded, n in zip(shape, half1.shape))
    there = execution.backend
    spectra = [_spectrum(half, margin, there, execution.threads) for half in (half1, half2)]
    average = _window_spectrum(window, shape, there, execution.threads)
    tables = _band_tables(window, shells, execution.threads)
    axes = frequency_axes(shape, voxel_size)
    fft = there.in_place_fft(shape, execution.threads)
    one, two, cross = fft.first, fft.empty(), fft.empty()
    places = there.asarray(np.ravel_multi_index(np.nonzero(wanted), shape))
    before = there.asarray(np.ones(places.shape[0], dtype=np.float32))
    position = there.asarray(np.full((places.shape[0], len(cutoffs)), -1.0, dtype=np.float32))
    with execution.stage("comparing shells", shells.count - 1) as stage:
        for i in range(1, shells.count):
            for spectrum, room in zip(spectra, (one, two)):
                _take_shell(spectrum, tables[i], TABLE_STEPS / shells.width, *axes, fft.spectrum(room))
                fft.backward(room)
            _products(fft.real(one), fft.real(two), fft.real(cross))
            for room in (cross, one, two):
                _multiply_spectra(fft.forward(room), average)
                fft.backward(room)
            averaged = (fft.real(room) for room in (cross, one, two))
            limits = np.asarray(cutoffs, np.float32)
            _follow_crossings(*averaged, places, before, limits, i, shells.count - 1, last, position)
            stage.advance()
    with np.errstate(divide="ignore"):
        resolution = 1.0 / (np.maximum(there.to_host(position), 0.0) * np.float32(shells.width))
    return np.clip(resolution, shells.finest, shells.coarsest).astype(np.float32)


def _spectrum(half: FloatArray, margin: Tuple[int, ...], there: Backend, threads: int) -> Array:
    centred = without_mean(half)
    return rfft(there.asarray(np.pad(centred, [(0, m) for m in margin]) if any(margin) else centred), threads)


def padded_shape(shape: Sequence[int], block: Sequence[slice], box: int) -> IntTriple:
    """Return ``shape`` with zeros after each axis, so that no window reaches round the periodic box into signal.

    ``block`` holds the voxels that windows of ``box`` voxels are put around.
    """
    reach = box // 2 + 1
    lacking = (max(0, reach - part.start, reach - (n - part.stop)) for n, part in zip(shape, block))
    z, y, x = (scipy.fft.next_fast_len(n + more, real=True) if more else n for n, more in zip(shape, lacking))
    return z, y, x


def _window_spectrum(window: FloatArray, shape: Tuple[int, ...], there: Backend, threads: int) -> Array:
    """Return the transform that correlates with the squared window, normalised to 1 and centred on voxel n // 2."""
    n = window.shape[0]
    average = np.zeros(shape, dtype=np.float32)
    around_first = np.ix_(*[(np.arange(n) - n // 2) % edge for edge in shape])
    average[around_first] = window**2 / np.sum(window.astype(np.float64) ** 2)
    return there.xp.conj(rfft(there.asarray(average), threads))


def _band_tables(window: FloatArray, shells: Shells, threads: int) -> FloatArray:
    """Return the gains H_i at multiples of a quarter shell, shape (shells, steps)."""
    n, p = window.shape[0], shells.padded
    m = max(TABLE_STEPS // 2 * p, 2 * n)
    embedded = np.zeros((m, m, m), dtype=np.float32)
    embedded[:n, :n, :n] = window
    power = np.abs(scipy.fft.rfftn(embedded, workers=threads)) ** 2
    autocorrelation = scipy.fft.irfftn(power / power[0, 0, 0], s=(m, m, m), workers=threads)
    autocorrelation /= autocorrelation[0, 0, 0]
    k = np.fft.fftfreq(m, 1.0 / m)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(m // 2 + 1) ** 2) * (p / m)
    steps = int(np.ceil(np.sqrt(3) * p / 2 * TABLE_STEPS)) + 2
    place = np.clip(np.rint(radius * TABLE_STEPS).astype(int), 0, steps - 1).ravel()
    members = np.bincount(place, minlength=steps)
    known = np.nonzero(members)[0]
    tables = np.zeros((shells.count, steps), dtype=np.float32)
    for i in range(1, shells.count):
        triangle = np.maximum(0.0, 1.0 - np.abs(radius - i)).astype(np.float32)
        blurred = scipy.fft.rfftn(
            scipy.fft.irfftn(triangle, s=(m, m, m), workers=threads) * autocorrelation, workers=threads
        ).real
        mean = np.bincount(place, blurred.ravel(), minlength=steps)[known] / members[known]
        tables[i] = np.sqrt(np.maximum(np.interp(np.arange(steps), known, mean), 0.0))
    return tables


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_shell(spectrum, table, per_step, sz, sy, sx, out):  # type: ignore[no-untyped-def]
    for z in numba.prange(sz.size):
        for y in range(sy.size):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            for x in range(sx.size):
                place = np.sqrt(s2_zy + sx[x] * sx[x]) * per_step
                i = int(place)
                if i + 1 < table.size:
                    f = np.float32(place - i)
                    out[z, y, x] = spectrum[z, y, x] * (table[i] * (np.float32(1) - f) + table[i + 1] * f)
                else:
                    out[z, y, x] = 0


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _products(one, two, cross):  # type: ignore[no-untyped-def]
    for z in numba.prange(one.shape[0]):
        for y in range(one.shape[1]):
            for x in range(one.shape[2]):
                a, b = one[z, y, x], two[z, y, x]
                cross[z, y, x] = a * b
                one[z, y, x] = a * a
                two[z, y, x] = b * b


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _multiply_spectra(spectrum, other):  # type: ignore[no-untyped-def]
    for z in numba.prange(spectrum.shape[0]):
        for y in range(spectrum.shape[1]):
            for x in range(spectrum.shape[2]):
                spectrum[z, y, x] *= other[z, y, x]


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _follow_crossings(cross, power1, power2, flat, before, cutoffs, shell, final, last, position):  # type: ignore[no-untyped-def]
    # `position` is in shells; a voxel is set at a descent below the cutoff, or at the end if it never went below.
    for v in numba.prange(flat.size):
        zy, x = divmod(flat[v], cross.shape[2])
        z, y = divmod(zy, cross.shape[1])
        # After the smoothing by FFT an empty region can be a rounding error below zero.
        scale = np.sqrt(max(power1[z, y, x], np.float32(0))) * np.sqrt(max(power2[z, y, x], np.float32(0)))
        value = cross[z, y, x] / scale if scale > 1e-30 else np.float32(0)
        for t in range(cutoffs.size):
            c = cutoffs[t]
            if before[v] >= c > value and (last or position[v, t] < 0):
                position[v, t] = shell - 1 + (before[v] - c) / (before[v] - value)
            if shell == final and position[v, t] < 0 and value > c:
                position[v, t] = final
        before[v] = value
