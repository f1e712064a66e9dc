"""Print how much faster several processes do a batch than one, each with one thread: ``[MAPS [WORKERS [METHOD]]]``.

The time of the processors is printed beside it: on a busy machine only that can be compared. What several processes
take more of it than one are their starts, and what they take from each other's caches.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Tuple

from benchmarks.measuring import phantom
from cryores.cli import main
from cryores.mapio import write_map
from cryores.volume import HalfMaps

SIZE = 64


def table(folder: Path, count: int) -> Path:
    """Write a phantom and a table that names it ``count`` times."""
    made = phantom(SIZE)
    assert isinstance(made.maps, HalfMaps) and made.mask is not None
    for name, volume in (("one", made.maps.half1), ("two", made.maps.half2), ("mask", made.mask)):
        write_map(folder / f"{name}.mrc", volume)
    rows = "".join(f"map{number},one.mrc,two.mrc,mask.mrc\n" for number in range(count))
    (folder / "maps.csv").write_text("name,half1,half2,mask\n" + rows)
    return folder / "maps.csv"


def seconds(maps: Path, workers: int, method: str) -> Tuple[float, float]:
    """Return how long the batch takes, and how long its processes are at work."""
    start, worked = time.perf_counter(), _worked()
    words = ["--methods", method, "--workers", str(workers), "--threads", "1", "--quiet"]
    assert main(["batch", str(maps), *words, "--out", str(maps.parent / f"out{workers}")]) == 0
    return time.perf_counter() - start, _worked() - worked


def _worked() -> float:
    """Return the processor time of all processes that have been started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    given = sys.argv[1:] + ["200", "4", "monores"][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as folder:
        maps = table(Path(folder), int(given[0]))
        (one, work), (several, works) = (seconds(maps, workers, given[2]) for workers in (1, int(given[1])))
    print(f"{given[0]} maps of {SIZE}^3, {given[2]}: {given[1]} processes are {one / several:.2f} times as fast as one")
    print(f"processor time: {work:.0f} s by one, {works:.0f} s by {given[1]}: on free processors at most "
          f"{int(given[1]) * work / works:.2f} times as fast")  # fmt: skip
