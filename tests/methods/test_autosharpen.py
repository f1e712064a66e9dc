"""AutoSharpen: its score, its search and its variants."""

import numpy as np
import pytest

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import SOFT_EDGE, soft_edge
from cryores.postprocessing import autosharpen
from cryores.postprocessing._adjusted_surface import Surface, kurtosis, region_weight, surface_of
from cryores.postprocessing.autosharpen import _doubts
from cryores.resolution import fsc
from cryores.simulation import simulate
from cryores.volume import HalfMaps

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(56, 60, 52), voxel_size=1.3, finest=3.6, coarsest=3.6, b=100.0, seed=3)


@pytest.fixture(scope="module")
def done(made):
    return autosharpen(made.halves, made.mask)


# --- the score ----------------------------------------------------------------------------------------------------


def test_the_surface_of_blocks_is_counted():
    data = np.zeros((20, 30, 20), np.float32)
    data[2:10, 2:10, 2:10] = 1.0  # 512 voxels
    data[14:18, 20:24, 4:8] = 0.5  # 64 more
    inside = np.zeros(data.shape, bool)
    inside.flat[: 5 * 576] = True
    inside[data > 0] = True
    count = int(inside.sum())
    target = round(0.2 * count)
    only = data.copy()
    # Fill up to the target with a slab that touches nothing, so that the contour is known.
    missing = target - 576
    flat = np.flatnonzero(inside & (data == 0) & (np.indices(data.shape)[1] > 26))[:missing]
    only.flat[flat] = 0.4
    found = surface_of(only, inside)
    assert found.area == pytest.approx((10**3 - 8**3) / 512)
    regions = 2 + (1 if missing else 0)
    assert found.regions == pytest.approx(regions / target, abs=2 / target)


def test_the_score_does_not_feel_scale_and_offset(made):
    data, inside = made.halves.mean().data, made.mask.data > 0.5
    assert surface_of(7 * data - 30, inside) == surface_of(data, inside)


def test_noise_falls_into_many_regions_and_blur_has_little_surface(made):
    data, inside, grid = made.clean.data, made.mask.data > 0.5, made.clean.grid
    blurred = surface_of(filtered(data, bfactor(400.0), grid, 2), inside)
    sharp = surface_of(data, inside)
    noisy = surface_of(data + np.random.default_rng(0).normal(0, 3 * data.std(), data.shape).astype(np.float32), inside)
    assert blurred.area < 0.8 * sharp.area
    assert noisy.regions > 10 * sharp.regions


def test_the_weight_of_regions_levels_both_ends():
    low, middle, high = Surface(0.8, 0.001), Surface(1.3, 0.002), Surface(2.8, 0.101)
    weight = region_weight(low, middle, high, 30.0)
    assert low.score(weight) == pytest.approx(high.score(weight))
    assert middle.score(weight) > low.score(weight)
    assert region_weight(low, Surface(1.3, 0.001), high, 30.0) == 30.0


def test_kurtosis_of_gaussian_noise_is_three():
    noise = np.random.default_rng(1).standard_normal(200_000).astype(np.float32)
    assert kurtosis(noise) == pytest.approx(3.0, abs=4 * np.sqrt(24 / noise.size))
    assert kurtosis(5 * noise + 90) == pytest.approx(kurtosis(noise), rel=1e-4)
    assert kurtosis(np.ones(10, np.float32)) == 0


# --- the search ---------------------------------------------------------------------------------------------------


def test_the_best_b_lies_inside_the_range(done):
    tried = done.tried["b-iso"]
    best = int(np.argmax(tried["score"]))
    assert 0 < best < len(tried["b_iso"]) - 1
    assert done.details["b_iso"] == tried["b_iso"][best] and done.details["score"] == tried["score"][best]
    assert done.details["bfactor"] == pytest.approx(done.details["b_iso"] - done.details["map_bfactor"])


def test_the_resolution_is_that_of_a_soft_mask_whatever_edge_the_given_one_has(made, done):
    soft = soft_edge(made.mask, SOFT_EDGE * made.mask.grid.spacing)
    expected = fsc(made.halves, soft).resolution["0.143"]
    assert done.details["resolution_used"] == expected
    assert autosharpen(made.halves, soft, trials=3).details["resolution_used"] == expected


@pytest.mark.parametrize("planted", [60.0, 150.0])
def test_a_planted_decay_is_undone(made, done, planted):
    softer = HalfMaps(
        *(h.like(filtered(h.data, bfactor(planted), h.grid, 2)) for h in (made.halves.half1, made.halves.half2))
    )
    again = autosharpen(softer, made.mask, resolution=done.details["resolution_used"])
    assert again.details["map_bfactor"] - done.details["map_bfactor"] == pytest.approx(planted, rel=0.02)
    # A step apart at most: the scores of the two best differ by 0.1 %.
    assert again.details["b_iso"] == pytest.approx(done.details["b_iso"], abs=20.0)
    inside = made.mask.data > 0.5
    assert np.corrcoef(again.sharpened.data[inside], done.sharpened.data[inside])[0, 1] > 0.99


def test_sharpening_again_changes_nothing(made, done):
    again = autosharpen(done.sharpened, made.mask, resolution=done.details["resolution_used"] * 1.1)
    step = 20.0
    assert again.details["bfactor"] == pytest.approx(0.0, abs=1.5 * step)


def test_the_map_comes_nearer_to_the_clean_one(made, done):
    inside = made.mask.data > 0.5
    before, after = (np.corrcoef(v.data[inside], made.clean.data[inside])[0, 1] for v in (done.before, done.sharpened))
    assert after > before


def test_kurtosis_is_another_target(made):
    found = autosharpen(made.halves, made.mask, target="kurtosis", trials=9)
    tried = found.tried["b-iso"]
    assert set(tried) == {"b_iso", "score"}
    assert found.details["score"] == tried["score"].max() and found.details["region_weight"] is None


def test_variants(made, tmp_path):
    path = tmp_path / "model.pdb"
    made.structure.write_pdb(str(path))
    found = autosharpen(made.halves, made.mask, model=str(path), variant="best", trials=11)
    assert set(found.tried) == {"b-iso", "half-maps", "model"}
    assert found.tried["model"]["b_iso"].tolist() == [0.0]
    scores = {name: columns["score"].max() for name, columns in found.tried.items()}
    assert found.details["variant"] == max(scores, key=scores.get)
    assert set(found.tables()) == {f"search_{name}.csv" for name in scores}
    alone = autosharpen(made.halves.mean(), made.mask, model=str(path), variant="model", resolution=3.6)
    inside = made.mask.data > 0.5
    assert np.corrcoef(alone.sharpened.data[inside], made.clean.data[inside])[0, 1] > 0.9


def test_threads_change_nothing(made, done):
    again = autosharpen(made.halves, made.mask, execution=Execution(threads=1))
    assert again.details["b_iso"] == done.details["b_iso"]
    np.testing.assert_allclose(again.sharpened.data, done.sharpened.data, atol=1e-5 * np.abs(done.sharpened.data).max())


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, "E_NO_HALVES"), ({"resolution": 4.0, "variant": "half-maps"}, "E_NO_HALVES"),
     ({"resolution": 4.0, "variant": "model"}, "E_MISSING_INPUT"), ({"resolution": 4.0, "b_min": 400.0}, "E_RANGE"),
     ({"resolution": 9.5}, "E_FIT_RANGE")],
)  # fmt: skip
def test_what_cannot_work_is_refused(made, given, code):
    with pytest.raises(UsageError, match=code):
        autosharpen(made.halves.mean(), made.mask, **given)


def test_a_second_maximum_on_the_soft_side_is_told():
    bs = np.arange(-40.0, 100.0, 20.0)
    two = {"b_iso": bs, "score": np.array([0.9, 1.0, 0.4, 0.5, 0.8, 0.7, 0.6])}
    (said,) = _doubts(two, -20.0, 80.0)
    assert "another maximum, at B = 40" in said
    assert _doubts(two, 40.0, 80.0) == []
