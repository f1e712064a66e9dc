"""Results of a job: figures, files and the Scipion project, for whoever has the link."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response, StreamingResponse

from cryores.web import results
from cryores.web.archive import tar_stream
from cryores.web.limits import RefusedError
from cryores.web.queue import PROJECTS
from cryores.web.security import REPORT_POLICY
from cryores.web.service import Service
from cryores.web.store import OVER


def routes(service: Service) -> APIRouter:
    """Return the routes of results."""
    router = APIRouter()
    store = service.store

    def folder_of(job: str) -> Path:
        return store.folder_of(store.get(job).id)

    @router.get("/api/jobs/{job}/results/{step}")
    def figures(job: str, step: str) -> Response:
        path = results.figures(folder_of(job), step)
        return FileResponse(path, media_type="application/json", headers={"content-encoding": "gzip"})

    @router.get("/api/jobs/{job}/results/{step}/files/{name}")
    def file(job: str, step: str, name: str) -> Response:
        path = results.file_of_step(folder_of(job), step, name)
        if name == "report.html":
            headers = {"content-security-policy": REPORT_POLICY}
            return FileResponse(path, media_type="text/html", headers=headers)
        return FileResponse(path, media_type="application/octet-stream", filename=f"{step}-{name}")

    @router.get("/api/jobs/{job}/results/{step}/all.tar")
    def everything(job: str, step: str) -> Response:
        folder = results.folder_of_step(folder_of(job), step)
        return _tar(folder, step, folder_of(job))

    @router.get("/api/jobs/{job}/project.tar")
    def project(job: str) -> Response:
        found = store.get(job)
        projects = [path for path in (folder_of(job) / PROJECTS).glob("*") if path.is_dir() and not path.is_symlink()]
        if found.state not in OVER or not projects:
            raise RefusedError(409, "E_NO_PROJECT", "the project is not finished", "wait until the analysis is done")
        return _tar(projects[0], projects[0].name, folder_of(job))

    return router


def _tar(folder: Path, name: str, within: Path) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.tar"'}
    return StreamingResponse(tar_stream(folder, name, within), media_type="application/x-tar", headers=headers)
