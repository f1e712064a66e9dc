"""A signal ends a run even where the exception that it raised got lost."""

import contextlib
import os
import signal

import pytest

from cryores.cli import main
from cryores.cli.output import OutputFolder
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


def test_a_bug_is_told_with_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr("cryores.method.method_summaries", lambda: 1 / 0)
    assert main(["--help"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("error E_INTERNAL: ZeroDivisionError: division by zero; hint: ")
