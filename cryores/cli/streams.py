"""The standard streams: what cannot be shown, or is not listened to any more, does not end a run."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def make_ready() -> None:
    """Let every character be printed, and every stream that is closed lead nowhere.

    The next file that is opened would take the number of a closed stream, and whatever a library has to say.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(line: str) -> None:
    """Print a line on stderr, if that can be written; what would steer a terminal is spelled, as names may hold it."""
    with contextlib.suppress(OSError):
        print(CONTROL.sub(lambda found: ascii(found.group())[1:-1], line), file=sys.stderr, flush=True)


def leave_stdout() -> None:
    """Write nothing more to stdout: its reader has gone, which Python would complain of at the end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
