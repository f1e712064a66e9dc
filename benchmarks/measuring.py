"""What the benchmarks share: a phantom, the unit of time, and the peak of memory."""

from __future__ import annotations

import ctypes
import dataclasses
import time
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import scipy.fft

from cryores.execution import Execution, process_memory
from cryores.masks import soft_edge, sphere
from cryores.method import Inputs, Method
from cryores.volume import Grid, HalfMaps, Volume, full_map

REPEATS = 3
VOXEL_SIZE = 1.0
COMPILING = 48
"""Size of the phantom that compiles."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of the options in the C library of Linux."""
LARGEST_KEPT = 1 << 25
"""Bytes of the largest freed array that this library keeps for later, once it has seen such, if nobody forbids it."""
MASK_RADIUS = 0.3
"""Of the box: a tenth of its voxels, as in most reconstructions."""


def phantom(size: int) -> Inputs:
    """Make half maps of a ball of white signal under noise of a third of its strength, with the ball as the mask."""
    rng = np.random.default_rng(0)
    grid = Grid.regular((size, size, size), VOXEL_SIZE)
    ball = sphere(grid, MASK_RADIUS * size * VOXEL_SIZE)
    signal = ball.data * rng.standard_normal(grid.shape, dtype=np.float32)
    halves = [Volume(signal + np.float32(0.3) * rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12"]
    return Inputs(HalfMaps(*halves), mask=ball)


def softly_masked(size: int) -> Inputs:
    """Make the phantom with an edge of six voxels on its mask."""
    inputs = phantom(size)
    assert inputs.mask is not None
    return dataclasses.replace(inputs, mask=soft_edge(inputs.mask, 6.0 * VOXEL_SIZE))


def unmasked(size: int) -> Inputs:
    """Make the phantom without its mask."""
    return dataclasses.replace(phantom(size), mask=None)


def with_resolution(size: int) -> Inputs:
    """Make the phantom with a resolution of 3 Å at its centre and 10 Å at the rim of its mask, 0 beyond."""
    inputs = phantom(size)
    assert inputs.mask is not None
    z, y, x = (i - np.float32(size // 2) for i in np.indices(inputs.grid.shape, sparse=True))
    far = np.sqrt(z * z + y * y + x * x) / np.float32(MASK_RADIUS * size)
    return dataclasses.replace(inputs, resolution_map=inputs.mask.like((3.0 + 7.0 * far) * inputs.mask.data))


def best(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the shortest time in seconds, after one call that does not count."""

    def seconds() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min([seconds() for _ in range(repeats + 1)][1:])


def processor_seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the least processor time in seconds, of all threads, after one call that does not count."""

    def seconds() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return min([seconds() for _ in range(repeats + 1)][1:])


def one_fft(data: np.ndarray[Any, Any]) -> float:
    """Time one real FFT of scipy with one worker: the unit of every table."""
    return best(lambda: scipy.fft.rfftn(data, workers=1))


class PeakMemory:
    """The most memory that this process holds above ``start``, what it held before, as Linux counts it: ``bytes``."""

    def __enter__(self) -> PeakMemory:
        _give_back_at_once()
        # Makes the kernel forget the highest mark so far.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self.start = process_memory("VmRSS")
        return self

    def __exit__(self, *error: object) -> None:
        self.bytes = process_memory("VmHWM") - self.start
        _keep_for_later()


def _give_back_at_once() -> None:
    """Make freed arrays go back to the system: what the C library keeps for later would count as held."""
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, 1 << 16)
    library.malloc_trim(0)


def _keep_for_later() -> None:
    """Make freed arrays stay, as without a measurement of memory: what goes back is slower to get again."""
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    library.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_KEPT)


def cost(title: str, method: Method, make: Callable[[int], Inputs], size: int, **values: Any) -> Dict[str, Any]:
    """Run a method on ``make(size)``: small to compile it, once for its memory, once for its time; return the row."""
    parameters, execution = method.make_parameters(values), Execution()
    with execution.at_work():
        method.compute(make(COMPILING), parameters, execution)
        inputs = make(size)
        data = full_map(inputs.maps).data
        unit, on_processor = one_fft(data), processor_seconds(lambda: scipy.fft.rfftn(data, workers=1))
        with PeakMemory() as peak:
            method.compute(inputs, parameters, execution)
        start, spent = time.perf_counter(), time.process_time()
        method.compute(inputs, parameters, execution)
        seconds, spent = time.perf_counter() - start, time.process_time() - spent
    volume = 4.0 * inputs.grid.size
    return {
        "method": title,
        "size": size,
        "seconds": seconds,
        "rffts": seconds / unit,
        "processor_seconds": spent,
        "processor_rffts": spent / on_processor,
        "volumes": peak.bytes / volume,
        "planned_volumes": method.plan(inputs, parameters, execution.threads) / volume,
    }
