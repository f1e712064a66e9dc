"""Starting the server: the jobs of the last time, a check of Scipion, and uvicorn."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, Callable, Sequence, Tuple

from cryores.errors import CryoresError, UsageError
from cryores.execution import available_threads
from cryores.web.limits import Limits
from cryores.web.queue import Queue
from cryores.web.scipion import require_scipion
from cryores.web.security import is_loopback, known_names
from cryores.web.store import Store

REMOTE_WARNING = (
    "warning: {} can be reached from other machines, and there is no password: whoever reaches it can use this "
    "machine's disk and processors. Put a proxy with a password and https before it."
)


def serve(
    store: Path,
    limits: Limits,
    host: str,
    port: int,
    allow_remote: bool,
    names: Sequence[str],
    emdb_address: str,
    threads: int,
    say: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    store : path
        Folder of the jobs.
    limits : Limits
        What clients may use.
    host, port : str, int
        Where to listen; port 0: any that is free.
    allow_remote : bool
        Whether an address that other machines reach may be listened at.
    names : list of str
        Further names of the server, such as that of a proxy before it.
    emdb_address : str
        The EMDB archive.
    threads : int
        Threads of each job; 0: every processor.
    say : callable
        Receives lines for the user.

    Raises
    ------
    UsageError
        ``E_REMOTE`` if other machines could reach the server and that was not asked for.
    CryoresError
        ``E_NO_WEB`` if a package is missing · ``E_SCIPION`` · ``E_STORE`` · ``E_PORT``.
    """
    if not is_loopback(host) and not allow_remote:
        raise UsageError(
            "E_REMOTE", f"at {host} every machine that reaches this one could upload files and start jobs",
            "leave --host out to serve this machine only, or add --allow-remote (docs/tasks/web.rst says how to do it)",
        )  # fmt: skip
    uvicorn, make_app, service_of = _packages()
    jobs = Store(store, limits)
    try:
        say("looking for Scipion ...")
        require_scipion(jobs.folder)
        queue = Queue(jobs, threads or available_threads())
        remote = not is_loopback(host)
        app = make_app(service_of(jobs, queue, jobs.secret(), emdb_address), known_names(host, names), remote)
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
            date_header=False, timeout_graceful_shutdown=5, limit_concurrency=200,
        )  # fmt: skip
        with contextlib.closing(_listen(config)) as listener:
            where = f"http://{'[' + host + ']' if ':' in host else host}:{listener.getsockname()[1]}/"
            if remote:
                say(REMOTE_WARNING.format(host))
            queue.start()
            say(f"cryores web is at {where} (jobs in {jobs.folder}); Ctrl-C ends it")
            try:
                uvicorn.Server(config).run(sockets=[listener])
            finally:
                queue.close()
    finally:
        jobs.close()


def _packages() -> Tuple[Any, Any, Any]:
    try:
        import uvicorn

        from cryores.web.app import make_app
        from cryores.web.service import Service
    except ImportError as error:
        raise CryoresError(
            "E_NO_WEB", f"the web tool needs the package {error.name}", "pip install 'scipion-em-cryores[web]'"
        ) from error
    return uvicorn, make_app, Service


def _listen(config: Any) -> socket.socket:
    """Return the socket; uvicorn itself would end the process where the port is taken."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((config.host, config.port))
        found.listen(128)  # from now on clients are kept waiting, and not turned away
    except OSError as error:
        found.close()
        raise CryoresError(
            "E_PORT", f"cannot listen at {config.host}:{config.port}: {error.strerror}", "choose another with --port"
        ) from error
    return found
