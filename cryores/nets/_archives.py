"""Weight files out of archives that anybody may have made: no path, link or size of theirs is obeyed."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Collection, Iterator, List, Tuple

from cryores.errors import WeightsError

LARGEST_TOTAL = 4 << 30
"""Bytes of all members together, wanted or not; the published sets have less than 1 GB."""
MOST_MEMBERS = 10000
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)

Entry = Tuple[str, int, bool, Callable[[], Any]]
"""Name, size, whether it is a plain file, and what opens it."""


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip or a tar, by its content."""
    if zipfile.is_zipfile(path):
        return True
    try:
        _opened_tar(path).close()
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError):
        return False
    return True


def _opened_tar(path: Path) -> tarfile.TarFile:
    """Open a tar, plain or packed with gzip or bzip2; others ask for gigabytes before they have unpacked a byte."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"\x1f\x8b":
        return tarfile.open(path, "r:gz")
    return tarfile.open(path, "r:bz2" if start == b"BZ" else "r:")


def unpack(archive: Path, wanted: Collection[str], folder: Path) -> List[Path]:
    """Copy the members whose last name is in ``wanted`` into ``folder``, under that name alone.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_ARCHIVE`` for what is damaged or no archive, has a path that leads elsewhere, a link or a device in
        a wanted file's place, one name twice, or more than any weights need.
    """
    taken: List[Path] = []
    total = 0
    try:
        for number, (name, size, plain, opened) in enumerate(_entries(archive)):
            total += size
            if number >= MOST_MEMBERS or total > LARGEST_TOTAL:
                raise _refused(archive, f"{name} makes it larger than any weights are")
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise _refused(archive, f"{name} leads out of the folder")
            target = folder / path.name
            if path.name not in wanted:
                continue
            if not plain or target in taken:
                raise _refused(archive, f"{name} is there twice, or is no plain file")
            with opened() as source, open(target, "xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)  # both libraries stop at the size that is told
            if target.stat().st_size != size:
                raise _refused(archive, f"{name} is cut short")
            taken.append(target)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        RuntimeError,
        ValueError,
        OverflowError,
        MemoryError,
    ) as error:
        raise _refused(archive, f"it is damaged or no archive: {error}") from error
    except OSError as error:
        # Of gzip, and of a place before the file's beginning; what the disk says is for others to tell.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _refused(archive, f"it is damaged or no archive: {error}") from error
    return taken


def _entries(archive: Path) -> Iterator[Entry]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                mode = info.external_attr >> 16
                plain = not info.filename.endswith("/") and not stat.S_ISLNK(mode)
                if info.compress_type not in PACKINGS:
                    raise _refused(archive, f"{info.filename} is packed in a way that asks for too much memory")
                yield info.filename, info.file_size, plain, lambda info=info: packed.open(info)  # type: ignore[misc]
        return
    with _opened_tar(archive) as packed_tar:
        for member in packed_tar:
            opener = lambda member=member: packed_tar.extractfile(member)  # type: ignore[misc]  # noqa: E731
            yield member.name, member.size, member.isreg(), opener
        # The checksum of the packed stream lies behind the last member.
        for _ in range(LARGEST_TOTAL >> 20):
            if not packed_tar.fileobj.read(1 << 20):  # type: ignore[union-attr]
                break


def _refused(archive: Path, reason: str) -> WeightsError:
    return WeightsError(
        "E_WEIGHTS_ARCHIVE", f"{archive} is refused: {reason}", "fetch it again, from the address of its publisher"
    )
