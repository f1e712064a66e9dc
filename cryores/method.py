"""How a method declares itself, and how it runs: check, plan, compute.

A method is one file in ``resolution/`` or ``postprocessing/`` that holds a frozen dataclass of parameters, a
function that computes on arrays, and one `Method` record named ``METHOD``. The command line, the Scipion form, the
tables of the documentation, the contract tests and the benchmark are all made from that record.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, get_type_hints

import numpy as np

from cryores.blocks import is_mapped
from cryores.errors import CryoresWarning, UsageError
from cryores.execution import Execution
from cryores.localres_maps import ResolutionMap
from cryores.volume import Grid, HalfMaps, Maps, Volume

ROOMS = ("resolution", "postprocessing")

RUNNING_BYTES = 0.22e9
"""What a process holds of Python, libraries and compiled loops before there is any map."""

REPORTING_BYTES, REPORTING_VOLUMES = 0.05e9, 3.0
"""What the libraries of a report's pictures take, and what its FSC and its pictures hold beside inputs and results."""

MADE_WHEN_WRITTEN = ("masked.mrc", "difference.mrc")
"""What of a processed map no result holds."""


# --- parameters ---------------------------------------------------------------------------------------------------


def parameter(
    default: Any,
    help: str,
    unit: str = "",
    minimum: Optional[float] = None,
    maximum: Optional[float] = None,
    choices: Sequence[str] = (),
    expert: bool = False,
) -> Any:
    """Declare a field of a parameter dataclass: its default, one sentence of help, unit, range and level.

    ``minimum`` and ``maximum`` are allowed values. A field of type ``Optional[...]`` with default None is one that
    the method chooses by itself; ``help`` says how.
    """
    metadata = {"help": help, "unit": unit, "choices": tuple(choices), "expert": expert}
    metadata.update(minimum=minimum, maximum=maximum)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Parameter:
    """What is declared of one parameter: the Python name, its type, default, help, unit, range and level."""

    name: str
    type: type
    repeated: bool
    default: Any
    help: str
    unit: str
    minimum: Optional[float]
    maximum: Optional[float]
    choices: Tuple[str, ...]
    expert: bool

    @property
    def option(self) -> str:
        """Its spelling at the command line."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise `UsageError` unless ``value`` is None, or a valid value, or (if repeated) a tuple of valid values."""
        if value is None and self.default is None:
            return
        if self.repeated and not isinstance(value, (tuple, list)):
            raise self._bad(f"{value!r} is not a tuple of several values")
        for one in value if self.repeated else (value,):
            self._check_one(one)

    def _check_one(self, value: Any) -> None:
        if self.type in (int, float) and (
            isinstance(value, bool)
            or not isinstance(value, (int, float, np.integer, np.floating))
            or not np.isfinite(value)
            or (self.type is int and int(value) != value)
        ):
            raise self._bad(f"{value!r} is not {'a whole' if self.type is int else 'a finite'} number")
        if self.type is bool and not isinstance(value, (bool, np.bool_)):
            raise self._bad(f"{value!r} is neither true nor false")
        if self.type is str and not isinstance(value, str):
            raise self._bad(f"{value!r} is not text")
        if self.choices and value not in self.choices:
            raise self._bad(f"{value!r} is not one of {', '.join(self.choices)}")
        if self.minimum is not None and value < self.minimum:
            raise self._bad(f"{value:g} is below {self.minimum:g}")
        if self.maximum is not None and value > self.maximum:
            raise self._bad(f"{value:g} is above {self.maximum:g}")

    def _bad(self, what: str) -> UsageError:
        unit = f" {self.unit}" if self.unit else ""
        low = f"{self.minimum:g}" if self.minimum is not None else ""
        high = f"{self.maximum:g}" if self.maximum is not None else ""
        allowed = f", {low}..{high}{unit}" if low or high else ""
        return UsageError("E_PARAMETER", f"{self.option}: {what}", f"{self.help}{allowed} (default {self.default})")


def parameters_of(declaration: type) -> List[Parameter]:
    """List what a parameter dataclass declares, in order."""
    hints = get_type_hints(declaration)
    found = []
    for item in dataclasses.fields(declaration):
        kinds = getattr(hints[item.name], "__args__", (hints[item.name],))
        kind = next(k for k in kinds if k is not type(None) and k is not Ellipsis)
        repeated = getattr(hints[item.name], "__origin__", None) is tuple
        found.append(Parameter(item.name, kind, repeated, item.default, **item.metadata))
    return found


def make_parameters(declaration: type, values: Mapping[str, Any]) -> Any:
    """Build the parameter dataclass from ``values``, checking every name and value.

    Raises
    ------
    UsageError
        For an unknown name, or a value of the wrong type or out of its range.
    """
    declared = {p.name: p for p in parameters_of(declaration)}
    for name, value in values.items():
        if name not in declared:
            raise UsageError("E_PARAMETER", f"unknown parameter {name!r}", f"known: {', '.join(declared)}")
        declared[name].check(value)
    return declaration(**values)


# --- inputs and results -------------------------------------------------------------------------------------------


VOLUME_ROLES = (
    "mask", "exclude", "keep", "reference", "resolution_map", "before", "raw_half1", "raw_half2", "processed_half1",
)  # fmt: skip
"""Fields of `Inputs` that are volumes on the grid of the maps."""


def in_words(role: str) -> str:
    """Return what messages call the volume that `Inputs.beside_the_maps` calls ``role``."""
    if role not in VOLUME_ROLES:
        return role
    return "map before" if role == "before" else role.replace("_", " ")


SEVERAL_ROLES = {"resolution_maps": "resolution map", "sharpened_maps": "sharpened map"}
"""Fields of `Inputs` that are any number of volumes by name, and what messages call one of them."""


def several_role(role: str, name: str) -> str:
    """Return what messages and the report call the map ``name`` of the field ``role`` of `Inputs`."""
    return f"{SEVERAL_ROLES[role]} {name}"


@dataclass(frozen=True)
class Inputs:
    """What a method may be given; a method declares which of these it takes.

    ``mask`` is a Volume (voxels above 0.5 are analysed, unless the method documents a soft mask); ``exclude`` marks
    voxels that belong to neither signal nor noise; ``keep`` marks those that a post-processing leaves as they are;
    ``model`` is the path of an atomic model. ``resolution_map`` has NaN where it has no value; ``resolution_maps`` are
    several of any program, by name; ``sharpened_maps`` are several processed maps, by name. ``before``,
    ``raw_half1`` and ``raw_half2`` are what a processed map was made from, ``processed_half1`` is what the same
    processing makes of ``raw_half1`` alone.
    """

    maps: Maps
    mask: Optional[Volume] = None
    exclude: Optional[Volume] = None
    keep: Optional[Volume] = None
    model: Optional[str] = None
    reference: Optional[Volume] = None
    resolution_map: Optional[Volume] = None
    resolution_maps: Optional[Mapping[str, ResolutionMap]] = None
    sharpened_maps: Optional[Mapping[str, Volume]] = None
    before: Optional[Volume] = None
    raw_half1: Optional[Volume] = None
    raw_half2: Optional[Volume] = None
    processed_half1: Optional[Volume] = None

    def beside_the_maps(self) -> Dict[str, Volume]:
        """Return every other volume that is given, by what messages and the report call it."""
        found = {role: getattr(self, role) for role in VOLUME_ROLES if getattr(self, role) is not None}
        for name, item in (self.resolution_maps or {}).items():
            found[several_role("resolution_maps", name)] = item.resolution
        for name, volume in (self.sharpened_maps or {}).items():
            found[several_role("sharpened_maps", name)] = volume
        return found

    @property
    def held_bytes(self) -> float:
        """The bytes that all volumes take in memory; those that lie in mapped files take none."""
        maps = [self.maps.half1, self.maps.half2] if isinstance(self.maps, HalfMaps) else [self.maps]
        volumes = [*maps, *self.beside_the_maps().values()]
        return float(sum(volume.data.nbytes for volume in volumes if not is_mapped(volume.data)))

    @property
    def grid(self) -> Grid:
        """The grid of the input, on which outputs are written."""
        return self.maps.grid


class Result:
    """What every result of a method can do; the report is written from these four."""

    criterion: str
    """One sentence: what a value means, with threshold and window."""

    def volumes(self) -> Dict[str, Volume]:
        """Return the maps to write, keyed by file name without extension; NaN becomes 0 on disk."""
        return {}

    def tables(self) -> Dict[str, str]:
        """Return the text files to write, keyed by file name."""
        return {}

    def summary(self) -> Dict[str, Any]:
        """Return the numbers that describe the result in a few lines, for the report."""
        raise NotImplementedError


class LocalMap(Result):
    """What a result can do that has one number for every voxel of a mask."""

    quantity = "Local resolution"
    """What the number is, in words."""

    unit = "Å"
    """Its unit; empty for a pure number."""

    mask: Volume
    details: Dict[str, Any]

    @property
    def local(self) -> Volume:
        """The map of the number; NaN outside the mask and where nothing can be said."""
        raise NotImplementedError

    def values(self) -> Any:
        """Return the determined values inside the mask as a 1D float32 array."""
        return self.local.data[(self.mask.data > 0.5) & np.isfinite(self.local.data)]

    def summary(self) -> Dict[str, Any]:
        """Return n, quantiles and extremes inside the mask, their unit, the undetermined share, and the details."""
        asked = int(np.count_nonzero(self.mask.data > 0.5))
        return {**statistics(self.values(), asked), "unit": self.unit, **self.details}


@dataclass(frozen=True)
class LocalResolution(LocalMap):
    """A local-resolution map.

    Parameters
    ----------
    resolution : Volume
        Local resolution in Å; NaN outside the mask and where nothing can be said.
    mask : Volume
        1 where the resolution was asked for, 0 elsewhere.
    criterion : str
        What a value means, with threshold and window.
    details : dict
        Resolved choices and diagnostics that the report keeps (frequencies, box, ...).
    extra : dict of Volume
        Further maps of the method, keyed by file name without extension.
    """

    resolution: Volume
    mask: Volume
    criterion: str
    details: Dict[str, Any] = field(default_factory=dict)
    extra: Dict[str, Volume] = field(default_factory=dict)

    def volumes(self) -> Dict[str, Volume]:
        """Return ``resolution`` and the extra maps."""
        return {"resolution": self.resolution, **self.extra}

    @property
    def local(self) -> Volume:
        """The resolution in Å."""
        return self.resolution


def statistics(values: Any, asked: int) -> Dict[str, Any]:
    """Return n, the share of ``asked`` voxels without a value, and extremes and quantiles where there are values."""
    numbers: Dict[str, Any] = {
        "n": int(values.size),
        "undetermined_fraction": 1.0 - values.size / asked if asked else 1.0,
    }
    if values.size:
        names = ("min", "p5", "p25", "median", "p75", "p95", "max")
        # Not in float64: the values of a tomogram are gigabytes, and these are copied once more.
        percentiles = np.percentile(values, (0, 5, 25, 50, 75, 95, 100))
        numbers.update(zip(names, map(float, percentiles)))
    return numbers


# --- methods ------------------------------------------------------------------------------------------------------

HALVES = "halves"
MAP = "map"


@dataclass(frozen=True)
class Method:
    """The declaration of a method.

    Parameters
    ----------
    name : str
        Its name at the command line, also the module's with ``-`` for ``_``.
    title : str
        Its name in prose.
    summary : str
        One sentence: what it computes.
    maps : tuple of str
        Which of ``halves`` and ``map`` it can start from, the preferred one first.
    parameters : type
        The frozen dataclass of its parameters.
    compute : callable
        ``compute(inputs, parameters, execution) -> Result``. It gets checked inputs, and a mask where ``mask`` is
        ``"made"``.
    memory : callable
        ``memory(inputs, parameters, threads) -> float``: bytes held at the peak beyond the inputs.
    outputs : dict
        File name -> what it holds.
    citations : tuple of str
        Keys of `cryores.citations`.
    optional, required : tuple of str
        Further fields of `Inputs` that it takes.
    mask : str
        ``"made"``: a mask is made when none is given (with a soft edge where ``soft_mask``); ``"used"``: used when
        given; ``"none"``: takes no mask.
    soft_mask : bool
        True where the mask multiplies the maps, False where it selects voxels above 0.5.
    needs_noise : bool
        True where masked, sharpened or noise-free single maps mislead it.
    margin : int
        Voxels that the method wants free between the mask and every face of the box.
    check : callable
        ``check(inputs, parameters) -> list of str``: the method's own warnings; raises for what cannot work.
    memory_within : callable, optional
        ``memory_within(inputs, parameters, threads, budget) -> float``: for a method that has ways of less memory, the
        bytes of the one it will take with a budget of so many bytes.
    gpu_memory : callable, optional
        ``gpu_memory(inputs, parameters) -> float``, for a method that keeps its arrays where `Execution.backend` puts
        them: bytes held at the peak on a GPU.
    network : callable
        ``network(parameters) -> bool``: whether TensorFlow computes, on the device that the execution names.
    """

    name: str
    title: str
    summary: str
    maps: Tuple[str, ...]
    parameters: type
    compute: Callable[[Inputs, Any, Execution], Any]
    memory: Callable[[Inputs, Any, int], float]
    outputs: Mapping[str, str]
    citations: Tuple[str, ...]
    optional: Tuple[str, ...] = ()
    required: Tuple[str, ...] = ()
    mask: str = "made"
    soft_mask: bool = False
    needs_noise: bool = True
    margin: int = 1
    check: Callable[[Inputs, Any], List[str]] = lambda inputs, parameters: []
    memory_within: Optional[Callable[[Inputs, Any, int, float], float]] = None
    gpu_memory: Optional[Callable[[Inputs, Any], float]] = None
    network: Callable[[Any], bool] = lambda parameters: False

    def make_parameters(self, values: Mapping[str, Any]) -> Any:
        """Build and check this method's parameters."""
        return make_parameters(self.parameters, values)

    def run(self, inputs: Inputs, parameters: Any, execution: Optional[Execution] = None) -> Outcome:
        """Check the inputs, plan the memory, make the mask if there is none, and compute.

        Raises
        ------
        CryoresError
            For what cannot be analysed, before any work is done.
        """
        execution = execution or Execution()
        with execution.at_work():
            return self._run(inputs, parameters, execution)

    def _run(self, inputs: Inputs, parameters: Any, execution: Execution) -> Outcome:
        from cryores.diagnosis import check_inputs, suspicions
        from cryores.masks import SOFT_EDGE, automatic_mask, soft_edge

        with execution.stage("checking the input"):
            check_inputs(inputs, self)
            findings = suspicions(inputs, self, parameters) + self.check(inputs, parameters)
        execution.held_bytes = RUNNING_BYTES + inputs.held_bytes
        execution.require_memory(self.needed(inputs, parameters, execution.threads, execution.budget))
        if self.gpu_memory is not None:
            execution.use_device(self.gpu_memory(inputs, parameters))
        elif execution.device != "cpu" and not self.network(parameters):
            findings.append(f"{self.title} has no GPU version: it ran on the processors")
        made = self.mask == "made" and inputs.mask is None
        if made:
            with execution.stage("making a mask"):
                mask = automatic_mask(inputs.maps)
                edge = SOFT_EDGE * inputs.grid.spacing
                inputs = dataclasses.replace(inputs, mask=soft_edge(mask, edge) if self.soft_mask else mask)
        with execution.within_memory():
            result = self.compute(inputs, parameters, execution)
        return Outcome(self, inputs, parameters, result, findings, made, execution)

    def plan(self, inputs: Inputs, parameters: Any, threads: int, budget: float = math.inf) -> float:
        """Return the bytes that `run` holds at the peak beyond the inputs, in the way that a budget allows.

        They are those of the computation, or of the checks and the mask that come before it.
        """
        from cryores.diagnosis import checking_bytes
        from cryores.masks import making_bytes

        needed = [self.memory(inputs, parameters, threads)]
        if self.memory_within is not None:
            needed = [self.memory_within(inputs, parameters, threads, budget)]
        if self.needs_noise:
            needed.append(checking_bytes(inputs.maps))
        if self.mask == "made" and inputs.mask is None:
            needed.append(making_bytes(inputs.maps))
        return max(needed)

    def needed(self, inputs: Inputs, parameters: Any, threads: int, budget: float = math.inf) -> float:
        """Return the bytes beyond the inputs that a run and then its report take at the peak.

        A method that goes on with less memory is not refused for its report: of that the plan is silent.
        """
        running = self.plan(inputs, parameters, threads, budget)
        if self.memory_within is not None:
            return running
        results = sum(name.endswith(".mrc") and name not in MADE_WHEN_WRITTEN for name in self.outputs)
        return max(running, REPORTING_BYTES + 4.0 * inputs.grid.size * (results + REPORTING_VOLUMES))

    def result(self, inputs: Inputs, execution: Optional[Execution], values: Mapping[str, Any]) -> Any:
        """Run from Python: what is suspicious is issued as `CryoresWarning`, and the result returned."""
        outcome = self.run(inputs, self.make_parameters(values), execution)
        for finding in outcome.findings:
            warnings.warn(finding, CryoresWarning, stacklevel=3)
        return outcome.result


@dataclass(frozen=True)
class Outcome:
    """A finished run: everything that the report tells."""

    method: Method
    inputs: Inputs
    parameters: Any
    result: Any
    findings: List[str]
    mask_was_made: bool
    execution: Execution

    @cached_property
    def summary(self) -> Dict[str, Any]:
        """The numbers that describe the result; computed once, for a tomogram has many values."""
        numbers: Dict[str, Any] = self.result.summary()
        return numbers


# --- registry -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def method_summaries() -> Dict[str, str]:
    """Return the name and the one-line summary of every method, without importing any of them.

    A method is a file of ``resolution/`` or ``postprocessing/`` that assigns ``METHOD``; its summary is the first
    line of its docstring.
    """
    found = {}
    for room in ROOMS:
        for path in sorted((Path(__file__).parent / room).glob("[a-z]*.py")):
            # Taking them apart as Python would take longer than all else that a help does.
            source = path.read_text(encoding="utf-8")
            if re.search("^METHOD = ", source, re.MULTILINE):
                found[path.stem.replace("_", "-")] = re.split('"""|\n', source)[1]
    return found


def load_method(name: str) -> Method:
    """Import and return the method called ``name``.

    Raises
    ------
    UsageError
        If there is none.
    """
    stem = name.replace("-", "_")
    for room in ROOMS:
        if (Path(__file__).parent / room / f"{stem}.py").exists():
            method = importlib.import_module(f"cryores.{room}.{stem}").METHOD
            assert isinstance(method, Method)
            return method
    raise UsageError("E_METHOD", f"there is no method {name!r}", f"choose one of {', '.join(method_summaries())}")
