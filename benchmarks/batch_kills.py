"""Kill workers of a batch at random, and tell whether every row is done, and none twice: ``[MAPS [WORKERS [METHOD]]]``.

tests/cli/test_batch.py does the same with fewer maps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Set, Tuple

import numpy as np
import psutil

from benchmarks.batch_scaling import SIZE, table

KILLS = 3


def workers_of(batch: psutil.Process) -> List[psutil.Process]:
    """Return the processes of a batch that do rows."""
    found = []
    for process in batch.children(recursive=True):
        try:
            if "spawn_main" in " ".join(process.cmdline()) and not process.children() and process.num_threads() > 2:
                found.append(process)
        except psutil.Error:
            continue
    return found


def ends_of_rows(out: Path) -> Dict[str, int]:
    """Return when each row that is over was written, by its folder."""
    found = {}
    for marker in out.glob("*/*/batch.json"):
        try:
            found[str(marker.parent)] = marker.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def main(count: int, workers: int, method: str) -> bool:
    random = np.random.default_rng()
    with tempfile.TemporaryDirectory() as folder:
        maps, out = table(Path(folder), count), Path(folder) / "out"
        words = ["batch", str(maps), "--methods", method, "--workers", str(workers), "--threads", "1", "--quiet"]
        batch = subprocess.Popen([sys.executable, "-m", "cryores", *words, "--out", str(out)])
        moments = sorted(random.integers(1, max(2, count), KILLS))
        seen: Set[Tuple[str, int]] = set()
        killed = 0
        while batch.poll() is None:
            seen |= set(ends_of_rows(out).items())
            done = len({place for place, _ in seen})
            alive = workers_of(psutil.Process(batch.pid)) if killed < KILLS and done >= moments[killed] else []
            if alive:
                alive[random.integers(len(alive))].kill()
                killed += 1
                print(f"killed one after {done} rows", flush=True)
            time.sleep(0.05)
        seen |= set(ends_of_rows(out).items())
        reasons = [json.loads(marker.read_text())["reason"] for marker in out.glob("*/*/batch.json")]
    twice = len(seen) - len({place for place, _ in seen})
    done = reasons.count("")
    print(f"{count} maps of {SIZE}^3, {method}, {workers} processes of which {killed} were killed, "
          f"status {batch.returncode}: {done} done, {len(reasons) - done} failed, {twice} done twice")  # fmt: skip
    return batch.returncode == 0 and done == count and not twice and killed == KILLS


if __name__ == "__main__":
    given = sys.argv[1:] + ["200", "4", "fsc"][len(sys.argv) - 1 :]
    sys.exit(0 if main(int(given[0]), int(given[1]), given[2]) else 1)
