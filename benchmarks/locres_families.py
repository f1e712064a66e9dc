"""The estimator of locres on each family that its training has not seen: the second table of docs/validation.rst.

    python -m benchmarks.locres_families --models DIR --cache DIR [--maps 600] [--epochs 12]

For every family, both steps are trained and calibrated on the maps of all others, and judged on that family's maps of
models that nothing was fitted to.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Iterator

import numpy as np

from cryores.nets.training.pieces import listed_models
from cryores.resolution._locres_examples import FAMILY_SHARES, Example, stored_examples
from cryores.resolution._locres_training import LARGEST_NEARBY, Errors, errors, for_calibration, some_answers, train


def judged_without(family: str, models: list, seed: int, maps: int, epochs: int, cache: Path) -> Errors:
    """Return the errors on a family of a network that never saw it."""

    def examples(wanted: bool) -> Iterator[Example]:
        return (e for e in stored_examples(models, seed, maps, cache) if (e.family == family) is wanted)

    network, _ = train(lambda: examples(False), epochs, seed, lambda line: None)
    rng = np.random.default_rng(seed)
    unseen = (e for e in examples(True) if for_calibration(e.model) and np.count_nonzero(e.inside) <= LARGEST_NEARBY)
    return errors(network, [some_answers(e, network.bands, rng) for e in unseen])


def main() -> None:
    """Print a row a family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True)
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--maps", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--families", nargs="+", default=[name for name in FAMILY_SHARES if name != "noise"])
    arguments = parser.parse_args()
    models = listed_models(arguments.models, arguments.exclude)
    for family in arguments.families:
        found = judged_without(family, models, arguments.seed, arguments.maps, arguments.epochs, arguments.cache)
        print(
            f"{family:12s} maps {found.maps:3d} median {100 * found.median:5.1f} % p90 {100 * found.p90:5.1f} % "
            f"bias {100 * found.bias:+5.1f} % rank {found.correlation:.2f} interval {found.coverage:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
