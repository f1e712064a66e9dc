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
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from cryores.errors import CryoresWarning, UsageError
from cryores.execution import Execution, network_addresses
from cryores.inputs import HALVES, MAP, SEVERAL_ROLES, VOLUME_ROLES, Inputs, in_words, several_role
from cryores.parameters import Parameter, make_parameters, parameter, parameters_of
from cryores.results import LocalMap, LocalResolution, Result, statistics

__all__ = [
    "HALVES", "MAP", "ROOMS", "RUNNING_BYTES", "SEVERAL_ROLES", "VOLUME_ROLES", "Inputs", "LocalMap", "LocalResolution",
    "Method", "Outcome", "Parameter", "Result", "in_words", "load_method", "make_parameters", "method_summaries",
    "parameter", "parameters_of", "several_role", "statistics",
]  # fmt: skip
"""All that the file of a method takes from here."""

ROOMS = ("resolution", "postprocessing")

RUNNING_BYTES = 0.22e9
"""What a process holds of Python, libraries and compiled loops before there is any map."""

REPORTING_BYTES, REPORTING_VOLUMES = 0.05e9, 3.0
"""What the libraries of a report's pictures take, and what its FSC and its pictures hold beside inputs and results."""

MADE_WHEN_WRITTEN = ("masked.mrc", "difference.mrc")
"""What of a processed map no result holds."""


@dataclass(frozen=True)
class Method:
    """The declaration of a method.

    Parameters
    ----------
    name : str
        Its name at the command line, also the module's with ``-`` for ``_``.
    title : str
        Its name in prose.
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

    @property
    def summary(self) -> str:
        """What it computes, in one sentence: the first line of its file."""
        return (sys.modules[self.compute.__module__].__doc__ or "").split("\n", 1)[0]

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
        execution.held_addresses = network_addresses() if self.network(parameters) else 0.0
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
        """Run from Python: issue what is suspicious, before or after, as `CryoresWarning`, and return the result."""
        from cryores.contradictions import contradictions, may_contradict

        outcome = self.run(inputs, self.make_parameters(values), execution)
        found = contradictions(outcome) if may_contradict(outcome) else []
        for finding in [*outcome.findings, *found]:
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

    @cached_property
    def global_resolution(self) -> Optional[float]:
        """The resolution (Å) at FSC 0.143 of the half maps under the mask, None where there is none; measured once."""
        from cryores.global_resolution import resolution_of_halves

        return resolution_of_halves(self)


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
