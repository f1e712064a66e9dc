"""Entries of the EMDB among the inputs of a job, fetched when a client asks for one."""

from __future__ import annotations

from typing import Any, Dict

from cryores.emdb import ADDRESS, FILES, fetch_file, no_entry, number_of
from cryores.errors import InputError
from cryores.web.limits import RefusedError, too_large
from cryores.web.store import Store
from cryores.web.uploads import accept, arriving_part

STATUS = {"E_EMDB_NUMBER": 422, "E_EMDB_ENTRY": 404, "E_EMDB": 502}
"""Code of an error -> status of the HTTP response."""


def fetch(entry: Any, store: Store, job: str, address: str = ADDRESS) -> Dict[str, Any]:
    """Fetch the half maps of an entry and its map, and enter them among the job's inputs.

    Parameters
    ----------
    entry : int or str
        Its number, with or without ``EMD-``.
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
    try:
        return _fetched(number_of(entry), store, job, address)
    except InputError as error:
        if error.code not in STATUS:
            raise
        hint = "download the entry on another machine and upload the files" if error.code == "E_EMDB" else error.hint
        message = error.message.replace("from here", "from this server")
        raise RefusedError(STATUS[error.code], error.code, message, hint) from error


def _fetched(number: str, store: Store, job: str, address: str) -> Dict[str, Any]:
    def allow(size: int) -> None:
        if size > store.limits.map_bytes:
            raise too_large(store.limits.map_bytes)
        store.require_room(size)

    arrived: Dict[str, Any] = {}
    for role in FILES:
        if role == "half2" and "half1" not in arrived:
            continue
        with arriving_part(store.folder_of(job) / "inputs") as part:
            if fetch_file(number, role, part, address, allow):
                shown = f"EMD-{number} {'map' if role == 'map' else 'half map ' + role[-1]}"
                arrived[role] = accept(part, store, job, role, shown)
    if "map" not in arrived and "half2" not in arrived:
        raise no_entry(number)
    return arrived
