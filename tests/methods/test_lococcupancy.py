"""LocOccupancy: the share of bands in which a voxel is as strong as most of the molecule."""

import numpy as np
import pytest

from cryores.errors import UsageError
from cryores.postprocessing import lococcupancy
from cryores.simulation import simulate

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
RANGE = {"max_resolution": 25.0, "min_resolution": 8.0, "bandwidth": 2.0}


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(56, 56, 56), voxel_size=1.5, finest=4.0, coarsest=4.0, seed=3)


@pytest.fixture(scope="module")
def done(made):
    return lococcupancy(made.clean, made.mask, **RANGE)


@pytest.mark.parametrize("quantile", [0.25, 0.6])
def test_the_mean_is_one_minus_the_quantile(made, quantile):
    found = lococcupancy(made.clean, made.mask, quantile=quantile, **RANGE)
    assert found.values().mean() == pytest.approx(1 - quantile, abs=1e-3)
    assert found.values().min() >= 0 and found.values().max() <= 1
    steps = found.values() * found.details["bands"]
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert np.isnan(found.occupancy.data[made.mask.data <= 0.5]).all()


def test_a_part_that_is_weak_is_found(made, done):
    inside = made.mask.data > 0.5
    part = inside & (np.arange(56) < 24)[:, None, None]
    weak = lococcupancy(made.clean.like(np.where(part, 0.2, 1.0) * made.clean.data), made.mask, **RANGE)
    before, after = (found.occupancy.data for found in (done, weak))
    assert before[part].mean() - after[part].mean() > 0.3
    assert after[inside & ~part].mean() > before[inside & ~part].mean()


def test_scale_changes_nothing(made, done):
    again = lococcupancy(made.clean.like(30 * made.clean.data), made.mask, **RANGE)
    assert np.mean(again.values() == done.values()) > 0.9999


def test_a_range_without_a_band_is_refused(made):
    with pytest.raises(UsageError, match="E_RANGE"):
        lococcupancy(made.clean, made.mask, max_resolution=10.0, min_resolution=10.0)
