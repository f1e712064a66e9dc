"""The plan of a method is what its process holds: each is measured in a process of its own, small enough to be quick.

``python -m benchmarks.memory`` measures all of them.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring import phantom
from cryores.diagnosis import checking_bytes
from cryores.mapio import write_map
from cryores.masks import making_bytes
from cryores.method import REPORTING_BYTES, RUNNING_BYTES, Inputs, load_method
from cryores.volume import Grid, HalfMaps, Volume

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("method, given", [("fsc", "halves"), ("monores", "map"), ("lococcupancy", "halves")])
def test_a_method_holds_what_it_planned(method, given):
    words = [sys.executable, "-m", "benchmarks.memory", "--one", method, given, "96", "2"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    peak, plan, small_peak, small_plan, before = json.loads(done.stdout.splitlines()[-1])
    assert plan - small_plan == pytest.approx(peak - small_peak, rel=0.15)
    # Of libraries, the pages count that lie in memory: 50 MB more or less of LLVM's file alone, as the system pleases.
    assert RUNNING_BYTES + plan == pytest.approx(before + peak, rel=0.25)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is that of Linux")
@pytest.mark.parametrize("method", ["fso", "lococcupancy"])
def test_a_command_holds_no_more_than_it_planned_with_its_report(method, tmp_path):
    """In a small box, where the libraries of the report are most of it."""
    inputs, out = phantom(48), tmp_path / "out"
    given = {"--half1": inputs.maps.half1, "--half2": inputs.maps.half2, "--mask": inputs.mask}
    words = [sys.executable, "-m", "cryores", method, "--out", str(out), "--overwrite", "--quiet", "--threads", "2"]
    for option, volume in given.items():
        write_map(tmp_path / f"{option[2:]}.mrc", volume)
        words += [option, str(tmp_path / f"{option[2:]}.mrc")]
    # The first run may compile loops, which takes memory of its own.
    for _ in range(2):
        subprocess.run(words, check=True, cwd=ROOT)
    report = json.loads((out / "report.json").read_text())
    assert report["peak_memory_mb"] < 1.25 * report["planned_memory_mb"]


@pytest.fixture
def halves():
    grid, rng = Grid.regular((8, 9, 10), 1.0), np.random.default_rng(0)
    return HalfMaps(*(Volume(rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12"))


def test_the_plan_holds_the_checks_and_the_mask_that_come_before(halves):
    ball = halves.half1.like(np.indices(halves.grid.shape).sum(axis=0) < 6)
    given, made = Inputs(halves, mask=ball), Inputs(halves)

    def planned(name, inputs):
        method = load_method(name)
        chosen = method.make_parameters({})
        return method.plan(inputs, chosen, 1), method.memory(inputs, chosen, 1)

    plan, own = planned("lococcupancy", given)
    assert plan == own > checking_bytes(halves)
    plan, own = planned("lococcupancy", made)
    assert plan == making_bytes(halves) > own
    plan, own = planned("fsc", made)
    assert plan >= own
    plan, own = planned("monotomo", made)
    assert plan == own


def test_what_a_run_needs_holds_the_report_that_follows(halves):
    given, volume = Inputs(halves, mask=halves.half1.like(np.ones((8, 9, 10)))), 4.0 * 720

    def needed(name):
        method = load_method(name)
        chosen = method.make_parameters({})
        return method.needed(given, chosen, 1), method.plan(given, chosen, 1)

    needs, runs = needed("locbfactor")
    assert needs == pytest.approx(REPORTING_BYTES + 5.0 * volume) and runs < needs
    needs, runs = needed("monotomo")
    assert needs == runs


def test_what_is_held_is_counted_once_for_every_volume(halves):
    assert Inputs(halves).held_bytes == 2 * 4 * 720
    assert Inputs(halves.half1, mask=halves.half2, reference=halves.half2).held_bytes == 3 * 4 * 720
