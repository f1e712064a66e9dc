"""TensorFlow starts without a word, and where there is none that is said."""

import os
import signal
import subprocess
import sys

import pytest

QUIET = """
from cryores.nets import load_keras
keras = load_keras()
model = keras.Sequential([keras.Input((4, 4, 4, 1)), keras.layers.Conv3D(1, 3)])
import numpy, sys
print(model.predict_on_batch(numpy.zeros((1, 4, 4, 4, 1))).shape)
print("heard", file=sys.stderr)
"""

SHARED = """
import numpy, sys
from cryores.nets import load_keras
keras = load_keras()
import tensorflow
cpu = tensorflow.config.list_physical_devices("CPU")[0]
tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 2)
from cryores.nets.predictor import predictor
keras.utils.set_random_seed(1)
network = keras.Sequential([keras.Input((6, 6, 6, 1)), keras.layers.Conv3D(2, 3, padding="same", activation="relu")])
used, enter = [], tensorflow.device
tensorflow.device = lambda name: used.append(name) or enter(name)
given = numpy.random.default_rng(0).standard_normal((5, 6, 6, 6, 1)).astype(numpy.float32)
alone = predictor(network)(given)
shared = predictor(network, ["/CPU:0", "/CPU:1"])
print(numpy.allclose(shared(given), alone, atol=1e-6), sorted(set(used)), shared(given[:1]).shape)
"""

KILLED = """
import numpy, os, signal
from cryores.nets import load_keras
keras = load_keras()
from cryores.nets.predictor import predictor
from cryores.nets.slab_norm import slab_normalization
layers = [keras.layers.Conv3D(2, 3, padding="same"), slab_normalization(2)]
network = keras.Sequential([keras.Input((4, 4, 4, 1)), *layers])
given = numpy.zeros((1, 4, 4, 4, 1), numpy.float32)
print(predictor(network)(given).shape, network.predict_on_batch(given).shape, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

WITHOUT = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "h5py"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
from cryores.errors import WeightsError
from cryores.nets import load_keras, weights
from cryores.nets.legacy_hdf5 import read_network
open(sys.argv[1], "wb").write(weights.HDF5_SIGNATURE)
for action in (load_keras, lambda: read_network(sys.argv[1])):
    try:
        action()
    except WeightsError as error:
        print(error.code, error.exit_status, "pip install" in error.hint)
print(*weights.weight_sets())
"""


def run(code, *words, **more):
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, **more)


def test_tensorflow_starts_without_a_word():
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    done = run(QUIET)
    assert (done.stdout, done.stderr) == ("(1, 2, 2, 2, 1)\n", "heard\n")


def test_without_tensorflow_weights_are_listed_and_networks_are_not_run(tmp_path):
    done = run(WITHOUT, str(tmp_path / "a.h5"))
    assert done.stdout.splitlines() == ["E_NO_TENSORFLOW 5 True", "E_NO_TENSORFLOW 5 True", "deepres deepemhancer"]


def test_cubes_are_shared_over_the_devices_and_come_back_in_order():
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    done = run(SHARED)
    assert done.stdout == "True ['/CPU:0', '/CPU:1'] (1, 6, 6, 6, 2)\n", done.stderr


def test_a_killed_run_leaves_no_programs_of_autograph_among_temporary_files(tmp_path):
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    done = run(KILLED, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "(1, 4, 4, 4, 2) (1, 4, 4, 4, 2)\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
