"""MonoTomo: the invariants of the method, its noise that varies in space, and what it says of bad input."""

import numpy as np
import pytest

from cryores.cli import main
from cryores.errors import InputError, MemoryBudgetError, UsageError
from cryores.execution import GIGABYTE, Execution
from cryores.filters import bfactor, low_pass
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.method import RUNNING_BYTES, Inputs
from cryores.monogenic import sweep_resolutions
from cryores.report import write_report
from cryores.report.drawings import tomogram as drawing
from cryores.resolution import monotomo
from cryores.resolution._noise_surface import NoiseSurface
from cryores.resolution.monotomo import METHOD, _bytes, check, compute, memory, memory_within
from cryores.volume import Grid, HalfMaps, Volume

SHAPE = (36, 72, 80)
FILTERS = ("bandpass", "highpass")


def tomogram(shape=SHAPE, voxel_size=2.0, noise=0.4, gradient=1.0, signal=1.0, seed=1, axis=1):
    """Half tomograms of a fine (5 A) and a coarse (14 A) body, the noise ``gradient`` times stronger at the far end."""
    rng = np.random.default_rng(seed)
    grid = Grid.regular(shape, voxel_size)
    texture = rng.standard_normal(shape).astype(np.float32)
    z, y, x = np.indices(shape)
    bodies = []
    for place, finest in ((0.28, 5.0), (0.72, 14.0)):
        body = (z - shape[0] / 2) ** 2 + (y - shape[1] / 2) ** 2 + (x - place * shape[2]) ** 2 < (0.3 * shape[0]) ** 2
        # Filtered after it was cut: the edge of a body would be as fine as a voxel.
        bodies.append((body, filtered(texture * body, low_pass(finest, 0.01), grid, 1)))
    clean = signal * sum(wave / wave[body].std() for body, wave in bodies)
    growing = np.linspace(1.0, gradient, shape[axis], dtype=np.float32)
    level = noise * growing.reshape([-1 if i == axis else 1 for i in range(3)])
    one, two = (Volume((clean + level * rng.standard_normal(shape)).astype(np.float32), grid) for _ in "12")
    return HalfMaps(one, two), [body for body, _ in bodies]


def run(maps, mask=None, threads=2, **values):
    execution = Execution(threads=threads)
    execution.use_threads()
    values = {"max_resolution": 24.0, "smooth": False, "resolution_step": 1.0, **values}
    return compute(Inputs(maps, mask=mask), METHOD.make_parameters(values), execution)


def resolution(*arguments, **values):
    return run(*arguments, **values).resolution.data


def changed(maps, change):
    one, two = (change(half.data) for half in (maps.half1, maps.half2))
    return HalfMaps(*(Volume(np.ascontiguousarray(data), Grid.regular(data.shape, 2.0)) for data in (one, two)))


def same(one, two):
    """Return the share of voxels with the same value."""
    return np.mean((one == two) | (np.isnan(one) & np.isnan(two)))


@pytest.fixture(scope="module")
def halves():
    return tomogram()[0]


@pytest.mark.parametrize("kind", FILTERS)
def test_the_fine_body_is_finer(kind):
    maps, (fine, coarse) = tomogram(noise=0.2)
    found = resolution(maps, filter=kind)
    fine, coarse = (np.nanmedian(found[body]) for body in (fine, coarse))
    assert 4.0 <= fine < 7.0
    assert 10.0 < coarse < 18.0


@pytest.mark.parametrize("kind", FILTERS)
def test_y_is_as_good_as_x(halves, kind):
    turned = changed(halves, lambda data: data.transpose(0, 2, 1))
    assert same(resolution(halves, filter=kind).transpose(0, 2, 1), resolution(turned, filter=kind)) >= 0.999


def test_swapped_halves_other_contrast_and_scale_are_the_same(halves):
    before = resolution(halves)
    for other in (
        HalfMaps(halves.half2, halves.half1),
        changed(halves, lambda data: -data),
        changed(halves, lambda data: 8 * data),
    ):
        np.testing.assert_array_equal(before, resolution(other))
    assert same(before, resolution(changed(halves, lambda data: data + np.float32(16)))) >= 0.999


@pytest.mark.parametrize("kind", FILTERS)
def test_the_number_of_threads_changes_nothing(halves, kind):
    assert same(resolution(halves, threads=1, filter=kind), resolution(halves, threads=4, filter=kind)) >= 0.999


@pytest.mark.parametrize("kind", FILTERS)
def test_a_small_budget_is_kept_in_slabs_of_the_same_values(halves, kind):
    parameters = METHOD.make_parameters(
        {"max_resolution": 24.0, "resolution_step": 2.0, "filter": kind, "smooth": False}
    )
    found, planned, held = {}, [], RUNNING_BYTES + Inputs(halves).held_bytes
    for slabs in (0, 1, 4, 16):
        needed = _bytes(halves.grid.shape, parameters, slabs)
        execution = Execution(threads=2, memory=(needed + held + 1) / GIGABYTE)
        outcome = METHOD.run(Inputs(halves), parameters, execution)
        assert execution.planned_bytes == needed
        planned.append(needed)
        found[outcome.result.details["slabs"]] = outcome.result.resolution.data
    assert list(found) == [0, 1, 4, 16]
    assert planned == sorted(planned, reverse=True)
    whole = found.pop(0)
    for values in found.values():
        np.testing.assert_array_equal(np.isnan(values), np.isnan(whole))
        assert np.mean(np.isclose(values, whole, rtol=1e-5, equal_nan=True)) >= 0.999
    with pytest.raises(MemoryBudgetError):
        METHOD.run(Inputs(halves), parameters, Execution(memory=(min(planned) + held - 1) / GIGABYTE))


def test_a_large_tomogram_fits_into_ten_gigabytes_with_its_halves(halves):
    class OfGrid:
        grid = Grid.regular((400, 1000, 1000), 5.0)

    halves_take = 2 * 4.0 * OfGrid.grid.size
    for kind in FILTERS:
        parameters = METHOD.make_parameters({"filter": kind})
        assert memory(OfGrid, parameters, 4) + halves_take > 10 * GIGABYTE
        budget = 10 * GIGABYTE - halves_take
        assert memory_within(OfGrid, parameters, 4, budget) <= budget


@pytest.mark.parametrize("kind", FILTERS)
def test_noise_alone_passes_as_often_wherever_it_is(kind):
    # One noise for all would let the far quarter pass eighty times as often as the near one.
    shares = []
    for seed in range(3):
        maps, _ = tomogram(shape=(40, 160, 160), signal=0.0, gradient=2.0, seed=seed)
        found = resolution(maps, filter=kind, transition=0.05, max_resolution=7.2, resolution_step=2.0)
        finer = found[4:-4, 10:-10, 10:-10] < np.nanmax(found)
        shares.append(
            [finer[:, part].mean() for part in (slice(0, 35), slice(35, 70), slice(70, 105), slice(105, 140))]
        )
    assert np.ptp(np.mean(shares, axis=0)) < 0.5 * np.mean(shares)


def test_one_noise_for_all_calls_the_noisy_end_resolved():
    maps, _ = tomogram(shape=(40, 160, 160), signal=0.0, gradient=4.0)
    local, uniform = (run(maps, noise_tile=tile, max_resolution=8.0).resolution.data for tile in (50.0, 1000.0))
    coarsest = np.nanmax(uniform)
    noisy = (slice(4, -4), slice(110, 150), slice(10, -10))
    assert np.mean(uniform[noisy] < coarsest) > 2 * np.mean(local[noisy] < coarsest)


def test_first_test_passes_at_the_stated_share():
    shares = []
    for seed in range(4):
        maps, _ = tomogram(shape=(64, 96, 96), signal=0.0, seed=seed)
        found = run(maps, transition=0.05, max_resolution=5.0, min_resolution=4.9)
        shares.append(found.details["passed_share"][0])
    assert np.mean(shares) == pytest.approx(0.05, abs=0.01)


def test_the_noise_surface_follows_the_noise():
    shape, rng = (30, 300, 400), np.random.default_rng(0)
    growing = np.linspace(1.0, 3.0, shape[2], dtype=np.float32) * np.linspace(2.0, 1.0, shape[1])[:, None]
    surface = NoiseSurface(shape, (3, 10, 10), 50.0, shape)
    assert surface.tiles == (6, 8)
    amplitude = np.abs(rng.standard_normal(shape)).astype(np.float32) * growing.astype(np.float32)
    found = surface.threshold(amplitude, 0.95)
    np.testing.assert_allclose(found, 1.96 * growing, rtol=0.05)


def test_quantiles_are_those_of_the_tiles():
    shape = (20, 100, 120)
    amplitude = np.random.default_rng(0).random(shape).astype(np.float32)
    # A coarser amplitude over a larger box is not thinned: this one counts as such.
    surface = NoiseSurface((40, 200, 240), (4, 20, 20), 80.0, (40, 200, 240))
    found = surface.quantiles(amplitude, 0.9)
    assert found.shape == surface.tiles == (2, 3)
    tile = np.sort(amplitude[2:18, 10:50, 10:43].ravel())
    assert found[0, 0] == tile[int(0.9 * tile.size)]


def test_one_tile_is_one_threshold_and_no_noise_is_none():
    surface = NoiseSurface((20, 40, 40), (2, 4, 4), 50.0, (20, 40, 40))
    amplitude = np.random.default_rng(0).random((20, 40, 40)).astype(np.float32)
    found = surface.threshold(amplitude, 0.5)
    np.testing.assert_allclose(found, surface.quantiles(amplitude, 0.5)[0, 0], rtol=1e-6)
    assert (surface.threshold(np.zeros_like(amplitude), 0.5) == 0).all()


def test_values_are_tested_resolutions_inside_border_and_mask(halves):
    tested = sweep_resolutions(halves.grid, 24.0, halves.grid.nyquist, 1.0).astype(np.float32)
    free = run(halves)
    assert np.isin(free.values(), tested).all()
    inner = (slice(3, -3), slice(7, -7), slice(8, -8))
    assert np.isfinite(free.resolution.data[inner]).mean() > 0.99
    assert np.count_nonzero(np.isfinite(free.resolution.data)) == np.isfinite(free.resolution.data[inner]).sum()
    mask = halves.half1.like(np.zeros(SHAPE))
    mask.data[10:20, 20:40, :40] = 1
    masked = run(halves, mask)
    inside = (mask.data > 0.5) & (np.arange(SHAPE[2]) >= 8)
    np.testing.assert_array_equal(np.isfinite(masked.resolution.data), inside)
    np.testing.assert_array_equal(masked.mask.data, mask.data)


def test_smoothing_never_makes_it_coarser(halves):
    raw, smooth = resolution(halves), resolution(halves, smooth=True)
    known = np.isfinite(raw)
    np.testing.assert_array_equal(known, np.isfinite(smooth))
    assert (smooth[known] <= raw[known]).all() and (smooth[known] < raw[known]).any()
    assert smooth[known].min() >= halves.grid.nyquist


def test_more_significance_never_makes_it_finer(halves):
    loose, strict = (resolution(halves, significance=s) for s in (0.9, 0.99))
    both = np.isfinite(loose) & np.isfinite(strict)
    assert (strict[both] >= loose[both]).all() and (strict[both] > loose[both]).any()


def test_bandpass_does_not_feel_a_bfactor(halves):
    sharpened = changed(halves, lambda data: filtered(data, bfactor(-60.0), halves.grid, 2))
    assert same(*(resolution(maps, transition=0.01) for maps in (halves, sharpened))) >= 0.93


@pytest.mark.parametrize(("shape", "voxel_size"), [((37, 61, 83), 2.0), ((36, 60, 64), (2.4, 2.0, 2.0))])
def test_odd_and_anisotropic_boxes(shape, voxel_size):
    maps, (fine, coarse) = tomogram(shape=shape, voxel_size=voxel_size, noise=0.2)
    found = resolution(maps)
    assert np.nanmedian(found[fine]) < 0.8 * np.nanmedian(found[coarse])


def test_bad_input_is_refused_before_any_work(halves):
    def refused(error, code, maps=halves, mask=None, **values):
        with pytest.raises(error) as caught:
            check(Inputs(maps, mask=mask), METHOD.make_parameters(values))
        assert caught.value.code == code

    refused(UsageError, "E_RANGE", min_resolution=30.0, max_resolution=20.0)
    refused(UsageError, "E_RANGE", max_resolution=1.0)
    refused(InputError, "E_THIN", maps=changed(halves, lambda data: data[:12]))
    rim = halves.half1.like(np.zeros(SHAPE))
    rim.data[:, :, :8] = 1
    refused(InputError, "E_MASK_BORDER", mask=rim)
    said = check(Inputs(halves), METHOD.make_parameters({"min_resolution": 1.0, "max_resolution": 100.0}))
    assert [any(words in line for line in said) for words in ("Nyquist", "few waves", "prime factor")] == [1, 1, 0]
    with pytest.raises(UsageError, match="half maps"):
        monotomo(halves.mean())


def test_halves_of_different_size_leave_nothing_behind(halves, tmp_path, capsys):
    write_map(tmp_path / "odd.mrc", halves.half1)
    write_map(tmp_path / "even.mrc", changed(halves, lambda data: data[:, :-2]).half2)
    words = [
        "--half1",
        str(tmp_path / "odd.mrc"),
        "--half2",
        str(tmp_path / "even.mrc"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["monotomo", *words]) == 3
    assert "error E_HALVES_SHAPE" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dark_tomograms_are_no_reason_to_warn_and_dependent_halves_are(halves):
    maps, (fine, coarse) = tomogram(noise=0.05)
    dark = changed(maps, lambda data: data - 5 * (fine | coarse).astype(np.float32))
    parameters = METHOD.make_parameters({"max_resolution": 24.0})
    assert not any("negative" in line for line in check(Inputs(dark), parameters))
    shared = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    assert any("agree at Nyquist" in line for line in check(Inputs(changed(halves, lambda d: d + shared)), parameters))


def test_large_tomograms_are_drawn_on_larger_voxels_in_the_same_place(halves, tmp_path, monkeypatch):
    placed = Grid((36, 72, 80), (72.0, 144.0, 160.0), (36, 72, 80), origin=(5.0, -7.0, 9.0))
    maps = HalfMaps(*(Volume(half.data, placed) for half in (halves.half1, halves.half2)))
    outcome = METHOD.run(Inputs(maps), METHOD.make_parameters({"max_resolution": 24.0, "resolution_step": 4.0}))
    monkeypatch.setattr(drawing, "MOST_VOXELS", placed.size // 20)
    write_report(outcome, tmp_path, {})
    whole, shown = read_map(tmp_path / "resolution.mrc"), read_map(tmp_path / "map.mrc")
    assert whole.grid == placed
    assert shown.grid.shape == (12, 24, 26)
    np.testing.assert_allclose(shown.grid.voxel_size, 6.0)
    np.testing.assert_allclose(shown.grid.first_voxel, (7.0, -5.0, 11.0))
    np.testing.assert_allclose(shown.data[5, 7, 9], maps.mean().data[15:18, 21:24, 27:30].mean(), rtol=1e-4)
    filled = read_map(tmp_path / "resolution_filled.mrc")
    assert filled.grid == shown.grid
    assert filled.data[5, 7, 9] == whole.data[16, 22, 28] > 0
    assert "voxels 3 times as large" in (tmp_path / "report.html").read_text(encoding="utf-8")
