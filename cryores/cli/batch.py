"""Run methods on every map of a table, on this machine or on a cluster; what is done is not done again.

TABLE is CSV or tab-separated. Its first line names the columns: name, and inputs as the methods' options call them
(half1, half2, map, mask, model, ...; voxel_size), or emdb: the number of an entry, whose maps are fetched into
DIR/emdb. Files are looked for beside the table. Every result appears in DIR/NAME/METHOD; DIR/summary.csv,
DIR/summary.parquet and DIR/index.html tell of all.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import shlex
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from cryores.batch.summary import COLUMNS_TABLE, GALLERY, TABLE, write_summary
from cryores.batch.tasks import Task, mark, outcome_of, perform
from cryores.batch.workers import QUEUES, Job, open_client, outcomes
from cryores.cli.method_command import run_method
from cryores.cli.method_parser import VOLUME_INPUTS, parser_of, roles_of
from cryores.cli.options import folder_name, positive_float, positive_int
from cryores.cli.output import refuse_what_is_no_folder
from cryores.cli.progress import say
from cryores.emdb import ADDRESS, FILES, fetch_entry, number_of
from cryores.errors import InputError, UsageError
from cryores.execution import GIGABYTE, available_memory, available_threads
from cryores.method import HALVES, MAP, Method, load_method
from cryores.tables import Row, read_rows

INPUTS = ("half1", "half2", "map", "mask", "model", *VOLUME_INPUTS)
"""Columns that hold files; ``voxel_size`` holds a number."""

ENTRY = "emdb"
"""Column that holds the number of an entry of the EMDB, and folder of what was fetched."""

LOCK = ".batch.lock"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the table, the methods and the workers."""
    parser.add_argument("table", metavar="TABLE", help="a row a map: CSV or tab-separated, with a line of column names")
    parser.add_argument(
        "--methods",
        nargs="+",
        required=True,
        metavar="METHOD",
        help="methods; with options of their own in quotes: 'monores --significance 0.99'",
    )
    parser.add_argument("--out", type=folder_name, required=True, metavar="DIR", help="folder for all results")
    parser.add_argument("--retry", action="store_true", help="run what failed before once more")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument("--emdb", default=ADDRESS, metavar="URL", help=f"archive of EMDB entries (default: {ADDRESS})")
    where = parser.add_argument_group("where it runs")
    where.add_argument(
        "--cluster",
        default="local",
        metavar="CLUSTER",
        help=f"local (default), {', '.join(QUEUES)}, or the address of a Dask scheduler (tcp://host:port)",
    )
    where.add_argument(
        "--workers", type=positive_int, default=1, metavar="N", help="maps at a time: processes, or jobs (default: 1)"
    )
    where.add_argument("--threads", type=positive_int, metavar="N", help="threads of one (default: an even share)")
    where.add_argument("--memory", type=positive_float, metavar="GB", help="memory of one (default: an even share)")
    where.add_argument("--queue", metavar="NAME", help="queue, or partition, that jobs go to")
    where.add_argument("--walltime", metavar="HH:MM:SS", help="time that a job may last")


def run(arguments: argparse.Namespace) -> None:
    """Do what is not done, and write the summary."""
    _check_place(arguments)
    job = _job(arguments)
    tell = (lambda line: None) if arguments.quiet else say
    # Once before anything is made, and again when it is known which maps the entries of the EMDB have.
    named = tasks_of(Path(arguments.table), arguments.methods, Path(arguments.out), job)
    with _claimed(Path(arguments.out)) as folder:
        found: Dict[Task, Any] = {}
        try:
            fetch = functools.partial(_fetched, folder=folder, arguments=arguments, tell=tell)
            missing: Dict[str, str] = {}
            tasks = tasks_of(
                Path(arguments.table), arguments.methods, folder, job, lambda row: fetch(row, missing=missing)
            )
            for task in tasks:
                if task.name in missing:
                    mark(task, {"seconds": float("nan"), "reason": missing[task.name]})
            found = {task: outcome_of(task) for task in tasks}
            left = [task for task, outcome in found.items() if _is_left(task, outcome, arguments.retry, missing)]
            tell(f"{len(tasks)} results asked for, {len(tasks) - len(left)} there already")
            for task, outcome in _done(left, arguments, job, tell):
                found[task] = outcome
        finally:
            # Stopped while entries were fetched, it tells of what was there; looking means reading every input.
            records = write_summary(folder, list((found or {task: outcome_of(task) for task in named}).items()))
    failed = [record for record in records if record["state"] == "failed"]
    for record in failed:
        say(f"failed: {record['name']}, {record['method']}: {record['reason']}")
    tell(f"{len(records) - len(failed)} of {len(records)} done: {folder / GALLERY}")
    if len(failed) == len(records):
        raise InputError("E_SET_FAILED", f"everything failed; the first: {failed[0]['reason']}", "mend the table")


def _is_left(task: Task, outcome: Any, retry: bool, missing: Mapping[str, str]) -> bool:
    if task.name in missing:
        return False
    return outcome is None or bool(outcome["reason"] and retry)


def tasks_of(
    table: Path, methods: Sequence[str], out: Path, job: Job, fetch: Optional[Callable[[Row], Row]] = None
) -> List[Task]:
    """Return what is to be done: every method on every row.

    ``fetch`` gives a row that names an entry of the EMDB the files of its maps; without it they are only named.

    Raises
    ------
    UsageError
        ``E_SET`` for a table that cannot be used; ``E_USAGE`` for a method or an option that there is not.
    InputError
        ``E_NO_FILE`` if there is no table.
    """
    known = {name: name for name in (*INPUTS, "voxel_size", ENTRY)}
    rows = read_rows(table, known, (), (TABLE, COLUMNS_TABLE, GALLERY, ENTRY))
    rows = [(fetch or (lambda row: _named(row, out)))(row) if ENTRY in row else row for row in rows]
    asked = [shlex.split(words) for words in methods]
    names = [words[0] for words in asked if words]
    if len(set(names)) < len(asked):
        raise UsageError("E_USAGE", "a method is named twice, or not at all", "give two batches two folders")
    resources = ("--threads", str(job.threads), "--memory", f"{job.memory:.4g}")
    tasks = []
    for row in rows:
        for name, *options in asked:
            method = load_method(name)
            words = (*_input_words(method, row, table.parent), *options)
            folder = (out / row["name"] / name).absolute()
            parser_of(method).parse_args([*words, *resources, "--out", str(folder)])
            tasks.append(Task(row["name"], name, words, resources, str(folder)))
    return tasks


def _named(row: Row, out: Path) -> Row:
    """Return a row with the files that its entry of the EMDB may have, which its own columns go before."""
    folder = _place(row, out)
    return {**{role: str(folder / f"{role}.map.gz") for role in FILES}, **row}


def _place(row: Row, out: Path) -> Path:
    """Return the folder of the maps of a row's entry."""
    return (out / ENTRY / f"EMD-{number_of(row[ENTRY])}").absolute()


def _fetched(row: Row, folder: Path, arguments: argparse.Namespace, tell: Any, missing: Dict[str, str]) -> Row:
    """Return a row with the maps of its entry; enter in ``missing`` why they could not be had."""
    named = _named(row, folder)
    starts = [load_method(shlex.split(words)[0]).maps for words in arguments.methods]
    halves, whole = any(HALVES in kinds for kinds in starts), any(kinds[0] == MAP for kinds in starts)
    tell(f"{row['name']}: maps of EMD-{number_of(row[ENTRY])}")
    try:
        found = fetch_entry(row[ENTRY], _place(row, folder), halves, whole, arguments.emdb)
    except (InputError, OSError) as error:
        missing[row["name"]] = f"{error.code}: {error.message}" if isinstance(error, InputError) else str(error)
        return named
    return {role: file for role, file in named.items() if role in row or role in found}


def _input_words(method: Method, row: Row, beside: Path) -> Tuple[str, ...]:
    """Return the options that name those inputs of a row that the method takes: half maps or map, as it prefers."""
    starts = {HALVES: {"half1", "half2"}, MAP: {"map"}}
    preferred = next((starts[kind] for kind in method.maps if starts[kind] <= set(row)), starts[method.maps[0]])
    taken = set(roles_of(method)) & set(row) - (set.union(*starts.values()) - preferred)
    files = [(f"--{role.replace('_', '-')}", str((beside / row[role]).absolute())) for role in INPUTS if role in taken]
    sizes = [("--voxel-size", row["voxel_size"])] if "voxel_size" in row else []
    return tuple(word for pair in files + sizes for word in pair)


def _check_place(arguments: argparse.Namespace) -> None:
    where = arguments.cluster
    if where != "local" and where not in QUEUES and ":" not in where:
        known = ", ".join(("local", *QUEUES))
        raise UsageError("E_USAGE", f"there is no cluster {where!r}", f"give {known}, or an address tcp://host:port")
    if where != "local" and (arguments.threads is None or arguments.memory is None):
        raise UsageError("E_USAGE", f"{where} needs --threads and --memory", "give what one map may use there")


def _job(arguments: argparse.Namespace) -> Job:
    share = 1.0 / arguments.workers
    threads = arguments.threads or max(1, int(available_threads() * share))
    memory = arguments.memory or available_memory() / GIGABYTE * share
    return Job(threads, memory, arguments.walltime, arguments.queue)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[Path]:
    """Keep other batches out of ``folder`` for as long as this one lives, however it ends."""
    refuse_what_is_no_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError("E_OUTPUT", f"cannot write in {folder}: {error.strerror}", "choose another --out") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                "E_BUSY", f"another batch is at work in {folder}", "wait for it, or choose another --out"
            ) from error
        yield folder


def _done(
    tasks: Sequence[Task], arguments: argparse.Namespace, job: Job, tell: Any
) -> Iterator[Tuple[Task, Dict[str, Any]]]:
    """Do ``tasks``; yield each with its outcome, and tell how far it is."""
    if not tasks:
        return
    do = functools.partial(perform, run=run_method, retry=arguments.retry)
    workers = min(arguments.workers, len(tasks))
    start = time.monotonic()
    with open_client(arguments.cluster, workers, job) as client:
        for count, (task, outcome) in enumerate(outcomes(client, tasks, do), 1):
            left = (time.monotonic() - start) / count * (len(tasks) - count)
            state = "failed" if outcome["reason"] else "done"
            tell(f"{count} of {len(tasks)}, about {left:.0f} s left: {task.name}, {task.method} {state}")
            yield task, outcome
