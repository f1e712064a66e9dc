"""MonoRes: the invariants of the method, and what it says of bad input."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor, low_pass
from cryores.fourier import filtered
from cryores.method import Inputs
from cryores.monogenic import sweep_resolutions
from cryores.resolution.monores import METHOD, check, compute, memory
from cryores.volume import Grid, HalfMaps, Volume

SIZE = 48


def ball(grid, share=0.3):
    axes = np.meshgrid(*(np.arange(n) / n - 0.5 for n in grid.shape), indexing="ij")
    return Volume((sum(a**2 for a in axes) < share**2).astype(np.float32), grid)


def phantom(shape=(SIZE,) * 3, voxel_size=1.0, noise=0.25, signal=1.0, seed=3):
    """Half maps of a ball that is fine (2.5 A) on one side and coarse (6 A) on the other, in white noise."""
    rng = np.random.default_rng(seed)
    grid = Grid.regular(shape, voxel_size)
    texture = rng.standard_normal(shape).astype(np.float32)
    side = (np.arange(shape[2]) < shape[2] // 2).astype(np.float32)
    mask = ball(grid)
    coarse, fine = (filtered(texture, low_pass(d, 0.02), grid, 1) for d in (6.0, 2.5))
    clean = signal * mask.data * (side * coarse + (1 - side) * fine)
    one, two = (Volume(clean + np.float32(noise) * rng.standard_normal(shape).astype(np.float32), grid) for _ in "12")
    return HalfMaps(one, two), mask


def run(maps, mask, threads=2, exclude=None, **values):
    values = {"max_resolution": 12.0, "smooth": False, **values}
    execution = Execution(threads=threads)
    execution.use_threads()
    return compute(Inputs(maps, mask=mask, exclude=exclude), METHOD.make_parameters(values), execution)


def resolution(*arguments, **values):
    return run(*arguments, **values).resolution.data


def changed(maps, change):
    return HalfMaps(*(half.like(change(half.data)) for half in (maps.half1, maps.half2)))


@pytest.fixture(scope="module")
def halves():
    return phantom()


def test_the_fine_side_is_finer():
    maps, mask = phantom(shape=(96, 96, 96))
    found = resolution(maps, mask, filter="bandpass", transition=0.05)
    coarse, fine = (np.nanmedian(found[:, :, part]) for part in (slice(0, 38), slice(58, None)))
    assert 4.5 < coarse < 7.5
    assert 2.0 <= fine < 3.2


@pytest.mark.parametrize("kind", ["highpass", "bandpass"])
def test_swapped_halves_are_the_same(halves, kind):
    maps, mask = halves
    swapped = HalfMaps(maps.half2, maps.half1)
    np.testing.assert_array_equal(resolution(maps, mask, filter=kind), resolution(swapped, mask, filter=kind))


@given(scale=st.integers(-12, 12))
@settings(max_examples=5, deadline=None)
def test_scaling_changes_nothing(scale):
    maps, mask = phantom()
    scaled = changed(maps, lambda data: data * np.float32(2.0**scale))
    np.testing.assert_array_equal(resolution(maps, mask), resolution(scaled, mask))


@pytest.mark.parametrize("kind", ["highpass", "bandpass"])
def test_the_number_of_threads_changes_nothing(halves, kind):
    maps, mask = halves
    one, four = (resolution(maps, mask, threads=n, filter=kind) for n in (1, 4))
    inside = mask.data > 0.5
    assert np.mean(one[inside] == four[inside]) >= 0.999


@pytest.mark.parametrize("kind", ["highpass", "bandpass"])
def test_noise_alone_passes_as_often_as_stated(kind):
    # The mean of the halves is noise like their difference, so 1 - significance passes at the first test.
    shares = []
    for seed in range(6):
        maps, mask = phantom(shape=(64, 64, 64), signal=0.0, seed=seed)
        found = run(maps, mask, filter=kind, transition=0.05, max_resolution=3.0, min_resolution=2.9)
        shares.append(found.details["passed_share"][0])
    assert np.mean(shares) == pytest.approx(0.05, abs=0.01)


def test_values_are_tested_resolutions_inside_the_mask_only(halves):
    maps, mask = halves
    found = run(maps, mask)
    values = found.values()
    tested = sweep_resolutions(maps.grid, 12.0, maps.grid.nyquist, 0.5).astype(np.float32)
    assert np.isin(values, tested).all()
    assert np.isnan(found.resolution.data[mask.data < 0.5]).all()
    assert values.size > 0.95 * mask.data.sum()


def test_smoothing_never_makes_it_coarser(halves):
    maps, mask = halves
    raw, smooth = resolution(maps, mask), resolution(maps, mask, smooth=True)
    known = np.isfinite(raw)
    np.testing.assert_array_equal(known, np.isfinite(smooth))
    assert (smooth[known] <= raw[known]).all()
    assert (smooth[known] < raw[known]).any()
    assert smooth[known].min() >= maps.grid.nyquist


def test_more_significance_never_makes_it_finer(halves):
    maps, mask = halves
    found = [run(maps, mask, significance=s, max_resolution=6.0, min_resolution=3.0) for s in (0.9, 0.99)]
    assert found[0].details["tested_resolutions"] == found[1].details["tested_resolutions"]
    loose, strict = (f.resolution.data for f in found)
    both = np.isfinite(loose) & np.isfinite(strict)
    assert (strict[both] >= loose[both]).all()
    assert (strict[both] > loose[both]).any()


@pytest.mark.parametrize("b", [-60.0, 40.0])
@pytest.mark.parametrize("transition", [0.01, 0.02])
def test_bandpass_does_not_feel_a_bfactor(b, transition):
    maps, mask = phantom(shape=(96, 96, 96))
    sharpened = changed(maps, lambda data: filtered(data, bfactor(b), maps.grid, 2))
    before, after = (resolution(m, mask, filter="bandpass", transition=transition) for m in (maps, sharpened))
    inside = mask.data > 0.5
    assert np.mean(before[inside] == after[inside]) >= 0.93


def test_highpass_does_not_feel_a_bfactor_up_to_the_signal_cutoff():
    maps, mask = phantom(shape=(64, 64, 64))

    def up_to_cutoff(s):
        return np.where(s < 1 / 2.5, bfactor(-60.0)(s), 1.0)

    sharpened = changed(maps, lambda data: filtered(data, up_to_cutoff, maps.grid, 2))
    before, after = (np.nanmedian(resolution(m, mask)) for m in (maps, sharpened))
    assert abs(before - after) < 0.7


@pytest.mark.parametrize("kind", ["highpass", "bandpass"])
@pytest.mark.parametrize(
    ("shape", "voxel_size"), [((45, 45, 45), 1.0), ((48, 60, 54), 1.0), ((40, 48, 48), (1.2, 1.0, 1.0))]
)
def test_odd_flat_and_anisotropic_boxes(shape, voxel_size, kind):
    maps, mask = phantom(shape=shape, voxel_size=voxel_size)
    found = run(maps, mask, filter=kind)
    assert np.isfinite(found.values()).all()
    assert found.values().size > 0.9 * mask.data.sum()
    assert 2.0 <= np.median(found.values()) < 8.0


def test_a_step_of_one_voxel_reaches_nyquist(halves):
    maps, mask = halves
    values = run(maps, mask, max_resolution=8.0, resolution_step=1.0).values()
    assert values.size > 0.9 * mask.data.sum()
    assert values.min() == pytest.approx(2.0)


def test_the_single_map_and_the_whole_box_as_noise(halves):
    maps, mask = halves
    single, whole = run(maps.mean(), mask), run(maps, mask, noise_in_mask=False)
    assert single.details["noise_voxels"] < whole.details["noise_voxels"]
    for found in (single, whole):
        assert np.isnan(found.resolution.data[mask.data < 0.5]).all()
        assert found.values().size > 0.5 * mask.data.sum()


def test_gaussian_noise_gives_nearly_the_same(halves):
    maps, mask = halves
    assert np.nanmedian(resolution(maps, mask, gaussian_noise=True)) == pytest.approx(
        np.nanmedian(resolution(maps, mask)), abs=0.5
    )


def test_excluded_voxels_stay_undetermined(halves):
    maps, mask = halves
    exclude = mask.like(np.zeros(maps.grid.shape))
    exclude.data[24:28, 24:28, 24:28] = 1
    found = run(maps, mask, exclude=exclude)
    assert np.isnan(found.resolution.data[24:28, 24:28, 24:28]).all()
    assert found.details["noise_voxels"] == int(mask.data.sum()) - 64


def test_a_map_cut_to_a_sphere_is_not_measured_beyond_its_cliff():
    maps, _ = phantom()
    cut = ball(maps.grid, share=0.4).data
    maps = changed(maps, lambda data: data * cut)
    mask = ball(maps.grid, share=0.3)
    found = run(maps.mean(), mask)
    assert found.details["noise_voxels"] < cut.sum() - mask.data.sum()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_resolution": 8.0, "max_resolution": 4.0}, "upside down"),
        ({"max_resolution": 1.0}, "Nyquist"),
        ({"min_resolution": 100.0, "max_resolution": 200.0}, "box"),
    ],
)
def test_ranges_that_cannot_be_tested(halves, values, words):
    maps, mask = halves
    with pytest.raises(UsageError, match=words) as caught:
        check(Inputs(maps, mask=mask), METHOD.make_parameters(values))
    assert caught.value.code == "E_RANGE"


def test_what_is_suspicious_is_said(halves):
    maps, mask = halves
    one_step = METHOD.make_parameters({"min_resolution": 8.0, "max_resolution": 8.2})
    assert any("frequencies are tested" in line for line in check(Inputs(maps, mask=mask), one_step))
    assert check(Inputs(maps, mask=mask), METHOD.make_parameters({})) == []


def test_no_voxel_for_the_noise_is_an_error(halves):
    maps, mask = halves
    everything = mask.like(np.ones(maps.grid.shape))
    with pytest.raises(InputError) as caught:
        run(maps.mean(), everything)
    assert caught.value.code == "E_NO_NOISE"


def test_memory_stays_below_eight_volumes(halves):
    maps, mask = halves
    big = Grid.regular((256, 256, 256), 1.0)

    @dataclasses.dataclass
    class OfGrid:
        grid: Grid

    for kind in ("highpass", "bandpass"):
        parameters = METHOD.make_parameters({"filter": kind})
        here = memory(Inputs(maps, mask=mask), parameters, 4) - memory(Inputs(maps.mean(), mask=mask), parameters, 4)
        # Half maps have the noise's spectrum besides, in part where a narrow band has let go of something else.
        assert 0 < here <= 4.0 * SIZE * SIZE * (SIZE + 2)
        assert memory(Inputs(OfGrid(big), mask=mask), parameters, 4) < 8 * 4.0 * big.size


@pytest.mark.parametrize(("edge", "slow"), [(112, False), (76, False), (46, False), (94, True), (97, True)])
def test_an_edge_with_a_large_prime_factor_is_said(edge, slow):
    maps, mask = phantom(shape=(edge, 48, 48))
    said = check(Inputs(maps, mask=mask), METHOD.make_parameters({}))
    assert any("prime" in line for line in said) == slow
