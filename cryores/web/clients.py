"""Who asks: the browser that holds a cookie, and whether a job is its own."""

from __future__ import annotations

from typing import Optional

from fastapi import Request

from cryores.web.limits import RefusedError
from cryores.web.security import cookie_of, is_loopback
from cryores.web.store import Job, Store


def owner_or_none(request: Request) -> Optional[str]:
    """Return the secret that the browser keeps in its cookie, None where it has none."""
    return cookie_of(request.headers.get("cookie", ""))


def owner_of(request: Request) -> str:
    """Return the secret that the browser keeps in its cookie.

    Raises
    ------
    RefusedError
        If it has none.
    """
    owner = owner_or_none(request)
    if owner is None:
        raise RefusedError(
            403, "E_COOKIE", "the browser has not kept this server's cookie", "allow it, and load the page again"
        )
    return owner


def client_of(request: Request) -> str:
    """Return what the limits count by: the address, which a client cannot throw away; on this machine, the browser."""
    address = request.client.host if request.client else ""
    return owner_of(request) if is_loopback(address) or not address else address


def own_job(request: Request, store: Store, job: str) -> Job:
    """Return a job that may be changed: one that this browser has made.

    Raises
    ------
    RefusedError
        If there is no such job, or another browser has made it.
    """
    found = store.get(job)
    if found.owner != owner_of(request):
        raise RefusedError(
            403, "E_NOT_YOURS", "this analysis was started in another browser", "only that one can change it"
        )
    return found
