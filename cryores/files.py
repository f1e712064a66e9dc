"""Files on disk: whether they can be read, what they hold, in one number, and writing one whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Tuple, Union

from cryores.errors import InputError

CHUNK = 1 << 20

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Numbers of the errors of a place where nothing more can be written."""

PathLike = Union[str, "os.PathLike[str]"]


def require_file(path: PathLike) -> Path:
    """Return the path of a file that this user can read; nothing else is opened, as pipes and devices may never end.

    Raises
    ------
    InputError
        ``E_NO_FILE`` missing, or no file but a folder, a pipe or a device · ``E_READ`` a file that cannot be read.
    """
    path = Path(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            path.open("rb").close()
            return path
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError("E_NO_FILE", f"there is no file {path}", "check the name") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError("E_READ", f"{path} cannot be read: {reason}", "check the name, and who may read it") from error
    what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
    raise InputError("E_NO_FILE", f"{path} is {what}, and no file", "give the file itself")


@contextlib.contextmanager
def unchanging(paths: Iterable[PathLike]) -> Iterator[None]:
    """Refuse what was made from files that were written, replaced or removed meanwhile; none need be there at first.

    Raises
    ------
    InputError
        ``E_CHANGED``, also in place of the error that it led to.
    """
    before = {os.fspath(path): _state(path) for path in paths}

    def compare(cause: Optional[Exception]) -> None:
        for path, state in before.items():
            if _state(path) != state:
                raise InputError(
                    "E_CHANGED", f"{path} was changed while it was used", "start again when nothing writes to it"
                ) from cause

    try:
        yield
    except Exception as error:
        compare(error)
        raise
    compare(None)


def _state(path: PathLike) -> Optional[Tuple[int, int]]:
    """Return size and time of a file: some file systems give it another number at each look."""
    try:
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    except (OSError, ValueError):
        return None


def spelled(path: PathLike) -> str:
    r"""Return a path as text that can be written anywhere: what is no UTF-8 in it as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def sha256(path: PathLike) -> str:
    """Return the SHA-256 checksum of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint(words: Sequence[str]) -> Dict[str, Any]:
    """Return the words of a command line, and the checksums of the files among them that can be read."""
    return {"words": list(words), "files": {word: sha256(word) for word in words if _is_readable(word)}}


def _is_readable(word: str) -> bool:
    return os.path.isfile(word) and os.access(word, os.R_OK)


@contextlib.contextmanager
def appearing(path: PathLike) -> Iterator[Path]:
    """Give the name to write a file under; when the block ends well, the file appears as ``path``.

    For files that one process at a time writes. What a killed one left is written over by the next.
    """
    unfinished = Path(path).with_name(f".part-{Path(path).name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
