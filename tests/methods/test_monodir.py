"""MonoDir: its invariants, and the anisotropy that it finds where one is planted."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import chi2

from cryores.directions import angles_between, cubic_axes
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import filtered, frequency_axes, irfft, rfft
from cryores.masks import sphere
from cryores.method import Inputs
from cryores.monogenic import Edges, Monogenic, high_pass
from cryores.report import figures_monodir
from cryores.report.figures_monodir import at_both_ends, polar_positions
from cryores.resolution import monodir
from cryores.resolution._directional_amplitude import HALF_ANGLE, DirectionalAmplitude, cone_about
from cryores.resolution._directional_statistics import (
    Directions,
    Spread,
    axis_chance,
    principal_axes,
    radial_averages,
    slope_over_radius,
    spread_of,
    z_scores,
)
from cryores.resolution._directional_sweep import filters_at
from cryores.resolution.monodir import METHOD
from cryores.volume import Grid, HalfMaps, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((36, 40, 32), 1.5)
BOX = Grid.regular((40, 40, 40), 1.5)
LARGE = Grid.regular((160, 160, 160), 1.5)
WHOLE = (slice(None), slice(None), slice(None))
CUT = 6.0
"""Å at which the signal of the phantom ends."""


def white(grid, seed):
    return np.random.default_rng(seed).standard_normal(grid.shape, dtype=np.float32)


def phantom(seed=0, noise=0.2, cone=0.0):
    """Half maps of a ball of white signal down to 6 Å, without signal within ``cone`` degrees of y; and the ball."""
    ball = sphere(BOX, 17.0)
    signal = filtered(ball.data * white(BOX, seed), low_pass(CUT, 0.03), BOX, 2)
    signal /= signal[ball.data > 0.5].std()
    z, y, x = frequency_axes(BOX.shape, BOX.voxel_size)
    s = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    kept = np.abs(y[:, None]) <= np.cos(np.radians(cone)) * s
    if cone:
        signal = irfft(rfft(signal, 2) * kept, BOX.shape, 2)
    halves = [Volume(signal + np.float32(noise) * white(BOX, 100 + 2 * seed + i), BOX) for i in range(2)]
    return HalfMaps(*halves), ball


def overlap_of_cones(axes):
    """The share of the cone about each axis that lies in that about each other: two circles that overlap."""
    half = np.minimum(angles_between(axes) / (2 * HALF_ANGLE), 1.0)
    return 2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))


@pytest.fixture(scope="module")
def even():
    """What MonoDir finds in a phantom without a preferred direction."""
    return monodir(*phantom())


# --- the amplitude ------------------------------------------------------------------------------------------------


def amplitudes(data, axis, band, smooth, grid=GRID):
    engine = DirectionalAmplitude(grid, 1e3, 1.0)
    found = engine.of(cone_about(axis, rfft(data, 1), grid), band, smooth)
    return engine.inside(found, WHOLE), engine.coarse(found)


def test_a_wave_along_the_axis_has_its_amplitude_everywhere_and_none_across():
    wave = np.cos(2 * np.pi * 8 * np.arange(GRID.shape[1]) / GRID.shape[1]).astype(np.float32)
    data = np.broadcast_to(wave[:, None], GRID.shape)
    smooth = Edges(fall=(0.2, 0.3))
    along, _ = amplitudes(data, (0.0, 1.0, 0.0), high_pass(0.15, 0.02), smooth)
    np.testing.assert_allclose(along, 1.0, atol=2e-5)
    tilted = (np.sin(np.radians(14.0)), np.cos(np.radians(14.0)), 0.0)
    np.testing.assert_allclose(amplitudes(data, tilted, high_pass(0.15, 0.02), smooth)[0], 1.0, atol=2e-5)
    for axis in ((1.0, 0.0, 0.0), (np.sin(np.radians(16.0)), np.cos(np.radians(16.0)), 0.0)):
        assert np.abs(amplitudes(data, axis, high_pass(0.15, 0.02), smooth)[0]).max() < 1e-5


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.6, 0.0, 0.8), (0.48, -0.64, 0.6)])
@pytest.mark.parametrize("frequency", [0.12, 0.4])
def test_blocks_give_the_amplitude_of_the_whole_spectrum(axis, frequency):
    data, band = white(GRID, 3), high_pass(frequency, 0.03)
    smooth = Edges(fall=(frequency, frequency + 0.05))
    u = np.meshgrid(*[np.fft.fftfreq(n) for n in GRID.shape], indexing="ij")
    size = np.sqrt(sum(f * f for f in u))
    along = sum(f * a for f, a in zip(u, axis))
    nyquist = np.any([np.abs(f) == 0.5 for f in u], axis=0)
    side = (along >= np.cos(HALF_ANGLE) * size) & (size > 0) & (size <= 0.5) & ~nyquist
    expected = np.abs(np.fft.ifftn(2 * np.fft.fftn(data) * side * band.response(size)))
    expected = np.fft.ifftn(np.fft.fftn(expected) * smooth.response(size)).real
    found, coarse = amplitudes(data, np.array(axis), band, smooth)
    # What lies beyond the block folds back, and is most of what is left where an amplitude goes through 0.
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.07 * expected.std()
    assert found.mean() == pytest.approx(expected.mean(), rel=1e-3)
    assert coarse.size < found.size
    assert coarse.mean() == pytest.approx(found.mean(), rel=1e-4)
    assert coarse[0, 0, 0] == pytest.approx(found[tuple(n // 2 for n in GRID.shape)], rel=5e-3)


def test_part_of_the_box_is_that_part_of_the_whole():
    engine = DirectionalAmplitude(GRID, 20.0, 6.0)
    cone = cone_about(np.array([0.48, -0.64, 0.6]), rfft(white(GRID, 6), 1), GRID)
    found = engine.of(cone, high_pass(0.2, 0.05), Edges(fall=(0.2, 0.25)))
    part = (slice(3, 20), slice(0, 31), slice(9, 32))
    np.testing.assert_allclose(engine.inside(found, part), engine.inside(found, WHOLE)[part], atol=1e-6)


def test_the_analytic_amplitude_is_the_monogenic_one_of_the_cone():
    axis = np.array([0.48, -0.64, 0.6])
    data, band, smooth = white(GRID, 4), high_pass(0.15, 0.03), Edges(fall=(0.15, 0.2))
    z, y, x = (f * GRID.spacing for f in frequency_axes(GRID.shape, GRID.voxel_size))
    size = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    along = np.abs(z[:, None, None] * axis[0] + y[:, None] * axis[1] + x * axis[2])
    spectrum = (rfft(data, 1) * ((along >= np.cos(HALF_ANGLE) * size) & (size <= 0.5))).astype(np.complex64)
    engine = Monogenic(GRID, 1)
    monogenic = engine.smoothed(engine.amplitude(spectrum, band), smooth)
    found, _ = amplitudes(data, axis, band, smooth)
    assert np.corrcoef(found.ravel(), monogenic.ravel())[0, 1] > 0.99
    assert np.abs(found - monogenic).mean() < 0.03 * monogenic.mean()


def test_the_strength_of_a_cone_is_the_root_mean_square_of_its_amplitude():
    axis, band = np.array([0.6, 0.8, 0.0]), high_pass(0.2, 0.05)
    cone = cone_about(axis, rfft(white(GRID, 5), 1), GRID)
    engine = DirectionalAmplitude(GRID, 1e3, 1.0)
    amplitude = engine.inside(engine.of(cone, band, Edges(fall=(0.9, 1.0))), WHOLE)
    assert cone.strength(band) / GRID.size == pytest.approx(np.sqrt(np.mean(amplitude**2)), rel=1e-3)


def test_filters_reach_a_step_or_a_twentieth_and_at_least_a_bin():
    grid = Grid.regular((200, 200, 200), 1.0)
    band, smooth = filters_at(10.0, 0.1, grid, False, 1.0)
    assert band.rise == pytest.approx((0.095, 0.1)) and smooth.fall == pytest.approx((0.1, 1 / 9.5))
    assert filters_at(10.0, 2.0, grid, False, 1.0)[0].rise[0] == pytest.approx(1 / 12.0)
    assert filters_at(40.0, 0.1, grid, False, 1.0)[0].rise[0] == pytest.approx(0.025 - 0.005)
    assert filters_at(2.0, 0.5, grid, True, 1.0)[0].fall == (0.5, 0.5)
    assert filters_at(10.0, 0.1, grid, False, 2.0)[1].fall == pytest.approx((0.05, 0.5 / 9.5))


# --- the directions of a voxel ------------------------------------------------------------------------------------


def test_quantiles_leave_the_outlier_out():
    axes = cubic_axes(81)
    resolutions = np.linspace(12.0, 3.0, 91)
    levels = np.empty((81, 1), dtype=np.int16)
    levels[:, 0] = 45 + np.round(10 * axes[:, 0]).astype(int)
    levels[7] = 90  # far from its neighbours
    spread, directions = spread_of(levels, resolutions, axes, np.array([[0, 0, 0]], dtype=np.float32), "trim")
    kept = np.sort(np.delete(resolutions[levels[:, 0]], 7))
    assert spread.highest[0] > 3.4 and directions.preferring[7] == 0
    assert spread.highest[0] == pytest.approx(kept[int(0.05 * len(kept))], abs=0.11)
    assert spread.lowest[0] == pytest.approx(kept[int(0.95 * len(kept))], abs=0.11)
    assert spread.mean[0] == pytest.approx(0.5 * (spread.highest[0] + spread.lowest[0]))
    assert spread.doa[0] == pytest.approx(0.5 * (kept[int(0.83 * 80)] - kept[int(0.17 * 80)]), abs=0.11)
    assert spread.radial[0] == spread.tangential[0] == spread.mean[0]


def test_neighbours_that_are_averaged_are_less_noisy_and_keep_what_all_of_them_see():
    axes, rng = cubic_axes(81), np.random.default_rng(2)
    resolutions = np.linspace(12.0, 3.0, 91)
    frequency = 1.0 / (6.0 + 3.0 * axes[:, 0] ** 2)
    overlap = overlap_of_cones(axes)
    expected = overlap @ frequency / overlap.sum(axis=1)
    noise = 0.02 * np.linalg.cholesky(overlap) @ rng.standard_normal((81, 2000))
    noisy = 1.0 / (frequency[:, None] + noise)
    levels = np.abs(resolutions[:, None, None] - np.clip(noisy, 3.0, 12.0)).argmin(axis=0).astype(np.int16)
    outwards = np.tile(np.array([1, 0, 0], dtype=np.float32), (2000, 1))
    averaged, single = (spread_of(levels, resolutions, axes, outwards, how)[0] for how in ("average", "none"))
    assert np.median(averaged.highest) == pytest.approx(np.quantile(1 / expected, 0.05), rel=0.07)
    assert np.median(averaged.lowest) == pytest.approx(np.quantile(1 / expected, 0.95), rel=0.07)
    assert np.median(single.lowest - single.highest) > 1.3 * np.median(averaged.lowest - averaged.highest)
    assert np.median(averaged.radial) > np.median(averaged.tangential) + 1.0


@pytest.mark.parametrize("axis", range(3))
def test_radial_and_tangential_are_told_apart_along_every_axis(axis):
    axes, outwards = cubic_axes(81), np.eye(3, dtype=np.float32)
    along = np.abs(axes[:, axis])
    resolutions = np.linspace(10.0, 4.0, 100)
    levels = np.repeat(np.round(99 * along**2).astype(np.int16)[:, None], 3, axis=1)
    spread, directions = spread_of(levels, resolutions, axes, outwards)
    assert spread.radial[axis] < 6.0 < 9.0 < spread.tangential[axis]
    others = [i for i in range(3) if i != axis]
    assert np.all(spread.radial[others] > 8.0) and np.all(spread.tangential[others] < 8.5)
    worst, best = principal_axes(directions)
    assert abs(best[axis]) == pytest.approx(1.0, abs=1e-3) and abs(worst[axis]) < 0.05
    assert directions.preferring[np.argmax(along)] == 3 and directions.preferring[np.argmin(along)] == 0


def test_an_axis_that_stands_out_is_told_from_chance():
    axes = cubic_axes(81)
    overlap = overlap_of_cones(axes)
    values, vectors = np.linalg.eigh(overlap)
    rng = np.random.default_rng(0)
    chances = [
        axis_chance(8.0 + 0.3 * vectors @ (np.sqrt(np.maximum(values, 0)) * rng.standard_normal(81)), axes)
        for _ in range(200)
    ]
    assert 0.3 < np.mean(chances) < 0.7 and np.mean(np.array(chances) < 0.01) < 0.04
    assert axis_chance(8.0 + axes[:, 2] ** 2 + 0.1 * rng.standard_normal(81), axes) < 1e-6
    assert np.isnan(axis_chance(np.full(81, 8.0), axes))


def test_slopes_are_those_of_the_planted_lines():
    distance = np.random.default_rng(0).uniform(0, 60, 40000).astype(np.float32)
    flat = np.full_like(distance, 4.0)
    spread = Spread(flat, flat, flat, flat + 2, 4 + 0.01 * distance, 4 + 0.05 * distance)
    averages = radial_averages(spread, distance, 1.5)
    assert slope_over_radius(averages, "radial").slope == pytest.approx(0.01, rel=0.01)
    assert slope_over_radius(averages, "tangential").slope == pytest.approx(0.05, rel=0.01)
    np.testing.assert_allclose(averages.mean[:, 2:], [[4.0, 6.0]] * len(averages.radius), rtol=1e-6)
    np.testing.assert_allclose(averages.mean[:, 0], 4 + 0.01 * averages.radius, atol=0.01)
    assert averages.voxels[5] == np.count_nonzero(np.abs(distance - averages.radius[5]) < 1.5)


def test_the_z_score_is_that_of_the_map_in_which_a_voxel_is_farthest():
    rng = np.random.default_rng(1)
    distance = rng.uniform(10, 30, 20000).astype(np.float32)
    maps = rng.normal(5.0, 0.5, (6, distance.size)).astype(np.float32)
    maps[4, 0] = 7.0
    scores = z_scores(Spread(*maps), radial_averages(Spread(*maps), distance, 2.0), distance)
    assert scores[0] == pytest.approx(4.0, rel=0.05) and scores.max() <= 5.0
    assert np.median(scores) == pytest.approx(1.4, abs=0.1)  # of the largest of four


# --- the method ---------------------------------------------------------------------------------------------------


def test_an_even_phantom_has_hardly_any_anisotropy(even):
    medians = even.summary()["resolution"]
    assert medians["doa"] < 0.15 * medians["mean"]
    assert medians["highest"] == pytest.approx(CUT, rel=0.1)
    assert medians["radial"] == pytest.approx(medians["tangential"], rel=0.03)
    assert even.summary()["preferred_axis_chance"] > 0.01


def test_no_direction_is_preferred_over_many_phantoms():
    counts = np.array([monodir(*phantom(seed), fast=True).directions.preferring for seed in range(5)])
    counts /= counts.mean(axis=1, keepdims=True)
    # Cones overlap, and neighbours are averaged: they vary together, and count as fewer.
    overlap = overlap_of_cones(cubic_axes(46))
    weights = overlap / overlap.sum(axis=1, keepdims=True)
    covariance = weights @ overlap @ weights.T
    independent = np.trace(covariance) ** 2 / np.sum(covariance**2)
    between = counts.mean(axis=0).var(ddof=1)
    within = counts.var(axis=0, ddof=1).mean() / len(counts)
    assert chi2.sf(independent * between / within, independent) > 0.01


def test_noise_makes_little_anisotropy_even_where_it_is_strong():
    medians = monodir(*phantom(noise=0.8), neighbours="average").summary()["resolution"]
    single = monodir(*phantom(noise=0.8), neighbours="trim").summary()["resolution"]
    assert medians["doa"] < 0.15 * medians["mean"]
    assert single["doa"] > 0.2 * single["mean"]


def test_a_missing_cone_is_found_and_lowers_the_resolution_with_its_width(even):
    lowest = [even.extra["lowest"].data]
    for width in (20.0, 30.0, 40.0):
        result = monodir(*phantom(cone=width))
        lowest.append(result.extra["lowest"].data)
        assert abs(result.summary()["worst_axis"][1]) > np.cos(np.radians(10.0))
        along = np.abs(result.directions.axes[:, 1]) > np.cos(np.radians(max(width - 15.0, 10.0)))
        assert result.directions.resolution[along].min() > 1.3 * np.median(result.directions.resolution[~along])
    assert np.all(np.diff([np.nanmean(volume) for volume in lowest]) > 0)
    assert result.summary()["preferred_axis_chance"] < 1e-3


def test_scale_and_order_of_the_halves_do_not_matter():
    halves, ball = phantom()
    one = monodir(halves, ball, fast=True)
    scaled = [half.like(8.0 * half.data) for half in (halves.half2, halves.half1)]
    two = monodir(HalfMaps(*scaled), ball, fast=True)
    for name, volume in one.volumes().items():
        np.testing.assert_allclose(two.volumes()[name].data, volume.data, rtol=1e-5, err_msg=name)


def about_the_centre(data, plane):
    """Turn by 90 degrees in a plane of the box about the voxel n // 2, which the array's middle is in an odd box."""
    return np.ascontiguousarray(np.rot90(data, axes=plane))


@pytest.mark.parametrize("plane", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("halves", [True, False])
def test_turning_the_map_turns_the_values(plane, halves):
    grid = Grid.regular((39, 39, 39), 1.5)
    ball = sphere(grid, 15.0)
    rng = np.random.default_rng(3)
    signal = filtered(ball.data * rng.standard_normal(grid.shape, dtype=np.float32), low_pass(CUT, 0.03), grid, 1)
    one, two = (3 * signal + 0.2 * rng.standard_normal(grid.shape, dtype=np.float32) for _ in "12")

    def measured(turn):
        volumes = [Volume(turn(data), grid) for data in (one, two)]
        maps = HalfMaps(*volumes) if halves else volumes[0]
        return monodir(maps, ball, fast=halves)

    straight, turned = measured(lambda data: data), measured(lambda data: about_the_centre(data, plane))
    inside = ball.data > 0.5
    for name, volume in straight.volumes().items():
        same = np.abs(about_the_centre(volume.data, plane) - turned.volumes()[name].data)[inside] < 1e-3
        assert same.mean() > 0.995, name


def test_threads_change_nothing():
    halves, ball = phantom()
    parameters = METHOD.make_parameters({"fast": True, "filter": "bandpass"})
    one, three = (METHOD.compute(Inputs(halves, mask=ball), parameters, Execution(n)) for n in (1, 3))
    for name, volume in one.volumes().items():
        np.testing.assert_array_equal(volume.data, three.volumes()[name].data)
    np.testing.assert_array_equal(one.directions.resolution, three.directions.resolution)


def test_values_lie_in_the_mask_and_their_order_is_right(even):
    inside = even.mask.data > 0.5
    maps = {name: volume.data for name, volume in even.volumes().items()}
    assert set(maps) == {"doa", "mean", "highest", "lowest", "radial", "tangential", "zscore"}
    for data in maps.values():
        np.testing.assert_array_equal(np.isfinite(data), inside)
    tested = even.summary()["tested_resolutions"]
    assert np.all(maps["highest"][inside] <= maps["mean"][inside]) and np.all(
        maps["mean"][inside] <= maps["lowest"][inside]
    )
    assert maps["highest"][inside].min() >= tested[-1] and maps["lowest"][inside].max() <= tested[0] + 1e-3
    assert np.all(maps["doa"][inside] >= 0) and maps["zscore"][inside].max() <= 5


def test_the_tables_hold_every_direction_and_shell(even):
    tables = even.tables()
    directions = np.genfromtxt(tables["directions.csv"].splitlines(), delimiter=",", names=True)
    assert len(directions) == 81
    np.testing.assert_allclose(directions["z"], even.directions.axes[:, 0], atol=1e-5)
    np.testing.assert_allclose(directions["mean_resolution_A"], even.directions.resolution, rtol=1e-4)
    radial = np.genfromtxt(tables["radial.csv"].splitlines(), delimiter=",", names=True)
    np.testing.assert_allclose(radial["tangential_A"], even.averages.mean[:, 1], rtol=1e-4)


def test_one_map_takes_the_noise_from_around_the_particle():
    halves, ball = phantom(noise=0.5)
    result = monodir(halves.mean(), ball, fast=True)
    assert result.summary()["significance"] == 0.95
    distance = np.sqrt(sum((np.indices(BOX.shape)[i] - 20) ** 2 for i in range(3))) * 1.5
    rim = 30.0 - 7 * 1.5
    assert result.summary()["noise_voxels"] == pytest.approx(
        np.count_nonzero((distance > 17) & (distance < rim)), rel=0.03
    )
    assert np.isfinite(result.resolution.data[ball.data > 0.5]).mean() > 0.99


# --- what cannot be measured --------------------------------------------------------------------------------------


def test_a_mask_that_touches_the_box_is_an_error_and_a_close_one_a_warning():
    halves, ball = phantom()
    touching = ball.data.copy()
    touching[20, 20, :] = 1
    with pytest.raises(InputError, match="from face to face of the box along x") as caught:
        monodir(halves, Volume(touching, BOX))
    assert caught.value.code == "E_MARGIN"
    outcome = METHOD.run(Inputs(halves, mask=ball), METHOD.make_parameters({"fast": True, "min_resolution": 8.0}))
    assert any("leave 10 voxels or more free" in finding for finding in outcome.findings)


def test_one_map_without_room_around_the_particle_is_an_error():
    halves, _ = phantom()
    with pytest.raises(InputError, match="half maps") as caught:
        monodir(halves.mean(), sphere(BOX, 24.0))
    assert caught.value.code == "E_NO_NOISE"


def test_a_range_upside_down_is_an_error():
    halves, ball = phantom()
    with pytest.raises(UsageError, match="upside down"):
        monodir(halves, ball, min_resolution=12.0, max_resolution=6.0)


def test_an_empty_table_belongs_to_no_direction():
    found = Directions(cubic_axes(46), *[np.ones(46)] * 3, 0.5)
    np.testing.assert_allclose(np.linalg.norm(principal_axes(found), axis=1), 1.0)


# --- memory and pictures ------------------------------------------------------------------------------------------


def test_the_memory_that_is_held_is_the_memory_that_was_planned():
    halves, ball = phantom()
    inputs, parameters = Inputs(halves, mask=ball), METHOD.make_parameters({"fast": True, "resolution_step": 2.0})
    METHOD.compute(inputs, parameters, Execution(2))
    tracemalloc.start()
    METHOD.compute(inputs, parameters, Execution(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    large = Inputs(HalfMaps(*[Volume(np.resize(h.data, (160, 160, 160)), LARGE) for h in (halves.half1, halves.half2)]))
    planned = METHOD.memory(inputs, parameters, 2)
    # Histograms and stacks of threads do not grow with the map; the plan of a process counts them apart.
    assert 0.3 * planned < peak < planned + 24e6
    assert METHOD.memory(large, METHOD.make_parameters({}), 64) < 2.5e9


def test_the_polar_map_has_z_in_its_centre_and_x_to_the_right():
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.5, np.sqrt(0.75), 0.0]])
    longitude, radius = polar_positions(axes)
    np.testing.assert_allclose(np.degrees(longitude[1:]), [0.0, 90.0, 90.0, 180.0, 270.0], atol=1e-9)
    # Equal areas: half of the half sphere lies within 60 degrees of z.
    np.testing.assert_allclose(radius, [0.0, 1.0, 1.0, np.sqrt(0.5), 1.0, 1.0], atol=1e-9)
    np.testing.assert_array_equal(at_both_ends(np.arange(4.0), axes), [0, 1, 2, 3, 1, 2])


def test_the_figures_show_the_values(even):
    figure = figures_monodir.directions_figure(even)
    bars = [patch.get_height() for axes in figure.axes for patch in axes.patches if axes.get_xlabel().startswith("Dir")]
    np.testing.assert_allclose(bars, even.directions.preferring)
    lines = figures_monodir.radial_figure(even).axes[0].lines
    np.testing.assert_array_equal(lines[0].get_ydata(), even.averages.mean[:, 0])
    slope = np.polyfit(lines[1].get_xdata(), lines[1].get_ydata(), 1)[0]
    assert slope == pytest.approx(even.summary()["slopes"]["radial"]["slope"])
    shown = figures_monodir.maps_figure(even).axes[0].images[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), even.extra["doa"].data[20])
