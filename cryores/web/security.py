"""What keeps strangers out: whose page may ask, by which name the server is called, and what a browser may load."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import time
from typing import Any, Awaitable, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from cryores.errors import CryoresError
from cryores.web.limits import RefusedError

COOKIE = "cryores"
TOKEN_HEADER = "x-cryores-token"
SAFE_METHODS = ("GET", "HEAD")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the page: scripts come from this server's files only. plotly writes styles into its drawings."""

REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of report.html, whose scripts stand in it: it runs in a world of its own, without this server's cookie."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
    "content-security-policy": PAGE_POLICY,
}

REFUSALS = 400
DRAINED_BYTES = 256 * 1024 * 1024
DRAINED_SECONDS = 20.0
"""What is still read of a request that is refused: a client that is cut off while it sends does not hear why."""

App = Callable[[Dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


def new_owner() -> str:
    """Return the secret that a browser keeps in its cookie."""
    return secrets.token_urlsafe(24)


def token_of(secret: bytes, owner: str) -> str:
    """Return what the page of that browser sends with every change: no other page can know it."""
    return hmac.new(secret, owner.encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def known_names(host: str, more: Iterable[str]) -> FrozenSet[str]:
    """Return the names by which the server may be called when it listens at ``host``."""
    names = {"localhost", *(name.lower() for name in more)}
    if not is_loopback(host):
        names |= {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(names)


class Guard:
    """Lets requests through to the application that come from its own page, and sets the headers of every answer.

    Parameters
    ----------
    app : callable
        The ASGI application.
    secret : bytes
        Of the tokens.
    names : frozenset of str
        Names in ``Host`` that are let in. Another name is an attack by DNS rebinding, or a proxy that should be named.
    remote : bool
        Whether any address is let in as ``Host``, or this machine's own only.
    """

    def __init__(self, app: App, secret: bytes, names: FrozenSet[str], remote: bool) -> None:
        self.app, self.secret, self.names, self.remote = app, secret, names, remote

    async def __call__(self, scope: Dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = _Body(receive)

        async def answer(message: Dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= REFUSALS:
                    await body.read_to_the_end()
                own = {name.lower() for name, _ in message["headers"]}
                added = [header for header in _encoded(HEADERS) if header[0] not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            self._check(scope["method"], headers)
        except RefusedError as error:
            await _send_error(error, answer)
            return
        await self.app(scope, body.receive, answer)

    def _check(self, method: str, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        if not self._is_known(_name_of(host)):
            raise RefusedError(
                421, "E_HOST", "this server is not called by that name",
                "use its address, or start it with --host-name NAME",
            )  # fmt: skip
        if method in SAFE_METHODS:
            return
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site")
        if site not in (None, "same-origin") or (origin is not None and origin.split("://", 1)[-1] != host):
            raise RefusedError(
                403, "E_CROSS_SITE", "that request came from another site's page", "use the page of this server"
            )
        owner = cookie_of(headers.get("cookie", ""))
        sent = headers.get(TOKEN_HEADER, "")
        if owner is None or not hmac.compare_digest(sent.encode(), token_of(self.secret, owner).encode()):
            raise RefusedError(403, "E_TOKEN", "the page is out of date", "load it again")

    def _is_known(self, name: str) -> bool:
        if name.lower() in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.remote or address.is_loopback


class _Body:
    """The body of a request, of which it is known whether it has come to its end."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> Any:
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def read_to_the_end(self) -> None:
        """Throw the rest away, within limits."""
        left, end = DRAINED_BYTES, time.monotonic() + DRAINED_SECONDS
        with contextlib.suppress(asyncio.TimeoutError):
            while not self._ended and left > 0 and time.monotonic() < end:
                message = await asyncio.wait_for(self.receive(), DRAINED_SECONDS)
                left -= len(message.get("body", b""))


def cookie_of(header: str) -> Optional[str]:
    """Return the browser's secret out of its cookies, None where it has none that we could have made."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and 20 <= len(value) <= 64 and value.replace("-", "").replace("_", "").isalnum():
            return value
    return None


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].split("]")[0]
    return host.rsplit(":", 1)[0] if ":" in host else host


def body_of(error: CryoresError) -> Dict[str, Any]:
    """Return what a client is told of an error."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def _encoded(headers: Mapping[str, str]) -> List[Tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send_error(error: RefusedError, send: Any) -> None:
    body = json.dumps(body_of(error)).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": error.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})
