"""DeepEMhancer: cubes, views, scale and normalisations; what our networks promise."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryores.cli import main
from cryores.errors import InputError, UsageError, WeightsError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered, irfft, rfft, shell_sums
from cryores.mapio import read_map, write_map
from cryores.nets import denoiser
from cryores.nets.cubes import CubePlan, occupied, predicted
from cryores.nets.enhancer_bands import (
    CONTRAST,
    FEATURES,
    bands,
    block_powers,
    described,
    joined_bands,
    noise_is_told,
    spread_over_voxels,
    widened,
    with_gains,
)
from cryores.nets.enhancer_confidence import MODEL_POWER, confidence, fitted, known_share
from cryores.nets.enhancer_input import automatic_statistics, noise_radius, normalised_in_mask
from cryores.nets.enhancer_scale import density_scale
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.views import rotated_views, seen, unseen
from cryores.postprocessing import deepemhancer
from cryores.postprocessing.deepemhancer import symmetrised, without_small_parts
from cryores.shell_correlation import fsc_curve
from cryores.simulation import simulate
from cryores.symmetry import rotations
from cryores.volume import Grid, HalfMaps, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
QUICK = {"views": 1}


# --- pieces ---------------------------------------------------------------------------------------------------------


def test_cubes_reach_both_ends_and_blend_to_what_they_were():
    plan = CubePlan(edge=16, stride=10)
    assert plan.starts(16) == [0] and plan.starts(37) == [0, 10, 20, 21]
    volume = np.random.default_rng(0).standard_normal((16, 37, 29)).astype(np.float32)
    np.testing.assert_allclose(predicted(volume, lambda cubes: 2 * cubes, plan, batch=3), 2 * volume, atol=1e-5)


def test_cubes_without_density_are_not_computed():
    plan, asked = CubePlan(edge=8, stride=8), []
    volume = np.ones((8, 8, 32), dtype=np.float32)
    density = np.zeros_like(volume)
    density[4, 4, 12] = 1.0

    def predict(cubes):
        asked.append(len(cubes))
        return cubes

    found = predicted(volume, predict, plan, density, batch=4)
    assert asked == [1] and occupied(plan.places(volume.shape), 8, density) == [(0, 0, 8)]
    assert found[4, 4, 12] == pytest.approx(1) and not found[..., :8].any() and not found[..., 16:].any()


def test_a_batch_is_halved_when_the_memory_runs_out():
    asked = []

    def predict(cubes):
        asked.append(len(cubes))
        if len(cubes) > 2:
            raise MemoryError
        return cubes

    volume = np.random.default_rng(1).standard_normal((8, 8, 40)).astype(np.float32)
    np.testing.assert_allclose(predicted(volume, predict, CubePlan(8, 8), batch=5), volume, atol=1e-6)
    assert asked == [5, 2, 2, 1]


def test_views_are_the_24_rotations():
    volume = np.random.default_rng(2).standard_normal((3, 4, 5)).astype(np.float32)
    views = rotated_views(24)
    assert len({seen(volume, view).tobytes() for view in views}) == 24 and views[0] == ((0, 1, 2), (False,) * 3)
    for axes, flips in views:
        matrix = np.diag([-1.0 if f else 1.0 for f in flips]) @ np.eye(3)[list(axes)]
        assert np.linalg.det(matrix) == pytest.approx(1)
        np.testing.assert_array_equal(unseen(seen(volume, (axes, flips)), (axes, flips)), volume)


@pytest.mark.parametrize("voxel", [1.2156, 0.65, 1.34])
def test_voxels_of_one_angstrom_are_just_that_and_the_way_back_loses_nothing(voxel):
    grid = Grid.regular((40, 47, 54), voxel)
    way = OneAngstrom.of(grid)
    for padded, fine in zip(way.padded, way.fine):
        assert padded * voxel / fine == pytest.approx(1, abs=3e-3)
    waves = np.zeros(grid.shape)
    waves[14:-14, 14:-14, 14:-14] = np.random.default_rng(3).standard_normal([n - 28 for n in grid.shape])
    smooth = gaussian_filter(waves, 2.0).astype(np.float32)
    np.testing.assert_allclose(way.back(way.there(smooth, 0.0, 1), 1), smooth, atol=0.01 * smooth.std())


def test_the_scale_follows_the_map():
    clean = simulate(shape=(48, 48, 48), voxel_size=1.0, finest=4.0, coarsest=6.0).clean
    noise = np.random.default_rng(4).standard_normal(clean.data.shape).astype(np.float32)
    data = clean.data + 0.3 * clean.data.std() * noise
    one, two = density_scale(data), density_scale(5 * data + 7)
    np.testing.assert_allclose(two.apply(5 * data + 7), one.apply(data), atol=2e-3)
    assert np.abs(gaussian_filter(density_scale(noise).apply(noise), 3.0)).std() < 0.35


def test_the_bands_are_the_map_and_gains_that_undo_the_whitening_give_it_back():
    data = simulate(shape=(32, 48, 32), voxel_size=1.0, finest=4.0, coarsest=6.0).clean.data
    told = described(data)
    np.testing.assert_allclose(sum(bands(told.density)), told.density, atol=1e-4)
    np.testing.assert_allclose(with_gains(told, told.amplitude), told.density, atol=1e-4)
    assert told.features.shape == (8, 12, 8, FEATURES) and np.isfinite(told.features).all()


def test_what_blocks_look_like_turns_with_the_map():
    data = simulate(shape=(32, 32, 32), voxel_size=1.0, finest=4.0, coarsest=6.0).clean.data
    view = rotated_views(5)[4]
    turned = described(seen(data, view)).features
    np.testing.assert_allclose(turned, seen(described(data).features, view), atol=2e-3)


def test_a_box_without_solvent_takes_its_weakest_part_for_it():
    """White noise of mean 0 in a ball: no block's mean is below the threshold of the scale."""
    from benchmarks.measuring import phantom as white_ball

    halves = white_ball(64).maps
    told = described(halves.mean().data)
    assert np.isfinite(told.features).all() and np.all(told.noise > 0)


def test_values_of_blocks_are_linear_between_their_middles():
    blocks = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), dtype=np.float32)
    along = spread_over_voxels(blocks)[:, 0, 0]
    np.testing.assert_allclose(along, np.clip((np.arange(16) + 0.5) / 4 - 0.5, 0, 3), atol=1e-6)


# --- the published normalisations -----------------------------------------------------------------------------------


def test_a_correction_has_no_more_power_than_the_noise_in_any_band():
    rng = np.random.default_rng(4)
    correction = rng.standard_normal((32, 40, 48)).astype(np.float32)
    power = widened(block_powers(correction))
    np.testing.assert_allclose(denoiser.bounded(correction, 1e6 * power), correction, atol=2e-5)
    allowed = np.full_like(power, 1e-4)
    allowed[..., :4] = 0.0
    left = widened(block_powers(denoiser.bounded(correction, allowed)))
    # Bands overlap: what is cut off in one is seen in its neighbour too.
    assert np.all(left[..., 5:].mean(axis=(0, 1, 2)) < 1.1e-4) and np.all(left[..., :3] < 1e-6)


def test_bands_of_noise_alone_are_left_alone():
    rng = np.random.default_rng(6)
    signal = np.zeros((48, 48, 48), dtype=np.float32)
    signal[14:34, 14:34, 14:34] = rng.standard_normal((20, 20, 20))
    signal = 60.0 * gaussian_filter(signal, 2.0)
    noise = rng.standard_normal(signal.shape).astype(np.float32)
    told, power = described(signal + noise), widened(block_powers(noise))
    power /= described(signal + noise).scale.contrast ** 2
    shares = denoiser.signal_shares(told, power, denoiser.noise_let_through(told, np.ones_like(power), power))
    low, high = denoiser.KNOWN
    assert np.all(shares[:3] > high) and np.all(shares[6:] < low) and shares.min() >= 0 and shares.max() <= 1
    correction = gaussian_filter(rng.standard_normal(signal.shape), 1.0).astype(np.float32)
    alone = denoiser.denoised(signal + noise, correction, widened(block_powers(noise)), 0 * shares)
    np.testing.assert_allclose(alone, signal + noise, atol=1e-3 * signal.std())


def test_a_masked_map_does_not_tell_its_noise():
    rng = np.random.default_rng(9)
    z, y, x = np.indices((64, 64, 64)) - 32
    inside = z * z + y * y + x * x < 18**2
    molecule = 3.0 + gaussian_filter(rng.standard_normal(inside.shape), 1.0) * 10.0
    noise = 0.5 * rng.standard_normal(inside.shape)
    raw, masked = (np.where(inside, molecule, 0.0) + noise * kept for kept in (1.0, inside))
    told, hidden = (noise_is_told(described(v.astype(np.float32))) for v in (raw, masked))
    assert told and not hidden


def test_what_is_noise_leaves_a_denoised_map():
    rng = np.random.default_rng(7)
    signal, noise = (gaussian_filter(rng.standard_normal((48, 48, 48)), 1.0).astype(np.float32) for _ in range(2))
    power, before = 1.5 * widened(block_powers(noise)), signal + noise
    found = denoiser.denoised(before, -0.3 * signal - 0.8 * noise, power, np.ones(10, dtype=np.float32))
    assert np.corrcoef(found.ravel(), signal.ravel())[0, 1] > 0.93


def test_bands_become_as_strong_as_in_models_as_far_as_they_are_signal():
    """A band takes some of its neighbours' power, so that shares are compared with tolerance."""
    waves = np.random.default_rng(8).standard_normal((64, 64, 64)).astype(np.float32)
    smooth = gaussian_filter(waves, 1.75)
    shares = np.ones(10, dtype=np.float32)
    shares[6:] = 0.0
    before, after = (block_powers(v).mean(axis=(0, 1, 2)) for v in (smooth, denoiser.like_models(smooth, shares)))
    wanted = denoiser.LIKE_MODELS * MODEL_POWER * before[:3].sum() / MODEL_POWER[:3].sum()
    raised = np.sqrt(wanted / before)[4:6]
    assert np.all((raised > 0.9) & (raised < denoiser.MOST_RAISED))
    np.testing.assert_allclose(after[5], wanted[5], rtol=0.35)
    assert after[5] > 2 * before[5]
    np.testing.assert_allclose(after[7:], before[7:], rtol=0.2, atol=1e-3 * after[5])
    np.testing.assert_allclose(denoiser.like_models(smooth, 0 * shares), smooth, atol=1e-5)
    faint = gaussian_filter(waves, 2.5)
    power = block_powers(denoiser.like_models(faint, shares)).sum()
    assert power < denoiser.MOST_RAISED**2 * block_powers(faint).sum()


def test_where_no_noise_was_let_through_nothing_is_corrected():
    keras = pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    keras.utils.set_random_seed(2)
    network = denoiser.build_denoiser((4, 6, 8))
    network.get_layer("units").kernel.assign(keras.random.normal((4, 4, 4, 1, 4), seed=1))
    let_through = np.zeros((8, 8, 8, 10), dtype=np.float32)
    let_through[:4] = 1.0
    density = np.random.default_rng(5).standard_normal((32, 32, 32)).astype(np.float32)
    shown = denoiser.shown(density, let_through)
    correction = np.asarray(network(shown[None]))[0, ..., 0]
    assert correction[:12].std() > 0 and not correction[19:].any()


def test_ranges_of_bands_are_sums_of_bands():
    density = np.random.default_rng(6).standard_normal((32, 24, 40)).astype(np.float32)
    each, joined = [*bands(density)], [*joined_bands(density, denoiser.RANGES)]
    assert denoiser.RANGES[0][0] == 0 and denoiser.RANGES[-1][1] == len(each)
    for (first, end), found in zip(denoiser.RANGES, joined):
        np.testing.assert_allclose(found, sum(each[first:end]), atol=1e-5)


def test_what_is_shown_are_the_ranges_over_their_noise():
    rng = np.random.default_rng(7)
    density = rng.standard_normal((32, 32, 32)).astype(np.float32)
    let_through = np.zeros((8, 8, 8, 10), dtype=np.float32)
    let_through[..., 0], let_through[..., 4] = 0.36, 0.64
    given = denoiser.as_shown(density, let_through)
    np.testing.assert_allclose(given[..., 0], density)
    np.testing.assert_allclose(given[..., 1], 1.0, atol=1e-5)
    np.testing.assert_allclose(given[..., 6:], np.broadcast_to([0.6, 0.8, 0.0, 0.0], (32, 32, 32, 4)), atol=1e-5)
    middle = [*joined_bands(density, denoiser.RANGES)][1]
    np.testing.assert_allclose(np.sinh(given[..., 3]) * 0.81, middle, atol=1e-4)


def test_confidence_grows_with_strength_and_with_what_is_known():
    density = np.zeros((32, 32, 32), dtype=np.float32)
    density[8:24, 8:24, 8:24] = CONTRAST * np.linspace(0.2, 2.0, 16, dtype=np.float32)
    some, more = confidence(density, 0.4), confidence(density, 0.8)
    assert np.all(np.diff(some[16, 16, 10:19]) > 0) and np.all(more[12:20, 12:20, 12:20] > some[12:20, 12:20, 12:20])
    assert not confidence(-density, 0.4).any() and not confidence(0 * density, 1.0).any()
    assert some.min() >= 0 and more.max() < 1


def test_what_a_map_knows_is_weighed_by_what_models_hold():
    power, noise = np.ones((2, 1, 1, 10)), np.zeros((2, 1, 1, 10))
    noise[1, ..., 1:] = 1.0
    slow = MODEL_POWER[0] / MODEL_POWER.sum()
    density = np.ones((8, 4, 4))
    density[4:] *= 2.0
    assert known_share(noise, power, density) == pytest.approx((1.0 + 4.0 * slow) / 5.0)
    assert known_share(3 * power, power, density) == 0 and known_share(noise, power, 0 * density) == 0


def test_the_fit_of_the_confidence_finds_its_numbers():
    rng = np.random.default_rng(8)
    strengths, known = rng.uniform(0.1, 2.0, 500), rng.uniform(0.1, 0.8, 500)
    error = 2.5 * (1.02 - known) ** 1.7 / strengths**0.6
    np.testing.assert_allclose(fitted(strengths, known, error), [2.5, 0.6, 1.7], rtol=1e-6)


def phantom(edge=64, radius=14.0):
    rng = np.random.default_rng(5)
    z, y, x = np.indices((edge,) * 3) - edge // 2
    inside = z * z + y * y + x * x < radius**2
    molecule = gaussian_filter(inside * (3.0 + 2.0 * rng.standard_normal(inside.shape)), 1.0)
    return (molecule + 0.25 + 0.1 * rng.standard_normal(inside.shape)).astype(np.float32)


def test_automatic_normalisation_finds_the_noise():
    found = automatic_statistics(phantom())
    assert found.mean == pytest.approx(0.25, abs=0.02) and found.deviation == pytest.approx(0.1, rel=0.1)
    normalised = found.normalised(phantom())[:8]
    assert normalised.mean() == pytest.approx(0, abs=0.02) and normalised.std() == pytest.approx(0.1, rel=0.1)


def test_a_masked_map_has_no_noise():
    with pytest.raises(InputError, match="E_NO_NOISE"):
        automatic_statistics(np.where(phantom() > 1.2, phantom(), 0.0).astype(np.float32) * 0 + 1)


def test_a_hollow_profile_is_refused():
    index = np.arange(87)
    ring = np.exp(-(((index - 30) / 4.0) ** 2))
    with pytest.raises(InputError, match="E_HOLLOW"):
        noise_radius(0.5 * ring - 0.1 * np.exp(-(((index - 15) / 3.0) ** 2)), 0.0 * ring, 2.0 * ring)


def test_normalisation_in_a_mask_puts_the_median_at_zero():
    data = phantom()
    mask = (gaussian_filter(data, 1.5) > 1.5).astype(np.float32)
    found, used = normalised_in_mask(data, mask)
    inside = found[(used > 0) & (data > 0)]
    assert np.median(inside) == pytest.approx(0, abs=1e-4) and not found[used == 0].any()
    assert np.ptp(np.percentile(inside, (10, 95))) == pytest.approx(1, rel=1e-4)
    assert used.sum() > mask.sum()


# --- after the network ----------------------------------------------------------------------------------------------


def test_a_symmetrised_map_has_the_symmetry_and_a_symmetric_one_is_not_changed():
    grid = Grid.regular((24, 24, 24), 1.5)
    data = gaussian_filter(np.random.default_rng(6).standard_normal(grid.shape), 2.0, mode="wrap").astype(np.float32)
    four = symmetrised(data, grid, rotations("C4"))
    turned = np.roll(np.rot90(four, axes=(1, 2)), 1, axis=1)
    np.testing.assert_allclose(turned, four, atol=1e-3 * np.abs(four).max())
    np.testing.assert_allclose(symmetrised(four, grid, rotations("C4")), four, atol=1e-3 * np.abs(four).max())


def test_cleaning_removes_small_parts():
    density = np.zeros((40, 40, 40), dtype=np.float32)
    density[12:28, 12:28, 12:28], density[33:36, 33:36, 33:36] = 1.0, 1.0
    cleaned = without_small_parts(density, 0.05)
    assert cleaned[20, 20, 20] == 1 and not cleaned[32:, 32:, 32:].any()
    np.testing.assert_array_equal(without_small_parts(density, 1e-6), density)


# --- our networks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(60, 64, 52), voxel_size=1.2, finest=3.5, coarsest=6.0, snr=0.3, b=80.0, seed=3)


@pytest.fixture(scope="module")
def done(made):
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    return deepemhancer(made.halves, made.mask, execution=Execution(threads=2), views=2)


def frequencies(grid):
    axes = [np.fft.fftfreq(n, v) for n, v in zip(grid.shape[:2], grid.voxel_size)]
    z, y, x = *axes, np.fft.rfftfreq(grid.shape[2], grid.voxel_size[2])
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)


def correlation(a, b, where=...):
    return np.corrcoef(a[where].ravel(), b[where].ravel())[0, 1]


def test_the_map_becomes_more_like_the_truth(made, done):
    before = correlation(made.halves.mean().data, made.clean.data)
    assert correlation(done.sharpened.data, made.clean.data) > max(before + 0.03, 0.85)


def test_the_solvent_is_emptied(made, done):
    outside = gaussian_filter(made.mask.data, 5.0) < 0.01
    inside = made.mask.data > 0.5
    assert done.sharpened.data[outside].std() < 0.05 * done.sharpened.data[inside].std()


def test_the_confidence_is_a_share_and_lower_where_more_is_wrong(made, done):
    """Wrong is the squared error over the truth's power, both of about 5 Å around."""
    from scipy.stats import spearmanr

    confidence = done.extra["confidence"].data
    assert confidence.min() >= 0 and confidence.max() <= 1 + 1e-6
    inside = made.mask.data > 0.5
    scale = np.polyfit(made.clean.data[inside], done.sharpened.data[inside], 1)
    wrong = gaussian_filter(np.square(done.sharpened.data - np.polyval(scale, made.clean.data)), 4.0)
    share = wrong / gaussian_filter(np.square(scale[0] * made.clean.data), 4.0)
    assert spearmanr(-confidence[inside], share[inside]).statistic > 0.5


def test_scale_and_offset_of_the_map_change_nothing(made):
    pytest.importorskip("keras")
    one = deepemhancer(made.halves, made.mask, **QUICK).sharpened.data
    both = [h.like(7 * h.data + 3) for h in (made.halves.half1, made.halves.half2)]
    again = deepemhancer(HalfMaps(*both), made.mask, **QUICK).sharpened.data
    np.testing.assert_allclose(again, one, atol=5e-3 * one.max())


@pytest.mark.parametrize("target", ["tightTarget", "wideTarget", "highRes"])
def test_of_noise_almost_nothing_is_made(made, done, target):
    rng = np.random.default_rng(7)
    noise = made.halves.half1.like(rng.standard_normal(made.clean.grid.shape))
    found = deepemhancer(noise, made.mask, target=target, **QUICK).sharpened.data
    assert np.sqrt(np.mean(found**2)) < 0.02 * done.sharpened.data[made.mask.data > 0.5].std()


@pytest.mark.parametrize("target", ["wideTarget", "highRes"])
def test_the_second_step_helps_behind_the_other_targets_too(made, target):
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    first, both = (
        deepemhancer(made.halves, made.mask, target=target, denoise=denoise, **QUICK) for denoise in (False, True)
    )
    assert not first.details["denoised"] and both.details["denoised"]
    inside = made.mask.data > 0.5
    before, after = (correlation(found.sharpened.data, made.clean.data, inside) for found in (first, both))
    assert after > before + 0.005


def test_the_second_step_leaves_a_belt_as_strong_as_it_was(made):
    """Smooth density beside the molecule, as of detergent, at the wide target."""
    pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
    near, far = (gaussian_filter(made.mask.data, width) for width in (3.0, 6.0))
    belt = np.clip(4 * far, 0, 1) * np.clip(1 - 2 * near, 0, 1) * float(np.percentile(made.clean.data, 99)) * 0.5
    halves = HalfMaps(*(h.like(h.data + belt) for h in (made.halves.half1, made.halves.half2)))
    first, both = (
        deepemhancer(halves, made.mask, target="wideTarget", denoise=denoise, **QUICK).sharpened.data
        for denoise in (False, True)
    )
    where = belt > 0.5 * belt.max()
    assert np.sum(both[where] * first[where]) > 0.8 * np.sum(first[where] ** 2)


def shells(one, other, mask=1.0):
    sums = shell_sums(rfft(one.data * np.float32(mask), 1), rfft(other.data * np.float32(mask), 1), one.grid)
    return sums.frequency, fsc_curve(sums)


def test_half_1_enhanced_agrees_with_half_2_as_well_as_it_did_raw(made):
    one = deepemhancer(made.halves.half1, made.mask, **QUICK).sharpened
    frequency, raw = shells(made.halves.half1, made.halves.half2)
    _, after = shells(one, made.halves.half2)
    upto = (frequency > 0) & (frequency <= 1.0 / 3.5)
    assert np.min((after - raw)[upto]) > -0.02


def test_what_is_not_in_the_phases_is_not_made(made):
    """Phases are random beyond 6 Å: the result knows no more of the truth there than the input under its support."""
    spectrum = rfft(made.clean.data, 1)
    noise = rfft(np.random.default_rng(8).standard_normal(made.clean.grid.shape).astype(np.float32), 1)
    fine = frequencies(made.clean.grid) > 1.0 / 6.0
    spectrum[fine] = np.abs(spectrum[fine]) * np.exp(1j * np.angle(noise[fine]))
    volume = made.clean.like(irfft(spectrum, made.clean.grid.shape, 1))
    background = 0.02 * volume.data.std() * np.random.default_rng(9).standard_normal(volume.data.shape)
    volume = volume.like(volume.data + background)
    found = deepemhancer(volume, made.mask, **QUICK).sharpened
    local = np.sqrt(gaussian_filter(np.square(found.data), 2.0))
    support = np.clip(local / (0.2 * np.percentile(local, 99)), 0.0, 1.0)
    soft = gaussian_filter(made.mask.data, 2.0)
    frequency, after = shells(found, made.clean, soft)
    _, before = shells(volume.like(volume.data * support), made.clean, soft)
    beyond = (frequency > 1.0 / 5.5) & (frequency < 1.0 / 3.0)
    assert np.max((after - before)[beyond]) < 0.05


def test_a_sharpened_map_is_told_of(made):
    pytest.importorskip("keras")
    volume = made.halves.mean()
    sharp = volume.like(filtered(volume.data, bfactor(-160.0), volume.grid, 1))
    with pytest.warns(UserWarning, match="sharpened"):
        deepemhancer(sharp, made.mask, **QUICK)


def test_what_is_to_be_kept_is_kept(made):
    pytest.importorskip("keras")
    keep = np.zeros(made.clean.grid.shape, dtype=np.float32)
    keep[20:40, 20:40, 20:40] = 1
    found = deepemhancer(made.halves, made.mask, made.mask.like(keep), **QUICK).sharpened.data
    block = (slice(22, 38),) * 3
    assert correlation(found, made.halves.mean().data, block) > 0.9999


@pytest.mark.parametrize("shape", [(40, 40, 40), (33, 50, 41)])
def test_small_and_odd_boxes(shape):
    pytest.importorskip("keras")
    volume = simulate(shape=shape, voxel_size=1.5, finest=4.0, coarsest=6.0).halves.mean()
    found = deepemhancer(volume, **QUICK)
    assert found.sharpened.grid == volume.grid and found.sharpened.data.std() > 0.05


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"target": "masked"}, "E_TARGET"),
        ({"target": "masked", "weights": "published"}, "E_TARGET"),
        ({"compat": "deepemhancer"}, "E_COMPAT"),
        ({"noise_stats": (0.0,), "weights": "published"}, "E_NOISE_STATS"),
        ({"noise_stats": (0.0, 1.0)}, "E_NOISE_STATS"),
        ({"symmetry": "C0"}, "E_SYMMETRY"),
        ({"views": 25}, "E_PARAMETER"),
    ],
)
def test_bad_parameters(made, values, code):
    with pytest.raises(UsageError, match=code):
        deepemhancer(made.halves, **values)


def test_a_masked_map_is_told_of(made):
    pytest.importorskip("keras")
    masked = made.halves.mean().like(made.halves.mean().data * made.mask.data)
    with pytest.warns(UserWarning, match="masked"):
        deepemhancer(masked, made.mask, **QUICK)


def test_missing_weights_leave_nothing_behind(made, tmp_path, monkeypatch, capsys):
    pytest.importorskip("keras")
    monkeypatch.setenv("CRYORES_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    write_map(tmp_path / "map.mrc", made.halves.mean())
    words = ["deepemhancer", "--map", str(tmp_path / "map.mrc"), "--weights", "published", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 5
    assert "error E_WEIGHTS_MISSING" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_damaged_weights(tmp_path):
    pytest.importorskip("keras")
    from cryores.nets.own_enhancer import read_enhancer, weights_file

    whole = weights_file("tightTarget").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        read_enhancer(tmp_path / "cut.npz")


def test_the_command_writes_the_confidence_on_the_grid_of_the_map(made, tmp_path):
    pytest.importorskip("keras")
    grid = Grid(made.clean.grid.shape, made.clean.grid.cell, made.clean.grid.sampling, (40.0, 3.25, -11.5), (12, 7, -5))
    for name, half in (("half1", made.halves.half1), ("half2", made.halves.half2)):
        write_map(tmp_path / f"{name}.mrc", Volume(half.data, grid))
    words = ["deepemhancer", "--half1", str(tmp_path / "half1.mrc"), "--half2", str(tmp_path / "half2.mrc"), "--quiet"]
    assert main([*words, "--views", "1", "--out", str(tmp_path / "out")]) == 0
    for name in ("sharpened", "masked", "difference", "confidence"):
        assert read_map(tmp_path / "out" / f"{name}.mrc").grid == read_map(tmp_path / "half1.mrc").grid
    assert "never refine" in json.loads((tmp_path / "out" / "report.json").read_text())["summary"]["use"]
