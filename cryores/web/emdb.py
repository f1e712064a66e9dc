"""Entries of the Electron Microscopy Data Bank, fetched when a client asks for one, and from one address only."""

from __future__ import annotations

import contextlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Optional

from cryores.web.limits import RefusedError, too_large
from cryores.web.store import Store
from cryores.web.uploads import accept

ADDRESS = "https://files.wwpdb.org/pub/emdb/structures"
"""The archive; a laboratory's own copy of it may be named with ``--emdb``."""

FILES = {
    "half1": "EMD-{0}/other/emd_{0}_half_map_1.map.gz",
    "half2": "EMD-{0}/other/emd_{0}_half_map_2.map.gz",
    "map": "EMD-{0}/map/emd_{0}.map.gz",
}
NUMBERS = (1, 99_999_999)
TIMEOUT = 30.0
CHUNK = 1 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The archive answers itself; what sends us elsewhere is not followed."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def fetch(number: Any, store: Store, job: str, address: str = ADDRESS) -> Dict[str, Any]:
    """Fetch the half maps of an entry and its map, and enter them among the job's inputs.

    Parameters
    ----------
    number : int or str
        Of the entry, with or without ``EMD-``.
    store, job : Store, str
        Where they go.
    address : str
        The archive.

    Returns
    -------
    dict
        Role -> entry of the job's inputs.

    Raises
    ------
    RefusedError
        ``E_EMDB_NUMBER`` · ``E_EMDB_ENTRY`` there is no such entry · ``E_EMDB`` the archive cannot be reached.
    """
    entry = _number(number)
    arrived: Dict[str, Any] = {}
    for role, file in FILES.items():
        if role == "half2" and "half1" not in arrived:
            continue
        url = f"{address}/{file.format(entry)}"
        folder = store.folder_of(job) / "inputs"
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        part = Path(name)
        try:
            if _download(url, part, store):
                shown = f"EMD-{entry} {'map' if role == 'map' else 'half map ' + role[-1]}"
                arrived[role] = accept(part, store, job, role, shown)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    if "map" not in arrived and "half2" not in arrived:
        raise RefusedError(404, "E_EMDB_ENTRY", f"there is no map EMD-{entry} in the archive", "check the number")
    return arrived


def _number(number: Any) -> str:
    digits = str(number).strip().upper()
    digits = (digits[4:] if digits.startswith("EMD-") else digits).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8 and int(digits) >= NUMBERS[0]):
        raise RefusedError(
            422, "E_EMDB_NUMBER", "that is no number of an EMDB entry", "give one such as 3488 or EMD-3488"
        )
    return digits if len(digits) >= 4 else digits.zfill(4)


def _download(url: str, part: Path, store: Store) -> bool:
    """Write what is at an address into ``part``; return False where there is nothing."""
    opener = urllib.request.build_opener(_NoRedirect)
    limit, size = store.limits.map_bytes, 0
    try:
        with opener.open(url, timeout=TIMEOUT) as answer, open(part, "wb") as file:
            while True:
                chunk = answer.read(CHUNK)
                if not chunk:
                    break
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                store.require_room(len(chunk))
                file.write(chunk)
            promised: Optional[str] = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return False
        raise _unreachable(f"it answered {error.code}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _unreachable(str(getattr(error, "reason", error) or type(error).__name__)) from error
    if promised is not None and size < int(promised):
        raise _unreachable("the connection broke")
    return True


def _unreachable(why: str) -> RefusedError:
    return RefusedError(
        502, "E_EMDB", f"the EMDB archive cannot be reached from this server ({why})",
        "download the entry on another machine and upload the files",
    )  # fmt: skip
