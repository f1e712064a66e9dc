"""A job of a queue that is stopped in Scipion: the queue is told its number, and nothing half done is left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment

HOSTS = Path(__file__).resolve().parents[2] / "cryoresplugin" / "hosts"

QUEUES = {
    "slurm": ("sbatch", "squeue", "scancel", "Submitted batch job 4711", "TERM"),
    "pbs": ("qsub", "qstat", "qdel", "4712.server", "TERM"),
    "sge": ("qsub", "qstat", "qdel", 'Your job 4713 ("5") has been submitted', "KILL"),
}
"""Queue system -> what submits, asks and cancels, the reply, and the signal that ends a job."""

SUBMIT = """#!/bin/bash
PBS_O_WORKDIR="$PWD" setsid bash "$1" > /dev/null 2>&1 &
echo $! > "{folder}/group"
echo '{reply}'
"""
ASK = """#!/bin/bash
kill -0 -- "-$(cat "{folder}/group")" 2> /dev/null && echo "${{@: -1}}"
"""
CANCEL = """#!/bin/bash
echo "$(basename "$0") $*" >> "{folder}/cancelled"
kill -s {signal} -- "-$(cat "{folder}/group")"
"""

STOPPED = """
import glob, json, os, sys, time
import psutil
import pyworkflow
from pyworkflow.project import Manager
pyworkflow.Config.getDomain().getPlugins()
from pwem.protocols import ProtImportVolumes
from cryoresplugin.protocols import CryoresProtMonoRes

maps, hosts, queues = sys.argv[1:]
project = Manager().createProject("Stopped")
os.chdir(project.path)
imported = project.newProtocol(ProtImportVolumes, filesPath=maps + "/clean.mrc", samplingRate=1.5, setHalfMaps=True,
                               half1map=maps + "/half1.mrc", half2map=maps + "/half2.mrc")
project.launchProtocol(imported, wait=True)
path, found = os.environ["PATH"], {}

def until(true):
    end = time.monotonic() + 120
    while not true() and time.monotonic() < end:
        time.sleep(0.01)

def alive(group):
    processes = psutil.process_iter(["status"])
    return [p for p in processes if p.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(p.pid) == group]

for system in sorted(os.listdir(queues)):
    os.environ["PATH"] = os.path.join(queues, system) + os.pathsep + path
    project._loadHosts(os.path.join(hosts, system + ".conf"))
    protocol = project.newProtocol(CryoresProtMonoRes, useHalfVolumes=True, maxRes=12.0)
    protocol.associatedHalves.set(imported)
    protocol.associatedHalves.setExtended("outputVolume")
    protocol._useQueue.set(True)
    protocol.setQueueParams(("short", {"JOB_MEMORY": "1024"}))
    project.launchProtocol(protocol)
    place = os.path.join(protocol._getExtraPath(), "*")
    until(lambda: glob.glob(os.path.join(place, ".cryores-*")))
    begun = len(glob.glob(os.path.join(place, ".cryores-*")))
    project.stopProtocol(protocol)
    group = int(open(os.path.join(queues, system, "group")).read())
    until(lambda: not alive(group))
    found[system] = {
        "begun": begun,
        "cancelled": open(os.path.join(queues, system, "cancelled")).read().split("\\n")[:-1],
        "status": project.getProtocol(protocol.getObjId()).getStatus(),
        "alive": len(alive(group)),
        "reports": len(glob.glob(os.path.join(place, "report.json"))),
        "half done": len(glob.glob(os.path.join(place, ".cryores-*"))),
    }
print(json.dumps(found))
"""


def test_a_job_that_is_stopped_is_cancelled_by_its_number(simulated, tmp_path):
    for system, (submit, ask, cancel, reply, signal) in QUEUES.items():
        folder = tmp_path / "queues" / system
        folder.mkdir(parents=True)
        for name, text in ((submit, SUBMIT), (ask, ASK), (cancel, CANCEL)):
            (folder / name).write_text(text.format(folder=folder, reply=reply, signal=signal))
            (folder / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(simulated), str(HOSTS), str(tmp_path / "queues")],
        env=environment(tmp_path / "home"), cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    stopped = {"begun": 1, "status": "aborted", "alive": 0, "reports": 0}
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "slurm": {**stopped, "cancelled": ["scancel 4711"], "half done": 0},
        "pbs": {**stopped, "cancelled": ["qdel 4712"], "half done": 0},
        # Killed at once, it can clear up nothing; the next run does.
        "sge": {**stopped, "cancelled": ["qdel 4713"], "half done": 1},
    }
