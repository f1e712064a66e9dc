"""The maps that networks of ``locres`` are chosen by: simulated from models that its training keeps for its intervals.

    python -m benchmarks.locres_choice MODELS [--network FILE]

The first kinds are made by `cryores.planted`, with masks that reach a little into the solvent; the last, ``damped``, by
`cryores.simulation`: a low-pass along an axis, of signal that falls by a B-factor before noise is added. Such signal is
far stronger at low frequency, as in real maps.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from benchmarks.validation import errors_of, interval_share
from cryores.atoms import isotropic, read_model
from cryores.nets.training.pieces import listed_models
from cryores.planted import plant
from cryores.resolution import locres
from cryores.resolution._locres_examples import _fitted, _prepared
from cryores.resolution._locres_lessons import for_calibration
from cryores.resolution._resolution_network import Network
from cryores.simulation import simulate
from cryores.volume import FloatArray, Grid, HalfMaps, Volume


class Kind(NamedTuple):
    """A way of losing resolution, the range of it in Å, the voxel size in Å, and how many maps there are."""

    name: str
    family: str
    field: str
    finest: float
    coarsest: float
    voxel_size: float
    maps: int


class Damped(NamedTuple):
    """A model in a box; the range of its resolution in Å along an axis, and the B-factor in Å² that all atoms get."""

    model: str
    size: int
    voxel_size: float
    finest: float
    coarsest: float
    axis: str
    b: float


class Case(NamedTuple):
    """Half maps, where they are asked, and the truth in Å."""

    kind: str
    name: str
    halves: HalfMaps
    mask: Volume
    truth: FloatArray


KINDS = (
    Kind("low-pass along an axis, 3 to 8 Å", "lowpass", "gradient", 3.0, 8.0, 1.05, 5),
    Kind("low-pass along an axis, 2 to 5 Å", "lowpass", "gradient", 2.0, 5.0, 0.8, 5),
    Kind("low-pass from a centre, 2.8 to 7 Å", "lowpass", "radial", 2.8, 7.0, 1.05, 2),
    Kind("low-pass in blobs, 3 to 7 Å", "lowpass", "blobs", 3.0, 7.0, 1.05, 3),
    Kind("B-factors along an axis, 3 to 7 Å", "bfactor", "gradient", 3.0, 7.0, 1.05, 3),
    Kind("B-factors in blobs, 3 to 7 Å", "bfactor", "blobs", 3.0, 7.0, 1.05, 2),
    Kind("missing directions, 3 to 7 Å", "orientation", "gradient", 3.0, 7.0, 1.05, 2),
)
SIZE = 112
FEWEST_ATOMS = 2000
RATIOS = (10.0, 120.0)
"""Signal over noise, a mask voxel, at the finest cut-off of a low-pass field."""

REACH = (0.0, 6.0)
"""Å by which the masks reach beyond 3 Å from the atoms."""

DAMPED = (
    Damped("4dkm", 112, 1.05, 3.0, 8.0, "z", 0.0),
    Damped("8tim", 112, 0.8, 2.0, 5.0, "y", 30.0),
    Damped("5aog", 96, 1.05, 3.0, 8.0, "y", 40.0),
    Damped("2icr", 112, 1.05, 3.0, 8.0, "z", 60.0),
    Damped("1kwf", 96, 1.05, 3.0, 8.0, "z", 80.0),
    Damped("8tim", 96, 0.9, 2.2, 6.0, "x", 90.0),
    Damped("1h2t", 112, 1.05, 3.5, 9.0, "y", 100.0),
    Damped("2icr", 112, 1.05, 3.0, 8.0, "z", 120.0),
)


def large_kept_models(models: List[Path]) -> List[Path]:
    """Return those with many atoms that no network of locres is fitted to."""
    kept = [path for path in models if for_calibration(path.name)]
    return [path for path in kept if len(list(read_model(path)[0].all())) >= FEWEST_ATOMS]


def cases(models: List[Path]) -> Iterator[Case]:
    """Return all cases, the same every time."""
    large = large_kept_models(models)
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng((1, number))
        for path in rng.permutation(np.array(large, dtype=object))[: kind.maps]:
            yield planted_case(kind, path, rng)
    for case in DAMPED:
        yield _damped(next(path for path in models if path.name.startswith(case.model)), case)


def planted_case(
    kind: Kind, path: Path, rng: Any, size: int = SIZE, ratios: Tuple[float, float] = RATIOS,
    reach: Tuple[float, float] = REACH, noise_b: float = 0.0,
) -> Case:  # fmt: skip
    """Plant a model's loss of resolution, with a ratio of signal to noise and a reach of the mask drawn from ranges."""
    structure, edge = _fitted(_prepared(read_model(path), rng), kind.voxel_size, size, rng)
    made = plant(
        kind.family, structure, Grid.regular((edge,) * 3, kind.voxel_size), kind.finest, kind.coarsest,
        float(np.exp(rng.uniform(*np.log(ratios)))), kind.field, noise_b, int(rng.integers(2**31)),
        reach=float(rng.uniform(*reach)),
    )  # fmt: skip
    return Case(kind.name, path.name[:4], made.halves, made.mask, made.truth.data)


def _damped(path: Path, case: Damped) -> Case:
    structure = isotropic(read_model(path))
    for site in structure[0].all():
        site.atom.b_iso += case.b
    box = (case.size,) * 3
    made = simulate(structure, box, case.voxel_size, case.finest, case.coarsest, axis=case.axis)
    assert made.truth_snr is not None
    return Case("damped", f"{case.model} B {case.b:3.0f}", made.halves, made.mask, made.truth_snr.data)


def measured(case: Case) -> Tuple[float, ...]:
    """Return median, p90 and bias in per cent of the truth, the rank correlation, and what the interval holds."""
    inside = (case.mask.data > 0.5) & np.isfinite(case.truth)
    found = locres(case.halves, case.mask)
    _, median, p90, bias, rank = errors_of(found.resolution.data, case.truth, inside)
    return median, p90, bias, rank, interval_share(found, case.truth, inside)


def row(name: str, kind: str, found: Any) -> str:
    """Return what was `measured` in words."""
    median, p90, bias, rank, held = found
    errors = f"median {median:4.1f} %  p90 {p90:4.1f} %  bias {bias:+5.1f} %  rank {rank:.3f}"
    return f"{kind:36s} {name:12s} {errors}  interval {held:.2f}"


def asked_models(description: Optional[str]) -> List[Path]:
    """Read the command line: return the models of its folder, and make locres use its network if there is one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("models")
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--network", type=Path, help="default: the one that ships")
    arguments = parser.parse_args()
    if arguments.network:
        network = Network.load(arguments.network)
        import_module("cryores.resolution.locres").shipped_network = lambda: network  # type: ignore[attr-defined]
    return listed_models(arguments.models, arguments.exclude)


def main() -> None:
    """Print a row a map, and the mean of every kind."""
    all_found: List[Tuple[str, Any]] = []
    for case in cases(asked_models(__doc__)):
        all_found.append((case.kind, measured(case)))
        print(row(case.name, *all_found[-1]), flush=True)
    for kind in dict.fromkeys(kind for kind, _ in all_found):
        rows = np.array([found for name, found in all_found if name == kind])
        spread = rows[:, -1].std()
        print(row("mean", kind, rows.mean(axis=0)), f"+- {spread:.2f}")
    planted = np.array([found for name, found in all_found if name != "damped"])
    print(row("mean", "all but damped", planted.mean(axis=0)), f"+- {planted[:, -1].std():.2f}")


if __name__ == "__main__":
    main()
