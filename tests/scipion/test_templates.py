"""Every template of the plugin makes a whole project by one command, without a window and without an exception."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {
    "local_resolution": ("map", "half1", "half2", "sampling"),
    "postprocess_and_judge": ("map", "half1", "half2", "sampling"),
    "everything_on_one_map": ("map", "sampling", "resolution"),
}
PATIENCE = 500
"""Seconds; Scipion alone sleeps half a minute for each run that waits for another."""


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    from cryores.cli import main

    folder = tmp_path_factory.mktemp("simulated") / "maps"
    words = ["simulate", "--size", "32", "--voxel-size", "2", "--min-resolution", "5", "--out", str(folder)]
    assert main(words) == 0
    files = {"map": folder / "clean.mrc", "half1": folder / "half1.mrc", "half2": folder / "half2.mrc"}
    return {**{name: str(path) for name, path in files.items()}, "sampling": "2.0", "resolution": "5.0"}


@pytest.fixture(scope="module")
def scipion(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def projects(scipion, values, tmp_path_factory):
    """Start every template by its command; the runs go on behind the commands, side by side."""
    started, said = {}, tmp_path_factory.mktemp("said")
    for name, aliases in TEMPLATES.items():
        words = [f"project_name={name}", *(f"{alias}={values[alias]}" for alias in aliases), "--nogui"]
        # Into a file: a pipe would be open, and waited for, until the last run has ended.
        with open(said / name, "w") as file:
            command = [sys.executable, "-m", "scipion", "template", f"cryores-{name}", *words]
            done = subprocess.run(command, env=scipion, cwd=ROOT, stdout=file, stderr=file, timeout=300)
        assert done.returncode == 0, (said / name).read_text()[-3000:]
        started[name] = Path(scipion["SCIPION_USER_DATA"]) / "projects" / name
    return started


def runs_of(template):
    """Return the classes of the protocols that a template has."""
    text = (ROOT / "cryoresplugin" / "templates" / f"{template}.json.template").read_text(encoding="utf-8")
    return [run["object.className"] for run in json.loads(text[text.index("[") :])]


def finished(project, runs):
    """Return those of the runs whose log says that they are done."""
    logs = {path.parts[-3].split("_", 1)[1]: path for path in project.glob("Runs/*/logs/run.stdout")}
    return [run for run in runs if run in logs and "PROTOCOL FINISHED" in logs[run].read_text(errors="replace")]


def failures(project):
    """Return what the logs say of exceptions."""
    logs = [*project.glob("Runs/*/logs/run.stderr"), *project.glob("Runs/*/logs/run.stdout"), *project.glob("Logs/*")]
    said = {path: path.read_text(errors="replace") for path in logs if path.is_file()}
    bad = re.compile(r"Traceback \(most recent|PROTOCOL FAILED|^error E_", re.M)
    return {str(path): text[-1500:] for path, text in said.items() if bad.search(text)}


def wait_for(project, runs):
    """Wait until all runs have ended, one has failed, or patience has."""
    deadline = time.monotonic() + PATIENCE
    while set(finished(project, runs)) != set(runs) and time.monotonic() < deadline:
        assert not failures(project)
        time.sleep(1)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_runs_to_its_end_by_one_command(projects, template):
    runs = runs_of(template)
    wait_for(projects[template], runs)
    assert sorted(finished(projects[template], runs)) == sorted(runs)
    assert not failures(projects[template])


def test_every_template_is_tested():
    assert {path.name.split(".")[0] for path in (ROOT / "cryoresplugin" / "templates").glob("*")} == set(TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES)
def test_progress_in_the_logs_is_lines(projects, template):
    """A log that a window shows has no control characters of a bar; each stage is a line with what it took or takes."""
    runs = runs_of(template)
    wait_for(projects[template], runs)
    logs = list(projects[template].glob("Runs/*Cryores*/logs/run.stderr"))
    assert len(logs) == sum(run.startswith("Cryores") for run in runs)
    for path in logs:
        text = path.read_bytes().decode(errors="replace")
        assert "\r" not in text and "it/s]" not in text, path
        assert re.search(r"^checking the input \.\.\.$", text, re.M) and "memory: needs" in text, path
