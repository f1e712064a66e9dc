"""blocres against the stored output of the published program, and against the planted truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.mapio import read_half_maps, read_map
from cryores.resolution import blocres

SETS = {"haemoglobin": (1.05, 2.40, 0.83), "porin": (1.18, 1.80, 0.64)}
pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


def load(folder):
    return read_half_maps(folder / "half1.mrc", folder / "half2.mrc"), read_map(folder / "mask.mrc.gz")


@pytest.mark.parametrize("name", SETS)
def test_exact_boxes_agree_with_the_published_program(shared_data, name):
    halves, mask = load(shared_data / "simulated" / name)
    stored = read_map(shared_data / "simulated" / name / "peers/blocres_box24_step2_fsc05.mrc.gz").data
    # step 6 has every third of the stored points: enough to compare
    values = blocres(halves, mask, box=24, mode="exact", step=6).resolution.data
    lattice = np.zeros(values.shape, dtype=bool)
    lattice[::6, ::6, ::6] = True
    both = lattice & (stored > 0) & np.isfinite(values)
    assert both.sum() > 500
    assert np.median(np.abs(values[both] - stored[both])) < 0.05


@pytest.mark.parametrize("name", SETS)
def test_planted_truth_is_found_as_well_as_by_the_published_program(shared_data, name):
    halves, mask = load(shared_data / "simulated" / name)
    truth = read_map(shared_data / "simulated" / name / "truth.mrc.gz").data
    values = blocres(halves, mask, box=24).resolution.data
    known = (mask.data > 0.5) & np.isfinite(values)
    error = np.abs(values[known] - truth[known])
    median, p90, rho = SETS[name]
    assert known.sum() == np.count_nonzero(mask.data > 0.5)
    assert np.median(error) <= median and np.percentile(error, 90) <= p90
    assert spearmanr(values[known], truth[known]).statistic >= rho
