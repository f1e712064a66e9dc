"""Which voxels of a resolution map have a value: every program's mark is recognised, or asked for."""

import mrcfile
import numpy as np
import pytest

from cryores.errors import CryoresError
from cryores.localres_maps import read_resolution_map, recognise
from cryores.volume import Grid, Volume

SHAPE = (20, 22, 24)
GRID = Grid.regular(SHAPE, 1.5)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[5:15, 5:15, 5:15] = True
VALUES = np.random.default_rng(0).uniform(3.0, 9.0, SHAPE).astype(np.float32)


def filled(background):
    return np.where(INSIDE, VALUES, np.float32(background))


def known(found):
    return np.isfinite(found.resolution.data)


@pytest.mark.parametrize(
    ("background", "mark"), [(0.0, None), (np.nan, None), (100.0, 100.0), (200.0, 200.0), (50.0, 50.0)]
)
def test_the_mark_of_every_program_is_recognised_and_values_stay(background, mark):
    found = recognise(Volume(filled(background), GRID))
    assert np.array_equal(known(found), INSIDE) and found.background == mark
    assert np.array_equal(found.resolution.data[INSIDE], VALUES[INSIDE])


def test_a_map_with_values_everywhere_has_no_background():
    found = recognise(Volume(VALUES, GRID))
    assert known(found).all() and found.background is None


@pytest.mark.parametrize("background", [0.0, 200.0])
def test_a_few_voxels_of_100_or_0_are_taken_for_what_they_say(background):
    data = filled(background)
    data[6, 6, 6:10] = 100.0
    data[7, 7, 7:9] = 0.0
    found = recognise(Volume(data, GRID))
    assert np.all(found.resolution.data[6, 6, 6:10] == 100.0) and np.isnan(found.resolution.data[7, 7, 7:9]).all()
    assert known(found).sum() == INSIDE.sum() - 2


def test_many_voxels_of_100_under_a_mask_are_those_that_resmap_could_not_assign():
    data = filled(0.0)
    data[5:8, 5:15, 5:15] = 100.0
    found = recognise(Volume(data, GRID))
    assert found.background == 100.0 and known(found).sum() == 700


@pytest.mark.parametrize("background", [6.5, 9.5, 15.0, 2.0, -1.0])
def test_a_mark_that_may_be_a_resolution_is_asked_for(background):
    volume = Volume(filled(background), GRID)
    with pytest.raises(CryoresError) as told:
        recognise(volume, "mine.mrc")
    assert told.value.code == "E_BACKGROUND" and told.value.exit_status == 3
    assert "mine.mrc" in told.value.message and f"--background {background:g} " in told.value.hint
    assert np.array_equal(known(recognise(volume, background=f"{background:g}")), INSIDE)
    if background > 0:
        assert known(recognise(volume, background="none")).all()


def test_many_voxels_of_100_among_coarse_values_are_asked_for():
    data = np.where(INSIDE, VALUES * 9, np.float32(0))
    data[5:8, 5:15, 5:15] = 100.0
    with pytest.raises(CryoresError, match="E_BACKGROUND"):
        recognise(Volume(data, GRID))
    assert known(recognise(Volume(data, GRID), background="none")).sum() == 1000


def test_a_typed_mark_need_not_have_every_digit():
    mark = np.float32(8.863673210144043)
    found = recognise(Volume(filled(mark), GRID), background="8.86367")
    assert np.array_equal(known(found), INSIDE)


@pytest.mark.parametrize(
    ("data", "background", "code"),
    [
        (np.zeros(SHAPE), "auto", "E_RESOLUTION_EMPTY"),
        (np.full(SHAPE, 100.0), "auto", "E_RESOLUTION_EMPTY"),
        (np.where(INSIDE, -VALUES, 0), "auto", "E_RESOLUTION_NEGATIVE"),
        (np.where(INSIDE, VALUES, np.inf), "none", "E_NOT_FINITE"),
        (VALUES, "black", "E_BACKGROUND"),
    ],
)
def test_what_is_no_resolution_map_is_refused(data, background, code):
    with pytest.raises(CryoresError, match=code):
        recognise(Volume(np.asarray(data, np.float32), GRID), background=background)


def test_recognising_twice_changes_nothing():
    once = recognise(Volume(filled(100.0), GRID))
    twice = recognise(once.resolution)
    np.testing.assert_array_equal(twice.resolution.data, once.resolution.data)


def test_a_file_may_hold_nan(tmp_path):
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning), mrcfile.new(tmp_path / "nan.mrc") as m:
        m.set_data(filled(np.nan))
        m.voxel_size = 1.5
    found = read_resolution_map(tmp_path / "nan.mrc")
    assert np.array_equal(known(found), INSIDE) and found.resolution.grid.voxel_size == (1.5, 1.5, 1.5)
