"""The output folder: results appear in it complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import uuid
from pathlib import Path
from typing import Iterator, Union

from cryores.cli.stopping import stop_if_asked
from cryores.errors import InputError

STAGING_PREFIX = ".cryores-"

RECORD = "report.json"
"""Where it stands, all that it tells of is there and belongs together: it goes first and comes last."""


@contextlib.contextmanager
def OutputFolder(path: Union[str, Path], overwrite: bool = False) -> Iterator[Path]:  # noqa: N802
    """Give a staging folder to write into; when the block ends well, move its files to ``path``.

    The staging folder lies inside ``path``, so that each move is a rename on one file system. If the block raises,
    whatever the cause, nothing of it stays behind and earlier results are untouched.

    Raises
    ------
    InputError
        ``E_OUTPUT_EXISTS`` if ``path`` holds files and ``overwrite`` is false; ``E_OUTPUT`` if it cannot be written.
    """
    folder = Path(path)
    refuse_a_file(folder)
    if folder.is_dir() and not overwrite and any(not p.name.startswith(STAGING_PREFIX) for p in folder.iterdir()):
        raise InputError(
            "E_OUTPUT_EXISTS",
            f"{folder} already holds files",
            "choose another --out, or add --overwrite to replace them",
        )
    # Named before anything is made, so that a signal at any moment leaves nothing.
    made, staging = _missing_folders(folder), folder / f"{_own_prefix(os.getpid())}{uuid.uuid4().hex}"
    try:
        _make(staging)
        _clear_after_the_dead(folder)
        yield staging
        stop_if_asked()
        (folder / RECORD).unlink(missing_ok=True)
        for item in sorted(staging.iterdir(), key=lambda item: (item.name == RECORD, item.name)):
            os.replace(item, folder / item.name)
        staging.rmdir()
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def refuse_a_file(folder: Path) -> None:
    """Raise `InputError` ``E_OUTPUT`` if what should become a folder of results is a file."""
    if folder.exists() and not folder.is_dir():
        raise InputError("E_OUTPUT", f"{folder} is a file", "give a folder to --out")


def _own_prefix(process: int) -> str:
    return f"{STAGING_PREFIX}{platform.node()}-{process}-"


def _clear_after_the_dead(folder: Path) -> None:
    """Remove what runs on this machine left in ``folder`` that were killed without a chance to do so."""
    for left in folder.glob(f"{STAGING_PREFIX}{platform.node()}-*-*"):
        process = left.name.split("-")[-2]
        if process.isdigit() and not _is_at_work(int(process), left):
            shutil.rmtree(left, ignore_errors=True)


def _is_at_work(process: int, staging: Path) -> bool:
    """Tell whether the process lives that made ``staging``: numbers are given again, and the dead may keep theirs."""
    import psutil

    try:
        found = psutil.Process(process)
        return bool(found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= staging.stat().st_mtime + 1.0)
    except (psutil.Error, OSError):
        return False


def _make(staging: Path) -> None:
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        reason = f"cannot write in {staging.parent}: {error.strerror}"
        raise InputError("E_OUTPUT", reason, "choose another --out") from error


def _missing_folders(folder: Path) -> list[Path]:
    """List the folders that have to be made, the deepest first, so that a failed run can take them away again."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing
