"""Tables of maps that are read, and of records, numbers and words mixed, that are written: comma-separated text."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from cryores.errors import UsageError
from cryores.files import require_file

Row = Dict[str, str]


def read_rows(path: Path, known: Mapping[str, str], needed: Sequence[str], reserved: Sequence[str] = ()) -> List[Row]:
    """Return the rows of a table of maps, comma- or tab-separated, without empty cells.

    Parameters
    ----------
    path : Path
        The table; its first line names the columns, one of them ``name``.
    known : mapping
        A way to write a column (lower case, ``_`` for blanks and ``-``) -> what the column is called in the rows.
    needed : sequence of str
        Columns beside ``name`` that have to be there.
    reserved : sequence of str
        Names that no row may have: a row's name becomes a folder, among these files.

    Raises
    ------
    InputError
        ``E_NO_FILE`` · ``E_READ``.
    UsageError
        ``E_SET`` a table without rows, or with unknown columns or equal names.
    """
    require_file(path)
    try:
        return _rows(path, known, needed, reserved)
    except (UnicodeDecodeError, csv.Error) as error:
        reason = f"{path.name} is no table: {error}"
        raise UsageError("E_SET", reason, "give comma- or tab-separated text in UTF-8") from error


def _rows(path: Path, known: Mapping[str, str], needed: Sequence[str], reserved: Sequence[str]) -> List[Row]:
    text = path.read_text(encoding="utf-8-sig").splitlines()
    tabs = bool(text) and "\t" in text[0]
    table = csv.DictReader(text, delimiter="\t" if tabs else ",")
    columns = {column: {"name": "name", **known}.get(_plain(column)) for column in table.fieldnames or ()}
    unknown = [column for column, name in columns.items() if name is None]
    if unknown or not {"name", *needed} <= set(columns.values()):
        raise UsageError(
            "E_SET",
            f"{path.name}: unknown columns {', '.join(unknown)}"
            if unknown
            else f"{path.name} has no columns {', '.join(['name', *needed])}",
            f"a first line with some of: name, {', '.join(dict.fromkeys(known.values()))}",
        )
    called = {column: name for column, name in columns.items() if name is not None}
    rows = [{called[n]: c.strip() for n, c in row.items() if n in called and c and c.strip()} for row in table]
    rows = [row for row in rows if row]
    names = [row.get("name", "") for row in rows]
    bad = [name for name in names if names.count(name) > 1 or name in reserved or not _is_name_of_folder(name)]
    if bad or not rows:
        reason = f"the name {bad[0]!r} is empty, double or no name of a folder" if bad else "it has no rows"
        raise UsageError("E_SET", f"{path.name}: {reason}", "give every row a name of its own")
    return rows


def _is_name_of_folder(name: str) -> bool:
    return name.isprintable() and name[:1] not in ("", ".") and not set("/\\") & set(name) and len(name.encode()) < 256


def _plain(column: str) -> str:
    return column.strip().lower().replace("-", "_").replace(" ", "_")


def records_text(rows: List[Dict[str, Any]]) -> str:
    """Return records that have the same keys as CSV with a header line; a cell is empty where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
