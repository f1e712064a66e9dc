"""Peak memory of every method against its plan: one table, each row measured in a process of its own.

``python -m benchmarks.memory 96 160 --threads 1 4`` measures all; ``--methods fsc monores`` some.
``512 --plans`` runs nothing and tells the plans.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Callable, List, NamedTuple, Tuple

from benchmarks.bench_evaluate import bundle
from benchmarks.cases import MAKERS, OPTIONS
from benchmarks.measuring import COMPILING, PeakMemory, phantom
from cryores.execution import GIGABYTE, Execution
from cryores.method import MAP, RUNNING_BYTES, Inputs, load_method, method_summaries
from cryores.volume import full_map

HEADER = "{:18}{:8}{:>6}{:>8}{:>9}{:>9}{:>11}{:>11}{:>7}".format(
    "method", "given", "size", "threads", "peak", "plan", "peak, MB", "plan, MB", "ratio"
)
ROW = "{:18}{:8}{:6d}{:8d}{:9.2f}{:9.2f}{:11.0f}{:11.0f}{:7.2f}"


class Measured(NamedTuple):
    """Bytes beyond the inputs: peak and plan of a run, and of one of `COMPILING` voxels; what the process held before.

    The difference of the two runs is what grows with the maps: the rest is histograms, tables and stacks of threads.
    """

    peak: float
    plan: float
    small_peak: float
    small_plan: float
    before: float

    def row(self, size: int) -> Tuple[float, ...]:
        """Return growth of peak and plan in volumes, both of the whole process in MB, and their ratio."""
        volume, whole, planned = 4.0 * (size**3 - COMPILING**3), self.before + self.peak, RUNNING_BYTES + self.plan
        grown = (self.peak - self.small_peak) / volume, (self.plan - self.small_plan) / volume
        return (*grown, whole / 1e6, planned / 1e6, planned / whole)


def cases() -> List[List[str]]:
    """List every method with every kind of maps that it takes."""
    return [[name, kind] for name in method_summaries() for kind in load_method(name).maps]


def inputs_of(name: str, given: str, size: int, folder: Path) -> Inputs:
    """Make what a method is given: ``halves`` or one ``map``, and whatever else it needs."""
    method = load_method(name)
    if name == "evaluate":
        made = bundle(size, folder)
        return dataclasses.replace(made, processed_half1=made.before)
    if (name, given) == ("fsc", MAP):
        made = bundle(size, folder)
        return Inputs(made.maps, model=made.model)
    inputs = _made(MAKERS.get(name, phantom), size)
    if given == MAP:
        inputs = dataclasses.replace(inputs, maps=full_map(inputs.maps))
        if "reference" in method.optional:
            inputs = dataclasses.replace(inputs, reference=inputs.maps)
    return inputs if method.mask != "none" else dataclasses.replace(inputs, mask=None)


@lru_cache(maxsize=1)
def _made(maker: Callable[[int], Inputs], size: int) -> Inputs:
    return maker(size)


def measure(name: str, given: str, size: int, threads: int) -> Measured:
    """Run a method in this process, small to load what stays and then at ``size``; the process should be a new one."""
    method, execution = load_method(name), Execution(threads)
    parameters = method.make_parameters(OPTIONS.get(name, {}))
    with tempfile.TemporaryDirectory() as folder:
        small = inputs_of(name, given, COMPILING, Path(folder))
        method.run(small, parameters, execution)
        with PeakMemory() as least:
            method.run(small, parameters, execution)
        inputs = inputs_of(name, given, size, Path(folder))
        with PeakMemory() as peak:
            method.run(inputs, parameters, execution)
        plan, small_plan = (method.plan(these, parameters, threads) for these in (inputs, small))
    before = peak.start - inputs.held_bytes - small.held_bytes
    return Measured(peak.bytes, plan, least.bytes, small_plan, before)


def measured_apart(name: str, given: str, size: int, threads: int) -> Measured:
    """Return what `measure` finds in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.memory", "--one", name, given, str(size), str(threads)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent.parent)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def print_plans(methods: List[str], sizes: List[int], threads: List[int]) -> None:
    """Print what every method plans to hold at most, libraries and maps included, in GB (2**30 bytes)."""
    print("{:18}{:8}{:>6}{:>8}{:>10}".format("method", "given", "size", "threads", "plan, GB"))
    with tempfile.TemporaryDirectory() as folder:
        for name, given in (case for case in cases() if case[0] in methods):
            method = load_method(name)
            for size in sizes:
                inputs, parameters = inputs_of(name, given, size, Path(folder)), method.make_parameters({})
                for count in threads:
                    needed = RUNNING_BYTES + inputs.held_bytes + method.needed(inputs, parameters, count)
                    print(f"{name:18}{given:8}{size:6d}{count:8d}{needed / GIGABYTE:10.1f}", flush=True)


def main() -> None:
    """Print the table, each row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[96, 160])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--methods", nargs="+", default=list(method_summaries()))
    parser.add_argument("--plans", action="store_true", help="run nothing: say what would be needed, maps included")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        name, given, size, threads = asked.one
        print(json.dumps(measure(name, given, int(size), int(threads))))
        return
    if asked.plans:
        print_plans(asked.methods, asked.sizes, asked.threads)
        return
    print("beyond the inputs: of the computation in volumes of 4 bytes a voxel, of the whole process in MB")
    print(HEADER)
    for name, given in cases():
        for size in asked.sizes if name in asked.methods else ():
            for threads in asked.threads:
                found = measured_apart(name, given, size, threads)
                print(ROW.format(name, given, size, threads, *found.row(size)), flush=True)


if __name__ == "__main__":
    main()
