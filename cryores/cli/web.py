"""Serve the web tool: upload maps in a browser, run methods as a Scipion project, and see the coloured result."""

from __future__ import annotations

import argparse
from pathlib import Path

from cryores.cli.options import positive_float, positive_int
from cryores.cli.progress import say
from cryores.emdb import ADDRESS
from cryores.web.limits import GIGABYTE, MEGABYTE, Limits

STORE = Path("~") / "cryores-web"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to listen, where jobs lie, and the limits."""
    usual = Limits()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, default=8765, help="port (default: 8765; 0: any that is free)")
    parser.add_argument(
        "--allow-remote", action="store_true", help="let other machines in, when --host is not this one"
    )
    parser.add_argument("--host-name", nargs="+", default=[], metavar="NAME", help="names of the server, as of a proxy")
    parser.add_argument("--store", default=str(STORE), metavar="DIR", help=f"folder of the jobs (default: {STORE})")
    parser.add_argument("--threads", type=positive_int, metavar="N", help="threads of a job (default: every processor)")
    parser.add_argument("--emdb", default=ADDRESS, metavar="URL", help=f"archive of EMDB entries (default: {ADDRESS})")
    limits = parser.add_argument_group("limits")
    for option, kind, default, text in (
        ("--at-once", positive_int, usual.at_once, "jobs that run at the same time"),
        ("--jobs-per-client", positive_int, usual.per_client, "unfinished jobs of one client"),
        ("--jobs", positive_int, usual.unfinished, "unfinished jobs of all"),
        ("--map-size", positive_float, usual.map_bytes / MEGABYTE, "MB of one map, decompressed"),
        ("--disk", positive_float, usual.disk_bytes / GIGABYTE, "GB of all jobs together"),
        ("--hours", positive_float, usual.seconds / 3600, "running time of a job"),
        ("--keep", positive_float, usual.keep_seconds / 86400, "days after which a finished job is deleted"),
    ):
        limits.add_argument(option, type=kind, default=default, metavar="N", help=f"{text} (default: {default:g})")


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from cryores.web.server import serve

    limits = Limits(
        at_once=arguments.at_once,
        per_client=arguments.jobs_per_client,
        unfinished=arguments.jobs,
        map_bytes=int(arguments.map_size * MEGABYTE),
        disk_bytes=int(arguments.disk * GIGABYTE),
        seconds=arguments.hours * 3600.0,
        keep_seconds=arguments.keep * 86400.0,
    )
    serve(
        Path(arguments.store), limits, arguments.host, arguments.port, arguments.allow_remote, arguments.host_name,
        arguments.emdb, arguments.threads or 0, say,
    )  # fmt: skip
