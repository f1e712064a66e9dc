"""MonoTomo in overlapping blocks: what it changes, what it saves, and when it is chosen."""

import json
import subprocess
import sys

import numpy as np
import pytest

import cryores.cli.method_inputs
from cryores.blocks import blocks, is_mapped
from cryores.cli import main
from cryores.execution import GIGABYTE, Execution
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.method import RUNNING_BYTES, Inputs
from cryores.resolution._tomogram import Criterion
from cryores.resolution._tomogram_blocks import OVERLAP, cuts_within, largest_block, overlap_of
from cryores.resolution.monotomo import METHOD, compute, memory, memory_within
from cryores.volume import Grid, HalfMaps, Volume

SHAPE = (20, 100, 560)
CHOSEN = {"transition": 0.1, "min_resolution": 12.0, "max_resolution": 30.0, "resolution_step": 6.0, "noise_tile": 40.0}


@pytest.fixture(scope="module")
def halves():
    rng, grid = np.random.default_rng(0), Grid.regular(SHAPE, 5.0)
    x = np.arange(SHAPE[2], dtype=np.float32)
    texture = rng.standard_normal(SHAPE, dtype=np.float32)
    fine, coarse = (filtered(texture, lambda s, w=w: np.exp(-((w * s) ** 2)), grid, 2) for w in (10.0, 30.0))
    share = 0.5 + 0.5 * np.sin(2 * np.pi * x / 150)
    signal = share * fine / fine.std() + (1 - share) * coarse / coarse.std()
    noise = 0.5 + x / SHAPE[2]
    made = (signal + noise * rng.standard_normal(SHAPE, dtype=np.float32) for _ in "12")
    return HalfMaps(*(Volume(data.astype(np.float32), grid) for data in made))


@pytest.fixture(scope="module", autouse=True)
def small_dask():
    """Let blocks pay on tomograms of a few megabytes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys.modules["cryores.resolution.monotomo"], "DASK_BYTES", 0.0)
        yield


def least(parameters):
    return memory_within(Inputs(OfHalves), parameters, 2, 1.0)


class OfHalves:
    grid = Grid.regular(SHAPE, 5.0)


@pytest.fixture(scope="module")
def both(halves):
    def run(kind):
        parameters = METHOD.make_parameters({**CHOSEN, "filter": kind, "smooth": False})
        in_blocks = Execution(2)
        in_blocks.planned_bytes = least(parameters)
        return [compute(Inputs(halves), parameters, execution) for execution in (Execution(2), in_blocks)]

    return {kind: run(kind) for kind in ("bandpass", "highpass")}


@pytest.mark.parametrize("kind, alike", [("bandpass", 0.995), ("highpass", 0.98)])
def test_nearly_every_voxel_is_that_of_the_whole(both, kind, alike):
    whole, parts = both[kind]
    assert whole.details["blocks_yx"] == [1, 1] and parts.details["blocks_yx"][1] > 2
    one, two = whole.resolution.data, parts.resolution.data
    np.testing.assert_array_equal(np.isnan(one), np.isnan(two))
    known = np.isfinite(one)
    assert np.mean(one[known] == two[known]) > alike
    np.testing.assert_array_equal(whole.mask.data, parts.mask.data)
    assert is_mapped(two) and not is_mapped(one)


def test_the_record_is_that_of_the_whole(both):
    whole, parts = (result.details for result in both["bandpass"])
    assert whole["tested_resolutions"] == parts["tested_resolutions"] and whole["noise_tiles_yx"] == [2, 14]
    for name, close in (("thresholds", 2e-3), ("tested_share", 2e-3), ("passed_share", 5e-3)):
        np.testing.assert_allclose(parts[name], whole[name], rtol=close)
    numbers = [result.summary() for result in both["bandpass"]]
    assert numbers[0]["n"] == numbers[1]["n"] and numbers[0]["median"] == pytest.approx(numbers[1]["median"], rel=1e-3)


def test_a_longer_overlap_is_closer_to_the_whole(halves, both, monkeypatch):
    module = sys.modules["cryores.resolution._tomogram_blocks"]
    parameters = METHOD.make_parameters({**CHOSEN, "smooth": False})
    monkeypatch.setattr(module, "OVERLAP", OVERLAP / 4)
    execution = Execution(2)
    execution.planned_bytes = least(parameters)
    short = compute(Inputs(halves), parameters, execution).resolution.data
    whole, parts = (result.resolution.data for result in both["bandpass"])
    known = np.isfinite(whole)
    wrong, right = (np.mean(found[known] != whole[known]) for found in (short, parts))
    assert wrong > 2 * right


def test_the_command_takes_blocks_where_the_budget_is_small(halves, both, tmp_path, monkeypatch):
    monkeypatch.setattr(cryores.cli.method_inputs, "MAPPED_SHARE", 0.0)
    for name in ("half1", "half2"):
        write_map(tmp_path / f"{name}.mrc", getattr(halves, name))
    mask = np.zeros(SHAPE, np.float32)
    mask[:, 20:70, 100:400] = 1
    write_map(tmp_path / "mask.mrc", halves.half1.like(mask))
    needed = RUNNING_BYTES + mask.nbytes + least(METHOD.make_parameters(CHOSEN))
    words = [f"--{role}={tmp_path / role}.mrc" for role in ("half1", "half2", "mask")]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in CHOSEN.items()]
    out = tmp_path / "out"
    told = ["--memory", str((needed + 1) / GIGABYTE), "--out", str(out), "--quiet"]
    assert main(["monotomo", *words, *told]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["summary"]["blocks_yx"][1] > 2 and report["summary"]["slabs"] == 0
    assert report["planned_memory_mb"] == pytest.approx(needed / 2**20)
    values = read_map(out / "resolution.mrc").data
    assert np.all(values[mask == 0] == 0) and np.count_nonzero(values) == np.count_nonzero(mask[2:-2])
    told[1] = str((needed - 1e6) / GIGABYTE)
    assert main(["monotomo", *words, *told, "--overwrite"]) == 4


def test_a_large_tomogram_fits_into_little_memory():
    class OfGrid:
        grid = Grid.regular((800, 1900, 1900), 3.0)

    parameters = METHOD.make_parameters({})
    assert memory(OfGrid, parameters, 4) > 70 * GIGABYTE
    assert memory_within(OfGrid, parameters, 4, 20 * GIGABYTE) <= 20 * GIGABYTE


def test_cuts_lie_between_tiles_and_leave_room_for_the_overlap():
    test, shape = Criterion("bandpass", 0.05, 0.95, 50.0), (40, 900, 1300)
    cuts = cuts_within(shape, test, lambda seen: float(np.prod(seen)), 0.2 * np.prod(shape))
    assert overlap_of(test) == 80 and cuts[0] == (0, 40)
    assert all(min(np.diff(edges)) >= 80 for edges in cuts[1:])
    largest = largest_block(cuts, test)
    assert np.prod(largest) <= 0.2 * np.prod(shape)
    assert largest[1] == max(b.reach[1].stop - b.reach[1].start for b in blocks(cuts, 80))
    assert cuts_within(shape, test, lambda seen: float(np.prod(seen)), 1e12) == ((0, 40), (0, 900), (0, 1300))


CHILD = """
import json, sys, threading
from pathlib import Path
import numpy as np
from cryores.execution import Execution
from cryores.mapio import read_half_maps
from cryores.method import Inputs, load_method
from cryores.volume import Grid, HalfMaps, Volume

folder, chosen, cut = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3] == "blocks"
method = load_method("monotomo")
sys.modules["cryores.resolution.monotomo"].DASK_BYTES = 0.0
parameters = method.make_parameters(chosen)

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

def run(halves):
    execution = Execution(2, scratch=folder)
    budget = 0.35 * method.memory(Inputs(halves), parameters, 2) if cut else np.inf
    execution.planned_bytes = method.memory_within(Inputs(halves), parameters, 2, budget)
    return method.compute(Inputs(halves), parameters, execution).details["blocks_yx"]

rng, grid = np.random.default_rng(0), Grid.regular((20, 40, 40), 5.0)
run(HalfMaps(*(Volume(rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12")))
halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc", mapped=True)
start, peak, over = held(), 0, threading.Event()

def watch():
    global peak
    while not over.wait(0.003):
        peak = max(peak, held() - start)

watching = threading.Thread(target=watch)
watching.start()
blocks = run(halves)
over.set()
watching.join()
print(json.dumps([blocks, peak, method.memory(Inputs(halves), parameters, 2)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what cannot be given back is read from Linux's /proc")
def test_blocks_hold_less_than_the_whole(tmp_path):
    rng, grid = np.random.default_rng(0), Grid.regular((40, 300, 560), 5.0)
    for name in ("half1", "half2"):
        write_map(tmp_path / f"{name}.mrc", Volume(rng.standard_normal(grid.shape, dtype=np.float32), grid))
    chosen = json.dumps({**CHOSEN, "resolution_step": 15.0})
    found = {}
    for kind in ("whole", "blocks"):
        words = [sys.executable, "-c", CHILD, str(tmp_path), chosen, kind]
        found[kind] = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    assert found["whole"][0] == [1, 1] and max(found["blocks"][0]) > 1
    planned = found["whole"][2]
    assert 0.8 * planned < found["whole"][1] < 1.15 * planned
    assert found["blocks"][1] < 0.75 * planned
