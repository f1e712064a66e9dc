"""Values that the global FSC of the same half maps rules out are told once, in Python and at the command line."""

import dataclasses
import json
import warnings

import numpy as np
import pytest

from cryores import resolution
from cryores.cli import main
from cryores.contradictions import FINER_THAN_GLOBAL, contradictions, may_contradict
from cryores.errors import CryoresWarning
from cryores.execution import GIGABYTE, Execution
from cryores.fourier import filtered
from cryores.global_resolution import resolution_of_whole_boxes
from cryores.mapio import write_map
from cryores.masks import sphere
from cryores.method import Inputs, load_method
from cryores.volume import Grid, HalfMaps, Volume

SENTENCE = "a quarter of the values are finer than"


@pytest.fixture(scope="module")
def inputs():
    """A texture of much signal that ends sharply at 10 Å, which small boxes let reach into the next of their shells."""
    grid, rng = Grid.regular((48, 48, 48), 2.0), np.random.default_rng(4)
    ball = sphere(grid, 30.0, 6.0).data
    texture = filtered(ball * rng.standard_normal(grid.shape).astype(np.float32), lambda s: s < 0.1, grid, 1)
    spread = np.float32(0.02 * texture.std())
    one, two = (texture + spread * rng.standard_normal(grid.shape).astype(np.float32) for _ in "12")
    return Inputs(HalfMaps(Volume(one, grid), Volume(two, grid)), mask=sphere(grid, 28.0))


@pytest.fixture(scope="module")
def outcome(inputs):
    return load_method("blocres").run(inputs, load_method("blocres").make_parameters({}))


@pytest.fixture(scope="module")
def report_of(inputs, tmp_path_factory):
    """Run a method at the command line; return its report."""
    folder = tmp_path_factory.mktemp("maps")
    for name, volume in (("half1", inputs.maps.half1), ("half2", inputs.maps.half2), ("mask", inputs.mask)):
        write_map(folder / f"{name}.mrc", volume)
    given = [f"--{name}={folder / name}.mrc" for name in ("half1", "half2", "mask")]

    def run(name):
        assert main([name, *given, f"--out={folder / name}", "--quiet"]) == 0
        return json.loads((folder / name / "report.json").read_text())

    return run


def issued(function, inputs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(inputs.maps, inputs.mask)
    return [str(one.message) for one in caught if one.category is CryoresWarning and SENTENCE in str(one.message)]


def test_the_sentence_holds_both_numbers(outcome, inputs):
    (told,) = contradictions(outcome)
    with pytest.warns(CryoresWarning, match="soft edge"):
        overall = resolution.fsc(inputs.maps, inputs.mask).resolution["0.143"]
    quartile = float(np.percentile(outcome.result.values(), 25))
    assert outcome.global_resolution == overall and quartile < FINER_THAN_GLOBAL * overall
    assert told == (
        f"a quarter of the values are finer than {quartile:.2f} Å, and the FSC of the half maps under the same mask "
        f"ends at {overall:.2f} Å; the method reads this map too fine: compare with another one, and trust the order "
        "of the values only"
    )


def test_a_function_and_a_command_tell_it_once_and_alike(outcome, inputs, report_of, capsys):
    (told,) = contradictions(outcome)
    assert issued(resolution.blocres, inputs) == [told]
    report = report_of("blocres")
    assert report["warnings"].count(told) == 1
    assert capsys.readouterr().err.count(f"warning: {told}\n") == 1
    assert report["summary"]["global_resolution"] == outcome.global_resolution
    assert "global resolution" in report["timings"]
    assert "global resolution of the whole boxes" not in report["timings"]


def test_values_that_can_be_right_are_not_told_of(inputs, report_of):
    assert issued(resolution.monores, inputs) == []
    report = report_of("monores")
    assert not any(SENTENCE in warning for warning in report["warnings"])
    assert report["summary"]["p25"] > report["summary"]["global_resolution"]


def test_the_fsc_under_the_mask_is_measured_only_where_that_of_the_whole_boxes_contradicts(inputs):
    method = load_method("monores")
    kept = method.run(inputs, method.make_parameters({}))
    assert not may_contradict(kept)
    assert "global resolution of the whole boxes" in kept.execution.timings
    assert "global resolution" not in kept.execution.timings
    assert kept.summary["p25"] >= FINER_THAN_GLOBAL * resolution_of_whole_boxes(kept)
    assert contradictions(kept) == []


def test_one_map_has_no_halves_to_contradict(inputs):
    method = load_method("resmap")
    outcome = method.run(Inputs(inputs.maps.half1, mask=inputs.mask), method.make_parameters({}))
    assert outcome.global_resolution is None and contradictions(outcome) == []


def test_a_processed_map_has_no_local_values_to_contradict(inputs):
    method = load_method("postprocess")
    assert not may_contradict(method.run(inputs, method.make_parameters({"bfactor": -50.0})))


@pytest.mark.parametrize("name", ["fsc", "postprocess", "autosharpen"])
def test_what_a_method_has_measured_is_not_measured_again(report_of, name):
    report = report_of(name)
    summary = report["summary"]
    told = summary["resolution_used"] if name == "autosharpen" else summary["resolution"]["0.143"]
    assert summary["global_resolution"] == told
    assert "global resolution" not in report["timings"]


def test_what_does_not_fit_into_the_memory_is_left_out(outcome):
    poor = Execution(memory=outcome.execution.held_bytes / GIGABYTE)
    poor.held_bytes = outcome.execution.held_bytes
    tight = dataclasses.replace(outcome, execution=poor)
    assert tight.global_resolution is None and contradictions(tight) == []
