"""Local resolution as in RELION against RELION's stored output, and against the planted truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import relion_locres

SETS = {"haemoglobin": (1.15, 4.02, 0.95), "porin": (1.51, 2.81, 0.90)}
"""Largest median error and 90 % of the errors, least rank correlation (of porin 0.91 to 0.94, by the random phases)."""


@pytest.mark.parametrize("name", SETS)
def test_it_is_relions_and_finds_the_truth_as_well(shared_data, name):
    folder = shared_data / "simulated" / name
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    files = ("mask.mrc.gz", "truth.mrc.gz", "peers/relion_locres.mrc.gz")
    mask, truth, stored = (read_map(folder / file).data for file in files)
    values = relion_locres(halves, halves.half1.like(mask)).resolution.data
    inside = mask > 0.5
    error = np.abs(values[inside] - truth[inside])
    median, p90, rho = SETS[name]
    assert np.median(error) <= median + 0.005 and np.percentile(error, 90) <= p90
    assert spearmanr(values[inside], truth[inside]).statistic >= rho
    assert np.median(np.abs(values - stored)[inside]) < 0.05
