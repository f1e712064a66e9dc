"""What a client is answered when something goes wrong: a status, and the sentence of the error."""

from __future__ import annotations

import sys
import traceback

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cryores.errors import CryoresError, InputError, UsageError
from cryores.files import NO_ROOM
from cryores.web.limits import RefusedError, disk_is_full
from cryores.web.security import body_of


def add_error_answers(app: FastAPI) -> None:
    """Let the application answer every error in words, with the status that fits it."""

    @app.exception_handler(CryoresError)
    async def refused(request: Request, error: CryoresError) -> Response:
        kinds = ((UsageError, 400), (InputError, 422))
        status = (
            error.status
            if isinstance(error, RefusedError)
            else next((s for k, s in kinds if isinstance(error, k)), 500)
        )
        return JSONResponse(body_of(error), status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        told = RefusedError(
            error.status_code, "E_ADDRESS", "there is nothing at this address", "start from the first page"
        )
        return JSONResponse(body_of(told), error.status_code)

    @app.exception_handler(OSError)
    async def without_room(request: Request, error: OSError) -> Response:
        return await (refused(request, disk_is_full()) if error.errno in NO_ROOM else failed(request, error))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
        told = CryoresError("E_INTERNAL", "the server made a mistake", "its log says more; try again")
        return JSONResponse(body_of(told), 500)
