"""Stopping a run: Ctrl-C and SIGTERM raise KeyboardInterrupt, and are remembered for where that gets lost.

A signal that arrives while a C extension clears errors (an import, a type look-up) raises what nobody sees.
"""

from __future__ import annotations

import contextlib
import signal
from typing import Iterator

_asked = False
_too_late = False


def listen() -> None:
    """From now on a signal asks this run to stop."""
    global _asked
    _asked = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt if a signal has come in this run."""
    if _asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Only remember a signal that comes in this block, which lasts no longer than a few renames of files."""
    global _too_late
    _too_late = True
    try:
        yield
    finally:
        _too_late = False


def _ask(number: int, frame: object) -> None:
    global _asked
    _asked = True
    if not _too_late:
        raise KeyboardInterrupt
