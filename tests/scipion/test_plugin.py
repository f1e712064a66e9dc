"""The plugin in a real, headless Scipion: its own tests, its discovery and a queue."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment, run_case, start

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(path.stem for path in (ROOT / "cryoresplugin" / "tests").glob("test_*.py"))
AT_ONCE = 3

REPLIES = {"pbs": "$!.server", "sge": "Your job $! has been submitted"}
"""Queue system -> what its qsub says; Slurm's is in tests/docs/test_recipes.py."""

ASKED = {
    "pbs": ("#PBS -q short", "#PBS -l select=1:ncpus=2:mem=1024mb", "cd $PBS_O_WORKDIR"),
    "sge": ("#$ -q short", "#$ -pe smp 2", "#$ -l mem_free=1024M", "#$ -cwd"),
}

COMMANDS = {
    "qsub": """#!/bin/bash
cat "$1" >> "$0.log"
PBS_O_WORKDIR="$PWD" bash "$1" > /dev/null 2>&1 &
echo "{reply}"
""",
    "qstat": """#!/bin/bash
kill -0 "${{@: -1}}" 2> /dev/null && echo "${{@: -1}}"
""",
}

QUEUED_RUN = """
import os, sys, time
import pyworkflow
from pyworkflow.project import Manager
domain = pyworkflow.Config.getDomain()
domain.getPlugins()
from pwem.protocols import ProtImportVolumes
from cryoresplugin.protocols import CryoresProtFSC
folder = sys.argv[1]
project = Manager().createProject("Queued")
os.chdir(project.path)
imported = project.newProtocol(ProtImportVolumes, filesPath=folder + "/clean.mrc", samplingRate=1.5, setHalfMaps=True,
                               half1map=folder + "/half1.mrc", half2map=folder + "/half2.mrc")
project.launchProtocol(imported, wait=True)
protocol = project.newProtocol(CryoresProtFSC)
protocol.inputVolume.set(imported)
protocol.inputVolume.setExtended("outputVolume")
protocol._useQueue.set(True)
protocol.numberOfThreads.set(2)
protocol.setQueueParams(("short", {"JOB_MEMORY": "1024"}))
project.launchProtocol(protocol)
for _ in range(120):
    time.sleep(1)
    protocol = project.getProtocol(protocol.getObjId())
    project._updateProtocol(protocol)
    if protocol.isFinished() or protocol.isFailed():
        break
print("STATUS", protocol.getStatus(), "JOB", protocol.getJobIds())
"""


@pytest.fixture(scope="module")
def scipion(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("scipion"))


def run(words, scipion, cwd=None, **more):
    return subprocess.run(
        [sys.executable, *words], env={**scipion, **more}, cwd=cwd or ROOT, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """The folder of the projects of the plugin's tests."""
    return tmp_path_factory.mktemp("side-by-side")


@pytest.fixture(scope="module")
def running(request, projects):
    """Run the plugin's tests that are asked for in a few interpreters, each with one project for all that it runs."""
    asked = {item.callspec.params["case"] for item in request.session.items if item.name.startswith("test_protocols[")}
    with ProcessPoolExecutor(AT_ONCE, get_context("spawn"), initializer=start, initargs=(projects,)) as pool:
        yield {case: pool.submit(run_case, case) for case in CASES if case in asked}


@pytest.mark.parametrize("case", CASES)
def test_protocols(running, case):
    passed, said = running[case].result(timeout=600)
    assert passed, said[-6000:]


@pytest.fixture(scope="module")
def looked(running, projects, display, tmp_path_factory):
    """What the viewers of the runs that the tests of all protocols left behind showed in the real window."""
    asked = [done.result(timeout=600) for done in running.values()]
    if len(asked) < len(CASES):
        pytest.skip("only some of the protocols were run")
    home = tmp_path_factory.mktemp("looked")
    browser = home / "browser"  # instead of one: it notes what it was to open
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{home}/opened"\n')
    browser.chmod(0o755)
    words = [str(Path(__file__).parent / "viewing.py"), str(projects)]
    windows = {"DISPLAY": display, "MPLBACKEND": "TkAgg", "BROWSER": str(browser)}
    done = run(words, environment(home), **windows)
    assert done.returncode == 0 and "Traceback" not in done.stderr + done.stdout, (
        done.stdout[-2000:] + done.stderr[-3000:]
    )
    return json.loads(done.stdout.splitlines()[-1]), (home / "opened").read_text().splitlines()


def test_every_protocol_was_run_and_its_viewer_shows_something_behind_every_eye(looked):
    from cryores.method import method_summaries

    seen, reports = looked
    protocols = set(seen) - {"no result"}
    assert len(protocols) == len(method_summaries()) - (0 if find_spec("tomo") else 1)
    for name in protocols:
        assert seen[name]["viewer"].startswith("Cryores") and seen[name]["forms"], name
        for form, eyes in seen[name]["forms"].items():
            assert eyes, (name, form)
            for eye, shown in eyes.items():
                elsewhere = "Report" in eye or "Values of the residues" in eye or form == "CryoresResidueViewer"
                assert all(shown["figures"]) and (shown["figures"] or shown["said"] or elsewhere), (
                    name,
                    form,
                    eye,
                    shown,
                )
    assert all(Path(address[len("file://") :]).name == "report.html" for address in reports)
    assert len(reports) == len({seen[name]["viewer"] for name in protocols})


def test_a_viewer_without_a_result_says_so(looked):
    seen, _ = looked
    for one in seen["no result"]:
        (said,) = one["said"] or one["forms"][one["viewer"]][""]["said"]
        assert "no result to show yet" in said


def test_scipion_finds_every_part_of_the_plugin(scipion):
    done = run(["-m", "scipion", "inspect", "cryoresplugin"], scipion)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not any(
        word in (done.stdout + done.stderr).lower() for word in ("error", "warning", "traceback", "exception")
    )
    for part in ("constants", "protocols", "wizards", "viewers", "tests"):
        assert f">>> {part}:  " in done.stdout and "loaded" in done.stdout.split(f">>> {part}:")[1].splitlines()[0], (
            part
        )
    listed = run(["-m", "scipion", "protocols"], scipion).stdout
    assert all(name in listed for name in ("CryoresProtFSC", "CryoresProtMonoRes", "CryoresProtBlocres"))


INSTALLED = """
from scipion.install.plugin_funcs import PluginInfo
print(PluginInfo("scipion-em-cryores", remote=False).getDirName())
"""


def test_scipions_installer_takes_the_plugin_for_the_plugin(scipion, tmp_path):
    done = run(["-c", INSTALLED], scipion, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["cryoresplugin"], done.stdout + done.stderr[-3000:]


WITHOUT_TOMO = """
import sys, unittest
sys.modules["tomo"] = None  # as where scipion-em-tomo is not installed
import pyworkflow
domain = pyworkflow.Config.getDomain()
domain.getPlugins()
found = sorted(name for name in domain.getProtocols() if name.startswith("Cryores"))
assert "CryoresProtMonoRes" in found and "CryoresProtMonoTomo" not in found, found
from cryoresplugin.viewers import CryoresLocalResolutionViewer
suite = unittest.defaultTestLoader.loadTestsFromName("cryoresplugin.tests.test_protocol_monotomo")
result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
print(result.wasSuccessful(), *{reason for _, reason in result.skipped})
"""


def test_where_there_is_no_tomo_all_but_monotomo_is_there(scipion):
    done = run(["-c", WITHOUT_TOMO], scipion)
    assert done.stdout.splitlines()[-1:] == ["True scipion-em-tomo is not installed here"], done.stderr[-3000:]


CITED = """
import pyworkflow, cryoresplugin, cryoresplugin.bibtex
from cryores.citations import BIBTEX
domain = pyworkflow.Config.getDomain()
domain.getPlugins()
assert cryoresplugin.bibtex.__doc__ == chr(10).join(BIBTEX.values())
assert set(cryoresplugin._references) <= set(BIBTEX)
found = {n: c for n, c in domain.getProtocols().items() if c.__module__.startswith("cryoresplugin")}
for protocol in (found[name]() for name in found):
    assert list(protocol.getCitations()) == protocol._citations() != [], protocol
print(*sorted({protocol._method for protocol in found.values()}))
"""


def test_every_method_is_a_protocol_whose_citations_scipion_resolves(scipion):
    from cryores.method import method_summaries

    methods = set(method_summaries()) - (set() if find_spec("tomo") else {"monotomo"})
    done = run(["-c", CITED], scipion)
    assert done.stdout.splitlines()[-1:] == [" ".join(sorted(methods))], done.stderr[-3000:]


@pytest.mark.parametrize("system", ASKED)
def test_a_protocol_is_submitted_as_the_hosts_conf_of_the_plugin_says(scipion, simulated, tmp_path, system):
    for name, text in COMMANDS.items():
        (tmp_path / name).write_text(text.format(reply=REPLIES[system]))
        (tmp_path / name).chmod(0o755)
    place = {"SCIPION_HOSTS": str(ROOT / "cryoresplugin" / "hosts" / f"{system}.conf"),
             "PATH": f"{tmp_path}{os.pathsep}{scipion['PATH']}"}  # fmt: skip
    done = run(["-c", QUEUED_RUN, str(simulated)], scipion, cwd=tmp_path, **place)
    assert "STATUS finished" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    submitted = (tmp_path / "qsub.log").read_text()
    assert all(submitted.count(line) == 1 for line in ASKED[system]), submitted
