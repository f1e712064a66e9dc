"""Overlapping blocks of volumes that lie in files, and maps that are read as such."""

import gzip

import mrcfile
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from cryores.blocks import block_at, blocks, in_blocks, is_mapped, on_disk, slabs
from cryores.errors import InputError
from cryores.mapio import read_half_maps, read_map, write_map
from cryores.volume import Grid, HalfMaps, Volume

CUTS = ((0, 12), (0, 11, 30), (0, 10, 21, 40))


@pytest.fixture
def data():
    return np.random.default_rng(0).standard_normal((12, 30, 40)).astype(np.float32)


def test_cores_fill_the_volume_once_and_reaches_end_where_it_ends():
    seen = np.zeros((12, 30, 40), int)
    for block in blocks(CUTS, 4):
        seen[block.core] += 1
        assert seen[block.reach][block.inner].shape == seen[block.core].shape
    assert (seen == 1).all()
    assert block_at((0, 1, 1), CUTS, 4).reach == (slice(0, 12), slice(7, 30), slice(6, 25))


def test_a_local_filter_in_blocks_is_that_of_the_whole(data, tmp_path):
    out = on_disk(data.shape, np.float32, tmp_path)
    in_blocks(lambda block, one, two: uniform_filter(one * two, 5)[block.inner], [data, data], CUTS, 4, out)
    whole = uniform_filter(data * data, 5)
    np.testing.assert_allclose(out, whole, rtol=1e-5)
    assert is_mapped(out) and not list(tmp_path.iterdir())


def test_too_short_an_overlap_is_not_that_of_the_whole(data):
    out = np.empty_like(data)
    in_blocks(lambda block, one: uniform_filter(one, 5)[block.inner], [data], CUTS, 1, out)
    assert not np.allclose(out, uniform_filter(data, 5), rtol=1e-5)


def test_a_block_may_yield_a_number(data):
    sums = np.empty((1, 2, 3))
    cuts = ((0, 1), (0, 1, 2), (0, 1, 2, 3))
    in_blocks(lambda block, one: one[block.inner].sum(keepdims=True, dtype=float), [data], CUTS, 3, sums, cuts)
    assert sums[0, 1, 2] == pytest.approx(data[:, 11:, 21:].sum(dtype=float))
    assert sums.sum() == pytest.approx(data.sum(dtype=float))


def test_slabs_are_the_volume(data):
    parts = list(slabs(data, voxels=3000))
    assert [len(part) for part in parts] == [2] * 6
    np.testing.assert_array_equal(np.concatenate(parts), data)


def test_a_mapped_map_has_the_voxels_of_its_file_and_takes_no_memory(data, tmp_path):
    write_map(tmp_path / "one.mrc", Volume(data, Grid.regular(data.shape, 2.0)))
    write_map(tmp_path / "two.mrc", Volume(data[::-1].copy(), Grid.regular(data.shape, 2.0)))
    halves = read_half_maps(tmp_path / "one.mrc", tmp_path / "two.mrc", mapped=True)
    assert isinstance(halves, HalfMaps) and is_mapped(halves.half1.data) and is_mapped(halves.half2.data)
    np.testing.assert_array_equal(halves.half1.data, data)
    assert not is_mapped(read_map(tmp_path / "one.mrc").data)
    with pytest.raises(ValueError, match="read-only"):
        halves.half1.data[0, 0, 0] = 1


@pytest.mark.parametrize("kind", ["int16", "axes", "gzip"])
def test_what_cannot_be_mapped_is_read(data, tmp_path, kind):
    path = tmp_path / "other.mrc"
    whole = np.round(10 * data)
    write_map(path, Volume(whole, Grid.regular(data.shape, 2.0)))
    if kind == "int16":
        with mrcfile.open(path, "r+") as mrc:
            mrc.set_data(whole.astype(np.int16))
    elif kind == "axes":
        shape = data.shape
        write_map(path, Volume(whole, Grid(shape, tuple(2.0 * n for n in shape), shape, axis_order=(3, 1, 2))))
    else:
        path = tmp_path / "other.mrc.gz"
        path.write_bytes(gzip.compress((tmp_path / "other.mrc").read_bytes()))
    found = read_map(path, mapped=True)
    assert not is_mapped(found.data)
    np.testing.assert_array_equal(found.data, whole)


def test_a_mapped_map_is_checked_as_every_other(data, tmp_path):
    whole = data.copy()
    write_map(tmp_path / "map.mrc", Volume(whole, Grid.regular(data.shape, 2.0)))
    with mrcfile.mmap(tmp_path / "map.mrc", "r+") as mrc:
        mrc.data[3, 4, 5] = np.inf
    with pytest.raises(InputError, match="1 voxels that are NaN or infinite"):
        read_map(tmp_path / "map.mrc", mapped=True)


def test_the_header_tells_the_densities_of_a_map_that_is_written_in_parts(data, tmp_path):
    whole = data.copy()
    whole[2, 3, 4] = np.nan
    write_map(tmp_path / "map.mrc", Volume(whole, Grid.regular(data.shape, 2.0)))
    known = np.nan_to_num(whole).astype(float)
    with mrcfile.open(tmp_path / "map.mrc") as mrc:
        header = [float(mrc.header[name]) for name in ("dmin", "dmax", "dmean", "rms")]
        assert mrcfile.validate(tmp_path / "map.mrc")
    assert header == pytest.approx([known.min(), known.max(), known.mean(), known.std()], rel=1e-5)
