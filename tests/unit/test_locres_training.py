"""The training of locres: examples follow from their number, both steps are fitted, the interval is calibrated."""

import numpy as np
import pytest

from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.execution import Execution
from cryores.planted import plant
from cryores.resolution import _locres_training as training
from cryores.resolution._band_correlation import band_correlations
from cryores.resolution._locres_examples import Example, _limit, stored_examples
from cryores.volume import Grid

GRID = Grid.regular((40, 40, 40), 1.5)


def an_example(family, name, seed):
    made = plant(family, helix_bundle(20.0, (30.0, 30.0, 30.0), seed=seed), GRID, 4.0, 9.0, seed=seed)
    correlations = band_correlations(made.halves, made.mask, Execution(threads=1))
    return Example(correlations, made.mask.data > 0.5, _limit(made), name, family)


@pytest.fixture(scope="module")
def examples():
    names = [f"m{i}" for i in range(50)]
    kept = [name for name in names if training.for_calibration(name)]
    fitted = [name for name in names if not training.for_calibration(name)]
    assert 2 <= len(kept) <= 20
    return [
        an_example("bfactor", fitted[0], 1), an_example("noise", fitted[1], 2), an_example("bfactor", kept[0], 3)
    ]  # fmt: skip


def test_both_steps_are_fitted_and_the_kept_models_measured(examples):
    said = []
    network, kept = training.train(lambda: iter(examples), 80, 1, said.append)
    assert [a.model for a in kept] == [examples[2].model] and len(said) == 2 + 2 * 80
    found = training.errors_by_family(network, kept)
    assert set(found) == {"bfactor", "all"} and found["all"].median < 0.4
    assert 0.8 <= found["all"].coverage <= 0.98


def test_the_probability_below_a_truth():
    # The distribution is even over the offsets, the truths are even over its middle half.
    rows = np.tile(np.linspace(0, 1, 27, dtype=np.float32), (1000, 1))
    heights = np.tile(np.linspace(1, -1, 27, dtype=np.float32), (1000, 1))
    below = training.probability_below(rows, heights, np.linspace(-0.5, 0.5, 1000))
    np.testing.assert_allclose([below[0], below[-1]], [0.25, 0.75], atol=1e-3)


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
