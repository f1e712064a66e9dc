"""What a user of the library meets in a notebook: names, what is shown of a result, what is said of a wrong type."""

import subprocess
import sys

import numpy as np
import pytest

import cryores
from cryores import Grid, HalfMaps, Volume, read_resolution_map, write_map
from cryores.errors import UsageError
from cryores.postprocessing import postprocess
from cryores.resolution import blocres, compare, fsc
from cryores.simulation import simulate

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")

GRID = Grid.regular((30, 32, 34), 1.5)


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(40, 40, 40), voxel_size=1.5, finest=4.0, seed=3)


@pytest.fixture(scope="module")
def local(made):
    return blocres(made.halves, made.mask, step=4)


def test_modules_are_there_by_name_and_imported_when_they_are_named():
    named = "cryores.resolution"
    code = f"import cryores, sys; cryores.masks; print({named!r} in sys.modules, {named}.fsc.__name__)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False fsc\n"
    assert {"resolution", "postprocessing", "simulation", "diagnosis"} <= set(dir(cryores))
    with pytest.raises(AttributeError, match="'cryores' has no attribute 'nonsense'"):
        cryores.nonsense  # noqa: B018


# --- what is shown ------------------------------------------------------------------------------------------------


def test_a_volume_shows_its_size_and_voxels():
    volume = Volume(np.zeros(GRID.shape, np.float32), GRID)
    assert repr(volume) == "Volume(30 x 32 x 34 voxels (z, y, x) of 1.5 Å)"
    assert repr(HalfMaps(volume, volume.like(volume.data + 1))).count("30 x 32 x 34") == 2


def test_a_result_shows_what_it_means_and_what_it_holds_in_few_lines(made, local):
    for result in (local, fsc(made.halves, made.mask), postprocess(made.halves, made.mask, bfactor=-50.0)):
        head, *lines = repr(result).splitlines()
        assert head == f"{type(result).__name__}: {result.criterion}"
        shown = [line.split(" = ")[0].strip(" .") for line in lines]
        assert all(hasattr(result, name) for name in shown) and len(repr(result)) < 4000
    assert "  .resolution = Volume(40 x 40 x 40 voxels (z, y, x) of 1.5 Å)" in repr(local).splitlines()
    assert "  .corrected = array of shape (21,)" in repr(fsc(made.halves, made.mask)).splitlines()


# --- what is said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, hint",
    [
        (np.zeros(GRID.shape), "Volume(array, Grid.regular(array.shape, voxel_size))"),
        ("mask.mrc", "read files with read_map"),
    ],
)
def test_what_is_no_map_is_refused_with_the_way_to_one(made, tmp_path, given, hint):
    attempts = [
        lambda: fsc(given),
        lambda: fsc(made.halves, given),
        lambda: HalfMaps(given, made.halves.half2),
        lambda: write_map(tmp_path / "one.mrc", given),
        lambda: compare(made.clean, {"one": given, "two": made.truth}),
    ]
    for attempt in attempts:
        with pytest.raises(UsageError) as raised:
            attempt()
        assert raised.value.code == "E_NO_VOLUME" and hint in raised.value.hint
    assert not list(tmp_path.iterdir())


def test_half_maps_are_no_mask(made):
    with pytest.raises(UsageError, match="mask: a map is wanted, not HalfMaps"):
        fsc(made.halves, made.halves)


def test_of_a_result_the_map_in_it_is_wanted(made, local, tmp_path):
    with pytest.raises(UsageError, match=r"give its \.resolution"):
        write_map(tmp_path / "one.mrc", local)
    with pytest.raises(UsageError, match=r"give its \.resolution"):
        compare(made.clean, {"one": local, "two": made.truth}, made.mask)


def test_maps_that_are_compared_may_come_from_the_reader_and_want_names(made, local, tmp_path):
    write_map(tmp_path / "blocres.mrc", local.resolution)
    read = read_resolution_map(tmp_path / "blocres.mrc")
    found = compare(made.clean, {"boxes": read, "truth": made.truth}, made.mask)
    inside = (made.mask.data > 0.5) & np.isfinite(local.resolution.data)
    assert found.maps["boxes"]["median"] == np.median(local.resolution.data[inside])
    with pytest.raises(UsageError, match="maps want names, and a list has none"):
        compare(made.clean, [read, made.truth], made.mask)


def test_how_a_run_is_carried_out_is_no_parameter_of_a_method(made):
    with pytest.raises(UsageError, match=r"give execution=Execution\(threads=...\)"):
        fsc(made.halves, made.mask, threads=2)


def test_a_low_pass_may_be_a_number(made):
    number, word = (postprocess(made.halves, made.mask, bfactor=-50.0, low_pass=low_pass) for low_pass in (6, "6"))
    np.testing.assert_array_equal(number.sharpened.data, word.sharpened.data)
    assert number.details["low_pass_resolution"] == 6.0
