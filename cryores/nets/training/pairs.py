"""Half maps with models of a laboratory, or of EMDB: which to learn from, and lessons made of them.

The selection is that of the paper: resolution better than 7 Å, one model, which fits (correlation above 0.6 in its
mask), and no kind of molecule more often than five times. The target is LocScale's map in a tight mask.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from cryores.atoms import atom_positions, density_from_model, protein_sequences, read_model, sequence_identity
from cryores.errors import CryoresError, InputError, UsageError
from cryores.execution import Execution
from cryores.files import PathLike, require_file
from cryores.filters import low_pass
from cryores.fourier import filtered
from cryores.mapio import read_map
from cryores.masks import soft_edge
from cryores.nets.enhancer_bands import BLOCK, CONTRAST, block_means, block_powers, described
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.training.enhancer import NOISE_ONLY, SHAPE, learn
from cryores.nets.training.enhancer_maps import NEAR, RECIPES, Lesson
from cryores.nets.training.loop import Schedule
from cryores.postprocessing._real_space import around_atoms, correlations
from cryores.postprocessing.locscale import locscale
from cryores.volume import HalfMaps

COLUMNS = ("half1", "half2", "model", "resolution")

COARSEST = 7.0
"""Å; coarser pairs are not learnt from."""

LEAST_FIT = 0.6
"""Correlation of map and model in the model's mask, below which they do not belong together."""

SAME_KIND = 0.3
"""Share of equal residues from which two molecules are of one cluster."""

MOST_OF_A_KIND = 5
"""Pairs of one cluster that are learnt from; validation and test take one."""

TENTH = 10
"""One cluster in so many goes to validation, and one to the test."""

STRIDE = 12
"""Blocks from one cube to the next."""


@dataclass(frozen=True)
class MapPair:
    """One row of the table; paths are those of the files."""

    half1: Path
    half2: Path
    model: Path
    resolution: float

    @property
    def name(self) -> str:
        """Its name in messages: the model's file."""
        return self.model.name

    def halves(self) -> HalfMaps:
        """Read the half maps."""
        return HalfMaps(read_map(self.half1), read_map(self.half2))


@dataclass(frozen=True)
class Division:
    """The pairs that are learnt from, those that judge, those kept for a test, and why others were left out."""

    training: List[MapPair]
    validation: List[MapPair]
    test: List[MapPair]
    left_out: Dict[str, str]


def read_pairs(table: PathLike) -> List[MapPair]:
    """Read a table (CSV or TSV) with the columns `COLUMNS`; files lie beside it.

    Raises
    ------
    InputError
        ``E_NO_FILE`` a table or a file of it that is missing.
    UsageError
        ``E_PAIRS`` without one of the columns, without rows, or with a resolution that is no number.
    """
    path = require_file(table)
    text = path.read_text(encoding="utf-8-sig").splitlines()
    rows = list(csv.DictReader(text, delimiter="\t" if text and "\t" in text[0] else ","))
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise UsageError("E_PAIRS", f"{path.name} is no table of pairs", f"a first line with {', '.join(COLUMNS)}")
    pairs = []
    for row in rows:
        files = [path.parent / (row[name] or "") for name in COLUMNS[:3]]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise InputError("E_NO_FILE", f"{path.name} names {missing[0]}, which is not there", "mend the table")
        try:
            pairs.append(MapPair(files[0], files[1], files[2], float(row["resolution"])))
        except (TypeError, ValueError) as error:
            hint = "give the resolution in Å"
            raise UsageError("E_PAIRS", f"{row['resolution']!r} is no resolution ({files[2].name})", hint) from error
    return pairs


# --- which pairs ----------------------------------------------------------------------------------------------------


def selected(pairs: Sequence[MapPair], threads: int = 1) -> Tuple[List[MapPair], Dict[str, str]]:
    """Return the pairs that can be learnt from, and for the others the reason, by their names."""
    kept, left_out = [], {}
    for pair in pairs:
        try:
            reason = _reason_against(pair, threads)
        except CryoresError as error:
            reason = error.message
        if reason:
            left_out[pair.name] = reason
        else:
            kept.append(pair)
    return kept, left_out


def _reason_against(pair: MapPair, threads: int) -> str:
    if pair.resolution >= COARSEST:
        return f"{pair.resolution:g} Å is not better than {COARSEST:g} Å"
    structure = read_model(pair.model)
    if len(structure) != 1:
        return f"its file holds {len(structure)} models"
    volume = pair.halves().mean()
    grid = volume.grid
    inside = around_atoms(atom_positions(structure), grid, max(NEAR, grid.spacing))
    if not inside.any():
        return "its model lies outside the map"
    shape = low_pass(max(pair.resolution, grid.nyquist), 0.1 / pair.resolution)
    model = filtered(density_from_model(structure, grid).data, shape, grid, threads)
    fit = correlations(filtered(volume.data, shape, grid, threads), model, inside)[1]
    return "" if fit > LEAST_FIT else f"map and model correlate by {fit:.2f} only"


def clusters(pairs: Sequence[MapPair]) -> List[List[MapPair]]:
    """Return the pairs grouped so that chains of different groups share less than `SAME_KIND` of their residues."""
    chains = [protein_sequences(read_model(pair.model)) for pair in pairs]
    group = list(range(len(pairs)))
    for i in range(len(pairs)):
        for j in range(i):
            if group[i] != group[j] and _related(chains[i], chains[j]):
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    return [[pair for pair, g in zip(pairs, group) if g == number] for number in sorted(set(group))]


def _related(some: Sequence[str], others: Sequence[str]) -> bool:
    return any(sequence_identity(one, other) >= SAME_KIND for one in some for other in others)


def divided(pairs: Sequence[MapPair], seed: int, threads: int = 1) -> Division:
    """Return which pairs are learnt from: whole clusters go to training, validation or test.

    Raises
    ------
    InputError
        ``E_PAIRS_FEW`` where fewer than two clusters are left: one to learn from, one to judge by.
    """
    kept, left_out = selected(pairs, threads)
    groups = clusters(kept)
    if len(groups) < 2:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(
            "E_PAIRS_FEW",
            f"{len(groups)} kind{'' if len(groups) == 1 else 's'} of molecule left of {len(pairs)} pairs ({reasons})",
            "give pairs of at least two molecules whose sequences differ",
        )
    rng = np.random.default_rng(seed)
    groups = [
        [group[k] for k in rng.permutation(len(group))] for group in (groups[k] for k in rng.permutation(len(groups)))
    ]
    judges, tests = max(len(groups) // TENTH, 1), len(groups) // TENTH
    validation, test, training = groups[:judges], groups[judges : judges + tests], groups[judges + tests :]
    learnt = [pair for group in training for pair in group[:MOST_OF_A_KIND]]
    spare = [p for g in training for p in g[MOST_OF_A_KIND:]] + [p for g in (*validation, *test) for p in g[1:]]
    left_out.update({pair.name: "its kind of molecule is there already" for pair in spare})
    return Division(learnt, [group[0] for group in validation], [group[0] for group in test], left_out)


# --- lessons --------------------------------------------------------------------------------------------------------


def lessons_of_pair(pair: MapPair, target: str, seed: int, threads: int = 1) -> List[Lesson]:
    """Return lessons of the cubes of a pair of half maps: those with density, and a few that hold noise alone."""
    recipe, execution = RECIPES[target], Execution(threads)
    halves = pair.halves()
    grid, positions = halves.grid, atom_positions(read_model(pair.model))
    region = halves.half1.like(around_atoms(positions, grid, max(recipe.mask_start, grid.spacing)))
    mask = soft_edge(region, recipe.mask_width)
    wanted = (
        locscale(halves, mask.like(mask.data > 0.01), str(pair.model), execution=execution).sharpened.data * mask.data
    )
    way = OneAngstrom.of(grid, BLOCK, SHAPE[0])
    density = halves.mean().data
    told = described(way.there(density, float(np.median(density)), threads), threads)
    inside = way.there(mask.data, 0.0, threads) > 0.5
    fine = way.there(wanted, 0.0, threads)
    fine *= np.float32(CONTRAST / max(float(fine[inside].std()), 1e-20))
    power = block_powers(told.density, threads)
    share = np.sqrt(block_powers(fine, threads) / np.maximum(power, 1e-3 * np.mean(power, axis=(0, 1, 2))))
    gains = np.where(block_means(inside.astype(np.float32))[..., None] > 0, share * told.amplitude, 0.0)
    return _cubes(told.features, gains.astype(np.float32), np.random.default_rng(seed))


def _cubes(features: Any, gains: Any, rng: Any) -> List[Lesson]:
    edge = SHAPE[0] // BLOCK
    starts = [sorted({*range(0, n - edge, STRIDE), n - edge}) for n in features.shape[:3]]
    places = [(z, y, x) for z in starts[0] for y in starts[1] for x in starts[2]]
    blocks = [tuple(slice(a, a + edge) for a in place) for place in places]
    held = [b for b in blocks if gains[b].any()]
    empty = [b for b in blocks if not gains[b].any()]
    chosen = rng.permutation(len(empty))[: int(np.ceil(NOISE_ONLY * len(held)))]
    return [Lesson(features[b], gains[b]) for b in [*held, *(empty[k] for k in chosen)]]


def train_on_pairs(
    target: str,
    table: PathLike,
    out: PathLike,
    schedule: Schedule,
    start_from: Optional[PathLike] = None,
    threads: int = 1,
    tell: Callable[[str], None] = print,
) -> Path:
    """Train on pairs of half maps with models; return the file of weights.

    ``pairs.csv`` in ``out`` says what became of every row.

    Raises
    ------
    InputError, UsageError
        Those of `read_pairs` and `divided`.
    """
    found = divided(read_pairs(table), schedule.seed, threads)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    _write_division(folder / "pairs.csv", found)
    lessons, judged = (
        [
            one
            for number, pair in enumerate(some)
            for one in lessons_of_pair(pair, target, schedule.seed + number, threads)
        ]
        for some in (found.training, found.validation)
    )
    aside = [*found.validation, *found.test]
    (folder / "kept-aside.txt").write_text("".join(f"{pair.name}\n" for pair in aside))
    about = {"material": "half maps with models", "maps": len(found.training), "kept_aside": len(aside)}
    return learn(target, lessons, judged, folder, schedule, about, start_from, tell)


def _write_division(path: Path, found: Division) -> None:
    rows = [(pair.name, use) for use in ("training", "validation", "test") for pair in getattr(found, use)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [("model", "use"), *rows, *((name, f"left out: {why}") for name, why in found.left_out.items())]
        )
