"""Files of unknown origin are read or refused in words: what benchmarks/fuzz.py has found, and its short form."""

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryores.atoms import helix_bundle, read_model
from cryores.curves import Curve, read_curve, star_text, xml_text
from cryores.emdb import number_of
from cryores.errors import CryoresError
from cryores.mapio import read_map, write_map
from cryores.nets._archives import is_archive, unpack
from cryores.tables import read_rows
from cryores.volume import Grid, Volume

FUZZED = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def code_of(read, *given):
    with pytest.raises(CryoresError) as refused:
        read(*given)
    return refused.value.code


def damaged(whole):
    """Return a strategy of files like ``whole``: some bytes changed, cut off anywhere."""
    changes = st.dictionaries(st.integers(0, len(whole) - 1), st.integers(0, 255), max_size=8)

    def made(changed, length):
        raw = bytearray(whole)
        for place, value in changed.items():
            raw[place] = value
        return bytes(raw[:length])

    return st.builds(made, changes, st.integers(0, len(whole)))


def read_or_refused(read, path, content):
    path.write_bytes(content)
    try:
        return read(path)
    except CryoresError:
        return None


# --- maps -------------------------------------------------------------------------------------------------------


def claims(shape, nsymbt=0):
    """Return a map of 64 voxels that claims ``shape``."""
    header = np.zeros(256, "<i4")
    header[:4] = (*shape, 2)
    header[7:10] = shape
    header[10:16] = np.array([*shape, 90, 90, 90], "<f4").view("<i4")
    header[16:19] = 1, 2, 3
    header[23] = nsymbt
    header[52], header[53] = int.from_bytes(b"MAP ", "little"), 0x4144
    return header.tobytes() + bytes(4 * 64)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("content", [claims((1000, 1000, 1000)), claims((4, 4, 4), 2**31 - 1)], ids=["data", "header"])
def test_no_room_is_made_for_what_a_small_file_claims(tmp_path, pack, content):
    path = tmp_path / "claims.map"
    path.write_bytes(pack(content))
    tracemalloc.start()
    assert code_of(read_map, path) == "E_TRUNCATED"
    assert tracemalloc.get_traced_memory()[1] < 3 * 10**6
    tracemalloc.stop()


def test_what_lies_packed_behind_the_data_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.map.gz"
    grid = Grid.regular((4, 4, 4), 1.0)
    write_map(tmp_path / "a.mrc", Volume(np.arange(64, dtype=np.float32).reshape(4, 4, 4), grid))
    path.write_bytes(gzip.compress((tmp_path / "a.mrc").read_bytes() + bytes(100 << 20)))
    tracemalloc.start()
    assert read_map(path).data[3, 3, 3] == 63
    assert tracemalloc.get_traced_memory()[1] < 5 * 10**6
    tracemalloc.stop()


def test_a_packed_map_whose_checksum_is_wrong_is_refused(tmp_path):
    write_map(tmp_path / "a.mrc", Volume(np.arange(64, dtype=np.float32).reshape(4, 4, 4), Grid.regular((4,) * 3, 1.0)))
    whole = bytearray(gzip.compress((tmp_path / "a.mrc").read_bytes()))
    whole[-8] ^= 1
    (tmp_path / "a.map.gz").write_bytes(whole)
    assert code_of(read_map, tmp_path / "a.map.gz") == "E_NOT_MRC"


def test_fields_that_are_no_numbers(tmp_path):
    path = tmp_path / "a.mrc"
    write_map(path, Volume(np.arange(64, dtype=np.float32).reshape(4, 4, 4), Grid.regular((4,) * 3, 1.0)))
    whole = path.read_bytes()
    nan = np.float32(np.nan).tobytes()
    path.write_bytes(whole[:200] + nan + whole[204:])  # XORIGIN and its neighbours are words 50 to 52
    assert read_map(path).grid.origin == (0.0, 0.0, 0.0)
    path.write_bytes(whole[:56] + nan + whole[60:])
    assert code_of(read_map, path) == "E_CELL"


# --- text -------------------------------------------------------------------------------------------------------


def rows_of(path):
    return read_rows(path, {"map": "map"}, ())


@pytest.mark.parametrize(
    "content", [b"name,map\na,\xff\xfe\n", b'name,map\na,"' + b"x" * 200_000 + b'"\n', b"name,map\n\x00,\r\r\n"]
)
def test_a_table_that_is_no_text_is_told(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert code_of(rows_of, path) == "E_SET"


@pytest.mark.parametrize("name", ["..", "", "a/b", "a\\b", "x" * 256, "ü" * 128, "\x1b[31m", "summary.csv"])
def test_a_name_that_no_folder_can_have_is_told(tmp_path, name):
    (tmp_path / "t.csv").write_text(f"name,map\n{name},a.mrc\n", encoding="utf-8")
    with pytest.raises(CryoresError, match="is empty, double or no name of a folder"):
        read_rows(tmp_path / "t.csv", {"map": "map"}, (), ("summary.csv",))


ENTITIES = '<!DOCTYPE a [<!ENTITY b "x">' + "".join(f'<!ENTITY b{n} "&b{n - 1 if n else ""};&b;">' for n in range(9))


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# 1 2\n", "nan 1\n", "1\n2\n", "loop_\n", "<a/>", ENTITIES + "]><a/>"]
)
def test_what_is_no_curve_is_told(tmp_path, content):
    (tmp_path / "c").write_text(content)
    assert code_of(read_curve, tmp_path / "c") == "E_CURVE"


FREQUENCY = np.linspace(0.01, 0.3, 5)
CURVE = Curve(FREQUENCY, 1 - FREQUENCY, "a")
STAR = star_text({"n": 1}, {"rlnResolution": FREQUENCY, "rlnFourierShellCorrelationCorrected": 1 - FREQUENCY})


@FUZZED
@given(content=st.one_of(*(damaged(text.encode()) for text in (STAR, xml_text(CURVE), "0.1 0.9\n0.2 0.5\n"))))
def test_damaged_curves(tmp_path, content):
    curve = read_or_refused(read_curve, tmp_path / "c", content)
    assert curve is None or (curve.frequency.size and curve.frequency.shape == curve.values.shape)


@FUZZED
@given(content=damaged(b'name,map,Mask\na,"b",\n\xc3\xa4\t,b,c\n'))
def test_damaged_tables(tmp_path, content):
    rows = read_or_refused(lambda path: read_rows(path, {"map": "map", "mask": "mask"}, ()), tmp_path / "t", content)
    assert rows is None or all((tmp_path / row["name"]).parent == tmp_path for row in rows)


# --- models -----------------------------------------------------------------------------------------------------

ATOM = "ATOM      1  CA  ALA A   1      11.104   6.134  -6.504  1.00  0.00           C\n"


@pytest.mark.parametrize(("place", "what"), [(21, b"\xff"), (17, b"\xff"), (13, b"\xe0"), (26, b"\xe0"), (32, b"nan")])
def test_names_that_are_no_text_and_places_that_are_no_numbers(tmp_path, place, what):
    line = bytearray(ATOM.encode())
    line[place : place + len(what)] = what
    (tmp_path / "m.pdb").write_bytes(bytes(line))
    assert code_of(read_model, tmp_path / "m.pdb") == "E_MODEL"


@pytest.mark.parametrize("text", ["", "data_a\n", "data_a\nloop_\n_atom_site.id\n"])
def test_an_empty_mmcif_file_is_no_model(tmp_path, text):
    (tmp_path / "m.cif").write_text(text)
    assert code_of(read_model, tmp_path / "m.cif") == "E_MODEL"


@FUZZED
@given(content=st.one_of(damaged(3 * ATOM.encode()),
       damaged(helix_bundle(8.0, (9.0,) * 3).make_mmcif_document().as_string()[:1500].encode())))  # fmt: skip
def test_damaged_models(tmp_path, content):
    for suffix in ("pdb", "cif"):
        structure = read_or_refused(read_model, tmp_path / f"m.{suffix}", content)
        assert structure is None or structure[0].count_atom_sites() > 0


@FUZZED
@given(entry=st.one_of(st.text(max_size=12), st.integers(), st.from_regex(r"\AEMD-\d{1,9}\Z")))
def test_numbers_of_entries(entry):
    try:
        assert re.fullmatch("[0-9]{4,8}", number_of(entry))
    except CryoresError as error:
        assert error.code == "E_EMDB_NUMBER"


# --- archives ---------------------------------------------------------------------------------------------------


def tar(name="w.h5", mode="w", size=40):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, io.BytesIO(bytes(size)))
    return file.getvalue()


def zipped(name="w.h5", how=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(zipfile.ZipInfo("?"), b"")
        archive.writestr(name, bytes(40), how)
    return file.getvalue().replace(b"?", b"/")


def nameless():
    """Return a zip whose first member has no name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"")
    return file.getvalue()


def unpacked(path):
    folder = path.parent / "folder"
    folder.mkdir(exist_ok=True)
    try:
        taken = unpack(path, ["w.h5"], folder) if is_archive(path) else []
        assert all(file.parent == folder for file in taken)
        return taken
    finally:
        for file in folder.iterdir():
            file.unlink()


def claims_memory():
    """Return an xz whose header asks for a dictionary of 4 GB."""
    packed = bytearray(lzma.compress(tar(), format=lzma.FORMAT_ALONE))
    packed[1:5] = b"\xff\xff\xff\xff"
    return bytes(packed)


def beheaded():
    """Return a zip without its first bytes: its member lies before the file's beginning."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w.h5", bytes(40))
    return file.getvalue()[10:]


@pytest.mark.parametrize(
    "content", [nameless(), zipped(how=zipfile.ZIP_LZMA), beheaded()], ids=["nameless", "lzma", "beheaded"]
)
def test_archives_that_fuzzing_has_found(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    try:
        assert unpacked(tmp_path / "a") == []
    except CryoresError as error:
        assert error.code == "E_WEIGHTS_ARCHIVE"


@pytest.mark.parametrize("content", [lzma.compress(tar()), claims_memory(), b"", b"BZ", b"\x1f\x8b", b"PK"])
def test_what_is_no_archive_of_ours_is_not_unpacked(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert not is_archive(tmp_path / "a")
    assert code_of(unpack, tmp_path / "a", ["w.h5"], tmp_path) == "E_WEIGHTS_ARCHIVE"


@FUZZED
@given(content=st.one_of(*(damaged(whole) for whole in (tar(), tar(mode="w:gz"), tar(mode="w:bz2"), zipped()))))
def test_damaged_archives(tmp_path, content):
    read_or_refused(unpacked, tmp_path / "a", content)
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "folder"}


# --- weights ----------------------------------------------------------------------------------------------------

INPUT = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 13, 13, 13, 1]}}
LARGE = {"class_name": "Dense", "config": {"name": "d", "units": 65536}}
CLAIMS = [INPUT, {"class_name": "Flatten", "config": {"name": "f"}}, LARGE]


@pytest.mark.parametrize(
    "text", [json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": CLAIMS}}), 60_000 * "["]
)
def test_a_network_that_its_file_cannot_hold_is_not_built(tmp_path, text):
    h5py = pytest.importorskip("h5py", reason="the networks need Python 3.10")
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    from cryores.nets.legacy_hdf5 import read_network

    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["model_config"] = text
    assert code_of(read_network, tmp_path / "w.h5") == "E_WEIGHTS_DAMAGED"


def weight_file(path, of_names=b"d/kernel:0"):
    h5py = pytest.importorskip("h5py", reason="the networks need Python 3.10")
    layers = [INPUT, {"class_name": "Flatten", "config": {"name": "f"}},
              {"class_name": "Dense", "config": {"name": "d", "units": 1, "use_bias": False}}]  # fmt: skip
    with h5py.File(path, "w", libver="earliest") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        group = file.create_group("model_weights/d")
        group.attrs["weight_names"] = [of_names]
        group["d/kernel:0"] = np.ones((13**3, 1), "f4")
        group["d/type"] = np.dtype("f4")
    return path.read_bytes()


def in_a_loop(whole):
    """Make the heap of texts lead back to itself: the object that stands for what is left has no length."""
    left = whole.index(b"GCOL") + 16
    while whole[left]:
        left += 16 + -(-int.from_bytes(whole[left + 8 : left + 16], "little") // 8) * 8
    return whole[: left + 8] + bytes(8) + whole[left + 16 :]


def of_four_gigabytes(whole):
    """Claim that a text has that many bytes: of model_config, whose true length stands behind its name."""
    text = re.search(rb'\{"class_name": "Sequential".*\}\}', whole).group()
    place = whole.index(len(text).to_bytes(4, "little"), whole.index(b"model_config"))
    return whole[:place] + b"\x00\x00\x00\xe0" + whole[place + 4 :]


@pytest.mark.parametrize("damage", [in_a_loop, of_four_gigabytes])
def test_what_the_library_would_not_survive_is_refused(tmp_path, monkeypatch, damage):
    from cryores.nets import _hdf5_trial
    from cryores.nets.legacy_hdf5 import read_network

    monkeypatch.setattr(_hdf5_trial, "LEAST_SECONDS", 1)
    whole = weight_file(tmp_path / "w.h5")
    (tmp_path / "w.h5").write_bytes(damage(whole))
    assert code_of(read_network, tmp_path / "w.h5") == "E_WEIGHTS_DAMAGED"


def test_a_weight_that_is_none_is_told(tmp_path):
    from cryores.nets.legacy_hdf5 import _opened, _stored

    weight_file(tmp_path / "w.h5", b"d/type")

    def stored():
        with _opened(tmp_path / "w.h5") as file:
            return _stored(file, "d", tmp_path / "w.h5")

    assert code_of(stored) == "E_WEIGHTS_DAMAGED"
