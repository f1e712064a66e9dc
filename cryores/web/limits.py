"""What the server allows, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass

from cryores.errors import CryoresError

GIGABYTE = 1024**3
MEGABYTE = 1024**2

SPARE = GIGABYTE
"""Bytes of the disk that jobs never take."""


@dataclass(frozen=True)
class Limits:
    """What clients and jobs may use.

    Parameters
    ----------
    at_once : int
        Jobs that run at the same time; the others wait in the order in which they came.
    per_client : int
        Jobs of one client that are not finished.
    unfinished : int
        Jobs of all clients that are not finished.
    map_bytes, model_bytes : int
        Size of one file, after decompression.
    disk_bytes : int
        All jobs together.
    seconds : float
        Running time of a job.
    keep_seconds : float
        Age at which a finished job is deleted.
    draft_seconds : float
        Age at which a job is deleted that was never started.
    """

    at_once: int = 1
    per_client: int = 8
    unfinished: int = 40
    map_bytes: int = 600 * MEGABYTE
    model_bytes: int = 60 * MEGABYTE
    disk_bytes: int = 100 * GIGABYTE
    seconds: float = 4 * 3600.0
    keep_seconds: float = 30 * 86400.0
    draft_seconds: float = 6 * 3600.0


class RefusedError(CryoresError):
    """A request that the server does not do; ``status`` is that of the HTTP response."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.status = status


def too_large(limit: int) -> RefusedError:
    """Return what is said of a file that is larger than ``limit`` bytes."""
    return RefusedError(
        413,
        "E_TOO_LARGE",
        f"the file is larger than the {limit / MEGABYTE:.0f} MB that this server takes",
        "crop or bin the map, or run cryores on your own machine",
    )


def disk_is_full() -> RefusedError:
    """Return what is said when there is no room for another file or job."""
    return RefusedError(
        507, "E_DISK_FULL", "the server has no room left for this", "delete jobs that you no longer need, or come later"
    )
