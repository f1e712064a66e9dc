"""Shell correlation: invariants of an FSC, thresholds and crossings worked out by hand, consistent random phases."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cryores.curves import read_curve
from cryores.errors import UsageError
from cryores.filters import bfactor
from cryores.fourier import (
    HALF_SHELL,
    filtered,
    frequency_axes,
    irfft,
    rfft,
    shell_frequencies,
    shell_sums,
    shell_width,
)
from cryores.masks import soft_edge, sphere
from cryores.shell_correlation import (
    asymmetric_units,
    bit_threshold,
    corrected_curve,
    crossing_frequency,
    crossing_past_shape,
    crossing_resolution,
    fdr_threshold,
    fsc_curve,
    independent_coefficients,
    phase_residual,
    randomise_phases,
    reference_correlation,
    sigma_threshold,
    solvent_corrected,
    ssnr_curve,
    stays_above,
    threshold_curve,
    uncorrected_resolution,
)
from cryores.volume import Grid, HalfMaps, Volume

shapes = st.tuples(*[st.integers(6, 15)] * 3)
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=25, deadline=None)


def two_maps(shape, seed, share=0.6):
    """Two float64 maps with a common signal, smooth enough to fall with frequency."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(shape)
    return tuple(share * signal + (1 - share) * rng.standard_normal(shape) for _ in "12")


def fsc_of(a, b, voxel_size=1.3):
    return fsc_curve(shell_sums(np.fft.rfftn(a), np.fft.rfftn(b), Grid.regular(a.shape, voxel_size)))


# --- invariants ---------------------------------------------------------------------------------------------------


@many
@given(shapes, seeds)
def test_swapping_the_maps_changes_nothing_and_a_sign_turns_the_curve(shape, seed):
    a, b = two_maps(shape, seed)
    curve = fsc_of(a, b)
    np.testing.assert_allclose(fsc_of(b, a), curve, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fsc_of(a, -b), -curve, rtol=0, atol=1e-12)
    assert np.all(np.abs(curve) <= 1)


@many
@given(shapes, seeds, st.floats(0.01, 100), st.floats(-10, 10))
def test_scale_and_offset_change_nothing_but_shell_zero(shape, seed, scale, offset):
    a, b = two_maps(shape, seed)
    np.testing.assert_allclose(fsc_of(scale * a + offset, b)[1:], fsc_of(a, b)[1:], rtol=0, atol=1e-11)


@many
@given(shapes, seeds)
@example((6, 8, 12), 0)
def test_the_order_and_the_direction_of_the_axes_change_nothing(shape, seed):
    a, b = two_maps(shape, seed)
    curve = fsc_of(a, b)
    for order in itertools.permutations(range(3)):
        np.testing.assert_allclose(fsc_of(a.transpose(order), b.transpose(order)), curve, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fsc_of(a[::-1, :, ::-1], b[::-1, :, ::-1]), curve, rtol=0, atol=1e-12)


@many
@given(shapes, seeds)
def test_a_filter_that_is_constant_on_shells_changes_nothing(shape, seed):
    a, b = two_maps(shape, seed)
    grid = Grid.regular(shape, 1.3)
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    s = np.sqrt((sz**2)[:, None, None] + (sy**2)[:, None] + sx**2)
    shell = (s * (1.0 / shell_width(grid)) + HALF_SHELL).astype(int)
    factor = np.random.default_rng(seed).uniform(1e-3, 1e3, shell.max() + 1)[shell]
    f1, f2 = np.fft.rfftn(a), np.fft.rfftn(b)
    plain, filtered = (fsc_curve(shell_sums(p, q, grid)) for p, q in ((f1, f2), (f1 * factor, f2 * factor)))
    np.testing.assert_allclose(filtered, plain, rtol=0, atol=1e-12)


@many
@given(shapes, seeds)
def test_a_map_correlates_fully_with_itself(shape, seed):
    a, _ = two_maps(shape, seed)
    np.testing.assert_allclose(fsc_of(a, a), 1.0, atol=1e-12)
    spectrum = np.fft.rfftn(a)
    np.testing.assert_allclose(phase_residual(spectrum, 2 * spectrum, Grid.regular(shape, 1.3)), 0.0, atol=1e-6)


def test_single_precision_keeps_five_digits():
    a, b = two_maps((48, 40, 45), 3)
    grid = Grid.regular(a.shape, 1.1)
    single = fsc_curve(shell_sums(rfft(a.astype(np.float32), 2), rfft(b.astype(np.float32), 2), grid))
    np.testing.assert_allclose(single, fsc_of(a, b, 1.1), atol=1e-5)


def test_noise_has_mean_zero_and_the_variance_of_its_independent_coefficients():
    rng = np.random.default_rng(11)
    scores = []
    for _ in range(30):
        a, b = rng.standard_normal((2, 20, 24, 22))
        sums = shell_sums(np.fft.rfftn(a), np.fft.rfftn(b), Grid.regular(a.shape, 1.0))
        scores.append(fsc_curve(sums)[2:] * np.sqrt(independent_coefficients(sums.count)[2:] * 2))
    # A complex coefficient has two values, of which the real part of the product sees one: variance 1 / (2 n).
    scores = np.array(scores)
    assert abs(scores.mean()) < 4 / np.sqrt(scores.size)
    assert abs(scores.std() - 1) < 0.15


def test_the_curve_is_the_sum_over_the_whole_complex_spectrum():
    a, b = two_maps((9, 12, 10), 5)
    grid = Grid.regular(a.shape, (2.0, 1.5, 1.7))
    f1, f2 = np.fft.fftn(a), np.fft.fftn(b)
    s = np.sqrt(
        sum(f**2 for f in np.meshgrid(*[np.fft.fftfreq(n, v) for n, v in zip(a.shape, grid.voxel_size)], indexing="ij"))
    )
    shell = np.floor(s / shell_width(grid) + HALF_SHELL).astype(int)
    sums = shell_sums(np.fft.rfftn(a), np.fft.rfftn(b), grid)
    curve = fsc_curve(sums)
    for i in range(len(shell_frequencies(grid))):
        here = shell == i
        expected = (f1[here] * f2[here].conj()).sum().real / np.sqrt(
            (abs(f1[here]) ** 2).sum() * (abs(f2[here]) ** 2).sum()
        )
        assert curve[i] == pytest.approx(expected, abs=1e-12)
        assert sums.count[i] == here.sum()


def test_counting_the_stored_half_once_weighs_the_plane_double():
    a, b = two_maps((8, 8, 8), 1)
    f1, f2 = np.fft.rfftn(a), np.fft.rfftn(b)
    sums = shell_sums(f1, f2, Grid.regular((8, 8, 8), 1.0), np.ones(5))
    # Shell 1 (|k| < 1.5) of the stored half: 8 coefficients at kx = 0 and 5 at kx = 1.
    assert sums.count[1] == 13


def test_a_shell_without_power_correlates_zero():
    a, b = two_maps((12, 12, 12), 1)
    grid = Grid.regular(a.shape, 1.0)
    empty = np.zeros_like(np.fft.rfftn(a))
    assert fsc_curve(shell_sums(empty, np.fft.rfftn(b), grid)).tolist() == [0.0] * 7
    assert phase_residual(empty, empty, grid).tolist() == [0.0] * 7
    np.testing.assert_allclose(fsc_of(a * 1e-100, b * 1e-100), fsc_of(a, b), atol=1e-12)


# --- derived curves -----------------------------------------------------------------------------------------------


def test_derived_curves_at_values_worked_out_by_hand():
    fsc = np.array([1 / 7, 0.5, 1.0, 0.0, -0.2])
    np.testing.assert_allclose(ssnr_curve(fsc)[[0, 1, 3, 4]], [1 / 3, 2.0, 0.0, 0.0])
    assert np.isfinite(ssnr_curve(fsc)).all()
    np.testing.assert_allclose(reference_correlation(fsc), [0.5, np.sqrt(2 / 3), 1.0, 0.0, 0.0])
    np.testing.assert_allclose(solvent_corrected(np.array([0.0, 0.5, 1.0]), 0.476 / 3), [0.0, 0.75, 1.0])


def test_correction_starts_two_shells_after_the_first_random_one_and_is_guarded():
    masked = np.array([1.0, 0.9, 0.9, 0.9, 0.6, 0.5])
    random = np.array([1.0, 0.9, 0.9, 0.9, 0.2, 1.0])
    corrected = corrected_curve(masked, random, 2)
    np.testing.assert_allclose(corrected[:5], [1.0, 0.9, 0.9, 0.9, 0.5])
    assert np.isfinite(corrected[5]) and masked[5] == 0.5


def test_phase_residual_of_a_turn_is_the_turn():
    a, _ = two_maps((10, 11, 12), 2)
    spectrum = np.fft.rfftn(a)
    turned = phase_residual(spectrum, spectrum * np.exp(0.5j), Grid.regular(a.shape, 1.0))
    np.testing.assert_allclose(turned, np.degrees(0.5), rtol=1e-9)


def test_phase_residual_of_noise_is_that_of_random_phases():
    a, b = np.random.default_rng(0).standard_normal((2, 40, 40, 40))
    residual = phase_residual(np.fft.rfftn(a), np.fft.rfftn(b), Grid.regular(a.shape, 1.0))
    np.testing.assert_allclose(residual[10:], 180 / np.sqrt(3), rtol=0.06)


# --- thresholds ---------------------------------------------------------------------------------------------------


def test_thresholds_have_the_published_coefficients():
    n = np.array([1.0, 30.0, 1e4])
    root = np.sqrt(n)
    np.testing.assert_allclose(bit_threshold(0.5, n), (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), rtol=2e-4)
    np.testing.assert_allclose(bit_threshold(1.0, n), (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root), rtol=2e-4)
    np.testing.assert_allclose(sigma_threshold(3.0, n), 3 / (root + 2))
    enough = np.array([10.0, 30.0, 1e4])
    np.testing.assert_array_equal(threshold_curve("half-bit", n), bit_threshold(0.5, enough))
    np.testing.assert_array_equal(threshold_curve("1-bit", n), bit_threshold(1.0, enough))
    np.testing.assert_array_equal(threshold_curve("3-sigma", n), sigma_threshold(3.0, enough))
    assert threshold_curve("0.143", n).tolist() == [0.143] * 3
    with pytest.raises(UsageError, match="E_CRITERION"):
        threshold_curve("two-bit", n)


@pytest.mark.parametrize("group, order", [("C1", 1), ("c7", 7), ("D3", 6), ("T", 12), ("O", 24), ("I", 60), ("I2", 60)])
def test_symmetry_divides_the_independent_coefficients(group, order):
    assert asymmetric_units(group) == order
    count = np.array([1.0, 1200.0])
    np.testing.assert_allclose(independent_coefficients(count, order), [1.0, 600.0 / order])


@pytest.mark.parametrize("group", ["", "C", "C0", "X3", "D", "Tx", "4"])
def test_what_is_no_point_group_is_refused(group):
    with pytest.raises(UsageError, match="E_SYMMETRY"):
        asymmetric_units(group)


# --- crossings ----------------------------------------------------------------------------------------------------

FREQUENCY = np.arange(8) * 0.05


@pytest.mark.parametrize(
    "curve, first, last, shell",
    [
        ([1, 0.9, 0.7, 0.3, 0.1, 0, 0, 0], 0.125, 0.125, 0.1),
        ([1, 0.9, 0.7, 0.3, 0.9, 0.7, 0.3, 0], 0.125, 0.275, 0.1),
        ([1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 0.35, 0.35, 0.35),
        ([1, 0.9, 0.7, 0.3, 0.1, 0, 0, 0.9], 0.125, 0.35, 0.1),
        ([0, 0.9, 0.5, 0.5, 0.4, 0, 0, 0], 0.15, 0.15, 0.15),
        ([1, 0.1, 0.1, 0.1, 0.1, 0, 0, 0], None, None, None),
        ([1, 0.1, 0.9, 0.7, 0.3, 0, 0, 0], None, 0.175, None),
    ],
)
def test_crossings_by_their_rules(curve, first, last, shell):
    curve = np.array(curve, dtype=float)
    for rule, expected in (("first", first), ("last", last), ("shell", shell)):
        found = crossing_frequency(FREQUENCY, curve, 0.5, rule)
        assert found == (None if expected is None else pytest.approx(expected))
        resolution = crossing_resolution(FREQUENCY, curve, np.full(8, 0.5), rule)
        assert resolution == (None if expected is None else pytest.approx(1 / expected))
    assert stays_above(curve, 0.5) == bool(np.all(curve[1:] >= 0.5))


def test_coarse_shells_that_were_filtered_out_are_passed_over():
    frequency = np.arange(8) * 0.04  # 25, 12.5, 8.3, 6.25, 5, 4.2, 3.6 Å
    whole = np.array([1, 0.9, 0.9, 0.9, 0.9, 0.6, 0.4, 0.1])
    assert crossing_past_shape(frequency, whole, 0.5) == pytest.approx(1 / 0.22)
    assert crossing_past_shape(frequency, np.where(frequency < 0.09, 0.0, whole), 0.5) == pytest.approx(1 / 0.22)
    assert crossing_past_shape(frequency, np.where(frequency < 0.13, 0.0, whole), 0.5) is None
    assert crossing_past_shape(frequency, 0 * whole, 0.5) is None


def test_an_unknown_crossing_rule_is_refused():
    with pytest.raises(UsageError, match="E_CROSSING"):
        crossing_frequency(FREQUENCY, np.ones(8), 0.5, "middle")


@pytest.mark.parametrize("entry, resolution", [("10024", 4.052), ("10200", 1.96145), ("11120", 3.24171)])
def test_stored_curves_give_the_resolution_that_relion_printed(shared_data, entry, resolution):
    stem = shared_data / "maps" / "peer_tables" / f"cryosieve_EMPIAR-{entry}_iter0_fsc"
    for suffix in (".xml", ".dat"):
        curve = read_curve(stem.with_suffix(suffix))
        assert crossing_resolution(curve.frequency, curve.values, 0.143, "shell") == pytest.approx(resolution, rel=1e-5)
        finer = crossing_resolution(curve.frequency, curve.values, 0.143, "first")
        assert 0 < 1 / finer - 1 / resolution < curve.frequency[2] - curve.frequency[1]


# --- random phases ------------------------------------------------------------------------------------------------


@many
@given(shapes, seeds, st.integers(1, 4))
def test_random_phases_keep_amplitudes_low_frequencies_and_realness(shape, seed, first):
    grid = Grid.regular(shape, 1.3)
    spectrum = np.fft.rfftn(two_maps(shape, seed)[0]).astype(np.complex64)
    random = randomise_phases(spectrum.copy(), grid, first, np.random.default_rng(seed))
    np.testing.assert_allclose(np.abs(random), np.abs(spectrum), rtol=1e-5, atol=1e-6)
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    s = np.sqrt((sz**2)[:, None, None] + (sy**2)[:, None] + sx**2)
    low = s < (first - 0.01) * shell_width(grid)
    np.testing.assert_array_equal(random[low], spectrum[low])
    high = s > (first + 0.01) * shell_width(grid)
    moved = np.abs(random[high] - spectrum[high]) > 1e-3 * np.abs(spectrum[high])
    assert moved.mean() > 0.8
    # A real map has exactly this spectrum: transforming there and back returns it.
    np.testing.assert_allclose(rfft(irfft(random, shape, 1), 1), random, atol=2e-5 * np.abs(random).max())


def test_random_phases_are_uniform_and_set_by_the_seed():
    grid = Grid.regular((24, 24, 24), 1.0)
    spectrum = np.ones((24, 24, 13), dtype=np.complex64)
    one, again, other = (randomise_phases(spectrum.copy(), grid, 1, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.5
    angles = np.angle(one[:, :, 1:12]).ravel()
    assert abs(np.exp(1j * angles).mean()) < 5 / np.sqrt(angles.size)
    np.testing.assert_allclose(np.histogram(angles, 8, (-np.pi, np.pi))[0] / angles.size, 0.125, atol=0.02)


# --- the convenience ----------------------------------------------------------------------------------------------


def band_limited_halves(limit, shape=(40, 44, 48), voxel_size=1.5):
    """Half maps whose common signal ends sharply at ``limit`` Å, with weak noise everywhere."""
    rng = np.random.default_rng(7)
    grid = Grid.regular(shape, voxel_size)
    spectrum = np.fft.rfftn(rng.standard_normal(shape))
    sz, sy, sx = frequency_axes(shape, grid.voxel_size)
    spectrum[np.sqrt((sz**2)[:, None, None] + (sy**2)[:, None] + sx**2) > 1 / limit] = 0
    signal = np.fft.irfftn(spectrum, shape)
    return HalfMaps(*(Volume(signal + 0.1 * rng.standard_normal(shape), grid) for _ in "12"))


@pytest.mark.parametrize("limit", [4.0, 6.0, 10.0])
def test_the_uncorrected_resolution_is_where_the_common_signal_ends(limit):
    halves = band_limited_halves(limit)
    found = uncorrected_resolution(halves, threads=2)
    assert abs(1 / found - 1 / limit) < shell_width(halves.grid)
    full = halves.half1.like(np.ones(halves.grid.shape))
    assert uncorrected_resolution(halves, full, threads=1) == pytest.approx(found, rel=1e-6)


def test_a_hard_mask_does_not_make_the_uncorrected_resolution_finer():
    # Steep spectra on a high level of solvent: what a hard edge cuts through spreads to every shell.
    grid, rng = Grid.regular((64, 64, 64), 1.5), np.random.default_rng(4)
    ball = sphere(grid, 25.0)
    signal = filtered(ball.data * (1.0 + rng.standard_normal(grid.shape)).astype(np.float32), bfactor(400.0), grid, 2)
    noise = 0.02 * rng.standard_normal((2, *grid.shape)).astype(np.float32)
    halves = HalfMaps(*(Volume(5.0 + signal + part, grid) for part in noise))
    clean = Volume(signal, grid)
    # The FSC that the planted spectra have, under a soft mask.
    power = shell_sums(*[rfft(clean.data * soft_edge(ball, 9.0).data, 2)] * 2, grid).power1
    under = shell_sums(*[rfft(noise[0] * soft_edge(ball, 9.0).data, 2)] * 2, grid).power1
    truth = crossing_resolution(shell_frequencies(grid), power / (power + under), 0.143)
    mask = sphere(grid, 25.0)
    plain = fsc_curve(shell_sums(*(rfft(half.data * mask.data, 2) for half in (halves.half1, halves.half2)), grid))
    assert crossing_resolution(shell_frequencies(grid), plain, 0.143) < 0.7 * truth
    assert uncorrected_resolution(halves, mask) == pytest.approx(truth, rel=0.05)


def test_the_uncorrected_resolution_of_nothing_in_common_is_none():
    halves = band_limited_halves(6.0)
    opposite = HalfMaps(halves.half1, halves.half2.like(-halves.half2.data))
    assert uncorrected_resolution(opposite) is None


def test_the_fdr_threshold_of_one_shell_is_that_of_permutations():
    # One shell is tested, so that the rate is the p-value itself.
    rng, n, rate = np.random.default_rng(0), 40, 0.05
    threshold = fdr_threshold(np.array([1.0, 0.999]), np.full(2, float(n)), rate)[1]
    found = []
    for _ in range(400):
        one, other = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for _ in "12")
        scale = np.sqrt(np.vdot(one, one).real * np.vdot(other, other).real)
        found += [np.vdot(one, rng.permutation(other)).real / scale for _ in range(50)]
    assert np.quantile(found, 1 - rate) == pytest.approx(threshold, abs=0.01)


def test_the_fdr_threshold_steps_up_as_published():
    from scipy.special import stdtr

    curve, n, rate = np.array([1.0, 0.9, 0.7, 0.5, 0.35, 0.3, 0.1, -0.2]), np.full(8, 30.0), 0.01
    threshold = fdr_threshold(curve, n, rate)
    freedom = 2 * 30.0 - 1
    p = stdtr(freedom, -curve[1:] * np.sqrt(freedom / (1 - curve[1:] ** 2)))
    harmonic = sum(1 / k for k in range(1, 8))
    adjusted = [min(p[j] * 7 * harmonic / (j + 1) for j in range(k, 7)) for k in range(7)]  # p rises along the curve
    assert ((curve >= threshold)[1:] == (np.array(adjusted) <= rate)).all()
    assert np.all(np.diff(fdr_threshold(curve, np.arange(10.0, 90.0, 10.0), rate)) < 0)
    assert fdr_threshold(np.zeros(8), n, rate).min() > 0.3
    np.testing.assert_array_equal(fdr_threshold(curve, np.ones(8), rate), fdr_threshold(curve, np.full(8, 10.0), rate))
