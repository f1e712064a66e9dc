"""``cryores evaluate --set TABLE``: many maps judged alike, one row each, into one table and one figure.

The table (CSV, or TSV) has a column ``name`` and one for every input that `COLUMNS` lists; files are looked for beside
the table. A row that fails is told of in the result and stops no other. Run again, rows that were done with the same
files and options are kept, as those of a batch are; what a row said is in its folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from cryores.batch.tasks import Task, outcome_of, perform_anew
from cryores.cli import progress
from cryores.cli.options import Parser, add_run_options
from cryores.cli.output import refuse_what_is_no_folder
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.files import appearing
from cryores.postprocessing._evaluation import MEASURES, SIDES
from cryores.tables import Row, read_rows, records_text

COLUMNS = {
    "map": "--map",
    "model": "--model",
    "before": "--before",
    "half1": "--raw-half1",
    "half2": "--raw-half2",
    "processed_half1": "--processed-half1",
    "mask": "--mask",
}
"""Column of the table -> option of ``cryores evaluate``; the longer names of the options are understood too."""

VALUES = {"resolution": "--resolution", "voxel_size": "--voxel-size"}
"""Further columns, whose cells are numbers."""

RESULTS = ("set.csv", "set.png")


def run_set(words: Sequence[str], run: Callable[[List[str]], None]) -> None:
    """Run ``cryores evaluate`` for every row of the table, by ``run(words)``.

    Raises
    ------
    UsageError
        ``E_USAGE`` · ``E_SET`` a table without rows, or with unknown columns or equal names.
    InputError
        ``E_NO_FILE`` · ``E_OUTPUT_EXISTS`` a folder with other files · ``E_SET_FAILED`` every row failed.
    """
    parser = Parser(prog="cryores evaluate --set", description=__doc__, add_help=False, allow_abbrev=False)
    parser.add_argument("--set", required=True, metavar="TABLE")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--methods", nargs="+", metavar="KIND")
    given, shared = parser.parse_known_args(list(words))
    folder = Path(given.out)
    if given.methods:
        _compare_methods(given, shared)
        return
    rows = read_set(Path(given.set))
    _claim(folder, given, RESULTS[0])
    records: List[Dict[str, Any]] = []
    for row in rows:
        words = _words(row, Path(given.set).parent, shared)
        task = Task(row["name"], "evaluate", tuple(words), (), str((folder / row["name"]).absolute()))
        outcome = None if given.overwrite else outcome_of(task)
        if outcome is None or outcome["reason"]:
            progress.say(f"{row['name']}: {len(records) + 1} of {len(rows)}")
            outcome = perform_anew(task, lambda method, words: run(words))
        records.append(_record(task, outcome["reason"]))
        _write(folder, records)
    failed = [record for record in records if record["reason"]]
    progress.say(f"{len(records) - len(failed)} of {len(records)} judged: {folder}/set.csv")
    if len(failed) == len(records):
        raise InputError("E_SET_FAILED", f"every row failed; the first: {failed[0]['reason']}", "mend the table")


def _compare_methods(given: argparse.Namespace, words: List[str]) -> None:
    """Compare ways of post-processing on every row (`cryores.cli.evaluate_methods`)."""
    from cryores.cli import evaluate_methods as methods

    parser = Parser(prog="cryores evaluate --set --methods", description=methods.__doc__, allow_abbrev=False)
    add_run_options(parser)
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    run = parser.parse_args(words)
    table = Path(given.set)
    rows = read_rows(table, {name: name for name in (*methods.FILES, *methods.VALUES)}, ("model",), methods.RESULTS)
    _claim(Path(given.out), given, methods.RESULTS[0])
    say = (lambda line: None) if run.quiet else progress.say
    execution = Execution(run.threads, run.memory, run.device)
    methods.run_methods(rows, table.parent, Path(given.out), given.methods, execution, say)


def read_set(path: Path) -> List[Row]:
    """Return the rows of a table, without empty cells, their columns in the words of `COLUMNS` and `VALUES`."""
    options = {**COLUMNS, **VALUES}
    spelled = {option[2:].replace("-", "_"): name for name, option in options.items()}
    return read_rows(path, {**spelled, **{name: name for name in options}}, ("map",), RESULTS)


def _words(row: Row, beside: Path, shared: List[str]) -> List[str]:
    files = [word for name, option in COLUMNS.items() if name in row for word in (option, str(beside / row[name]))]
    values = [word for name, option in VALUES.items() if name in row for word in (option, row[name])]
    return [*files, *values, *shared]


def _claim(folder: Path, given: argparse.Namespace, ours: str) -> None:
    refuse_what_is_no_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ours).is_file() and not given.overwrite:
        raise InputError(
            "E_OUTPUT_EXISTS", f"{folder} holds other files", "choose another --out, or add --overwrite to replace them"
        )


def _record(task: Task, reason: str) -> Dict[str, Any]:
    report = Path(task.folder) / "report.json"
    found = {"summary": {}, "warnings": []} if reason else json.loads(report.read_text(encoding="utf-8"))
    summary = found["summary"]
    measures = summary.get("measures", {})
    values = {f"{m}_{side}": _number(measures.get(m, {}).get(side)) for m in MEASURES for side in SIDES}
    return {
        "name": task.name,
        "reason": reason,
        "resolution": _number(summary.get("resolution")),
        "half_map_verdict": summary.get("half_map_verdict", ""),
        **values,
        "warnings": " | ".join(found["warnings"]),
    }


def _number(value: Optional[float]) -> float:
    return float("nan") if value is None else value


def _write(folder: Path, records: List[Dict[str, Any]]) -> None:
    from cryores.report.figures_set import set_figure

    folder.mkdir(parents=True, exist_ok=True)
    with appearing(folder / "set.csv") as unfinished:
        unfinished.write_text(records_text(records), encoding="utf-8")
    with appearing(folder / "set.png") as unfinished:
        set_figure(records).savefig(unfinished)
