"""Feed a reader with damaged files, led by what code they reach: ``python -m benchmarks.fuzz READER --executions N``.

Needs atheris (``pip install 'scipion-em-cryores[fuzz]'``). A reader may give a value or a `CryoresError`. Anything else
stops the run, and the file that did it is kept in the current folder: another exception, a crash, more than five
seconds, room made for more than the file can hold, a file opened for writing outside the reader's own folder.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import json
import os
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import atheris
import numpy as np
import psutil

SECONDS = 5
ROOM = 192 << 20
"""Bytes of address space that a reader may take: thousands of times what the largest file here holds."""

LONGEST = 12_000
"""Bytes of a file: what the valid ones that a reader starts from need."""


class Reader(NamedTuple):
    """What is tried with a file, which valid files it starts from, and the modules whose coverage leads."""

    read: Callable[[Path], Any]
    seeds: Callable[[Path], List[bytes]]
    modules: List[str]


Packers = List[Callable[[bytes], bytes]]


def packed(data: bytes, packers: Packers) -> bytes:
    """Return a file, packed as its first byte says: the fuzzer does not guess checksums."""
    return packers[data[0] % len(packers)](data[1:]) if data else b""


def _members(data: bytes) -> List[Any]:
    """Take names, sizes and kinds of archive members out of bytes: a length, a kind, and a name each."""
    names = ["w.h5", "a/w.h5", "../w.h5", "/w.h5", "a\\..\\w.h5", "w.h5/", "", "x" * 300, "\x00w.h5", "CON"]
    return [(names[data[i] % len(names)], data[i + 1], data[i + 2]) for i in range(0, min(len(data) - 2, 60), 3)]


def _tarred(data: bytes) -> bytes:
    kinds = [
        tarfile.REGTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if data[:1] > b"\x80" else "w", format=tarfile.PAX_FORMAT) as archive:
        for name, size, kind in _members(data):
            info = tarfile.TarInfo(name.replace("\x00", ""))
            info.size, info.type, info.linkname = size, kinds[kind % len(kinds)], "../../outside"
            archive.addfile(info, io.BytesIO(bytes(size)))
    return file.getvalue()


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size, kind in _members(data):
            info = zipfile.ZipInfo(name or "w.h5")
            info.external_attr = (0o120777 if kind & 1 else 0o100644) << 16
            archive.writestr(info, bytes(size))
    content = bytearray(file.getvalue())
    for place, value in zip(data[-8:-1:2], data[-7::2]):
        content[-1 - place % len(content)] = value
    return bytes(content)


# --- the readers ------------------------------------------------------------------------------------------------


def _maps(folder: Path) -> List[bytes]:
    from cryores.mapio import write_map
    from cryores.volume import Grid, Volume

    data = np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32)
    write_map(folder / "a.mrc", Volume(data, Grid.regular(data.shape, 1.5)))
    whole = (folder / "a.mrc").read_bytes()
    small = bytearray(whole)
    small[12:16] = (1).to_bytes(4, "little")
    swapped = np.frombuffer(whole[:224], "<u4").byteswap().tobytes() + whole[224:]
    return [whole, bytes(small), swapped, whole[:1024], whole[:1500]]


def _read_map(path: Path) -> None:
    from cryores.errors import CryoresError
    from cryores.mapio import read_header, read_map

    try:
        grid = read_header(path)
    except CryoresError:
        grid = None
    volume = read_map(path)
    assert grid is None or volume.grid == grid


def _curves(folder: Path) -> List[bytes]:
    from cryores.curves import Curve, star_text, xml_text

    frequency = np.linspace(0.01, 0.3, 8)
    curve = Curve(frequency, np.exp(-frequency), "a")
    columns = {"rlnResolution": frequency, "rlnFourierShellCorrelationCorrected": np.exp(-frequency)}
    star = star_text({"rlnFinalResolution": 3.0}, columns)
    return [text.encode() for text in (star, xml_text(curve), "0.1 0.9\n0.2 0.5\n")]


def _read_curve(path: Path) -> None:
    from cryores.curves import read_curve

    curve = read_curve(path)
    assert curve.frequency.shape == curve.values.shape


def _tables(folder: Path) -> List[bytes]:
    return [b"name,half1,half2,mask\na,1.mrc,2.mrc,\nb,1.mrc,2.mrc,m.mrc\n", b"name\tmap\na\tb.mrc\n",
            b'name,map\n"a\n', "\ufeffName,Voxel-Size,map\nä,1.5,x\n".encode()]  # fmt: skip


def _read_table(path: Path) -> None:
    from cryores.cli.batch import INPUTS
    from cryores.tables import read_rows

    rows = read_rows(path, {name: name for name in (*INPUTS, "voxel_size")}, (), ("summary.csv",))
    for row in rows:
        assert (path.parent / row["name"]).parent == path.parent, row


def _models(folder: Path) -> List[bytes]:
    from cryores.atoms import helix_bundle

    structure = helix_bundle(9.0, (10.0, 10.0, 10.0))
    cif = structure.make_mmcif_document().as_string()
    return [cif[:3000].encode(), structure.make_pdb_string()[:2500].encode()]


def _read_model(path: Path) -> None:
    from cryores.atoms import atom_positions, doubts_about, read_model

    for suffix in (".pdb", ".cif"):
        named = path.with_suffix(suffix)
        os.replace(path, named)
        try:
            structure = read_model(named)
            atom_positions(structure)
            doubts_about(structure)
        finally:
            os.replace(named, path)


def _archives(folder: Path) -> List[bytes]:
    members = bytes([0, 40, 0, 1, 9, 0, 5, 0, 3])
    found = [_tarred(members), _zipped(members), _tarred(b"\xff" + members), members, b"\x80" + members]
    return [*found, gzip.compress(b"x" * 100)]


def _read_archive(path: Path) -> None:
    from cryores.nets._archives import is_archive, unpack

    is_archive(path)
    unpacked = path.parent / "unpacked"
    unpacked.mkdir()
    try:
        taken = unpack(path, ["w.h5"], unpacked)
        assert all(file.parent == unpacked and file.stat().st_size <= 1 << 24 for file in taken)
    finally:
        shutil.rmtree(unpacked)


def _networks(folder: Path) -> List[bytes]:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 13, 13, 13, 1]}},
        {"class_name": "Conv3D", "config": {"name": "c", "filters": 2, "kernel_size": [3, 3, 3], "padding": "same"}},
        {"class_name": "Flatten", "config": {"name": "f"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "linear"}},
    ]
    nodes = [[], [[["i", 0, 0, {}]]], [[["c", 0, 0, {}]]], [[["f", 0, 0, {}]]]]
    linked = [{**layer, "name": layer["config"]["name"], "inbound_nodes": n} for layer, n in zip(layers, nodes)]
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}
    keras3 = [{"class_name": "__keras_tensor__", "config": {"keras_history": ["i", 0, 0]}}]
    later = [{**linked[0], "inbound_nodes": []}, {**linked[1], "inbound_nodes": [{"args": keras3, "kwargs": {}}]}]
    networks = [
        {"class_name": "Sequential", "config": {"name": "s", "layers": layers}},
        {"class_name": "Sequential", "config": layers[1:]},
        {"class_name": "Model", "config": {"name": "m", "layers": linked, **ends}},
        {"class_name": "Functional", "config": {"layers": later, "input_layers": ["i", 0, 0],
                                                "output_layers": ["c", 0, 0]}},
    ]  # fmt: skip
    return [json.dumps(network).encode() for network in networks]


def _read_description(path: Path) -> None:
    """Take a description apart as `read_network` does, and check what would reach Keras; none of it is built."""
    from cryores.nets import legacy_hdf5
    from cryores.nets._legacy_layers import accepted

    configuration = legacy_hdf5._parsed(path.read_bytes(), path)
    record = legacy_hdf5._network_record(configuration, path)
    for layer in record.layers.values():
        if layer.kind == "InputLayer":
            legacy_hdf5._input_shape(layer)
        else:
            accepted(layer.name, layer.kind, layer.options)


def _weight_files(folder: Path) -> List[bytes]:
    import h5py

    found = []
    for network in _networks(folder)[:3]:
        with h5py.File(folder / "a.h5", "w", libver="earliest") as file:
            file.attrs["model_config"], file.attrs["keras_version"] = network, b"2.2.4"
            group = file.create_group("model_weights/d")
            group.attrs["weight_names"] = [b"d/kernel:0", b"d/bias:0"]
            group["d/kernel:0"], group["d/bias:0"] = np.ones((4, 1), "f4"), np.ones(1, "f4")
        found.append((folder / "a.h5").read_bytes())
    return found


def _read_weight_file(path: Path) -> None:
    """Read a file as `read_network` does, but for building the network, and with a fork for the trial before it."""
    from cryores.errors import WeightsError
    from cryores.nets import legacy_hdf5

    if not _survived(path):
        raise WeightsError("E_WEIGHTS_DAMAGED", "HDF5 does not survive it", "")
    with legacy_hdf5._read_by_library(path) as file:
        legacy_hdf5._network_record(legacy_hdf5._configuration(file, path), path)
        for stored in legacy_hdf5._stored(file, "d", path).values():
            if stored.size <= path.stat().st_size and stored.dtype.kind == "f":
                legacy_hdf5._values(stored, "d", path)


def _survived(path: Path) -> bool:
    """Tell whether a fork comes to the end of `TRIAL`; the command starts a Python for that, which takes far longer."""
    from cryores.nets._hdf5_trial import LEAST_ROOM, TRIAL

    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            sys.argv = ["", str(path), str(LEAST_ROOM), "1"]
            exec(TRIAL, {})
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


class _Store:
    """As much of the server's store as an upload touches."""

    def __init__(self, folder: Path) -> None:
        from cryores.web.limits import Limits

        self.folder, self.limits = folder, Limits(map_bytes=1 << 20, model_bytes=1 << 20)

    def require_room(self, wanted: int) -> None:
        pass

    def folder_of(self, job: str) -> Path:
        return self.folder / job

    def change_inputs(self, job: str, role: str, entry: Any, arrived: Path) -> None:
        os.replace(arrived, self.folder_of(job) / "inputs" / entry["file"])


def _read_upload(path: Path) -> None:
    from cryores.web.uploads import accept, printable

    inputs = path.parent / "job" / "inputs"
    inputs.mkdir(parents=True)
    try:
        shutil.copy(path, inputs / "arrived.part")
        content = path.read_bytes()
        role, shown = ("map", "model")[content[-1:] > b"\x7f"], printable(content[-40:].decode("latin-1"))
        assert "/" not in shown and "\\" not in shown
        try:
            accept(inputs / "arrived.part", _Store(path.parent), "job", role, shown)  # type: ignore[arg-type]
        finally:
            left = {item.name for item in inputs.iterdir()} - {"arrived.part"}
            assert left <= {"map.mrc", "model.pdb", "model.cif"}, left
    finally:
        shutil.rmtree(inputs.parent)


COMPRESSED: Packers = [*3 * [bytes, lambda data: gzip.compress(data, 1)], bytes, bz2.compress]

PACKERS: Dict[str, Packers] = {
    "map": COMPRESSED,
    "upload": COMPRESSED,
    "archive": [bytes, gzip.compress, _tarred, _zipped],
}
"""How the files of a reader may be packed."""

READERS: Dict[str, Reader] = {
    "map": Reader(_read_map, _maps, ["cryores.mapio", "mrcfile", "gzip"]),
    "curve": Reader(_read_curve, _curves, ["cryores.curves"]),
    "table": Reader(_read_table, _tables, ["cryores.tables", "csv"]),
    "model": Reader(_read_model, _models, ["cryores.atoms"]),
    "archive": Reader(_read_archive, _archives, ["cryores.nets._archives", "tarfile", "zipfile"]),
    "network": Reader(_read_description, _networks, ["cryores.nets.legacy_hdf5", "cryores.nets._legacy_layers"]),
    "weights": Reader(_read_weight_file, _weight_files, ["cryores.nets.legacy_hdf5"]),
    "upload": Reader(_read_upload, lambda folder: [*_maps(folder), *(whole + b"\n\xff" for whole in _models(folder))],
                     ["cryores.web.uploads", "cryores.mapio"]),
}  # fmt: skip


# --- the run ----------------------------------------------------------------------------------------------------


class OutsideError(Exception):
    """A reader has opened a file for writing that is not its own."""


def keep_inside(folder: Path) -> None:
    """Raise `OutsideError` from now on where Python opens a file for writing, or makes one, outside ``folder``."""
    inside = (str(folder), os.getcwd(), "/dev/")

    def watch(event: str, arguments: Any) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            names = [arguments[0]]
        elif event in ("os.mkdir", "os.symlink", "os.link", "os.rename"):
            names = [arguments[1] if event != "os.mkdir" else arguments[0]]
        else:
            return
        for name in map(os.fsdecode, names):
            if not os.path.abspath(name).startswith(inside):
                raise OutsideError(f"{event} {name}")

    sys.addaudithook(watch)


def main(reader: str, executions: int, seconds: int, seed: int) -> None:
    chosen = READERS[reader]
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=chosen.modules):
        import cryores.atoms
        import cryores.cli.batch
        import cryores.curves
        import cryores.nets._archives
        import cryores.nets.legacy_hdf5
        import cryores.web.uploads  # noqa: F401
        from cryores.errors import CryoresError
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    corpus = folder / "corpus"
    corpus.mkdir()
    packers = PACKERS.get(reader)
    for number, content in enumerate(chosen.seeds(folder)):
        for packing in range(len(packers)) if packers else ("",):
            start = bytes([packing]) if isinstance(packing, int) else b""
            (corpus / f"{number}-{packing}").write_bytes(start + content)
    place = folder / "reader"
    place.mkdir()

    def one(data: bytes) -> None:
        path = place / "file"
        path.write_bytes(packed(data, packers) if packers else data)
        try:
            chosen.read(path)
        except CryoresError:
            return

    for start in corpus.iterdir():
        content = start.read_bytes()
        assert len(content) <= LONGEST, "the fuzzer would cut it off"
        one(content)
    allowed = psutil.Process().memory_info().vms + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    keep_inside(folder)
    options = [f"-runs={executions}", f"-timeout={SECONDS}", f"-max_len={LONGEST}", f"-seed={seed}", "-rss_limit_mb=0",
               f"-max_total_time={seconds}", "-print_final_stats=1", "-verbosity=0"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0, help="end sooner than that (default: no limit)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    main(given.reader, given.executions, given.seconds, given.seed)
