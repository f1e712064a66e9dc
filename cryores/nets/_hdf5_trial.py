"""Reads an HDF5 file of unknown origin in a process of its own, to see whether the library survives it.

The library believes what a file says: of damaged ones it makes room for gigabytes, stays for ever in a heap of texts
that leads back to itself, or ends the process. This file is also the program of that process, which imports no more.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LEAST_ROOM, LEAST_SECONDS = 256 << 20, 20
"""Bytes and processor time beyond what the size of the file allows, which is eight times it and 1 s for 10 MB."""


def fate_of_reader(path: Path) -> str:
    """Return what became of a process that has read the whole file: nothing, or why it did not come to its end."""
    size = path.stat().st_size
    limits = str(LEAST_ROOM + 8 * size), str(LEAST_SECONDS + size // 10**7)
    done = subprocess.run(
        [sys.executable, __file__, str(path), *limits],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode < 0:
        return f"reading it ends the process or takes for ever (signal {-done.returncode})"
    said = done.stderr.strip().splitlines()
    return (said[-1] if said else "it cannot be read") if done.returncode else ""


def limit_this_process(room: int, seconds: int) -> None:
    """Allow this process so many bytes of addresses, and so much time of a processor, beyond what it has now."""
    import psutil

    beyond = {
        resource.RLIMIT_AS: psutil.Process().memory_info().vms + room,
        resource.RLIMIT_CPU: int(time.process_time()) + seconds,
    }
    for kind, wanted in beyond.items():
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def read_whole(path: str) -> None:
    """Read every attribute and every data set of a file, but for those that lie in another file."""
    import h5py

    def read(_: str, item: Any) -> None:
        dict(item.attrs)
        if isinstance(item, h5py.Dataset) and not (item.is_virtual or item.external):
            item[()]

    with h5py.File(path, "r") as file:
        read("/", file)
        file.visititems(read)


if __name__ == "__main__":
    import h5py  # noqa: F401  # its own room does not count

    limit_this_process(int(sys.argv[2]), int(sys.argv[3]))
    read_whole(sys.argv[1])
