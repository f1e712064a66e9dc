"""How a computation may run: threads, memory budget, device; and what it tells while it runs."""

from __future__ import annotations

import math
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional

from cryores.backend import HOST, Backend
from cryores.errors import MemoryBudgetError

GIGABYTE = 1024.0**3

LIBRARIES, A_THREAD = 192.0 * 1024**2, 256.0 * 1024**2
"""Addresses, not memory, that libraries still to be loaded take, and that each thread of the pools does."""

TENSORFLOW, A_PROCESSOR = 768.0 * 1024**2, 80.0 * 1024**2
"""Addresses that TensorFlow takes beside its memory, and for each processor, whatever ``threads``: stacks and heaps.

Measured (TensorFlow 2.21, x86-64): its import takes 1271 MB of addresses and 525 MB of memory; its first operation
takes 220 MB of addresses on one processor and 436 MB on four, and 72 MB for each further thread.
"""

NO_ROOM = "use --device cpu, give a GPU with more memory, or crop or bin the maps"
"""What to do where the memory of a GPU does not suffice."""


class Stage:
    """One stage of a computation, which counts its steps. This one is silent; the command line shows a bar."""

    def advance(self, steps: int = 1) -> None:
        """Say that ``steps`` more steps are done."""

    def close(self) -> None:
        """Say that the stage is over, complete or not."""


def available_threads() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> float:
    """Return the memory in bytes that can be had now without swapping."""
    import psutil

    return float(psutil.virtual_memory().available)


def process_memory(name: str) -> float:
    """Return bytes that Linux tells of this process: ``VmRSS``, what it holds, or ``VmHWM``, the most it has held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def available_addresses(threads: int) -> float:
    """Return the bytes of arrays that a limit on the address space (``ulimit -v``) leaves; infinite without a limit.

    Below 0 where libraries and threads alone go beyond it.
    """
    import psutil

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    taken = float(psutil.Process().memory_info().vms)
    return limit - taken - LIBRARIES - threads * A_THREAD


def network_addresses() -> float:
    """Return the bytes of addresses that TensorFlow takes beside its memory, where it is still to be started."""
    return TENSORFLOW + available_threads() * A_PROCESSOR


def share_out(count: int, at_once: int, work: Callable[[slice], None], threads: int) -> None:
    """Call ``work`` with slices of ``at_once`` that together are ``count``, ``threads`` of them at a time.

    The slices do not depend on the threads, nor what is made of them.
    """
    slices = [slice(start, start + at_once) for start in range(0, count, at_once)]
    if threads == 1 or len(slices) == 1:
        for each in slices:  # here: handing it to a thread can take longer than the work
            work(each)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slices))


class Execution:
    """Threads, memory budget and device of one run; it measures how long each stage takes.

    Parameters
    ----------
    threads : int, optional
        Number of threads; default, every processor of this process.
    memory : float, optional
        Memory that the process may hold in gigabytes (2**30 bytes), maps and libraries included; default, what is free
        beyond what it holds already.
    device : str
        ``cpu`` or ``cuda[:N,M]``: where methods that have a GPU version run; see `use_device`.
    open_stage : callable
        Called with a title and a number of steps (0 = unknown); returns a `Stage`.
    say : callable
        Receives one-line messages for the user.
    scratch : path, optional
        Folder for files without names that volumes larger than memory need; default, that of the system.
    backend : Backend
        Where arrays are computed on until `use_device` chooses.

    Attributes
    ----------
    planned_bytes, held_bytes : float
        What the plan allows the computation, and what libraries and maps take beside it.
    held_addresses : float
        Addresses that are taken beside memory, threads and the usual libraries.
    """

    def __init__(
        self,
        threads: Optional[int] = None,
        memory: Optional[float] = None,
        device: str = "cpu",
        open_stage: Callable[[str, int], Stage] = lambda title, steps: Stage(),
        say: Callable[[str], None] = lambda line: None,
        scratch: Optional[Path] = None,
        backend: Backend = HOST,
    ) -> None:
        self.threads = threads or available_threads()
        self.memory = memory
        self.device = device
        self.say = say
        self.scratch = scratch
        self.backend = backend
        self.timings: Dict[str, float] = {}
        self.planned_bytes = 0.0
        self.held_bytes = 0.0
        self.held_addresses = 0.0
        self._open_stage = open_stage

    @contextmanager
    def stage(self, title: str, steps: int = 0) -> Iterator[Stage]:
        """Run a stage: show its progress, add its seconds to ``timings``."""
        stage = self._open_stage(title, steps)
        start = time.perf_counter()
        try:
            yield stage
        finally:
            stage.close()
            self.timings[title] = self.timings.get(title, 0.0) + time.perf_counter() - start

    @property
    def budget(self) -> float:
        """Bytes that a computation may hold beyond ``held_bytes``: what is left of the budget, or what is free.

        No more than can be addressed.
        """
        allowed = self.memory * GIGABYTE - self.held_bytes if self.memory is not None else available_memory()
        return min(allowed, max(0.0, self._addresses()))

    def _addresses(self) -> float:
        return available_addresses(self.threads) - self.held_addresses

    def require_memory(self, needed: float) -> None:
        """Print the plan, and refuse it when it does not fit.

        Parameters
        ----------
        needed : float
            Bytes that the computation will hold at its peak beyond ``held_bytes``.

        Raises
        ------
        MemoryBudgetError
            If that is more than the budget, or more than the free memory when no budget was given.
        """
        self.planned_bytes = needed
        budget = self.budget
        whole, allowed = ((part + self.held_bytes) / GIGABYTE for part in (needed, budget))
        self.say(f"memory: needs {whole:.2f} GB, {allowed:.2f} GB allowed")
        if needed > budget:
            raise MemoryBudgetError(
                "E_MEMORY",
                f"this needs {whole:.2f} GB and the budget is {allowed:.2f} GB",
                self._room_for(needed),
            )

    def _room_for(self, needed: float) -> str:
        """Say how the plan of ``needed`` bytes, which is beyond the budget, would fit."""
        beyond = needed - self._addresses()
        if beyond > 0:
            more = math.ceil(100 * beyond / GIGABYTE) / 100
            return f"raise the limit of addresses (ulimit -v) by {more:.2f} GB or more, or crop or bin the maps"
        whole = math.ceil(100 * (needed + self.held_bytes) / GIGABYTE) / 100
        return f"set --memory to {whole:.2f} or more, free memory, or crop or bin the maps"

    def use_device(self, needed: float) -> None:
        """Compute on the GPU that ``device`` names, if it names one, from now on.

        Parameters
        ----------
        needed : float
            Bytes that the computation will hold there at its peak.

        Raises
        ------
        UsageError
            ``E_NO_GPU`` if there is none, or CuPy is not installed.
        MemoryBudgetError
            ``E_MEMORY`` if more is needed than is free there.
        """
        if self.device != "cpu":
            from cryores.cuda_backend import cuda_backend

            self.backend = cuda_backend(self.device, self.say)
        name, free = self.backend.name, self.backend.free_bytes()
        if self.backend is not HOST:
            self.say(f"memory of {name}: needs {needed / GIGABYTE:.2f} GB")
        if needed > free:
            raise MemoryBudgetError(
                "E_MEMORY",
                f"this needs {needed / GIGABYTE:.2f} GB on {name}, where {free / GIGABYTE:.2f} GB are free",
                NO_ROOM,
            )

    @contextmanager
    def within_memory(self) -> Iterator[None]:
        """Turn what a GPU raises when it has run out of memory into ``E_MEMORY``."""
        try:
            yield
        except MemoryError as error:
            if self.backend is HOST:
                raise
            name = self.backend.name
            raise MemoryBudgetError("E_MEMORY", f"{name} has run out of memory: {error}", NO_ROOM) from error

    def use_threads(self) -> None:
        """Make numba's parallel loops in this thread use ``threads`` threads."""
        import numba

        numba.set_num_threads(max(1, min(self.threads, numba.config.NUMBA_NUM_THREADS)))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Give numba's parallel loops ``threads`` threads, and numpy's products of matrices one each.

        Those know nothing of ``threads``, and their threads spin while they wait: where products and loops took turns,
        four times as much was computed. Methods that multiply much share the products out themselves.
        """
        from threadpoolctl import threadpool_limits

        self.use_threads()
        with threadpool_limits(1, "blas"):
            yield
