"""What of a job a client may know."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional

from cryores.web import menu, progress, uploads
from cryores.web.queue import PROJECTS
from cryores.web.store import DRAFT, OVER, WAITING, Job, Store


def view_of(store: Store, job: Job, owner: Optional[str]) -> Dict[str, Any]:
    """Return what a client may know of a job."""
    folder = store.folder_of(job.id)
    ended = job.ended or time.time()
    return {
        "id": job.id,
        "title": job_title(job),
        "state": job.state,
        "mine": job.owner == owner,
        "ahead": store.ahead_of(job) if job.state == WAITING else 0,
        "created": job.created,
        "seconds": ended - job.started if job.started else None,
        "message": _without_folders(job.message, store),
        "inputs": {role: {key: value for key, value in entry.items() if key != "file"}
                   for role, entry in job.inputs.items()},
        "examined": job.examined,
        "offers": menu.offers(job.inputs, job.examined["codes"]) if job.examined else [],
        "request": job.request,
        "receiving": uploads.receiving(folder / "inputs") if job.state == DRAFT else 0,
        "steps": [
            {**step, "message": _without_folders(step["message"], store), "folder": None,
             "has_result": bool(step["folder"])}
            for step in (progress.steps_of(folder) if job.state not in (DRAFT, WAITING) else ())
        ],
        "project": job.state in OVER and (folder / PROJECTS).is_dir(),
    }  # fmt: skip


def _without_folders(text: str, store: Store) -> str:
    return " ".join("the file" if str(store.folder) in word else word for word in text.split(" "))


def job_title(job: Job) -> str:
    """Return what a job is called: after its maps until it is started."""
    names = [job.inputs[role]["name"] for role in ("half1", "half2", "map") if role in job.inputs]
    return job.title or " and ".join(names[:2]) or "New analysis"
