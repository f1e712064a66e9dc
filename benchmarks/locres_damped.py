"""``locres`` on maps whose signal is damped by a B-factor before noise is added: far stronger at low frequency.

``python -m benchmarks.locres_damped MODELS`` with the folder of models. They are some that the training keeps for its
intervals; `cryores.simulation` makes the maps: a low-pass along an axis, signal over noise of 4 in the finest shell.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.validation import errors_of
from cryores.atoms import isotropic, read_model
from cryores.resolution import locres
from cryores.simulation import Simulation, simulate


class Case(NamedTuple):
    """A model in a box; the range of its resolution in Å along an axis, and the B-factor in Å² that all atoms get."""

    model: str
    size: int
    voxel_size: float
    finest: float
    coarsest: float
    axis: str
    b: float


CASES = (
    Case("4dkm", 112, 1.05, 3.0, 8.0, "z", 0.0),
    Case("8tim", 112, 0.8, 2.0, 5.0, "y", 30.0),
    Case("5aog", 96, 1.05, 3.0, 8.0, "y", 40.0),
    Case("2icr", 112, 1.05, 3.0, 8.0, "z", 60.0),
    Case("1kwf", 96, 1.05, 3.0, 8.0, "z", 80.0),
    Case("8tim", 96, 0.9, 2.2, 6.0, "x", 90.0),
    Case("1h2t", 112, 1.05, 3.5, 9.0, "y", 100.0),
    Case("2icr", 112, 1.05, 3.0, 8.0, "z", 120.0),
)


def made(models: Path, case: Case) -> Simulation:
    """Simulate a case."""
    structure = isotropic(read_model(next(models.rglob(f"{case.model}.pdb*"))))
    for site in structure[0].all():
        site.atom.b_iso += case.b
    box = (case.size,) * 3
    return simulate(structure, box, case.voxel_size, case.finest, case.coarsest, axis=case.axis)


if __name__ == "__main__":
    for case in CASES:
        maps = made(Path(sys.argv[1]), case)
        assert maps.truth_snr is not None
        truth, inside = maps.truth_snr.data, maps.mask.data > 0.5
        found = locres(maps.halves, maps.mask)
        low, high = (found.extra[name].data for name in ("lower", "upper"))
        _, median, p90, bias, rank = errors_of(found.resolution.data, truth, inside)
        held = np.mean(((low <= truth) & (truth <= high))[inside])
        errors = f"median {median:4.1f} %  p90 {p90:4.1f} %  bias {bias:+5.1f} %  rank {rank:.3f}"
        print(f"{case.model} B {case.b:3.0f}  {errors}  interval {held:.2f}")
