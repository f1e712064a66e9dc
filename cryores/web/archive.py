"""Folders as tar archives, made while they are sent: nothing is written, whatever the size."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Iterator

CHUNK = 1 << 20


def tar_stream(folder: Path, name: str, within: Path) -> Iterator[bytes]:
    """Yield the bytes of a tar archive of ``folder``, called ``name`` in it.

    A link to a file becomes the file, if that lies under ``within``; other links are left out. (Scipion links the maps
    that it imports.)
    """
    within = within.resolve()
    for place, _, files in sorted(os.walk(folder)):
        inner = Path(name) / Path(place).relative_to(folder)
        yield _header(tarfile.TarInfo(str(inner)), 0, Path(place).stat().st_mtime, tarfile.DIRTYPE, 0o755)
        for file in sorted(files):
            path = Path(place) / file
            real = path.resolve()
            if real.is_file() and within in real.parents:
                yield from _file(real, str(inner / file))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _file(path: Path, name: str) -> Iterator[bytes]:
    with open(path, "rb") as source:
        status = os.fstat(source.fileno())
        yield _header(tarfile.TarInfo(name), status.st_size, status.st_mtime, tarfile.REGTYPE, 0o644)
        left = status.st_size
        while left:
            # A file that shrinks while it is sent is filled up: the header has promised its size.
            block = source.read(min(CHUNK, left)) or bytes(min(CHUNK, left))
            left -= len(block)
            yield block
    yield bytes(-status.st_size % tarfile.BLOCKSIZE)


def _header(info: tarfile.TarInfo, size: int, changed: float, kind: bytes, mode: int) -> bytes:
    info.size, info.mtime, info.type, info.mode = size, int(changed), kind, mode
    return info.tobuf(tarfile.PAX_FORMAT)
