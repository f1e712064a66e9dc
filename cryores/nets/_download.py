"""One file from the web: over several addresses, taken up where it was cut off, checked before it gets its name."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, List, Optional, Sequence

from cryores.errors import WeightsError
from cryores.execution import Execution

MEGABYTE = 1 << 20
CHUNK = 1 << 16
"""Bytes written at a time: what is lost when a connection breaks."""

ATTEMPTS = 5
"""Times that one address is taken up again, as long as something came the last time."""

LONGEST_LIST = 4 * MEGABYTE


class _UnusableError(Exception):
    """Why one address did not give the file."""


def download(
    urls: Sequence[str],
    target: Path,
    known_hash: Optional[str] = None,
    size: Optional[int] = None,
    timeout: float = 60.0,
    execution: Optional[Execution] = None,
) -> Path:
    """Fetch a file from the first address that gives it.

    Parameters
    ----------
    urls : sequence of str
        Addresses of the same file, tried in order.
    target : Path
        Where it is put. While it comes, it lies beside as ``NAME.part``, and a later call goes on from there if the
        server still has the same file.
    known_hash : str, optional
        ``sha256:...`` or ``md5:...``; a file with another is thrown away.
    size : int, optional
        Bytes that it must have.
    timeout : float
        Seconds without a byte after which an address is given up.
    execution : Execution, optional
        Where progress is shown, in megabytes.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_DOWNLOAD`` if no address gives it; the message has the reason of each. ``E_WEIGHTS_WRITE`` if it
        cannot be written; what came is kept.
    """
    import pooch
    import requests

    execution = execution or Execution()
    pooch.get_logger().setLevel("WARNING")
    reasons: List[str] = []
    for url in urls:
        transfer = _Transfer(target.with_name(f"{target.name}.part"), size, timeout, execution)
        try:
            pooch.retrieve(url, known_hash, fname=target.name, path=target.parent, downloader=transfer)
            return target
        except (_UnusableError, requests.RequestException) as error:
            reasons.append(f"{url}: {_in_short(error)}")
        except ValueError:
            reasons.append(f"{url}: what came has not the known hash {known_hash}")
        except OSError as error:
            raise cannot_write(target.parent, error) from error
    raise WeightsError(
        "E_WEIGHTS_DOWNLOAD",
        f"{target.name.lstrip('.')} could not be fetched ({'; '.join(reasons)})",
        "try again later, fetch it by another way and 'cryores weights import' it, or give --mirror",
    )


def published_md5(url: Optional[str], name: str, timeout: float) -> Optional[str]:
    """Return ``md5:...`` of a file from its server's list (md5sum's format, or Zenodo's), or None."""
    import requests

    if url is None:
        return None
    try:
        with requests.get(url, stream=True, timeout=min(timeout, 20.0)) as answer:
            answer.raise_for_status()
            text = next(answer.iter_content(LONGEST_LIST), b"").decode("utf-8", "replace")
    except requests.RequestException:
        return None
    return _of_zenodo(text, name) or _of_md5sum(text, name)


def cannot_write(folder: Path, error: OSError) -> WeightsError:
    """Return the error of a full disk or a folder that may not be written."""
    return WeightsError(
        "E_WEIGHTS_WRITE",
        f"cannot install in {folder}: {error}",
        "make room or give another --weights-dir, and run it again: it goes on where it stopped",
    )


class _Transfer:
    """Pooch's downloader that goes on where an earlier one was cut off."""

    def __init__(self, part: Path, size: Optional[int], timeout: float, execution: Execution) -> None:
        self.part, self.mark = part, part.with_name(f"{part.name}.tag")
        self.size, self.timeout, self.execution = size, timeout, execution

    def __call__(self, url: str, output: str, pooch: Any) -> None:
        import requests

        for attempt in range(ATTEMPTS):
            before = self._have()
            try:
                self._ask(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == ATTEMPTS - 1 or self._have() <= before:
                    raise
        os.replace(self.part, output)
        self.mark.unlink()

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() and self.mark.exists() else 0

    def _ask(self, url: str) -> None:
        import requests

        headers = {"Accept-Encoding": "identity"}
        have = self._have()
        if have:
            # The server sends the rest if its file is still the one that was begun, and the whole one otherwise.
            headers.update({"Range": f"bytes={have}-", "If-Range": self.mark.read_text()})
        with requests.get(url, stream=True, headers=headers, timeout=self.timeout) as answer:
            if answer.status_code == 416 and have:
                # There is nothing behind what came: it was complete, or is of a longer file. It is asked for anew.
                self.part.unlink()
                return self._ask(url)
            answer.raise_for_status()
            if answer.status_code != 206:
                have = 0
            total = self._check(have, answer.headers)
            self.mark.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "-")
            with open(self.part, "ab" if have else "wb") as file, self._stage(have, total) as stage:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    stage.advance(file.tell() // MEGABYTE - (file.tell() - len(chunk)) // MEGABYTE)
        if total is not None and self.part.stat().st_size != total:
            raise requests.ConnectionError(f"the server stopped after {self.part.stat().st_size} of {total} bytes")

    def _stage(self, have: int, total: Optional[int]) -> Any:
        return self.execution.stage("fetching (MB)", -(-((total or have) - have) // MEGABYTE))

    def _check(self, have: int, headers: Any) -> Optional[int]:
        """Return how long the file will be, after a look at whether that is right and fits on the disk."""
        length = headers.get("Content-Length", "")
        if not length.isdigit():
            return self.size
        total = have + int(length)
        if self.size is not None and total != self.size:
            raise _UnusableError(f"it has {total} bytes, and should have {self.size}")
        free = shutil.disk_usage(self.part.parent).free
        if free < total - have:
            raise OSError(f"{(total - have) / MEGABYTE:.0f} MB are needed, {free / MEGABYTE:.0f} MB are free")
        return total


def _of_zenodo(text: str, name: str) -> Optional[str]:
    try:
        files = json.loads(text)["files"]
        sums = [entry["checksum"] for entry in files if entry["key"] == name]
    except (ValueError, KeyError, TypeError):
        return None
    return sums[0].lower() if sums and re.fullmatch(r"md5:[0-9a-fA-F]{32}", sums[0]) else None


def _of_md5sum(text: str, name: str) -> Optional[str]:
    found = re.search(rf"^([0-9a-fA-F]{{32}})\s+\*?(?:\S*/)?{re.escape(name)}\s*$", text, re.M)
    return f"md5:{found.group(1).lower()}" if found else None


def _in_short(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"the server says {status}"
    cause = getattr(error.args[0], "reason", error) if error.args else error
    return str(cause).rsplit("): ", 1)[-1]  # without the name of the connection's class
