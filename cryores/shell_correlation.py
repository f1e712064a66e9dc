"""Arithmetic on Fourier shells: FSC and its thresholds, crossings, SSNR, phase residual, phase randomisation.

Everything here starts from spectra (complex64 or complex128) or from the sums of `cryores.fourier.shell_sums`, so it
serves the global FSC and every local or directional one.
"""

from __future__ import annotations

from typing import Any, Optional

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import kernel
from cryores.errors import UsageError
from cryores.fourier import (
    HALF_SHELL,
    Complex,
    Float64,
    ShellSums,
    frequency_axes,
    hermitian_weights,
    irfft,
    rfft,
    shell_frequencies,
    shell_sums,
    shell_width,
)
from cryores.masks import SOFT_EDGE, softened, solvent_level
from cryores.volume import FloatArray, Grid, HalfMaps, Volume

CRITERIA = ("0.143", "0.5", "half-bit", "1-bit", "3-sigma")
"""The thresholds that `threshold_curve` knows by name; any other number is a constant threshold."""

CROSSINGS = ("first", "last", "shell")
"""Rules of `crossing_frequency`."""

CORRECTION_MARGIN = 2
"""Shells after the first randomised one in which the masked curve is kept: there both phases still mix."""

FEWEST_COEFFICIENTS = 10.0
"""Thresholds that depend on the number of coefficients are taken at no fewer: with one or two they demand FSC = 1."""

LARGEST_RANDOMISED = 0.999
"""The randomised FSC is held below this in the correction, which divides by one minus it."""


# --- curves -------------------------------------------------------------------------------------------------------


def fsc_curve(sums: ShellSums) -> Float64:
    """Return the Fourier shell correlation of every shell, in [-1, 1]; 0 where a shell has no power.

    Source: Harauz & van Heel, Optik 73, 146 (1986).
    """
    # The product of two roots: the product of the powers underflows for maps of tiny scale.
    scale = np.sqrt(sums.power1) * np.sqrt(sums.power2)
    curve: Float64 = np.divide(sums.cross, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.clip(curve, -1.0, 1.0)


def independent_coefficients(count: Float64, asymmetric_units: int = 1) -> Float64:
    """Return the number of independent coefficients of each shell, at least 1.

    Parameters
    ----------
    count : ndarray
        Coefficients of the full spectrum in each shell (`ShellSums.count`); mirror pairs hold one value.
    asymmetric_units : int
        Copies that an imposed symmetry makes of every coefficient.
    """
    independent: Float64 = np.maximum(count / (2.0 * asymmetric_units), 1.0)
    return independent


def asymmetric_units(symmetry: str) -> int:
    """Return the order of a point group: ``C<n>`` n, ``D<n>`` 2n, ``T`` 12, ``O`` 24, ``I`` 60 (``I1``.. too).

    Raises
    ------
    UsageError
        ``E_SYMMETRY`` for anything else.
    """
    group, fold = symmetry[:1].upper(), symmetry[1:]
    polyhedral = {"T": 12, "O": 24, "I": 60}
    if group in polyhedral and (not fold or fold.isdigit()):
        return polyhedral[group]
    if group in ("C", "D") and fold.isdigit() and int(fold) > 0:
        return int(fold) * (2 if group == "D" else 1)
    raise UsageError("E_SYMMETRY", f"there is no point group {symmetry!r}", "write C1, C4, D2, T, O or I")


def ssnr_curve(fsc: Float64) -> Float64:
    """Return the spectral signal-to-noise ratio of the full map, 2 FSC / (1 - FSC); 0 where FSC <= 0."""
    positive = np.clip(fsc, 0.0, 1.0 - 1e-9)
    return 2.0 * positive / (1.0 - positive)


def reference_correlation(fsc: Float64) -> Float64:
    """Return the correlation of the full map with the truth, sqrt(2 FSC / (1 + FSC)); 0 where FSC <= 0.

    Source: Rosenthal & Henderson, J. Mol. Biol. 333, 721 (2003).
    """
    positive = np.clip(fsc, 0.0, 1.0)
    return np.sqrt(2.0 * positive / (1.0 + positive))


def solvent_corrected(fsc: Float64, particle_fraction: float) -> Float64:
    """Return the FSC of the particle alone, from unmasked maps in which it fills a share of the box.

    f FSC / (1 + (f - 1) FSC) with f = 0.476 / ``particle_fraction``. Source: Grant et al., eLife 7, e35383 (2018).
    """
    f = 0.476 / particle_fraction
    return f * fsc / (1.0 + (f - 1.0) * fsc)


def corrected_curve(masked: Float64, randomised: Float64, first_randomised: int) -> Float64:
    """Return the FSC of masked maps without the correlation that the mask itself brings in.

    (FSC_masked - FSC_randomised) / (1 - FSC_randomised) from two shells after ``first_randomised`` on, the masked
    curve before. Source: Chen et al., Ultramicroscopy 135, 24 (2013).

    Parameters
    ----------
    masked, randomised : ndarray of float64, shape (shells,)
        FSC of the masked maps, and of the masked maps after `randomise_phases`.
    first_randomised : int
        First shell with random phases.
    """
    corrected = masked.copy()
    tail = slice(first_randomised + CORRECTION_MARGIN, None)
    by_mask = np.minimum(randomised[tail], LARGEST_RANDOMISED)
    corrected[tail] = (masked[tail] - by_mask) / (1.0 - by_mask)
    return corrected


# --- thresholds and crossings -------------------------------------------------------------------------------------


def bit_threshold(bits: float, independent: Float64) -> Float64:
    """Return the FSC of shells that hold ``bits`` bits of information a coefficient.

    Source: van Heel & Schatz, J. Struct. Biol. 151, 250 (2005), in half-map SNR S = (2^bits - 1) / 2.
    """
    snr = (2.0**bits - 1.0) / 2.0
    root, noise = np.sqrt(snr), 1.0 / np.sqrt(independent)
    threshold: Float64 = (snr + (2.0 * root + 1.0) * noise) / (1.0 + snr + 2.0 * root * noise)
    return threshold


def sigma_threshold(sigmas: float, independent: Float64) -> Float64:
    """Return ``sigmas`` times 1 / sqrt(n), bounded by 1 for a single sample: sigmas / (sqrt(n) + sigmas - 1).

    1 / sqrt(n) is the published convention; the FSC of noise itself varies by 1 / sqrt(2 n).
    """
    threshold: Float64 = sigmas / (np.sqrt(independent) + sigmas - 1.0)
    return threshold


def threshold_curve(criterion: str, independent: Float64) -> Float64:
    """Return the threshold of every shell.

    Parameters
    ----------
    criterion : str
        One of `CRITERIA`, or a number as text.
    independent : ndarray of float64
        Independent coefficients of each shell, see `independent_coefficients`; taken as `FEWEST_COEFFICIENTS` where
        there are fewer.

    Raises
    ------
    UsageError
        ``E_CRITERION`` if ``criterion`` is neither.
    """
    enough = np.maximum(independent, FEWEST_COEFFICIENTS)
    if criterion == "half-bit":
        return bit_threshold(0.5, enough)
    if criterion == "1-bit":
        return bit_threshold(1.0, enough)
    if criterion == "3-sigma":
        return sigma_threshold(3.0, enough)
    try:
        return np.full(len(independent), float(criterion))
    except ValueError as error:
        raise UsageError(
            "E_CRITERION", f"{criterion!r} is no FSC criterion", f"one of {', '.join(CRITERIA)}, or a number"
        ) from error


def fdr_threshold(curve: Float64, independent: Float64, rate: float) -> Float64:
    """Return the FSC that a shell has to reach so that, of the shells that do, a share of ``rate`` are but noise.

    Parameters
    ----------
    curve : ndarray of float64, shape (shells,)
        FSC, shell 0 first; shell 0 is not tested.
    independent : ndarray of float64, shape (shells,)
        Independent coefficients of each shell; taken as `FEWEST_COEFFICIENTS` where there are fewer.
    rate : float
        False discovery rate, whatever the dependence of the shells.

    Notes
    -----
    The FSC r of two independent noises over n coefficients, 2 n real numbers, makes r sqrt((2 n - 1) / (1 - r^2)) a
    Student variable of 2 n - 1 degrees of freedom: its tail is the limit of infinitely many permutations. Sources:
    Beckers & Sachse, J. Struct. Biol. 212, 107579 (2020); Benjamini & Yekutieli, Ann. Stat. 29, 1165 (2001).
    """
    from scipy.special import stdtr, stdtrit

    freedom = 2.0 * np.maximum(independent, FEWEST_COEFFICIENTS) - 1.0
    student = curve * np.sqrt(freedom / np.maximum(1.0 - curve**2, 1e-12))
    p_values = np.sort(stdtr(freedom, -student)[1:])
    ranks = np.arange(1, p_values.size + 1)
    allowed = rate * ranks / (ranks.size * np.sum(1.0 / ranks))
    passing = np.flatnonzero(p_values <= allowed)
    least = -stdtrit(freedom, allowed[passing[-1] if passing.size else 0])
    threshold: Float64 = least / np.sqrt(freedom + least**2)
    return threshold


def crossing_frequency(frequency: Float64, curve: Float64, threshold: Any, crossing: str = "first") -> Optional[float]:
    """Return the frequency (1/Å) up to which a curve stays above its threshold.

    Shell 0, which holds the mean density, is not looked at.

    Parameters
    ----------
    frequency, curve : ndarray of float64, shape (shells,)
        Shell centres in 1/Å and the values there; shell 0 first.
    threshold : float or ndarray of shape (shells,)
        The curve must not fall below it.
    crossing : str
        ``first``: where the straight line to the first value below the threshold meets it · ``last``: the same
        for the last descent below it (a curve that ends above holds to the end) · ``shell``: the last shell before
        the first value below, as RELION reports.

    Returns
    -------
    float or None
        The last frequency when the curve stays above; None when it is below from shell 1 on.

    Raises
    ------
    UsageError
        ``E_CROSSING`` for an unknown rule.
    """
    if crossing not in CROSSINGS:
        raise UsageError("E_CROSSING", f"there is no crossing rule {crossing!r}", f"one of {', '.join(CROSSINGS)}")
    excess = np.asarray(curve - threshold)
    below = excess < 0
    below[0] = False
    if crossing == "last":
        descents = np.flatnonzero(below[2:] & ~below[1:-1]) + 2
        if not below[-1]:
            return float(frequency[-1])
        if not descents.size:
            return None
        after = int(descents[-1])
    else:
        if not below.any():
            return float(frequency[-1])
        after = int(np.argmax(below))
        if after == 1:
            return None
    before = after - 1
    if crossing == "shell":
        return float(frequency[before])
    share = excess[before] / (excess[before] - excess[after])
    return float(frequency[before] + share * (frequency[after] - frequency[before]))


def crossing_resolution(frequency: Float64, curve: Float64, threshold: Any, crossing: str = "first") -> Optional[float]:
    """Return `crossing_frequency` as a resolution in Å, or None."""
    found = crossing_frequency(frequency, curve, threshold, crossing)
    return 1.0 / found if found else None


SHAPE = 10.0
"""Å: coarser shells show the shape of the molecule, which some filters take out."""


def crossing_past_shape(frequency: Float64, curve: Float64, threshold: float) -> Optional[float]:
    """Return where a curve first falls below ``threshold`` (Å), or None.

    Shells coarser than `SHAPE` before the first one that is above are passed over: high-passed maps, and those whose
    local amplitudes were levelled, lack them.
    """
    above = np.flatnonzero(curve[1:] >= threshold) + 1
    if not above.size or frequency[above[0] - 1] > 1.0 / SHAPE:
        return None
    return crossing_resolution(frequency, np.where(np.arange(len(curve)) < above[0], 1.0, curve), threshold)


def stays_above(curve: Float64, threshold: Any) -> bool:
    """Tell whether a curve never falls below its threshold after shell 0: its resolution is then "at least Nyquist"."""
    return bool(np.all((curve - threshold)[1:] >= 0))


def uncorrected_resolution(halves: HalfMaps, mask: Optional[Volume] = None, threads: int = 1) -> Optional[float]:
    """Return where the FSC of two half maps, multiplied by ``mask`` if there is one, first falls below 0.143 (Å).

    A hard mask is given a soft edge, and the maps lose their mean outside of it. None when the curve is below from the
    first shell on. What the mask adds to the curve stays in it, as a method that chooses a window or a band can afford;
    the global resolution of a report is that of `cryores.resolution.fsc`, without it.
    """
    maps = [halves.half1.data, halves.half2.data]
    if mask is not None:
        weight = softened(mask, SOFT_EDGE * halves.grid.spacing).data
        maps = [(data - np.float32(solvent_level(data, weight))) * weight for data in maps]
    spectra = [rfft(data, threads) for data in maps]
    sums = shell_sums(spectra[0], spectra[1], halves.grid)
    return crossing_resolution(sums.frequency, fsc_curve(sums), 0.143)


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Return the correlation coefficient of two arrays in double precision, without copies; 0 if one is constant."""
    x, y = np.ravel(a), np.ravel(b)
    n, mean_x, mean_y = x.size, float(x.mean(dtype=np.float64)), float(y.mean(dtype=np.float64))
    cross, xx, yy = (float(np.einsum("i,i->", p, q, dtype=np.float64)) for p, q in ((x, y), (x, x), (y, y)))
    variance = (xx - n * mean_x**2) * (yy - n * mean_y**2)
    return (cross - n * mean_x * mean_y) / float(np.sqrt(variance)) if variance > 0 else 0.0


# --- phases -------------------------------------------------------------------------------------------------------


def phase_residual(
    spectrum1: npt.NDArray[np.complexfloating[Any, Any]],
    spectrum2: npt.NDArray[np.complexfloating[Any, Any]],
    grid: Grid,
) -> Float64:
    """Return the differential phase residual of every shell in degrees: 0 for equal phases, 104 for random ones.

    Root mean square phase difference weighted by |F1|^2 + |F2|^2; 0 where a shell has no power.
    Source: Frank et al., Science 214, 1353 (1981).
    """
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    weights = hermitian_weights(grid.shape[2])
    shells = len(shell_frequencies(grid))
    sums = _phase_sums(spectrum1, spectrum2, sz, sy, sx, weights, 1.0 / shell_width(grid), shells).sum(axis=0)
    mean = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(shells), where=sums[:, 1] > 0)
    residual: Float64 = np.degrees(np.sqrt(mean))
    return residual


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _phase_sums(f1, f2, sz, sy, sx, weights, per_width, shells):  # type: ignore[no-untyped-def]
    sums = np.zeros((sz.size, shells, 2))
    for z in numba.prange(sz.size):
        for y in range(sy.size):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            for x in range(sx.size):
                shell = int(np.sqrt(s2_zy + sx[x] * sx[x]) * per_width + HALF_SHELL)
                if shell < shells:
                    a, b = np.complex128(f1[z, y, x]), np.complex128(f2[z, y, x])
                    angle = np.arctan2(a.imag * b.real - a.real * b.imag, a.real * b.real + a.imag * b.imag)
                    power = weights[x] * (a.real * a.real + a.imag * a.imag + b.real * b.real + b.imag * b.imag)
                    sums[z, shell, 0] += power * angle * angle
                    sums[z, shell, 1] += power
    return sums


def randomise_phases(spectrum: Complex, grid: Grid, first_shell: int, rng: np.random.Generator) -> Complex:
    """Give every coefficient from a shell on a random phase, in place, keeping its amplitude; return the spectrum.

    Mirror pairs stay conjugate, so that the map stays real; coefficients that are their own mirror image keep or
    change their sign. Each phase is made from the coefficient's place and one number of ``rng``: whatever the threads.

    Parameters
    ----------
    spectrum : ndarray of complex64
        Real FFT of a map on ``grid``.
    grid : Grid
        Its grid.
    first_shell : int
        Coefficients at ``first_shell / longest edge`` (1/Å) and beyond are randomised, to the corners.
    rng : numpy.random.Generator
        Source of the phases: give each map its own draw.
    """
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    # A hair inside the shell's centre, lest rounding spare the coefficients that lie on it.
    start = first_shell * shell_width(grid) * (1.0 - 1e-6)
    key = rng.integers(0, 2**63, dtype=np.uint64)
    _take_phases(spectrum, grid.shape[2], key, sz, sy, sx, start * start)
    return spectrum


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _take_phases(spectrum, nx, key, sz, sy, sx, start2):  # type: ignore[no-untyped-def]
    nz, ny, columns = spectrum.shape
    for z in numba.prange(nz):
        for y in range(ny):
            s2_zy = sz[z] * sz[z] + sy[y] * sy[y]
            here, there = z * ny + y, (nz - z) % nz * ny + (ny - y) % ny
            for x in range(columns):
                if s2_zy + sx[x] * sx[x] < start2:
                    continue
                a = spectrum[z, y, x]
                length = np.sqrt(a.real * a.real + a.imag * a.imag)
                # In these planes both coefficients of a pair are stored.
                paired = x == 0 or 2 * x == nx
                place = min(here, there) if paired else here
                angle = _random_angle(key, np.uint64(place * columns + x))
                if paired and here == there:
                    spectrum[z, y, x] = complex(length if angle < 0.0 else -length, np.float32(0))
                else:
                    turn = -angle if paired and here > there else angle
                    spectrum[z, y, x] = complex(length * np.float32(np.cos(turn)), length * np.float32(np.sin(turn)))


@numba.njit(inline="always")  # type: ignore[misc]
def _random_angle(key, place):  # type: ignore[no-untyped-def]
    # Number ``place`` of Steele, Lea & Flood's SplitMix64 from the state ``key`` on, as an angle from -pi to pi.
    state = key + (place + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return (np.float64(state >> np.uint64(11)) * 2.0**-52 - 1.0) * np.pi


def randomised(spectrum: Complex, grid: Grid, first_shell: int, rng: np.random.Generator, threads: int) -> FloatArray:
    """Return the map whose spectrum is ``spectrum`` (overwritten) with random phases from ``first_shell`` on."""
    return irfft(randomise_phases(spectrum, grid, first_shell, rng), grid.shape, threads, destroy=True)
