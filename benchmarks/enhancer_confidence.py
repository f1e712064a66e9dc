"""What the enhancers' confidence is made of: ``python -m benchmarks.enhancer_confidence --models DIR``.

On maps of models that the networks learnt from (`benchmarks.enhancer_maps`), the error of the enhanced density over
the model's, both averaged over 3 Å, is fitted by the three numbers of `cryores.nets.enhancer_confidence`. Printed are
they, and for each map the rank correlation of 1 - confidence with the error when the map is left out of the fit.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Iterator, Tuple

import numpy as np

from benchmarks.enhancer_accuracy import relative_error
from benchmarks.enhancer_maps import judged_map
from cryores.atoms import atom_positions, read_model
from cryores.execution import Execution
from cryores.nets.enhancer_confidence import NEVER_KNOWN, fitted, strength
from cryores.nets.own_enhancer import enhance, read_denoiser, read_enhancer, weights_file
from cryores.nets.training.pieces import listed_models, parted

EVERY, SEED = 7, 5000
"""Every so many models that were learnt from; the first seed of their maps."""

VOXELS = 5000
"""Voxels of a map that count."""


def voxels(models: Path, count: int, threads: int) -> Iterator[Tuple[str, Any, Any, Any]]:
    """Yield of maps, in the mask: strength of the density, what the map knows, and relative error."""
    target = "tightTarget"
    first, second = read_enhancer(weights_file(target)), read_denoiser(target)
    done = 0
    for number, path in enumerate(parted(listed_models(models))[0][::EVERY]):
        positions = atom_positions(read_model(path))
        if done == count or np.ptp(positions, axis=0).max() >= 62.0 or len(positions) <= 900:
            continue
        made = judged_map(path, SEED + number, threads)
        found = enhance(made.halves, first, Execution(threads), 1, second)
        inside = made.tight.data > 0.5
        error, _ = relative_error(made.halves.half1.like(found.density), made, threads)
        done += 1
        # Of every map as many voxels, about.
        chosen = np.flatnonzero(inside)[:: max(1, int(inside.sum()) // VOXELS)]
        strengths, errors = (some.ravel()[chosen] for some in (strength(found.density), error))
        yield path.name.split(".")[0], strengths, np.full(len(chosen), found.details["known"]), errors


def main() -> None:
    """Print the fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--count", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    maps = list(voxels(given.models, given.count, given.threads))
    for name, *own in maps:
        others = [np.concatenate(column) for column in zip(*(rest for other, *rest in maps if other != name))]
        print(
            {"name": name, "rank": round(rank(own, fitted(*others)), 2), "median": round(float(np.median(own[2])), 2)}
        )
    scale, by_strength, by_unknown = fitted(*(np.concatenate(column) for column in list(zip(*maps))[1:]))
    print({"scale": round(scale, 2), "by_strength": round(by_strength, 2), "by_unknown": round(by_unknown, 2)})


def rank(columns: Any, numbers: Any) -> float:
    """Return the rank correlation of the expected with the true error."""
    from scipy.stats import spearmanr

    strengths, known, error = columns
    scale, by_strength, by_unknown = numbers
    expected = scale * (1.0 + NEVER_KNOWN - known) ** by_unknown / np.maximum(strengths, 1e-3) ** by_strength
    return float(spearmanr(expected, error).statistic)


if __name__ == "__main__":
    main()
