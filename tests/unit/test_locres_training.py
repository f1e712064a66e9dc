"""The training of locres: examples follow from their number, both steps are fitted, the interval is calibrated."""

import numpy as np
import pytest
from scipy.stats import norm

from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.execution import Execution
from cryores.planted import plant
from cryores.resolution import _locres_training as training
from cryores.resolution import _neighbourhood
from cryores.resolution._band_correlation import band_correlations
from cryores.resolution._locres_examples import Example, _limit, stored_examples
from cryores.resolution._resolution_network import Committee, Network, Perceptron
from cryores.volume import Grid

GRID = Grid.regular((40, 40, 40), 1.5)


def an_example(family, name, seed):
    made = plant(family, helix_bundle(20.0, (30.0, 30.0, 30.0), seed=seed), GRID, 4.0, 9.0, seed=seed)
    correlations = band_correlations(made.halves, made.mask.data, Execution(threads=1))
    return Example(correlations, made.mask.data > 0.5, _limit(made), name, family)


@pytest.fixture(scope="module")
def examples():
    names = [f"m{i}" for i in range(50)]
    kept = [name for name in names if training.for_calibration(name)]
    fitted = [name for name in names if not training.for_calibration(name)]
    one, other, third = (next(name for name in fitted if training._member(name) == k) for k in range(3))
    assert 2 <= len(kept) <= 20
    return [
        an_example("bfactor", one, 1), an_example("noise", one, 2), an_example("bfactor", other, 4),
        an_example("bfactor", third, 6), an_example("bfactor", kept[0], 3),
    ]  # fmt: skip


def test_both_steps_are_fitted_and_the_kept_models_measured(examples):
    said = []
    network, kept = training.train(lambda: iter(examples), 80, 1, said.append)
    assert [a.model for a in kept] == [examples[-1].model] and len(said) == 2 + 4 * 80
    found = training.errors_by_family(network, kept)
    assert set(found) == {"bfactor", "all"} and found["all"].median < 0.4
    assert 0.8 <= found["all"].coverage <= 0.98


def test_an_interval_that_is_half_as_wide_as_it_should_be_is_widened_to_hold_nine_of_ten():
    # The distribution is normal about the place with a standard deviation of 0.1, the truths with one of 0.2.
    offsets = _neighbourhood.offsets()
    odds = np.log(norm.cdf(-offsets / 0.1)) - np.log(norm.sf(-offsets / 0.1))
    silent = np.zeros((1, 4), dtype=np.float32), np.zeros((4, 4), np.float32), np.zeros((4, len(offsets)), np.float32)
    committee = Committee((Perceptron(silent, (np.zeros(4), np.zeros(4), odds.astype(np.float32))),))
    rng = np.random.default_rng(5)
    place = rng.uniform(np.log(0.05), np.log(0.2), 20000).astype(np.float32)
    truth = np.exp(place + 0.2 * rng.standard_normal(place.shape)).astype(np.float32)
    answers = training.Answers(np.zeros((len(place), 1), np.float32), place, truth, "one", "bfactor")
    widening = training.calibrated_widening(committee, [answers])
    assert widening.shape[1] <= training.CALIBRATION_BINS and np.all(np.diff(widening[0]) >= 0)
    np.testing.assert_allclose(widening[0], 2 * 1.645 * 0.1, rtol=0.1)
    np.testing.assert_allclose(widening[1], 2.0, rtol=0.12)
    network = Network(committee, committee, widening)
    assert training.errors(network, [answers]).coverage == pytest.approx(0.9, abs=0.01)


def test_weighted_quantiles_count_by_weight():
    found = training.weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]), 0.5)
    assert found == pytest.approx(2.0 + 1.0 / 3.0 * 1.0)


def test_a_stored_example_is_the_same_again(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(models / "one.cif"))
    found = [models / "one.cif"]
    first = list(stored_examples(found, 3, 2, tmp_path))
    again = list(stored_examples(found, 3, 2, tmp_path))
    assert len(first) == len(again) >= 1
    np.testing.assert_array_equal(first[0].limit, again[0].limit)
    voxels = np.argwhere(first[0].inside)[:50]
    np.testing.assert_array_equal(first[0].correlations.read(voxels), again[0].correlations.read(voxels))


def test_a_folder_whose_models_are_all_excluded_is_refused(tmp_path, capsys):
    helix_bundle(20.0, (0.0, 0.0, 0.0), seed=1).make_mmcif_document().write_file(str(tmp_path / "one.cif"))
    out = tmp_path / "out"
    assert main(["train", "locres", "--models", str(tmp_path), "--out", str(out), "--exclude", "ONE"]) == 3
    assert "E_NO_MODELS" in capsys.readouterr().err and not out.exists()


def test_a_folder_without_models_is_refused(tmp_path, capsys):
    assert main(["train", "locres", "--models", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "E_NO_MODELS" in capsys.readouterr().err and not (tmp_path / "out").exists()
