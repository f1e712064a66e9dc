"""Entries of the Electron Microscopy Data Bank: their half maps and maps, fetched from one address only."""

from __future__ import annotations

import contextlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from cryores.errors import InputError
from cryores.files import CHUNK, NO_ROOM

ADDRESS = "https://files.wwpdb.org/pub/emdb/structures"
"""The archive; a laboratory's own copy of it may be named with ``--emdb``."""

FILES = {
    "half1": "EMD-{0}/other/emd_{0}_half_map_1.map.gz",
    "half2": "EMD-{0}/other/emd_{0}_half_map_2.map.gz",
    "map": "EMD-{0}/map/emd_{0}.map.gz",
}
"""Role of a file -> where the archive has it."""

TIMEOUT = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The archive answers itself; what sends us elsewhere is not followed."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def number_of(entry: Any) -> str:
    """Return the digits of an entry's number as the archive writes them.

    Parameters
    ----------
    entry : int or str
        With or without ``EMD-``.

    Raises
    ------
    InputError
        ``E_EMDB_NUMBER``.
    """
    digits = str(entry).strip().upper()
    digits = (digits[4:] if digits.startswith("EMD-") else digits).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8 and int(digits) > 0):
        raise InputError("E_EMDB_NUMBER", "that is no number of an EMDB entry", "give one such as 3488 or EMD-3488")
    return digits if len(digits) >= 4 else digits.zfill(4)


def fetch_file(
    number: str, role: str, target: Path, address: str = ADDRESS, arriving: Callable[[int], None] = lambda size: None
) -> bool:
    """Write a file of an entry, as the archive has it, as ``target``; return False where the entry has none.

    Parameters
    ----------
    number : str
        As `number_of` returns it.
    role : str
        A key of `FILES`.
    target : Path
        What is there is written over.
    address : str
        The archive.
    arriving : callable
        Called with the bytes that will be there, before each piece is written; stops the transfer by raising.

    Raises
    ------
    InputError
        ``E_EMDB`` if the archive cannot be reached, or breaks off.
    OSError
        If there is no room.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    size = 0
    try:
        with opener.open(f"{address}/{FILES[role].format(number)}", timeout=TIMEOUT) as answer:
            promised: Optional[str] = answer.headers.get("Content-Length")
            with open(target, "wb") as file:
                for chunk in iter(lambda: answer.read(CHUNK), b""):
                    size += len(chunk)
                    arriving(size)
                    file.write(chunk)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return False
        raise _unreachable(f"it answered {error.code}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        raise _unreachable(str(getattr(error, "reason", error) or type(error).__name__)) from error
    if promised is not None and promised.isdigit() and size < int(promised):
        raise _unreachable("the connection broke")
    return True


def fetch_entry(entry: Any, folder: Path, halves: bool, whole: bool, address: str = ADDRESS) -> Dict[str, Path]:
    """Fetch the maps of an entry into ``folder``; what is there already is not fetched again.

    Parameters
    ----------
    entry : int or str
        Its number, with or without ``EMD-``.
    folder : Path
        Made if it is missing, and taken away if nothing comes.
    halves, whole : bool
        Whether the half maps are wanted, and the map: that is also taken where there are no half maps.
    address : str
        The archive.

    Returns
    -------
    dict
        Role -> file.

    Raises
    ------
    InputError
        ``E_EMDB_NUMBER`` · ``E_EMDB_ENTRY`` there is no such entry · ``E_EMDB`` the archive cannot be reached.
    """
    number = number_of(entry)
    folder.mkdir(parents=True, exist_ok=True)
    found: Dict[str, Path] = {}
    try:
        for role in FILES:
            if (role == "map" and not whole and "half2" in found) or (role != "map" and not halves):
                continue
            if role == "half2" and "half1" not in found:
                continue
            target = folder / f"{role}.map.gz"
            if target.is_file() or _fetch_whole(number, role, target, address):
                found[role] = target
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
    if "map" not in found and "half2" not in found:
        raise no_entry(number)
    return found


def _fetch_whole(number: str, role: str, target: Path, address: str) -> bool:
    part = target.with_name(f".part-{target.name}")
    try:
        if not fetch_file(number, role, part, address):
            return False
        part.replace(target)
        return True
    finally:
        part.unlink(missing_ok=True)


def no_entry(number: str) -> InputError:
    """Return what is said of an entry without maps."""
    return InputError("E_EMDB_ENTRY", f"there is no map EMD-{number} in the archive", "check the number")


def _unreachable(why: str) -> InputError:
    return InputError(
        "E_EMDB",
        f"the EMDB archive cannot be reached from here ({why})",
        "download the entry on another machine and give its files",
    )
