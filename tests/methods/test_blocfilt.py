"""blocfilt: the centre of each filtered box, by a sum in place of a transform."""

import numpy as np
import pytest

from cryores.errors import CryoresWarning, InputError, UsageError
from cryores.execution import Execution
from cryores.postprocessing import blocfilt
from cryores.postprocessing.blocfilt import CUTOFF_STEP, FALL, kernels
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
BOX, VOXEL = 12, 1.5
STATED = 2e-4


@pytest.fixture(scope="module")
def texture():
    rng = np.random.default_rng(1)
    grid = Grid.regular((26, 30, 28), VOXEL)
    return Volume(2.0 + rng.standard_normal(grid.shape), grid)


@pytest.fixture(scope="module")
def varied(texture):
    rng = np.random.default_rng(2)
    return texture.like(rng.uniform(3.2, 14.0, texture.data.shape))


def box_around(data, voxel, box):
    start = [i - box // 2 for i in voxel]
    return data[tuple(slice(s, s + box) for s in start)].astype(np.float64)


def by_transform(data, voxel, resolution, box, spacing, mean_share=1.0):
    """Filter the box by its transform, and return its centre."""
    spectrum = np.fft.fftn(box_around(data, voxel, box))
    axis = np.fft.fftfreq(box, spacing)
    s = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    spectrum *= 1 / (1 + np.exp(1.618 * (s - 1 / resolution) / 0.002))
    spectrum[0, 0, 0] = mean_share * box_around(data, voxel, box).sum()
    return np.fft.ifftn(spectrum).real[(box // 2,) * 3]


@pytest.mark.parametrize(("compat", "box"), [(None, 12), ("bsoft", 12), (None, 9)])
def test_a_value_is_the_centre_of_the_filtered_box(texture, varied, compat, box):
    result = blocfilt(texture, varied, box=box, compat=compat).sharpened.data
    for voxel in np.random.default_rng(3).integers(6, 20, (60, 3)):
        resolution = float(varied.data[tuple(voxel)])
        expected = by_transform(texture.data, voxel, resolution, box, VOXEL, 0.5 if compat else 1.0)
        # Coefficients in the fall of the response are wrong by STATED at most: so much of the texture, at most.
        assert result[tuple(voxel)] == pytest.approx(expected, abs=STATED)


def test_kernels_between_two_cutoffs_err_by_what_is_stated():
    s = np.linspace(0.1 - 8 * FALL, 0.1 + 8 * FALL, 20001)
    fermi = [1 / (1 + np.exp((s - 0.1 - part * CUTOFF_STEP) / FALL)) for part in (0, 0.5, 1)]
    error = np.abs((fermi[0] + fermi[2]) / 2 - fermi[1]).max()
    assert 0.5 * STATED < error < STATED


def test_one_resolution_is_one_filter(texture):
    result = blocfilt(texture, texture.like(np.full(texture.data.shape, 6.5)), box=BOX).sharpened.data
    shape = kernels(np.array([1 / 6.5]), BOX, (VOXEL,) * 3)[0]
    far = np.zeros(texture.data.shape)
    far[:BOX, :BOX, :BOX] = shape
    spectrum = np.fft.rfftn(texture.data) * np.conj(np.fft.rfftn(np.roll(far, (-(BOX // 2),) * 3, axis=(0, 1, 2))))
    expected = np.fft.irfftn(spectrum, texture.data.shape)
    inner = (slice(BOX, -BOX),) * 3
    np.testing.assert_allclose(result[inner], expected[inner], atol=2e-6)
    assert np.isclose(shape.sum(), 1.0, atol=1e-6)


def test_it_is_linear_in_the_map(texture, varied):
    other = texture.like(np.random.default_rng(4).standard_normal(texture.data.shape))
    both = texture.like(2 * texture.data - 3 * other.data)
    one, two, sum_of_both = (blocfilt(v, varied, box=BOX).sharpened.data for v in (texture, other, both))
    np.testing.assert_allclose(sum_of_both, 2 * one - 3 * two, atol=1e-5)


def test_beyond_the_corner_of_the_spectrum_nothing_is_filtered(texture):
    fine = texture.like(np.full(texture.data.shape, 1.5))
    np.testing.assert_allclose(blocfilt(texture, fine, box=BOX).sharpened.data, texture.data, atol=1e-5)
    halved = blocfilt(texture, fine, box=BOX, compat="bsoft").sharpened.data
    mean = box_around(texture.data, (14, 13, 12), BOX).mean()
    assert halved[14, 13, 12] == pytest.approx(texture.data[14, 13, 12] - 0.5 * mean, abs=1e-5)


def test_coarser_than_the_box_its_mean_passes_and_a_warning_says_so(texture):
    with pytest.warns(CryoresWarning, match="only its mean passes"):
        result = blocfilt(texture, texture.like(np.full(texture.data.shape, 40.0)), box=BOX).sharpened.data
    assert result[14, 13, 12] == pytest.approx(box_around(texture.data, (14, 13, 12), BOX).mean(), abs=1e-4)


def test_only_the_mask_counts(texture, varied):
    inside = np.zeros(texture.data.shape, dtype=np.float32)
    inside[8:20, 9:22, 7:21] = 1
    mask = texture.like(inside)
    result = blocfilt(texture, varied, mask, box=BOX).sharpened.data
    elsewhere = varied.like(np.where(inside > 0, varied.data, 50.0))
    assert np.all(result[inside == 0] == 0)
    np.testing.assert_array_equal(blocfilt(texture, elsewhere, mask, box=BOX).sharpened.data, result)
    whole = blocfilt(texture, varied, box=BOX).sharpened.data
    np.testing.assert_allclose(result[inside > 0], whole[inside > 0], atol=2 * STATED)


def test_voxels_without_a_value_take_the_nearest_and_the_program_leaves_them(texture):
    values = np.full(texture.data.shape, 6.0, dtype=np.float32)
    values[10:13, 10:13, 10:13] = 0
    values[13, 13, 13] = np.nan
    mask = texture.like(np.pad(np.ones((20, 24, 22)), 3))
    full = blocfilt(texture, texture.like(np.full(values.shape, 6.0)), mask, box=BOX).sharpened.data
    np.testing.assert_array_equal(blocfilt(texture, texture.like(values), mask, box=BOX).sharpened.data, full)
    compat = blocfilt(texture, texture.like(values), mask, box=BOX, compat="bsoft").sharpened.data
    assert np.all(compat[10:13, 10:13, 10:13] == 0) and compat[13, 13, 13] == 0 and compat[9, 9, 9] != 0


def test_next_to_the_border_the_mean_of_the_map_is_taken_and_the_program_does_nothing(texture, varied):
    result = blocfilt(texture, varied, box=BOX).sharpened.data
    padded = np.pad(texture.data, BOX, constant_values=texture.data.mean())
    for voxel in ((0, 0, 0), (1, 14, 27), (25, 29, 27)):
        expected = by_transform(padded, np.array(voxel) + BOX, float(varied.data[voxel]), BOX, VOXEL)
        assert result[voxel] == pytest.approx(expected, abs=STATED)
    compat = blocfilt(texture, varied, box=BOX, compat="bsoft").sharpened.data
    assert np.all(compat[: BOX // 2] == 0) and np.all(compat[-(BOX // 2) + 1 :] == 0)
    assert np.all(compat[6:21, 6:25, 6:23] != 0)


def test_threads_change_nothing(texture, varied):
    one, four = (blocfilt(texture, varied, box=BOX, execution=Execution(threads=t)).sharpened.data for t in (1, 4))
    np.testing.assert_allclose(one, four, rtol=1e-5, atol=1e-6)


def test_half_maps_tell_their_own_resolution():
    made = simulate(shape=(40, 44, 42), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)
    result = blocfilt(made.halves, mask=made.mask, box=BOX)
    assert sorted(result.extra) == ["resolution"] and result.details["resolution_was_made"]
    inside = made.mask.data > 0.5
    again = blocfilt(made.halves.mean(), result.extra["resolution"], made.mask, box=BOX)
    np.testing.assert_array_equal(again.sharpened.data, result.sharpened.data)
    alike = [np.corrcoef(v.data[inside], made.clean.data[inside])[0, 1] for v in (result.before, result.sharpened)]
    assert alike[1] > alike[0]


def test_what_cannot_work_is_refused(texture, varied):
    with pytest.raises(UsageError, match="E_MISSING_INPUT"):
        blocfilt(texture)
    with pytest.raises(UsageError, match="E_BOX"):
        blocfilt(texture, varied, box=27)
    with pytest.raises(InputError, match="E_OTHER_GRID"):
        blocfilt(texture, Volume(np.ones((26, 30, 29)), Grid.regular((26, 30, 29), VOXEL)))
    with pytest.raises(InputError, match="E_RESOLUTION_EMPTY"):
        blocfilt(texture, varied.like(np.full(varied.data.shape, np.nan)))
    with pytest.raises(InputError, match="E_RESOLUTION_NEGATIVE"):
        blocfilt(texture, varied.like(varied.data - 10))
    corner = np.zeros(varied.data.shape)
    corner[:3, :3, :3] = 1
    with pytest.raises(InputError, match="E_MASK_EMPTY"):
        blocfilt(texture, varied, texture.like(corner), box=BOX, compat="bsoft")
    with pytest.raises(InputError, match="E_RESOLUTION_EMPTY"):
        blocfilt(texture, varied.like(np.where(corner, 0, varied.data)), texture.like(corner), box=BOX)
