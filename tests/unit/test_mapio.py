"""Maps read and written: every mode, byte order and axis order; what is refused; what a failed write leaves behind."""

import gzip
import itertools
import signal
import subprocess
import sys
import textwrap
import tracemalloc

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryores.errors import InputError
from cryores.mapio import read_half_maps, read_header, read_map, read_map_with_gaps, write_map
from cryores.volume import Grid, Volume

SHAPE = (5, 6, 7)
WHOLE = np.arange(210).reshape(SHAPE) % 100
ORDERS = list(itertools.permutations((1, 2, 3)))


def raw(data, mode, endian="<", **fields):
    """The bytes of an MRC file, written here field by field, so that mrcfile is not its own judge."""
    header = bytearray(1024)

    def put(word, kind, *values):
        content = np.array(values, dtype=endian + kind).tobytes()
        header[4 * word : 4 * word + len(content)] = content

    nz, ny, nx = data.shape
    put(0, "i4", nx, ny, nz, mode)
    put(4, "i4", *fields.get("start", (0, 0, 0)))
    put(7, "i4", *fields.get("sampling", (nx, ny, nz)))
    put(10, "f4", *fields.get("cell", (1.5 * nx, 1.5 * ny, 1.5 * nz)))
    put(13, "f4", *fields.get("angles", (90, 90, 90)))
    put(16, "i4", *fields.get("axes", (1, 2, 3)))
    put(22, "i4", 1, 0)
    put(49, "f4", *fields.get("origin", (0, 0, 0)))
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\x00\x00" if endian == "<" else b"\x11\x11\x00\x00"
    return bytes(header) + data.astype(data.dtype.newbyteorder(endian)).tobytes()


def code_of(call, *arguments):
    with pytest.raises(InputError) as raised:
        call(*arguments)
    assert raised.value.exit_status == 3 and raised.value.hint
    return raised.value.code


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("mode, kind", [(0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")])
@pytest.mark.parametrize("suffix", [".mrc", ".map", ".ccp4", ".map.gz"])
def test_every_real_mode_is_read_in_both_byte_orders(tmp_path, mode, kind, endian, suffix):
    content = raw(WHOLE.astype(kind), mode, endian)
    path = tmp_path / f"map{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    found = read_map(path)
    np.testing.assert_array_equal(found.data, WHOLE)
    assert found.data.dtype == np.float32 and found.data.dtype.isnative and found.grid.voxel_size == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("axes", ORDERS)
def test_every_axis_order_is_read_as_z_y_x_and_written_back(tmp_path, axes):
    wanted = dict(zip((3, 2, 1), range(3)))
    in_file = WHOLE.transpose([wanted[axis] for axis in reversed(axes)])
    start = dict(zip((1, 2, 3), (10, 20, 30)))
    content = raw(
        np.ascontiguousarray(in_file).astype("f4"), 2, axes=axes, start=[start[axis] for axis in axes],
        sampling=(14, 12, 10), cell=(28.0, 18.0, 10.0), origin=(0, 0, 0),
    )  # fmt: skip
    (tmp_path / "in.map").write_bytes(content)
    found = read_map(tmp_path / "in.map")
    np.testing.assert_array_equal(found.data, WHOLE)
    assert found.grid.voxel_size == (1.0, 1.5, 2.0), "the cell spans its sampling, not the box"
    assert found.grid.nstart == (30, 20, 10) and found.grid.first_voxel == (30.0, 30.0, 20.0)
    write_map(tmp_path / "out.mrc", found)
    written = (tmp_path / "out.mrc").read_bytes()
    # nx ny nz mode, nxstart.., mx.., cell, angles, axes; then the origin and the voxels
    for part in (slice(0, 76), slice(196, 208), slice(1024, None)):
        assert written[part] == content[part]


def test_origin_wins_over_the_start_indices_and_both_are_kept(tmp_path):
    (tmp_path / "in.map").write_bytes(raw(WHOLE.astype("f4"), 2, origin=(7.25, 0.0, -3.5), start=(1, 2, 3)))
    found = read_map(tmp_path / "in.map")
    assert found.grid.origin == (-3.5, 0.0, 7.25) == found.grid.first_voxel and found.grid.nstart == (3, 2, 1)


def test_a_voxel_size_that_is_given_overrides_the_header(tmp_path):
    (tmp_path / "in.map").write_bytes(raw(WHOLE.astype("f4"), 2, cell=(0, 0, 0)))
    assert code_of(read_map, tmp_path / "in.map") == "E_VOXEL_SIZE"
    assert read_map(tmp_path / "in.map", 2.5).grid.voxel_size == (2.5, 2.5, 2.5)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        assert code_of(read_map, tmp_path / "in.map", wrong) == "E_VOXEL_SIZE"


def test_axis_fields_and_angles_of_zero_are_the_usual_ones(tmp_path):
    (tmp_path / "in.map").write_bytes(raw(WHOLE.astype("f4"), 2, axes=(0, 0, 0), angles=(0, 0, 0)))
    np.testing.assert_array_equal(read_map(tmp_path / "in.map").data, WHOLE)


FLOAT = WHOLE.astype("f4")
SPOILT = {name: FLOAT.copy() for name in ("nan", "inf")}
SPOILT["nan"][1, 2, 3], SPOILT["inf"][1, 2, 3] = np.nan, -np.inf
REFUSED = {
    "not an MRC": (b"this is no map\n" * 100, "E_NOT_MRC"),
    "empty": (b"", "E_NOT_MRC"),
    "header cut": (raw(FLOAT, 2)[:900], "E_NOT_MRC"),
    "truncated": (raw(FLOAT, 2)[:1500], "E_TRUNCATED"),
    "complex": (raw(np.ones(SHAPE, "c8"), 4), "E_MODE"),
    "complex of integers": (raw(np.ones((5, 6, 14), "i2"), 3), "E_MODE"),
    "colour": (raw(np.ones((5, 6, 7), "f4"), 16), "E_MODE"),
    "unknown mode": (raw(FLOAT, 77), "E_MODE"),
    "skewed": (raw(FLOAT, 2, angles=(90, 94, 90)), "E_CELL"),
    "hexagonal": (raw(FLOAT, 2, angles=(90, 90, 120)), "E_CELL"),
    "one image": (raw(FLOAT[:1], 2), "E_NOT_3D"),
    "NaN": (raw(SPOILT["nan"], 2), "E_NOT_FINITE"),
    "infinite": (raw(SPOILT["inf"], 2), "E_NOT_FINITE"),
    "no voxel size": (raw(FLOAT, 2, cell=(0, 0, 0)), "E_VOXEL_SIZE"),
    "no sampling": (raw(FLOAT, 2, sampling=(0, 0, 0)), "E_VOXEL_SIZE"),
    "negative cell": (raw(FLOAT, 2, cell=(-7, 6, 5)), "E_VOXEL_SIZE"),
    "NaN cell": (raw(FLOAT, 2, cell=(float("nan"), 6, 5)), "E_VOXEL_SIZE"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("packed", [False, True])
def test_what_cannot_be_analysed_is_refused(tmp_path, case, packed):
    content, code = REFUSED[case]
    path = tmp_path / ("in.map.gz" if packed else "in.map")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert code_of(read_map, path) == code


@pytest.mark.parametrize("axes", ORDERS)
def test_the_header_alone_tells_the_grid(tmp_path, axes):
    grid = Grid((4, 5, 6), (4.0, 5.0, 6.0), (4, 5, 6), origin=(1.0, 2.0, 3.0), axis_order=axes)
    write_map(tmp_path / "a.mrc", Volume(np.arange(120, dtype=np.float32).reshape(4, 5, 6), grid))
    assert read_header(tmp_path / "a.mrc") == read_map(tmp_path / "a.mrc").grid
    with open(tmp_path / "a.mrc", "r+b") as file:
        file.truncate(1024 + 4 * 120 - 1)
    assert code_of(read_header, tmp_path / "a.mrc") == "E_TRUNCATED"


def test_nothing_is_made_room_for_before_the_size_of_the_file_is_looked_at(tmp_path):
    whole = raw(np.zeros((4, 4, 4), "f4"), 2)
    path = tmp_path / "claims.mrc"
    path.write_bytes(np.array([1000, 1000, 1000], "<i4").tobytes() + whole[12:])
    tracemalloc.start()
    assert code_of(read_map, path) == "E_TRUNCATED"
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.integers(0, 223), st.integers(0, 255), max_size=12), length=st.integers(0, 1400))
def test_damaged_files_are_read_or_refused_in_words(tmp_path, changes, length):
    whole = bytearray(raw(np.ones((4, 5, 3), "f4"), 2))
    for place, value in changes.items():
        whole[place] = value
    path = tmp_path / "damaged.mrc"
    path.write_bytes(whole[:length])
    try:
        data = read_map_with_gaps(path).data
    except InputError:
        return
    assert data.ndim == 3 and data.nbytes <= 4 * length


def test_a_damaged_gz_a_folder_and_no_file_are_told(tmp_path):
    whole = gzip.compress(raw(np.random.default_rng(0).standard_normal(SHAPE).astype("f4"), 2))
    (tmp_path / "cut.map.gz").write_bytes(whole[: len(whole) // 2])
    assert code_of(read_map, tmp_path / "cut.map.gz") == "E_TRUNCATED"
    assert code_of(read_map, tmp_path) == "E_NO_FILE"
    assert code_of(read_map, tmp_path / "nothing.mrc") == "E_NO_FILE"


def test_half_maps_are_read_with_one_voxel_size(tmp_path):
    write_map(tmp_path / "1.mrc", Volume(FLOAT, Grid.regular(SHAPE, 1.0)))
    write_map(tmp_path / "2.mrc", Volume(-FLOAT, Grid.regular(SHAPE, 1.2)))
    assert code_of(read_half_maps, tmp_path / "1.mrc", tmp_path / "2.mrc") == "E_HALVES_VOXEL_SIZE"
    assert read_half_maps(tmp_path / "1.mrc", tmp_path / "2.mrc", 1.1).grid.spacing == pytest.approx(1.1)


# --- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz"])
def test_nan_is_written_as_zero_and_nothing_else_is_changed(tmp_path, suffix):
    data = FLOAT.copy()
    data[0, 0, :4] = np.nan, np.inf, -np.inf, 3.25
    with np.errstate(all="ignore"):
        write_map(tmp_path / f"out{suffix}", Volume(data, Grid.regular(SHAPE, 1.0)))
    content = (tmp_path / f"out{suffix}").read_bytes()
    content = gzip.decompress(content) if suffix.endswith("gz") else content
    values = np.frombuffer(content[1024:], "<f4").reshape(SHAPE)
    assert values[0, 0, :4].tolist() == [0.0, np.inf, -np.inf, 3.25]
    np.testing.assert_array_equal(values[1:], data[1:])
    assert [p.name for p in tmp_path.iterdir()] == [f"out{suffix}"]


def test_what_is_written_is_valid_to_mrcfile(tmp_path):
    write_map(tmp_path / "out.mrc", Volume(FLOAT, Grid.regular(SHAPE, 1.0)))
    assert mrcfile.validate(str(tmp_path / "out.mrc"))
    assert (tmp_path / "out.mrc").stat().st_mode & 0o600 == 0o600


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert code_of(write_map, tmp_path / "no" / "out.mrc", Volume(FLOAT, Grid.regular(SHAPE, 1.0))) == "E_WRITE"


WRITE = """
    import resource, signal, sys
    import numpy as np
    from cryores.errors import InputError
    from cryores.mapio import write_map
    from cryores.volume import Grid, Volume

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
    noise = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
    try:
        write_map(sys.argv[1], Volume(noise, Grid.regular(noise.shape, 1.0)))
    except InputError as error:
        print(error)
"""


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz"])
def test_no_room_is_told_and_the_earlier_file_stays(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_text("earlier")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WRITE), str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("E_WRITE: cannot write") and "make room" in done.stdout, done.stderr
    assert path.read_text() == "earlier" and [p.name for p in tmp_path.iterdir()] == [path.name]


KILLED = """
    import os, signal, sys
    import numpy as np
    from cryores import mapio
    from cryores.volume import Grid, Volume

    def killed(*names):
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = killed  # the last moment before the file has its name
    mapio.write_map(sys.argv[1], Volume(np.ones((8, 8, 8), np.float32), Grid.regular((8, 8, 8), 1.0)))
"""


def test_a_killed_write_leaves_no_half_file_under_the_name(tmp_path):
    path = tmp_path / "out.mrc"
    path.write_text("earlier")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(path)])
    assert done.returncode == -signal.SIGKILL and path.read_text() == "earlier"
