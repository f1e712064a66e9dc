"""Tables of records, numbers and words mixed, as comma-separated text."""

from __future__ import annotations

import csv
import io
from typing import Any, Dict, List

import numpy as np


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
