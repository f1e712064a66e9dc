"""LocBSharpen: amplitudes finer than 15 Å are levelled."""

import numpy as np
import pytest

from cryores.filters import bfactor
from cryores.fourier import filtered, rfft, shell_frequencies
from cryores.guinier import fit_guinier, mean_amplitudes
from cryores.postprocessing import locbsharpen
from cryores.simulation import simulate

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
RANGE = {"max_resolution": 25.0, "min_resolution": 4.0}


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(48, 48, 48), voxel_size=1.5, finest=4.0, coarsest=4.0, b=120.0, seed=3)


def test_a_decay_is_taken_out(made):
    result = locbsharpen(made.halves, made.mask, keep_negative=True, **RANGE)
    grid = made.halves.grid
    fits = [
        fit_guinier(shell_frequencies(grid), mean_amplitudes(rfft(v.data * made.mask.data, 2), grid), 12.0, 4.5)
        for v in (result.before, result.sharpened)
    ]
    assert fits[0].bfactor < -80
    assert abs(fits[1].bfactor) < 0.5 * abs(fits[0].bfactor)


def test_scale_and_an_overall_filter_change_little(made):
    first = locbsharpen(made.halves, made.mask, **RANGE).sharpened.data
    scaled = [h.like(9 * h.data) for h in (made.halves.half1, made.halves.half2)]
    again = locbsharpen(type(made.halves)(*scaled), made.mask, **RANGE).sharpened.data
    np.testing.assert_allclose(again, first, atol=1e-3 * first.max())
    softer = [h.like(filtered(h.data, bfactor(40.0), h.grid, 2)) for h in (made.halves.half1, made.halves.half2)]
    after = locbsharpen(type(made.halves)(*softer), made.mask, **RANGE).sharpened.data
    assert np.corrcoef(first.ravel(), after.ravel())[0, 1] > 0.97
