"""Jobs: made, listed, started, cancelled, deleted."""

from __future__ import annotations

from typing import Any, Dict, List

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from cryores.web import menu
from cryores.web.clients import client_of, own_job, owner_of, owner_or_none
from cryores.web.job_view import job_title, view_of
from cryores.web.limits import RefusedError
from cryores.web.questions import question_of
from cryores.web.service import Service
from cryores.web.store import DRAFT, WAITING, already_started


def routes(service: Service) -> APIRouter:
    """Return the routes of jobs."""
    router = APIRouter()
    store, queue = service.store, service.queue

    @router.get("/api/jobs")
    def listed(request: Request) -> List[Dict[str, Any]]:
        owner = owner_of(request)
        return [
            {"id": job.id, "title": job_title(job), "state": job.state, "created": job.created,
             "ahead": store.ahead_of(job) if job.state == WAITING else 0}
            for job in store.of_owner(owner) if job.state != DRAFT or job.inputs
        ]  # fmt: skip

    @router.post("/api/jobs")
    def create(request: Request) -> Dict[str, Any]:
        owner = owner_of(request)
        return view_of(store, store.create(owner, client_of(request)), owner)

    @router.get("/api/jobs/{job}")
    def one(request: Request, job: str) -> Dict[str, Any]:
        return view_of(store, store.get(job), owner_or_none(request))

    @router.delete("/api/jobs/{job}")
    def delete(request: Request, job: str) -> Dict[str, Any]:
        queue.delete(own_job(request, store, job))
        return {"deleted": True}

    @router.post("/api/jobs/{job}/start")
    async def start(request: Request, job: str) -> Dict[str, Any]:
        found, asked = own_job(request, store, job), await question_of(request)
        if found.state != DRAFT:
            raise already_started()
        if found.examined is None:
            raise RefusedError(409, "E_NOT_EXAMINED", "the maps have not been looked at", "wait for the diagnosis")
        planned = menu.plan(found.inputs, asked.get("methods"), asked.get("settings"))
        await run_in_threadpool(queue.submit, found, planned, job_title(found))
        return view_of(store, store.get(job), found.owner)

    @router.post("/api/jobs/{job}/cancel")
    def cancel(request: Request, job: str) -> Dict[str, Any]:
        found = own_job(request, store, job)
        queue.cancel(found)
        return view_of(store, store.get(job), found.owner)

    return router
