"""Print one table of the benchmarks, then the accuracy of the local methods on a planted resolution.

``python -m benchmarks`` runs all of them on 128 voxels; ``python -m benchmarks 128 256 deepres`` those that are named.
"""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterator, List

import numpy as np
from scipy.stats import spearmanr

from benchmarks.cases import rows_of
from cryores.method import HALVES, Inputs, LocalResolution, load_method, method_summaries
from cryores.simulation import simulate

PLANTED_SIZE = 96
ROW = "{method:24}{size:6d}{seconds:10.3f}{rffts:8.1f}{volumes:9.1f}{planned_volumes:9.1f}"


def accuracies(names: List[str]) -> Iterator[Dict[str, Any]]:
    """Run local methods with their defaults on half maps planted with 3 to 8 Å, and compare inside the mask."""
    planted = simulate(shape=(PLANTED_SIZE,) * 3, seed=0)
    for name in names:
        method = load_method(name)
        if HALVES not in method.maps:
            continue
        outcome = method.run(Inputs(planted.halves, mask=planted.mask), method.make_parameters({}))
        if isinstance(outcome.result, LocalResolution):
            found = outcome.result.resolution.data
            inside = np.isfinite(found) & (planted.mask.data > 0.5)
            truth = planted.truth.data[inside]
            error = np.abs(found[inside] - truth)
            yield {
                "method": name,
                "cover": inside.sum() / (planted.mask.data > 0.5).sum(),
                "median": np.median(error),
                "p90": np.percentile(error, 90),
                "bias": np.mean(found[inside] - truth),
                "rho": spearmanr(found[inside], truth).statistic,
            }


def main() -> None:
    """Print both tables, each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help="sizes in voxels (128 when none is given) and names (all)")
    words = parser.parse_args().what
    sizes = [int(word) for word in words if word.isdigit()] or [128]
    named = [word for word in words if not word.isdigit()]
    if not set(named) <= set(method_summaries()):
        parser.error(f"the names are {', '.join(method_summaries())}")
    names = named or list(method_summaries())
    print(f"{'method':24}{'size':>6}{'seconds':>10}{'rFFTs':>8}{'volumes':>9}{'planned':>9}")
    for row in (row for name in names for size in sizes for row in rows_of(name, size)):
        print(ROW.format(**row), flush=True)
    print(f"\nplanted 3 to 8 Å, {PLANTED_SIZE}^3 voxels of 1.2 Å; |error| in Å, Spearman's rank correlation")
    print(f"{'method':24}{'cover':>7}{'median':>8}{'p90':>7}{'bias':>7}{'rho':>7}")
    for row in accuracies(names):
        print("{method:24}{cover:7.2f}{median:8.2f}{p90:7.2f}{bias:+7.2f}{rho:7.2f}".format(**row), flush=True)


if __name__ == "__main__":
    main()
