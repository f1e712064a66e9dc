"""What B-factor sharpening keeps to."""

from dataclasses import replace

import numpy as np
import pytest

from cryores import HalfMaps, Volume
from cryores.errors import CryoresWarning, UsageError
from cryores.filters import bfactor
from cryores.fourier import filtered, rfft, shell_frequencies
from cryores.guinier import GuinierFit, fit_guinier, mean_amplitudes
from cryores.masks import binarise, soft_edge, sphere
from cryores.method import Inputs
from cryores.postprocessing import postprocess
from cryores.postprocessing.postprocess import METHOD, PostprocessParameters, _details, shell_weights
from cryores.simulation import simulate
from cryores.volume import Grid

GRID = Grid.regular((48, 48, 48), 1.2)


@pytest.fixture(scope="module")
def made():
    """Half maps, and their mask with a soft edge."""
    simulated = simulate(shape=(48, 52, 50), voxel_size=1.4, finest=3.5, coarsest=7.0, seed=3)
    return replace(simulated, mask=soft_edge(simulated.mask, 8.4))


@pytest.fixture(scope="module")
def done(made):
    return postprocess(made.halves, made.mask)


def white(seed, grid=GRID):
    return Volume(np.random.default_rng(seed).standard_normal(grid.shape).astype(np.float32), grid)


@pytest.mark.parametrize("planted", [30.0, 80.0, 150.0])
def test_a_planted_bfactor_is_found(planted):
    noise = white(1)
    decayed = noise.like(filtered(noise.data, bfactor(planted), GRID, 2))
    frequency = shell_frequencies(GRID)
    fit = fit_guinier(frequency, mean_amplitudes(rfft(decayed.data, 2), GRID), 12.0, GRID.nyquist)
    bare = fit_guinier(frequency, mean_amplitudes(rfft(noise.data, 2), GRID), 12.0, GRID.nyquist)
    assert fit.bfactor - bare.bfactor == pytest.approx(-planted, rel=0.01)
    assert fit.quality > 0.99 and fit.bfactor == pytest.approx(-planted, abs=6.0)


def test_b_then_minus_b_is_the_identity_below_nyquist():
    noise = white(2)
    below = noise.like(filtered(noise.data, lambda s: (s <= 0.95 / GRID.nyquist).astype(float), GRID, 2))
    with pytest.warns(CryoresWarning, match="single map is not weighted"):
        once = postprocess(below, bfactor=70.0, mask=sphere(GRID, 20.0, 5.0)).sharpened
        twice = postprocess(once, bfactor=-70.0, mask=sphere(GRID, 20.0, 5.0)).sharpened
    assert np.abs(twice.data - below.data).max() < 2e-3 * np.abs(below.data).max()


def test_scale_and_sign_of_the_input_pass_through(made, done):
    scaled = HalfMaps(*(h.like(h.data * 7.0) for h in (made.halves.half1, made.halves.half2)))
    again = postprocess(scaled, made.mask)
    correlation = np.corrcoef(done.before.data.ravel(), done.sharpened.data.ravel())[0, 1]
    assert again.details["bfactor"] == pytest.approx(done.details["bfactor"], rel=1e-4)
    np.testing.assert_allclose(again.sharpened.data, 7 * done.sharpened.data, atol=1e-3 * again.sharpened.data.max())
    assert done.details["bfactor"] < 0 and correlation > 0.3


def test_the_weighted_guinier_plot_is_levelled_over_the_fitted_range(done):
    level = fit_guinier(done.frequency, done.amplitudes["sharpened"], done.fit.coarsest, done.fit.finest)
    assert abs(level.bfactor) < 0.02 * abs(done.fit.bfactor)


def test_weights_fall_and_end_before_the_first_shell_without_signal():
    curve = np.array([1.0, 0.9, 0.5, 0.143, 0.05, 0.00005, 0.2, 0.1])
    weights = shell_weights(curve, 1e-4)
    assert weights[3] == pytest.approx(0.5, abs=1e-3)
    assert np.all((weights >= 0) & (weights <= 1)) and np.all(np.diff(weights[:6]) <= 0)
    assert np.all(weights[5:] == 0)


def test_low_pass_leaves_nothing_finer(made):
    result = postprocess(made.halves, made.mask, low_pass="7.0")
    finer = result.frequency > 1 / 6.0
    coarser = (result.frequency > 0) & (result.frequency < 1 / 8.5)
    assert np.all(result.amplitudes["sharpened"][finer] < 1e-3 * result.amplitudes["sharpened"][coarser].min())
    plain = postprocess(made.halves, made.mask)
    np.testing.assert_allclose(
        result.amplitudes["sharpened"][coarser], plain.amplitudes["sharpened"][coarser], rtol=1e-3
    )


def test_the_mtf_is_divided_out(made, tmp_path):
    path = tmp_path / "mtf.star"
    rows = "\n".join(f"{u:.3f} {np.exp(-2 * u):.6f}" for u in np.linspace(0, 0.7, 71))
    path.write_text(f"data_mtf\n\nloop_\n_rlnResolutionInversePixel #1\n_rlnMtfValue #2\n{rows}\n")
    spoiled = HalfMaps(
        *(
            h.like(filtered(h.data, lambda s: np.exp(-2 * np.minimum(s * 1.4, 0.5)), h.grid, 2))
            for h in (made.halves.half1, made.halves.half2)
        )
    )
    mended = postprocess(spoiled, made.mask, mtf=str(path), bfactor=-50.0, low_pass="4.0")
    wanted = postprocess(made.halves, made.mask, bfactor=-50.0, low_pass="4.0")
    assert np.corrcoef(mended.sharpened.data.ravel(), wanted.sharpened.data.ravel())[0, 1] > 0.999
    path.write_text("data_mtf\n\nloop_\n_rlnResolutionInversePixel #1\n_rlnMtfValue #2\n0.0 1.0\n0.5 0.0\n")
    with pytest.raises(UsageError, match="falls to 0"):
        postprocess(made.halves, made.mask, mtf=str(path))


def test_no_bfactor_overflows(made):
    # Raised by exp(B s^2 / 4) = e^83 at Nyquist, and low-passed to 8 Å: what passes is that of a factor that fits.
    wild = postprocess(made.halves, made.mask, bfactor=-3000.0, low_pass="8.0")
    assert np.isfinite(wild.sharpened.data).all() and wild.sharpened.data.std() > 0
    assert any("the B-factor -3000.0 Å² is unusual" in warning for warning in wild.details["warnings"])


@pytest.mark.parametrize("given, told", [(-499.0, 0), (-501.0, 1), (0.0, 0), (1.0, 1)])
def test_a_bfactor_beyond_the_usual_is_told(made, given, told):
    doubts = postprocess(made.halves, made.mask, bfactor=given).details["warnings"]
    assert sum(f"the B-factor {given:.1f} Å² is unusual" in doubt for doubt in doubts) == told


def doubts_about_a_fit(coarsest, finest, bfactor):
    fit = GuinierFit(bfactor, 0.0, 0.97, coarsest, finest, 4)
    return _details(bfactor, fit, finest, None, None, PostprocessParameters())["warnings"]


@pytest.mark.parametrize("finest, told", [(7.08, 1), (7.06, 0), (3.0, 0)])
def test_a_fit_that_is_too_short_is_told(finest, told):
    doubts = doubts_about_a_fit(10.0, finest, -200.0)
    assert len(doubts) == told
    assert all(f"from 10.00 to {finest:.2f} Å is short" in doubt and "-200.0 Å²" in doubt for doubt in doubts)


def test_the_bfactor_of_a_small_coarse_map_is_told_to_be_doubtful():
    """Four shells from 9 to 6.5 Å lie on a line: it tells of the molecule's shape, and of where its signal ends."""
    small = simulate(shape=(24, 24, 24), voxel_size=3.0, finest=7.0, coarsest=9.0, seed=1)
    result = postprocess(small.halves, soft_edge(small.mask, 18.0))
    assert result.fit.bfactor < -600 and result.fit.quality > 0.9
    assert result.details["bfactor"] == result.fit.bfactor
    (doubt,) = (doubt for doubt in result.details["warnings"] if "unusual" in doubt)
    assert f"the B-factor {result.fit.bfactor:.1f} Å² is unusual" in doubt


def test_a_mask_without_a_soft_edge_is_told_where_an_fsc_is_taken_under_it(made):
    hard = binarise(made.mask)
    parameters = METHOD.make_parameters({})
    (told,) = METHOD.check(Inputs(made.halves, mask=hard), parameters)
    assert told.startswith("the mask has no soft edge: under it the FSC is inflated")
    with pytest.warns(CryoresWarning, match="the mask has no soft edge"):
        postprocess(made.halves, hard)
    assert METHOD.check(Inputs(made.halves, mask=made.mask), parameters) == []
    (single,) = METHOD.check(Inputs(made.halves.half1, mask=hard), parameters)
    assert "single map is not weighted" in single


def test_what_is_kept_is_the_input(made):
    keep = np.zeros(made.mask.grid.shape, dtype=np.float32)
    keep[20:28, 20:28, 20:28] = 1
    result = postprocess(made.halves, made.mask, keep=made.mask.like(keep))
    inside = keep > 0.5
    ratio = result.sharpened.data[inside] / result.before.data[inside]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-4)
    plain = postprocess(made.halves, made.mask)
    far = np.s_[:12]
    np.testing.assert_array_equal(result.sharpened.data[far], plain.sharpened.data[far])


def test_an_unusable_fit_is_refused(made):
    with pytest.raises(UsageError, match="E_FIT_RANGE"):
        postprocess(made.halves, made.mask, fit_max_resolution=4.2, fit_min_resolution=4.1)
    with pytest.raises(UsageError, match="E_LOW_PASS"):
        postprocess(made.halves, made.mask, low_pass="sharp")
    with pytest.raises(UsageError, match="E_LOW_PASS"):
        postprocess(made.halves.mean(), made.mask, low_pass="fsc")
