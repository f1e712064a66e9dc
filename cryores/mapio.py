"""Reading and writing MRC and CCP4 maps (.mrc, .map, .ccp4, and the same with .gz).

In memory the axes are always (z, y, x); a file's own axis order is kept in its `Grid` and restored on writing.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import mrcfile
import mrcfile.mrcinterpreter
import numpy as np

from cryores.blocks import slabs
from cryores.errors import InputError
from cryores.files import CHUNK, PathLike, require_file
from cryores.volume import FloatArray, Grid, HalfMaps, Volume, require_volume

REAL_MODES = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}

HEADER_BYTES = 1024
NSYMBT = 92
"""Where the header states the length of the extended one."""
STACKS = range(401, 631)
"""Space groups that mean several volumes in one file."""


def read_map(path: PathLike, voxel_size: Optional[float] = None, mapped: bool = False) -> Volume:
    """Read a density map.

    Parameters
    ----------
    path : path
        An MRC or CCP4 file of mode 0, 1, 2, 6 or 12, either byte order, any axis order, gzipped or not.
    voxel_size : float, optional
        Voxel size in Å; overrides the header.
    mapped : bool
        Leave the voxels in the file where they lie there as they are in memory (mode 2, native byte order, axes x, y,
        z, not compressed): for volumes larger than memory. The file must not change as long as the volume is used.

    Returns
    -------
    Volume
        float32, axes (z, y, x).

    Raises
    ------
    InputError
        ``E_NO_FILE`` missing · ``E_READ`` not to be read · ``E_NOT_MRC`` no MRC file · ``E_TRUNCATED`` shorter than its
        header says · ``E_MODE`` complex or colour data · ``E_NOT_3D`` one image or a stack · ``E_CELL`` a cell that is
        not orthogonal · ``E_VOXEL_SIZE`` no voxel size · ``E_NOT_FINITE`` NaN or infinite voxels.
    """
    volume = read_map_with_gaps(path, voxel_size, mapped)
    bad = volume.data.size - sum(int(np.count_nonzero(np.isfinite(part))) for part in slabs(volume.data))
    if bad:
        raise InputError(
            "E_NOT_FINITE",
            f"{path} has {bad} voxels that are NaN or infinite",
            "find the step that wrote them; no Fourier method can work around them",
        )
    return volume


def read_map_with_gaps(path: PathLike, voxel_size: Optional[float] = None, mapped: bool = False) -> Volume:
    """Read a map whose voxels may be NaN or infinite, as some programs mark what has no value; else as `read_map`."""
    path = Path(path)
    raw, header = _read_file(path, mapped)
    grid = _grid_of(header, raw.shape, path)
    if voxel_size is not None:
        if not np.isfinite(voxel_size) or voxel_size <= 0:
            raise InputError(
                "E_VOXEL_SIZE", f"a voxel size of {voxel_size} Å means nothing", "give --voxel-size in Å, above 0"
            )
        grid = grid.with_voxel_size(voxel_size)
    if not all(np.isfinite(v) and v > 0 for v in grid.voxel_size):
        raise InputError("E_VOXEL_SIZE", f"{path} has no voxel size in its header", "state it with --voxel-size (Å)")
    data = np.ascontiguousarray(raw.transpose(_file_to_zyx(grid.axis_order)), dtype=np.float32)
    return Volume(data, grid)


def read_header(path: PathLike) -> Grid:
    """Read the grid of a map from its header alone, after comparing the header with the size of the file.

    For files of unknown origin: neither voxels nor the header's own sizes are trusted. The file must not be compressed.
    A voxel size that is absent is 0.

    Raises
    ------
    InputError
        ``E_NO_FILE`` · ``E_READ`` · ``E_NOT_MRC`` · ``E_TRUNCATED`` · ``E_MODE`` · ``E_NOT_3D`` · ``E_CELL``, as
        `read_map`.
    """
    path = Path(path)
    require_file(path)
    with open(path, "rb") as file:
        found = _read_claims(file, path)
    _compare(found, path)
    return _grid_of(found.header, found.shape, path)


def read_half_maps(
    half1: PathLike, half2: PathLike, voxel_size: Optional[float] = None, mapped: bool = False
) -> HalfMaps:
    """Read two half maps as `read_map` does; raises what `read_map` and `HalfMaps` raise."""
    return HalfMaps(read_map(half1, voxel_size, mapped), read_map(half2, voxel_size, mapped))


def write_map(path: PathLike, volume: Volume) -> None:
    """Write a volume as float32 MRC on exactly its own grid; NaN is written as 0.

    The file appears under its name only when it is complete. A name that ends in ``.gz`` is compressed.

    Raises
    ------
    InputError
        ``E_WRITE`` if the file cannot be written.
    UsageError
        ``E_NO_VOLUME`` for what is no `Volume`.
    """
    require_volume("what is to be written", volume)
    path = Path(path)
    grid = volume.grid
    order = _file_to_zyx(grid.axis_order)
    in_file = volume.data.transpose(np.argsort(order))
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        try:
            _write_file(temporary, in_file, grid, compressed=path.suffix == ".gz")
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(
            "E_WRITE", f"cannot write {path}: {error.strerror or error}", "choose a folder that exists, or make room"
        ) from error


def _nan_as_zero(data: FloatArray) -> FloatArray:
    return np.where(np.isnan(data), np.float32(0), data)


@dataclass(frozen=True)
class _Claims:
    """What a header says: of its own, the shape (sections, rows, columns), bytes before the data, type of a voxel."""

    header: Any
    shape: Tuple[int, int, int]
    offset: int
    voxel: Any


def _read_file(path: Path, mapped: bool) -> Tuple[Any, Any]:
    require_file(path)
    packed = _packing(path)
    try:
        with packed(path) if packed else open(path, "rb") as file:
            found = _read_claims(file, path)
            if packed:
                _read_at_most(file, found.offset - HEADER_BYTES, keep=False)
                raw = _read_at_most(file, math.prod(found.shape) * found.voxel.itemsize)
                _read_at_most(file, CHUNK, keep=False)  # the checksum lies behind the data
                data = np.frombuffer(raw, found.voxel, len(raw) // found.voxel.itemsize)
            else:
                _compare(found, path)
                if mapped and found.voxel == np.float32:
                    return np.memmap(path, found.voxel, "r", found.offset, found.shape), found.header
                data = np.fromfile(file, found.voxel, math.prod(found.shape), offset=found.offset - HEADER_BYTES)
    except (EOFError, zlib.error) as error:
        raise _truncated(path) from error
    except OSError as error:
        raise InputError(
            "E_NOT_MRC", f"{path} cannot be read as an MRC map ({error})", "give an .mrc, .map or .ccp4 file"
        ) from error
    if data.size != math.prod(found.shape):
        raise _truncated(path)
    return data.reshape(found.shape), found.header


def _packing(path: Path) -> Optional[Callable[[Path], Any]]:
    with open(path, "rb") as file:
        start = file.read(2)
    packings: Dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}
    return packings.get(start)


def _read_at_most(file: Any, wanted: int, keep: bool = True) -> bytearray:
    """Read bytes out of a packed file: room is made for what has come, and not for what is claimed."""
    raw = bytearray()
    while wanted > 0:
        block = file.read(min(wanted, CHUNK))
        if not block:
            break
        wanted -= len(block)
        raw += block if keep else b""
    return raw


def _read_claims(file: Any, path: Path) -> _Claims:
    """Read a header, believing nothing that it says; see `_compare`."""
    raw = file.read(HEADER_BYTES)
    not_mrc = InputError("E_NOT_MRC", f"{path} is not an MRC map", "give an .mrc, .map or .ccp4 file")
    if len(raw) < HEADER_BYTES:
        raise not_mrc
    with warnings.catch_warnings():
        # A header with an odd stamp or machine word is common and harmless.
        warnings.simplefilter("ignore")
        try:
            # mrcfile makes room for an extended header of whatever length is claimed: here it sees none.
            bare = raw[:NSYMBT] + bytes(4) + raw[NSYMBT + 4 :]
            header = np.array(mrcfile.mrcinterpreter.MrcInterpreter(io.BytesIO(bare), True, True).header)
        except ValueError as error:
            raise not_mrc from error
    extended = int(np.frombuffer(raw[NSYMBT : NSYMBT + 4], dtype=header.dtype["nsymbt"])[0])
    _check_mode(header, path)
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    if min(shape) < 1 or extended < 0:
        raise not_mrc
    if min(shape) < 2 or int(header["ispg"]) in STACKS:
        raise _not_a_volume(path, shape)
    voxel = np.dtype(REAL_MODES[int(header["mode"])]).newbyteorder(header.dtype["nx"].byteorder)  # type: ignore[arg-type]
    return _Claims(header, shape, HEADER_BYTES + extended, voxel)


def _compare(found: _Claims, path: Path) -> None:
    """Raise `InputError` if a file that is not packed is shorter than its header says."""
    if found.offset + math.prod(found.shape) * found.voxel.itemsize > path.stat().st_size:
        raise _truncated(path)


def _check_mode(header: Any, path: Path) -> None:
    mode = int(header["mode"])
    if mode in (3, 4):
        raise InputError(
            "E_MODE", f"{path} holds complex data (mode {mode})", "give the real-space map, not its transform"
        )
    if mode not in REAL_MODES and not bytes(header["map"]).startswith(b"MAP"):
        raise InputError("E_NOT_MRC", f"{path} is not an MRC map", "give an .mrc, .map or .ccp4 file")
    if mode not in REAL_MODES:
        raise InputError("E_MODE", f"{path} has the unknown data mode {mode}", "convert it to float32 (mode 2)")


def _truncated(path: Path) -> InputError:
    return InputError("E_TRUNCATED", f"{path} is shorter than its header says, or damaged", "copy or download it again")


def _not_a_volume(path: Path, shape: Tuple[int, ...]) -> InputError:
    return InputError("E_NOT_3D", f"{path} holds data of shape {shape}, not a volume", "give a three-dimensional map")


def _grid_of(header: Any, file_shape: Tuple[int, ...], path: Path) -> Grid:
    axis_order = (int(header["mapc"]), int(header["mapr"]), int(header["maps"]))
    if sorted(axis_order) != [1, 2, 3]:
        axis_order = (1, 2, 3)  # many programs leave these fields at zero
    angles = tuple(float(header["cellb"][a]) for a in ("alpha", "beta", "gamma"))
    if not all(a == 0 or abs(a - 90) <= 0.01 for a in angles):
        raise InputError(
            "E_CELL",
            f"{path} has cell angles {angles}: its axes are not orthogonal",
            "resample it to an orthogonal grid first",
        )
    start_in_file = (int(header["nxstart"]), int(header["nystart"]), int(header["nzstart"]))
    nstart = dict(zip(axis_order, start_in_file))
    shape = tuple(file_shape[i] for i in _file_to_zyx(axis_order))
    return Grid(
        shape=shape,  # type: ignore[arg-type]
        cell=tuple(float(header["cella"][a]) for a in "zyx"),  # type: ignore[arg-type]
        sampling=(int(header["mz"]), int(header["my"]), int(header["mx"])),
        # Older programs leave whatever it may be in these fields.
        origin=tuple(float(v) if np.isfinite(v) else 0.0 for v in (header["origin"][a] for a in "zyx")),  # type: ignore[arg-type]
        nstart=(nstart[3], nstart[2], nstart[1]),
        axis_order=axis_order,
        angles=angles,  # type: ignore[arg-type]
        space_group=int(header["ispg"]),
    )


def _file_to_zyx(axis_order: Tuple[int, int, int]) -> Tuple[int, int, int]:
    """Return the transposition from the file's (section, row, column) to (z, y, x)."""
    columns, rows, sections = axis_order
    in_file = [sections, rows, columns]
    return (in_file.index(3), in_file.index(2), in_file.index(1))


def _write_file(path: str, in_file: Any, grid: Grid, compressed: bool) -> None:
    """Write header and sections; of volumes that may be larger than memory, so that no copy is made but of a few."""
    _write_header(path, in_file, grid)
    header = Path(path).read_bytes()
    with gzip.open(path, "wb") if compressed else open(path, "wb") as file:
        file.write(header)
        for part in slabs(in_file):
            file.write(np.ascontiguousarray(_nan_as_zero(part)).data)


def _write_header(path: str, in_file: Any, grid: Grid) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mrcfile.new(path, overwrite=True) as mrc:
            header = mrc.header
            header.mode = 2
            header.nz, header.ny, header.nx = in_file.shape
            header.dmin, header.dmax, header.dmean, header.rms = _density_statistics(in_file)
            start = dict(zip((3, 2, 1), grid.nstart))
            header.nxstart, header.nystart, header.nzstart = (start[axis] for axis in grid.axis_order)
            header.mz, header.my, header.mx = grid.sampling
            header.mapc, header.mapr, header.maps = grid.axis_order
            header.ispg = grid.space_group
            for axis, cell, origin in zip("zyx", grid.cell, grid.origin):
                header.cella[axis] = cell
                header.origin[axis] = origin
            for name, angle in zip(("alpha", "beta", "gamma"), grid.angles):
                header.cellb[name] = angle


def _density_statistics(data: Any) -> Tuple[float, float, float, float]:
    """Return minimum, maximum, mean and standard deviation, NaN counting as 0."""
    lows, highs, totals = zip(*((p.min(), p.max(), p.sum(dtype=np.float64)) for p in map(_nan_as_zero, slabs(data))))
    mean = float(sum(totals)) / data.size
    squares = sum(float(np.square(part - mean, dtype=np.float64).sum()) for part in map(_nan_as_zero, slabs(data)))
    return float(min(lows)), float(max(highs)), mean, math.sqrt(squares / data.size)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
