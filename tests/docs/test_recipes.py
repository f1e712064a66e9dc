"""The recipes run as they stand: scripts in a headless Scipion with and without a queue, a batch, the notebook."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "scipion"), str(Path(__file__).parent)]
from pages import ROOT, blocks

from cryores.mapio import write_map
from cryores.simulation import simulate

RECIPES = ROOT / "docs" / "recipes"

SLURM = {
    "sbatch": """#!/bin/bash
(flock 9; bash "$1" > /dev/null 2>&1) 9> "$0.lock" &
echo "Submitted batch job $!"
cat "$1" >> "$0.log"
""",
    "squeue": """#!/bin/bash
kill -0 "$3" 2> /dev/null && echo "$3"
""",
}
"""Stand for Slurm's: one job at a time, in the order in which they come."""


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(40, 40, 40), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=2)
    for name, volume in (
        ("full", made.halves.mean()), ("half1", made.halves.half1), ("half2", made.halves.half2), ("mask", made.mask)
    ):  # fmt: skip
        write_map(folder / f"{name}.mrc", volume)
    return folder


@pytest.fixture(scope="module")
def scipion(tmp_path_factory):
    pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
    pytest.importorskip("scipion", reason="scipion-app is not installed here")
    from headless import environment

    return environment(tmp_path_factory.mktemp("scipion"))


def said_by(words, environment, folder):
    done = subprocess.run(
        [sys.executable, *map(str, words)], env=environment, cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def medians(said):
    return {name: float(value) for name, value in re.findall(r"^(\w+): median ([\d.]+) Å$", said, re.M)}


def test_five_methods_go_through_a_queue_and_their_medians_are_read(scipion, maps, tmp_path):
    (hosts_of_the_page,) = [b for b in blocks("docs/tasks/clusters.rst") if b.startswith("[localhost]")]
    assert (ROOT / "cryoresplugin" / "hosts" / "slurm.conf").read_text() == hosts_of_the_page + "\n"
    (tmp_path / "hosts.conf").write_text(hosts_of_the_page + "\n")
    for name, script in SLURM.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    files = [maps / f"{name}.mrc" for name in ("full", "half1", "half2")]
    queued = {**scipion, "SCIPION_HOSTS": f"{tmp_path}/hosts.conf", "PATH": f"{tmp_path}{os.pathsep}{scipion['PATH']}"}
    found = medians(said_by([RECIPES / "five_methods.py", *files, 1.5, "short"], queued, tmp_path))
    assert set(found) == {"MonoRes", "blocres", "ResMap", "RELION", "locres"}
    assert all(3.0 <= value <= 12.0 for value in found.values()), found
    submitted = (tmp_path / "sbatch.log").read_text()
    for line in ("#SBATCH --partition=short", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8192M"):
        assert submitted.count(line) == 5


def test_the_script_of_the_predecessors_runs_with_other_names(scipion, maps, tmp_path):
    if sys.version_info < (3, 10):
        pytest.skip("DeepRes needs TensorFlow, which needs Python 3.10 or newer")
    files = [maps / f"{name}.mrc" for name in ("full", "half1", "half2", "mask")]
    said = said_by([RECIPES / "drop_in.py", *files, 1.5], scipion, tmp_path)
    written = [Path(line.split()[-1].replace(":mrc", "")) for line in said.splitlines() if "resolution.mrc" in line]
    assert len(written) == 3 and all(path.exists() for path in written), said


def test_a_folder_of_maps_becomes_a_table(maps, tmp_path):
    for name in ("full", "half1", "half2", "mask"):
        for particle in ("a", "b"):
            (tmp_path / f"{particle}_{name}.mrc").write_bytes((maps / f"{name}.mrc").read_bytes())
    (tmp_path / "b_half2.mrc").write_bytes(b"no map")
    said_by([RECIPES / "folder_of_maps.py", tmp_path, tmp_path / "table.csv"], None, ROOT)
    with open(tmp_path / "table.csv", encoding="utf-8") as file:
        good, bad = csv.DictReader(file)
    assert good["name"] == "a" and good["error"] == ""
    assert 3.0 <= float(good["fsc_0.143"]) <= float(good["p5"]) <= float(good["median"]) <= float(good["p95"]) <= 15.0
    assert bad["name"] == "b" and bad["median"] == "" and bad["error"].startswith("E_")


def test_the_notebook_runs_and_holds_no_output(tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((RECIPES / "python-api.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    names = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "python-api.ipynb", "exec"), names)
    assert names["error"] < 1.0
    assert (tmp_path / "resolution.mrc").exists()


def test_the_programs_of_the_pages_run_in_scipion(scipion, maps, tmp_path):
    """The names of the files stand for any; the voxel size is that of the stand-ins."""
    programs = [b for b in blocks("docs/tasks/scipion.rst") if "from pyworkflow" in b]
    for name in ("full", "half1", "half2"):
        (tmp_path / f"{name}.mrc").write_bytes((maps / f"{name}.mrc").read_bytes())
    for program in programs:
        ours = program.replace("1.05", "1.5").replace("minRes=2.1", "minRes=3.0")
        said = said_by(["-c", f"{ours}\nprint(monores.readReport()['summary']['median'])"], scipion, tmp_path)
        assert 3.0 <= float(said.split()[-1]) <= 12.0
