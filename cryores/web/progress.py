"""How far a job is: the lines that its runner writes, folded into one state for every step."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List

from cryores.web.menu import title_of

FILE = "progress.jsonl"
"""One event a line: ``event`` is ``plan`` (with ``steps``), ``begin``, ``said`` (with ``line``), ``done`` (with
``folder``) or ``failed`` (with ``message``); ``step`` and the time ``t`` with all but the first."""

ENDED = ("done", "failed")


def steps_of(folder: Path) -> List[Dict[str, Any]]:
    """Return the steps of the job in ``folder``, in their order: name, title, state, line, seconds, folder, message."""
    steps: Dict[str, Dict[str, Any]] = {}
    for event in _events(folder / FILE):
        if event["event"] == "plan":
            steps = {name: _step(name) for name in event["steps"]}
            continue
        step = steps.setdefault(event["step"], _step(event["step"]))
        if event["event"] == "begin":
            step.update(state="running", begun=event["t"])
        elif event["event"] == "said":
            step["line"] = event["line"]
        elif event["event"] in ENDED:
            seconds = event["t"] - step.get("begun", event["t"])
            step.update(state=event["event"], line="", seconds=seconds, message=event.get("message", ""),
                        folder=event.get("folder"))  # fmt: skip
    for step in steps.values():
        begun = step.pop("begun", None)
        if step["state"] == "running" and begun is not None:
            step["seconds"] = time.time() - begun
    return list(steps.values())


def _step(name: str) -> Dict[str, Any]:
    return {"name": name, "title": title_of(name), "state": "waiting", "line": "", "seconds": None, "message": "",
            "folder": None}  # fmt: skip


def _events(path: Path) -> List[Dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # the last line of a runner that was ended while it wrote
    return found


def last_words(folder: Path, status: int) -> str:
    """Return in one sentence why a job has failed."""
    failed = [step["message"] for step in steps_of(folder) if step["state"] == "failed"]
    if failed:
        return str(failed[0])
    if status < 0:
        return f"The process was ended by signal {-status}; the machine may have run out of memory."
    log = folder / "run.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return f"Scipion could not make the project: {lines[-1] if lines else f'it ended with {status}'}"
