"""The workers of a batch: processes of this machine, jobs of a queue, or a Dask scheduler that runs already."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

from cryores.batch.tasks import Task, mark
from cryores.errors import InputError, UsageError

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster"}
"""Queue system -> class of dask-jobqueue."""

DEATHS = 3
"""Workers that may die over one task before it counts as failed."""


@dataclass(frozen=True)
class Job:
    """What a job of a queue is asked for: threads, gigabytes, time (``HH:MM:SS``) and the queue's name."""

    threads: int
    memory: float
    walltime: Optional[str] = None
    queue: Optional[str] = None


@contextlib.contextmanager
def open_client(where: str, workers: int, job: Job) -> Iterator[Any]:
    """Give a Dask client of ``workers`` workers on ``where``: ``local``, a name of `QUEUES` or a scheduler's address.

    Raises
    ------
    UsageError
        ``E_NO_DASK`` if Dask, or dask-jobqueue for a queue, is not installed.
    InputError
        ``E_CLUSTER`` if the scheduler does not answer or the jobs cannot be submitted.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise _missing("dask and distributed") from error
    settings = {"distributed.scheduler.allowed-failures": DEATHS, "logging.distributed": "critical"}
    with dask.config.set(settings), contextlib.ExitStack() as opened:
        try:
            cluster = where if ":" in where else opened.enter_context(_cluster(where, workers, job, opened))
            client = opened.enter_context(Client(cluster, timeout=30))
        except (OSError, RuntimeError, ValueError) as error:
            reason = f"the cluster {where!r} cannot be used: {error}"
            raise InputError(
                "E_CLUSTER", reason, "check the address, or that the queue's commands work here"
            ) from error
        yield client


def _cluster(where: str, workers: int, job: Job, opened: contextlib.ExitStack) -> Any:
    if where == "local":
        from distributed import LocalCluster

        scratch = opened.enter_context(tempfile.TemporaryDirectory(prefix="cryores-batch-"))
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            # Each method plans its memory and keeps to its budget.
            memory_limit=0,
            dashboard_address=None,
            local_directory=scratch,
            silence_logs=50,
        )
    try:
        import dask_jobqueue
    except ImportError as error:
        raise _missing("dask-jobqueue") from error
    given = {name: value for name, value in (("walltime", job.walltime), ("queue", job.queue)) if value}
    cluster = getattr(dask_jobqueue, QUEUES[where])(
        cores=job.threads,
        processes=1,
        memory=f"{job.memory:g}GB",
        # A worker does one map at a time, with all its threads.
        worker_extra_args=["--nthreads", "1"],
        **given,
    )
    cluster.scale(jobs=workers)
    return cluster


def _missing(what: str) -> UsageError:
    return UsageError("E_NO_DASK", f"{what} cannot be imported", "pip install 'scipion-em-cryores[cluster]'")


def outcomes(
    client: Any, tasks: Sequence[Task], do: Callable[[Task], Dict[str, Any]]
) -> Iterator[Tuple[Task, Dict[str, Any]]]:
    """Do all ``tasks`` by ``do`` on the workers of ``client``; yield each with its outcome as soon as it is over.

    The task of a worker that dies is done by another; one over which `DEATHS` workers died has failed.
    """
    from distributed import KilledWorker, as_completed

    waiting = {client.submit(do, task, pure=False): task for task in tasks}
    for future in as_completed(list(waiting)):
        try:
            outcome = future.result()
        except KilledWorker:
            reason = "E_WORKER: its workers died again and again (memory, or the system stopped them)"
            outcome = {"seconds": float("nan"), "reason": reason}
            mark(waiting[future], outcome)
        yield waiting.pop(future), outcome
        future.release()
