"""Inputs of a job that has not started: uploaded, fetched from EMDB, taken away, looked at."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import Any, AsyncIterator, Dict

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from cryores.web import emdb, menu, uploads
from cryores.web.clients import own_job
from cryores.web.examine import examine
from cryores.web.job_view import view_of
from cryores.web.limits import RefusedError, too_large
from cryores.web.questions import question_of
from cryores.web.service import Service
from cryores.web.store import DRAFT, Job, already_started

SILENT_SECONDS = 60.0
"""An upload from which nothing comes for so long is given up."""


def routes(service: Service) -> APIRouter:
    """Return the routes of inputs."""
    router = APIRouter()
    store = service.store

    def draft(request: Request, job: str) -> Job:
        found = own_job(request, store, job)
        if found.state != DRAFT:
            raise already_started()
        return found

    @router.put("/api/jobs/{job}/inputs/{role}")
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
        return view_of(store, store.get(job), found.owner)

    @router.delete("/api/jobs/{job}/inputs/{role}")
    def remove(request: Request, job: str, role: str) -> Dict[str, Any]:
        found = draft(request, job)
        uploads.limit_of(store, role)
        store.change_inputs(found.id, role, None)
        return view_of(store, store.get(job), found.owner)

    @router.post("/api/jobs/{job}/emdb")
    async def from_emdb(request: Request, job: str) -> Dict[str, Any]:
        found, asked = draft(request, job), await question_of(request)
        await run_in_threadpool(emdb.fetch, asked.get("number", ""), store, found.id, service.emdb_address)
        return view_of(store, store.get(job), found.owner)

    @router.post("/api/jobs/{job}/examine")
    async def look(request: Request, job: str) -> Dict[str, Any]:
        found, asked = draft(request, job), await question_of(request)
        given = asked.get("voxel_size")
        voxel_size = None if given in (None, "") else menu.number("voxel_size", given)
        folder = store.folder_of(found.id) / "inputs"
        told = await run_in_threadpool(examine, folder, found.inputs, voxel_size, service.queue.threads)
        if store.get(job).inputs == found.inputs:
            store.update(job, only_if=(DRAFT,), examined=told)
        return view_of(store, store.get(job), found.owner)

    return router


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
