"""A run that is disturbed leaves one whole result or none, and says so; the next run goes on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from cryores.cli import main, method_command
from cryores.cli.output import OutputFolder
from cryores.mapio import write_map
from cryores.simulation import simulate

ROOT = Path(__file__).parents[2]

STEP_BY_STEP = """
    import json, os, signal, sys
    from pathlib import Path
    from cryores.cli import output
    from cryores.cli.stopping import listen

    folder, number = Path(sys.argv[1]), int(sys.argv[2])

    def made(word, names):
        with output.OutputFolder(folder, overwrite=True) as staging:
            for name in names:
                (staging / name).write_text(word)
            (staging / "report.json").write_text(json.dumps({"word": word, "files": names}))

    def judged():
        present = {p.name: p.read_text() for p in folder.iterdir() if not p.name.startswith(".")}
        if "report.json" not in present:
            return "nothing"
        report = json.loads(present.pop("report.json"))
        whole = sorted(present) == report["files"] and set(present.values()) == {report["word"]}
        return report["word"] if whole else f"mixture {present}"

    for step in range(14):
        made("old", ["a.mrc", "b.mrc", "old.png"])
        child = os.fork()
        if child == 0:
            listen()
            calls = []
            for module, name in ((os, "replace"), (Path, "unlink")):
                def counted(*given, act=getattr(module, name), **more):
                    calls.append(1)
                    if len(calls) == step:
                        os.kill(os.getpid(), number)
                    return act(*given, **more)
                setattr(module, name, counted)
            made("new", ["a.mrc", "b.mrc", "new.png"])
            os._exit(0)
        raw = os.waitpid(child, 0)[1]
        print(step, -os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw), judged())
        made("next", ["a.mrc"])
        assert judged() == "next" and len(list(folder.iterdir())) == 2
"""


def steps(folder, number):
    words = [sys.executable, "-c", textwrap.dedent(STEP_BY_STEP), str(folder), str(int(number))]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [line.split(maxsplit=2)[1:] for line in said.splitlines()]


def test_killed_at_any_step_of_the_move_there_is_one_result_or_none(tmp_path):
    found = steps(tmp_path / "out", signal.SIGKILL)
    outcomes = [outcome for _, outcome in found]
    assert set(outcomes) == {"old", "nothing", "new"}
    # Before the record goes, the old one stands; after it has come, the new one.
    assert outcomes[1:] == sorted(outcomes[1:], key=("old", "nothing", "new").index)
    assert outcomes[1] == "old" and outcomes.count("nothing") >= 4 and outcomes[-1] == "new"


def test_ctrl_c_in_the_move_comes_too_late(tmp_path):
    assert steps(tmp_path / "out", signal.SIGINT) == [["0", "new"]] * 14


def test_two_runs_do_not_mix_their_files(tmp_path, monkeypatch):
    moving, go_on, act, moved = threading.Event(), threading.Event(), os.replace, []

    def slow(source, target):
        word = Path(source).read_text()
        if word == "first":  # and not the note of what is moved
            moving.set()
            assert go_on.wait(60)
        act(source, target)
        moved.append(word)  # here, where the folder is still locked: what a thread does after it has no order

    def run(word):
        with OutputFolder(tmp_path, overwrite=True) as folder:
            for name in ("a.mrc", "b.mrc", "report.json"):
                (folder / name).write_text(word)

    monkeypatch.setattr("cryores.cli.output.os.replace", slow)
    runs = [threading.Thread(target=run, args=(word,)) for word in ("first", "second")]
    runs[0].start()
    assert moving.wait(60)
    runs[1].start()
    runs[1].join(0.3)
    assert "second" not in moved and not (tmp_path / "report.json").exists()
    go_on.set()
    for thread in runs:
        thread.join(60)
    assert [word for word in moved if word in ("first", "second")] == ["first"] * 3 + ["second"] * 3
    assert {path.read_text() for path in tmp_path.iterdir()} == {"second"}


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(30, 30, 30), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=2)
    for name, volume in (("half1", made.halves.half1), ("half2", made.halves.half2), ("mask", made.mask)):
        write_map(folder / f"{name}.mrc", volume)
    return folder


def run(method, halves, out, limit):
    words = [word for role in ("half1", "half2", "mask") for word in (f"--{role}", str(halves / f"{role}.mrc"))]
    command = [sys.executable, "-m", "cryores", method, *words, "--threads", "1", "--quiet", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    return done.returncode, done.stderr.strip().splitlines()[-1:]


def no_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))


def test_without_room_nothing_is_left(halves, tmp_path):
    status, (said,) = run("fsc", halves, tmp_path / "out", no_room)
    assert status == 3 and said.startswith("error E_WRITE: cannot write the results in") and "make room" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method, megabytes", [("fsc", 700), ("deepemhancer", 2200)])
def test_a_limit_of_the_address_space_is_part_of_the_plan(halves, tmp_path, method, megabytes):
    """2200 MB would hold all that DeepEMhancer computes on; TensorFlow ends the process where it has no addresses."""

    def little():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    status, said = run(method, halves, tmp_path / "out", little)
    assert status == 4 and said[0].startswith("error E_MEMORY: "), said
    assert "hint: raise the limit of addresses (ulimit -v) by " in said[0]
    assert list(tmp_path.iterdir()) == []


def words_of(folder, *more):
    return ["--half1", str(folder / "half1.mrc"), "--half2", str(folder / "half2.mrc"), "--quiet", *more]


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(path.read_bytes()), lambda path: path.unlink()])
def test_an_input_that_is_replaced_or_removed_meanwhile_gives_no_result(halves, tmp_path, monkeypatch, capsys, change):
    """The record would hold the checksum of another file than the result was made from."""
    for name in ("half1", "half2"):
        shutil.copy(halves / f"{name}.mrc", tmp_path)
    act = method_command.read_inputs

    def read_and_change(*given):
        found = act(*given)
        change(tmp_path / "half1.mrc")
        return found

    monkeypatch.setattr(method_command, "read_inputs", read_and_change)
    assert main(["fsc", *words_of(tmp_path, "--out", str(tmp_path / "out"))]) == 3
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"error E_CHANGED: {tmp_path}/half1.mrc was changed while it was used; hint: start again")
    )
    assert not (tmp_path / "out").exists()


def test_a_result_replaces_no_input(halves, tmp_path, capsys):
    for name in ("half1", "half2", "mask"):
        shutil.copy(halves / f"{name}.mrc", tmp_path)
    mask = (tmp_path / "mask.mrc").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    words = ["mask", "--mask", str(tmp_path / "link" / "mask.mrc"), "--dilate", "1", "--quiet"]
    assert main([*words, "--out", str(tmp_path), "--overwrite"]) == 3
    said = f"error E_OUTPUT: the results would replace {tmp_path}/link/mask.mrc, which they are made from; hint: choose"
    assert capsys.readouterr().err.startswith(said)
    assert (tmp_path / "mask.mrc").read_bytes() == mask
    # What an earlier run left goes with its result, here what is read: told before any work.
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    (tmp_path / "out" / "report.json").write_text(json.dumps({"files": ["mask.mrc"]}))
    given = words_of(tmp_path, "--mask", str(tmp_path / "out" / "mask.mrc"), "--out", str(tmp_path / "out"))
    assert main(["fsc", *given, "--overwrite"]) == 3
    assert "error E_OUTPUT: the results would replace" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mask.mrc", "report.json"}


def test_what_cannot_become_a_folder_of_results_is_told(halves, tmp_path, capsys):
    (tmp_path / "file").write_text("1")
    (tmp_path / "nowhere").symlink_to("none")
    for name, status, said in (
        ("file", 3, "E_OUTPUT: PLACE is a file"),
        ("file/x", 3, "E_OUTPUT: cannot write in PLACE: Not a directory"),
        ("nowhere", 3, "E_OUTPUT: PLACE is a link that leads nowhere"),
        ("x" * 300, 3, "E_OUTPUT: cannot write in PLACE: File name too long"),
        ("", 2, "E_USAGE: argument --out: the name of the folder is empty"),
    ):
        out = str(tmp_path / name) if name else ""
        assert main(["fsc", *words_of(halves, "--out", out)]) == status
        assert capsys.readouterr().err.splitlines()[-1].startswith("error " + said.replace("PLACE", out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "nowhere"]


def test_names_of_any_bytes_are_read_and_recorded(halves, tmp_path):
    names = [os.fsdecode(b"a \xff\n.mrc"), "'\"<b>$(x);#.mrc"]
    for name, half in zip(names, ("half1", "half2")):
        shutil.copy(halves / f"{half}.mrc", tmp_path / name)
    out = tmp_path / os.fsdecode(b"out\xfe")
    words = ["--half1", str(tmp_path / names[0]), "--half2", str(tmp_path / names[1]), "--quiet", "--out", str(out)]
    assert main(["fsc", *words]) == 0
    inputs = json.loads((out / "report.json").read_text(encoding="utf-8"))["inputs"]
    assert [inputs[role]["path"] for role in ("half1", "half2")] == [
        f"{tmp_path}/a \\xff\n.mrc",
        f"{tmp_path}/{names[1]}",
    ]
    assert "&lt;b&gt;$(x)" in (out / "report.html").read_text(encoding="utf-8")


def test_a_clock_that_is_set_takes_no_folder_from_a_run_at_work(tmp_path):
    with OutputFolder(tmp_path / "out") as first:
        os.utime(first, (1.0, 1.0))  # as if its process had been made long after it
        with OutputFolder(tmp_path / "out", overwrite=True) as second:
            assert first.is_dir()
            (second / "a").write_text("second")
        (first / "a").write_text("first")
    assert (tmp_path / "out" / "a").read_text() == "first"


def test_trials_of_one_method_find_nothing_wrong():
    """All methods: python -m benchmarks.fault_trials; docs/robustness.rst has what came out."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("this system does not let users mount file systems of their own")
    command = [sys.executable, "-m", "benchmarks.fault_trials", "--kills", "3", "fsc"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fsc: " in done.stdout and "0 x wrong" in done.stdout


def test_a_record_that_cannot_be_read_keeps_no_run_from_its_end(tmp_path):
    for record in ("{", json.dumps({"files": [1, "../x"]}), "[]"):
        (tmp_path / "report.json").write_text(record)
        with OutputFolder(tmp_path, overwrite=True) as folder:
            (folder / "a.mrc").write_text("new")
        assert [path.name for path in tmp_path.iterdir()] == ["a.mrc"]
