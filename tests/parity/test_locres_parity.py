"""The calibrated local resolution against planted truth that it was not trained on."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import locres

SETS = {"haemoglobin": (0.60, 2.40, 0.83), "porin": (0.51, 1.80, 0.64)}
"""Median error (Å) of the published program with the smallest; 90th percentile and rank correlation of blocres."""


TOO_FINE = pytest.mark.xfail(strict=True, reason="0.4 Å too fine on a slope: docs/methods/locres.rst, When it lies")


@pytest.fixture(scope="module")
def measured():
    return {}


def told_of(shared_data, name, measured):
    """Return truth, value and ends of the interval at the voxels of the mask."""
    if name in measured:
        return measured[name]
    folder = shared_data / "simulated" / name
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, truth = (read_map(folder / file).data for file in ("mask.mrc.gz", "truth_snr.mrc.gz"))
    result = locres(halves, halves.half1.like(mask))
    inside = mask > 0.5
    found = (result.resolution, result.lower, result.upper)
    return measured.setdefault(name, (truth[inside], *(v.data[inside] for v in found)))


@pytest.mark.parametrize("name", SETS)
def test_it_is_nearer_the_truth_than_the_published_programs(shared_data, name, measured):
    truth, value, _, _ = told_of(shared_data, name, measured)
    told = np.isfinite(value)
    error = np.abs(value - truth)[told]
    median, p90, rank = SETS[name]
    assert told.mean() >= 0.95 and np.median(error) <= median and np.percentile(error, 90) <= p90
    assert spearmanr(value[told], truth[told]).statistic >= rank


@pytest.mark.parametrize("name", [pytest.param("haemoglobin", marks=TOO_FINE), "porin"])
def test_the_interval_holds_the_truth_of_another_simulator(shared_data, name, measured):
    truth, _, low, high = told_of(shared_data, name, measured)
    assert 0.80 <= np.mean((low <= truth) & (truth <= high)) <= 0.99
