"""Maps on which the enhancers are judged, made by other rules than those that they learnt from.

A model's density is blurred by a B-factor that goes from 50 to 220 Å² in smooth random patches; half maps get coloured
noise, so strong that their mean agrees with the model to 0.5 at the wanted resolution in the tight mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryores.atoms import atom_positions, density_from_model, read_model
from cryores.filters import bfactor, gaussian
from cryores.fourier import filtered, rfft, shell_sums
from cryores.masks import soft_edge
from cryores.noise import coloured_noise
from cryores.postprocessing._model_reference import around_atoms
from cryores.shell_correlation import crossing_past_shape, fsc_curve
from cryores.volume import FloatArray, Grid, HalfMaps, Volume

SHARPEST, DULLEST, LAYERS = 50.0, 220.0, 6
PATCH = 10.0
"""Standard deviation in Å of the Gaussian that makes the patches."""

FINEST, COARSEST = 2.8, 4.8
"""Range in Å of the map-model FSC 0.5 in the tight mask; without a mask it is about 1 Å coarser."""

ABOVE_BLUR = 1.1
"""Least ratio of that to where the blur alone ends the agreement: without noise, half maps say nothing."""

AROUND = 15.0
"""Å of solvent on each side."""

TIGHT, EDGE = 2.5, 3.0
"""Å from the atoms at which the tight mask begins to fall, and over which it does."""


@dataclass(frozen=True)
class Judged:
    """Half maps, the density of the model at its full sharpness, and the soft tight mask."""

    halves: HalfMaps
    signal: Volume
    reference: Volume
    tight: Volume
    structure: Any
    resolution: float


def judged_map(path: Path, seed: int, threads: int = 1) -> Judged:
    """Return the map of a model at 3 to 6 Å."""
    rng = np.random.default_rng(seed)
    structure = read_model(path)
    structure.remove_waters()
    positions = atom_positions(structure)
    edge = int(np.ceil((np.ptp(positions, axis=0).max() + 2 * AROUND) / 8.0)) * 8
    grid = Grid.regular((edge,) * 3, 1.0)
    shift = edge / 2 - 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    for site in structure[0].all():
        z, y, x = shift
        site.atom.pos = type(site.atom.pos)(site.atom.pos.x + x, site.atom.pos.y + y, site.atom.pos.z + z)
    reference = density_from_model(structure, grid)
    near = reference.like(around_atoms(structure, grid, TIGHT))
    signal = _locally_blurred(reference.data, near.data > 0.5, grid, rng, threads)
    resolution = float(rng.uniform(FINEST, COARSEST))
    tight = soft_edge(near, EDGE)
    colour = bfactor(float(rng.uniform(0.0, 100.0)))
    noise = [coloured_noise(grid, colour, rng, threads) for _ in range(2)]
    resolution = max(resolution, ABOVE_BLUR * _crossing(signal, reference.data, tight, threads))
    level = _noise_level(signal, 0.5 * (noise[0] + noise[1]), reference.data, tight, resolution, threads)
    halves = [Volume(signal + level * one, grid) for one in noise]
    return Judged(HalfMaps(*halves), Volume(signal, grid), reference, tight, structure, resolution)


def _crossing(one: FloatArray, other: FloatArray, tight: Volume, threads: int) -> float:
    sums = shell_sums(rfft(one * tight.data, threads), rfft(other * tight.data, threads), tight.grid)
    return crossing_past_shape(sums.frequency, fsc_curve(sums), 0.5) or 0.0


def _noise_level(
    signal: FloatArray, noise: FloatArray, model: FloatArray, tight: Volume, wanted: float, threads: int
) -> Any:
    """Return how much of the noise makes the map agree with its model to 0.5 at ``wanted`` Å, in the tight mask."""
    spectra = [rfft(some * tight.data, threads) for some in (signal, noise, model)]
    low, high = 1e-6 * float(signal.std()), 1e3 * float(signal.std())
    for _ in range(24):
        level = float(np.sqrt(low * high))
        sums = shell_sums(spectra[0] + np.float32(level) * spectra[1], spectra[2], tight.grid)
        found = crossing_past_shape(sums.frequency, fsc_curve(sums), 0.5)
        low, high = (low, level) if found is None or found > wanted else (level, high)
    return np.float32(level)


def _locally_blurred(density: FloatArray, inside: Any, grid: Grid, rng: Any, threads: int) -> FloatArray:
    waves = rng.standard_normal(grid.shape).astype(np.float32)
    field = filtered(waves, gaussian(PATCH), grid, threads)
    low, high = np.percentile(field[inside], (2, 98))
    place = np.clip((field - low) / (high - low), 0.0, 1.0) * (LAYERS - 1)
    blurred = np.zeros_like(density)
    for k, b in enumerate(np.linspace(SHARPEST, DULLEST, LAYERS)):
        share = np.clip(1.0 - np.abs(place - k), 0.0, 1.0).astype(np.float32)
        blurred += share * filtered(density, bfactor(float(b)), grid, threads)
    return blurred
