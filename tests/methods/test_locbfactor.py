"""LocBFactor: a line through the logarithms of local amplitudes."""

import numpy as np
import pytest

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import sphere
from cryores.postprocessing import locbfactor
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((60, 64, 56), 1.5)
BALL = sphere(GRID, 30.0)
NARROW = {"max_resolution": 15.0, "min_resolution": 4.0, "bandwidth": 1.5, "points": 8}


def white_ball(seed=1):
    noise = np.random.default_rng(seed).standard_normal(GRID.shape)
    return Volume((noise * (0.002 + BALL.data)).astype(np.float32), GRID)


def decayed(volume, b):
    return volume.like(filtered(volume.data, bfactor(b), GRID, 2))


@pytest.fixture(scope="module")
def plain():
    return locbfactor(white_ball(), BALL, **NARROW)


@pytest.mark.parametrize("planted", [40.0, 100.0])
def test_a_further_b_shifts_the_map_by_itself(plain, planted):
    after = locbfactor(decayed(white_ball(), planted), BALL, **NARROW)
    assert np.median(after.values()) - np.median(plain.values()) == pytest.approx(-planted, rel=0.05)
    assert np.median(after.values() - plain.values()) == pytest.approx(-planted, rel=0.05)


def test_two_halves_of_different_decay_are_told_apart(plain):
    left = np.linspace(0, 1, GRID.shape[0]) < 0.5
    weight = np.where(left, 1.0, 0.0)[:, None, None].astype(np.float32)
    both = [decayed(white_ball(), b).data for b in (20.0, 120.0)]
    mixed = white_ball().like(weight * both[0] + (1 - weight) * both[1])
    found = locbfactor(mixed, BALL, **NARROW).bfactor.data - plain.bfactor.data
    inside = BALL.data > 0.5
    deep = np.abs(np.arange(GRID.shape[0]) - GRID.shape[0] / 2) > 6
    sides = [np.nanmedian(found[inside & (side & deep)[:, None, None]]) for side in (left, ~left)]
    # The weight m / (m + Q) makes what is weak against the solvent's amplitudes look steeper still.
    assert sides[0] == pytest.approx(-20.0, abs=15.0)
    assert -170.0 < sides[1] < -110.0


def test_scale_moves_the_intercept_only(plain):
    five = white_ball()
    again = locbfactor(five.like(5 * five.data), BALL, **NARROW)
    np.testing.assert_allclose(again.values(), plain.values(), atol=0.1)
    inside = BALL.data > 0.5
    shift = (again.amplitude.data - plain.amplitude.data)[inside]
    np.testing.assert_allclose(shift, np.log(5.0), atol=2e-3)


def test_the_line_is_that_of_least_squares():
    wanted = {"points": 6, "bandwidth": 3.0, "max_resolution": 15.0}
    few = locbfactor(white_ball(), BALL, min_resolution=5.0, **wanted)
    assert few.details["bands"] == 6 and few.summary()["unit"] == "Å²"
    # A map of one frequency's decay only: amplitudes exp(-b s^2 / 4) at every band give that line exactly.
    from cryores.postprocessing._spiral_bank import Bank, solvent
    from cryores.postprocessing.locbfactor import LocbfactorParameters, _centres

    inside = BALL.data > 0.5
    parameters = LocbfactorParameters(min_resolution=5.0, **wanted)
    bank = Bank(white_ball(), solvent(GRID, inside), parameters, Execution(threads=2))
    centres = _centres(GRID, 15.0, 5.0, 6)
    y = []
    for band in bank.bands(centres):
        m = band.amplitude[inside].astype(np.float64)
        y.append(np.log(m * m / (m + band.noise) / np.sqrt(GRID.size)))
    slope, intercept = np.polyfit((centres / max(GRID.extent)) ** 2, np.array(y), 1)
    np.testing.assert_allclose(few.bfactor.data[inside], 4 * slope, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(few.amplitude.data[inside], intercept, rtol=1e-4, atol=1e-4)


def test_places_that_never_stand_out_have_no_value():
    empty = sphere(GRID, 12.0)
    hollow = white_ball().like(white_ball().data * (1 - 0.999 * empty.data))
    found = locbfactor(hollow, BALL, only_significant=True, **NARROW)
    core = sphere(GRID, 6.0).data > 0.5
    assert np.isnan(found.bfactor.data[core]).mean() > 0.3
    assert np.isnan(found.bfactor.data[BALL.data <= 0.5]).all()
    assert found.summary()["undetermined_fraction"] > 0


def test_threads_change_nothing(plain):
    again = locbfactor(white_ball(), BALL, execution=Execution(threads=1), **NARROW)
    np.testing.assert_allclose(again.values(), plain.values(), atol=0.05)


def test_what_cannot_work_is_refused():
    with pytest.raises(UsageError, match="E_RANGE"):
        locbfactor(white_ball(), BALL, max_resolution=5.2, min_resolution=5.0)
    with pytest.raises(UsageError, match="E_NO_HALVES"):
        locbfactor(white_ball(), BALL)
