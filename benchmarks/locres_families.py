"""The estimator of locres on each family that its training has not seen: the second table of docs/validation.rst.

    python -m benchmarks.locres_families --models DIR --cache DIR [--maps 600] [--epochs 12]

For every family, both steps are trained and calibrated on the maps of all others, and judged on that family's maps of
models that nothing was fitted to.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List

from cryores.nets.training.chunks import side_by_side
from cryores.nets.training.pieces import listed_models
from cryores.planted import FAMILIES
from cryores.resolution._locres_lessons import Answers, Lessons, for_calibration
from cryores.resolution._locres_training import Errors, errors, train
from cryores.resolution._resolution_network import Committee


def judged_without(family: str, lessons: Lessons, maps: int, epochs: int, threads: int) -> Errors:
    """Return the errors on a family of a network that never saw it."""
    whole: List[Answers] = []

    def nearby(bands: Committee) -> List[Answers]:
        with side_by_side(threads) as each:
            whole.extend(lessons.all_nearby(bands, maps, each))
        return [a for a in whole if a.family != family]

    voxels = [v for v in lessons.voxels(maps) if v.family != family]
    network, _ = train(voxels, nearby, epochs, lessons.seed, lambda line: None)
    return errors(network, [a for a in whole if a.family == family and for_calibration(a.model)])


def main() -> None:
    """Print a row a family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True)
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--maps", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--families", nargs="+", default=[name for name in FAMILIES if name != "noise"])
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    lessons = Lessons(listed_models(arguments.models, arguments.exclude), arguments.seed, arguments.cache)
    with side_by_side(arguments.threads) as each:
        lessons.make_all(arguments.maps, each)
    for family in arguments.families:
        found = judged_without(family, lessons, arguments.maps, arguments.epochs, arguments.threads)
        print(
            f"{family:12s} maps {found.maps:3d} median {100 * found.median:5.1f} % p90 {100 * found.p90:5.1f} % "
            f"bias {100 * found.bias:+5.1f} % rank {found.correlation:.2f} interval {found.coverage:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
