"""The page itself, and the session of a browser that opens it."""

from __future__ import annotations

import functools
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cryores import __version__
from cryores.report.html import plotly_script
from cryores.web import menu
from cryores.web.clients import owner_or_none
from cryores.web.security import COOKIE, new_owner, token_of
from cryores.web.service import Service

STATIC = Path(__file__).parents[1] / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

COOKIE_SECONDS = 365 * 86400
"""A browser keeps its jobs for a year after its last visit."""


def routes(service: Service) -> APIRouter:
    """Return the routes of the page."""
    router = APIRouter()
    files = {path.name: (path.read_bytes(), TYPES[path.suffix]) for path in STATIC.iterdir() if path.suffix in TYPES}

    def sent(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    @router.get("/")
    async def page() -> Response:
        return sent("index.html")

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        return sent(name)

    script_once = functools.lru_cache(maxsize=None)(plotly_script)

    @router.get("/plotly.js")
    def plotly() -> Response:
        script = script_once()
        headers = {"cache-control": "private, max-age=604800", "content-encoding": "gzip"}
        return Response(script, media_type=TYPES[".js"], headers=headers)

    @router.get("/api/session")
    async def session(request: Request) -> Response:
        owner = owner_or_none(request) or new_owner()
        limits = service.store.limits
        answer = JSONResponse(
            {
                "token": token_of(service.secret, owner),
                "version": __version__,
                "limits": {"map_bytes": limits.map_bytes, "model_bytes": limits.model_bytes,
                           "hours": limits.seconds / 3600, "keep_days": limits.keep_seconds / 86400},
                "settings": {name: label for name, (label, _, _) in menu.SETTINGS.items()},
            }
        )  # fmt: skip
        answer.set_cookie(
            COOKIE, owner, max_age=COOKIE_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    return router
