"""Training of our own DeepRes from end to end, on a budget that teaches nothing."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.nets.own_deepres import FORMAT, Reading
from cryores.nets.stored_weights import load_weights
from cryores.nets.training import deepres as training
from cryores.nets.training.chunks import workers
from cryores.nets.training.deepres import EPOCHS, TARGETS, train

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="training needs TensorFlow (Python 3.10)")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Six models: five to learn from, one kept aside."""
    folder = tmp_path_factory.mktemp("models")
    for seed in range(6):
        helix_bundle(8.0, (0.0, 0.0, 0.0), seed=seed).write_minimal_pdb(str(folder / f"bundle{seed}.pdb"))
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="module", autouse=True)
def _judged_by_one_piece():
    """What a network that was taught nothing is worth matters to nobody here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "JUDGED", 1)
        yield


def trained(models, out, *more):
    words = ["train", "deepres", "--models", str(models), "--out", str(out), "--range", "2.5-13", "--lessons", "9"]
    assert main([*words, "--quiet", *more]) == 0
    return load_weights(out / "deepres-low.npz", FORMAT)


@pytest.fixture(scope="module")
def first(models, out):
    return trained(models, out)


def assert_same(one, other):
    for name, values in one.arrays.items():
        np.testing.assert_allclose(other.arrays[name], values, atol=1e-5, err_msg=name)


def test_training_ends_and_says_what_it_did(first, out):
    kept = (out / "kept-aside.txt").read_text().split()
    assert kept == ["bundle5.pdb"] and first.description["models"] == 5 and len(first.description["loss"]) == EPOCHS
    reading = Reading(first.arrays)
    answer, error = reading(np.zeros((3, len(first.arrays["head0/kernel"])), dtype=np.float32))
    assert answer.shape == error.shape == (3,) and (answer > 1.5).all() and (answer < 19.0).all()
    assert "not shown to it" in (out / "deepres-low.md").read_text()


@pytest.mark.parametrize("line", ["described chunk 1 of 1", f"epoch {EPOCHS // 2} of"])
def test_a_training_stopped_in_the_middle_ends_as_if_it_had_not_been(line, models, first, out, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(told):
        if line in told:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(TARGETS["2.5-13"], models, tmp_path, lessons=9, cache=out / "pieces", tell=stop)
    assert not (tmp_path / "deepres-low.npz").exists()
    (described,) = tmp_path.glob("low-*/described-000.npz")
    made = described.stat().st_mtime_ns
    assert_same(first, trained(models, tmp_path, "--cache", str(out / "pieces")))
    assert described.stat().st_mtime_ns == made, "described once"


def test_another_seed_in_the_same_folder_does_not_go_on_with_what_it_finds(models, first, out, tmp_path):
    used = tmp_path / "used"
    shutil.copytree(out, used)
    beside = trained(models, used, "--seed", "1")
    alone = trained(models, tmp_path / "alone", "--seed", "1", "--cache", str(used / "pieces"))
    assert_same(alone, beside)
    assert np.abs(alone.arrays["head0/kernel"] - first.arrays["head0/kernel"]).max() > 0.01
    assert len(list(used.glob("low-*"))) == 2


def end_of_worker(pool_of):
    """In a process of its own: start workers, say their ids, and wait to be killed."""
    with workers(pool_of) as pool:
        print(*set(pool.map(identity, range(8))), flush=True)
        time.sleep(60)


def identity(_):
    time.sleep(0.2)
    return os.getpid()


def test_workers_end_with_a_training_that_is_killed():
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "from test_deepres_training import end_of_worker\nif __name__ == '__main__':\n    end_of_worker(2)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ids = [int(word) for word in process.stdout.readline().split()]
        assert ids and all(psutil.pid_exists(one) for one in ids)
        process.kill()
    left = [psutil.Process(one) for one in ids if psutil.pid_exists(one)]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not alive
