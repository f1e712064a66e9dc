"""The HTTP interface: what the page asks for, and the page itself."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
import traceback
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, List, Optional

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from cryores import __version__
from cryores.emdb import ADDRESS
from cryores.errors import CryoresError, InputError, UsageError
from cryores.files import NO_ROOM
from cryores.report.html import plotly_script
from cryores.web import emdb, menu, progress, results, uploads
from cryores.web.archive import tar_stream
from cryores.web.examine import examine
from cryores.web.limits import RefusedError, disk_is_full, too_large
from cryores.web.queue import PROJECTS, Queue
from cryores.web.security import (
    COOKIE,
    REPORT_POLICY,
    Guard,
    body_of,
    cookie_of,
    is_loopback,
    new_owner,
    token_of,
)
from cryores.web.store import DRAFT, OVER, WAITING, Job, Store, already_started

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LARGEST_QUESTION = 64 * 1024
SILENT_SECONDS = 60.0
"""An upload from which nothing comes for so long is given up."""

COOKIE_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Service:
    """What the requests work on: the jobs, the queue, the key of the tokens, and where EMDB entries come from."""

    store: Store
    queue: Queue
    secret: bytes
    emdb_address: str = ADDRESS


def make_app(service: Service, names: Any, remote: bool) -> Guard:
    """Return the guarded application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)
    _add_page(app, service)
    _add_jobs(app, service)
    _add_inputs(app, service)
    _add_results(app, service)
    return Guard(app, service.secret, names, remote)


# --- errors -------------------------------------------------------------------------------------------------------


def _add_errors(app: FastAPI) -> None:
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


# --- the page -----------------------------------------------------------------------------------------------------


def _add_page(app: FastAPI, service: Service) -> None:
    files = {path.name: (path.read_bytes(), TYPES[path.suffix]) for path in STATIC.iterdir() if path.suffix in TYPES}

    def sent(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    @app.get("/")
    async def page() -> Response:
        return sent("index.html")

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        return sent(name)

    script_once = functools.lru_cache(maxsize=None)(plotly_script)

    @app.get("/plotly.js")
    def plotly() -> Response:
        script = script_once()
        headers = {"cache-control": "private, max-age=604800", "content-encoding": "gzip"}
        return Response(script, media_type=TYPES[".js"], headers=headers)

    @app.get("/api/session")
    async def session(request: Request) -> Response:
        owner = cookie_of(request.headers.get("cookie", "")) or new_owner()
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


# --- jobs ---------------------------------------------------------------------------------------------------------


def _owner(request: Request) -> str:
    owner = cookie_of(request.headers.get("cookie", ""))
    if owner is None:
        raise RefusedError(
            403, "E_COOKIE", "the browser has not kept this server's cookie", "allow it, and load the page again"
        )
    return owner


def _client(request: Request) -> str:
    """Return what the limits count by: the address, which a client cannot throw away; on this machine, the browser."""
    address = request.client.host if request.client else ""
    return _owner(request) if is_loopback(address) or not address else address


def _own(request: Request, service: Service, job: str) -> Job:
    found = service.store.get(job)
    if found.owner != _owner(request):
        raise RefusedError(
            403, "E_NOT_YOURS", "this analysis was started in another browser", "only that one can change it"
        )
    return found


def _shown(service: Service, job: Job, owner: Optional[str]) -> Dict[str, Any]:
    """Return what a client may know of a job."""
    folder = service.store.folder_of(job.id)
    ended = job.ended or time.time()
    return {
        "id": job.id,
        "title": job.title or _title(job),
        "state": job.state,
        "mine": job.owner == owner,
        "ahead": service.store.ahead_of(job) if job.state == WAITING else 0,
        "created": job.created,
        "seconds": ended - job.started if job.started else None,
        "message": _without_folders(job.message, service),
        "inputs": {role: {key: value for key, value in entry.items() if key != "file"}
                   for role, entry in job.inputs.items()},
        "examined": job.examined,
        "offers": menu.offers(job.inputs, job.examined["codes"]) if job.examined else [],
        "request": job.request,
        "receiving": uploads.receiving(folder / "inputs") if job.state == DRAFT else 0,
        "steps": [
            {**step, "message": _without_folders(step["message"], service), "folder": None,
             "has_result": bool(step["folder"])}
            for step in (progress.steps_of(folder) if job.state not in (DRAFT, WAITING) else ())
        ],
        "project": job.state in OVER and (folder / PROJECTS).is_dir(),
    }  # fmt: skip


def _without_folders(text: str, service: Service) -> str:
    return " ".join("the file" if str(service.store.folder) in word else word for word in text.split(" "))


def _title(job: Job) -> str:
    names = [job.inputs[role]["name"] for role in ("half1", "half2", "map") if role in job.inputs]
    return " and ".join(names[:2]) or "New analysis"


async def _question(request: Request) -> Dict[str, Any]:
    """Return the JSON object that a request carries."""
    wrong = UsageError("E_QUESTION", "that request cannot be understood", "load the page again")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_QUESTION:
            raise wrong
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(found, dict):
        raise wrong
    return found


def _add_jobs(app: FastAPI, service: Service) -> None:
    store, queue = service.store, service.queue

    @app.get("/api/jobs")
    def listed(request: Request) -> List[Dict[str, Any]]:
        owner = _owner(request)
        return [
            {"id": job.id, "title": job.title or _title(job), "state": job.state, "created": job.created,
             "ahead": store.ahead_of(job) if job.state == WAITING else 0}
            for job in store.of_owner(owner) if job.state != DRAFT or job.inputs
        ]  # fmt: skip

    @app.post("/api/jobs")
    def create(request: Request) -> Dict[str, Any]:
        owner = _owner(request)
        return _shown(service, store.create(owner, _client(request)), owner)

    @app.get("/api/jobs/{job}")
    def one(request: Request, job: str) -> Dict[str, Any]:
        return _shown(service, store.get(job), cookie_of(request.headers.get("cookie", "")))

    @app.delete("/api/jobs/{job}")
    def delete(request: Request, job: str) -> Dict[str, Any]:
        queue.delete(_own(request, service, job))
        return {"deleted": True}

    @app.post("/api/jobs/{job}/start")
    async def start(request: Request, job: str) -> Dict[str, Any]:
        found, asked = _own(request, service, job), await _question(request)
        if found.state != DRAFT:
            raise already_started()
        if found.examined is None:
            raise RefusedError(409, "E_NOT_EXAMINED", "the maps have not been looked at", "wait for the diagnosis")
        planned = menu.plan(found.inputs, asked.get("methods"), asked.get("settings"))
        await run_in_threadpool(queue.submit, found, planned, _title(found))
        return _shown(service, store.get(job), found.owner)

    @app.post("/api/jobs/{job}/cancel")
    def cancel(request: Request, job: str) -> Dict[str, Any]:
        found = _own(request, service, job)
        queue.cancel(found)
        return _shown(service, store.get(job), found.owner)


# --- inputs -------------------------------------------------------------------------------------------------------


def _add_inputs(app: FastAPI, service: Service) -> None:
    store = service.store

    def draft(request: Request, job: str) -> Job:
        found = _own(request, service, job)
        if found.state != DRAFT:
            raise already_started()
        return found

    @app.put("/api/jobs/{job}/inputs/{role}")
    async def put(request: Request, job: str, role: str) -> Dict[str, Any]:
        found = draft(request, job)
        limit = uploads.limit_of(store, role)
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise too_large(limit)
        shown = urllib.parse.unquote(request.headers.get("x-file-name", ""))
        try:
            await uploads.receive(_patiently(request.stream()), store, found.id, role, shown)
        except ClientDisconnect as error:
            raise RefusedError(400, "E_UPLOAD", "the upload broke off", "choose the file again") from error
        return _shown(service, store.get(job), found.owner)

    @app.delete("/api/jobs/{job}/inputs/{role}")
    def remove(request: Request, job: str, role: str) -> Dict[str, Any]:
        found = draft(request, job)
        uploads.limit_of(store, role)
        store.change_inputs(found.id, role, None)
        return _shown(service, store.get(job), found.owner)

    @app.post("/api/jobs/{job}/emdb")
    async def from_emdb(request: Request, job: str) -> Dict[str, Any]:
        found, asked = draft(request, job), await _question(request)
        await run_in_threadpool(emdb.fetch, asked.get("number", ""), store, found.id, service.emdb_address)
        return _shown(service, store.get(job), found.owner)

    @app.post("/api/jobs/{job}/examine")
    async def look(request: Request, job: str) -> Dict[str, Any]:
        found, asked = draft(request, job), await _question(request)
        given = asked.get("voxel_size")
        voxel_size = None if given in (None, "") else menu.number("voxel_size", given)
        folder = store.folder_of(found.id) / "inputs"
        told = await run_in_threadpool(examine, folder, found.inputs, voxel_size, service.queue.threads)
        if store.get(job).inputs == found.inputs:
            store.update(job, only_if=(DRAFT,), examined=told)
        return _shown(service, store.get(job), found.owner)


async def _patiently(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what arrives; give up a client that says nothing for too long."""
    iterator = chunks.__aiter__()
    while True:
        try:
            yield await asyncio.wait_for(iterator.__anext__(), SILENT_SECONDS)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            raise RefusedError(
                408, "E_UPLOAD", "the upload stood still for too long", "choose the file again"
            ) from error


# --- results ------------------------------------------------------------------------------------------------------


def _add_results(app: FastAPI, service: Service) -> None:
    store = service.store

    def folder_of(job: str) -> Path:
        return store.folder_of(store.get(job).id)

    @app.get("/api/jobs/{job}/results/{step}")
    def figures(job: str, step: str) -> Response:
        return _gzipped(results.figures, folder_of(job), step)

    @app.get("/api/jobs/{job}/results/{step}/files/{name}")
    def file(job: str, step: str, name: str) -> Response:
        path = results.file_of_step(folder_of(job), step, name)
        if name == "report.html":
            headers = {"content-security-policy": REPORT_POLICY}
            return FileResponse(path, media_type=TYPES[".html"], headers=headers)
        return FileResponse(path, media_type="application/octet-stream", filename=f"{step}-{name}")

    @app.get("/api/jobs/{job}/results/{step}/all.tar")
    def everything(job: str, step: str) -> Response:
        folder = results.folder_of_step(folder_of(job), step)
        return _tar(folder, step, folder_of(job))

    @app.get("/api/jobs/{job}/project.tar")
    def project(job: str) -> Response:
        found = store.get(job)
        projects = [path for path in (folder_of(job) / PROJECTS).glob("*") if path.is_dir() and not path.is_symlink()]
        if found.state not in OVER or not projects:
            raise RefusedError(409, "E_NO_PROJECT", "the project is not finished", "wait until the analysis is done")
        return _tar(projects[0], projects[0].name, folder_of(job))


def _gzipped(make: Callable[[Path, str], Path], folder: Path, step: str) -> Response:
    return FileResponse(make(folder, step), media_type="application/json", headers={"content-encoding": "gzip"})


def _tar(folder: Path, name: str, within: Path) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.tar"'}
    return StreamingResponse(tar_stream(folder, name, within), media_type="application/x-tar", headers=headers)
