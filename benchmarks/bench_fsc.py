"""Time and memory of the FSC against one real FFT of scipy of the same size, one worker, in the same run.

``python benchmarks/bench_fsc.py 128 256``
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import psutil
import scipy.fft

from cryores.execution import Execution
from cryores.masks import soft_edge, sphere
from cryores.method import Inputs
from cryores.resolution.fsc import METHOD
from cryores.volume import Grid, HalfMaps, Volume

REPEATS = 3


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row without and one with a mask: seconds, in units of one FFT, memory above the inputs in volumes."""
    rng = np.random.default_rng(0)
    grid = Grid.regular((size, size, size), 1.0)
    ball = sphere(grid, 0.3 * size).data
    signal = ball * rng.standard_normal(grid.shape, dtype=np.float32)
    halves = HalfMaps(*(Volume(signal + rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12"))
    mask = soft_edge(sphere(grid, 0.32 * size), 6.0)
    _best(lambda: scipy.fft.rfftn(signal, workers=1))
    unit = _best(lambda: scipy.fft.rfftn(signal, workers=1))
    rows = []
    for name, given in (("plain", None), ("masked", mask)):
        seconds, volumes = _run(Inputs(halves, mask=given))
        row = {"method": f"fsc {name}", "size": size, "seconds": seconds, "rffts": seconds / unit, "volumes": volumes}
        rows.append(row)
    return rows


def _run(inputs: Inputs) -> tuple[float, float]:
    execution, parameters = Execution(), METHOD.make_parameters({})

    def compute() -> None:
        METHOD.run(inputs, parameters, execution)

    compute()
    seconds = _best(compute)
    peak = _peak_bytes(compute)
    return seconds, peak / (4.0 * inputs.grid.size)


def _best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _peak_bytes(work: Callable[[], Any]) -> float:
    """Return the most resident memory above that at the start, sampled every few milliseconds."""
    process, stop, peak = psutil.Process(), threading.Event(), [0.0]
    start = process.memory_info().rss

    def watch() -> None:
        while not stop.wait(0.003):
            peak[0] = max(peak[0], process.memory_info().rss - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        stop.set()
        watcher.join()
    return peak[0]


def main(words: Optional[list[str]] = None) -> None:
    """Print one line for each size."""
    for size in map(int, words or sys.argv[1:] or ["128"]):
        for row in measure(size):
            print("{method}: {size}^3 {seconds:.3g} s, {rffts:.3g} FFTs, {volumes:.3g} volumes".format(**row))


if __name__ == "__main__":
    main()
