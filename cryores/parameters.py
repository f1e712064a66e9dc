"""How a method declares a parameter, and the check of what is given for it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Sequence, Tuple, get_type_hints

import numpy as np

from cryores.errors import UsageError

EXECUTION = ("threads", "memory", "device")
"""What the command line takes beside the parameters of a method, and Python in an `Execution`."""


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
        assert item.metadata, f"{declaration.__name__}.{item.name} is not declared by parameter(...)"
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
        if name in EXECUTION:
            hint = f"from cryores.execution import Execution, and give execution=Execution({name}=...)"
            raise UsageError("E_PARAMETER", f"{name!r} is none of the method's own parameters", hint)
        if name not in declared:
            raise UsageError("E_PARAMETER", f"unknown parameter {name!r}", f"known: {', '.join(declared)}")
        declared[name].check(value)
    return declaration(**values)
