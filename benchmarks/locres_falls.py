"""locres where the signal ends neither sharply nor slowly: a table of docs/validation.rst.

    python -m benchmarks.locres_falls MODELS --exclude 1bck 6ehb [--network FILE]

Models that the training keeps for its intervals fall off about a cut-off in every shape of `SHAPES`, so that signal
and noise meet at 3.4 to 8 voxels. Those of `UNSEEN` are not among the shapes of the training. The last row has one
B-factor, and noise that is stronger in one place than in another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple
from unittest.mock import patch

import numpy as np
from scipy.special import erfc

from benchmarks.locres_choice import Case, Kind, asked_models, large_kept_models, measured, planted_case, row
from cryores import planted
from cryores.fourier import Float64

Shape = Callable[[Float64, float], Float64]

UNSEEN: Dict[str, Shape] = {
    "fermi": lambda u, width: 1.0 / (1.0 + np.exp(np.minimum((u - 1.0) / width, 50.0))),
    "erfc": lambda u, width: np.asarray(0.5 * erfc((u - 1.0) / width)),
}
"""Transfers at a frequency in cut-offs, for a width in cut-offs."""

SHAPES: List[Tuple[str, float]] = [
    ("cosine", 0.15), ("cosine", 0.5), ("exponential", 3.0), ("exponential", 7.0), ("butterworth", 4.0),
    ("butterworth", 10.0), ("fermi", 0.03), ("fermi", 0.08), ("fermi", 0.2), ("erfc", 0.15), ("erfc", 0.5),
]  # fmt: skip
FIELDS = ("gradient", "gradient", "radial", "blobs")
VOXEL_SIZES = (0.85, 1.05)
NOISE_B = (0.0, 60.0)
SIZE = 96
FINEST, COARSEST = 3.4, 8.0
"""In voxels."""

RATIOS = (3.0, 100.0)
"""Signal over noise, a mask voxel, at the finest."""

REACH = (0.0, 4.0)
"""Å by which the masks reach beyond 3 Å from the atoms."""

UNEVEN = "uneven noise"


def cases(models: List[Path]) -> Iterator[Case]:
    """Return four maps a shape, of other models each, the same every time."""
    large = large_kept_models(models)
    for number, (name, steepness) in enumerate(SHAPES):
        shape = UNSEEN.get(name) or planted.FALLS[name][2]
        with patch.dict(planted.FALLS, {name: (steepness, steepness, shape)}, clear=True):
            yield from _planted("falloff", f"{name} {steepness:g}", large, number)
    yield from _planted("uneven", UNEVEN, large, len(SHAPES))


def _planted(family: str, name: str, models: List[Path], number: int) -> Iterator[Case]:
    rng = np.random.default_rng((7, number))
    for turn, path in enumerate(rng.permutation(np.array(models, dtype=object))[: len(FIELDS)]):
        voxel = VOXEL_SIZES[turn % 2]
        kind = Kind(name, family, FIELDS[turn], FINEST * voxel, COARSEST * voxel, voxel, 1)
        yield planted_case(kind, path, rng, SIZE, RATIOS, REACH, NOISE_B[turn // 2])


def main() -> None:
    """Print a row a shape."""
    rows: Dict[str, List[Any]] = {}
    for case in cases(asked_models(__doc__)):
        rows.setdefault(case.kind, []).append(measured(case))
    for kind, found in rows.items():
        print(row("mean", kind, np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
