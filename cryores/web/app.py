"""The HTTP interface: all routes and error answers, behind the guard."""

from __future__ import annotations

from typing import FrozenSet

from fastapi import FastAPI

from cryores.web.error_answers import add_error_answers
from cryores.web.routes import inputs, jobs, page, results
from cryores.web.security import Guard
from cryores.web.service import Service


def make_app(service: Service, names: FrozenSet[str], remote: bool) -> Guard:
    """Return the guarded application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_error_answers(app)
    for subject in (page, jobs, inputs, results):
        app.include_router(subject.routes(service))
    return Guard(app, service.secret, names, remote)
