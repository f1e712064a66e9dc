"""Training material: many small boxes of density cut from atomic models, made once and kept in a folder.

A piece is a periodic box of potential around a random atom of a model, in a random orientation, with the distance of
every voxel from the nearest atom. As it is periodic, filters act on it without a rim.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from cryores.atoms import atom_positions, density_from_model, piece_of_model, random_rotation, read_model
from cryores.errors import InputError
from cryores.files import appearing
from cryores.nets.training.chunks import side_by_side
from cryores.nets.training.state import key
from cryores.volume import FloatArray, Grid

EDGE = 48
"""Voxels along the edge of a piece."""

HELD_BACK_EVERY = 10
"""One model in so many, in the order of the table, is kept aside for validation."""

ATOMS_A_PIECE = 800
FEWEST, MOST = 6, 16
"""A model gives a piece for so many atoms, within these limits."""

VOXEL_SIZE_ERROR = 0.02
"""Largest relative error of the voxel size that a piece gets."""

DISTANCE_STEP = 0.1
"""Å of a step of the stored distance from the nearest atom; the largest stored is 25.5 Å."""


@dataclass(frozen=True)
class Pieces:
    """Boxes of density and what is near atoms in them.

    Parameters
    ----------
    density : ndarray of float32, shape (pieces, edge, edge, edge)
        Potential, with the models' own B-factors.
    distance : ndarray of uint8, same shape
        Distance from the nearest atom in steps of `DISTANCE_STEP`.
    voxel_size : float
        Å.
    models : list of str
        The model of each piece.
    base : Path
        Beginning of the names of its files.
    """

    density: FloatArray
    distance: npt.NDArray[np.uint8]
    voxel_size: float
    models: List[str]
    base: Path

    @classmethod
    def stored(cls, base: Path) -> Pieces:
        """Read pieces from the cache, leaving the density on disk."""
        record = json.loads(Path(f"{base}.json").read_text())
        arrays = [np.load(f"{base}-{what}.npy", mmap_mode="r") for what in ("density", "distance")]
        return cls(arrays[0], arrays[1], record["made_of"]["voxel_size"], record["pieces"], base)

    def __len__(self) -> int:
        return len(self.models)


def listed_models(folder: Union[str, os.PathLike[str]], exclude: Sequence[str] = ()) -> List[Path]:
    """Return the atomic models of a folder: those of its MANIFEST.tsv, or else every PDB and mmCIF file below it.

    Parameters
    ----------
    folder : path
        The folder.
    exclude : sequence of str
        Beginnings of the names of files that are left out, in small letters or capitals.

    Raises
    ------
    InputError
        ``E_NO_MODELS`` if there is none, or if all are left out.
    """
    root = Path(folder)
    table = root / "MANIFEST.tsv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as rows:
            named = [row["file"] for row in csv.DictReader(rows, delimiter="\t")]
        found = [path for name in named for path in (root / name, root.parent / name) if path.is_file()]
    else:
        found = sorted(p for p in root.rglob("*") if p.name.endswith((".pdb", ".pdb.gz", ".cif", ".cif.gz")))
    if not found:
        raise InputError("E_NO_MODELS", f"no atomic model in {root}", "give a folder with PDB or mmCIF files")
    left = [path for path in found if not path.name.lower().startswith(tuple(name.lower() for name in exclude))]
    if not left:
        raise InputError("E_NO_MODELS", f"every model of {root} is excluded", "exclude fewer")
    return left


def divided(models: Union[str, os.PathLike[str]], out: Path) -> Tuple[List[Path], List[Path]]:
    """Return the models of a folder to train on and those kept aside, whose names are listed in the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    training, aside = parted(listed_models(models))
    (out / "kept-aside.txt").write_text("".join(f"{path.name}\n" for path in aside))
    return training, aside


def parted(models: Sequence[Path]) -> Tuple[List[Path], List[Path]]:
    """Return the models to train on and those kept aside."""
    aside = list(models[HELD_BACK_EVERY // 2 :: HELD_BACK_EVERY])
    return [path for path in models if path not in aside], aside


def pieces_of(models: List[Path], voxel_size: float, cache: Path, name: str, seed: int, processes: int = 1) -> Pieces:
    """Return pieces of ``models``, from the cache when they were made before with the same models and seed."""
    wanted: Dict[str, Any] = {"models": [p.name for p in models], "voxel_size": voxel_size, "seed": seed, "edge": EDGE}
    base = cache / f"{name}-{voxel_size:g}A-{key(wanted)}"
    record = Path(f"{base}.json")
    if not record.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        owners = _make(models, voxel_size, base, seed, processes)
        with appearing(record) as unfinished:
            unfinished.write_text(json.dumps({"made_of": wanted, "pieces": owners}))
    return Pieces.stored(base)


def _make(models: List[Path], voxel_size: float, base: Path, seed: int, processes: int) -> List[str]:
    jobs = [(os.fspath(path), voxel_size, seed + number) for number, path in enumerate(models)]
    with side_by_side(processes) as each:
        made = list(each(pieces_of_model, *zip(*jobs)))
    np.save(f"{base}-density.npy", np.concatenate([density for density, _ in made]))
    np.save(f"{base}-distance.npy", np.concatenate([distance for _, distance in made]))
    return [Path(job[0]).name for job, (density, _) in zip(jobs, made) for _ in density]


def pieces_of_model(path: str, voxel_size: float, seed: int) -> Tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Return the densities and distances of the pieces of one model, shape (pieces, edge, edge, edge)."""
    rng = np.random.default_rng(seed)
    structure = read_model(path)
    dry = structure.clone()
    dry.remove_waters()
    positions = atom_positions(dry)
    grid = Grid.regular((EDGE, EDGE, EDGE), voxel_size)
    densities, distances = [], []
    for _ in range(int(np.clip(len(positions) // ATOMS_A_PIECE, FEWEST, MOST))):
        centre = positions[rng.integers(len(positions))]
        turn = random_rotation(rng) * rng.uniform(1 - VOXEL_SIZE_ERROR, 1 + VOXEL_SIZE_ERROR)
        piece = piece_of_model(structure if rng.random() < 0.5 else dry, tuple(centre), turn, grid)
        densities.append(density_from_model(piece, grid).data)
        distances.append(_distance(atom_positions(piece), grid))
    return np.stack(densities), np.stack(distances)


def _distance(positions: Any, grid: Grid) -> npt.NDArray[np.uint8]:
    from scipy.ndimage import distance_transform_edt

    empty = np.ones(grid.shape, dtype=bool)
    empty[tuple((np.rint(positions / grid.voxel_size).astype(int) % EDGE).T)] = False
    reach = EDGE // 2
    near = distance_transform_edt(np.pad(empty, reach, mode="wrap"), sampling=grid.voxel_size)
    kept = near[reach:-reach, reach:-reach, reach:-reach] / DISTANCE_STEP
    steps: npt.NDArray[np.uint8] = np.minimum(np.rint(kept), 255).astype(np.uint8)
    return steps
