"""The training of locres: examples follow from their number, both steps are fitted, the interval is calibrated."""

import dataclasses

import numba
import numpy as np
import pytest
from scipy.stats import norm
from threadpoolctl import threadpool_info

from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.execution import Execution
from cryores.fourier import radial_power
from cryores.nets.training.chunks import side_by_side
from cryores.planted import plant
from cryores.resolution import _locres_lessons, _neighbourhood
from cryores.resolution import _locres_training as training
from cryores.resolution._band_correlation import band_correlations
from cryores.resolution._locres_examples import (
    DOUBTFUL_EVERY,
    DOUBTFUL_SHARES,
    STEEP_SHARES,
    Example,
    _limit,
    _steep_example,
    example,
)
from cryores.resolution._locres_lessons import (
    MEMBERS,
    Answers,
    Lessons,
    answers_nearby,
    for_calibration,
    some_voxels,
    stranger_of,
)
from cryores.resolution._resolution_network import DISAGREEMENT, Committee, Network, Perceptron, told_nearby
from cryores.volume import Grid

GRID = Grid.regular((40, 40, 40), 1.5)


def an_example(family, name, seed):
    made = plant(family, helix_bundle(20.0, (30.0, 30.0, 30.0), seed=seed), GRID, 4.0, 9.0, seed=seed)
    correlations = band_correlations(made.halves, made.mask.data, Execution(threads=1))
    inside = made.mask.data > 0.5
    return Example(correlations, inside, _limit(made, inside), name, family, 2 * seed)


@pytest.fixture(scope="module")
def examples():
    names = [f"m{i}" for i in range(50)]
    kept = [name for name in names if for_calibration(name)]
    fitted = [name for name in names if not for_calibration(name)]
    one, other, third = (next(name for name in fitted if stranger_of(name) == k) for k in range(MEMBERS))
    assert 2 <= len(kept) <= 20
    return [
        an_example("bfactor", one, 1), an_example("noise", one, 2), an_example("bfactor", other, 4),
        an_example("bfactor", third, 6), an_example("bfactor", kept[0], 3),
    ]  # fmt: skip


def test_both_steps_are_fitted_and_the_kept_models_measured(examples):
    said = []
    voxels = [some_voxels(e, 1) for e in examples]
    network, kept = training.train(
        voxels, lambda bands: [answers_nearby(e, bands, 1) for e in examples], 80, 1, said.append
    )
    assert [a.model for a in kept] == [examples[-1].model] and len(said) == 2 + (
        training.MEMBERS + training.MEMBERS_NEARBY
    ) * 80
    found = training.errors_by_family(network, kept)
    assert set(found) == {"bfactor", "all"} and found["all"].median < 0.4
    assert 0.8 <= found["all"].coverage <= 0.98


def test_the_first_step_and_a_third_of_the_second_never_see_doubtful_families_nor_does_the_calibration(
    examples, monkeypatch
):
    doubtful = dataclasses.replace(examples[0], family="falloff")
    kept = dataclasses.replace(examples[-1], family="uneven")
    seen, fitted, calibrated = [], training._committee, training.calibrated_widening

    def committee(answers, members, *rest):
        seen.append((members, sorted({a.family for a in answers})))
        return fitted(answers, members, *rest)

    def widening(nearby, answers):
        seen.append(sorted({a.family for a in answers}))
        return calibrated(nearby, answers)

    monkeypatch.setattr(training, "_committee", committee)
    monkeypatch.setattr(training, "calibrated_widening", widening)
    several = [*examples, doubtful, kept]
    network, found = training.train(
        [some_voxels(e, 1) for e in several], lambda bands: [answers_nearby(e, bands, 1) for e in several], 2, 1, print
    )
    assert seen == [
        (3, ["bfactor", "noise"]), (3, ["bfactor", "noise"]), (6, ["bfactor", "falloff", "noise"]), ["bfactor"],
    ]  # fmt: skip
    assert len(network.nearby.members) == 9 and {a.family for a in found} == {"bfactor", "uneven"}


def normal_about_the_place(sigma, shift=0.0):
    """A perceptron whose distribution is normal, whatever it is given."""
    offsets = _neighbourhood.offsets() - shift
    odds = np.log(norm.cdf(-offsets / sigma)) - np.log(norm.sf(-offsets / sigma))
    silent = np.zeros((1, 4), dtype=np.float32), np.zeros((4, 4), np.float32), np.zeros((4, len(offsets)), np.float32)
    return Perceptron(silent, (np.zeros(4), np.zeros(4), odds.astype(np.float32)))


def test_members_that_disagree_make_the_interval_wider():
    x, place = np.zeros((1, 1), np.float32), np.full(1, np.log(0.1), np.float32)
    agreeing = told_nearby(Committee((normal_about_the_place(0.1),) * 2), x, place)[0]
    lowest, median, highest, none = told_nearby(
        Committee((normal_about_the_place(0.1, -0.02), normal_about_the_place(0.1, 0.02))), x, place
    )[0]
    assert agreeing[1] == pytest.approx(0.1, rel=2e-3) and median == pytest.approx(0.1, rel=2e-3) and none < 1e-3
    alone = np.log(agreeing[2] / agreeing[0])
    assert alone == pytest.approx(2 * 1.645 * 0.1, rel=0.05)
    assert np.log(highest / lowest) == pytest.approx(np.hypot(alone, DISAGREEMENT * 0.02), rel=0.04)


def test_an_interval_that_is_half_as_wide_as_it_should_be_is_widened_to_hold_nine_of_ten():
    # The distribution is normal about the place with a standard deviation of 0.1, the truths with one of 0.2.
    committee = Committee((normal_about_the_place(0.1),))
    rng = np.random.default_rng(5)
    place = rng.uniform(np.log(0.05), np.log(0.2), 20000).astype(np.float32)
    truth = np.exp(place + 0.2 * rng.standard_normal(place.shape)).astype(np.float32)
    answers = Answers(np.zeros((len(place), 1), np.float32), place, truth, "one", "bfactor")
    widening = training.calibrated_widening(committee, [answers])
    assert widening.shape[1] <= training.CALIBRATION_BINS and np.all(np.diff(widening[0]) >= 0)
    np.testing.assert_allclose(widening[0], 2 * 1.645 * 0.1, rtol=0.1)
    # Nothing but rounding tells these widths apart: some bins hold few voxels.
    np.testing.assert_allclose(widening[1], 2.0, rtol=0.2)
    network = Network(committee, committee, widening)
    assert training.errors(network, [answers]).coverage == pytest.approx(0.9, abs=0.01)


def test_weighted_quantiles_count_by_weight():
    found = training.weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]), 0.5)
    assert found == pytest.approx(2.0 + 1.0 / 3.0 * 1.0)


def test_lessons_are_made_once_and_say_what_their_examples_do(tmp_path, monkeypatch):
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(tmp_path / "one.cif"))
    lessons = Lessons([tmp_path / "one.cif"], 3, tmp_path)
    for number in range(4):
        lessons.make(number)
    serving = lessons.serving_nearby(4)
    assert serving and all(number % 2 == 0 for number in serving)
    made, kept = example(lessons.models, 3, serving[0]), lessons.whole(serving[0])
    voxels = np.argwhere(made.inside)[:50]
    np.testing.assert_array_equal(kept.correlations.read(voxels), made.correlations.read(voxels))
    np.testing.assert_array_equal(kept.limit, made.limit)
    assert (kept.model, kept.family, kept.number) == (made.model, made.family, made.number)
    at = [number for number in range(4) if (tmp_path / f"3-{number:05d}-voxels.npz").exists()].index(serving[0])
    found, wanted = list(lessons.voxels(4))[at], some_voxels(made, 3)
    np.testing.assert_array_equal(found.inputs, wanted.inputs)
    np.testing.assert_array_equal(found.limit, wanted.limit)
    monkeypatch.setattr(_locres_lessons, "example", None)  # What is there is not made again.
    lessons.make(serving[0])


def test_lessons_that_neither_step_would_use_are_not_made(tmp_path, monkeypatch):
    kept = next(name for name in (f"m{i}.cif" for i in range(50)) if for_calibration(name))
    asked = []
    monkeypatch.setattr(_locres_lessons, "example", lambda models, seed, number: asked.append(number))
    for name, wanted in ((kept, [0, 2]), ("one.cif", [0, 1, 2, 3])):
        lessons = Lessons([tmp_path / name], 3, tmp_path / name)
        lessons.folder.mkdir()
        lessons.make_all(4, map)
        assert asked == wanted
        asked.clear()


def test_every_fifth_lesson_is_of_a_doubtful_family_and_serves_the_second_step(tmp_path):
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(tmp_path / "one.cif"))
    lessons = Lessons([tmp_path / "one.cif"], 3, tmp_path)
    count = 3 * DOUBTFUL_EVERY
    lessons.make_all(count, map)
    serving = set(lessons.serving_nearby(count))
    doubtful = {n for n in serving if lessons.whole(n).family in DOUBTFUL_SHARES}
    assert doubtful == serving & {4, 9, 14} and 9 in doubtful
    assert all(n % 2 == 0 for n in serving - doubtful)


def test_processes_that_make_lessons_have_one_thread_each():
    with side_by_side(2) as each:
        assert set(each(threads_of_this_process, range(2))) == {(1, 1)}


def threads_of_this_process(_):
    of_numpy = [pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"]]
    return (numba.get_num_threads(), *of_numpy)


@pytest.mark.parametrize("is_faded", [False, True])
def test_a_steep_lesson_has_the_noise_that_was_asked_for(tmp_path, is_faded):
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(tmp_path / "one.cif"))
    made = _steep_example(tmp_path / "one.cif", np.random.default_rng(4), STEEP_SHARES, is_faded, 80.0)
    outside = ~(made.mask.data > 0.5)
    noise = (made.halves.half1.data - made.halves.half2.data) * outside
    frequency, power = radial_power(noise, made.halves.grid, 1)
    slope = np.polyfit(frequency[3:-3] ** 2, np.log(power[3:-3]), 1)[0]
    assert made.description["noise_b"] == 80.0 and -4.0 * slope == pytest.approx(80.0, rel=0.1)
    fall = made.description["coarsest"] / made.description["finest"]
    assert made.description["family"] in STEEP_SHARES and 1.2 < fall < 3.4


def test_a_folder_whose_models_are_all_excluded_is_refused(tmp_path, capsys):
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(tmp_path / "one.cif"))
    out = tmp_path / "out"
    assert main(["train", "locres", "--models", str(tmp_path), "--out", str(out), "--exclude", "ONE"]) == 3
    assert "E_NO_MODELS" in capsys.readouterr().err and not out.exists()


def test_a_folder_without_models_is_refused(tmp_path, capsys):
    assert main(["train", "locres", "--models", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "E_NO_MODELS" in capsys.readouterr().err and not (tmp_path / "out").exists()
