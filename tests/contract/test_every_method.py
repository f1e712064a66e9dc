"""What every method promises, whatever it computes: tried on the registry, through the command line."""

import json
import re
from pathlib import Path

import jsonschema
import mrcfile
import numpy as np
import pytest

import cryores.report
from cryores.cli import main
from cryores.cli.method_inputs import read_inputs
from cryores.execution import Execution
from cryores.mapio import read_map, write_map
from cryores.method import HALVES, load_method, method_summaries, parameters_of
from cryores.report.record import plain
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

PLACE = ("nx", "ny", "nz", "nxstart", "nystart", "nzstart", "mx", "my", "mz", "mapc", "mapr", "maps", "ispg")
ROLES = ("half1", "half2", "mask")
METHODS = [name for name in method_summaries() if HALVES in load_method(name).maps]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Half maps on an odd, non-cubic, shifted, axis-permuted grid."""
    folder = tmp_path_factory.mktemp("odd")
    made = simulate(shape=(41, 47, 45), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)
    plain = made.clean.grid
    grid = Grid(plain.shape, plain.cell, plain.sampling, (40.0, 3.25, -11.5), (12, 7, -5), (3, 1, 2))
    for name, volume in (("half1", made.halves.half1), ("half2", made.halves.half2), ("mask", made.mask)):
        write_map(folder / f"{name}.mrc", Volume(volume.data, grid))
    return folder


@pytest.fixture(scope="module", params=METHODS)
def done(request, odd, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / request.param
    words = [word for role in ROLES for word in (f"--{role}", str(odd / f"{role}.mrc"))]
    assert main([request.param, *words, "--out", str(out), "--quiet"]) == 0
    return request.param, out


def header(path):
    with mrcfile.open(path) as m:
        h = m.header
        return [int(h[k]) for k in PLACE] + [float(h[k][c]) for k in ("origin", "cella") for c in "xyz"]


def test_every_map_lies_on_the_input_bit_for_bit(done, odd):
    for path in done[1].glob("*.mrc"):
        assert header(path) == header(odd / "half1.mrc"), path.name


def test_values_outside_the_mask_are_zero(done, odd):
    if (done[1] / "resolution.mrc").exists():
        values, mask = read_map(done[1] / "resolution.mrc").data, read_map(odd / "mask.mrc").data
        assert not values[mask <= 0.5].any(), "outside the mask the resolution is NaN in memory, so 0 on disk"
        assert np.count_nonzero(values) > 0.5 * np.count_nonzero(mask), "less than half of the mask has a value"


def test_what_is_declared_is_written_and_what_is_written_is_declared(done):
    declared, written = load_method(done[0]).outputs, {path.name for path in done[1].iterdir()}
    missing = {name for name in declared if "NAME" not in name} - written
    assert not missing, f"METHOD.outputs declares {missing}, which the result's volumes() and tables() do not hold"
    names = [re.escape(name).replace("NAME", ".+") for name in declared]
    # Of the report are the map that it shows, and what colours its surface.
    data = [name for name in written if re.search(r"(?<!filled)\.(mrc|csv|star|xml)$", name) and name != "map.mrc"]
    undeclared = [name for name in data if not any(re.fullmatch(pattern, name) for pattern in names)]
    assert not undeclared, f"declare in METHOD.outputs what {undeclared} hold: the report's table of files says it"


def test_report_is_complete_and_valid(done):
    name, folder = done
    report = json.loads((folder / "report.json").read_text())
    schema = Path(cryores.report.__file__).parent / "report.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text()))
    assert set(report["parameters"]) >= {p.name for p in parameters_of(load_method(name).parameters)}
    assert [c["key"] for c in report["citations"]] == list(load_method(name).citations)
    assert len(report["inputs"]["half1"]["sha256"]) == 64
    assert (folder / "report.html").stat().st_size > 10000
    assert list(folder.glob("*.png")), "nothing draws the result: add its class to cryores/report/drawings"


def test_threads_change_nothing(done, odd):
    name, folder = done
    method = load_method(name)
    # Not through the command line: the report, which takes longer than most methods, is made once.
    inputs = read_inputs(method, {role: str(odd / f"{role}.mrc") for role in ROLES}, None, Execution())
    again = method.run(inputs, method.make_parameters({}), Execution(threads=1))
    for key, volume in again.result.volumes().items():
        a, b = np.nan_to_num(volume.data), read_map(folder / f"{key}.mrc").data
        rounding = 0.0 if key == "resolution" else 1e-4 * np.abs(a).max()
        same = np.mean(np.isclose(a, b, rtol=1e-5, atol=rounding))
        # Values at a threshold, of which a processed map has none, may fall on either side of it.
        least = 1.0 if key == "sharpened" else 0.999
        assert same >= least, f"with one thread {key}.mrc differs in {1 - same:.2%} of the voxels"
    told = json.loads((folder / "report.json").read_text())["summary"]
    if "resolution" in told:
        assert plain(again.summary["resolution"]) == pytest.approx(told["resolution"], rel=1e-5)


def test_a_processed_map_comes_masked_and_with_its_difference(done, odd):
    if (done[1] / "sharpened.mrc").exists():
        files = (done[1] / "sharpened.mrc", done[1] / "masked.mrc", odd / "mask.mrc")
        sharpened, masked, mask = (read_map(path).data for path in files)
        np.testing.assert_allclose(masked, sharpened * mask, rtol=1e-6)
        assert (done[1] / "difference.mrc").exists() and np.isfinite(sharpened).all() and sharpened.std() > 0


def test_too_small_a_budget_is_refused(done, odd, tmp_path, capsys):
    words = [done[0], "--half1", str(odd / "half1.mrc"), "--half2", str(odd / "half2.mrc")]
    assert main([*words, "--memory", "0.00001", "--out", str(tmp_path / "out")]) == 4
    assert "error E_MEMORY: " in capsys.readouterr().err and not (tmp_path / "out").exists()
