"""The environment in which a job runs as a Scipion project, and whether that works here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

from cryores.errors import CryoresError

RUNNER = "cryoresplugin.project_job"
CHECK_SECONDS = 120.0

HOSTS = """[localhost]
PARALLEL_COMMAND = mpirun -np %_(JOB_NODES)d %_(COMMAND)s
NAME = localhost
MANDATORY = False
SUBMIT_COMMAND = false
SUBMIT_TEMPLATE = #!/bin/bash
CANCEL_COMMAND = false
CHECK_COMMAND = false
QUEUES = {}
"""
"""Scipion wants to know how jobs are submitted; here every job runs where the server runs."""


def environment(store: Path, user_data: Path) -> Dict[str, str]:
    """Return the variables of a job whose projects lie under ``user_data``; what is set for Scipion already is kept."""
    home = Path(os.environ.get("SCIPION_HOME") or store / "scipion")
    hosts = store / "scipion" / "hosts.conf"
    hosts.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    if not hosts.exists():
        hosts.write_text(HOSTS, encoding="utf-8")
    folder = Path(sys.executable).parent
    wanted = {
        "SCIPION_HOME": str(home),
        "SCIPION_DOMAIN": "pwem",
        "SCIPION_PRIORITY_PACKAGE_LIST": "pwem tomo pwchem",
        "SCIPION_PYTHON": sys.executable,
        "VIRTUAL_ENV": str(folder.parent),
        "MPLBACKEND": "Agg",
    }
    own = {
        "SCIPION_HOSTS": str(hosts),
        "SCIPION_USER_DATA": str(user_data),
        "SCIPION_NOTIFY": "False",
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    return {**wanted, **os.environ, **own}


def command(*words: str) -> List[str]:
    """Return the command that runs a job."""
    return [sys.executable, "-m", RUNNER, *words]


def require_scipion(store: Path) -> None:
    """Raise `CryoresError` (``E_SCIPION``) if no job could be run here."""
    try:
        done = subprocess.run(
            command("--check"), env=environment(store, store / "scipion"), capture_output=True, text=True,
            timeout=CHECK_SECONDS, check=False,
        )  # fmt: skip
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or [f"it ended with {done.returncode}"]
        why = "" if done.returncode == 0 else said[0]
    except subprocess.TimeoutExpired:
        why = "it does not start"
    if why:
        raise CryoresError(
            "E_SCIPION", f"every job is a Scipion project, and Scipion cannot be used here: {why}",
            "pip install scipion-em scipion-pyworkflow, or start the server in Scipion's environment",
        )  # fmt: skip
