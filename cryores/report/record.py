"""The machine-readable report: ``report.json``, whose form ``report.schema.json`` states."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import resource
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

import cryores
from cryores.citations import cite
from cryores.execution import process_memory
from cryores.files import sha256, spelled
from cryores.method import Inputs, Outcome
from cryores.volume import HalfMaps, Volume

MEGABYTE = 1024.0**2
SCHEMA = Path(__file__).parent / "report.schema.json"


def make_record(
    outcome: Outcome, sources: Mapping[str, str], files: List[str], global_resolution: Optional[float] = None
) -> Dict[str, Any]:
    """Return everything that a run can be judged and repeated by, as values of strict JSON.

    Parameters
    ----------
    outcome : Outcome
        The finished run.
    sources : mapping
        Role of an input (``half1``, ``mask``, ...) -> its path as the user gave it.
    files : list of str
        Names of the files that were written.
    global_resolution : float, optional
        FSC of the half maps at 0.143, in Å.
    """
    summary = {name: value for name, value in outcome.summary.items() if name != "warnings"}
    parameters = resolved_parameters(outcome)
    volumes = _volumes(outcome.inputs)
    record: Dict[str, Any] = plain(
        {
            "method": outcome.method.name,
            "version": cryores.__version__,
            "parameters": parameters,
            "criterion": outcome.result.criterion,
            "inputs": {role: _input(path, volumes.get(role)) for role, path in sources.items()},
            "mask_was_made": outcome.mask_was_made,
            "warnings": [*outcome.findings, *outcome.summary.get("warnings", [])],
            "timings": outcome.execution.timings,
            "peak_memory_mb": peak_memory() / MEGABYTE,
            "planned_memory_mb": (outcome.execution.planned_bytes + outcome.execution.held_bytes) / MEGABYTE,
            "threads": outcome.execution.threads,
            "device": _device(outcome),
            "seed": parameters.get("seed", summary.get("seed")),
            "summary": {**summary, "global_resolution": global_resolution},
            "citations": [
                {name: entry[name] for name in ("key", "text", "doi")} for entry in cite(outcome.method.citations)
            ],
            "files": files,
            "platform": platform.platform(),
            "python": platform.python_version(),
        }
    )
    return record


def _device(outcome: Outcome) -> str:
    """Return what computed: TensorFlow takes the device that was asked for, others where their arrays lie."""
    execution = outcome.execution
    return execution.device if outcome.method.network(outcome.parameters) else execution.backend.name


def json_text(record: Any) -> str:
    """Return a record as the text of a JSON file."""
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def resolved_parameters(outcome: Outcome) -> Dict[str, Any]:
    """Return every parameter by name; where the method chose by itself, what it chose if its summary tells."""
    given = {item.name: getattr(outcome.parameters, item.name) for item in dataclasses.fields(outcome.parameters)}
    return {name: outcome.summary.get(name) if value in (None, ()) else value for name, value in given.items()}


def plain(value: Any) -> Any:
    """Return ``value`` in the types of JSON: numpy numbers and arrays unpacked, NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def peak_memory() -> float:
    """Return the most memory in bytes that this process has held so far.

    Linux hands ``ru_maxrss`` on to a new program: started by a larger process, it would tell of that one's memory.
    """
    if sys.platform == "linux":
        return process_memory("VmHWM")
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else peak * 1024.0


def _input(path: str, volume: Optional[Volume]) -> Dict[str, Any]:
    return {
        "path": spelled(path),
        "sha256": sha256(path),
        "shape": volume.grid.shape if volume else None,
        "voxel_size": volume.grid.voxel_size if volume else None,
    }


def _volumes(inputs: Inputs) -> Mapping[str, Volume]:
    """Return the volumes by the role that they have at the command line."""
    maps = inputs.maps
    starts = {"half1": maps.half1, "half2": maps.half2} if isinstance(maps, HalfMaps) else {"map": maps}
    return {**starts, **inputs.beside_the_maps()}
