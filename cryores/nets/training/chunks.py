"""Lessons are made in chunks, each a file: those that are there stay, the others are made side by side."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any, Callable, Iterator, Sequence, Tuple

from threadpoolctl import threadpool_limits

from cryores.execution import Execution

LOOK_EVERY = 2.0
"""Seconds between two looks whether the process that started one is still there."""


def make_missing(
    make: Callable[[Tuple[int, Path]], None],
    files: Sequence[Path],
    processes: int,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Call ``make((number, file))`` for every file that is not there, in so many processes; tell of each."""
    missing = [(number, file) for number, file in enumerate(files) if not file.is_file()]
    if not missing:
        return
    done = len(files) - len(missing)
    with side_by_side(processes) as each:
        for number, _ in enumerate(each(make, missing), done + 1):
            tell(f"chunk {number} of {len(files)}")


@contextmanager
def side_by_side(processes: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a ``map`` that uses so many processes; of one, it is this one."""
    if processes == 1:
        yield map
        return
    with workers(processes) as pool:
        yield pool.map


def workers(processes: int) -> ProcessPoolExecutor:
    """Return a pool of processes that end with this one, however it ends: by themselves they would wait for ever.

    Each has one thread: those of products of matrices, one a processor in every process, would be in each other's way.
    """
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))


def _begin(parent: int) -> None:
    Execution(threads=1).use_threads()
    threadpool_limits(1, "blas")
    _end_with(parent)


def _end_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
