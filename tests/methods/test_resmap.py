"""ResMap: its invariants, and where it has to stop."""

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.stats import chi2

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import sphere
from cryores.resolution import resmap
from cryores.resolution._steerable import autocorrelation, model_at, noise_variance, statistic
from cryores.resolution.resmap import benjamini_yekutieli
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps, Volume
from cryores.weighted_chi_square import log_tail, quantile
from cryores.whitening import fit_whitening

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((64, 64, 64), 1.0)


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


def white(seed, shape=GRID.shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- the tail -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [6, 16])
@pytest.mark.parametrize("x", [1.0, 10.0, 40.0, 300.0])
def test_the_tail_of_equal_weights_is_that_of_chi_square(count, x):
    assert log_tail(x, np.ones(count)) == pytest.approx(chi2.logsf(x, count), rel=1e-8, abs=1e-8)
    assert log_tail(3 * x, 3 * np.ones(count)) == pytest.approx(chi2.logsf(x, count), rel=1e-8, abs=1e-8)


def test_the_tail_of_unequal_weights_is_that_of_samples():
    weights = model_at(5.2, 1.0).eigenvalues
    samples = (weights[:, None] * np.random.default_rng(0).standard_normal((16, 400000)) ** 2).sum(axis=0)
    for tail in (0.5, 0.05, 0.005):
        share = np.mean(samples > quantile(tail, weights))
        assert share == pytest.approx(tail, abs=4 * np.sqrt(tail / samples.size))


# --- the test of a voxel ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [2.2, 3.2, 5.2, 9.0])
def test_the_statistic_is_the_gain_of_weighted_least_squares(resolution):
    """Fitted in one window at a time, as the paper has it."""
    shape = (12, 15, 13)
    data = 5 + white(3, shape)
    model = model_at(resolution, 1.0)
    wanted = np.zeros(shape, dtype=bool)
    places = [(0, 0, 0), (5, 7, 6), (11, 14, 2)]
    for place in places:
        wanted[place] = True
    r = model.radius
    axis = 2 * np.pi / resolution * np.sqrt(0.4) * np.arange(-r, r + 1)
    coordinates = np.stack([c.ravel() for c in np.meshgrid(axis, axis, axis, indexing="ij")])
    golden = (1 + np.sqrt(5)) / 2
    five = [(1, 0, golden), (1, 0, -golden), (0, golden, 1), (0, -golden, 1), (golden, 1, 0), (-golden, 1, 0)]
    three = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
    for b in (golden, -golden):
        three += [(0, b, 1 / golden), (b, 1 / golden, 0), (1 / golden, 0, b)]
    even, odd = (np.array([np.array(n) / np.linalg.norm(n) for n in axes]) @ coordinates for axes in (five, three))
    columns = np.concatenate([np.ones((1, axis.size**3)), 4 * even**2 - 2, odd**3 - 2.254 * odd]).T
    root = np.exp(-0.5 * np.sum(coordinates**2, axis=0))
    expected = []
    for place in places:
        window = np.ix_(*(np.arange(c - r, c + r + 1) % n for c, n in zip(place, shape)))
        y = root * data[window].ravel()
        left = [
            np.sum((y - a @ np.linalg.lstsq(a, y, rcond=None)[0]) ** 2)
            for a in (root[:, None] * columns[:, :1], root[:, None] * columns)
        ]
        expected.append(left[0] - left[1])
    assert np.allclose(statistic(data, model, wanted), expected, rtol=1e-4)


def test_the_noise_variance_is_the_mean_of_all_windows():
    noise = white(5, (24, 20, 22))
    noise += np.roll(noise, 1, axis=0)
    model = model_at(4.0, 1.0)
    everywhere = np.ones(noise.shape, dtype=bool)
    y = noise.astype(np.float64)
    y -= y.mean()
    box = np.ones_like(model.weight) / model.weight.size
    mean, first, second = (
        correlate(a, w, mode="wrap") for a, w in ((y, box), (y, model.weight), (y * y, model.weight))
    )
    unexplained = (
        second
        - 2 * mean * first
        + mean**2 * model.weight.sum()
        - statistic(noise, model, everywhere).reshape(noise.shape)
    )
    correlation = autocorrelation(noise, everywhere, 2)
    of_white = np.zeros_like(correlation)
    of_white[0, 0, 0] = 1.0
    assert noise_variance(model, of_white, False) == pytest.approx(1.0, abs=1e-9)
    trace = model.weight.sum() - model.eigenvalues.sum()
    assert noise_variance(model, correlation, True) == pytest.approx(unexplained.mean() / trace, rel=1e-4)


@pytest.mark.parametrize("resolution", [2.2, 3.2, 5.2, 7.0, 9.0])
def test_white_noise_passes_as_often_as_the_significance_says(resolution):
    everywhere = np.ones(GRID.shape, dtype=bool)
    shares = []
    model = model_at(resolution, 1.0)
    for seed in range(6):
        noise = white(seed)
        variance = noise_variance(model, autocorrelation(noise, everywhere, 2), False)
        assert variance == pytest.approx(1.0, abs=0.03)
        values = statistic(noise, model, everywhere) / variance
        shares.append(np.mean(values > quantile(0.05, model.eigenvalues)))
    assert np.mean(shares) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("noise", ["of one map", "of halves", "of halves, stronger in the mask"])
def test_a_map_of_white_noise_passes_as_often_as_the_significance_says(noise):
    mask = sphere(GRID, 20.0)
    # The windows of voxels near the mask's surface hold weaker noise where that inside is stronger.
    deep = sphere(GRID, 15.0).data > 0.5
    shares = []
    strength = np.where(mask.data > 0.5, 1.4, 1.0) if "stronger" in noise else 1.0
    for seed in range(12):
        one, two = (Volume((strength * white(s)).astype(np.float32), GRID) for s in (2 * seed, 2 * seed + 1))
        maps = one if noise == "of one map" else HalfMaps(one, two)
        found = resmap(maps, mask, min_resolution=4.0, max_resolution=4.0, correction="none").resolution.data
        shares.append(np.mean(np.isfinite(found[deep])))
    assert np.mean(shares) == pytest.approx(0.05, abs=0.006)


def test_noise_is_not_discovered():
    everywhere = np.ones((32, 32, 32), dtype=bool)
    for resolution in (2.2, 4.0, 6.0):
        model = model_at(resolution, 1.0)
        found = 0
        for seed in range(20):
            values = statistic(white(seed, everywhere.shape), model, everywhere)
            found += np.any(values >= benjamini_yekutieli(values, model.eigenvalues, 0.05))
        assert found <= 1


def test_the_false_discovery_rate_is_the_step_up_procedure():
    weights = np.ones(16)
    values = np.random.default_rng(1).chisquare(16, 5000).astype(np.float32)
    values[:600] += 40
    threshold = benjamini_yekutieli(values, weights, 0.05)
    p = np.sort(chi2.sf(values, 16))
    allowed = 0.05 * np.arange(1, 5001) / (5000 * np.sum(1.0 / np.arange(1, 5001)))
    assert np.count_nonzero(values >= threshold) == np.flatnonzero(p <= allowed)[-1] + 1


def test_a_longer_wave_is_found_at_a_coarser_scale():
    found = []
    for wavelength in (5.0, 10.0):
        wave = 0.8 * np.cos(2 * np.pi * np.arange(64) / wavelength)[:, None, None] + np.zeros(GRID.shape)
        halves = HalfMaps(*(Volume((wave + white(s)).astype(np.float32), GRID) for s in (1, 2)))
        result = resmap(halves, sphere(GRID, 20.0), min_resolution=3.0, max_resolution=12.0)
        found.append(np.nanmedian(result.resolution.data))
    assert found[0] < found[1]


# --- whole maps ---------------------------------------------------------------------------------------------------


def run(halves, mask, **options):
    return resmap(halves, mask, resolution_step=0.5, max_resolution=9.0, **options).resolution.data


@pytest.fixture(scope="module")
def first(made):
    return run(made.halves, made.mask)


def same(a, b):
    assert np.isfinite(a).any()
    return np.mean(np.isclose(a, b, equal_nan=True)) >= 0.999


def test_swap_scale_and_offset_change_nothing(made, first):
    one, two = made.halves.half1, made.halves.half2
    assert same(first, run(HalfMaps(two, one), made.mask))
    assert same(first, run(HalfMaps(one.like(5 * one.data + 3), two.like(5 * two.data + 3)), made.mask))


@pytest.mark.parametrize("axes", [(1, 2), (0, 2), (0, 1)])
def test_a_quarter_turn_turns_the_result(made, first, axes):
    def turned(volume):
        data = np.ascontiguousarray(np.rot90(volume.data, axes=axes))
        return Volume(data, Grid.regular(data.shape, 1.5))

    again = run(HalfMaps(turned(made.halves.half1), turned(made.halves.half2)), turned(made.mask))
    assert same(first, np.rot90(again, -1, axes=axes))


def test_a_filter_on_both_halves_is_whitened_away(made, first):
    softer = HalfMaps(
        *(h.like(filtered(h.data, bfactor(80.0), h.grid, 2)) for h in (made.halves.half1, made.halves.half2))
    )
    before, after, bare = (
        run(halves, made.mask, whiten=how)
        for halves, how in ((made.halves, "full"), (softer, "full"), (softer, "none"))
    )
    both = np.isfinite(before) & np.isfinite(after)
    assert np.mean(np.abs(before[both] - after[both]) <= 0.5) > 0.9
    assert np.nanmedian(bare) < np.nanmedian(before) - 0.5


def test_the_finer_side_is_finer(made, first):
    inside = (made.mask.data > 0.5) & np.isfinite(first)
    fine, coarse = (first[inside & where] for where in (made.truth.data < 5, made.truth.data > 7))
    assert np.median(fine) < np.median(coarse)


def test_threads_change_nothing(made, first):
    again = run(made.halves, made.mask, execution=Execution(threads=1))
    assert same(first, again)


def test_a_low_passed_map_is_analysed_on_a_coarser_grid(made):
    cut = HalfMaps(
        *(
            h.like(filtered(h.data, lambda s: (s < 1 / 6.0).astype(float), h.grid, 2))
            for h in (made.halves.half1, made.halves.half2)
        )
    )
    result = resmap(cut, made.mask, max_resolution=12.0)
    assert 2.4 < result.details["working_voxel_size"] < 3.2
    assert "low-passed" in result.details["warnings"][0]
    assert result.resolution.data.shape == made.mask.data.shape
    assert np.nanmin(result.resolution.data) >= 2.2 * result.details["working_voxel_size"] - 0.1


def test_whitening_makes_a_decaying_spectrum_flat():
    frequency = np.linspace(0, 0.5, 60)
    fit = fit_whitening(frequency, np.exp(-20 * frequency**2), 0.5)
    used = frequency > fit.start
    assert np.ptp(np.log(fit.after[used])) < 1e-6 and abs(fit.slope) < 1e-6


def test_what_cannot_work_is_refused(made):
    with pytest.raises(UsageError, match="E_RANGE"):
        resmap(made.halves, made.mask, max_resolution=3.0)
    empty = made.mask.like(np.where(made.mask.data > 0.5, made.clean.data + 1, 0))
    with pytest.raises(InputError, match="E_NO_NOISE"):
        resmap(empty, made.mask, whiten="none")
    with pytest.raises(InputError, match="E_NO_NOISE"):
        resmap(made.halves.mean(), made.mask.like(np.pad(np.ones((42, 46, 44), np.float32), 1)))
