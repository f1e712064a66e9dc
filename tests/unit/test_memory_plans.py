"""The plan of a method is what its process holds: each is measured in a process of its own, small enough to be quick.

``python -m benchmarks.memory`` measures all of them.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryores.diagnosis import checking_bytes
from cryores.masks import making_bytes
from cryores.method import RUNNING_BYTES, Inputs, load_method
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


def test_what_is_held_is_counted_once_for_every_volume(halves):
    assert Inputs(halves).held_bytes == 2 * 4 * 720
    assert Inputs(halves.half1, mask=halves.half2, reference=halves.half2).held_bytes == 3 * 4 * 720
