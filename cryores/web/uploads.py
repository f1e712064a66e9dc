"""Files of clients: received under a limit, unpacked under a limit, and checked before anything else opens them.

What a client calls its file is only ever shown; on the disk a file is called by its role.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, AsyncIterator, Dict

from cryores.errors import CryoresError, InputError
from cryores.mapio import read_header
from cryores.web.limits import RefusedError, too_large
from cryores.web.store import Store

MAP_ROLES = ("half1", "half2", "map", "mask")
MODEL = "model"
ROLES = (*MAP_ROLES, MODEL)

GZIP = b"\x1f\x8b"
CHUNK = 1 << 20
LONGEST_NAME = 120
MODEL_WORDS = (b"ATOM", b"HETATM", b"_atom_site.")


async def receive(chunks: AsyncIterator[bytes], store: Store, job: str, role: str, shown: str) -> Dict[str, Any]:
    """Write an upload into the job's folder, check it, and enter it among the job's inputs.

    Parameters
    ----------
    chunks : async iterator of bytes
        The file as it comes.
    store, job, role : Store, str, str
        Where it goes; ``role`` is one of `ROLES`.
    shown : str
        What the client calls it.

    Raises
    ------
    RefusedError
        If it is too large, or there is no room.
    InputError
        If it is no map, or no model.
    """
    limit = limit_of(store, role)
    folder = store.folder_of(job) / "inputs"
    with arriving_part(folder) as part:
        size = 0
        with open(part, "wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                store.require_room(len(chunk))
                file.write(chunk)
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(accept, part, store, job, role, shown)


def limit_of(store: Store, role: str) -> int:
    """Return the bytes that a file in this role may have.

    Raises
    ------
    RefusedError
        If there is no such role.
    """
    if role not in ROLES:
        raise RefusedError(404, "E_ROLE", "there is no such input", f"inputs are {', '.join(ROLES)}")
    return store.limits.model_bytes if role == MODEL else store.limits.map_bytes


def accept(part: Path, store: Store, job: str, role: str, shown: str) -> Dict[str, Any]:
    """Unpack and check a file that has arrived, give it its private name, and enter it among the job's inputs."""
    shown = printable(shown)
    try:
        with arriving_part(part.parent) as plain:
            unpack(part, plain, limit_of(store, role))
            found = _model_entry(plain) if role == MODEL else _map_entry(plain)
            file = f"{role}{found.pop('suffix')}"
            entry = {"name": shown, "file": file, "bytes": plain.stat().st_size, **found}
            store.change_inputs(job, role, entry, plain)
            return entry
    except CryoresError as error:
        raise without_path(error, part.parent, shown) from error


def unpack(packed: Path, plain: Path, limit: int) -> None:
    """Write ``packed`` as ``plain``, decompressed if it is gzipped, whatever it is called.

    Raises
    ------
    RefusedError
        If that makes more than ``limit`` bytes.
    InputError
        ``E_EMPTY``, or ``E_GZIP`` if the compression is damaged.
    """
    with open(packed, "rb") as source:
        start = source.read(2)
        source.seek(0)
        if not start:
            raise InputError("E_EMPTY", "the file is empty", "choose it again")
        if start != GZIP:
            os.replace(packed, plain)
            return
        written, machine = 0, zlib.decompressobj(31)
        with open(plain, "wb") as target:
            while not machine.eof:
                data = machine.unconsumed_tail or source.read(CHUNK)
                if not data:
                    raise InputError("E_GZIP", "the compressed file ends too early", "copy or download it again")
                try:
                    block = machine.decompress(data, CHUNK)
                except zlib.error as error:
                    raise InputError("E_GZIP", "the compressed file is damaged", "copy or download it again") from error
                written += len(block)
                if written > limit:
                    raise too_large(limit)
                target.write(block)


def _map_entry(path: Path) -> Dict[str, Any]:
    grid = read_header(path)
    return {"suffix": ".mrc", "shape": list(reversed(grid.shape)), "voxel_size": list(reversed(grid.voxel_size))}


def _model_entry(path: Path) -> Dict[str, Any]:
    text = path.read_bytes()
    if b"\0" in text or not any(word in text for word in MODEL_WORDS):
        raise InputError("E_MODEL", f"{path} is no atomic model", "give a PDB or mmCIF file with coordinates")
    return {"suffix": ".cif" if MODEL_WORDS[2] in text else ".pdb"}


def without_path(error: CryoresError, folder: Path, shown: str) -> CryoresError:
    """Return the error with the client's name in place of every path into ``folder``."""
    message = " ".join(shown if word.startswith(str(folder)) else word for word in error.message.split(" "))
    if isinstance(error, RefusedError):
        return RefusedError(error.status, error.code, message, error.hint)
    return type(error)(error.code, message, error.hint)


def printable(name: str) -> str:
    """Return a client's file name without folders, control characters and excess length; to be shown only."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in base if c.isprintable())[:LONGEST_NAME].strip() or "a file without a name"


@contextlib.contextmanager
def arriving_part(folder: Path) -> Any:
    """Give the name of a file that arrives in a job's folder of inputs; it is taken away if it is still there."""
    handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def receiving(folder: Path) -> int:
    """Return the bytes of files that are arriving in a job's folder of inputs."""
    total = 0
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
