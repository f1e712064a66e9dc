"""A signal ends a run even where the exception that it raised got lost."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from cryores.cli import main
from cryores.cli.output import NOTE, OutputFolder
from cryores.cli.progress import Bar, Lines, Silent
from cryores.cli.stopping import listen, stop_if_asked


@pytest.fixture(autouse=True)
def own_handlers():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_lost_interrupt_is_remembered(number, tmp_path):
    listen()
    stop_if_asked()
    with pytest.raises(KeyboardInterrupt), OutputFolder(tmp_path / "out") as folder:
        (folder / "map.mrc").write_text("data")
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert not (tmp_path / "out").exists()
    listen()
    stop_if_asked()


@pytest.mark.parametrize("stage", [Silent(), Lines("working", 3), Bar("working", 3)])
def test_a_lost_interrupt_ends_the_stage_at_its_next_step(stage, capsys):
    listen()
    stage.advance()
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        stage.advance()
    stage.close()
    listen()


WAITS = """
import sys, time
from pathlib import Path
from cryores.cli.output import NOTE, OutputFolder
with OutputFolder(sys.argv[1], overwrite=True) as folder:
    (folder / "map.mrc").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_cleared_by_the_next_and_no_living_run_is_touched(tmp_path):
    runs = [subprocess.Popen([sys.executable, "-c", WAITS, tmp_path], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for run in runs:
            run.stdout.readline()
        runs[0].kill()
        runs[0].wait()
        with OutputFolder(tmp_path) as folder:
            (folder / "map.mrc").write_text("whole")
        assert (tmp_path / "map.mrc").read_text() == "whole"
        (living,) = tmp_path.glob(".cryores-*")
        assert f"-{runs[1].pid}-" in living.name
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_a_record_stands_only_beside_all_that_it_tells_of(tmp_path, monkeypatch):
    moves = []

    def replace(source, target):
        if target.name != NOTE:
            assert not (tmp_path / "report.json").exists()
            moves.append(target.name)
        source.rename(target)

    for text in ("old", "new"):
        monkeypatch.setattr("cryores.cli.output.os.replace", replace)
        with OutputFolder(tmp_path, overwrite=True) as folder:
            for name in ("a.mrc", "report.json", "z.png"):
                (folder / name).write_text(text)
    assert moves == ["a.mrc", "z.png", "report.json"] * 2
    assert {path.read_text() for path in tmp_path.iterdir()} == {"new"}


def test_a_bug_is_told_with_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr("cryores.method.method_summaries", lambda: 1 / 0)
    assert main(["--help"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("error E_INTERNAL: ZeroDivisionError: division by zero; hint: ")
