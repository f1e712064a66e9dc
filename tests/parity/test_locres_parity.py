"""The calibrated local resolution against planted truth that it was not trained on."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import locres

SETS = {"haemoglobin": (0.60, 2.40, 0.83), "porin": (0.51, 1.80, 0.64)}
"""Median error (Å) of the published program with the smallest; 90th percentile and rank correlation of blocres."""


@pytest.mark.parametrize("name", SETS)
def test_it_is_nearer_the_truth_than_the_published_programs(shared_data, name):
    folder = shared_data / "simulated" / name
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, truth = (read_map(folder / file).data for file in ("mask.mrc.gz", "truth_snr.mrc.gz"))
    result = locres(halves, halves.half1.like(mask))
    inside = mask > 0.5
    value, low, high = (v.data[inside] for v in (result.resolution, result.lower, result.upper))
    told = np.isfinite(value)
    error = np.abs(value - truth[inside])[told]
    median, p90, rank = SETS[name]
    assert told.mean() >= 0.95 and np.median(error) <= median and np.percentile(error, 90) <= p90
    assert spearmanr(value[told], truth[inside][told]).statistic >= rank
    held = (low <= truth[inside]) & (truth[inside] <= high)
    assert 0.80 <= held.mean() <= 0.99
