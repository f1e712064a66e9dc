"""``cryores evaluate --set TABLE --methods KIND ...``: ways of post-processing compared on a set of maps with models.

Of every row the raw map, and what each way makes of it, are judged alike. ``methods.csv`` holds all values,
``medians.csv`` their medians, ``methods.png`` bars of them. A row that fails stops no other.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from cryores.errors import CryoresError, CryoresWarning, InputError, UsageError
from cryores.execution import Execution
from cryores.mapio import read_map
from cryores.postprocessing._method_comparison import MAKERS, MEASURES, Case, Compared, compared, medians
from cryores.tables import records_text
from cryores.volume import HalfMaps

FILES = {"map": "map", "half1": "half1", "half2": "half2", "model": "model", "deposited": "deposited"}
"""Columns of the table that name files."""

VALUES = {"resolution": "resolution", "bfactor": "bfactor", "voxel_size": "voxel_size"}
"""Columns whose cells are numbers."""

RESULTS = ("methods.csv", "medians.csv", "methods.png")


def run_methods(
    rows: Sequence[Dict[str, str]],
    beside: Path,
    folder: Path,
    kinds: Sequence[str],
    execution: Execution,
    say: Callable[[str], None],
) -> None:
    """Judge every row and write the tables and the figure; files lie in ``beside``, and ``say`` hears of the progress.

    Raises
    ------
    UsageError
        ``E_METHODS`` a kind that there is not.
    InputError
        ``E_SET_FAILED`` every row failed.
    """
    unknown = [kind for kind in kinds if kind not in MAKERS]
    if unknown:
        raise UsageError("E_METHODS", f"there is no {unknown[0]!r}", f"some of {', '.join(MAKERS)}")
    found: Dict[str, Compared] = {}
    reasons: Dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        say(f"{row['name']}: {number} of {len(rows)}")
        try:
            with warnings.catch_warnings():
                # Of each way in turn; a table of many maps has no place for them.
                warnings.simplefilter("ignore", CryoresWarning)
                found[row["name"]] = compared(_case(row, beside), kinds, execution)
        except CryoresError as error:
            reasons[row["name"]] = f"{error.code}: {error.message}"
        if found:
            _write(folder, found, reasons, kinds)
    if not found:
        first = next(iter(reasons.values()))
        raise InputError("E_SET_FAILED", f"every row failed; the first: {first}", "mend the table")
    say(f"{len(found)} of {len(rows)} judged: {folder}/methods.csv")


def _case(row: Dict[str, str], beside: Path) -> Case:
    numbers = {name: _number(row, name) for name in VALUES}
    if "model" not in row or not ("map" in row or {"half1", "half2"} <= set(row)):
        raise InputError("E_SET", f"{row['name']} has no model, or neither half maps nor a map", "mend the table")

    def volume(name: str) -> Any:
        return read_map(beside / row[name], voxel_size=numbers["voxel_size"])

    halved = {"half1", "half2"} <= set(row)
    maps = HalfMaps(volume("half1"), volume("half2")) if halved else volume("map")
    if not halved and numbers["resolution"] is None:
        raise InputError("E_SET", f"{row['name']} has one map and no resolution", "add the column resolution")
    deposited = volume("deposited") if "deposited" in row else None
    return Case(maps, str(beside / row["model"]), numbers["resolution"], numbers["bfactor"], deposited)


def _number(row: Dict[str, str], name: str) -> Any:
    try:
        return float(row[name]) if name in row else None
    except ValueError as error:
        raise InputError("E_SET", f"{row['name']}: {row[name]!r} is no {name}", "give a number") from error


def _write(folder: Path, found: Dict[str, Compared], reasons: Dict[str, str], kinds: Sequence[str]) -> None:
    from cryores.report.figures_methods import methods_figure

    folder.mkdir(parents=True, exist_ok=True)
    empty = {measure: float("nan") for measure in MEASURES}
    records: List[Dict[str, Any]] = []
    for name, row in found.items():
        records += [{"name": name, "kind": kind, "reason": "", **values} for kind, values in row.values.items()]
        records += [{"name": name, "kind": kind, "reason": reason, **empty} for kind, reason in row.failed.items()]
    records += [{"name": name, "kind": "", "reason": reason, **empty} for name, reason in reasons.items()]
    (folder / "methods.csv").write_text(records_text(records), encoding="utf-8")
    middle = medians(list(found.values()), kinds)
    text = records_text([{"kind": kind, **values} for kind, values in middle.items()])
    (folder / "medians.csv").write_text(text, encoding="utf-8")
    methods_figure(found, middle).savefig(folder / "methods.png")
