"""Examples that the estimator of `cryores.resolution.locres` learns from: planted half maps of atomic models.

Every example follows from the seed and its number: the model, the box, the voxel size, the family and its strength.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from cryores.atoms import atom_positions, read_model
from cryores.errors import CryoresError, CryoresWarning
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD, automatic_mask, distance_outside, sphere
from cryores.planted import FIELDS, Planted, plant
from cryores.resolution._band_correlation import BandCorrelations, band_correlations
from cryores.volume import BoolArray, FloatArray, Grid, Volume

FAMILY_SHARES = {
    "lowpass": 0.38, "bfactor": 0.20, "residues": 0.08, "flexible": 0.06, "occupancy": 0.07, "orientation": 0.07,
    "belt": 0.07, "noise": 0.07,
}  # fmt: skip
STEEP_SHARE = 0.55
"""Share of the examples whose resolution falls steeply in a strong signal; the others are of all kinds."""

DOUBTFUL_SHARES = {"falloff": 0.8, "uneven": 0.2}
"""Of every so many examples one is of these families, which cannot be told from the others for certain: leakage from
finer bands and places looks alike. Some of the perceptrons never see them; see `_locres_training`."""

DOUBTFUL_EVERY = 5

DAMPED_SHARE, COLOURED_SHARE = 0.5, 0.5
"""Shares of the steep examples whose signal is damped as a whole, so that it is far stronger at low frequency than
where it ends, and whose noise has a colour."""

FADED = (20.0, 150.0)
"""Å² by which it is damped: added to the B-factor of every atom."""

STEEP_SHARES = {"lowpass": 0.65, "bfactor": 0.25, "orientation": 0.1}
STEEP_EDGES = (80, 96, 112, 128)
STEEP_RATIOS = (10.0, 300.0)
STEEP_NOISE = (-40.0, 120.0)
"""B-factor in Å² of the power of coloured noise."""

STEEP_FIELDS = ("gradient", "gradient", "radial", "shells", "blobs", "domains")

EDGES = (64, 80, 96, 112)
FEWEST_ACROSS = 16.0
"""Voxels of the radius of a model at its largest voxel size."""

RATIOS = (0.3, 300.0)
"""Signal over noise, a mask voxel, at the finest cut-off of a low-pass field."""

FARTHEST_REACH = 8.0
"""Å by which masks reach beyond the density at most; a third of them do not."""

FEWEST_VOXELS, MOST_VOXELS = 1000, 250000
"""Of a mask."""

FAR = 10.0
"""Å from every atom at which a loose mask holds solvent for certain."""


@dataclass(frozen=True)
class Example:
    """One planted pair of half maps, as the estimator sees it.

    Parameters
    ----------
    correlations : BandCorrelations
        Of the halves, inside the mask.
    inside : ndarray of bool
        The mask.
    limit : ndarray of float32, same shape
        Truth in cycles a voxel, at most 0.5; 0 where the noise is stronger everywhere, -1 where nothing is known.
    model, family : str
        What it was made of, and how.
    number : int
        Of those that a seed gives.
    """

    correlations: BandCorrelations
    inside: BoolArray
    limit: FloatArray
    model: str
    family: str
    number: int


def model_of(models: Sequence[Path], seed: int, number: int) -> Tuple[Path, Any]:
    """Return the model of example ``number``, and the source of what else is random in it."""
    rng = np.random.default_rng((seed, number))
    return models[int(rng.integers(len(models)))], rng


def is_doubtful(number: int) -> bool:
    """Tell whether an example is of a doubtful family."""
    return number % DOUBTFUL_EVERY == DOUBTFUL_EVERY - 1


def example(models: Sequence[Path], seed: int, number: int) -> Optional[Example]:
    """Make example ``number`` of those that ``seed`` gives; None where the model does not lend itself to it."""
    path, rng = model_of(models, seed, number)
    doubtful = is_doubtful(number)
    try:
        if rng.random() < STEEP_SHARE:
            is_faded = rng.random() < DAMPED_SHARE
            noise_b = float(rng.uniform(*STEEP_NOISE)) if rng.random() < COLOURED_SHARE else 0.0
            made = _steep_example(path, rng, DOUBTFUL_SHARES if doubtful else STEEP_SHARES, is_faded, noise_b)
        else:
            made = planted_example(path, rng, DOUBTFUL_SHARES if doubtful else FAMILY_SHARES)
        mask = _mask_to_use(made, rng)
    except CryoresError:
        return None
    inside = mask.data > BINARY_THRESHOLD
    if not FEWEST_VOXELS <= np.count_nonzero(inside) <= MOST_VOXELS:
        return None
    correlations = band_correlations(made.halves, mask.data, Execution(threads=1))
    return Example(correlations, inside, _limit(made, inside), path.name, str(made.description["family"]), number)


def _limit(made: Planted, inside: BoolArray) -> FloatArray:
    truth, grid = made.truth.data, made.truth.grid
    known = np.isfinite(truth) & (truth > 0)
    limit = np.where(known, np.minimum(grid.spacing / np.where(known, truth, 1.0), 0.5), 0.0)
    model = made.mask.data > BINARY_THRESHOLD
    # Between the model and what is certainly solvent, a voxel has no resolution that one could define.
    limit[~model] = -1.0
    solvent = inside & ~model
    if solvent.any():
        limit[solvent & (distance_outside(model, grid.voxel_size) > FAR)] = 0.0
    return limit.astype(np.float32)


def planted_example(path: Path, rng: Any, families: Dict[str, float]) -> Planted:
    """Plant a random loss of resolution, of one of ``families`` (name -> share), in a model or a ball of it."""
    structure = _prepared(read_model(path), rng)
    voxel, edge = _voxel_size(structure, rng), int(rng.choice(EDGES))
    structure, edge = _fitted(structure, voxel, edge, rng)
    length = edge * voxel
    finest = float(np.clip(voxel * np.exp(rng.uniform(np.log(2.0), np.log(5.0))), 1.5, min(12.0, length / 6)))
    finest = max(finest, 2.0 * voxel)
    coarsest = min(finest * float(np.exp(rng.uniform(np.log(1.1), np.log(3.5)))), 20.0, length / 3)
    names = list(families)
    family = str(rng.choice(names, p=np.array([families[n] for n in names]) / sum(families.values())))
    noise_b = 0.0 if rng.random() < 0.5 else float(rng.uniform(-30.0, 20.0)) * voxel**2
    return plant(
        family, structure, Grid.regular((edge,) * 3, voxel), finest, max(coarsest, finest),
        float(np.exp(rng.uniform(*np.log(RATIOS)))), str(rng.choice(FIELDS)), noise_b, int(rng.integers(2**31)),
        reach=float(np.clip(rng.uniform(-0.5, 1.0) * FARTHEST_REACH, 0.0, 0.1 * length)),
    )  # fmt: skip


def _steep_example(path: Path, rng: Any, families: Dict[str, float], is_faded: bool, noise_b: float) -> Planted:
    """Plant a steep loss of resolution, of one of ``families`` (name -> share), in a strong signal."""
    structure = _prepared(read_model(path), rng)
    if is_faded:
        more = float(rng.uniform(*FADED))
        for site in structure[0].all():
            site.atom.b_iso += more
    voxel, edge = _voxel_size(structure, rng), int(rng.choice(STEEP_EDGES))
    structure, edge = _fitted(structure, voxel, edge, rng)
    length = edge * voxel
    finest = max(voxel * float(np.exp(rng.uniform(np.log(2.1), np.log(4.0)))), 1.3)
    coarsest = max(min(finest * float(np.exp(rng.uniform(np.log(1.7), np.log(3.3)))), length / 6), finest)
    family = str(rng.choice(list(families), p=list(families.values())))
    ratio = float(np.exp(rng.uniform(*np.log(STEEP_RATIOS))))
    return plant(
        family, structure, Grid.regular((edge,) * 3, voxel), finest, coarsest, ratio, str(rng.choice(STEEP_FIELDS)),
        noise_b, int(rng.integers(2**31)),
        reach=float(np.clip(rng.uniform(-0.3, 1.0) * FARTHEST_REACH, 0.0, 0.1 * length)),
    )  # fmt: skip


def _prepared(structure: Any, rng: Any) -> Any:
    """Take out water, hydrogens and alternatives; half of the models get one B-factor for all atoms."""
    structure.remove_waters()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    uniform = float(rng.uniform(5.0, 60.0)) if rng.random() < 0.5 else None
    for site in structure[0].all():
        site.atom.b_iso = uniform if uniform is not None else float(np.clip(site.atom.b_iso, 2.0, 120.0))
        site.atom.occ = 1.0
    return structure


def _voxel_size(structure: Any, rng: Any) -> float:
    """Return Å of a voxel: few voxels across a small model would leave nothing local to learn."""
    positions = atom_positions(structure)
    radius = float(np.linalg.norm(positions - positions.mean(axis=0), axis=1).max())
    largest = float(np.clip(radius / FEWEST_ACROSS, 0.8, 2.8))
    return float(np.exp(rng.uniform(np.log(0.5), np.log(largest))))


def _fitted(structure: Any, voxel: float, edge: int, rng: Any) -> Tuple[Any, int]:
    """Return the model in the middle of its box: cut to a ball where it is too large, in a smaller box if small."""
    positions = atom_positions(structure)
    centre = 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    radius = float(np.linalg.norm(positions - centre, axis=1).max())
    largest = 0.40 * edge * voxel
    if radius > largest:
        radius, centre = largest, positions[int(rng.integers(len(positions)))]
    else:
        edge = min(edge, max(48, 2 * int(np.ceil(radius * rng.uniform(1.15, 1.6) / voxel))))
    middle = (edge // 2) * voxel
    for chain in structure[0]:
        for residue in chain:
            for i in reversed(range(len(residue))):
                p = residue[i].pos
                off = np.array([p.z, p.y, p.x]) - centre
                if off @ off > radius**2 * 1.0001:
                    del residue[i]
                else:
                    p.x, p.y, p.z = p.x - centre[2] + middle, p.y - centre[1] + middle, p.z - centre[0] + middle
    return structure, edge


def _mask_to_use(made: Planted, rng: Any) -> Volume:
    """Return the mask that the estimator is given: mostly the one within which the truth is known."""
    chance, grid = rng.random(), made.halves.grid
    if chance < 0.82:
        return made.mask
    if chance < 0.9 or made.description["family"] == "noise":
        return sphere(grid, 0.47 * min(grid.extent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        return automatic_mask(made.halves)
