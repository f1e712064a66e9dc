"""Where jobs lie: one table of SQLite, and a folder for each job that nobody can guess the name of."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import sqlite3
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from cryores.errors import CryoresError
from cryores.files import appearing
from cryores.web.limits import SPARE, Limits, RefusedError, disk_is_full

DRAFT, WAITING, RUNNING, DONE, FAILED, CANCELLED = "draft", "waiting", "running", "done", "failed", "cancelled"
UNFINISHED = (DRAFT, WAITING, RUNNING)
OVER = (DONE, FAILED, CANCELLED)

TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, client TEXT NOT NULL, title TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, created REAL NOT NULL, submitted REAL, started REAL, ended REAL, pid INTEGER, born REAL,
    attempts INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
    inputs TEXT NOT NULL DEFAULT '{}', examined TEXT NOT NULL DEFAULT 'null', request TEXT NOT NULL DEFAULT 'null'
)
"""
AS_JSON = ("inputs", "examined", "request")
MEASURED_EVERY = 5.0
"""Seconds for which the size of all jobs is believed."""


@dataclass(frozen=True)
class Job:
    """A row of the table.

    Parameters
    ----------
    id : str
        What the link to the job holds; whoever knows it sees the job.
    owner : str
        The browser that made it, which alone may change it.
    client : str
        What the limits count by.
    submitted, started, ended : float or None
        Seconds since the epoch; ``submitted`` gives the place in the queue.
    pid, born : number or None
        The process that runs it, and when that was made: a number alone may be another process by now.
    attempts : int
        How often it was started.
    inputs : dict
        Role -> name (as the client has it), file, size, and what the header says.
    examined : dict or None
        What was found in the inputs as they are now; None: not looked at.
    request : dict or None
        Methods and settings.
    """

    id: str
    owner: str
    client: str
    title: str
    state: str
    created: float
    submitted: Optional[float]
    started: Optional[float]
    ended: Optional[float]
    pid: Optional[int]
    born: Optional[float]
    attempts: int
    message: str
    inputs: Dict[str, Any]
    examined: Optional[Dict[str, Any]]
    request: Optional[Dict[str, Any]]


COLUMNS = tuple(field.name for field in fields(Job))


class Store:
    """Jobs under one folder, which one server at a time may use.

    Raises
    ------
    CryoresError
        ``E_STORE`` if the folder cannot be written, or another server uses it.
    """

    def __init__(self, folder: Union[str, Path], limits: Limits) -> None:
        # Not Path.resolve: of links in a loop it makes an error of another kind.
        self.folder = Path(os.path.realpath(os.path.expanduser(folder)))
        self.limits = limits
        self._measured: Tuple[float, int] = (0.0, 0)
        try:
            (self.folder / "jobs").mkdir(parents=True, exist_ok=True)
            os.chmod(self.folder, 0o700)
            self._lock = open(self.folder / "lock", "w")  # noqa: SIM115
        except OSError as error:
            raise CryoresError(
                "E_STORE", f"cannot write in {self.folder}: {error.strerror}", "give another folder with --store"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise CryoresError(
                "E_STORE", f"another server uses {self.folder}", "stop it, or give another folder with --store"
            ) from error
        try:
            with self._open() as base:
                base.execute("PRAGMA journal_mode=WAL")
                base.execute(TABLE)
        except sqlite3.Error as error:
            self._lock.close()
            raise CryoresError(
                "E_STORE",
                f"cannot keep the list of jobs in {self.folder}: {error}",
                "make room, or give another --store",
            ) from error

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.close()

    def secret(self) -> bytes:
        """Return the key of the server's tokens, the same after a restart."""
        path = self.folder / "secret"
        if not path.exists():
            with appearing(path) as unfinished:
                unfinished.touch(0o600)
                unfinished.write_bytes(secrets.token_bytes(32))
        return path.read_bytes()

    # --- jobs ---------------------------------------------------------------------------------------------------

    def create(self, owner: str, client: str) -> Job:
        """Make an empty job.

        Raises
        ------
        RefusedError
            If the client, or all together, have too many unfinished jobs, or the disk is full.
        """
        self.require_room(0)
        job = secrets.token_urlsafe(18)
        marks = ", ".join("?" * len(UNFINISHED))
        with self._open() as base:
            base.execute("BEGIN IMMEDIATE")
            counted = f"SELECT count(*), coalesce(sum(client = ?), 0) FROM jobs WHERE state IN ({marks})"
            everybody, own = base.execute(counted, (client, *UNFINISHED)).fetchone()
            if own >= self.limits.per_client or everybody >= self.limits.unfinished:
                base.execute("ROLLBACK")
                whose = "you have" if own >= self.limits.per_client else "the server has"
                raise RefusedError(
                    429, "E_TOO_MANY_JOBS", f"{whose} too many unfinished jobs ({max(own, 1)} of yours)",
                    "wait until one is done, or delete one",
                )  # fmt: skip
            base.execute(
                "INSERT INTO jobs (id, owner, client, state, created) VALUES (?, ?, ?, ?, ?)",
                (job, owner, client, DRAFT, time.time()),
            )
            base.execute("COMMIT")
        (self.folder_of(job) / "inputs").mkdir(parents=True)
        return self.get(job)

    def get(self, job: str) -> Job:
        """Return a job; raises `RefusedError` where there is none."""
        found = self._select("WHERE id = ?", job)
        if not found:
            raise RefusedError(
                404, "E_NO_JOB", "there is no such job here", "it was deleted, or the link is not complete"
            )
        return found[0]

    def update(self, job: str, only_if: Tuple[str, ...] = (), **values: Any) -> bool:
        """Change columns of a job, where given only in these states; return whether it was changed."""
        stored = {key: json.dumps(value) if key in AS_JSON else value for key, value in values.items()}
        sets = ", ".join(f"{key} = ?" for key in stored)
        states = f" AND state IN ({', '.join('?' * len(only_if))})" if only_if else ""
        with self._open() as base:
            done = base.execute(f"UPDATE jobs SET {sets} WHERE id = ?{states}", (*stored.values(), job, *only_if))
            return done.rowcount > 0

    def change_inputs(
        self, job: str, role: str, entry: Optional[Dict[str, Any]], arrived: Optional[Path] = None
    ) -> None:
        """Put in, or take out, one input of a draft; what was found in the inputs is then no longer known.

        ``arrived`` is the file, which gets the name that the entry states; nothing moves once the job has begun.
        """
        with self._open() as base:
            base.execute("BEGIN IMMEDIATE")
            row = base.execute("SELECT inputs FROM jobs WHERE id = ? AND state = ?", (job, DRAFT)).fetchone()
            if row is None:
                base.execute("ROLLBACK")
                raise already_started()
            inputs = json.loads(row[0])
            inputs.pop(role, None)
            if entry is not None:
                inputs[role] = entry
            if entry is not None and arrived is not None:
                os.replace(arrived, self.folder_of(job) / "inputs" / entry["file"])
            sql = "UPDATE jobs SET inputs = ?, examined = 'null' WHERE id = ?"
            base.execute(sql, (json.dumps(inputs), job))
            base.execute("COMMIT")

    def of_owner(self, owner: str) -> List[Job]:
        """Return the jobs that a browser made, the newest first."""
        return self._select("WHERE owner = ? ORDER BY created DESC", owner)

    def in_state(self, *states: str) -> List[Job]:
        """Return the jobs in any of the states, in the order of the queue."""
        marks = ", ".join("?" * len(states))
        return self._select(f"WHERE state IN ({marks}) ORDER BY submitted, rowid", *states)

    def ahead_of(self, job: Job) -> int:
        """Return how many jobs are served before a waiting one."""
        return sum(other.id != job.id and (other.submitted or 0) <= (job.submitted or 0)
                   for other in self.in_state(WAITING, RUNNING))  # fmt: skip

    def delete(self, job: str) -> None:
        """Delete a job and everything of it."""
        with self._open() as base:
            base.execute("DELETE FROM jobs WHERE id = ?", (job,))
        shutil.rmtree(self.folder_of(job), ignore_errors=True)
        self._measured = (0.0, 0)

    def expire(self) -> List[str]:
        """Delete what is too old, and folders of no job; return the ids of the jobs."""
        now, limits = time.time(), self.limits
        old = [job.id for job in self.in_state(*OVER) if now - (job.ended or job.created) > limits.keep_seconds]
        old += [job.id for job in self.in_state(DRAFT) if now - job.created > limits.draft_seconds]
        for job in old:
            self.delete(job)
        known = {job.id for job in self._select("")}
        for folder in (self.folder / "jobs").iterdir():
            if folder.name not in known and now - folder.stat().st_mtime > limits.draft_seconds:
                shutil.rmtree(folder, ignore_errors=True)
        return old

    # --- room ---------------------------------------------------------------------------------------------------

    def folder_of(self, job: str) -> Path:
        """Return the folder of a job that is known to exist: ids of the table only."""
        return self.folder / "jobs" / job

    def require_room(self, wanted: int) -> None:
        """Raise `RefusedError` if ``wanted`` more bytes do not fit."""
        if self.used() + wanted > self.limits.disk_bytes or shutil.disk_usage(self.folder).free < wanted + SPARE:
            raise disk_is_full()

    def used(self) -> int:
        """Return the bytes of all jobs, as they were a few seconds ago."""
        measured, size = self._measured
        if time.monotonic() - measured > MEASURED_EVERY:
            size = size_of(self.folder / "jobs")
            self._measured = (time.monotonic(), size)
        return size

    # --- the table ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self.folder / "jobs.sqlite", timeout=30, isolation_level=None)
        try:
            yield base
        finally:
            base.close()

    def _select(self, condition: str, *values: Any) -> List[Job]:
        with self._open() as base:
            rows = base.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs {condition}", values).fetchall()
        return [_job(dict(zip(COLUMNS, row))) for row in rows]


def _job(row: Dict[str, Any]) -> Job:
    return Job(**{key: json.loads(value) if key in AS_JSON else value for key, value in row.items()})


def already_started() -> RefusedError:
    """Return what is said of a change that comes too late."""
    return RefusedError(409, "E_STARTED", "this analysis has already been started", "start a new one")


def size_of(folder: Path) -> int:
    """Return the bytes of the files under a folder; links do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
