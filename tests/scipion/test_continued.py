"""A protocol that is killed, and continued, gives what one gives that was never interrupted."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment

CONTINUED = """
import glob, os, sys, time
import numpy as np
import psutil
import pyworkflow
from pyworkflow.project import Manager
from pyworkflow.protocol.constants import MODE_RESUME
pyworkflow.Config.getDomain().getPlugins()
from pwem.protocols import ProtImportVolumes
from cryores.mapio import read_map
import cryoresplugin.protocols

folder = sys.argv[1]
project = Manager().createProject("Continued")
os.chdir(project.path)
halves = dict(setHalfMaps=True, half1map=folder + "/half1.mrc", half2map=folder + "/half2.mrc")
imported = project.newProtocol(ProtImportVolumes, filesPath=folder + "/clean.mrc", samplingRate=1.5, **halves)
project.launchProtocol(imported, wait=True)

def made(kind, field, options):
    protocol = project.newProtocol(kind, **options)
    getattr(protocol, field).set(imported)
    getattr(protocol, field).setExtended("outputVolume")
    return protocol

def killed(protocol):
    "Launch, and kill -9 everything of it as soon as the engine has begun to write."
    project.launchProtocol(protocol)
    staging = os.path.join(protocol._getExtraPath(), "*", ".cryores-*")
    end = time.monotonic() + 120
    while not glob.glob(staging) and time.monotonic() < end:
        time.sleep(0.005)
    mine = [p for p in psutil.process_iter(["cmdline"]) if protocol.getWorkingDir() in " ".join(p.info["cmdline"] or [])
            or protocol._getLogsPath() in " ".join(p.info["cmdline"] or [])]
    mine = [child for p in mine for child in (p, *p.children(recursive=True))]
    for process in mine:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(mine, timeout=20)
    report = glob.glob(os.path.join(protocol._getExtraPath(), "*", "report.json"))
    print("LEFT", type(protocol).__name__, len(glob.glob(staging)), len(report))

def output(protocol):
    name = next(n for n, _ in protocol.iterOutputAttributes() if n in ("resolution_Volume", "Volume"))
    return read_map(getattr(protocol, name).getFileName().replace(":mrc", "")).data

FORMS = dict(
    CryoresProtMonoRes=("associatedHalves", dict(useHalfVolumes=True, maxRes=12.0)),
    CryoresProtLocScale=("inputVolume", dict(refType=0, resol=4)),
    CryoresProtLocres=("inputVolume", dict()),
    CryoresProtDeepEMhancer=("inputVolume", dict(useHalfMapsInsteadVol=True, views=1)),
)
for name in sys.argv[2:]:
    kind, (field, options) = getattr(cryoresplugin.protocols, name), FORMS[name]
    whole = made(kind, field, options)
    project.launchProtocol(whole, wait=True)
    protocol = made(kind, field, options)
    killed(protocol)
    protocol = project.getProtocol(protocol.getObjId())
    project._updateProtocol(protocol)
    protocol.setFailed("killed")
    project._storeProtocol(protocol)
    protocol.runMode.set(MODE_RESUME)
    project.launchProtocol(protocol, wait=True)
    protocol = project.getProtocol(protocol.getObjId())
    whole = project.getProtocol(whole.getObjId())
    a, b = output(whole), output(protocol)
    left = glob.glob(os.path.join(protocol._getExtraPath(), "*", ".cryores-*"))
    same = float(np.mean(np.isclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(a).max())))
    print("RESULT", kind.__name__, protocol.getStatus(), same >= 0.999, len(left))
"""


def test_a_protocol_that_was_killed_is_continued_to_the_same_result(simulated, tmp_path):
    names = ["CryoresProtMonoRes", "CryoresProtLocScale", "CryoresProtLocres"]
    if find_spec("tensorflow"):
        names.append("CryoresProtDeepEMhancer")
    done = subprocess.run(
        [sys.executable, "-c", CONTINUED, str(simulated), *names], env=environment(tmp_path / "home"), cwd=tmp_path,
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    for name in names:
        assert f"LEFT {name} 1 0" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
        assert f"RESULT {name} finished True 0" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
