"""Progress where nobody looks at a terminal: plain lines, with a share and the time that is left."""

import sys

from cryores.cli import progress


def test_a_long_stage_tells_its_share_and_the_time_left(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    stage = progress.open_stage("filtering", 20)
    for _ in range(20):
        clock[0] += 2.0
        stage.advance()
    stage.close()
    first, *between, last = capsys.readouterr().err.splitlines()
    assert (first, last) == ("filtering ...", "filtering: 40.0 s")
    assert between[0] == "filtering: 10 %, about 34 s left" and between[-1] == "filtering: 90 %, about 4 s left"
    assert len(between) == 9


def test_a_short_stage_tells_only_that_it_began(monkeypatch, capsys):
    monkeypatch.setattr(progress.time, "perf_counter", lambda: 0.0)
    stage = progress.open_stage("reading", 2)
    stage.advance(2)
    stage.close()
    assert capsys.readouterr().err == "reading ...\n"
    assert not sys.stderr.isatty()
