"""How time and memory of every method grow with the box: one table, with the exponents that are fitted to it.

``python -m benchmarks.scaling 64 96 128 --threads 1 4`` measures all; ``--methods fsc monores`` some. Each size and
number of threads has a process of its own, held to so many processors. Times are those of the processors, of all
threads together, which other programs on the machine change little; given as ratios to one FFT of scipy of the same
size and run with one worker, F(N), which itself grows a little faster than N cubed: an exponent of 3 is that of the
voxels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from benchmarks.cases import rows_of
from cryores.method import method_summaries

FOLDER = Path(__file__).parent
ROW = "{:26}{:>8}{:>6}{:>10}{:>9}{:>9}"


def apart(name: str, size: int, threads: int) -> List[Dict[str, Any]]:
    """Return the rows of one benchmark, run in a process that may use so many processors."""
    words = [sys.executable, "-m", "benchmarks.scaling", "--one", name, str(size), str(threads)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=FOLDER.parent)
    rows: List[Dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def here(name: str, size: int, threads: int) -> List[Dict[str, Any]]:
    """Run one benchmark in this process, held to the first processors."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return rows_of(name, size)


def exponent(sizes: List[int], values: List[float]) -> float:
    """Return the power of the size with which values grow, by least squares of logarithms; NaN for fewer than two."""
    known = [(np.log(n), np.log(v)) for n, v in zip(sizes, values) if v > 0]
    return float(np.polyfit(*zip(*known), 1)[0]) if len(known) > 1 else float("nan")


def fits(rows: List[Tuple[int, Dict[str, Any]]]) -> Iterator[Tuple[str, int, float, float]]:
    """Yield method, threads and the exponents of its time and its memory, of rows by number of threads."""
    grouped = defaultdict(list)
    for threads, row in rows:
        grouped[row["method"], threads].append(row)
    for (method, threads), some in grouped.items():
        sizes = [row["size"] for row in some]
        memory = [row["volumes"] * row["size"] ** 3 for row in some]
        yield method, threads, exponent(sizes, [row["processor_seconds"] for row in some]), exponent(sizes, memory)


def main() -> None:
    """Print the rows as they are measured, then the exponents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[64, 96, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[os.cpu_count() or 1])
    parser.add_argument("--methods", nargs="+", default=list(method_summaries()))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(here(asked.one[0], int(asked.one[1]), int(asked.one[2]))))
        return
    print(ROW.format("method", "threads", "size", "in F(N)", "volumes", "planned"))
    rows = []
    for name in asked.methods:
        for threads in asked.threads:
            for size in asked.sizes:
                for row in apart(name, size, threads):
                    rows.append((threads, row))
                    cells = (f"{row[key]:.1f}" for key in ("processor_rffts", "volumes", "planned_volumes"))
                    print(ROW.format(row["method"], threads, size, *cells), flush=True)
    print()
    print(ROW.format("method", "threads", "", "time", "memory", ""))
    for method, threads, time, memory in fits(rows):
        print(ROW.format(method, threads, "", f"N^{time:.2f}", f"N^{memory:.2f}", ""))


if __name__ == "__main__":
    main()
