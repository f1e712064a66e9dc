"""The local low-pass: each voxel has the value that the filter of its own resolution gives."""

import numpy as np
import pytest

from cryores.cli import main
from cryores.errors import CryoresWarning, InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.postprocessing import local_lowpass
from cryores.postprocessing._local_filter import resolution_everywhere
from cryores.postprocessing.local_lowpass import BANK_ERROR, bank_step, response
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
EDGE = 0.25


@pytest.fixture(scope="module")
def texture():
    rng = np.random.default_rng(1)
    grid = Grid.regular((36, 44, 50), 1.5)
    return Volume(2.0 + rng.standard_normal(grid.shape), grid)


@pytest.fixture(scope="module")
def varied(texture):
    return texture.like(np.random.default_rng(2).uniform(3.2, 14.0, texture.data.shape))


@pytest.mark.parametrize("resolution", [3.3, 5.0, 11.0, 33.0])
@pytest.mark.parametrize("edge", [0.1, EDGE, 0.8])
def test_one_resolution_is_exactly_the_global_filter(texture, resolution, edge):
    constant = np.full(texture.data.shape, resolution, dtype=np.float32)
    expected = filtered(texture.data, response(float(np.float32(resolution)), edge), texture.grid, 2)
    result = local_lowpass(texture, texture.like(constant), edge=edge)
    np.testing.assert_allclose(result.sharpened.data, expected, atol=3e-6)
    assert result.details["cutoffs"] == 1
    # Where the map has no value the nearest one counts, and that is the same filter.
    constant[:9], constant[20:, 5:30, 7] = 0, np.nan
    again = local_lowpass(texture, texture.like(constant), edge=edge)
    np.testing.assert_allclose(again.sharpened.data, expected, atol=3e-6)


@pytest.mark.parametrize("edge", [0.05, EDGE, 1.0])
def test_between_two_cutoffs_the_response_errs_by_what_is_stated(edge):
    s = np.linspace(0.05, 0.2, 20001)
    step = bank_step(edge)
    worst = 0.0
    for part in (0.25, 0.5, 0.75):
        lower, own, upper = (response(10.0 * np.exp(-p * step), edge)(s) for p in (0, part, 1))
        worst = max(worst, float(np.abs((1 - part) * lower + part * upper - own).max()))
    assert 0.7 * BANK_ERROR < worst <= BANK_ERROR


def test_a_wave_has_everywhere_the_height_that_its_voxel_lets_through():
    grid = Grid.regular((40, 40, 40), 1.5)
    z, _, x = np.indices(grid.shape)
    wave = np.cos(2 * np.pi * 8 * x / 40 + 0.3)
    resolution = 6.0 + 3.0 * z / 39 + np.random.default_rng(0).uniform(0, 0.5, grid.shape)
    result = local_lowpass(Volume(wave, grid), Volume(resolution, grid)).sharpened.data
    each = np.array([response(float(d), EDGE)(np.array([8 / 60.0]))[0] for d in resolution[:, :, 0].ravel()])
    strong = np.abs(wave[0, 0, :]) > 0.5
    height = (result / wave)[:, :, 0].ravel()
    assert strong[0] and each.min() < 0.05 < 0.95 < each.max()
    assert 0.3 * BANK_ERROR < np.abs(height - each).max() < BANK_ERROR + 1e-4


def test_it_is_linear_in_the_map(texture, varied):
    other = texture.like(np.random.default_rng(4).standard_normal(texture.data.shape))
    both = texture.like(2 * texture.data - 3 * other.data)
    one, two, sum_of_both = (local_lowpass(v, varied).sharpened.data for v in (texture, other, both))
    np.testing.assert_allclose(sum_of_both, 2 * one - 3 * two, atol=1e-5)


def test_beyond_the_spectrum_everything_passes_and_beyond_the_box_the_mean(texture):
    with pytest.warns(CryoresWarning, match="Nyquist"):
        fine = local_lowpass(texture, texture.like(np.full(texture.data.shape, 0.5)))
    np.testing.assert_allclose(fine.sharpened.data, texture.data, atol=1e-5)
    coarse = local_lowpass(texture, texture.like(np.full(texture.data.shape, 1000.0))).sharpened.data
    np.testing.assert_allclose(coarse, texture.data.mean(), atol=1e-5)
    # So a map of both needs no more cutoffs than lie between.
    halves = np.where(np.arange(50) < 25, 0.5, 1000.0) * np.ones(texture.data.shape)
    mixed = local_lowpass(texture, texture.like(halves))
    assert mixed.details["cutoffs"] <= 3
    np.testing.assert_allclose(mixed.sharpened.data, np.where(halves < 1, texture.data, coarse), atol=1e-5)


def test_a_varying_resolution_is_filtered_better_than_by_any_one_cutoff():
    made = simulate(shape=(64, 56, 60), voxel_size=1.2, finest=3.0, coarsest=9.0, seed=4)
    full, inside = made.halves.mean(), made.mask.data > 0.5

    def alike(data):
        return np.corrcoef(data[inside], made.clean.data[inside])[0, 1]

    local = alike(local_lowpass(made.halves, mask=made.mask).sharpened.data)
    overall = [alike(filtered(full.data, response(d, EDGE), full.grid, 2)) for d in (2.5, 3.0, 4.0, 5.0, 6.0, 8.0)]
    assert local > max(overall) + 0.002 > alike(full.data) + 0.02


def test_threads_change_nothing(texture, varied):
    one, four = (local_lowpass(texture, varied, execution=Execution(threads=t)).sharpened.data for t in (1, 4))
    np.testing.assert_allclose(one, four, rtol=1e-5, atol=1e-6)


def test_the_mask_is_where_the_map_has_values(texture, varied):
    values = varied.data.copy()
    values[:10], values[:, :5] = 0, np.nan
    result = local_lowpass(texture, texture.like(values))
    np.testing.assert_array_equal(result.mask.data, np.nan_to_num(values) > 0)
    assert result.details["local_resolution"]["undetermined_fraction"] == 0


def test_beyond_the_values_the_resolution_coarsens_with_the_distance():
    grid = Grid.regular((16, 18, 20), (1.0, 1.5, 2.0))
    rng = np.random.default_rng(0)
    values = np.where(rng.random(grid.shape) < 0.01, rng.uniform(2, 9, grid.shape), np.nan).astype(np.float32)
    everywhere = resolution_everywhere(Volume(values, grid))
    known = np.argwhere(np.isfinite(values))
    low, high = known.min(axis=0), known.max(axis=0)
    for voxel in rng.integers(low, high + 1, (200, 3)):
        distances = np.linalg.norm((known - voxel) * grid.voxel_size, axis=1)
        nearest = values[tuple(known[np.isclose(distances, distances.min())].T)]
        expected = np.maximum(nearest, min(distances.min(), np.nanmax(values)))
        assert np.isclose(everywhere[tuple(voxel)], expected).any()
    np.testing.assert_array_equal(everywhere[np.isfinite(values)], values[np.isfinite(values)])


def test_half_maps_tell_their_own_resolution(tmp_path):
    made = simulate(shape=(40, 44, 42), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)
    for number, half in enumerate((made.halves.half1, made.halves.half2), 1):
        write_map(tmp_path / f"half{number}.mrc", half)
    words = ["--half1", str(tmp_path / "half1.mrc"), "--half2", str(tmp_path / "half2.mrc"), "--quiet"]
    out = tmp_path / "out"
    assert main(["local-lowpass", *words, "--out", str(out)]) == 0
    mask, resolution, ours = (read_map(out / f"{name}.mrc") for name in ("mask", "resolution", "sharpened"))
    assert np.all((resolution.data > 0) == (mask.data > 0.5))
    again = local_lowpass(made.halves, resolution)
    np.testing.assert_allclose(again.sharpened.data, ours.data, atol=1e-5 * np.abs(ours.data).max())
    assert not again.extra


def test_the_mark_of_other_programs_is_read(texture, varied, tmp_path):
    marked = np.where(np.pad(np.ones((20, 28, 34)), 8) > 0, varied.data, 100.0)
    plain = np.where(marked < 100, marked, 0)
    for name, data in (("map", texture.data), ("marked", marked)):
        write_map(tmp_path / f"{name}.mrc", texture.like(data))
    words = ["--map", str(tmp_path / "map.mrc"), "--resolution-map", str(tmp_path / "marked.mrc"), "--quiet"]
    assert main(["local-lowpass", *words, "--out", str(tmp_path / "out")]) == 0
    expected = local_lowpass(texture, texture.like(plain)).sharpened.data
    np.testing.assert_allclose(read_map(tmp_path / "out" / "sharpened.mrc").data, expected, atol=1e-5)


def test_what_cannot_work_is_refused(texture, varied):
    with pytest.raises(UsageError, match="E_MISSING_INPUT"):
        local_lowpass(texture)
    with pytest.raises(UsageError, match="E_PARAMETER"):
        local_lowpass(texture, varied, edge=0.0)
    with pytest.raises(InputError, match="E_OTHER_GRID"):
        local_lowpass(texture, Volume(np.ones((36, 44, 51)), Grid.regular((36, 44, 51), 1.5)))
    with pytest.raises(InputError, match="E_NOT_FINITE"):
        local_lowpass(texture, varied.like(np.where(varied.data > 13, np.inf, varied.data)))
    for nothing in (0.0, np.nan):
        with pytest.raises(InputError, match="E_RESOLUTION_EMPTY"):
            local_lowpass(texture, varied.like(np.full(varied.data.shape, nothing)))
    with pytest.raises(InputError, match="E_RESOLUTION_NEGATIVE"):
        local_lowpass(texture, varied.like(varied.data - 10))


def test_the_voxels_of_the_resolution_map_are_those_of_the_map(texture, varied):
    values = np.where(np.arange(50) < 30, varied.data, 0)
    expected = local_lowpass(texture, texture.like(values)).sharpened.data
    with pytest.warns(CryoresWarning, match="3.0000 Å a voxel"):
        result = local_lowpass(texture, Volume(values, Grid.regular(values.shape, 3.0)))
    np.testing.assert_array_equal(result.sharpened.data, expected)
    assert result.masked.grid == texture.grid


def test_what_is_to_be_kept_stays_as_it_is(texture, varied):
    region = np.zeros(texture.data.shape)
    region[12:24, 14:30, 16:34] = 1
    result = local_lowpass(texture, varied, keep=texture.like(region)).sharpened.data
    ratio = result[region > 0] / texture.data[region > 0]
    assert np.ptp(ratio) < 1e-4 and result[0, 0, 0] == local_lowpass(texture, varied).sharpened.data[0, 0, 0]


def test_a_resolution_map_that_misses_most_of_the_mask_is_warned_of(texture, varied):
    part = varied.like(np.where(np.arange(50) < 10, varied.data, 0))
    mask = texture.like(np.pad(np.ones((34, 42, 48)), 1))
    with pytest.warns(CryoresWarning, match="19% of the mask"):
        local_lowpass(texture, part, mask)
