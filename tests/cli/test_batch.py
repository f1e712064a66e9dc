"""Many maps: what fails stops no other, what is done is not done again, whoever dies meanwhile."""

import csv
import errno
import gzip
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from cryores.batch.tasks import Task, key_of, outcome_of, perform
from cryores.cli import batch as batch_command
from cryores.cli import main
from cryores.cli.batch import tasks_of
from cryores.errors import InputError, UsageError
from cryores.mapio import write_map
from cryores.simulation import simulate

pytest.importorskip("distributed", reason="the extra [cluster] is not installed; batches need Dask")
pyarrow = pytest.importorskip("pyarrow.parquet", reason="the extra [cluster] is not installed; batches need pyarrow")
jobqueue = pytest.importorskip("dask_jobqueue", reason="the extra [cluster] is not installed")

COUNT = 4
pytestmark = pytest.mark.filterwarnings("default")
"""The processes of Dask end when they like, and warn of it; no test here is about warnings."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    rows = []
    for number in range(COUNT):
        made = simulate(shape=(28, 30, 32), voxel_size=1.5, finest=4.0, coarsest=6.0, seed=number)
        for name, volume in (("one", made.halves.half1), ("two", made.halves.half2), ("mask", made.mask)):
            write_map(folder / f"{name}{number}.mrc", volume)
        rows.append(f"map {number},one{number}.mrc,two{number}.mrc,mask{number}.mrc,1.5")
    text = "name,half1,half2,Mask,voxel-size\n" + "\n".join(rows) + "\n"
    (folder / "maps.csv").write_text(text)
    (folder / "bad.csv").write_text("name,half1,half2\nbad,nothing.mrc,two0.mrc\n")
    (folder / "one bad.csv").write_text(text + "bad,nothing.mrc,two0.mrc,,\n")
    return folder


def batch(folder, out, *more, table="maps.csv"):
    return main(["batch", str(folder / table), "--methods", "fsc", "--out", str(out), "--quiet", *more])


def command(folder, out, *more):
    words = [sys.executable, "-m", "cryores", "batch", str(folder / "maps.csv"), "--methods", "fsc", "--out", str(out)]
    return subprocess.Popen([*words, *more], stderr=subprocess.PIPE, text=True, start_new_session=True)


def summary(out):
    return {row["name"]: row for row in csv.DictReader((out / "summary.csv").read_text().splitlines())}


def markers(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("*/*/batch.json")}


def task_on(path, out):
    return Task("a", "fsc", ("--map", str(path)), (), str(out))


def test_a_marker_that_holds_nothing_is_none(tmp_path):
    task = task_on(tmp_path / "a.mrc", tmp_path / "out")
    assert perform(task, lambda method, words: None)["reason"] == "" and outcome_of(task) is None  # without a report
    (tmp_path / "out" / "report.json").write_text("{}")
    assert outcome_of(task)["reason"] == ""
    for content in ("", "[]", "{}", '{"key": 1'):
        (tmp_path / "out" / "batch.json").write_text(content)
        assert outcome_of(task) is None


def test_what_was_made_of_an_input_that_changed_is_not_done(tmp_path):
    path, out = tmp_path / "a.mrc", tmp_path / "out"
    path.write_text("1")
    task = task_on(path, out)

    def run(method, words):
        (out / "report.json").write_text("{}")
        path.write_text("2")

    assert perform(task, run)["reason"] == "" and outcome_of(task) is None
    assert perform(task, lambda method, words: None)["reason"] == "" and outcome_of(task) is not None


def test_a_batch_on_a_full_disk_says_so(folder, tmp_path, capsys, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(batch_command, "write_summary", full)
    assert batch(folder, tmp_path, table="bad.csv") == 3
    said = f"error E_WRITE: [Errno 28] No space left on device: '{tmp_path}'; hint: make room, and start again"
    assert capsys.readouterr().err.splitlines()[-1].startswith(said)


def test_a_table_gives_a_summary_and_what_is_done_stays(folder, tmp_path, capsys):
    assert batch(folder, tmp_path, "--workers", "2", table="one bad.csv") == 0
    assert "failed: bad, fsc: E_NO_FILE" in capsys.readouterr().err
    rows = summary(tmp_path)
    assert [row["state"] for row in rows.values()] == ["done"] * COUNT + ["failed"]
    columns = pyarrow.read_table(tmp_path / "summary.parquet").to_pydict()
    page = (tmp_path / "index.html").read_text()
    for number in range(COUNT):
        report = json.loads((tmp_path / f"map {number}" / "fsc" / "report.json").read_text())
        value = report["summary"]["global_resolution"]
        assert float(rows[f"map {number}"]["global_resolution"]) == pytest.approx(value, rel=1e-5)
        assert columns["global_resolution"][number] == value
        assert f'href="map%20{number}/fsc/report.html"' in page and f"{value:.2f} Å" in page
    before = markers(tmp_path)
    assert batch(folder, tmp_path, table="one bad.csv") == 0
    assert markers(tmp_path) == before
    assert batch(folder, tmp_path, "--retry", table="one bad.csv") == 0
    bad = tmp_path / "bad" / "fsc" / "batch.json"
    assert {path for path, when in markers(tmp_path).items() if when != before[path]} == {bad}


def test_results_do_not_depend_on_the_number_of_workers(folder, tmp_path):
    for workers in (1, 3):
        assert batch(folder, tmp_path / str(workers), "--workers", str(workers)) == 0
    for number in range(COUNT):
        one, three = (tmp_path / w / f"map {number}" / "fsc" / "fsc.star" for w in ("1", "3"))
        assert one.read_bytes() == three.read_bytes()


def test_everything_is_done_and_nothing_twice_when_workers_are_killed(folder, tmp_path):
    process = command(folder, tmp_path, "--workers", "2")
    seen, killed, random = {}, 0, np.random.default_rng(2)
    while process.poll() is None:
        for path, when in markers(tmp_path).items():
            assert seen.setdefault(path, when) == when
        workers = [p for p in psutil.Process(process.pid).children(recursive=True) if _is_worker(p)]
        if killed < 3 and workers and len(seen) > killed - 1 and random.random() < 0.2:
            workers[random.integers(len(workers))].kill()
            killed += 1
        time.sleep(0.05)
    assert process.returncode == 0, process.stderr.read()
    assert killed == 3
    assert {row["state"] for row in summary(tmp_path).values()} == {"done"}
    assert seen.items() <= markers(tmp_path).items() and len(markers(tmp_path)) == COUNT


def _is_worker(process):
    try:
        return not process.children() and "spawn_main" in " ".join(process.cmdline()) and process.num_threads() > 4
    except psutil.Error:
        return False


def test_a_batch_that_was_killed_goes_on(folder, tmp_path):
    process = command(folder, tmp_path, "--workers", "1")
    while not markers(tmp_path) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = markers(tmp_path)
    assert before
    assert batch(folder, tmp_path, "--workers", "2") == 0
    assert before.items() <= markers(tmp_path).items() and len(markers(tmp_path)) == COUNT
    assert not list(tmp_path.glob("*/*/.cryores-*"))


def test_one_batch_a_folder(folder, tmp_path, capsys):
    process = command(folder, tmp_path)
    while not (tmp_path / ".batch.lock").exists():
        time.sleep(0.02)
    assert batch(folder, tmp_path) == 3
    assert "E_BUSY" in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    assert "E_INTERRUPTED" in process.communicate()[1]
    assert {row["state"] for row in summary(tmp_path).values()} <= {"done", "waiting"}


FAKE = """#!/bin/sh
# Runs a copy of what is submitted, as a queue would: later, and on its own.
cp "$1" "{log}"
setsid sh "{log}" > /dev/null 2>&1 &
echo "{reply}"
"""

QUEUES = {
    "slurm": ("sbatch", "scancel", "Submitted batch job $!",
              ("#SBATCH -p cryo", "#SBATCH --cpus-per-task=2", "#SBATCH --mem=2G", "#SBATCH -t 01:00:00")),
    "pbs": ("qsub", "qdel", "$!.server",
            ("#PBS -q cryo", "#PBS -l select=1:ncpus=2:mem=1908MB", "#PBS -l walltime=01:00:00")),
    "sge": ("qsub", "qdel", "Your job $! has been submitted", ("#$ -q cryo", "#$ -l h_rt=01:00:00", "#$ -cwd")),
}  # fmt: skip
"""Queue system -> what submits, what cancels, the reply, and lines of the script."""


@pytest.mark.parametrize("system", QUEUES)
def test_jobs_of_a_queue(folder, tmp_path, monkeypatch, system):
    submit, cancel, reply, asked = QUEUES[system]
    commands = tmp_path / "bin"
    commands.mkdir()
    texts = {submit: FAKE.format(log=tmp_path / "log", reply=reply), cancel: '#!/bin/sh\nkill -- "-${1%.server}"\n'}
    for name, text in texts.items():
        (commands / name).write_text(text)
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    place = ("--cluster", system, "--threads", "2", "--memory", "2", "--queue", "cryo", "--walltime", "01:00:00")
    assert batch(folder, tmp_path / "out", *place) == 0
    assert {row["state"] for row in summary(tmp_path / "out").values()} == {"done"}
    script = (tmp_path / "log").read_text()
    assert all(line in script for line in asked), script


class Archive(http.server.BaseHTTPRequestHandler):
    """Stands for the EMDB: entries 1 (half maps and map) and 22 (a map alone)."""

    files: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def do_GET(self):
        content = self.files.get(self.path)
        self.asked.append(self.path)
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def archive(folder):
    packed = {number: gzip.compress((folder / f"{number}.mrc").read_bytes()) for number in ("one0", "two0", "one1")}
    Archive.files = {
        "/EMD-0001/other/emd_0001_half_map_1.map.gz": packed["one0"],
        "/EMD-0001/other/emd_0001_half_map_2.map.gz": packed["two0"],
        "/EMD-0001/map/emd_0001.map.gz": packed["one1"],
        "/EMD-0022/map/emd_0022.map.gz": packed["one1"],
    }
    Archive.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_entries_of_the_emdb_are_fetched_once(folder, tmp_path, archive, capsys):
    (folder / "emdb.csv").write_text("name,EMDB\na,EMD-1\nb,404\nc,22\n")
    words = ("--emdb", archive, "--methods", "monores --max-resolution 12")
    assert batch(folder, tmp_path, *words, table="emdb.csv") == 0
    rows = summary(tmp_path)
    assert {name: row["state"] for name, row in rows.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert "E_EMDB_ENTRY" in rows["b"]["reason"] and not (tmp_path / "emdb" / "EMD-0404").exists()
    report = json.loads((tmp_path / "a" / "monores" / "report.json").read_text())
    assert set(report["inputs"]) == {"half1", "half2"}
    assert not any("0001.map.gz" in path for path in Archive.asked)  # monores prefers the half maps
    before, asked = markers(tmp_path), len(Archive.asked)
    Archive.files["/EMD-0404/map/emd_0404.map.gz"] = Archive.files["/EMD-0022/map/emd_0022.map.gz"]
    assert batch(folder, tmp_path, *words, table="emdb.csv") == 0
    assert {row["state"] for row in summary(tmp_path).values()} == {"done"}
    assert {path.parent.parent.name for path, when in markers(tmp_path).items() if when != before[path]} == {"b"}
    assert all("0404" in path or "half_map" in path for path in Archive.asked[asked:])


def test_numbers_that_are_none_are_refused_before_anything_is_made(folder, tmp_path, capsys):
    (folder / "none.csv").write_text("name,emdb\na,../1\n")
    assert batch(folder, tmp_path / "out", table="none.csv") == 3
    assert "E_EMDB_NUMBER" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "methods", "more", "code", "status"),
    [
        ("nothing.csv", ["fsc"], [], "E_NO_FILE", 3),
        ("maps.csv", ["fcs"], [], "E_METHOD", 2),
        ("maps.csv", ["fsc", "fsc --step 2"], [], "E_USAGE", 2),
        ("maps.csv", ["monores --signifcance 0.9"], [], "did you mean --significance", 2),
        ("bad.csv", ["fsc"], [], "E_SET_FAILED", 3),
        ("maps.csv", ["fsc"], ["--cluster", "moon"], "there is no cluster", 2),
        ("maps.csv", ["fsc"], ["--cluster", "slurm"], "needs --threads and --memory", 2),
    ],
)
def test_what_cannot_be_done_is_said(folder, tmp_path, capsys, table, methods, more, code, status):
    out = tmp_path / "out"
    assert main(["batch", str(folder / table), "--methods", *methods, "--out", str(out), *more]) == status
    assert code in capsys.readouterr().err
    assert out.exists() == (code == "E_SET_FAILED")


def test_a_method_starts_from_what_it_prefers(folder):
    table = folder / "both.csv"
    table.write_text("name,half1,half2,map,model\na,one0.mrc,two0.mrc,one1.mrc,m.cif\n")
    halves, one = (task.words for task in tasks_of(table, ["monores", "evaluate"], Path("out"), _Job()))
    assert halves == ("--half1", str(folder / "one0.mrc"), "--half2", str(folder / "two0.mrc"))
    assert one == ("--map", str(folder / "one1.mrc"), "--model", str(folder / "m.cif"))


class _Job:
    threads, memory = 1, 1.0


def test_a_task_is_known_by_its_words_and_files(tmp_path):
    volume = tmp_path / "map.mrc"
    volume.write_bytes(b"one")
    task = Task("a", "fsc", ("--half1", str(volume)), ("--threads", "1"), str(tmp_path / "out"))

    def run(method, words):
        ran.append(words)
        (tmp_path / "out" / "report.json").write_text("{}")

    ran = []
    assert perform(task, run)["reason"] == "" and perform(task, run) == outcome_of(task) and len(ran) == 1
    assert key_of(task) == key_of(Task("a", "fsc", task.words, ("--threads", "8"), task.folder))
    volume.write_bytes(b"two")
    assert outcome_of(task) is None
    perform(task, run)
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InputError("E_X", "no", "do"), "E_X: no"), (ValueError("odd"), "E_INTERNAL: ValueError: odd")],
)
def test_a_failure_is_kept_until_it_is_tried_again(tmp_path, error, reason):
    task = Task("a", "fsc", (), (), str(tmp_path))

    def fail(method, words):
        ran.append(words)
        raise error

    ran = []
    assert perform(task, fail)["reason"] == reason and perform(task, fail)["reason"] == reason and len(ran) == 1
    perform(task, fail, retry=True)
    assert len(ran) == 2


@pytest.mark.parametrize("head", ["name,half1\n", "name,colour\na,b\n", "half1\na\n", "name,half1\na,x\na,y\n"])
def test_tables_that_cannot_be_used(tmp_path, head):
    (tmp_path / "t.csv").write_text(head)
    with pytest.raises(UsageError, match=r"t\.csv"):
        tasks_of(tmp_path / "t.csv", ["fsc"], tmp_path, _Job())
