"""Time and memory of MonoRes against one real FFT of scipy of the same size, one worker, in the same run.

``python benchmarks/bench_monores.py 128 256``
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Dict, List

import numpy as np
import psutil
import scipy.fft

from cryores.execution import Execution
from cryores.fourier import RealFFT
from cryores.method import Inputs
from cryores.resolution.monores import METHOD
from cryores.volume import Grid, HalfMaps, Volume

FREQUENCIES = 39
VOXEL_SIZE = 1.0


def phantom(size: int) -> Inputs:
    """Make half maps of a ball of white signal under stronger noise, with the ball as the mask."""
    rng = np.random.default_rng(0)
    grid = Grid.regular((size, size, size), VOXEL_SIZE)
    axis = np.arange(size) - size // 2
    ball = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (0.3 * size) ** 2).astype(np.float32)
    signal = ball * rng.standard_normal(grid.shape, dtype=np.float32)
    halves = [Volume(signal + np.float32(0.3) * rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12"]
    return Inputs(HalfMaps(*halves), mask=Volume(ball, grid))


class PeakMemory:
    """The most memory that this process holds above what it held at the start, sampled every few milliseconds."""

    def __enter__(self) -> PeakMemory:
        self._process = psutil.Process()
        self._start = self._process.memory_info().rss
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.003):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._start)

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(size: int, repeats: int = 3) -> List[Dict[str, Any]]:
    """Return one row for each filter: seconds, in units of one FFT, of 12 planned FFTs, and memory in volumes."""
    inputs = phantom(size)
    execution = Execution()
    execution.use_threads()
    volume = 4.0 * size**3
    METHOD.compute(phantom(32), METHOD.make_parameters({"max_resolution": 8.0}), execution)  # compiles
    one = _best(lambda: scipy.fft.rfftn(inputs.mask.data, workers=1), repeats)
    rows = []
    for name in ("highpass", "bandpass"):
        parameters = METHOD.make_parameters({**_range_of_39(inputs.grid), "filter": name})
        with PeakMemory() as peak:
            start = time.perf_counter()
            run = Execution()
            result = METHOD.compute(inputs, parameters, run)
            seconds = time.perf_counter() - start
        count = len(result.details["tested_resolutions"])
        twelve = _twelve_transforms(inputs.grid, run.threads, repeats)
        rows.append(
            {
                "method": f"monores {name}",
                "size": size,
                "frequencies": count,
                "seconds": seconds,
                "rffts": seconds / one,
                "sweep_over_12_planned_ffts": run.timings["sweeping frequencies"] / count / twelve,
                "volumes": peak.bytes / volume,
                "planned_volumes": METHOD.memory(inputs, parameters, run.threads) / volume,
            }
        )
    return rows


def _twelve_transforms(grid: Grid, threads: int, repeats: int) -> float:
    """Time what each frequency needs of two half maps: ten inverse and two forward planned transforms."""
    plan = RealFFT(grid.shape, threads)
    real, spectrum = plan.empty_real(), plan.empty_spectrum()
    real[:] = 0
    forward = _best(lambda: plan.forward(real, spectrum), repeats)
    backward = _best(lambda: plan.backward(spectrum, real), repeats)
    return 10 * backward + 2 * forward


def _range_of_39(grid: Grid) -> Dict[str, float]:
    from cryores.monogenic import sweep_resolutions

    for step in np.arange(0.6, 0.1, -0.01):
        found = sweep_resolutions(grid, 18.0, grid.nyquist, float(step))
        if len(found) >= FREQUENCIES:
            return {
                "max_resolution": 18.0,
                "min_resolution": float(found[FREQUENCIES - 1]),
                "resolution_step": float(step),
            }
    return {"max_resolution": 18.0, "resolution_step": 0.1}


def _best(call: Any, repeats: int) -> float:
    def seconds() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(seconds() for _ in range(repeats + 1))


if __name__ == "__main__":
    for side in map(int, sys.argv[1:] or ["128"]):
        for row in measure(side):
            print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
