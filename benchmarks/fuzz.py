"""Feed a reader with damaged files, led by what code they reach: ``python -m benchmarks.fuzz READER --executions N``.

Needs atheris (``pip install 'scipion-em-cryores[fuzz]'``). A reader may give a value or a `CryoresError`. Anything else
stops the run, and the file that did it is kept in the current folder: another exception, a crash, more than five
seconds, room made for more than the file can hold, a file opened, made or removed outside the reader's own folder,
another program, the network.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import functools
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
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence

import atheris
import numpy as np
import psutil

SECONDS = 5
ROOM = 192 << 20
"""Bytes of address space that a reader may take: thousands of times what the largest file here holds."""

LONGEST = 12_000
"""Bytes of a file: what the valid ones that a reader starts from need."""


class Reader(NamedTuple):
    """What is tried with a file, which valid files it starts from, and the modules whose coverage leads.

    ``at_once``: how many files are read in one step.
    """

    read: Callable[[Path], Any]
    seeds: Callable[[Path], List[bytes]]
    modules: List[str]
    at_once: int = 1


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
    with h5py.File(folder / "b.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
        group = file.create_group("model_weights/d")
        group.attrs["weight_names"] = ["d/kernel:0"]
        group.create_dataset("d/kernel:0", data=np.ones((40, 4), "f4"), chunks=(8, 4), compression="gzip", shuffle=True)
    return [*found, (folder / "b.h5").read_bytes()]


NOBODY_ASKS = 2


class Trial:
    """The process that tries files of weights before they are read: here one for many, renewed when one ends it.

    The command starts a Python for each file, which takes far longer. A file is read by the same code under the same
    limit of room, counted anew for each.
    """

    RENEWED = 2000
    """Files after which a process is renewed in any case: HDF5 does not give back all that it takes."""

    SECONDS = 0.02
    """Of a processor: twenty times what a valid file takes. The command allows 20; of 32 files that were ended by it,
    all took more than 1.8."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        asked, self._ask = os.pipe()
        self._answer, told = os.pipe()
        if os.fork() == 0:
            os.close(self._ask)
            self._keep_one_at_work(asked, told)
        os.close(asked), os.close(told)

    def survivors(self) -> Iterator[Path]:
        """Yield the files, as they stand now, to whose end a process comes."""
        os.write(self._ask, bytes(range(len(self._paths))))
        for path in self._paths:
            if os.read(self._answer, 1) == b"y":
                yield path

    def _keep_one_at_work(self, asked: int, told: int) -> None:
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        while True:
            worker = os.fork()
            if worker == 0:
                self._work(asked, told)
            ended = os.waitpid(worker, 0)[1]
            if os.WIFEXITED(ended) and os.WEXITSTATUS(ended) == NOBODY_ASKS:
                os._exit(0)
            if ended:
                os.write(told, b"n")

    def _work(self, asked: int, told: int) -> None:
        from cryores.nets._hdf5_trial import LEAST_ROOM, limit_this_process, read_whole

        status = 1
        try:
            for _ in range(self.RENEWED):
                which, answer = os.read(asked, 1), b"n"
                if not which:
                    os._exit(NOBODY_ASKS)
                with contextlib.suppress(Exception):
                    # A limit of whole seconds could strike between two files: the timer is what ends a loop.
                    limit_this_process(LEAST_ROOM, 5)
                    signal.setitimer(signal.ITIMER_PROF, self.SECONDS)
                    read_whole(str(self._paths[which[0]]))
                    answer = b"y"
                signal.setitimer(signal.ITIMER_PROF, 0.0)
                os.write(told, answer)
            status = 0
        finally:
            os._exit(status)


@functools.lru_cache(maxsize=1)
def _trial(folder: Path) -> Trial:
    return Trial([folder / f"{number}.h5" for number in range(AT_ONCE)])


AT_ONCE = 16
"""Files of weights that are made of one: waiting for an answer takes longer than finding it."""


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Return a file in which some bytes are changed."""
    changed = bytearray(content)
    for place in random.integers(0, max(len(content), 1), random.integers(1, 6)) if content else ():
        changed[place] = random.choice((0, 1, 255, changed[place] ^ 1 << random.integers(8), random.integers(256)))
    return bytes(changed)


def _read_weight_files(path: Path) -> None:
    """Read a file, and others like it, as `read_network` does, but for building the network, and with `Trial`."""
    from cryores.errors import CryoresError

    content, trial = path.read_bytes(), _trial(path.parent)
    random = np.random.default_rng(zlib.crc32(content))
    for number in range(AT_ONCE):
        (path.parent / f"{number}.h5").write_bytes(damaged(content, random) if number else content)
    for survivor in trial.survivors():
        with contextlib.suppress(CryoresError):
            _read_weight_file(survivor)


def _read_weight_file(path: Path) -> None:
    from cryores.nets import legacy_hdf5

    with legacy_hdf5._read_by_library(path) as file:
        record = legacy_hdf5._network_record(legacy_hdf5._configuration(file, path), path)
        for name in record.layers:
            for stored in legacy_hdf5._stored(file, name, path).values():
                if stored.size <= path.stat().st_size and stored.dtype.kind == "f":
                    legacy_hdf5._values(stored, name, path)


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
    "weights": Reader(_read_weight_files, _weight_files, ["cryores.nets.legacy_hdf5"], AT_ONCE),
    "upload": Reader(_read_upload, lambda folder: [*_maps(folder), *(whole + b"\n\xff" for whole in _models(folder))],
                     ["cryores.web.uploads", "cryores.mapio"]),
}  # fmt: skip


# --- the run ----------------------------------------------------------------------------------------------------


class OutsideError(BaseException):
    """A reader has used something that is not its own; no code that handles errors may keep it to itself."""


CHANGES = {"os.mkdir": 1, "os.rmdir": 1, "os.remove": 1, "os.chmod": 1, "os.chown": 1, "os.truncate": 1, "os.utime": 1,
           "os.rename": 2, "os.symlink": 2, "os.link": 2}  # fmt: skip
"""Audit event -> how many of its arguments are names of files."""

NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo")


def keep_inside(folder: Path) -> None:
    """Raise `OutsideError` from now on where Python uses files outside ``folder``, other programs or the network.

    It may read what belongs to Python, to its packages and to the system's own account of itself.
    """
    sys.dont_write_bytecode = True
    written = (str(folder), os.devnull)
    read = (*written, sys.prefix, sys.base_prefix, *filter(None, sys.path), "/proc/", "/sys/")

    def watch(event: str, arguments: Any) -> None:
        if event in NEVER:
            raise OutsideError(f"{event} {arguments}")
        if event == "open":
            used, allowed = arguments[:1], written if arguments[2] & (os.O_WRONLY | os.O_RDWR) else read
        else:
            used, allowed = arguments[: CHANGES.get(event, 0)], written
        for name in (os.fsdecode(name) for name in used if not isinstance(name, int)):
            # A bare name is one in a folder that has been opened: so does shutil.rmtree.
            if not os.path.abspath(name).startswith(allowed) and (event == "open" or os.path.isabs(name)):
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
    steps, longest = -(-executions // chosen.at_once), SECONDS * chosen.at_once
    options = [f"-runs={steps}", f"-timeout={longest}", f"-max_len={LONGEST}", f"-seed={seed}", "-rss_limit_mb=0",
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
