"""How a method declares itself: what of a value is checked, and what of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np
import pytest

from cryores.errors import CryoresWarning, InputError, MemoryBudgetError, UsageError
from cryores.execution import Execution
from cryores.method import (
    HALVES,
    MAP,
    Inputs,
    LocalResolution,
    Method,
    load_method,
    make_parameters,
    method_summaries,
    parameter,
    parameters_of,
)
from cryores.volume import Grid, HalfMaps, Volume


@dataclass(frozen=True)
class Declared:
    """Every kind of parameter."""

    min_resolution: Optional[float] = parameter(None, "Finest.", unit="Å", minimum=0.1, maximum=99.0)
    count: int = parameter(3, "How many.", minimum=1)
    kind: str = parameter("plain", "Which.", choices=("plain", "fancy"))
    smooth: bool = parameter(True, "Whether.", expert=True)
    cutoff: Tuple[float, ...] = parameter((0.5,), "Thresholds.", minimum=0.0, maximum=1.0)


def test_a_declaration_is_read_as_it_was_written():
    found = {p.name: p for p in parameters_of(Declared)}
    assert list(found) == ["min_resolution", "count", "kind", "smooth", "cutoff"]
    assert [p.type for p in found.values()] == [float, int, str, bool, float]
    assert [p.repeated for p in found.values()] == [False, False, False, False, True]
    assert found["min_resolution"].option == "--min-resolution" and found["min_resolution"].unit == "Å"
    assert found["min_resolution"].default is None and found["smooth"].expert and not found["count"].expert
    assert found["kind"].choices == ("plain", "fancy")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"min_resolution": 3},
        {"min_resolution": np.float32(2.5)},
        {"min_resolution": None, "count": np.int64(4)},
        {"min_resolution": 0.1},
        {"min_resolution": 99.0},
        {"count": 2.0},
        {"smooth": np.bool_(False)},
        {"cutoff": (0.143, 0.5, 1.0)},
        {"kind": "fancy"},
    ],
)
def test_good_values_are_taken(values):
    made = make_parameters(Declared, values)
    assert all(getattr(made, name) == value for name, value in values.items())


@pytest.mark.parametrize(
    "values, words",
    [
        ({"nonsense": 1}, "unknown parameter 'nonsense'"),
        ({"min_resolution": 0.05}, "--min-resolution: 0.05 is below 0.1"),
        ({"min_resolution": 100}, "is above 99"),
        ({"min_resolution": float("nan")}, "not a finite number"),
        ({"min_resolution": float("inf")}, "not a finite number"),
        ({"min_resolution": "3"}, "not a finite number"),
        ({"min_resolution": True}, "not a finite number"),
        ({"count": 2.5}, "not a whole number"),
        ({"count": 0}, "--count: 0 is below 1"),
        ({"kind": "odd"}, "'odd' is not one of plain, fancy"),
        ({"kind": 3}, "not text"),
        ({"smooth": 1}, "neither true nor false"),
        ({"cutoff": (0.5, 1.5)}, "1.5 is above 1"),
        ({"cutoff": 0.5}, "several values"),
    ],
)
def test_bad_values_are_told_with_what_is_allowed(values, words):
    with pytest.raises(UsageError, match=words) as raised:
        make_parameters(Declared, values)
    assert raised.value.code == "E_PARAMETER" and raised.value.exit_status == 2 and raised.value.hint


# --- a run --------------------------------------------------------------------------------------------------------


def compute(inputs, parameters, execution):
    shape, grid = inputs.grid.shape, inputs.grid
    values = np.where(inputs.mask.data > 0.5, 4.0, np.nan)
    values[tuple(n // 2 for n in shape)] = np.nan
    return LocalResolution(Volume(values, grid), inputs.mask, "a value", {"seed": 7})


def method(**changes):
    usual = {
        "name": "trial", "title": "Trial", "maps": (HALVES, MAP), "parameters": Declared,
        "compute": compute, "memory": lambda inputs, parameters, threads: 1e6, "outputs": {}, "citations": (),
        "needs_noise": False,
    }  # fmt: skip
    return Method(**{**usual, **changes})


@pytest.fixture(scope="module")
def maps():
    grid = Grid.regular((32, 32, 32), 2.0)
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    ball = (z * z + y * y + x * x < 64).astype(np.float32)
    rng = np.random.default_rng(0)
    one, two = (Volume(ball + 0.1 * rng.standard_normal(grid.shape).astype(np.float32), grid) for _ in "12")
    return HalfMaps(one, two), Volume(ball, grid)


def test_a_mask_is_made_where_none_is_given_and_soft_where_it_multiplies(maps):
    halves, ball = maps
    parameters = method().make_parameters({})
    made = method().run(Inputs(halves), parameters)
    assert made.mask_was_made and set(np.unique(made.inputs.mask.data)) == {0.0, 1.0}
    soft = method(soft_mask=True).run(Inputs(halves), parameters).inputs.mask.data
    assert np.any((soft > 0.01) & (soft < 0.99)) and np.all(soft[made.inputs.mask.data > 0.5] == 1)
    given = method().run(Inputs(halves, mask=ball), parameters)
    assert not given.mask_was_made and given.inputs.mask is ball
    assert set(given.execution.timings) == {"checking the input"}


def test_a_summary_counts_what_is_undetermined(maps):
    halves, ball = maps
    summary = method().run(Inputs(halves, mask=ball), method().make_parameters({})).result.summary()
    asked = int(ball.data.sum())
    assert summary["n"] == asked - 1 and summary["undetermined_fraction"] == pytest.approx(1 / asked)
    assert summary["median"] == summary["min"] == summary["max"] == 4.0 and summary["seed"] == 7


def test_too_little_memory_is_refused_before_the_work(maps):
    def never(inputs, parameters, execution):
        raise AssertionError("computed all the same")

    greedy = method(memory=lambda inputs, parameters, threads: 2.0**31, compute=never)
    with pytest.raises(MemoryBudgetError) as raised:
        greedy.run(Inputs(maps[0]), Declared(), Execution(memory=1.0))
    assert raised.value.exit_status == 4


def test_from_python_what_is_suspicious_is_a_warning(maps):
    doubtful = method(check=lambda inputs, parameters: ["this is odd"])
    with pytest.warns(CryoresWarning, match="this is odd"):
        result = doubtful.result(Inputs(maps[0], mask=maps[1]), None, {"count": 2})
    assert isinstance(result, LocalResolution)


def test_every_method_is_found_by_its_name_and_no_other():
    summaries = method_summaries()
    assert {"fsc", "monores", "blocres"} <= set(summaries) and all(summaries.values())
    assert load_method("monores").name == "monores"
    with pytest.raises(UsageError, match="there is no method 'nonsense'"):
        load_method("nonsense")


def test_errors_know_their_exit_status():
    assert str(InputError("E_X", "is wrong", "do this")) == "E_X: is wrong; hint: do this"
    assert [e("E", "m", "h").exit_status for e in (UsageError, InputError, MemoryBudgetError)] == [2, 3, 4]
