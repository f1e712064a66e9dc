"""locres on another simulator and other models than those of its training: a table of docs/validation.rst.

    python -m benchmarks.locres_unseen MODELS [--network FILE]

Every model, of any kind that nothing was fitted to or chosen by, gets a sharp low-pass field of `cryores.simulation`:
in turn along its longest axis, from its centre, in blobs, and in two halves. Errors are told as they were asked for: in
Å where the truth is 2.5 to 6 Å, and in per cent of it beyond.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Tuple

import numpy as np
from scipy.stats import spearmanr

from benchmarks.locres_choice import asked_models
from benchmarks.validation import interval_share
from cryores.atoms import atom_positions, read_model
from cryores.resolution import locres
from cryores.simulation import FIELDS, Simulation, simulate

VOXEL_SIZES = (0.8, 1.3)
LARGEST_BOX = 128
MARGIN = 1.35
"""Edge of the box over that of the model."""

IN_VOXELS = (2.4, 3.4)
FALLS = (1.5, 2.8)
RATIOS = (1.0, 8.0)
"""Finest resolution in voxels, coarsest over finest, and signal over noise of a half map in its shell."""

FINE, MIDDLE = 2.5, 6.0
"""Å between which errors are told in Å."""


class Found(NamedTuple):
    """Median and p90 of the errors and their mean in Å in the fine range; the first two in per cent beyond."""

    fine_median: float
    fine_p90: float
    fine_bias: float
    beyond_median: float
    beyond_p90: float
    rank: float
    interval: float


def cases(models: List[Path]) -> Iterator[Tuple[str, Simulation]]:
    """Return a planted map of every model that fits, the same every time."""
    kinds = [field for field in FIELDS if field != "constant"]
    for number, path in enumerate(models):
        rng = np.random.default_rng((4, number))
        voxel = float(rng.uniform(*VOXEL_SIZES))
        structure = read_model(path)
        extent = np.ptp(atom_positions(structure), axis=0)
        edge = 2 * int(np.ceil(0.5 * MARGIN * extent.max() / voxel))
        finest = voxel * float(rng.uniform(*IN_VOXELS))
        coarsest, snr = finest * float(rng.uniform(*FALLS)), float(np.exp(rng.uniform(*np.log(RATIOS))))
        if edge <= LARGEST_BOX:
            kind, noise = kinds[number % len(kinds)], ("white", "coloured")[number // len(kinds) % 2]
            axis = "zyx"[int(np.argmax(extent))]
            made = simulate(structure, (edge,) * 3, voxel, finest, coarsest, kind, axis, snr, noise, seed=number)
            yield f"{path.name[:4]} {kind:11s}{noise:9s}{finest:4.1f} -{coarsest:5.1f} Å, {edge:3d}³", made


def measured(made: Simulation) -> Found:
    """Return the errors of locres."""
    assert made.truth_snr is not None
    inside = made.mask.data > 0.5
    result = locres(made.halves, made.mask)
    truth, value = made.truth_snr.data[inside], result.resolution.data[inside]
    off, fine, beyond = value - truth, (truth >= FINE) & (truth < MIDDLE), truth >= MIDDLE
    return Found(
        *_spread(np.abs(off[fine])), float(np.nanmean(off[fine])) if fine.any() else np.nan,
        *_spread(100.0 * np.abs(off / truth)[beyond]), float(spearmanr(value, truth, nan_policy="omit")[0]),
        interval_share(result, made.truth_snr.data, inside),
    )  # fmt: skip


def _spread(errors: Any) -> Tuple[float, float]:
    return (float(np.nanmedian(errors)), float(np.nanpercentile(errors, 90))) if len(errors) > 20 else (np.nan, np.nan)


def main() -> None:
    """Print a row a map, and the means."""
    models = asked_models(__doc__)
    warnings.simplefilter("ignore")
    rows = []
    form = "{:46s} {:5.2f} {:5.2f} {:+6.2f} Å   {:5.1f} {:5.1f} %   {:.3f}   {:.2f}"
    print(f"{'':46s} median  p90   bias | beyond: median, p90 | rank | interval")
    for name, made in cases(models):
        rows.append(measured(made))
        print(form.format(name, *rows[-1]), flush=True)
    print(form.format(f"mean of {len(rows)}", *np.nanmean(rows, axis=0)))
    print(form.format("median", *np.nanmedian(rows, axis=0)))


if __name__ == "__main__":
    main()
