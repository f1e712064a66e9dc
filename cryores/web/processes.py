"""Processes that may outlive the server: recognised by number and birth, ended with everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import List, Optional

import psutil

PATIENCE = 3.0
"""Seconds between asking a process to end and ending it."""

CLOCK = 2.0
"""Seconds by which the time of birth of one process may differ: systems reckon it from when they believe they began."""


def birth(pid: int) -> float:
    """Return when a process was made, 0 where it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def end(pid: Optional[int], born: Optional[float]) -> None:
    """End the session that a process leads, and its descendants, if it is still the process that was made then."""
    if pid is None or born is None or abs(birth(pid) - born) > CLOCK:
        return
    members = _members(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        members = psutil.wait_procs([p for p in members if p.is_running()], timeout=PATIENCE)[1]
        members += [process for process in _members(pid) if process not in members]


def end_those_about(word: str) -> None:
    """End every process that has ``word`` in its command line, and its descendants."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and word in process.cmdline():
                end(process.pid, birth(process.pid))


def _members(leader: int) -> List[psutil.Process]:
    found = {}
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(leader)
        found = {p.pid: p for p in (process, *process.children(recursive=True))}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader:
                found[process.pid] = process
    return list(found.values())
