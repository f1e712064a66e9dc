"""Whatever is uploaded: a sentence, a server that lives, a clean disk."""

import gzip
import io
import resource
import shutil
import struct
import zipfile

import numpy as np
import pytest
from served import sentence

from cryores.errors import CryoresError
from cryores.mapio import read_map, write_map
from cryores.volume import Grid, Volume
from cryores.web.examine import findings

GOOD_WORDS = {"mode": 3, "nx": 0, "ny": 1, "nz": 2, "nsymbt": 23, "alpha": 13, "ispg": 22}


def header_with(good, **values):
    """Return a good map with words of its header replaced."""
    raw = bytearray(good)
    for name, value in values.items():
        kind = "f" if isinstance(value, float) else "i"
        raw[4 * GOOD_WORDS[name] : 4 * GOOD_WORDS[name] + 4] = struct.pack(f"<{kind}", value)
    return bytes(raw)


def zipped(good):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.mrc", good)
    return file.getvalue()


BAD = {
    "nothing": lambda good: b"",
    "one byte": lambda good: b"\x00",
    "text": lambda good: b"this is no map at all\n" * 100,
    "a web page": lambda good: b"<html><script>alert(1)</script></html>" + bytes(3000),
    "a picture": lambda good: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
    "noise": lambda good: np.random.default_rng(0).bytes(5000),
    "zeros": lambda good: bytes(5000),
    "cut in the header": lambda good: good[:1023],
    "header only": lambda good: good[:1024],
    "cut in the data": lambda good: good[:-1],
    "complex": lambda good: header_with(good, mode=4),
    "complex integers": lambda good: header_with(good, mode=3),
    "unknown mode": lambda good: header_with(good, mode=77),
    "an image": lambda good: header_with(good, nz=1),
    "a stack of volumes": lambda good: header_with(good, ispg=401),
    "negative size": lambda good: header_with(good, nx=-32),
    "no size": lambda good: header_with(good, ny=0),
    "enormous size": lambda good: header_with(good, nx=2**30, ny=2**30, nz=2**30),
    "enormous extended header": lambda good: header_with(good, nsymbt=2**31 - 1),
    "negative extended header": lambda good: header_with(good, nsymbt=-1024),
    "slanted cell": lambda good: header_with(good, alpha=60.0),
    "a zip archive": zipped,
    "gzipped text": lambda good: gzip.compress(b"no map " * 500),
    "cut gzip": lambda good: gzip.compress(good)[:-100],
    "damaged gzip": lambda good: gzip.compress(good)[:40] + bytes(4000),
    "gzip bomb": lambda good: gzip.compress(bytes(50 * 1024 * 1024)),
    "too large": lambda good: good + bytes(2 * 1024 * 1024),
    "a model": lambda good: b"ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.00           N\n" * 30,
}


@pytest.fixture(scope="module")
def user(server):
    with server.user() as made:
        yield made


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_map_is_refused_in_words_and_leaves_nothing(server, user, maps, kind):
    job = user.draft()
    answer = user.upload(job, "map", BAD[kind](maps["map"].read_bytes()), f"{kind}.mrc")
    sentence(answer)
    assert user.job(job)["inputs"] == {}
    assert list((server.store / "jobs" / job / "inputs").iterdir()) == []
    assert user.delete(f"/api/jobs/{job}").json() == {"deleted": True}


def test_the_server_lives_and_the_disk_is_clean(server, user):
    assert user.get("/api/session").status_code == 200
    assert server.folders() == []
    assert "Traceback" not in server.log.read_text()


def test_a_file_is_too_large_without_saying_so(server, user, maps):
    job = user.draft()
    pieces = (bytes(64 * 1024) for _ in range(64))  # sent in chunks: no length is told beforehand
    answer = user.put(f"/api/jobs/{job}/inputs/map", content=pieces, headers={"X-File-Name": "x"})
    assert sentence(answer, 413).startswith("E_TOO_LARGE")
    assert list((server.store / "jobs" / job / "inputs").iterdir()) == []
    user.delete(f"/api/jobs/{job}")


def test_models_are_looked_at_too(user, maps):
    job = user.draft()
    assert "E_MODEL" in sentence(user.upload(job, "model", b"no atoms here", "x.pdb"), 422)
    assert "E_MODEL" in sentence(user.upload(job, "model", maps["map"], "x.cif"), 422)
    assert "E_ADDRESS" in sentence(user.upload(job, "../../evil", b"x"))
    assert "E_ROLE" in sentence(user.upload(job, "full", maps["map"]), 404)
    user.delete(f"/api/jobs/{job}")


def changed(path, maps, change):
    volume = read_map(maps["map"])
    data = volume.data.copy()
    write_map(path, Volume(np.asarray(change(data), dtype=np.float32), volume.grid))
    return path


@pytest.fixture(scope="module")
def odd(maps, tmp_path_factory):
    """Maps whose headers are good, and whose voxels are not, or do not go together."""
    folder = tmp_path_factory.mktemp("odd")
    volume = read_map(maps["map"])
    write_map(folder / "small.mrc", Volume(volume.data[:24, :24, :24].copy(), Grid.regular((24, 24, 24), 1.5)))
    raw = bytearray(maps["map"].read_bytes())
    (folder / "nan.mrc").write_bytes(raw[:-4] + struct.pack("<f", float("nan")))
    raw[40:52] = bytes(12)
    (folder / "unsized.mrc").write_bytes(raw)
    for name, change in (("full", np.ones_like), ("empty", np.zeros_like)):
        changed(folder / f"{name}.mrc", maps, change)
    return {**maps, **{path.stem: path for path in folder.iterdir()}}


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("E_CONSTANT", {"map": "full"}),
        ("E_NOT_FINITE", {"map": "nan"}),
        ("E_HALVES_IDENTICAL", {"half1": "half1", "half2": "half1"}),
        ("E_HALVES_SHAPE", {"half1": "half1", "half2": "small"}),
        ("E_MASK_FULL", {"half1": "half1", "half2": "half2", "mask": "full"}),
        ("E_MASK_EMPTY", {"map": "map", "mask": "empty"}),
        ("E_OTHER_GRID", {"map": "map", "mask": "small"}),
        ("E_OTHER_GRID", {"half1": "half1", "half2": "half2", "map": "small"}),
        ("E_USAGE", {"half1": "half1"}),
        ("E_USAGE", {"mask": "mask"}),
    ],
)
def test_what_no_method_can_work_with_is_found(odd, tmp_path, code, files):
    for role, name in files.items():
        shutil.copy(odd[name], tmp_path / f"{role}.mrc")
    with pytest.raises(CryoresError) as refused:
        findings(tmp_path, {role: f"{role}.mrc" for role in files}, None, 1)
    assert refused.value.code == code


def test_what_was_found_is_told_in_the_names_of_the_client(user, odd):
    job = user.draft()
    user.upload(job, "map", odd["nan"], "my map.mrc")
    said = sentence(user.post(f"/api/jobs/{job}/examine", json={}), 422)
    assert said.startswith("E_NOT_FINITE my map.mrc has 1 voxels")
    assert "E_NOT_EXAMINED" in sentence(user.begin(job), 409)
    user.delete(f"/api/jobs/{job}")


def test_a_voxel_size_that_is_absent_is_asked_for(user, odd):
    job = user.draft()
    assert user.upload(job, "map", odd["unsized"]).json()["inputs"]["map"]["voxel_size"] == [0, 0, 0]
    assert "state it under Settings" in sentence(user.post(f"/api/jobs/{job}/examine", json={}), 422)
    assert "E_SETTING" in sentence(user.post(f"/api/jobs/{job}/examine", json={"voxel_size": "-1"}), 400)
    found = user.post(f"/api/jobs/{job}/examine", json={"voxel_size": 1.5}).json()["examined"]
    assert found["voxel_size"] == pytest.approx(1.5)
    user.delete(f"/api/jobs/{job}")


def test_a_compressed_map_of_any_name_is_taken(user, maps):
    job = user.draft()
    answer = user.upload(job, "map", gzip.compress(maps["map"].read_bytes()), "../../etc/pass%00wd%0A<b>.jpg")
    assert answer.status_code == 200
    entry = answer.json()["inputs"]["map"]
    assert entry["name"] == "passwd<b>.jpg" and entry["shape"] == [32, 32, 32] and "file" not in entry
    user.delete(f"/api/jobs/{job}")


def test_a_disk_that_is_full_is_told_and_nothing_is_left(serve, maps):
    server = serve()
    with server.user() as user:
        job = user.draft()
        size = maps["map"].stat().st_size
        hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size - 1000, hard))
        assert sentence(user.upload(job, "map", maps["map"]), 507).startswith("E_DISK_FULL")
        assert list((server.store / "jobs" / job / "inputs").iterdir()) == []
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert user.upload(job, "map", maps["map"]).status_code == 200
