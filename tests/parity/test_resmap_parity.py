"""ResMap against the stored output of the published program, and against the planted truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import resmap

SETS = {"haemoglobin": (2.5, 10.0, 1.28, 4.00, 0.42, 0.80), "porin": (2.0, 5.0, 1.10, 2.49, 0.35, 0.68)}
UNASSIGNED = 99.0


@pytest.mark.parametrize("name", SETS)
def test_it_is_the_published_program_and_finds_the_truth_as_well(shared_data, name):
    folder = shared_data / "simulated" / name
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, truth, stored = (read_map(folder / f).data for f in ("mask.mrc.gz", "truth.mrc.gz", "peers/resmap.mrc.gz"))
    low, high, median, p90, rho, cover = SETS[name]
    given = {"min_resolution": low, "max_resolution": high, "resolution_step": 0.5}
    values = resmap(halves, halves.half1.like(mask), **given).resolution.data
    known = (mask > 0.5) & np.isfinite(values)
    error = np.abs(values[known] - truth[known])
    assert np.median(error) <= median + 0.005 and np.percentile(error, 90) <= p90
    assert spearmanr(values[known], truth[known]).statistic >= rho
    assert known.sum() >= cover * np.count_nonzero(mask > 0.5)
    compat = resmap(halves, halves.half1.like(mask), compat="resmap", **given).resolution.data
    theirs = np.where(stored < UNASSIGNED, stored, np.nan)
    agree = (np.abs(compat - theirs) <= 0.501) | (np.isnan(compat) & np.isnan(theirs))
    assert np.mean(agree[mask > 0.5]) > 0.95
