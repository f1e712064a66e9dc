"""The calibrated local resolution against planted truth that it was not trained on."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import locres

SETS = {"haemoglobin": (0.60, 2.40, 0.83), "porin": (0.51, 1.80, 0.64)}
"""Median error (Å) of the published program with the smallest; 90th percentile and rank correlation of blocres."""


@pytest.fixture(scope="module", params=SETS)
def found(request, shared_data):
    """Return the name of a set, and truth, value and ends of the interval at the voxels of its mask."""
    folder = shared_data / "simulated" / request.param
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, truth = (read_map(folder / file).data for file in ("mask.mrc.gz", "truth_snr.mrc.gz"))
    result = locres(halves, halves.half1.like(mask))
    inside = mask > 0.5
    return (request.param, truth[inside], *(v.data[inside] for v in (result.resolution, result.lower, result.upper)))


def test_it_is_nearer_the_truth_than_the_published_programs(found):
    name, truth, value, _, _ = found
    told = np.isfinite(value)
    error = np.abs(value - truth)[told]
    median, p90, rank = SETS[name]
    assert told.mean() >= 0.95 and np.median(error) <= median and np.percentile(error, 90) <= p90
    assert spearmanr(value[told], truth[told]).statistic >= rank


def test_the_interval_holds_the_truth_of_another_simulator(found):
    _, truth, _, low, high = found
    # Nine of ten on the average of maps; the voxels of one map err together.
    assert 0.80 <= np.mean((low <= truth) & (truth <= high)) <= 0.99
