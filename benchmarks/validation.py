"""Every local-resolution method on the same planted half maps: the table of docs/validation.rst.

    python -m benchmarks.validation --models DIR --out DIR [--size 64] [--each 12]

Models are those that the training of locres keeps for its calibration: it has never fitted them. Prints a row a set
(all are in validation.csv too), then the means of every family, and in how many of its sets each method errs least.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
from scipy.stats import spearmanr

from cryores import resolution
from cryores.errors import CryoresError
from cryores.execution import Execution
from cryores.nets.training.pieces import listed_models
from cryores.planted import FAMILIES, Planted
from cryores.resolution import _locres_examples
from cryores.resolution._locres_lessons import for_calibration
from cryores.resolution.locres import CalibratedResolution
from cryores.volume import Volume

METHODS: Dict[str, Callable[..., Any]] = {
    "locres": resolution.locres,
    "monores": resolution.monores,
    "blocres": resolution.blocres,
    "relion-locres": lambda halves, mask, execution: resolution.relion_locres(
        halves, mask, execution=execution, sampling=min(25.0, 0.2 * min(halves.grid.extent))
    ),
    "resmap": resolution.resmap,
}


ROW = "{:03d} {:12s}{:8s}{:14s} {:.2f} {:6.1f} {:6.1f} {:+7.1f} {:6.3f} {:6.3f} {:6.1f} s"


class Row(NamedTuple):
    """What one method makes of one set: errors in per cent of the truth, shares, and seconds."""

    number: int
    family: str
    model: str
    method: str
    cover: float
    median: float
    p90: float
    bias: float
    rank: float
    interval: float
    seconds: float


def errors_of(value: Any, truth: Any, inside: Any) -> Tuple[float, ...]:
    """Return cover, median, p90 and bias in per cent of the truth, and the rank correlation."""
    asked = inside & np.isfinite(truth)
    told = asked & np.isfinite(value)
    if told.sum() < 10:
        return (told.sum() / max(asked.sum(), 1), *[float("nan")] * 4)
    off = 100.0 * (value[told] / truth[told] - 1.0)
    varies = np.ptp(truth[told]) > 0.02 * truth[told].mean()
    rank = float(spearmanr(value[told], truth[told])[0]) if varies else float("nan")
    size = np.abs(off)
    return told.sum() / asked.sum(), float(np.median(size)), float(np.percentile(size, 90)), float(off.mean()), rank


def interval_share(found: CalibratedResolution, truth: Any, inside: Any) -> float:
    """Return the share of the voxels with a value whose truth lies in the interval; both may end at Nyquist."""
    told = inside & np.isfinite(truth) & np.isfinite(found.resolution.data)
    held = (found.lower.data <= truth * 1.0001) & (truth <= found.upper.data * 1.0001)
    return float(np.mean(held[told]))


def kept_models(folder: str, exclude: List[str]) -> List[Path]:
    """Return the models of a folder that networks of locres are never fitted to."""
    return [path for path in listed_models(folder, exclude) if for_calibration(path.name)]


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what sets are planted in."""
    parser.add_argument("--models", required=True)
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=11)


def planted_sets(models: List[Path], each: int, size: int, seed: int) -> List[Tuple[str, str, Planted]]:
    """Return family, model and planted halves, the same for all methods."""
    made = []
    _locres_examples.EDGES = (size,)
    for family in FAMILIES:
        if family == "noise":
            continue
        done, number = 0, 0
        while done < each:
            rng = np.random.default_rng((seed, sorted(FAMILIES).index(family), number))
            number += 1
            path = models[int(rng.integers(len(models)))]
            planted = _locres_examples.planted_example(path, rng, {family: 1.0})
            truth = planted.truth.data[planted.mask.data > 0.5]
            spread = np.nanpercentile(truth, 95) / np.nanpercentile(truth, 5)
            # Sets whose resolution hardly varies, or ends at Nyquist, ask nothing of a local method.
            if spread > 1.25 and np.nanpercentile(truth, 10) > 1.05 * planted.truth.grid.nyquist:
                made.append((family, path.name.split(".")[0], planted))
                done += 1
    return made


def judged(made: Planted, name: str) -> Tuple[Volume, Tuple[float, ...]]:
    """Return the resolution that a method finds, its errors, what its interval holds, and its seconds."""
    inside, truth = made.mask.data > 0.5, made.truth.data
    start = time.perf_counter()
    result = METHODS[name](made.halves, made.mask, execution=Execution(threads=2))
    seconds = time.perf_counter() - start
    value: Volume = result.resolution
    held = interval_share(result, truth, inside) if name == "locres" else float("nan")
    return value, (*errors_of(value.data, truth, inside), held, seconds)


def print_means(rows: List[Row]) -> None:
    """Print the means of every method over the sets of a family, and how often it errs least in the median.

    One that leaves more than a tenth of the voxels without a value is not compared.
    """
    print("\nmeans of the sets of a family; best: in how many a method has the smallest median error")
    for family in dict.fromkeys(row.family for row in rows):
        own = [row for row in rows if row.family == family]
        sets = [[row for row in own if row.number == number] for number in sorted({row.number for row in own})]
        compared = [[row for row in one if row.cover > 0.9] for one in sets]
        best = [min(one, key=lambda row: row.median).method for one in compared if one]
        for name in dict.fromkeys(row.method for row in own):
            found = np.array([row[4:10] for row in own if row.method == name])
            cover, median, p90, bias, rank, held = np.nanmean(found, axis=0)
            errors = (
                f"median {median:5.1f} %  p90 {p90:5.1f} %  bias {bias:+6.1f} %  rank {rank:.2f}  interval {held:.2f}"
            )
            print(f"{family:12s}{name:14s} cover {cover:.2f}  {errors}  best {best.count(name)} of {len(sets)}")


def main() -> None:
    """Measure, and write the table and the resolution maps."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_set_arguments(parser)
    parser.add_argument("--out", required=True)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    rows: List[Row] = []
    models = kept_models(arguments.models, arguments.exclude)
    sets = planted_sets(models, arguments.each, arguments.size, arguments.seed)
    for number, (family, model, made) in enumerate(sets):
        kept: Dict[str, Any] = {
            "truth": made.truth.data, "mean": made.halves.mean().data, "inside": made.mask.data > 0.5
        }  # fmt: skip
        for name in arguments.methods:
            try:
                value, found = judged(made, name)
            except CryoresError as error:
                print(f"{family:12s}{model:8s}{name:14s} {error}", flush=True)
                continue
            rows.append(Row(number, family, model, name, *found))
            kept[name] = value.data
            print(ROW.format(*rows[-1]), flush=True)
        np.savez_compressed(out / f"{number:03d}-{family}-{model}.npz", **kept)
    with open(out / "validation.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([Row._fields, *rows])
    print_means(rows)


if __name__ == "__main__":
    main()
