"""Scipion's installer brings the published weights, from a server or a folder; protocols say which are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from headless import environment
from weight_server import CONTENT, GOOD, NAME, Server

ROOT = Path(__file__).resolve().parents[2]
SETS = ("cryores_deepres", "cryores_deepemhancer")

MISSING = """
import pyworkflow
pyworkflow.Config.getDomain().getPlugins()
from cryoresplugin import Plugin
from cryoresplugin.protocols import CryoresProtDeepRes
protocol = CryoresProtDeepRes()
assert protocol._missingInputs() == ["Give the input volume."]
protocol.weights.set(1)
for line in protocol._missingInputs()[1:]:
    print(line)
print("ENVIRON", Plugin.getEnviron()["CRYORES_WEIGHTS"])
"""


@pytest.fixture
def scipion(tmp_path):
    home = {"XDG_DATA_HOME": str(tmp_path / "user"), "NO_PROXY": "127.0.0.1"}
    return {**environment(tmp_path / "scipion"), **home}


@pytest.fixture
def em(scipion):
    return Path(scipion["SCIPION_HOME"]) / "software" / "em"


def run(scipion, *words, **more):
    return subprocess.run(
        [sys.executable, *words], env={**scipion, **more}, cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def installb(scipion, *words, **more):
    return run(scipion, "-m", "scipion", "installb", *words, **more)


def marks(scipion):
    """Return the marks, [ ] or [X], that the installer's list puts behind our sets."""
    lines = installb(scipion, "--help").stdout.splitlines()
    return [line.split("published")[1].strip() for name in SETS for line in lines if line.startswith(name)]


def test_installb_fetches_from_a_server_after_a_failure(scipion, em):
    failed = installb(scipion, "cryores_deepres", CRYORES_WEIGHTS_FROM="/nowhere")
    assert failed.returncode == 1 and "error E_WEIGHTS_MISSING: " in failed.stderr, failed.stdout + failed.stderr
    assert marks(scipion) == ["[ ]", "[ ]"]
    server = Server()
    server.cut = [900_000]
    try:
        done = installb(scipion, "cryores_deepres", CRYORES_WEIGHTS_MIRROR=server.url)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.asked[-1][1].startswith("bytes=")
    for name, content in CONTENT.items():
        assert (em / "cryores-weights" / "deepres" / name).read_bytes() == content
    assert "All targets exist" in installb(scipion, "cryores_deepres").stdout


def test_without_a_network_installb_takes_a_folder_and_protocols_find_the_weights(scipion, em, tmp_path):
    told = run(scipion, "-c", MISSING).stdout
    assert "scipion3 installb cryores_deepres" in told and "CRYORES_WEIGHTS_FROM=" in told and "models/deepRes" in told
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / NAME).write_bytes(GOOD)
    done = installb(scipion, "cryores_deepres", CRYORES_WEIGHTS_FROM=str(tmp_path / "usb"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(scipion, "-c", MISSING).stdout.splitlines() == [f"ENVIRON {em / 'cryores-weights'}"]


def test_weights_of_the_user_will_do(scipion, tmp_path):
    (tmp_path / NAME).write_bytes(GOOD)
    assert run(scipion, "-m", "cryores", "weights", "import", "deepres", str(tmp_path / NAME)).returncode == 0
    assert run(scipion, "-c", MISSING).stdout.splitlines()[0].startswith("ENVIRON ")


def test_nothing_is_installed_by_itself(scipion):
    code = """
import pyworkflow
pyworkflow.Config.getDomain().getPlugins()
from scipion.install.funcs import Environment
from cryoresplugin import Plugin
env = Environment()
Plugin.defineBinaries(env)
print(*(t.getName() for t in env.getTargetList() if t.isDefault()), "|", *(t.getName() for t in env.getTargetList()))
"""
    default, offered = run(scipion, "-c", code).stdout.splitlines()[-1].split("|")
    assert "deep" not in default and all(f"{name}-published" in offered for name in SETS)
