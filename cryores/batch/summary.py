"""What came out of a batch, a record for each task: as a table, and as a page of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from cryores.batch.tasks import Task
from cryores.files import appearing
from cryores.tables import records_text

TABLE, COLUMNS_TABLE, GALLERY = "summary.csv", "summary.parquet", "index.html"

NUMBERS = ("median", "p5", "p25", "p75", "p95", "undetermined_fraction", "global_resolution", "bfactor")
"""Numbers of ``report.json``'s summary that have a column."""

Record = Dict[str, Any]


def record_of(task: Task, outcome: Optional[Dict[str, Any]]) -> Record:
    """Return the row of the summary for a task; without an ``outcome`` it is not over."""
    state = "waiting" if outcome is None else "failed" if outcome["reason"] else "done"
    report = Path(task.folder) / "report.json"
    found: Dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if state == "done" else {}
    summary = found.get("summary", {})
    return {
        "name": task.name,
        "method": task.method,
        "state": state,
        "reason": outcome["reason"] if outcome else "",
        "seconds": outcome["seconds"] if outcome else float("nan"),
        **{name: _number(summary.get(name)) for name in NUMBERS},
        "unit": summary.get("unit", ""),
        "warnings": " | ".join(found.get("warnings", [])),
        "folder": f"{task.name}/{task.method}",
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def write_summary(folder: Path, done: Sequence[Tuple[Task, Optional[Dict[str, Any]]]]) -> List[Record]:
    """Write the tables and the page of pictures into ``folder``; return the records."""
    from cryores.report.gallery import gallery

    records = [record_of(task, outcome) for task, outcome in done]
    for name, text in ((TABLE, records_text(records)), (GALLERY, gallery(records, folder))):
        with appearing(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    _write_parquet(folder / COLUMNS_TABLE, records)
    return records


def _write_parquet(path: Path, records: List[Record]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {name: [record[name] for record in records] for name in records[0]}
    with appearing(path) as unfinished:
        parquet.write_table(pyarrow.table(columns), unfinished)
