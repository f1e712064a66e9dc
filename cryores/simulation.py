"""Half maps with a planted local resolution: the truth that tests, demo and training use.

A clean density is low-passed voxel by voxel to the planted resolution; each half gets its own noise; at last both are
damped by the same B-factor. Half maps can also be made of a real map, with noise of the spectrum of a real background.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

import numpy as np

from cryores.atoms import Model, atom_positions, density_from_model, helix_bundle, read_model
from cryores.errors import CryoresWarning, InputError, UsageError
from cryores.filters import Response, bfactor, low_pass
from cryores.fourier import Float64, filtered, irfft, multiply_radial, radial_power, rfft, shell_width
from cryores.masks import BINARY_THRESHOLD
from cryores.noise import background_amplitude, coloured_noise
from cryores.volume import FloatArray, Grid, HalfMaps, IntTriple, Volume

FIELDS = ("gradient", "radial", "blobs", "two-halves", "constant")
MASK_MARGIN = 3.0
"""Distance in Å from the nearest atom up to which the mask reaches."""

NOISE_SHARE = 0.05
"""Amplitude, relative to its strongest, below which noise is hardly there."""

NOISE_MUST_REACH = 0.8
"""Share of Nyquist up to which a background needs noise, for half maps that are made with it."""

LOW_PASS_EDGE_SHELLS = 3
"""Shells over which the planted low-pass falls from 1 at the planted resolution to 0."""


@dataclass(frozen=True)
class Simulation:
    """Half maps, and what is true of them.

    Parameters
    ----------
    halves : HalfMaps
        Signal and noise.
    clean : Volume
        The signal alone, before the B-factor.
    mask : Volume
        1 on the particle, without a soft edge (`cryores.masks.soft_rim` gives it one, as the command does).
    truth : Volume
        The planted resolution in Å: up to 1/truth the signal is whole.
    truth_snr : Volume
        The resolution in Å at which signal, a voxel of the mask, and noise of a half map are equal (FSC 0.5).
    description : dict
        Every parameter, the seed included.
    structure : gemmi.Structure
        The model, centred as it was used; None for half maps of a real map.
    """

    halves: HalfMaps
    clean: Volume
    mask: Volume
    truth: Optional[Volume]
    truth_snr: Optional[Volume]
    description: Dict[str, Any] = field(default_factory=dict)
    structure: Any = None


def simulate(
    model: Optional[Model] = None,
    shape: IntTriple = (64, 64, 64),
    voxel_size: float = 1.2,
    finest: float = 3.0,
    coarsest: float = 8.0,
    resolution_field: str = "gradient",
    axis: str = "z",
    snr: float = 4.0,
    noise: str = "white",
    b: float = 0.0,
    seed: int = 0,
    threads: int = 1,
) -> Simulation:
    """Simulate half maps of an atomic model with a planted local resolution.

    Parameters
    ----------
    model : path or gemmi.Structure, optional
        Moved to the centre of the box; default, an ideal helix bundle that leaves a quarter of the box edge free.
    shape : tuple of int
        Box in voxels (z, y, x).
    voxel_size : float
        Å.
    finest, coarsest : float
        Range of the planted resolution in Å.
    resolution_field : str
        ``gradient`` along ``axis`` · ``radial`` finest at the centre · ``blobs`` smooth and random · ``two-halves``
        coarsest below the middle of ``axis``, finest above · ``constant`` finest everywhere.
    axis : str
        ``x``, ``y`` or ``z``.
    snr : float
        Ratio of signal to noise power of a half map in the shell of the finest resolution, over the whole box.
    noise : str
        ``white``, or ``coloured``: its amplitude falls as that of B = 50 Å².
    b : float
        B-factor in Å² that damps signal and noise at the end.
    seed : int
        Of the noise, the blobs and the helix bundle.
    threads : int
        Threads of the transforms.

    Raises
    ------
    UsageError
        ``E_PARAMETER`` for a range that is upside down or finer than Nyquist, or an unknown field, axis or noise.
    InputError
        ``E_MODEL``, ``E_MODEL_SIZE`` for a model that does not fit in the box.
    """
    grid = Grid.regular(shape, voxel_size)
    _check(grid, finest, coarsest, resolution_field, axis, noise, snr)
    rng = np.random.default_rng(seed)
    structure = _centred(model, grid, seed)
    density = density_from_model(structure, grid)
    mask = mask_of_model(structure, grid)
    truth = _field(resolution_field, axis, mask.data > BINARY_THRESHOLD, finest, coarsest, grid, rng)
    clean = _local_low_pass(density.data, truth, grid, threads)
    colour = bfactor(50.0) if noise == "coloured" else _one
    frequency, power = radial_power(density.data, grid, threads)
    noise_power = _power_at(1.0 / finest, frequency, power) / snr
    scale = float(np.sqrt(noise_power / grid.size / colour(np.array([1.0 / finest]))[0] ** 2))
    halves = [_half(clean, grid, lambda s: scale * colour(s), b, rng, threads) for _ in range(2)]
    # Of signal a voxel of the mask: what counts is how it stands out where it is.
    occupied = np.count_nonzero(mask.data > BINARY_THRESHOLD)
    snr_curve = power / np.maximum(scale**2 * colour(frequency) ** 2 * occupied, np.finfo(float).tiny)
    return Simulation(
        halves=HalfMaps(*halves),
        clean=Volume(clean, grid),
        mask=mask,
        truth=Volume(truth, grid),
        truth_snr=Volume(_snr_limit(truth, frequency, snr_curve, grid), grid),
        description={
            "model": "helix bundle" if model is None else str(model), "shape": list(shape), "voxel_size": voxel_size,
            "finest": finest, "coarsest": coarsest, "field": resolution_field, "axis": axis, "snr": snr, "noise": noise,
            "bfactor": b, "seed": seed,
        },
        structure=structure,
    )  # fmt: skip


def halves_of_map(
    volume: Volume,
    background: Volume,
    background_mask: Volume,
    mask: Volume,
    snr: float = 4.0,
    seed: int = 0,
    threads: int = 1,
) -> Simulation:
    """Make two half maps of a real map: the map plus independent noise with the spectrum of a real background.

    Parameters
    ----------
    volume : Volume
        The map that both halves share.
    background, background_mask : Volume
        A map with noise outside its mask; its voxel size may differ from that of ``volume``.
    mask : Volume
        The particle of ``volume``, kept in the result.
    snr : float
        Variance of the map inside ``mask`` over the variance of the noise of a half. At which resolution signal and
        noise meet then depends on both spectra: an unsharpened background has little noise at high frequency.
    seed, threads
        As in `simulate`.

    Raises
    ------
    InputError
        ``E_NO_BACKGROUND`` when the background holds no noise.

    Warns
    -----
    CryoresWarning
        When the background was low-passed, so that the halves agree up to Nyquist.
    """
    grid = volume.grid
    rng = np.random.default_rng(seed)
    s, amplitude = background_amplitude(background, background_mask, threads)

    def colour(at: Float64) -> Float64:
        # Shell 0 holds the level of the background, not noise; beyond Nyquist the last value is held.
        return np.interp(at, s[1:], amplitude[1:])

    trial = coloured_noise(grid, colour, rng, threads)
    reaches = _noise_limit(s, amplitude)
    signal = volume.data[mask.data > BINARY_THRESHOLD].astype(np.float64)
    scale = float(np.sqrt(signal.var() / snr) / trial.std(dtype=np.float64))
    halves = [_half(volume.data, grid, lambda at: scale * colour(at), 0.0, rng, threads) for _ in range(2)]
    description = {
        "snr": snr, "seed": seed, "noise": "background of a map", "noise_scale": scale, "noise_reaches": 1.0 / reaches,
    }  # fmt: skip
    if reaches < NOISE_MUST_REACH * min(1.0 / grid.nyquist, s[-1]):
        warnings.warn(
            f"the background has hardly any noise beyond {1.0 / reaches:.1f} Å (it was low-passed): the half maps "
            "agree there up to Nyquist, whatever the map; give an unfiltered map as --background",
            CryoresWarning,
            stacklevel=2,
        )
    return Simulation(HalfMaps(*halves), volume, mask, None, None, description)


def _noise_limit(frequency: Float64, amplitude: Float64) -> float:
    """Return the largest frequency (1/Å) at which noise still has a share of its strongest amplitude."""
    return float(frequency[np.flatnonzero(amplitude > NOISE_SHARE * amplitude[1:].max())[-1]])


# --- the planted field --------------------------------------------------------------------------------------------


def _field(kind: str, axis: str, inside: Any, finest: float, coarsest: float, grid: Grid, rng: Any) -> FloatArray:
    """Return the planted resolution (Å): linear between finest and coarsest along the field's own coordinate."""
    index = np.indices(grid.shape, dtype=np.float32)
    along = index["zyx".index(axis)]
    if kind == "constant":
        share = np.zeros(grid.shape, dtype=np.float32)
    elif kind == "radial":
        centre = [float(i[inside].mean()) for i in index]
        distance = np.sqrt(sum((i - c) ** 2 * v**2 for i, c, v in zip(index, centre, grid.voxel_size)))
        share = distance / distance[inside].max()
    elif kind == "blobs":
        smooth = filtered(rng.standard_normal(grid.shape, dtype=np.float32), low_pass(0.35 * max(grid.extent)), grid, 1)
        low, high = np.percentile(smooth[inside], (2, 98))
        share = (smooth - low) / (high - low)
    elif kind == "two-halves":
        share = (along < np.median(along[inside])).astype(np.float32)
    else:
        low, high = along[inside].min(), along[inside].max()
        share = (along - low) / (high - low)
    return np.asarray(finest + (coarsest - finest) * np.clip(share, 0.0, 1.0), dtype=np.float32)


def _local_low_pass(density: FloatArray, resolution: FloatArray, grid: Grid, threads: int) -> FloatArray:
    """Low-pass each voxel to its own resolution (Å): linear interpolation between globally filtered maps.

    The filters are half a shell apart in 1/resolution; a constant resolution gives the global filter.
    """
    spectrum = rfft(density, threads)
    wanted = 1.0 / resolution
    low, high = float(wanted.min()), float(wanted.max())
    steps = max(1, int(np.ceil((high - low) / (0.5 * shell_width(grid)))))
    position = (wanted - low) * np.float32(steps / (high - low) if high > low else 0.0)
    edge = LOW_PASS_EDGE_SHELLS * shell_width(grid)
    result = np.zeros(grid.shape, dtype=np.float32)
    for k in range(steps + 1):
        knot = low + (high - low) * k / steps
        layer = irfft(multiply_radial(spectrum.copy(), low_pass(1.0 / knot, edge), grid), grid.shape, threads)
        result += layer * np.clip(1.0 - np.abs(position - np.float32(k)), 0.0, 1.0)
    return result


def _snr_limit(truth: FloatArray, frequency: Float64, snr: Float64, grid: Grid) -> FloatArray:
    """Return 1/s*, s* the largest frequency at which the low-passed signal still has the power of the noise."""
    edge = LOW_PASS_EDGE_SHELLS * shell_width(grid)
    cuts = np.linspace(1.0 / float(truth.max()), 1.0 / float(truth.min()), 200)
    fine = np.linspace(frequency[1], frequency[-1], 20 * len(frequency))
    snr_fine = np.interp(fine, frequency, snr)
    limits = []
    for cut in cuts:
        above = np.nonzero(low_pass(1.0 / cut, edge)(fine) ** 2 * snr_fine >= 1.0)[0]
        limits.append(fine[above[-1]] if above.size else frequency[1])
    return (1.0 / np.interp(1.0 / truth, cuts, limits)).astype(np.float32)


# --- pieces -------------------------------------------------------------------------------------------------------


def _half(signal: FloatArray, grid: Grid, amplitude: Response, b: float, rng: Any, threads: int) -> Volume:
    half = signal + coloured_noise(grid, amplitude, rng, threads)
    return Volume(filtered(half, bfactor(b), grid, threads) if b else half, grid)


def _one(s: Float64) -> Float64:
    return np.ones_like(s)


def _power_at(s: float, frequency: Float64, power: Float64) -> float:
    """Return the power at a frequency, averaged over five shells so that it does not hang on one of them."""
    shell = int(np.argmin(np.abs(frequency - s)))
    return float(np.mean(power[max(1, shell - 2) : shell + 3]))


def _centred(model: Optional[Model], grid: Grid, seed: int) -> Any:
    centre: Tuple[float, ...] = tuple((n // 2) * v for n, v in zip(grid.shape, grid.voxel_size))
    if model is None:
        return helix_bundle(0.375 * min(grid.extent), centre, seed)  # type: ignore[arg-type]
    structure = model.clone() if hasattr(model, "clone") else read_model(model)
    positions = atom_positions(structure)
    low, high = positions.min(axis=0), positions.max(axis=0)
    if np.any(high - low + 2 * MASK_MARGIN > grid.extent):
        z, y, x = high - low
        raise InputError(
            "E_MODEL_SIZE",
            f"the model ({x:.0f} x {y:.0f} x {z:.0f} Å) does not fit into the box",
            "give a larger --size",
        )
    shift = np.asarray(centre) - (low + high) / 2
    for site in structure[0].all():
        p = site.atom.pos
        p.x, p.y, p.z = p.x + shift[2], p.y + shift[1], p.z + shift[0]
        site.atom.pos = p
    return structure


def mask_of_model(structure: Any, grid: Grid) -> Volume:
    """Return a map that is 1 within `MASK_MARGIN` of an atom, and in the holes between."""
    from scipy.ndimage import binary_fill_holes, distance_transform_edt

    empty = np.ones(grid.shape, dtype=bool)
    index = np.rint((atom_positions(structure) - grid.first_voxel) / grid.voxel_size).astype(int)
    empty[tuple(np.clip(index, 0, np.array(grid.shape) - 1).T)] = False
    near = distance_transform_edt(empty, sampling=grid.voxel_size) <= MASK_MARGIN
    return Volume(binary_fill_holes(near).astype(np.float32), grid)


def _check(grid: Grid, finest: float, coarsest: float, kind: str, axis: str, noise: str, snr: float) -> None:
    if not grid.nyquist <= finest <= coarsest:
        raise UsageError(
            "E_RANGE",
            f"a resolution from {finest:g} to {coarsest:g} Å cannot be planted at {grid.spacing:g} Å a voxel",
            f"choose {grid.nyquist:g} Å (Nyquist) <= --min-resolution <= --max-resolution",
        )
    if kind not in FIELDS or axis not in ("x", "y", "z") or noise not in ("white", "coloured") or snr <= 0:
        raise UsageError(
            "E_PARAMETER",
            f"unknown field {kind!r}, axis {axis!r} or noise {noise!r}, or no SNR",
            f"fields: {', '.join(FIELDS)}",
        )
