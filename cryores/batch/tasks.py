"""One task of a batch: a method on a row of the table, in a folder of its own that tells whether it is done.

What a folder holds is all that is known of a task. A batch that was stopped, in whatever way, goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from cryores.errors import reason_of_failure
from cryores.files import appearing, fingerprint

MARKER = "batch.json"
"""Written into the folder of a task when it is over: its key, seconds, and the reason where it failed."""

LOG = "batch.log"
"""What the method said."""

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Task:
    """A method on a row of the table.

    Parameters
    ----------
    name : str
        The row.
    method : str
        The method.
    words : tuple of str
        Its options, inputs included, as at the command line.
    resources : tuple of str
        Options that change no result: threads and memory.
    folder : str
        Where its results appear; an absolute path that every worker can see.
    """

    name: str
    method: str
    words: Tuple[str, ...]
    resources: Tuple[str, ...]
    folder: str


def key_of(task: Task) -> Dict[str, Any]:
    """Return what decides the result of a task: its words, and the contents of the files that they name."""
    return {"method": task.method, **fingerprint(task.words)}


def outcome_of(task: Task) -> Optional[Dict[str, Any]]:
    """Return what the folder of a task tells of just this task: ``seconds`` and ``reason``; None if it is not over."""
    marker = Path(task.folder) / MARKER
    if not marker.is_file():
        return None
    try:
        found: Dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        key = found.pop("key")
        reason = found["reason"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # a machine that went down may have kept its name, and not what is in it
    kept = key == key_of(task) and (reason or (marker.parent / "report.json").is_file())
    return found if kept else None


def perform(task: Task, run: Callable[[str, List[str]], None], retry: bool = False) -> Dict[str, Any]:
    """Do a task by ``run(method, words)``, unless it has been done; return what `outcome_of` will tell of it.

    A failure is an outcome: its reason is kept, and no other task suffers. ``retry`` does what failed once more.
    """
    # A process may have been given several threads; what a method says goes to the log of its own task.
    with _one_at_a_time:
        earlier = outcome_of(task)
        if earlier is not None and not (earlier["reason"] and retry):
            return earlier
        return perform_anew(task, run)


def perform_anew(task: Task, run: Callable[[str, List[str]], None]) -> Dict[str, Any]:
    """Do a task as `perform` does, whatever its folder tells."""
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).unlink(missing_ok=True)
    start, key = time.perf_counter(), key_of(task)
    with (folder / LOG).open("w", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        words = [*task.words, *task.resources, "--out", task.folder, "--overwrite"]
        reason = reason_of_failure(lambda: run(task.method, words))
    outcome = {"seconds": time.perf_counter() - start, "reason": reason}
    mark(task, outcome, key)
    return outcome


def mark(task: Task, outcome: Dict[str, Any], key: Optional[Dict[str, Any]] = None) -> None:
    """Keep the outcome of a task in its folder; ``key`` is that of the inputs that it was made from."""
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with appearing(folder / MARKER) as unfinished:
        unfinished.write_text(json.dumps({"key": key or key_of(task), **outcome}, indent=1), encoding="utf-8")
