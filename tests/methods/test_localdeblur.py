"""LocalDeblur: the operator, its factors, and the iteration."""

import numpy as np
import pytest

from cryores.diagnosis import diagnose
from cryores.errors import CryoresError
from cryores.fourier import filtered
from cryores.masks import automatic_mask
from cryores.postprocessing import localdeblur
from cryores.postprocessing._deblur_bank import (
    Deblurring,
    band_resolutions,
    band_response,
    band_weights,
    factorised,
)
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((44, 48, 40), 1.4)


def noise(seed=0, grid=GRID):
    return np.random.default_rng(seed).standard_normal(grid.shape).astype(np.float32)


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=8.0, b=60.0, seed=3)


@pytest.fixture(scope="module")
def resolution(made):
    return made.mask.like(np.where(made.mask.data > 0.5, made.truth.data, np.nan))


@pytest.mark.parametrize("k", [0.01, 0.025, 0.05])
def test_the_factors_are_the_weights(k):
    bands = band_resolutions(GRID, 11.0)
    factors = factorised(GRID, 2.8, 11.0, k)
    s = factors.frequency_step * np.arange(factors.responses.shape[1])
    for d in (2.8, 4.437, 7.1, 11.0):
        exact = band_weights(bands, np.array([d]), k)[:, 0] @ np.array([band_response(b, s) for b in bands])
        at = (d - factors.finest) / 0.01
        i = int(at)
        weight = (1 - (at - i)) * factors.weights[:, i] + (at - i) * factors.weights[:, i + 1]
        np.testing.assert_allclose(weight @ factors.responses, exact, atol=2e-5)
    assert len(factors.responses) <= 14 < len(bands)


@pytest.mark.parametrize("d", [3.0, 6.5])
def test_a_constant_resolution_is_a_global_filter(d):
    data = noise()
    operator = Deblurring(Volume(np.full(GRID.shape, d, np.float32), GRID), 0.025, 2)
    bands = band_resolutions(GRID, d)
    weights = band_weights(bands, np.array([d]), 0.025)[:, 0]

    def response(s):
        return weights @ np.array([band_response(b, s) for b in bands])

    z, y, x = (np.fft.fftfreq(n, v) for n, v in zip(GRID.shape, GRID.voxel_size))
    s = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    expected = np.fft.ifftn(np.fft.fftn(data) * response(s.ravel()).reshape(s.shape)).real
    found = operator.apply(data, np.empty_like(data))
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max() + 1e-5)


def test_every_voxel_has_the_weights_of_its_resolution():
    data = noise(1)
    d = np.broadcast_to(np.linspace(3.0, 9.0, 40, dtype=np.float32), GRID.shape).copy()
    inside = np.zeros(GRID.shape, bool)
    inside[5:-5, 5:-5, 5:-5] = True
    found = Deblurring(Volume(np.where(inside, d, np.float32(np.nan)), GRID), 0.025, 2).apply(data, np.empty_like(data))
    bands = band_resolutions(GRID, float(d[inside].max()))
    weights = band_weights(bands, d[inside].astype(np.float64), 0.025)
    z, y, x = (np.fft.fftfreq(n, v) for n, v in zip(GRID.shape, GRID.voxel_size))
    s = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    spectrum = np.fft.fftn(data)
    expected = sum(g * np.fft.ifftn(spectrum * band_response(b, s)).real[inside] for b, g in zip(bands, weights))
    np.testing.assert_allclose(found[inside], expected, atol=3e-4 * np.abs(expected).max())
    assert not found[~inside].any()


def test_the_iteration_is_the_published_one(made, resolution):
    volume = made.halves.mean()
    result = localdeblur(volume, resolution, iterations=3, step=4.0)
    known = np.isfinite(resolution.data)
    operator = Deblurring(resolution, 0.025, 2)
    floor = -4 * volume.data[~known].std()
    x = volume.data.copy()
    for _ in range(3):
        kept = operator.apply(x, np.empty_like(x))
        x = np.maximum(x + 4.0 * operator.apply(volume.data - kept, np.empty_like(x)), floor)
    np.testing.assert_allclose(result.sharpened.data, x, atol=1e-4 * np.abs(x).max())
    assert result.details["rounds"][0]["iterations"] == 3
    assert result.sharpened.data.min() >= floor * 1.0001
    np.testing.assert_allclose(result.sharpened.data[~known], np.maximum(volume.data[~known], floor), atol=1e-6)


def test_scale_goes_through_and_a_decay_is_undone(made, resolution):
    volume = made.halves.mean()
    result = localdeblur(volume, resolution)
    seven = localdeblur(volume.like(7 * volume.data), resolution)
    np.testing.assert_allclose(
        seven.sharpened.data, 7 * result.sharpened.data, atol=1e-3 * np.abs(volume.data).max() * 7
    )
    fine = {}
    for name, v in (("before", result.before), ("after", result.sharpened)):
        coarse, sharp = (
            filtered(v.data, lambda s, at=at: np.exp(-0.5 * ((s - 1 / at) / 0.015) ** 2), v.grid, 2)[
                made.mask.data > 0.5
            ]
            for at in (14.0, 5.0)
        )
        fine[name] = sharp.std() / coarse.std()
    assert fine["after"] > 1.5 * fine["before"]


def test_monores_is_run_where_no_resolution_is_given(made):
    result = localdeblur(made.halves, mask=made.mask, iterations=1)
    from cryores.resolution import monores

    expected = monores(made.halves, made.mask).resolution.data
    np.testing.assert_allclose(result.extra["resolution"].data, expected, rtol=1e-5)


def test_doubts_of_one_map_without_a_mask_are_those_with_the_mask_that_is_made(made):
    masked = made.halves.mean().like(made.halves.mean().data * (made.mask.data > 0.5))
    told = localdeblur(masked, iterations=1).details["warnings"]
    assert told == [str(finding) for finding in diagnose(masked, automatic_mask(masked))]
    assert told and localdeblur(made.halves, mask=made.mask, iterations=1).details["warnings"] == []


def test_rounds_measure_again_until_they_settle(made, resolution):
    result = localdeblur(made.halves.mean(), resolution, rounds=2, iterations=2)
    rounds = result.details["rounds"]
    assert len(rounds) == 2 and set(result.extra) == {"round_1", "round_2"}
    np.testing.assert_array_equal(result.extra["round_2"].data, result.sharpened.data)
    assert not np.allclose(result.extra["round_1"].data, result.sharpened.data)
    narrow = resolution.like(np.where(np.isfinite(resolution.data), 5.0, np.nan))
    settled = localdeblur(made.halves.mean(), narrow, rounds=0, iterations=2)
    assert len(settled.details["rounds"]) == 1


@pytest.mark.parametrize(
    ("values", "code"), [(0.0, "E_RESOLUTION_EMPTY"), (-3.0, "E_RESOLUTION_NEGATIVE"), (5.0, "E_NO_NOISE")]
)
def test_resolutions_that_mean_nothing_are_refused(made, values, code):
    with pytest.raises(CryoresError, match=code):
        localdeblur(made.halves.mean(), Volume(np.full(made.mask.data.shape, values, np.float32), made.mask.grid))
