"""Comparison of resolution maps: statistics with known answers, invariants, and every kind of bad input."""

import csv
import json
import tracemalloc

import jsonschema
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

import cryores.report
from cryores.cli import main
from cryores.errors import CryoresWarning
from cryores.execution import Execution
from cryores.localres_maps import recognise
from cryores.mapio import read_map, write_map
from cryores.masks import block_around, sphere
from cryores.method import Inputs
from cryores.report import figures_comparison, html_comparison, views
from cryores.report.colours import colour_scale
from cryores.report.html_figures import PAGE_SLICES
from cryores.resolution import compare
from cryores.resolution.compare import METHOD, window_means
from cryores.volume import Grid, Volume

SHAPE = (40, 44, 48)
GRID = Grid(SHAPE, (60.0, 66.0, 72.0), SHAPE, (40.0, 3.25, -11.5), (12, 7, -5), (3, 1, 2))
MASK = Volume(sphere(Grid.regular(SHAPE, 1.5), 24.0).data, GRID)
INSIDE = MASK.data > 0.5


def noise(seed, sigma=0.0):
    white = np.random.default_rng(seed).standard_normal(SHAPE)
    return white if not sigma else gaussian_filter(white, sigma) / gaussian_filter(white, sigma).std()


DENSITY = Volume((INSIDE * (2 + noise(9, 2)) + 0.1 * noise(8)).astype(np.float32), GRID)
# One slow variation that both methods see, and what each adds to it voxel by voxel.
SLOW = 6.0 + 0.5 * noise(1, 5)
ONE = (SLOW + 0.5 * noise(2)).astype(np.float32)
TWO = (SLOW + 1.5 + 0.5 * noise(3)).astype(np.float32)


def on_grid(data):
    return Volume(np.where(INSIDE, data, 0).astype(np.float32), GRID)


@pytest.fixture(scope="module")
def result():
    return compare(DENSITY, {"one": on_grid(ONE), "two": on_grid(TWO)}, MASK, window=12.0)


def test_each_maps_numbers_are_those_of_its_voxels(result):
    for name, data in (("one", ONE), ("two", TWO)):
        row = result.maps[name]
        wanted = np.percentile(data[INSIDE].astype(float), (0, 5, 25, 50, 75, 95, 100))
        assert [row[k] for k in ("min", "p5", "p25", "median", "p75", "p95", "max")] == pytest.approx(list(wanted))
        assert row["n"] == INSIDE.sum() and row["undetermined_fraction"] == 0
        assert row["median_common"] == row["median"] and row["background"] is None


def test_a_pairs_numbers_are_those_of_the_differences(result):
    (pair,) = result.pairs
    d = (TWO - ONE)[INSIDE].astype(float)
    assert (pair.first, pair.second, pair.n, pair.common_fraction) == ("one", "two", INSIDE.sum(), 1.0)
    assert pair.shift == pytest.approx(np.median(d)) and pair.absolute == pytest.approx(np.median(np.abs(d)))
    assert pair.scatter == pytest.approx(np.median(np.abs(d - np.median(d))))
    assert (pair.p5, pair.p95) == pytest.approx(tuple(np.percentile(d, (5, 95))))
    assert pair.rank == pytest.approx(spearmanr(ONE[INSIDE], TWO[INSIDE]).statistic)


def test_regions_agree_where_voxels_do_not(result):
    (pair,) = result.pairs
    assert pair.shift == pytest.approx(1.5, abs=0.03)
    assert pair.rank < 0.6 < 0.95 < pair.window_rank
    # 9^3 voxels in a window of 12 Å: independent noise falls by 27, and less at the rim of the mask
    assert pair.window_scatter < pair.scatter / 12


def test_window_means_are_means_of_the_known_voxels_around():
    rng = np.random.default_rng(4)
    values, seen = rng.random((9, 10, 11)).astype(np.float32), rng.random((9, 10, 11)) > 0.6
    seen[0, 0, 0] = seen[4, 5, 6] = True
    found = np.full(seen.shape, np.nan)
    found[seen] = window_means(np.where(seen, values, np.nan), seen, (3, 5, 1))
    for z, y, x in ((0, 0, 0), (4, 5, 6)):
        box = (slice(max(0, z - 1), z + 2), slice(max(0, y - 2), y + 3), slice(x, x + 1))
        assert found[z, y, x] == pytest.approx(values[box][seen[box]].mean(), rel=1e-6)


def test_a_map_agrees_with_itself_and_an_increasing_function_of_it_ranks_alike():
    found = compare(DENSITY, {"a": on_grid(ONE), "b": on_grid(ONE), "c": on_grid(ONE**2)}, MASK)
    same, squared, _ = found.pairs
    assert (same.shift, same.scatter, same.absolute, same.p5, same.p95) == (0, 0, 0, 0, 0)
    assert same.rank == pytest.approx(1.0) and same.window_rank == pytest.approx(1.0)
    assert squared.rank == pytest.approx(1.0) and squared.shift > 10
    assert found.window == pytest.approx(5 * np.median([found.maps[name]["median"] for name in "abc"]))


def test_the_order_of_a_pair_turns_the_sign_only():
    forth = compare(DENSITY, {"a": on_grid(ONE), "b": on_grid(TWO)}, MASK, window=9.0).pairs[0]
    back = compare(DENSITY, {"b": on_grid(TWO), "a": on_grid(ONE)}, MASK, window=9.0).pairs[0]
    assert (back.shift, back.p5, back.p95) == pytest.approx((-forth.shift, -forth.p95, -forth.p5))
    assert (back.rank, back.window_rank, back.scatter) == pytest.approx((forth.rank, forth.window_rank, forth.scatter))


def test_voxels_without_a_value_count_in_no_statistic():
    half = INSIDE & (np.arange(SHAPE[2]) < 20)
    unassigned = Volume(np.where(half, TWO, 100).astype(np.float32), GRID)
    found = compare(DENSITY, {"one": on_grid(ONE), "resmap": unassigned}, MASK)
    share = half.sum() / INSIDE.sum()
    assert found.maps["resmap"]["background"] == 100 and found.maps["resmap"]["n"] == half.sum()
    assert found.pairs[0].n == half.sum() and found.common_fraction == pytest.approx(share)
    assert found.maps["one"]["median_common"] == pytest.approx(np.median(ONE[half]))
    assert found.pairs[0].rank == pytest.approx(spearmanr(ONE[half], TWO[half]).statistic)
    assert any("resmap has a value in only" in line for line in found.warnings)
    assert np.array_equal(np.isfinite(found.spread().data), half)


def test_maps_without_a_voxel_in_common_are_told_of():
    left = np.arange(SHAPE[2]) < 24
    found = compare(DENSITY, {"a": on_grid(ONE * left), "b": on_grid(TWO * ~left)}, MASK)
    assert found.pairs[0].n == 0 and np.isnan(found.pairs[0].rank) and found.common_fraction == 0
    assert any("no voxel has a value in all maps" in line for line in found.warnings)


def test_maps_that_disagree_and_maps_in_other_units_are_told_of():
    other = 6.0 - 0.5 * noise(1, 5)
    found = compare(DENSITY, {"a": on_grid(SLOW), "b": on_grid(other), "c": on_grid(1 / SLOW)}, MASK, window=9.0)
    assert sum("rank the regions differently" in line for line in found.warnings) == 2
    assert sum("below Nyquist (3.00 Å)" in line and " c " in line for line in found.warnings) == 1
    assert found.pairs[0].rank == pytest.approx(-1.0)


def test_a_constant_map_has_no_rank():
    found = compare(DENSITY, {"a": on_grid(SLOW), "b": on_grid(np.full(SHAPE, 4.0))}, MASK)
    assert np.isnan(found.pairs[0].rank) and found.pairs[0].shift == pytest.approx(
        4 - np.median(SLOW[INSIDE]), abs=1e-5
    )


def test_another_voxel_size_in_the_header_is_told_of():
    odd = Volume(on_grid(TWO).data, GRID.with_voxel_size(1.0))
    with pytest.warns(CryoresWarning, match="the resolution map b says 1.0000 Å a voxel"):
        compare(DENSITY, {"a": on_grid(ONE), "b": odd}, MASK)


def test_volumes_are_differences_from_the_first_and_the_spread():
    third = on_grid(ONE + 3)
    found = compare(DENSITY, {"a": on_grid(ONE), "b/c": on_grid(TWO), "d": third}, MASK).volumes()
    assert set(found) == {"resolution_a", "resolution_b_c", "resolution_d", "difference_b_c", "difference_d", "spread"}
    np.testing.assert_allclose(found["difference_b_c"].data[INSIDE], (TWO - ONE)[INSIDE], atol=1e-6)
    stack = np.stack([ONE, TWO, ONE + 3])[:, INSIDE]
    np.testing.assert_allclose(found["spread"].data[INSIDE], stack.max(0) - stack.min(0), atol=1e-6)
    assert all(np.isnan(volume.data[~INSIDE]).all() for volume in found.values())


def test_the_histograms_of_stepped_maps_are_no_comb():
    stepped = np.round(ONE * 2) / 2
    found = compare(DENSITY, {"a": on_grid(TWO), "b": on_grid(stepped)}, MASK)
    smooth, steps = figures_comparison.histograms(found).values()
    assert np.diff(steps.edges) == pytest.approx(0.5) and steps.counts.min() > 0
    # The map beside it keeps its bins, and both outlines have the same area.
    assert len(smooth.counts) == views.BINS and np.diff(smooth.edges).max() < 0.3
    for one in (smooth, steps):
        assert np.sum(one.density * np.diff(one.edges)) == pytest.approx(100 * views.DENSITY_WIDTH)
    low, high = views.span((smooth, steps))
    assert low == min(smooth.edges[0], steps.edges[0]) and high == max(smooth.edges[-1], steps.edges[-1])


def test_a_place_of_the_pages_slider_shows_that_plane_of_every_map(result):
    figure = html_comparison.slices_section(result, DENSITY, colour_scale(ONE[INSIDE])).figure
    box = block_around(INSIDE)
    planes, (slider,) = views.row_of_planes(box, PAGE_SLICES), figure.layout.sliders
    assert len(slider.steps) == len(planes) and slider.active == len(planes) // 2
    for number, (plane, step) in enumerate(zip(planes, slider.steps)):
        seen = [trace for trace, visible in zip(figure.data, step.args[0]["visible"]) if visible]
        wanted = [result.resolutions[name].data[plane.index, box[1], box[2]] for name in ("one", "two")]
        for trace, values in zip(seen[1::2], wanted):
            assert np.allclose(trace.z, values, atol=0.006, equal_nan=True)
        assert len(seen) == 4 and {trace.visible for trace in seen} == {number == slider.active}


def test_the_planned_memory_is_what_is_needed():
    maps = {name: recognise(on_grid(data)) for name, data in (("a", ONE), ("b", TWO), ("c", SLOW))}
    inputs, parameters = Inputs(DENSITY, mask=MASK, resolution_maps=maps), METHOD.make_parameters({})
    METHOD.compute(inputs, parameters, Execution(threads=1))
    tracemalloc.start()
    METHOD.compute(inputs, parameters, Execution(threads=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    planned = METHOD.memory(inputs, parameters, 1)
    assert 0.3 * planned < peak < planned


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    saved = {
        "map": DENSITY,
        "mask": MASK,
        "one": on_grid(ONE),
        "two": Volume(np.where(INSIDE, TWO, 100).astype(np.float32), GRID),
        "empty": MASK.like(0 * MASK.data),
        "negative": on_grid(-ONE),
        "unknown": Volume(np.where(INSIDE, TWO, 7).astype(np.float32), GRID),
        "small": Volume(ONE[:20], Grid.regular((20, 44, 48), 1.5)),
    }
    for name, volume in saved.items():
        write_map(folder / f"{name}.mrc", volume)
    elsewhere = MASK.like(np.where(np.arange(SHAPE[0])[:, None, None] < 2, 1, 0) * np.ones(SHAPE))
    write_map(folder / "elsewhere.mrc", elsewhere)
    return folder


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "out"
    files = [str(folder / f"{name}.mrc") for name in ("one", "two", "map", "mask")]
    words = ["compare", "--maps", *files[:2], "--map", files[2], "--mask", files[3], "--window", "12"]
    assert main([*words, "--out", str(out), "--quiet"]) == 0
    return out


def test_the_tables_and_the_report_say_the_same(done, result):
    report = json.loads((done / "report.json").read_text())
    schema = (cryores.report.record.SCHEMA).read_text()
    jsonschema.validate(report, json.loads(schema))
    rows = {row["name"]: row for row in csv.DictReader((done / "comparison.csv").read_text().splitlines())}
    assert list(rows) == ["one", "two"] and rows["one"]["background"] == "" and rows["two"]["background"] == "100"
    for name, row in rows.items():
        assert float(row["median"]) == pytest.approx(result.maps[name]["median"], rel=1e-5)
        assert report["summary"]["maps"][name]["median"] == pytest.approx(result.maps[name]["median"])
    (pair,) = csv.DictReader((done / "pairs.csv").read_text().splitlines())
    assert float(pair["window_rank"]) == pytest.approx(result.pairs[0].window_rank, rel=1e-5)
    assert report["summary"]["pairs"][0]["shift"] == pytest.approx(result.pairs[0].shift)
    assert report["parameters"] == {"window": 12.0}
    assert {"map", "mask", "resolution map one", "resolution map two"} == set(report["inputs"])
    assert len(report["inputs"]["resolution map two"]["sha256"]) == 64


def test_the_maps_lie_on_the_input_in_one_convention(done, folder):
    grid = read_map(folder / "map.mrc").grid
    for path in done.glob("*.mrc"):
        assert read_map(path).grid == grid, path.name
    two = read_map(done / "resolution_two.mrc").data
    assert np.all(two[~INSIDE] == 0) and np.array_equal(two[INSIDE], TWO[INSIDE])


def test_every_picture_is_there_and_the_page_names_every_map(done):
    for name in ("slices.png", "histogram.png", "agreement.png"):
        assert (done / name).stat().st_size > 10000
    page = (done / "report.html").read_text()
    assert all(f">{heading}<" in page for heading in ("Histograms", "Maps", "Agreement", "Slices"))
    script = (done / "view.cxc").read_text()
    assert "color sample #1 map #3 palette" in script and "color sample #2 map #4 palette" in script
    assert all((done / line.split()[1]).exists() for line in script.splitlines() if line.startswith("open "))


def test_threads_change_nothing(done, folder, tmp_path):
    files = [str(folder / f"{name}.mrc") for name in ("one", "two", "map", "mask")]
    words = ["compare", "--maps", *files[:2], "--map", files[2], "--mask", files[3], "--window", "12", "--quiet"]
    assert main([*words, "--threads", "1", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "pairs.csv").read_text() == (done / "pairs.csv").read_text()


CASES = {
    "one map": (["one"], [], "mask", 2, "E_MAPS"),
    "names of another count": (["one", "two"], ["--names", "a"], "mask", 2, "E_NAMES"),
    "names that are the same": (["one", "two"], ["--names", "a", "a"], "mask", 2, "E_NAMES"),
    "names that make one file": (["one", "two"], ["--names", "a b", "a/b"], "mask", 2, "E_MAPS"),
    "the same map twice": (["one", "one"], [], "mask", 2, "E_NAMES"),
    "another grid": (["one", "small"], [], "mask", 3, "E_OTHER_GRID"),
    "negative values": (["one", "negative"], [], "mask", 3, "E_RESOLUTION_NEGATIVE"),
    "an unknown background": (["one", "unknown"], [], "mask", 3, "E_BACKGROUND"),
    "backgrounds of another count": (["one", "two"], ["--background", "0", "1", "2"], "mask", 2, "E_BACKGROUND"),
    "a background in words": (["one", "two"], ["--background", "black"], "mask", 2, "E_BACKGROUND"),
    "no value at all": (["one", "empty"], [], "mask", 3, "E_RESOLUTION_EMPTY"),
    "no value in the mask": (["one", "two"], [], "elsewhere", 3, "E_RESOLUTION_EMPTY"),
    "an empty mask": (["one", "two"], [], "empty", 3, "E_MASK_EMPTY"),
    "a missing file": (["one", "nothing"], [], "mask", 3, "E_NO_FILE"),
    "too little memory": (["one", "two"], ["--memory", "0.00001"], "mask", 4, "E_MEMORY"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_nothing_is_left(case, folder, tmp_path, capsys):
    maps, more, mask, status, code = CASES[case]
    files = [str(folder / f"{name}.mrc") for name in maps]
    words = [
        "compare",
        "--maps",
        *files,
        *more,
        "--map",
        str(folder / "map.mrc"),
        "--mask",
        str(folder / f"{mask}.mrc"),
    ]
    assert main([*words, "--out", str(tmp_path / "out")]) == status
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error {code}: ") and "; hint: " in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [["7"], ["auto", "7"]])
def test_a_background_that_is_told_is_used(given, folder, tmp_path):
    files = [str(folder / f"{name}.mrc") for name in ("one", "unknown", "map", "mask")]
    words = ["compare", "--maps", *files[:2], "--map", files[2], "--mask", files[3], "--background", *given, "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text())["summary"]["maps"]["unknown"]
    assert found["background"] == 7 and found["n"] == np.count_nonzero(INSIDE & (np.abs(TWO - 7) > 1e-4))


def test_maps_of_one_name_are_told_apart_by_their_folders(folder, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolution.mrc").write_bytes((folder / f"{name}.mrc").read_bytes())
    files = [str(tmp_path / name / "resolution.mrc") for name in ("one", "two")]
    words = ["compare", "--maps", *files, "--map", str(folder / "map.mrc"), "--mask", str(folder / "mask.mrc")]
    assert main([*words, "--quiet", "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "report.json").read_text())["summary"]
    assert list(summary["maps"]) == ["one/resolution", "two/resolution"]
    assert (tmp_path / "out" / "resolution_one_resolution.mrc").exists()
