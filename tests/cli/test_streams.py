"""Streams that are closed, full or of few letters: what cannot be shown does not end a run."""

import os
import subprocess
import sys

import pytest

from cryores.cli import main
from cryores.mapio import read_map, write_map
from cryores.simulation import simulate

COMMAND = [sys.executable, "-m", "cryores"]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(30, 30, 30), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=2)
    write_map(folder / "map.mrc", made.halves.half1)
    return ["mask", "--map", str(folder / "map.mrc")]


def close_all():
    for number in (0, 1, 2):
        os.close(number)


def test_a_run_without_any_stream_writes_its_results_and_nothing_else_into_them(words, tmp_path):
    done = subprocess.run([*COMMAND, *words, "--out", str(tmp_path / "out")], preexec_fn=close_all, check=False)
    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mask.mrc"]
    assert (tmp_path / "out/mask.mrc").stat().st_size == 1024 + 4 * 30**3
    assert 0.0 < read_map(tmp_path / "out/mask.mrc").data.mean() < 0.5


def test_bad_input_is_told_by_the_status_alone(words, tmp_path):
    command = [*COMMAND, "mask", "--map", "nothing.mrc", "--out", str(tmp_path / "out")]
    assert subprocess.run(command, preexec_fn=close_all, check=False).returncode == 3
    assert not (tmp_path / "out").exists()


def test_lines_that_nobody_takes_are_dropped(words, tmp_path):
    """A log file on a full disk, or a pager that was left, is no reason to lose what took hours."""
    for number, opened in enumerate((_full, _broken_pipe)):
        out = tmp_path / str(number)
        with os.fdopen(opened(), "w") as stream:
            command = [*COMMAND, "fsc", *_halves(words), "--threads", "1", "--out", str(out)]
            assert subprocess.run(command, stderr=stream, check=False).returncode == 0
        assert (out / "report.json").is_file()


def _halves(words):
    path = words[-1]
    other = path.replace("map.mrc", "other.mrc")
    volume = read_map(path)
    write_map(other, volume.like(volume.data[::-1].copy()))
    return ["--half1", path, "--half2", other]


def _full():
    return os.open("/dev/full", os.O_WRONLY)


def _broken_pipe():
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize(
    ("opened", "status", "told"),
    [
        (_broken_pipe, 1, ""),
        (_full, 3, "error E_WRITE: [Errno 28] No space left on device; hint: make room"),
    ],
)
def test_a_page_that_cannot_be_written_ends_without_a_trace(opened, status, told):
    with os.fdopen(opened(), "w") as stream:
        command = [*COMMAND, "--help"]
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(told) and len(done.stderr.splitlines()) == bool(told)


def test_what_would_steer_a_terminal_is_spelled(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["mask", "--map", "\x1b[2J\na\x9b.mrc", "--out", out]) == 3
    assert capsys.readouterr().err == "error E_NO_FILE: there is no file \\x1b[2J\\na\\x9b.mrc; hint: check the name\n"


def test_letters_that_a_terminal_does_not_have_are_spelled():
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*COMMAND, "monores", "--help"], env=plain, capture_output=True, check=False)
    assert done.returncode == 0 and b"\\xc5" in done.stdout and b"\xc3" not in done.stdout
