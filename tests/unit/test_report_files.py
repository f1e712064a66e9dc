"""The folder of a run: maps, report.json, report.html."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Optional

import jsonschema
import numpy as np
import pytest

from cryores.changes import contour_level
from cryores.execution import Execution
from cryores.mapio import read_map, write_map
from cryores.masks import block_around
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, Outcome, Result, parameter
from cryores.report import html, html_figures, html_fsc, html_local, views, write_report
from cryores.report.colours import colour_scale
from cryores.report.record import SCHEMA, json_text, plain
from cryores.resolution.fsc import METHOD as FSC
from cryores.volume import Grid, HalfMaps, Volume

SHAPE = (20, 24, 28)


@dataclass(frozen=True)
class Parameters:
    box: Optional[int] = parameter(None, "Edge of the box; default, what fits <the grid>", "voxels", 4)
    significance: float = parameter(0.95, "Significance", "", 0.5, 1.0)
    seed: int = parameter(7, "Seed")


def method(kind=Parameters):
    return Method(
        "test-method",
        "A test",
        (HALVES, MAP),
        kind,
        lambda *a: None,
        lambda *a: 0.0,
        {"resolution.mrc": "resolution <in> Å", "gone.mrc": "not written this time", "map_NAME.mrc": "one of each"},
        ("Vilas2018",),
    )


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(3)
    grid = Grid(shape=SHAPE, cell=(30.0, 36.0, 42.0), sampling=SHAPE, origin=(5.0, -3.0, 2.0), axis_order=(3, 2, 1))
    z, y, x = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    ball = np.exp(-(z**2 + y**2 + x**2) / 30.0)
    return HalfMaps(*(Volume(ball + rng.normal(0, 0.05, SHAPE), grid) for _ in range(2)))


@pytest.fixture(scope="module")
def outcome(halves):
    mask = halves.half1.like(halves.mean().data > 0.2)
    rng = np.random.default_rng(4)
    values = 3.0 + 2.0 * rng.random(SHAPE)
    values[:, :, 14] = np.nan
    resolution = halves.half1.like(np.where(mask.data > 0, values, np.nan))
    lower = halves.half1.like(resolution.data - 0.2)
    result = LocalResolution(
        resolution, mask, "the test <criterion>", {"box": 12, "bad": float("nan")}, {"lower": lower}
    )
    execution = Execution(threads=2)
    with execution.stage("counting"):
        pass
    return Outcome(
        method(),
        Inputs(halves, mask=mask),
        Parameters(),
        result,
        ["these maps & masks look sharpened"],
        True,
        execution,
    )


@pytest.fixture(scope="module")
def sources(halves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    paths = {"half1": folder / "one.mrc", "half2": folder / "two.mrc"}
    write_map(paths["half1"], halves.half1)
    write_map(paths["half2"], halves.half2)
    return {role: str(path) for role, path in paths.items()}


@pytest.fixture(scope="module")
def folder(outcome, sources, tmp_path_factory):
    made = tmp_path_factory.mktemp("out")
    write_report(outcome, made, sources, 3.3)
    return made


@pytest.fixture(scope="module")
def record(folder):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


# --- maps ---------------------------------------------------------------------------------------------------------


def test_maps_lie_on_the_grid_of_the_input(folder, outcome, halves):
    resolution = np.nan_to_num(outcome.result.resolution.data, nan=0.0)
    for name, expected in (
        ("resolution", resolution),
        ("lower", np.where(resolution > 0, resolution - np.float32(0.2), 0)),
        ("mask", outcome.result.mask.data),
        ("map", halves.mean().data),
        ("resolution_filled", views.filled_outwards(outcome.result.resolution).data),
    ):
        written = read_map(folder / f"{name}.mrc")
        assert written.grid == halves.grid, name
        assert np.allclose(written.data, expected, rtol=1e-6, atol=1e-7), name


def test_the_filled_map_on_disk_has_no_background(folder):
    assert read_map(folder / "resolution_filled.mrc").data.min() >= 3.0


def test_script_opens_files_that_are_there(folder, outcome):
    lines = (folder / "view.cxc").read_text(encoding="utf-8").splitlines()
    opened = [line.split()[1] for line in lines if line.startswith("open ")]
    assert len(opened) == 2 and all((folder / name).is_file() for name in opened)
    level = contour_level(read_map(folder / "map.mrc").data, outcome.result.mask.data > 0.5)
    assert f"volume #1 style surface region all step 1 level {level:.6g}" in lines


def test_a_given_mask_is_not_written_again(outcome, sources, tmp_path):
    given = Outcome(method(), outcome.inputs, Parameters(), outcome.result, [], False, Execution(threads=1))
    write_report(given, tmp_path, sources)
    assert not (tmp_path / "mask.mrc").exists()
    assert json.loads((tmp_path / "report.json").read_text())["mask_was_made"] is False


# --- report.json --------------------------------------------------------------------------------------------------


def test_record_follows_the_schema(record):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(record, schema)


def test_schema_refuses_a_record_without_inputs_or_with_a_broken_hash(record):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    without = {key: value for key, value in record.items() if key != "inputs"}
    broken = {**record, "inputs": {"map": {**record["inputs"]["half1"], "sha256": "0123"}}}
    for bad in (without, broken):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux hands the peak of a process on to those that it starts")
def test_the_peak_of_memory_is_not_that_of_the_process_that_started_this_one():
    ours = np.ones(100_000_000, dtype=np.float32)
    words = [sys.executable, "-c", "from cryores.report.record import peak_memory; print(peak_memory())"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    assert 1e7 < float(done.stdout) < ours.nbytes


def test_record_tells_what_was_run(record, outcome, sources):
    assert record["method"] == "test-method"
    assert record["parameters"] == {"box": 12, "significance": 0.95, "seed": 7}  # the box is the one that was chosen
    assert record["seed"] == 7 and record["threads"] == 2 and record["mask_was_made"] is True
    assert record["warnings"] == outcome.findings
    assert record["citations"][0]["key"] == "Vilas2018" and record["citations"][0]["doi"].startswith("10.")
    assert set(record["timings"]) == {"counting", "writing the maps", "drawing"} and record["peak_memory_mb"] > 10
    for role, path in sources.items():
        with open(path, "rb") as handle:
            assert record["inputs"][role]["sha256"] == hashlib.sha256(handle.read()).hexdigest()
        assert record["inputs"][role]["path"] == path
        assert record["inputs"][role]["shape"] == list(SHAPE)
        assert record["inputs"][role]["voxel_size"] == pytest.approx([1.5, 1.5, 1.5])


def test_record_summary_is_that_of_the_values_inside_the_mask(record, outcome):
    mask = outcome.result.mask.data > 0.5
    values = outcome.result.resolution.data[mask & np.isfinite(outcome.result.resolution.data)].astype(np.float64)
    summary = record["summary"]
    assert summary["n"] == values.size
    assert summary["undetermined_fraction"] == pytest.approx(1 - values.size / mask.sum())
    for name, percent in (("min", 0), ("p5", 5), ("p25", 25), ("median", 50), ("p75", 75), ("p95", 95), ("max", 100)):
        assert summary[name] == pytest.approx(np.percentile(values, percent))
    assert summary["global_resolution"] == 3.3 and summary["bad"] is None


def test_record_lists_the_files_beside_it(record, folder):
    assert set(record["files"]) == {path.name for path in folder.iterdir()} - {"report.json"}


def test_plain_gives_strict_json():
    odd = {
        "a": np.float32(1.5),
        2: (np.int64(3), np.nan),
        "c": np.array([[1.0, np.inf]]),
        "d": np.bool_(True),
        "e": SCHEMA,
    }
    assert plain(odd) == {"a": 1.5, "2": [3, None], "c": [[1.0, None]], "d": True, "e": str(SCHEMA)}
    with pytest.raises(ValueError):
        json_text({"a": float("nan")})


# --- report.html --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects what a page would load, its text, and its scripts."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.words, self.scripts, self.headings, self._inside = [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        self.loads += [
            (tag, value) for name, value in attributes if name in ("src", "href", "data", "srcset", "poster")
        ]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, text):
        if self._inside == "script":
            self.scripts.append(text)
        elif self._inside != "style":
            self.words.append(text)
            if self._inside == "h2":
                self.headings.append(text)


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_page_loads_nothing_from_anywhere(folder, page):
    text = (folder / "report.html").read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    assert page.loads == []
    assert "url(" not in style and "@import" not in style
    assert len(text) < 8_000_000


def test_page_never_offers_to_upload_the_figures(page):
    calls = [script for script in page.scripts if "Plotly.newPlot('figure-" in script]
    assert len(calls) == 3 and all("sendChartToCloud" in call for call in calls)


def test_page_says_what_a_reader_needs(page, outcome, record):
    text = " ".join(page.words)
    for wanted in (
        f"{record['summary']['median']:.2f} Å",
        "3.30 Å",
        f"{100 * record['summary']['undetermined_fraction']:.1f} % of the mask",
        "The test <criterion>.",
        "These maps & masks look sharpened.",
        "--significance",
        "12 voxels",
        record["inputs"]["half1"]["sha256"],
        record["citations"][0]["text"],
        "resolution <in> Å",
        "one of each",
        "open it in ChimeraX",
    ):
        assert wanted in text, wanted
    assert "not written this time" not in text
    assert page.headings == [
        "Before you trust this",
        "Surface",
        "Histogram",
        "Slices",
        "Files",
        "Parameters",
        "Inputs",
        "Numbers",
        "Run",
        "Please cite",
    ]


def test_page_figures_have_the_limits_and_values_of_the_result(outcome, halves):
    result, density = outcome.result, halves.mean()
    scale = colour_scale(result.values())
    (bars,) = html_local.histogram_section(result, scale, 3.3).figure.data
    assert np.array_equal(bars.y, views.histogram(result.values()).counts)
    assert (bars.marker.cmin, bars.marker.cmax) == (scale.low, scale.high)

    inside = result.mask.data > 0.5
    found = views.surface(density, views.filled_outwards(result.resolution), inside, 0.4)
    (mesh,) = html_local.surface_section(found, scale, 0.4).figure.data
    assert (mesh.cmin, mesh.cmax) == (scale.low, scale.high)
    assert [colour for _, colour in mesh.colorscale] == list(scale.colours)
    assert list(mesh.colorbar.ticktext) == scale.labels
    assert np.allclose(np.column_stack([mesh.x, mesh.y, mesh.z]), found.vertices, atol=0.006)
    assert np.allclose(mesh.intensity, found.values, atol=0.006)
    assert mesh.intensity.min() >= 2.99


def test_the_largest_page_of_a_large_map_is_small_enough_for_a_browser():
    """Of 256^3 voxels whose values repeat nowhere, with as many triangles as a surface may have."""
    grid, random = Grid.regular((256, 256, 256), 1.0), np.random.default_rng(0)
    everywhere = Volume(np.ones(grid.shape, dtype=np.float32), grid)
    result = LocalResolution(Volume(random.uniform(3, 9, grid.shape).astype(np.float32), grid), everywhere, "random")
    count, scale = views.SURFACE_TRIANGLES, colour_scale(np.array([3.0, 9.0]))
    corners = random.integers(0, count // 2, (count, 3)).astype(np.int32)
    mesh = views.Surface(random.uniform(0, 256, (count // 2, 3)), corners, random.uniform(3, 9, count // 2))
    sections = [
        html_local.surface_section(mesh, scale, 0.1),
        html_local.slices_section(result, result.resolution, scale),
    ]
    drawn = sum(len(section.figure.to_json()) for section in sections)
    script = len(gzip.decompress(html.plotly_script()))
    assert 1e6 < script < drawn + script < 15e6


def test_page_slices_are_the_planes_of_the_map(outcome, halves):
    result = outcome.result
    scale = colour_scale(result.values())
    figure = html_local.slices_section(result, halves.mean(), scale).figure
    box = block_around(result.mask.data > 0.5)
    planes = views.row_of_planes(box, html_figures.PAGE_SLICES)
    shown = np.where(result.mask.data > 0.5, result.resolution.data, np.nan)
    assert len(figure.data) == 2 * len(planes)
    for plane, trace in zip(planes, figure.data[1::2]):
        assert np.allclose(trace.z, shown[plane.index, box[1], box[2]], atol=0.006, equal_nan=True)
        assert (trace.zmin, trace.zmax) == (scale.low, scale.high)
        assert np.allclose(trace.x, 2.0 + 1.5 * np.arange(*box[2].indices(SHAPE[2])))
        assert np.allclose(trace.y, -3.0 + 1.5 * np.arange(*box[1].indices(SHAPE[1])))
    (slider,) = figure.layout.sliders
    first, size = halves.grid.first_voxel[0], halves.grid.voxel_size[0]
    assert [step.label for step in slider.steps] == [f"z = {first + size * plane.index:.1f} Å" for plane in planes]
    for number, step in enumerate(slider.steps):
        assert [n for n, seen in enumerate(step.args[0]["visible"]) if seen] == [2 * number, 2 * number + 1]


# --- other results ------------------------------------------------------------------------------------------------


def test_nothing_determined_is_reported_in_words(outcome, sources, tmp_path):
    nothing = outcome.result.resolution.like(np.full(SHAPE, np.nan))
    empty = LocalResolution(nothing, outcome.result.mask, "the test criterion")
    write_report(Outcome(method(), outcome.inputs, Parameters(), empty, [], False, Execution()), tmp_path, sources)
    text = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    assert "No voxel inside the mask has a value." in text and "100.0 % of the mask" in text
    record = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert record["summary"]["undetermined_fraction"] == 1.0


def test_fsc_report(halves, sources, tmp_path):
    done = FSC.run(Inputs(halves), FSC.make_parameters({}), Execution(threads=1))
    write_report(done, tmp_path, sources)
    record = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert record["summary"]["resolution"]["0.143"] == pytest.approx(done.result.resolution["0.143"])
    assert "warnings" not in record["summary"]
    assert record["warnings"] == done.findings + done.result.details["warnings"]
    assert (tmp_path / "fsc.star").read_text() == done.result.tables()["fsc.star"]
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.headings[0 if not record["warnings"] else 1] == "Fourier shell correlation"
    figure = html_fsc.fsc_section(done.result).figure
    assert np.allclose(figure.data[0].y, done.result.unmasked) and figure.data[0].name == "unmasked"
    marks = {note.text: note.x for note in figure.layout.annotations}
    value = done.result.resolution["0.5"]
    assert marks[f"{value:.2f} Å at 0.5"] == pytest.approx(1.0 / value)
    assert (tmp_path / "fsc.png").stat().st_size > 0 and not (tmp_path / "view.cxc").exists()


def test_a_result_without_pictures_is_written_all_the_same(outcome, sources, tmp_path):
    class Table(Result):
        criterion = "a table"

        def tables(self):
            return {"rows.csv": "a,b\n1,2\n"}

        def summary(self):
            return {"rows": 1}

    done = Outcome(method(), outcome.inputs, Parameters(), Table(), [], False, Execution())
    write_report(done, tmp_path, sources)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json", "rows.csv"]
    assert re.search("Plotly", (tmp_path / "report.html").read_text(encoding="utf-8")) is None
