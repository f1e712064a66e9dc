"""What a finished step shows: the figures of its report, and its files."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List

from cryores.report.html import headline, read_page
from cryores.web import progress
from cryores.web.limits import RefusedError


def folder_of_step(job: Path, name: str) -> Path:
    """Return the engine's folder of a step that is done.

    Raises
    ------
    RefusedError
        If the job has no such step with results.
    """
    for step in progress.steps_of(job):
        if step["name"] == name and step["state"] == "done" and step["folder"]:
            folder = Path(job, step["folder"]).resolve()
            if job.resolve() in folder.parents and (folder / "report.json").is_file():
                return folder
    raise RefusedError(404, "E_NO_RESULT", "there is no such result", "it may not be finished")


def file_of_step(job: Path, name: str, file: str) -> Path:
    """Return a file that the engine lists in its report; nothing else can be had.

    Raises
    ------
    RefusedError
        If there is none of that name.
    """
    folder = folder_of_step(job, name)
    for listed in _files(folder):
        if listed == file and (folder / listed).is_file():
            return Path(folder, str(listed))
    raise RefusedError(404, "E_NO_FILE", "there is no such file in this result", "the page lists what there is")


def figures(job: Path, name: str) -> Path:
    """Return a gzipped JSON file of what the page draws of a step; it is made when it is first asked for."""
    kept = job / "figures" / f"{name}.json.gz"
    folder = folder_of_step(job, name)
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        handle, part = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(gzip.compress(json.dumps(_shown(folder)).encode(), 5))
        os.replace(part, kept)
    return kept


def _shown(folder: Path) -> Dict[str, Any]:
    report = _report(folder)
    page = read_page((folder / "report.html").read_text(encoding="utf-8"))
    sizes = {file: (folder / file).stat().st_size for file in _files(folder) if (folder / file).is_file()}
    return {
        "title": page.title,
        "criterion": report["criterion"],
        "numbers": headline(report["summary"]),
        "warnings": report["warnings"],
        "sections": [
            {"heading": section.heading, "words": section.words, "figure": section.figure} for section in page.sections
        ],
        "files": sizes,
    }


def _files(folder: Path) -> List[str]:
    """Return the names of what the engine wrote; the record itself is not in its own list."""
    return [*_report(folder)["files"], "report.json"]


def _report(folder: Path) -> Dict[str, Any]:
    report: Dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report
