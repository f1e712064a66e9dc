"""Lessons are made in chunks, each a file: those that are there stay, the others are made side by side."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Callable, Sequence, Tuple


def make_missing(make: Callable[[Tuple[int, Path]], None], files: Sequence[Path], processes: int) -> None:
    """Call ``make((number, file))`` for every file that is not there, in so many processes."""
    missing = [(number, file) for number, file in enumerate(files) if not file.is_file()]
    if processes == 1:
        for one in missing:
            make(one)
    elif missing:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            list(pool.map(make, missing))
