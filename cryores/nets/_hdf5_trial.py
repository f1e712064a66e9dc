"""Reads an HDF5 file of unknown origin in a process of its own, to see whether the library survives it.

The library believes what a file says: of damaged ones it makes room for gigabytes, stays for ever in a heap of texts
that leads back to itself, or ends the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEAST_ROOM, LEAST_SECONDS = 256 << 20, 20
"""Bytes and processor time beyond what the size of the file allows, which is eight times it and 1 s for 10 MB."""

TRIAL = """
import resource, sys
import h5py, numpy, psutil

room, seconds = int(sys.argv[2]), int(sys.argv[3])
for kind, wanted in ((resource.RLIMIT_AS, psutil.Process().memory_info().vms + room), (resource.RLIMIT_CPU, seconds)):
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))

def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset) and not (item.is_virtual or item.external):
        item[()]

with h5py.File(sys.argv[1], "r") as file:
    read("/", file)
    file.visititems(read)
"""


def fate_of_reader(path: Path) -> str:
    """Return what became of a process that has read the whole file: nothing, or why it did not come to its end."""
    size = path.stat().st_size
    limits = str(LEAST_ROOM + 8 * size), str(LEAST_SECONDS + size // 10**7)
    done = subprocess.run(
        [sys.executable, "-c", TRIAL, str(path), *limits], capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        return f"reading it ends the process or takes for ever (signal {-done.returncode})"
    said = done.stderr.strip().splitlines()
    return (said[-1] if said else "it cannot be read") if done.returncode else ""
