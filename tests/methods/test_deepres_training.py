"""Training of our own DeepRes from end to end, on a budget that teaches nothing."""

from importlib.util import find_spec

import numpy as np
import pytest

from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.nets.homogeneous import resolutions
from cryores.nets.own_deepres import FORMAT, Reading
from cryores.nets.stored_weights import load_weights

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="training needs TensorFlow (Python 3.10)")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Six models: five to learn from, one kept aside."""
    folder = tmp_path_factory.mktemp("models")
    for seed in range(6):
        helix_bundle(8.0, (0.0, 0.0, 0.0), seed=seed).write_minimal_pdb(str(folder / f"bundle{seed}.pdb"))
    return folder


def trained(models, out, *more):
    words = ["train", "deepres", "--models", str(models), "--out", str(out), "--range", "2.5-13", "--lessons", "9"]
    assert main([*words, "--quiet", *more]) == 0
    return load_weights(out / "deepres-low.npz", FORMAT)


def test_training_ends_resumes_and_repeats(models, tmp_path):
    first = trained(models, tmp_path / "first")
    kept = (tmp_path / "first" / "kept-aside.txt").read_text().split()
    assert kept == ["bundle5.pdb"] and first.description["models"] == 5
    reading = Reading(first.arrays, resolutions(*first.description["bounds"]))
    answer, error = reading(np.zeros((3, len(first.arrays["head0/kernel"])), dtype=np.float32))
    assert answer.shape == error.shape == (3,) and (answer > 1.5).all() and (answer < 19.0).all()
    assert "not shown to it" in (tmp_path / "first" / "deepres-low.md").read_text()

    again = trained(models, tmp_path / "again", "--cache", str(tmp_path / "first" / "pieces"))
    for name, values in first.arrays.items():
        np.testing.assert_allclose(again.arrays[name], values, atol=1e-5, err_msg=name)

    described = tmp_path / "first" / "described-low-000.npz"
    made = described.stat().st_mtime_ns
    (tmp_path / "first" / "deepres-low.npz").unlink()
    resumed = trained(models, tmp_path / "first")
    assert described.stat().st_mtime_ns == made, "described once"
    for name, values in first.arrays.items():
        np.testing.assert_allclose(resumed.arrays[name], values, atol=1e-5, err_msg=name)
