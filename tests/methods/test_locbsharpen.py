"""LocBSharpen: amplitudes finer than 15 Å are levelled."""

import numpy as np
import pytest

from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import sphere
from cryores.postprocessing import locbsharpen
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
RANGE = {"max_resolution": 25.0, "min_resolution": 4.0}


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(48, 48, 48), voxel_size=1.5, finest=4.0, coarsest=4.0, b=120.0, seed=3)


def local_amplitudes(volume, inside, resolutions):
    """Return the standard deviation of the density inside, in a narrow band about each resolution."""
    bands = [
        filtered(volume.data, lambda s, at=at: np.exp(-0.5 * ((s - 1 / at) / 0.012) ** 2), volume.grid, 2)
        for at in resolutions
    ]
    return np.array([band[inside].std() for band in bands])


def test_a_decay_is_taken_out():
    grid, rng = Grid.regular((64, 64, 64), 1.5), np.random.default_rng(3)
    ball = sphere(grid, 33.0)
    white = rng.standard_normal(grid.shape).astype(np.float32) * ball.data
    noise = 1e-3 * rng.standard_normal(grid.shape).astype(np.float32)
    before, after = {}, {}
    for b in (0.0, 200.0):
        decayed = Volume(filtered(white, bfactor(b), grid, 2) + noise, grid)
        result = locbsharpen(decayed, ball, keep_negative=True, bandwidth=2.0, **RANGE)
        for kept, volume in ((before, decayed), (after, result.sharpened)):
            kept[b] = local_amplitudes(volume, ball.data > 0.5, (9.0, 7.0, 6.0, 5.0))
    planted = np.exp(-0.25 * 200.0 * (1 / 25.0 - 1 / 81.0))
    np.testing.assert_allclose(
        (before[200.0] / before[200.0][0])[-1] / (before[0.0] / before[0.0][0])[-1], planted, rtol=0.1
    )
    np.testing.assert_allclose(after[200.0] / after[200.0][0], 1.0, atol=0.2)
    np.testing.assert_allclose(after[200.0] / after[200.0][0], after[0.0] / after[0.0][0], atol=0.15)


def test_scale_and_an_overall_filter_change_little(made):
    first = locbsharpen(made.halves, made.mask, **RANGE).sharpened.data
    scaled = [h.like(9 * h.data) for h in (made.halves.half1, made.halves.half2)]
    again = locbsharpen(type(made.halves)(*scaled), made.mask, **RANGE).sharpened.data
    np.testing.assert_allclose(again, first, atol=1e-3 * first.max())
    softer = [h.like(filtered(h.data, bfactor(40.0), h.grid, 2)) for h in (made.halves.half1, made.halves.half2)]
    after = locbsharpen(type(made.halves)(*softer), made.mask, **RANGE).sharpened.data
    assert np.corrcoef(first.ravel(), after.ravel())[0, 1] > 0.97
