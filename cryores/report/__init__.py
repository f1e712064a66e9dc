"""Reports: everything that a run leaves in its output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

from cryores.mapio import write_map
from cryores.method import Outcome
from cryores.report import html
from cryores.report.drawings import drawing_of
from cryores.report.record import json_text, make_record


def write_report(
    outcome: Outcome, folder: Union[str, Path], sources: Mapping[str, str], global_resolution: Optional[float] = None
) -> Dict[str, Any]:
    """Write the maps, tables, pictures, ``report.json`` and ``report.html`` of a run.

    Parameters
    ----------
    outcome : Outcome
        The finished run.
    folder : path
        An existing folder.
    sources : mapping
        Role of an input (``half1``, ``half2``, ``map``, ``mask``, ...) -> its path as the user gave it.
    global_resolution : float, optional
        FSC of the half maps at 0.143 in Å, to be shown beside local values.

    Returns
    -------
    dict
        What ``report.json`` holds.

    Raises
    ------
    InputError
        ``E_WRITE`` if a map cannot be written.
    """
    folder = Path(folder)
    with outcome.execution.stage("writing the maps"):
        for name, volume in outcome.result.volumes().items():
            write_map(folder / f"{name}.mrc", volume)
        if outcome.mask_was_made and outcome.inputs.mask is not None:
            write_map(folder / "mask.mrc", outcome.inputs.mask)
        for name, text in outcome.result.tables().items():
            (folder / name).write_text(text, encoding="utf-8")
    with outcome.execution.stage("drawing"):
        sections = drawing_of(outcome.result)(outcome, folder, global_resolution)
    # The record holds the times of the stages, so that it is made when the last of them is over.
    files = [*sorted(path.name for path in folder.iterdir()), "report.html"]
    record = make_record(outcome, sources, files, global_resolution)
    (folder / "report.json").write_text(json_text(record), encoding="utf-8")
    (folder / "report.html").write_text(html.page(outcome.method, record, sections), encoding="utf-8")
    return record
