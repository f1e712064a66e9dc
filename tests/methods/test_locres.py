"""The calibrated local resolution: what must not change it, what it must find, and when it must keep silent."""

import json

import numpy as np
import pytest

from cryores.atoms import density_from_model, helix_bundle
from cryores.cli import main
from cryores.errors import InputError, WeightsError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.planted import plant
from cryores.resolution import compare, locres
from cryores.resolution._band_correlation import WINDOWS, band_correlations, band_frequencies
from cryores.resolution._band_inputs import CONTEXT, PROFILE, STRONGEST, inputs, profiles, usable_bands
from cryores.resolution._locres_training import fit
from cryores.resolution._neighbourhood import FirstAnswers, surroundings
from cryores.resolution._resolution_distribution import log_medians, quantiles
from cryores.resolution._resolution_network import (
    Committee,
    Network,
    Perceptron,
    shipped_network,
)
from cryores.volume import Grid, HalfMaps, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((56, 56, 56), 1.3)
CENTRE = (36.4, 36.4, 36.4)


@pytest.fixture(scope="module")
def made():
    return plant("bfactor", helix_bundle(24.0, CENTRE, seed=2), GRID, 3.5, 9.0, seed=4)


@pytest.fixture(scope="module")
def found(made):
    return locres(made.halves, made.mask)


def mapped(halves, change):
    return HalfMaps(*(half.like(change(half.data)) for half in (halves.half1, halves.half2)))


def test_the_interval_holds_the_value_and_mostly_the_truth(made, found):
    inside = made.mask.data > 0.5
    value, low, high = (v.data[inside] for v in (found.resolution, found.lower, found.upper))
    assert np.isfinite(value).mean() > 0.99
    told = np.isfinite(value)
    assert np.all(low[told] <= value[told]) and np.all(value[told] <= high[told])
    truth = made.truth.data[inside]
    assert np.mean((low <= truth) & (truth <= high)) > 0.75
    assert np.median(np.abs(value / truth - 1)[told]) < 0.12


def test_outside_the_mask_there_is_nothing(made, found):
    assert np.isnan(found.resolution.data[made.mask.data < 0.5]).all()
    assert np.isnan(found.lower.data[made.mask.data < 0.5]).all()


def test_swapped_halves_and_scales_change_nothing(made, found):
    swapped = HalfMaps(made.halves.half2.like(7 * made.halves.half2.data + 3), made.halves.half1)
    inside = np.isfinite(found.resolution.data)
    result = locres(swapped, made.mask).resolution.data
    assert np.mean(np.isclose(result, found.resolution.data, rtol=2e-3)[inside]) > 0.99


def test_other_axes_turn_the_result(made, found):
    # Swapped axes and a mirror make every turn by a right angle; arrays swap without moving their first voxel.
    turned = mapped(made.halves, lambda data: data.transpose(2, 0, 1))
    result = locres(turned, made.mask.like(made.mask.data.transpose(2, 0, 1))).resolution.data
    # Where a distribution is flat about its middle, rounding moves the median from one end of it to the other.
    inside = np.isfinite(found.resolution.data)
    assert np.mean(np.isclose(result.transpose(1, 2, 0), found.resolution.data, rtol=2e-3)[inside]) > 0.99


@pytest.mark.parametrize("b", [-100.0, 100.0])
def test_an_isotropic_filter_changes_next_to_nothing(made, found, b):
    filtered_halves = mapped(made.halves, lambda data: filtered(data, bfactor(b), GRID, 1))
    other = locres(filtered_halves, made.mask).resolution.data
    told = np.isfinite(other) & np.isfinite(found.resolution.data)
    assert np.mean(np.abs(other - found.resolution.data)[told] > 0.1) <= 0.02


def test_two_draws_of_the_noise_agree_within_the_interval(made, found):
    clean = density_from_model(faded(helix_bundle(24.0, CENTRE, seed=2)), GRID).data
    noise = 0.5 * float(clean.std())
    rng = np.random.default_rng(1)
    one, two = (
        locres(HalfMaps(*(Volume(clean + noise * rng.standard_normal(GRID.shape), GRID) for _ in "12")), made.mask)
        for _ in "12"
    )
    value = two.resolution.data
    told = np.isfinite(value) & np.isfinite(one.resolution.data)
    held = (one.lower.data <= value) & (value <= one.upper.data)
    assert told.sum() > 0.9 * np.count_nonzero(made.mask.data) and held[told].mean() > 0.85


def faded(structure):
    for site in structure[0].all():
        site.atom.b_iso = 120.0
    return structure


def test_noise_has_no_resolution():
    rng = np.random.default_rng(3)
    halves = HalfMaps(*(Volume(rng.standard_normal(GRID.shape), GRID) for _ in "12"))
    ball = plant("noise", helix_bundle(24.0, CENTRE, seed=2), GRID, 3.5, 9.0).mask
    assert locres(halves, ball).summary()["undetermined_fraction"] >= 0.99


def test_identical_halves_are_refused(made):
    with pytest.raises(InputError, match="E_HALVES_IDENTICAL"):
        locres(HalfMaps(made.halves.half1, made.halves.half1), made.mask)


def test_threads_change_nothing(made, found):
    one = locres(made.halves, made.mask, execution=Execution(threads=1))
    np.testing.assert_allclose(one.resolution.data, found.resolution.data, rtol=1e-5)


def test_correlations_are_one_for_equal_maps_and_none_for_noise():
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(GRID.shape).astype(np.float32) for _ in "12")
    everywhere = np.ones(GRID.shape, dtype=bool)
    voxels = np.argwhere(np.ones(GRID.shape, dtype=bool))[::997]

    def read(one, two):
        halves = HalfMaps(Volume(one, GRID), Volume(two, GRID))
        return (
            band_correlations(halves, everywhere, Execution())
            .read(voxels)
            .reshape(len(voxels), len(band_frequencies()), -1)
        )

    assert read(a, a + 1e-6 * b).min() > 0.99
    # The wider the window, the closer to none; the finest band has the most coefficients.
    spread = read(a, b)[:, 0].std(axis=0)
    assert np.all(np.diff(spread.reshape(2, 3), axis=1) < 0) and spread.reshape(2, 3)[:, -1].max() < 0.06
    half_signal = read(a + b, a - 2 * b + rng.standard_normal(GRID.shape).astype(np.float32) * 0)
    np.testing.assert_allclose(half_signal[:, 0, -1].mean(), (1 - 2) / np.sqrt(2 * 5), atol=0.06)


def test_the_network_is_given_the_correlations_about_the_rough_place(made):
    inside = made.mask.data > 0.5
    correlations = band_correlations(made.halves, inside, Execution())
    voxels = np.argwhere(inside)[::311]
    x, place = inputs(correlations, voxels, 56)
    heights = np.arctanh(np.clip(correlations.read(voxels), -STRONGEST, STRONGEST)).reshape(len(voxels), -1, WINDOWS)
    best = np.arctanh(np.clip(correlations.strong, -STRONGEST, STRONGEST)).reshape(-1, WINDOWS)
    middle = np.searchsorted(-np.log(band_frequencies()), -place - 1e-3)
    about = x[:, : (2 * CONTEXT + 1) * (WINDOWS + 2)].reshape(len(voxels), 2 * CONTEXT + 1, -1)
    usable = usable_bands(56)
    assert np.ptp(middle) > 1 and middle.max() < usable < len(best)
    for k in range(2 * CONTEXT + 1):
        band = middle - CONTEXT + k
        known = (band >= 0) & (band < usable)
        np.testing.assert_array_equal(about[~known, k], 0.0)
        here = heights[known, band[known]]
        np.testing.assert_allclose(about[known, k, :WINDOWS], here, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(about[known, k, WINDOWS], (here - best[band[known]])[:, 1], rtol=1e-3, atol=1e-4)


def test_the_surface_is_seen_through_where_nothing_is_sure(made, tmp_path):
    maps = {f"half{i}.mrc": half for i, half in enumerate((made.halves.half1, made.halves.half2), 1)}
    for name, volume in {**maps, "mask.mrc": made.mask}.items():
        write_map(tmp_path / name, volume)
    out = tmp_path / "out"
    files = ["--half1", "half1.mrc", "--half2", "half2.mrc", "--mask", "mask.mrc"]
    arguments = [str(tmp_path / f) if f.endswith(".mrc") else f for f in files]
    assert main(["locres", *arguments, "--out", str(out), "--widest-interval", "1.06"]) == 0
    (script,) = out.rglob("view.cxc")
    sampled = next(line for line in script.read_text().splitlines() if line.startswith("color sample"))
    unsure, colour = sampled.split(":")[-1].split(",")
    filled = read_map(script.parent / "resolution_filled.mrc").data
    uncertain = np.isclose(filled, float(unsure), rtol=1e-5)
    assert colour == "#9a9a9a50" and 0.5 < uncertain.sum() / np.count_nonzero(made.mask.data) <= 1.0
    assert filled[~uncertain].max() < 0.1 * float(unsure)
    # The histogram's median is that of the report, uncertain voxels and all.
    median = json.loads((out / "report.json").read_text())["summary"]["median"]
    assert f"median {median:.2f} " in (out / "report.html").read_text(encoding="utf-8")


def test_its_map_can_be_compared_with_another(made, found):
    told = found.resolution.like(np.nan_to_num(found.resolution.data))
    coarser = told.like(1.5 * told.data)
    pair = compare(made.halves.mean(), {"locres": told, "other": coarser}, made.mask).pairs[0]
    assert pair.rank == pytest.approx(1.0, abs=1e-3)


def answers_in_a_cube(frequency, profile):
    inside = np.zeros((24, 24, 24), dtype=bool)
    inside[6:18, 6:18, 6:18] = True
    value = np.broadcast_to(frequency, inside.shape)[inside].astype(np.float32)
    columns = np.full((len(value), PROFILE), profile, dtype=np.float32)
    around = surroundings(FirstAnswers(value, value * 0.9, value * 1.1, 0 * value, columns), inside, threads=2)
    voxels = np.argwhere(inside)
    return lambda rows: around.inputs(voxels[rows], rows), value


def test_averages_nearby_are_those_of_the_answers():
    around, _ = answers_in_a_cube(np.float32(0.2), 0.7)
    x, nearby = around(slice(None))
    assert x.shape[1] == shipped_network().nearby.members[0].weights[0].shape[0]
    np.testing.assert_allclose(nearby, np.log(0.2), atol=1e-4)
    assert np.isfinite(x).all() and np.abs(x[:, 0]).max() < 1e-2
    # Nothing changes anywhere, and the averages of what is the same everywhere are that.
    np.testing.assert_allclose(x[:, 21:24], 0.0, atol=2e-3)
    np.testing.assert_allclose(x[:, 24:], 0.7, rtol=2e-3)


def test_steepness_is_in_logarithms_a_wavelength():
    slope = 0.03
    rising = 0.2 * np.exp(slope * (np.arange(24) - 11.5))
    around, value = answers_in_a_cube(rising[:, None, None], 0.0)
    steep = around(slice(None))[0][:, 21] * value
    # In the middle of the cube the Gaussian's ends are cut alike, and what it holds of the slope is its own variance
    # less that of the cut: a bit less than all of it.
    middle = np.isclose(value, rising[11]) | np.isclose(value, rising[12])
    assert 0.7 * slope < np.median(steep[middle]) < 1.02 * slope


def test_any_voxels_may_be_asked_about():
    rising = 0.2 * np.exp(0.03 * (np.arange(24) - 11.5))
    around, value = answers_in_a_cube(rising[:, None, None], 0.2)
    some = np.arange(0, len(value), 97)
    for whole, part in zip(around(slice(None)), around(some)):
        np.testing.assert_allclose(part, whole[some], rtol=1e-6)


def test_a_profile_is_half_down_where_half_of_the_signal_is_left():
    # A strong signal, S / N = 400, that falls to half in the second half of the box, far from the windows of the first.
    rng = np.random.default_rng(2)
    signal = rng.standard_normal(GRID.shape)
    noise = (rng.standard_normal(GRID.shape) / 20.0 for _ in "12")
    signal[28:] *= np.sqrt(0.5)
    halves = HalfMaps(*(Volume((signal + n).astype(np.float32), GRID) for n in noise))
    correlations = band_correlations(halves, np.ones(GRID.shape, dtype=bool), Execution(threads=1))
    middle = np.argwhere(np.ones((1, 20, 20), dtype=bool))
    found = [
        profiles(correlations, middle + np.array([z, 0, 0]), 56.0, np.full(400, 0.26, np.float32)) for z in (14, 42)
    ]
    assert found[0].shape == (400, PROFILE)
    relative = [np.median(f.reshape(-1, 4, 2, 2)[:, :, 1], axis=0) for f in found]
    # The coarsest of the four bands has too few wavelengths in this box.
    np.testing.assert_allclose(np.mean((relative[1] - relative[0])[:3]), 0.5 * np.log(0.5), atol=0.05)


def test_a_committee_agrees_on_the_mean_of_its_log_odds():
    def saying(odds):
        return Perceptron((np.zeros((1, 1), np.float32),), (np.full(1, odds, np.float32),))

    likely = Committee((saying(1.0), saying(-3.0))).likely(np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(likely, 1 / (1 + np.exp(1.0)), rtol=1e-6)


def test_quantiles_of_an_even_distribution():
    heights = np.linspace(-1.0, -2.0, 101, dtype=np.float32)[None]
    likely = np.linspace(0.0, 1.0, 101, dtype=np.float32)[None]
    np.testing.assert_allclose(
        np.log(quantiles(likely, heights, (0.05, 0.5, 0.95)))[0], [-1.95, -1.5, -1.05], atol=1e-3
    )


def test_a_perceptron_learns_a_threshold():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20000, 3)).astype(np.float32)
    answers = (x[:, :1] + x[:, 1:2] ** 2 > 1).astype(np.float32)
    alone = Committee((fit(x, answers, (16, 16), 40, 0.0, rng, lambda line: None),))
    assert np.mean((alone.log_odds(x)[0] > 0.0) == (answers > 0.5)) > 0.93


def test_the_median_of_log_odds_is_where_half_of_the_signal_is_finer():
    steps = np.arange(27, dtype=np.float32)
    places = np.repeat((np.log(0.2) - 0.05 * steps)[None], 3, axis=0).astype(np.float32)
    odds = np.stack([0.8 * steps - 6.0, 0.5 * steps - 12.5, np.where(steps == 3, 2.0, 0.8 * steps - 6.0)]).astype("f4")
    likely = 1.0 / (1.0 + np.exp(-odds.max(axis=1).astype(float)))
    wanted = np.log(0.5 * likely / (1.0 - 0.5 * likely))
    # The last row does not rise: who is finer than the fourth place is finer than all that follow.
    at = [(wanted[0] + 6.0) / 0.8, (wanted[1] + 12.5) / 0.5, 2.0 + (wanted[2] + 4.4) / 6.4]
    np.testing.assert_allclose(log_medians(odds, places), np.log(0.2) - 0.05 * np.array(at), atol=1e-5)


def test_the_median_of_log_odds_is_near_the_quantile_of_their_probabilities():
    rng = np.random.default_rng(3)
    odds = np.cumsum(rng.uniform(0.1, 1.0, (500, 27)), axis=1) - rng.uniform(5, 10, (500, 1))
    places = (np.log(0.2) - np.linspace(-0.9, 0.9, 27)[None] + rng.normal(0, 0.3, (500, 1))).astype(np.float32)
    finer = np.maximum.accumulate(1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30))), axis=1)
    off = log_medians(odds.astype("f4"), places) - np.log(quantiles(finer, places, (0.5,))[:, 0])
    assert np.abs(off).max() < 0.01


def test_the_network_survives_its_file_and_damage_is_told(tmp_path):
    network = shipped_network()
    network.save(tmp_path / "one.npz")
    again = Network.load(tmp_path / "one.npz")
    np.testing.assert_array_equal(again.bands.members[0].weights[0], network.bands.members[0].weights[0])
    np.testing.assert_array_equal(again.widening, network.widening)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "one.npz").read_bytes()[:500])
    with pytest.raises(WeightsError, match="E_WEIGHTS"):
        Network.load(tmp_path / "bad.npz")
