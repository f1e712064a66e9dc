"""Files on disk: what they hold, in one number, and writing one whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence, Union

CHUNK = 1 << 20

PathLike = Union[str, "os.PathLike[str]"]


def sha256(path: PathLike) -> str:
    """Return the SHA-256 checksum of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint(words: Sequence[str]) -> Dict[str, Any]:
    """Return the words of a command line, and the checksums of the files among them."""
    return {"words": list(words), "files": {word: sha256(word) for word in words if Path(word).is_file()}}


@contextlib.contextmanager
def appearing(path: PathLike) -> Iterator[Path]:
    """Give the name to write a file under; when the block ends well, the file appears as ``path``.

    For files that one process at a time writes. What a killed one left is written over by the next.
    """
    unfinished = Path(path).with_name(f".part-{Path(path).name}")
    yield unfinished
    os.replace(unfinished, path)
