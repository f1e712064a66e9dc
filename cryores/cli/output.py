"""The output folder: results appear in it complete, or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import uuid
from pathlib import Path
from typing import Collection, Iterator, List, Set, Union

from cryores.cli.stopping import stop_if_asked, undisturbed
from cryores.errors import InputError
from cryores.files import NO_ROOM

STAGING_PREFIX = ".cryores-"

RECORD = "report.json"
"""Where it stands, all that it tells of is there and belongs together: it goes first and comes last."""

NOTE = f"{STAGING_PREFIX}moving.json"


@contextlib.contextmanager
def OutputFolder(  # noqa: N802
    path: Union[str, Path], overwrite: bool = False, inputs: Collection[str] = ()
) -> Iterator[Path]:
    """Give a staging folder to write into; when the block ends well, move its files to ``path``.

    The staging folder lies inside ``path``, so that each move is a rename on one file system. If the block raises,
    whatever the cause, nothing of it stays behind and earlier results are untouched. Of two runs into one folder the
    result is that of the one which ends last.

    Raises
    ------
    InputError
        ``E_OUTPUT_EXISTS`` if ``path`` holds files and ``overwrite`` is false; ``E_OUTPUT`` if it cannot be written,
        or one of ``inputs`` lies where a result goes, or is of the earlier one; ``E_WRITE`` if there is no room for
        the results.
    """
    folder = Path(path)
    refuse_what_is_no_folder(folder)
    _keep_inputs(folder, inputs, _earlier_in(folder))
    if not overwrite and folder.is_dir() and any(not p.name.startswith(STAGING_PREFIX) for p in folder.iterdir()):
        raise InputError(
            "E_OUTPUT_EXISTS",
            f"{folder} already holds files",
            "choose another --out, or add --overwrite to replace them",
        )
    # Named before anything is made, so that a signal at any moment leaves nothing.
    made, staging = _missing_folders(folder), folder / f"{_own_prefix(os.getpid())}{uuid.uuid4().hex}"
    try:
        _make(staging)
        with _alone_in(staging):
            _clear_after_the_dead(folder)
            yield staging
            _keep_inputs(folder, inputs, _names_in(staging))
            stop_if_asked()
            with _alone_in(folder), undisturbed():
                _move(staging, folder)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            reason = f"cannot write the results in {folder}: {error.strerror}"
            raise InputError("E_WRITE", reason, "choose another --out, or make room") from error
        raise


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs from moving their files into ``folder``, and from clearing it up, meanwhile."""
    place = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder: there, two runs at once are not kept apart.
        with contextlib.suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _move(staging: Path, folder: Path) -> None:
    """Replace the result in ``folder`` by the one in ``staging``: nothing of an earlier one stays beside it.

    A note of all their names stands meanwhile. Whoever finds it clears up after a run that was killed here.
    """
    ours, earlier = _names_in(staging), _earlier_in(folder)
    (staging / NOTE).write_text(json.dumps({"files": sorted(earlier | ours)}), encoding="utf-8")
    os.replace(staging / NOTE, folder / NOTE)
    (folder / RECORD).unlink(missing_ok=True)
    for name in earlier - ours:
        (folder / name).unlink(missing_ok=True)
    for name in sorted(ours, key=lambda name: (name == RECORD, name)):
        os.replace(staging / name, folder / name)
    staging.rmdir()
    (folder / NOTE).unlink()


def _names_in(folder: Path) -> Set[str]:
    return {item.name for item in folder.iterdir()}


def _earlier_in(folder: Path) -> Set[str]:
    """Return the files of the result that is in ``folder``, or of one that was being moved into it."""
    return _named_in(folder / RECORD) | _named_in(folder / NOTE)


def _keep_inputs(folder: Path, inputs: Collection[str], going: Set[str]) -> None:
    """Raise `InputError` ``E_OUTPUT`` if files that are going to be replaced or removed are inputs."""
    lost = {os.path.join(os.path.realpath(folder), name) for name in going}
    for path in inputs:
        if os.path.realpath(path) in lost:
            reason = f"the results would replace {path}, which they are made from"
            raise InputError("E_OUTPUT", reason, "choose another --out")


def _named_in(record: Path) -> Set[str]:
    """Return the files beside a record or a note that it names."""
    try:
        names = json.loads(record.read_text(encoding="utf-8"))["files"]
        return {name for name in names if Path(name).name == name and record.with_name(name).is_file()}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def refuse_what_is_no_folder(folder: Path) -> None:
    """Raise `InputError` ``E_OUTPUT`` if what should become a folder of results is none, or cannot be looked into."""
    try:
        if folder.is_dir():
            os.scandir(folder).close()
        elif folder.exists():
            raise InputError("E_OUTPUT", f"{folder} is a file", "give a folder to --out")
        elif folder.is_symlink():
            raise InputError("E_OUTPUT", f"{folder} is a link that leads nowhere", "give a folder to --out")
    except OSError as error:
        reason = f"cannot write in {folder}: {error.strerror}"
        raise InputError("E_OUTPUT", reason, "choose another --out") from error


def _own_prefix(process: int) -> str:
    return f"{STAGING_PREFIX}{platform.node()}-{process}-"


def _clear_after_the_dead(folder: Path) -> None:
    """Remove what runs on this machine left in ``folder`` that were killed without a chance to do so."""
    for left in folder.glob(f"{STAGING_PREFIX}{platform.node()}-*-*"):
        process = left.name.split("-")[-2]
        if process.isdigit() and not _is_held(left) and not _is_at_work(int(process), left):
            shutil.rmtree(left, ignore_errors=True)


def _is_held(staging: Path) -> bool:
    """Tell whether its run holds ``staging``: this does not depend on clocks, which may be set, but on the lock."""
    with contextlib.suppress(OSError):
        place = os.open(staging, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(place)
    return False


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


def _missing_folders(folder: Path) -> List[Path]:
    """List the folders that have to be made, the deepest first, so that a failed run can take them away again."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing
