"""Published weights: which there are, where they come from, and where they lie, checked whenever they are used.

A set lies in ``FOLDER/NAME/``; ``FOLDER/NAME.json`` beside it records the size and SHA-256 of every file. Where the
publisher states no hash, the first that is installed is trusted, and whatever comes later must be the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from cryores.errors import UsageError, WeightsError
from cryores.execution import Execution
from cryores.files import PathLike, appearing, sha256
from cryores.nets._archives import is_archive, unpack
from cryores.nets._download import cannot_write, download, published_md5

MANIFEST = Path(__file__).with_name("manifest.json")
SHIPPED = Path(__file__).resolve().parents[1] / "weights"
FORMAT = 1
FOLDER_VARIABLE = "CRYORES_WEIGHTS"
MIRROR_VARIABLE = "CRYORES_WEIGHTS_MIRROR"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class WeightFile:
    """A file of a set; size (bytes) and SHA-256 are None where the publisher states none."""

    name: str
    size: Optional[int] = None
    sha256: Optional[str] = None


@dataclass(frozen=True)
class Archive:
    """A packed set: its addresses, what is known of it, and where its server lists its md5.

    ``about`` (bytes) is a guess to plan with; ``size`` is a promise.
    """

    name: str
    urls: Tuple[str, ...]
    size: Optional[int] = None
    about: Optional[int] = None
    sha256: Optional[str] = None
    checksums: Optional[str] = None


@dataclass(frozen=True)
class WeightSet:
    """The weights of one published method."""

    name: str
    what: str
    files: Tuple[WeightFile, ...]
    archives: Tuple[Archive, ...]
    by_hand: str
    licence: str
    citation: str

    @property
    def file_names(self) -> List[str]:
        """The names of its files."""
        return [file.name for file in self.files]


# --- what there is --------------------------------------------------------------------------------------------------


def weight_sets(manifest: PathLike = MANIFEST) -> Dict[str, WeightSet]:
    """Return the sets of the manifest, by name; ``E_WEIGHTS_NEWER`` if a later version of cryores wrote it."""
    told = json.loads(Path(manifest).read_text(encoding="utf-8"))
    _require_format(told, manifest)
    return {entry["name"]: _weight_set(entry) for entry in told["sets"]}


def weight_set(name: str) -> WeightSet:
    """Return one set of the manifest; raises `UsageError` for a name that is not there."""
    sets = weight_sets()
    if name not in sets:
        raise UsageError("E_USAGE", f"there are no weights {name!r}", f"the sets are {', '.join(sets)}")
    return sets[name]


def shipped() -> List[Path]:
    """List the weight files of our own networks, which come with the package."""
    return sorted(p for p in SHIPPED.glob("*") if p.suffix in (".h5", ".hd5", ".keras", ".npz"))


def folders(given: Optional[PathLike] = None) -> List[Path]:
    """Return where weights are looked for: ``given``, or CRYORES_WEIGHTS and the user's data folder.

    They are installed in the first of these.
    """
    import platformdirs

    if given is not None:
        return [Path(given).expanduser()]
    told = os.environ.get(FOLDER_VARIABLE)
    own = Path(platformdirs.user_data_dir("cryores", appauthor=False)) / "weights"
    return [Path(told).expanduser(), own] if told else [own]


def installed_in(name: str, folder: Optional[PathLike] = None, file: Optional[str] = None) -> Optional[Path]:
    """Return the first folder of `folders` in which a set is installed (with ``file``, if that is given), or None."""
    for place in folders(folder):
        recorded = _files_of(place, name)
        if recorded and (file is None or file in recorded):
            return place
    return None


# --- use ------------------------------------------------------------------------------------------------------------


def find(name: str, file: str, folder: Optional[PathLike] = None) -> Path:
    """Return the path of an installed weight file that is, byte for byte, what was installed.

    Parameters
    ----------
    name : str
        The set.
    file : str
        One of its files.
    folder : path, optional
        Where weights lie; default, see `folders`.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING`` with the command that brings it; ``E_WEIGHTS_DAMAGED`` if size or SHA-256 are not those
        of the record; ``E_WEIGHTS_NEWER`` if a later version of cryores installed it.
    """
    for place in folders(folder):
        recorded = _files_of(place, name)
        if file in recorded:
            return _verified(place / name / file, recorded[file], name)
    raise missing(name, file)


def verify(name: str, folder: Optional[PathLike] = None) -> List[Path]:
    """Check every installed file of a set; return their paths. Raises what `find` raises."""
    place = installed_in(name, folder)
    if place is None:
        raise missing(name)
    return [_verified(place / name / file, told, name) for file, told in _files_of(place, name).items()]


def missing(name: str, file: str = "") -> WeightsError:
    """Return the error of weights that are not installed; its hint is the command that brings them."""
    what = f"{file} of the weights {name!r}" if file else f"the weights {name!r}"
    by_hand = weight_set(name).by_hand
    return WeightsError(
        "E_WEIGHTS_MISSING",
        f"{what} are not installed in {' or '.join(map(str, folders()))}",
        f"run 'cryores weights fetch {name}', or 'cryores weights import {name} FILE_OR_FOLDER' ({by_hand})",
    )


# --- installation ---------------------------------------------------------------------------------------------------


def fetch(
    given: WeightSet,
    folder: Optional[PathLike] = None,
    mirror: Optional[str] = None,
    timeout: float = 60.0,
    execution: Optional[Execution] = None,
) -> List[Path]:
    """Download a set and install it; return the paths of its files.

    Parameters
    ----------
    given : WeightSet
        What to install.
    folder : path, optional
        Where; default, the first of `folders`.
    mirror : str, optional
        Address of a folder that holds the archive, tried before its own addresses; default, CRYORES_WEIGHTS_MIRROR.
    timeout : float
        Seconds without a byte after which an address is given up.
    execution : Execution, optional
        Progress and messages.

    Raises
    ------
    WeightsError
        What `download`, `unpack` and `import_files` raise. Nothing but the part that came stays behind, from which
        the next call goes on.
    """
    execution = execution or Execution()
    place = folders(folder)[0]
    mirror = mirror or os.environ.get(MIRROR_VARIABLE)
    with _alone(place, given.name, execution):
        whole = _whole(given, place, execution)
        if whole:
            return whole
        failures: List[WeightsError] = []
        for archive in given.archives:
            packed = place / f".{archive.name}"
            try:
                _fetch_archive(archive, packed, mirror, timeout, execution)
                paths = _install(given, packed, place, archive.name, execution)
            except WeightsError as error:
                if error.code == "E_WEIGHTS_WRITE":
                    raise  # no other address makes room; what came is kept
                failures.append(error)
            else:
                packed.unlink()
                return paths
            packed.unlink(missing_ok=True)
        raise _all_failed(given, failures)


def import_files(
    given: WeightSet, source: PathLike, folder: Optional[PathLike] = None, execution: Optional[Execution] = None
) -> List[Path]:
    """Install a set from a file or folder of this machine; return the paths of its files.

    Parameters
    ----------
    given : WeightSet
        What to install.
    source : path
        The archive, one of the files, or a folder that holds (at any depth) the files, or else the archive.
    folder, execution
        As of `fetch`.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING`` if none of the files are there · ``E_WEIGHTS_FOREIGN`` if one is no HDF5 file ·
        ``E_WEIGHTS_DAMAGED`` if one has not the published size or hash · ``E_WEIGHTS_CHANGED`` if one is not what
        was trusted first · ``E_WEIGHTS_ARCHIVE`` · ``E_WEIGHTS_WRITE``.
    """
    execution = execution or Execution()
    place = folders(folder)[0]
    if not Path(source).exists():
        raise WeightsError("E_WEIGHTS_MISSING", f"there is no {source}", "check the name")
    with _alone(place, given.name, execution):
        return _install(given, Path(source), place, str(Path(source).resolve()), execution)


def _whole(given: WeightSet, place: Path, execution: Execution) -> List[Path]:
    """Return the files of a set that is installed and as it was; nothing if it must be fetched, or fetched again."""
    try:
        paths = verify(given.name, place)
    except WeightsError as error:
        if error.code != "E_WEIGHTS_MISSING":
            execution.say(f"{given.name}: {error.message}; it is fetched again")
        return []
    if len(paths) < len(given.files):
        return []
    execution.say(f"{given.name}: installed in {place / given.name}, and whole")
    return paths


def _fetch_archive(archive: Archive, target: Path, mirror: Optional[str], timeout: float, execution: Execution) -> None:
    urls, sums = archive.urls, archive.checksums
    if mirror:
        urls = (f"{mirror.rstrip('/')}/{archive.name}", *urls)
        sums = sums and f"{mirror.rstrip('/')}/{sums.rsplit('/', 1)[-1]}"
    known = f"sha256:{archive.sha256}" if archive.sha256 else published_md5(sums, archive.name, timeout)
    if known is None:
        execution.say(f"{archive.name}: no checksum can be had; what comes first is trusted, and recorded")
    download(urls, target, known, archive.size, timeout, execution)


def _install(given: WeightSet, source: Path, place: Path, origin: str, execution: Execution) -> List[Path]:
    """Bring the files together in a folder of their own, check them, and give it the set's name."""
    for left in place.glob(f".{given.name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of an installation that was killed
    try:
        staging = Path(tempfile.mkdtemp(dir=place, prefix=f".{given.name}-"))
        try:
            found = _gathered(given, source, staging)
            record = {path.name: _described(path) for path in found}
            earlier = _record(place, given.name).get("files", {})
            _check(given, record, staging, earlier, place)
            for name in set(earlier) - set(record):
                if (place / given.name / name).is_file():
                    shutil.copyfile(place / given.name / name, staging / name)
                    record[name] = earlier[name]
            _put(staging, place / given.name)
            told = {"format": FORMAT, "set": given.name, "origin": origin, "files": record}
            _write(place / f"{given.name}.json", json.dumps(told, indent=2))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise cannot_write(place, error) from error
    for name in given.file_names:
        execution.say(f"  {name}: " + (f"sha256 {record[name]['sha256']}" if name in record else "NOT in this source"))
    return [place / given.name / name for name in given.file_names if name in record]


def _gathered(given: WeightSet, source: Path, staging: Path) -> List[Path]:
    if source.is_dir():
        found = [path for path in sorted(source.rglob("*")) if path.name in given.file_names and path.is_file()]
        packed = [source / archive.name for archive in given.archives if (source / archive.name).is_file()]
        if not found and packed:
            return _gathered(given, packed[0], staging)
        if len({path.name for path in found}) < len(found):
            raise WeightsError(
                "E_WEIGHTS_AMBIGUOUS",
                f"{source} holds a file more than once: {', '.join(map(str, found))}",
                "name the folder of those that are meant",
            )
        taken = [Path(shutil.copyfile(path, staging / path.name)) for path in found]
    elif source.name in given.file_names:
        taken = [Path(shutil.copyfile(source, staging / source.name))]
    else:
        if not is_archive(source):
            raise WeightsError(
                "E_WEIGHTS_FOREIGN",
                f"{source.name.lstrip('.')} is neither an archive nor one of {', '.join(given.file_names)}",
                "see 'cryores weights list'; a web page in place of the file means that its address has changed",
            )
        taken = unpack(source, given.file_names, staging)
    if not taken:
        raise WeightsError(
            "E_WEIGHTS_MISSING", f"{source} holds none of {', '.join(given.file_names)}", "see 'cryores weights list'"
        )
    return taken


def _check(given: WeightSet, record: Mapping[str, Any], staging: Path, earlier: Mapping[str, Any], place: Path) -> None:
    for file in given.files:
        if file.name not in record:
            continue
        told = record[file.name]
        with open(staging / file.name, "rb") as stream:
            if stream.read(8) != HDF5_SIGNATURE:
                raise WeightsError(
                    "E_WEIGHTS_FOREIGN", f"{file.name} is not an HDF5 file", "give the published file as it is"
                )
        if file.size not in (None, told["size"]) or file.sha256 not in (None, told["sha256"]):
            raise _damaged(staging / file.name, given.name)
        if file.name in earlier and earlier[file.name]["sha256"] != told["sha256"]:
            raise WeightsError(
                "E_WEIGHTS_CHANGED",
                f"{file.name} has sha256 {told['sha256']}, and {earlier[file.name]['sha256']} was trusted first",
                f"if its publisher has changed it, remove {place / (given.name + '.json')} and run this again",
            )


def _put(staging: Path, target: Path) -> None:
    """Give a folder its name; what had it before goes."""
    os.chmod(staging, 0o755)
    if target.exists():
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{staging.name}-old-"))
        os.replace(target, old / target.name)
        os.replace(staging, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(staging, target)


@contextlib.contextmanager
def _alone(place: Path, name: str, execution: Execution) -> Iterator[None]:
    """Hold the lock of a set; the system frees it when a process ends, however that happens."""
    import fcntl

    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = open(place / f".{name}.lock", "w")  # noqa: SIM115
    except OSError as error:
        raise cannot_write(place, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            execution.say(f"{name}: another installation is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- records --------------------------------------------------------------------------------------------------------


def _record(place: Path, name: str) -> Dict[str, Any]:
    path = place / f"{name}.json"
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        _require_format(told, path)
        if not all({"size", "sha256"} <= set(file) for file in told["files"].values()):
            raise KeyError("files")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"the record {path} cannot be read", "remove it, and fetch again"
        ) from error
    return dict(told)


def _files_of(place: Path, name: str) -> Dict[str, Any]:
    """Return what the record says of the files of a set, if its folder is there."""
    return dict(_record(place, name).get("files", {})) if (place / name).is_dir() else {}


def _require_format(told: Mapping[str, Any], path: PathLike) -> None:
    if told["format"] > FORMAT:
        raise WeightsError("E_WEIGHTS_NEWER", f"{path} is of a later version of cryores", "update cryores")


def _weight_set(entry: Mapping[str, Any]) -> WeightSet:
    files = tuple(WeightFile(**file) for file in entry["files"])
    archives = tuple(Archive(**{**archive, "urls": tuple(archive["urls"])}) for archive in entry["archives"])
    return WeightSet(**{**entry, "files": files, "archives": archives})


def _described(path: Path) -> Dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def _verified(path: Path, told: Mapping[str, Any], name: str) -> Path:
    if not path.is_file():
        raise missing(name, path.name)
    if path.stat().st_size != told["size"] or sha256(path) != told["sha256"]:
        raise _damaged(path, name)
    return path


def _write(path: Path, text: str) -> None:
    with appearing(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def _damaged(path: Path, name: str) -> WeightsError:
    return WeightsError(
        "E_WEIGHTS_DAMAGED",
        f"{path.name} has not the size and SHA-256 that it must have",
        f"run 'cryores weights fetch {name}', or 'cryores weights import {name} FILE_OR_FOLDER', again",
    )


def _all_failed(given: WeightSet, failures: List[WeightsError]) -> WeightsError:
    if len(failures) == 1:
        return failures[0]
    codes = {failure.code for failure in failures}
    return WeightsError(
        codes.pop() if len(codes) == 1 else "E_WEIGHTS_DOWNLOAD",
        f"{given.name}: " + "; ".join(failure.message for failure in failures),
        failures[0].hint,
    )
