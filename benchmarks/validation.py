"""Every local-resolution method on the same planted half maps: the table of docs/validation.rst.

    python -m benchmarks.validation --models DIR --out DIR [--size 64] [--each 1]

Models are those that the training of locres keeps for its calibration: it has never fitted them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
from scipy.stats import spearmanr

from cryores import resolution
from cryores.execution import Execution
from cryores.nets.training.pieces import listed_models
from cryores.planted import FAMILIES, Planted
from cryores.resolution import _locres_examples
from cryores.resolution._locres_lessons import for_calibration
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


def main() -> None:
    """Measure, and write the table and the resolution maps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True)
    parser.add_argument("--exclude", nargs="+", default=[])
    parser.add_argument("--out", required=True)
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    models = [path for path in listed_models(arguments.models, arguments.exclude) if for_calibration(path.name)]
    warnings.simplefilter("ignore")
    rows = []
    for family, model, made in planted_sets(models, arguments.each, arguments.size, arguments.seed):
        inside, truth = made.mask.data > 0.5, made.truth.data
        kept: Dict[str, Any] = {"truth": truth, "mean": made.halves.mean().data, "inside": inside}
        for name in arguments.methods:
            start = time.perf_counter()
            try:
                result = METHODS[name](made.halves, made.mask, execution=Execution(threads=2))
            except Exception as error:
                print(f"{family:12s}{model:8s}{name:14s} {error}", flush=True)
                continue
            seconds = time.perf_counter() - start
            value: Volume = result.resolution
            held = float("nan")
            if name == "locres":
                asked = inside & np.isfinite(truth) & np.isfinite(value.data)
                held = float(np.mean(((result.lower.data <= truth) & (truth <= result.upper.data))[asked]))
            row = (family, model, name, *errors_of(value.data, truth, inside), held, seconds)
            rows.append(row)
            kept[name] = value.data
            print(
                "{:12s}{:8s}{:14s} {:.2f} {:6.1f} {:6.1f} {:+7.1f} {:6.3f} {:6.3f} {:6.1f} s".format(*row), flush=True
            )
        np.savez_compressed(out / f"{family}-{model}.npz", **kept)
    lines = [",".join(map(str, row)) for row in rows]
    head = "family,model,method,cover,median,p90,bias,rank,coverage,seconds"
    (out / "validation.csv").write_text("\n".join([head, *lines]) + "\n")


if __name__ == "__main__":
    main()
