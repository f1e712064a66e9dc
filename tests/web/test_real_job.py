"""A job from the upload to the project, run by Scipion."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from served import Served, sentence

from cryores.mapio import read_map
from cryores.web import scipion
from cryores.web.menu import MENU

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")

OPEN = """
import os, sys
import pyworkflow
pyworkflow.Config.getDomain().getPlugins()
from pyworkflow.project import Manager
project = Manager().loadProject(sys.argv[1])
os.chdir(project.path)
for run in project.getRuns():
    name, output = next(run.iterOutputAttributes())
    file = getattr(output, "getFileName", lambda: "")()
    print(run.getObjLabel(), run.getStatus(), os.path.exists(file.replace(":mrc", "")), sep="|")
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, maps):
    """A finished job: its server, its user, and what the user is told."""
    served = Served(tmp_path_factory.mktemp("real") / "store", stub=False)
    with served.user() as user:
        job = user.examined(half1=maps["half1"], half2=maps["half2"], mask=maps["mask"])
        assert user.begin(job, ["localdeblur", "blocres", "monores"], box=10).status_code == 200
        yield served, user, user.wait(job, "done", "failed", seconds=400)
    served.stop()


def test_every_step_is_done_and_in_order(done):
    _, _, job = done
    assert job["state"] == "done", job
    assert [(step["name"], step["state"]) for step in job["steps"]] == [
        ("import", "done"), ("monores", "done"), ("blocres", "done"), ("localdeblur", "done"), ("compare", "done"),
    ]  # fmt: skip
    assert all(step["seconds"] > 0 for step in job["steps"])


def test_what_the_page_draws_is_what_the_report_holds(done):
    served, user, job = done
    shown = user.get(f"/api/jobs/{job['id']}/results/monores").json()
    assert [section["heading"] for section in shown["sections"]] == ["Surface", "Histogram", "Slices"]
    (mesh,) = shown["sections"][0]["figure"]["data"]
    assert mesh["type"] == "mesh3d"
    base = f"/api/jobs/{job['id']}/results/monores/files"
    script = user.get(f"{base}/view.cxc").text
    key = dict(re.findall(r"(-?[\d.]+),(#[0-9a-f]{6})", script))
    colours = [colour for _, colour in mesh["colorscale"]]
    # The surface in the browser and in ChimeraX have one key.
    assert list(key.values()) == colours
    assert [float(number) for number in key] == pytest.approx(mesh["colorbar"]["tickvals"], abs=0.01)
    report = json.loads(user.get(f"{base}/report.json").text)
    assert dict(shown["numbers"])["Median"] == f"{report['summary']['median']:.2f} Å"
    page = user.get(f"{base}/report.html")
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(page.content) < 15e6
    assert str(served.store) not in user.get(f"/api/jobs/{job['id']}").text
    compared = user.get(f"/api/jobs/{job['id']}/results/compare").json()
    assert "Histograms" in [section["heading"] for section in compared["sections"]]


def test_a_sharpening_follows_the_first_local_resolution_of_the_job(done):
    _, user, job = done
    report = {
        name: json.loads(user.get(f"/api/jobs/{job['id']}/results/{name}/files/report.json").text)
        for name in ("monores", "localdeblur")
    }
    followed = report["localdeblur"]["inputs"]["resolution_map"]
    resolution = user.get(f"/api/jobs/{job['id']}/results/monores/files/resolution.mrc").content
    assert followed["sha256"] == hashlib.sha256(resolution).hexdigest()
    shown = user.get(f"/api/jobs/{job['id']}/results/localdeblur").json()
    assert "Before and after" in [section["heading"] for section in shown["sections"]]


def test_only_what_the_report_lists_can_be_had(done):
    _, user, job = done
    base = f"/api/jobs/{job['id']}/results/monores/files"
    for name in ("..%2f..%2frun.db", "logs", "nothing.mrc", ".", "report.json%00"):
        assert user.get(f"{base}/{name}").status_code == 404
    assert "attachment" in user.get(f"{base}/resolution.mrc").headers["content-disposition"]


def test_the_maps_lie_on_the_input(done, maps, tmp_path):
    _, user, job = done
    (tmp_path / "r.mrc").write_bytes(user.get(f"/api/jobs/{job['id']}/results/monores/files/resolution.mrc").content)
    found, given = read_map(tmp_path / "r.mrc"), read_map(maps["half1"])
    assert found.grid == given.grid
    inside = read_map(maps["mask"]).data > 0.5
    assert 3.0 <= np.median(found.data[inside]) <= 9.0
    packed = io.BytesIO(user.get(f"/api/jobs/{job['id']}/results/monores/all.tar").content)
    with tarfile.open(fileobj=packed) as everything:
        names = set(everything.getnames())
    assert {"monores/view.cxc", "monores/map.mrc", "monores/resolution_filled.mrc"} <= names


def test_the_project_opens_elsewhere(done, tmp_path):
    """Unpacked on another machine, the desktop finds every run with its outputs."""
    served, user, job = done
    with user.stream("GET", f"/api/jobs/{job['id']}/project.tar") as answer:
        assert answer.headers["content-type"] == "application/x-tar"
        (tmp_path / "p.tar").write_bytes(answer.read())
    with tarfile.open(tmp_path / "p.tar") as archive:
        assert all(member.isreg() or member.isdir() for member in archive)
        archive.extractall(tmp_path / "projects", filter="data")
    (name,) = os.listdir(tmp_path / "projects")
    hidden = served.store.rename(served.store.with_name("moved"))  # nothing may lead back to where it was made
    try:
        environment = scipion.environment(tmp_path / "scipion", tmp_path)
        done = subprocess.run([sys.executable, "-c", OPEN, name], env=environment, capture_output=True, text=True)
    finally:
        hidden.rename(served.store)
    assert done.returncode == 0, done.stderr
    runs = [line.split("|") for line in done.stdout.splitlines() if "|" in line]
    assert len(runs) == 6 and all(status == "finished" and there == "True" for _, status, there in runs), done.stdout


def test_a_project_that_is_not_finished_cannot_be_had(done):
    _, user, _ = done
    assert sentence(user.get(f"/api/jobs/{user.draft()}/project.tar"), 409).startswith("E_NO_PROJECT")


def test_scipion_that_does_not_work_is_told_at_the_start(tmp_path, monkeypatch):
    from cryores.errors import CryoresError

    monkeypatch.setattr(scipion, "RUNNER", "no_such_module_here")
    with pytest.raises(CryoresError, match=r"Scipion cannot be used here: .*No module named"):
        scipion.require_scipion(tmp_path)


def test_every_method_of_the_page_has_a_protocol():
    from cryores.method import method_summaries

    assert {offer.name for offer in MENU} <= set(method_summaries())
