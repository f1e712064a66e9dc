"""Examples that the estimator of `cryores.resolution.locres` learns from: planted half maps of atomic models.

Every example follows from the seed and its number: the model, the box, the voxel size, the family and its strength.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from cryores.atoms import atom_positions, read_model
from cryores.errors import CryoresError, CryoresWarning
from cryores.execution import Execution
from cryores.masks import automatic_mask, dilate, distance_outside, sphere
from cryores.planted import FIELDS, Planted, plant
from cryores.resolution._band_correlation import band_correlations
from cryores.volume import FloatArray, Grid, Volume

FAMILY_SHARES = {
    "lowpass": 0.28, "bfactor": 0.20, "residues": 0.09, "flexible": 0.07, "occupancy": 0.09, "orientation": 0.09,
    "belt": 0.09, "noise": 0.09,
}  # fmt: skip
EDGES = (56, 64, 80, 96)
VOXELS_A_MAP = 1000
SOLVENT_VOXELS = 100
FAR = 10.0
"""Å from every atom at which a loose mask holds solvent for certain."""


@dataclass(frozen=True)
class Example:
    """Voxels of one planted pair of half maps.

    Parameters
    ----------
    features : ndarray of float32, shape (voxels, features)
        Local correlations.
    limit : ndarray of float32, shape (voxels,)
        Truth in cycles a voxel, at most 0.5; 0 where the noise is stronger everywhere.
    size : float
        Cube root of the mask's volume in voxels.
    edge : int
        Shortest edge of the box in voxels.
    model, family : str
        What it was made of, and how.
    """

    features: FloatArray
    limit: FloatArray
    size: float
    edge: int
    model: str
    family: str


def example(models: Sequence[Path], seed: int, number: int, families: Optional[Dict[str, float]] = None) -> Example:
    """Make example ``number`` of those that ``seed`` gives."""
    rng = np.random.default_rng((seed, number))
    for _ in range(20):
        path = models[int(rng.integers(len(models)))]
        try:
            made = planted_example(path, rng, families or FAMILY_SHARES)
        except CryoresError:
            continue
        mask = _mask_to_use(made, rng)
        features, limit = _sampled(made, mask, rng)
        if len(limit):
            size = float(np.count_nonzero(mask.data > 0.5)) ** (1 / 3)
            return Example(features, limit, size, min(mask.grid.shape), path.name, str(made.description["family"]))
    raise RuntimeError(f"no example could be made from {len(models)} models")


def stored_example(models: Sequence[Path], seed: int, number: int, cache: Path) -> Example:
    """Return an example from ``cache``, where it is made if it is not there."""
    path = cache / f"{seed}-{number:05d}.npz"
    if not path.exists():
        made = example(models, seed, number)
        partial = path.with_suffix(".partial.npz")
        about, sizes = [made.model, made.family], [made.size, made.edge]
        np.savez(partial, features=made.features.astype(np.float16), limit=made.limit, sizes=sizes, about=about)
        partial.rename(path)
    with np.load(path) as stored:
        model, family = (str(text) for text in stored["about"])
        size, edge = stored["sizes"].tolist()
        return Example(stored["features"].astype(np.float32), stored["limit"], size, int(edge), model, family)


def planted_example(path: Path, rng: Any, families: Dict[str, float]) -> Planted:
    """Plant a random loss of resolution, of one of ``families`` (name -> share), in a model or a ball of it."""
    voxel = float(np.exp(rng.uniform(np.log(0.55), np.log(2.6))))
    edge = int(rng.choice(EDGES))
    structure = _prepared(read_model(path), rng)
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
        float(np.exp(rng.uniform(np.log(2.0), np.log(60.0)))), str(rng.choice(FIELDS)), noise_b,
        int(rng.integers(2**31)),
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
    """Return the mask that the estimator is given: often the true one, else a looser one."""
    chance, grid = rng.random(), made.halves.grid
    if chance < 0.55:
        return made.mask
    if chance < 0.82:
        return dilate(made.mask, float(rng.uniform(2.0, 8.0)))
    if chance < 0.9 or made.description["family"] == "noise":
        return sphere(grid, 0.47 * min(grid.extent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        return automatic_mask(made.halves)


def _sampled(made: Planted, mask: Volume, rng: Any) -> Tuple[FloatArray, FloatArray]:
    inside = (mask.data > 0.5) & (made.mask.data > 0.5)
    voxels = np.argwhere(inside)
    voxels = voxels[rng.permutation(len(voxels))[:VOXELS_A_MAP]]
    truth = made.truth.data[tuple(voxels.T)]
    limit = np.where(np.isfinite(truth), made.halves.grid.spacing / np.where(truth > 0, truth, np.inf), 0.0)
    far = (mask.data > 0.5) & (distance_outside(made.mask.data > 0.5, made.mask.grid.voxel_size) > FAR)
    solvent = np.argwhere(far)
    solvent = solvent[rng.permutation(len(solvent))[:SOLVENT_VOXELS]]
    features = band_correlations(made.halves, mask, Execution(threads=1)).read(np.concatenate([voxels, solvent]))
    limits = np.concatenate([np.minimum(limit, 0.5), np.zeros(len(solvent))])
    return features, limits.astype(np.float32)


def usable_models(folder: Path, excluded: Sequence[str]) -> List[Path]:
    """Return the models of a folder in order, without those whose names begin with one of ``excluded``."""
    names = sorted(p for p in folder.rglob("*") if p.name.split(".")[0] and p.suffix in (".gz", ".cif", ".pdb", ".ent"))
    return [p for p in names if not p.name.lower().startswith(tuple(e.lower() for e in excluded))]
