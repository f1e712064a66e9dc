"""The queue: jobs run in the order in which they came, each in a process of its own that can be ended and restarted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple

from cryores.web import processes, progress, scipion
from cryores.web.examine import FULL
from cryores.web.limits import RefusedError
from cryores.web.store import CANCELLED, DONE, DRAFT, FAILED, RUNNING, WAITING, Job, Store, already_started

TICK = 0.3
LOOKED_AT_EVERY = 5.0
EXPIRED_EVERY = 300.0
MOST_ATTEMPTS = 3
"""A job that was running so many times when the server died is not started again: it may be the cause."""

PROJECTS = "projects"
LOG = "run.log"


class Runner(NamedTuple):
    """The process of a job, and when it was started on a clock that nobody sets and that stands while the machine does.

    What the store notes is the time of day: for showing, as it may be set meanwhile.
    """

    process: subprocess.Popen[bytes]
    since: float


class Queue:
    """Starts, watches and ends jobs; `start` recovers what an earlier server left.

    Parameters
    ----------
    store : Store
        The jobs.
    threads : int
        Threads of each job.
    """

    def __init__(self, store: Store, threads: int) -> None:
        self.store = store
        self.threads = threads
        self._running: Dict[str, Runner] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._next = {"look": 0.0, "expire": 0.0}

    def start(self) -> None:
        """Put back what was running when the server died, and begin."""
        for job in self.store.in_state(RUNNING):
            processes.end(job.pid, job.born)
            # The server may have died before it could note the process.
            processes.end_those_about(str(self.store.folder_of(job.id)))
            if job.attempts >= MOST_ATTEMPTS:
                words = f"The server stopped {job.attempts} times while this ran; it is not tried again."
                self._finish(job.id, FAILED, words)
            else:
                self.store.update(job.id, state=WAITING, pid=None, born=None, started=None)
        self._thread.start()

    def close(self) -> None:
        """End the running jobs; they begin again when a server starts."""
        self._stop.set()
        self._thread.join(timeout=30)
        with self._lock:
            for job in list(self._running):
                found = self.store.get(job)
                self._end(found)
                self.store.update(job, only_if=(RUNNING,), state=WAITING, pid=None, born=None, started=None,
                                  attempts=found.attempts - 1)  # fmt: skip
            self._running.clear()

    def submit(self, job: Job, request: Dict[str, Any], title: str) -> None:
        """Put a draft at the end of the queue."""
        self.store.require_room(0)
        if not self.store.update(job.id, only_if=(DRAFT,), state=WAITING, submitted=time.time(), request=request,
                                 title=title):  # fmt: skip
            raise already_started()

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or end it; what it has finished stays."""
        with self._lock:
            if self.store.update(job.id, only_if=(WAITING,), state=CANCELLED, ended=time.time()):
                return
            found = self.store.get(job.id)
            if found.state != RUNNING:
                raise RefusedError(409, "E_NOT_RUNNING", "this analysis does not run", "there is nothing to cancel")
            self._end(found)
            self._finish(job.id, CANCELLED, "")

    def delete(self, job: Job) -> None:
        """End a job if it runs, and delete everything of it."""
        with self._lock:
            found = self.store.get(job.id)
            if found.state == RUNNING:
                self._end(found)
            self.store.delete(job.id)
            self._running.pop(job.id, None)

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            try:
                with self._lock:
                    self._collect()
                    self._fill()
                    self._look()
            except Exception as error:  # the queue outlives whatever happens to a job
                print(f"queue: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _collect(self) -> None:
        for job, runner in list(self._running.items()):
            status = runner.process.poll()
            if status is not None:
                folder = self.store.folder_of(job)
                done = status == 0
                self._finish(job, DONE if done else FAILED, "" if done else progress.last_words(folder, status))

    def _fill(self) -> None:
        while len(self._running) < self.store.limits.at_once:
            waiting = self.store.in_state(WAITING)
            if not waiting:
                return
            self._begin(waiting[0])

    def _look(self) -> None:
        """End what takes too long or too much room, and delete what is old."""
        now = time.monotonic()
        if now > self._next["look"]:
            self._next["look"] = now + LOOKED_AT_EVERY
            for job, runner in list(self._running.items()):
                over = self._over_limits(now - runner.since)
                if over:
                    self._end(self.store.get(job))
                    self._finish(job, FAILED, over)
        if now > self._next["expire"]:
            self._next["expire"] = now + EXPIRED_EVERY
            self.store.expire()

    def _over_limits(self, seconds: float) -> str:
        limit = self.store.limits.seconds
        if seconds > limit:
            return f"It took longer than the {limit / 3600:.3g} hours that this server allows."
        try:
            self.store.require_room(0)
        except RefusedError as error:
            return f"{error.message[0].upper()}{error.message[1:]}."
        return ""

    def _begin(self, job: Job) -> None:
        folder = self.store.folder_of(job.id)
        for leftover in (PROJECTS, "figures"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
        (folder / progress.FILE).unlink(missing_ok=True)
        (folder / "job.json").write_text(json.dumps(self._order(job, folder)), encoding="utf-8")
        # Noted before there is a process: a server that dies in between must not start a second one beside it.
        self.store.update(job.id, state=RUNNING, started=time.time(), attempts=job.attempts + 1)
        try:
            process = self._runner(folder)
        except OSError:
            self.store.update(job.id, state=WAITING, started=None, attempts=job.attempts)
            raise
        self._running[job.id] = Runner(process, time.monotonic())
        self.store.update(job.id, pid=process.pid, born=processes.birth(process.pid))

    def _runner(self, folder: Path) -> subprocess.Popen[bytes]:
        with open(folder / LOG, "wb") as log:
            return subprocess.Popen(
                scipion.command(str(folder)),
                env=scipion.environment(self.store.folder, folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _order(self, job: Job, folder: Path) -> Dict[str, Any]:
        """Return what the runner is told: paths, methods, settings."""
        paths = {role: str(folder / "inputs" / entry["file"]) for role, entry in job.inputs.items()}
        request, examined = job.request or {}, job.examined or {}
        halves = "half1" in paths
        return {
            "project": time.strftime("cryores_%Y-%m-%d_%H%M%S", time.localtime(job.created)),
            "full": str(folder / "inputs" / FULL) if halves else paths["map"],
            "half1": paths.get("half1"),
            "half2": paths.get("half2"),
            "sharpened": paths.get("map") if halves else None,
            "mask": paths.get("mask"),
            "model": paths.get("model"),
            "sampling": request["settings"].get("voxel_size") or examined["voxel_size"],
            "methods": request["methods"],
            "settings": request["settings"],
            "threads": self.threads,
            "progress": str(folder / progress.FILE),
        }

    def _end(self, job: Job) -> None:
        runner = self._running.get(job.id)
        if runner is None:
            processes.end(job.pid, job.born)
        else:
            processes.end(runner.process.pid, processes.birth(runner.process.pid))
            runner.process.wait()

    def _finish(self, job: str, state: str, message: str) -> None:
        """Note how a job has ended; where that cannot be noted, it is tried again with the next look at the process."""
        self.store.update(job, only_if=(WAITING, RUNNING), state=state, message=message, ended=time.time(), pid=None,
                          born=None)  # fmt: skip
        self._running.pop(job, None)
