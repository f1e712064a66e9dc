"""Each array form of a kernel is its loop of numba's: on a strict stand-in for a GPU, and on a GPU if there is one."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from devices import GPU, STAND_IN, device

import cryores
import cryores.backend as backends
from cryores import array_backend
from cryores.backend import ARRAY_FORMS, HOST, array_form, backend_of, gpu_bytes, planes
from cryores.directions import geodesic_axes
from cryores.execution import Execution
from cryores.filters import bfactor, low_pass
from cryores.fourier import (
    RealFFT,
    filtered,
    frequency_axes,
    irfft,
    irfft_inside,
    multiply_radial,
    power_to_corners,
    rfft,
    shell_sums,
    shell_width,
)
from cryores.monogenic import Blur, Edges, Monogenic, Sweep, band_pass, moments, order_statistic, quantile
from cryores.postprocessing._deblur_bank import Deblurring, norm, step_on
from cryores.postprocessing._spiral_bank import _add_square
from cryores.postprocessing._spiral_filters import PublishedFilters, RieszFilters
from cryores.postprocessing.blocfilt import centres_of_boxes
from cryores.postprocessing.local_lowpass import _add_share
from cryores.postprocessing.locbsharpen import _add_levelled
from cryores.postprocessing.locspiral import _add_phase
from cryores.resolution._band_correlation import _cropped, _divide_radially, _gaussian_band, _product_and_power
from cryores.resolution._boxed_fsc import Shells, boxed_sums
from cryores.resolution._directional import cone_sums, every_cone, sorted_coefficients
from cryores.resolution._directional_amplitude import DirectionalAmplitude, cone_about
from cryores.resolution._directional_sweep import _binned, _noise_values, _ranked, _test_along
from cryores.resolution._local_average import CoarseMaps
from cryores.resolution._steerable import model_at, statistic
from cryores.resolution._windowed_shells import _follow_crossings, _multiply_spectra, _products, _take_shell
from cryores.resolution.blocres_shells import _cut_shell, _shell_mean
from cryores.shell_correlation import phase_residual, randomise_phases
from cryores.volume import Grid, Volume
from cryores.window_profiles import WindowShells, window_profiles
from cryores.windows import taper_window

SHAPES = [(16, 16, 16), (15, 13, 17), (14, 21, 10), (9, 20, 15)]


@pytest.fixture(params=[STAND_IN, GPU])
def there(request):
    return device(request.param)


@pytest.fixture(params=SHAPES, ids=str)
def grid(request):
    return Grid.regular(request.param, (1.5, 1.2, 1.0))


@pytest.fixture(params=[1, 2**21], ids=lambda slab: f"slab{slab}")
def slab(request, monkeypatch):
    """Every expression works on one plane after the other, and on all of them at once."""
    monkeypatch.setattr(array_backend, "SLAB", request.param)


@pytest.fixture
def data(grid):
    return np.random.default_rng(1).standard_normal((2, *grid.shape)).astype(np.float32)


def close(found, expected, tolerance=1e-5):
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_a_device_array_is_no_array_of_numpys(there):
    far = there.asarray(np.ones(3, dtype=np.float32))
    with pytest.raises((RuntimeError, TypeError)):
        np.sqrt(np.asarray(far))
    assert backend_of(far) is there and backend_of(np.ones(3)) is HOST
    assert there.asarray(far) is far


def test_what_goes_there_comes_back(there):
    for kind in (np.float32, np.float64, np.complex64, np.uint8, np.int16, np.int32, np.uint64, bool):
        given = np.arange(6).reshape(2, 3).astype(kind)
        far = there.asarray(given)
        given[0, 0] = 1  # the device has its own copy
        back = there.to_host(far)
        assert back.dtype == kind and back.tolist() == np.arange(6).reshape(2, 3).astype(kind).tolist()


def test_transforms(there, grid, data):
    spectrum = rfft(data[0], 1)
    far = rfft(there.asarray(data[0]), 1)
    close(there.to_host(far), spectrum)
    back = irfft(far, grid.shape, 1)
    close(there.to_host(back), data[0])
    assert there.to_host(back).dtype == np.float32 and there.to_host(far).dtype == np.complex64


def test_planned_transforms(there, grid, data):
    near, far = RealFFT(grid.shape, 1, "FFTW_ESTIMATE"), there.real_fft(grid.shape, 1)
    results = []
    for fft, put, get in ((near, np.asarray, np.array), (far, there.asarray, there.to_host)):
        real, spectrum = fft.empty_real(), fft.empty_spectrum()
        real[...] = put(data[0])
        results.append([get(fft.forward(real, spectrum)), get(fft.backward(spectrum, real)), fft.scale])
    close(results[1][0], results[0][0])
    close(results[1][1], results[0][1])
    assert results[0][2] == results[1][2]


@pytest.mark.usefixtures("slab")
def test_sums_over_shells(there, grid, data):
    near = [rfft(one, 1) for one in data]
    far = [there.asarray(one) for one in near]
    for weights in (None, np.ones(near[0].shape[2])):
        expected, found = shell_sums(*near, grid, weights), shell_sums(*far, grid, weights)
        np.testing.assert_array_equal(found.count, expected.count)
        for name in ("cross", "power1", "power2"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(power_to_corners(far[0], grid), power_to_corners(near[0], grid), rtol=1e-10)
    np.testing.assert_allclose(phase_residual(*far, grid), phase_residual(*near, grid), rtol=1e-6)


@pytest.mark.usefixtures("slab")
def test_a_weak_shell_is_not_lost_beside_a_strong_one(there):
    grid = Grid.regular((12, 12, 12), 1.0)
    spectrum = np.full((12, 12, 7), 1e-6, dtype=np.complex64)
    spectrum[0, 0, 0] = 1e9
    far = there.asarray(spectrum)
    expected, found = shell_sums(spectrum, spectrum, grid), shell_sums(far, far, grid)
    np.testing.assert_allclose(found.power1, expected.power1, rtol=1e-12)


@pytest.mark.usefixtures("slab")
def test_radial_filters(there, grid, data):
    near = rfft(data[0], 1)
    far = there.asarray(near)
    close(there.to_host(multiply_radial(far, bfactor(-30.0), grid)), multiply_radial(near, bfactor(-30.0), grid))
    low = filtered(there.asarray(data[1]), low_pass(4.0), grid, 1)
    close(there.to_host(low), filtered(data[1], low_pass(4.0), grid, 1))


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("first", [1, 3])
def test_random_phases_are_the_same(there, grid, data, first):
    spectrum = rfft(data[0], 1)
    far = there.asarray(spectrum)
    found = there.to_host(randomise_phases(far, grid, first, np.random.default_rng(4)))
    close(found, randomise_phases(spectrum, grid, first, np.random.default_rng(4)), 1e-6)


BANDS = [Edges(), band_pass(0.2, 0.1), band_pass(0.45, 0.02), Edges(rise=(0.1, 0.2)), Edges(fall=(0.2, 0.2))]


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("band", BANDS, ids=str)
def test_monogenic_amplitudes(there, grid, data, band):
    results = []
    for backend in (HOST, there):
        engine = Monogenic(grid, 1, effort="FFTW_ESTIMATE", backend=backend)
        engine.buffer[...] = backend.asarray(data[0])
        spectrum = engine.transform(engine.buffer)
        amplitude = backend.to_host(engine.amplitude(spectrum, band)).copy()
        smooth = backend.to_host(engine.smoothed(engine.amplitude(spectrum, band), Blur(2.0))).copy()
        results.append((amplitude, smooth))
    for found, expected in zip(*results):
        close(found, expected)
    assert engine.spare() is None


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("coarse", [(12, 10, 14), (8, 16, 6)])
def test_amplitudes_on_a_coarser_grid_and_back(there, coarse):
    fine = Grid.regular((20, 18, 24), 1.0)
    small = Grid.regular(coarse, tuple(n / m for n, m in zip(fine.shape, coarse)))
    data = np.random.default_rng(2).standard_normal(fine.shape).astype(np.float32)
    results = []
    for backend in (HOST, there):
        whole = Monogenic(fine, 1, effort="FFTW_ESTIMATE", backend=backend)
        part = Monogenic(small, 1, source=fine, effort="FFTW_ESTIMATE", backend=backend)
        whole.buffer[...] = backend.asarray(data)
        amplitude = part.amplitude(whole.transform(whole.buffer), band_pass(0.12, 0.05))
        coarse_one = backend.to_host(amplitude).copy()
        back = whole.synthesis(part.smoothed_spectrum(amplitude, Edges(fall=(0.1, 0.2))), small)
        results.append((coarse_one, backend.to_host(back)))
    for found, expected in zip(*results):
        close(found, expected)


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.95, 1.0])
def test_statistics_of_a_region(there, grid, data, fraction):
    region = (data[1] > 0.3).astype(np.uint8)
    far = there.asarray(data[0]), there.asarray(region)
    assert order_statistic(*far, fraction) == order_statistic(data[0], region, fraction)
    expected, found = moments(data[0], region), moments(*far)
    assert found.number == expected.number
    assert found.mean == pytest.approx(expected.mean, rel=1e-9) and found.variance == pytest.approx(expected.variance)
    empty = there.asarray(np.zeros_like(region))
    assert order_statistic(far[0], empty, fraction) == 0.0 and moments(far[0], empty) == (0, 0.0, 0.0)


@pytest.mark.usefixtures("slab")
def test_the_sweep_decides_alike(there, grid):
    rng = np.random.default_rng(3)
    active, limits = rng.random(grid.shape) > 0.3, rng.random(grid.shape[1:]).astype(np.float32)
    near, far = Sweep(active), Sweep(there.asarray(active))
    for index in range(6):
        amplitude = rng.random(grid.shape).astype(np.float32)
        threshold = limits if index % 2 else 0.5
        assert far.test(index, there.asarray(amplitude), threshold) == near.test(index, amplitude, threshold)
        assert (far.active, far.never_passed) == (near.active, near.never_passed)
        np.testing.assert_array_equal(there.to_host(far.state), near.state)
        np.testing.assert_array_equal(there.to_host(far.level), near.level)


@pytest.mark.usefixtures("slab")
def test_shares_of_a_bank(there, grid, data):
    place, total = np.abs(data[0]), np.ones(grid.shape, dtype=np.float32)
    far = there.asarray(total)
    _add_share(far, there.asarray(place), 1.0, there.asarray(data[1]), np.float32(0.5))
    _add_share(total, place, 1.0, data[1], np.float32(0.5))
    close(there.to_host(far), total)


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.9, 1.0])
def test_quantiles(there, grid, data, fraction):
    region = data[1] > 0.3
    found = quantile(there.asarray(data[0]), there.asarray(region), fraction)
    assert found == quantile(data[0], region, fraction)


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("kind", [RieszFilters, PublishedFilters])
def test_bands(there, grid, data, kind):
    filters, spectrum = kind(grid, 1.5), rfft(data[0], 1)
    far = there.asarray(spectrum)
    near_out, far_out = np.ones_like(spectrum), there.asarray(np.ones_like(spectrum))
    for take in [filters.take_even] + [
        lambda source, out, centre, part=part: filters.take_odd(source, out, part, centre)
        for part in range(filters.odd_parts)
    ]:
        for centre in (2.0, 4.5):
            take(spectrum, near_out, centre)
            take(far, far_out, centre)
            close(there.to_host(far_out), near_out)
            assert np.abs(near_out).max() > 0


def test_transforms_in_place(there, grid, data):
    results = []
    for backend in (HOST, there):
        fft = backend.in_place_fft(grid.shape, 1)
        other = fft.empty()
        fft.real(fft.first)[...] = backend.asarray(data[0])
        fft.spectrum(other)[...] = fft.forward(fft.first)
        spectrum = backend.to_host(fft.spectrum(other)).copy()
        results.append((spectrum, backend.to_host(fft.backward(other)).copy()))
    for found, expected in zip(*results):
        close(found, expected)


@pytest.mark.usefixtures("slab")
def test_sums_of_bands(there, grid, data):
    first, part = data
    amplitude, noise = np.zeros_like(first), np.float32(0.8)
    totals = [np.ones_like(first) for _ in range(4)]
    far_amplitude, *far_totals = (there.asarray(one) for one in (amplitude, *totals))
    for total, density, other in (
        (amplitude, first, part),
        (far_amplitude, there.asarray(first), there.asarray(part)),
    ):
        _add_square(total, density, other, False)
        _add_square(total, None, other, True)
    close(there.to_host(far_amplitude), amplitude)
    amplitude[0, 0, 0] = far_amplitude[0, 0, 0] = 0.0
    for m, density, reference, sums in (
        (amplitude, first, part, totals),
        (far_amplitude, there.asarray(first), there.asarray(part), far_totals),
    ):
        _add_phase(sums[0], density, m, noise)
        _add_levelled(sums[1], density, m, noise, None, True)
        _add_levelled(sums[2], density, m, noise, reference, True)
        _add_levelled(sums[3], density, m, np.float32(0), reference, False)
    for found, expected in zip(far_totals, totals):
        close(there.to_host(found), expected)
        assert expected[0, 0, 0] == 1.0


@pytest.mark.usefixtures("slab")
def test_deblurring(there, grid, data):
    resolution = (4.0 + np.abs(data[1])).astype(np.float32)
    resolution[:2] = np.nan
    results = []
    for backend in (HOST, there):
        operator = Deblurring(Volume(resolution, grid), 0.05, 1, backend)
        given, out = backend.asarray(data[0].copy()), backend.asarray(np.ones_like(data[0]))
        operator.apply(given, out)
        size = norm(out)
        step_on(given, out, np.float32(-0.5), np.float32(-1.0))
        results.append((backend.to_host(out), backend.to_host(given), size))
    (out, changed, size), (far_out, far_changed, far_size) = results
    close(far_out, out)
    close(far_changed, changed)
    assert far_size == pytest.approx(size, rel=1e-5) and not out[:2].any() and changed.min() == -1.0


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("exact", [2, 100])
def test_sums_over_directions(there, grid, data, exact):
    spectra, axes = [rfft(one, 1) for one in data], geodesic_axes(2)
    near, far = sorted_coefficients(*spectra, grid), sorted_coefficients(*spectra, grid, there)
    for found, expected in zip(cone_sums(far, axes, 25.0), cone_sums(near, axes, 25.0)):
        close(found, expected)
    found, expected = every_cone(far, 20.0, exact), every_cone(near, 20.0, exact)
    assert isinstance(found, np.ndarray) and np.ptp(expected) > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-5)


# --- blocres ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slab")
def test_a_shell_and_its_products(there, grid, data):
    spectrum, table = rfft(data[0], 1), np.linspace(1.0, 2.0, 9).astype(np.float32)
    axes, far = frequency_axes(grid.shape, grid.voxel_size), there.asarray(spectrum)
    near_out, far_out = np.ones_like(spectrum), there.asarray(np.ones_like(spectrum))
    _take_shell(spectrum, table, 20.0, *axes, near_out)
    _take_shell(far, table, 20.0, *axes, far_out)
    close(there.to_host(far_out), near_out)
    assert (near_out == 0).any() and (near_out != 0).any()
    _multiply_spectra(near_out, spectrum)
    _multiply_spectra(far_out, far)
    close(there.to_host(far_out), near_out)
    near = [data[0].copy(), data[1].copy(), np.zeros_like(data[0])]
    away = [there.asarray(one) for one in near]
    _products(*near)
    _products(*away)
    for found, expected in zip(away, near):
        close(there.to_host(found), expected)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.usefixtures("slab")
def test_crossings(there, grid, last):
    rng, final = np.random.default_rng(6), 5
    places = np.flatnonzero(rng.random(grid.shape) > 0.5)
    cutoffs = np.array([0.5, 0.2], dtype=np.float32)
    before, position = np.ones(len(places), np.float32), np.full((len(places), 2), -1.0, np.float32)
    far = [there.asarray(values) for values in (places, before, position)]
    for shell in range(1, final + 1):
        power = rng.random((2, *grid.shape)).astype(np.float32)
        power[:, 0] = -1e-9
        cross = ((rng.random(grid.shape) * 1.5 - 0.4) * np.sqrt(np.abs(power[0] * power[1]))).astype(np.float32)
        _follow_crossings(cross, *power, places, before, cutoffs, shell, final, last, position)
        maps = [there.asarray(values) for values in (cross, power[0], power[1])]
        _follow_crossings(*maps, *far[:2], cutoffs, shell, final, last, far[2])
    close(there.to_host(far[1]), before)
    close(there.to_host(far[2]), position)
    assert (position == final).any() and np.ptp(position) > 3.0


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("smooth", [True, False])
def test_spherical_shells(there, grid, data, smooth):
    z, y, x = (np.arange(n) - n // 2 + 0.01 for n in grid.shape)
    far, near_out, far_out = there.asarray(data[0]), np.ones_like(data[0]), there.asarray(np.ones_like(data[0]))
    expected, found = (_shell_mean(one, z, y, x, 4.0, 3.0, smooth).sum(axis=0) for one in (data[0], far))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    _cut_shell(data[0], np.float64(0.3), z, y, x, 4.0, 3.0, smooth, near_out)
    _cut_shell(far, np.float64(0.3), z, y, x, 4.0, 3.0, smooth, far_out)
    close(there.to_host(far_out), near_out)


# --- locres -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slab")
def test_bands_and_averages_of_locres(there, grid, data):
    axes, amplitude = frequency_axes(grid.shape, grid.voxel_size), np.linspace(1.0, 3.0, 7)
    spectrum = rfft(data[0], 1)
    far = there.asarray(spectrum.copy())
    for one in (spectrum, far):
        _divide_radially(one, *axes, amplitude, 1.0 / shell_width(grid))
    close(there.to_host(far), spectrum)
    small = tuple(n - 3 for n in grid.shape)
    near, away = _cropped(spectrum, small), _cropped(far, small)
    np.testing.assert_array_equal(there.to_host(away), there.to_host(far)[
        np.ix_(*([k % n for k in np.fft.fftfreq(m, 1 / m).astype(int)] for n, m in zip(grid.shape, small[:2])),
               range(small[2] // 2 + 1))])  # fmt: skip
    near, away = (_gaussian_band(one, *axes[:2], axes[2][:-1], 0.2, 0.05, 2.5) for one in (spectrum, far))
    close(there.to_host(away), near)
    assert (near == 0).any() and near.any()
    part = (slice(2, 7), slice(0, 9), slice(3, 8))
    near, away = (irfft_inside(one[..., :-1], grid.shape, part, 1) for one in (spectrum.copy(), far))
    close(there.to_host(away), near)
    fields, inside = data.copy(), data[1] ** 2
    others = there.asarray(fields)
    _product_and_power(fields, inside)
    _product_and_power(others, there.asarray(inside))
    close(there.to_host(others), fields)
    block = tuple(slice(0, n) for n in grid.shape)
    maps = CoarseMaps.empty([(6, 5, 8)], block, grid.shape, np.float32)
    near, away = (maps.averages(0, of, block, grid.shape, (0.2, 0.1, 0.15), 2) for of in (fields, others))
    close(there.to_host(away), near)


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("edge", "octant"), [(9, False), (8, False), (8, True), (11, False)])
def test_windows(there, edge, octant, monkeypatch):
    monkeypatch.setattr(backends, "BATCH_BYTES", 1e6)  # not all at a time
    rng = np.random.default_rng(5)
    maps = [rng.standard_normal((20, 17, 19)).astype(np.float32) + np.float32(level) for level in (0.0, 30.0)]
    maps[1][8:] = 30.0  # windows without contrast, which have no amplitudes but the first
    inside = rng.random(maps[0].shape) > 0.7
    inside[14, 8, 9] = True
    shells = WindowShells(edge, octant)
    near, far = (list(window_profiles(maps, inside, shells, 4, [maps[1], maps[0]], where)) for where in (HOST, there))
    for name in ("amplitudes", "shares", "tapered"):
        found, expected = (np.concatenate([getattr(block, name) for block in blocks]) for blocks in (far, near))
        scale = np.abs(expected).max(axis=(0, -1), keepdims=True)
        assert (np.abs(found - expected) <= 2e-6 * scale).all(), name
    for blocks in (near, far):
        plain = [(b.voxels[0] == 14) & (b.voxels[1] == 8) & (b.voxels[2] == 9) for b in blocks]
        (found,) = np.concatenate([b.amplitudes[at, 1] for at, b in zip(plain, blocks)])
        assert found[0] == pytest.approx(30.0 * edge**1.5) and found[1:].max() < 1e-10 * found[0]


@pytest.mark.parametrize(("edge", "padding"), [(6, 1), (7, 0), (5, 2)])
def test_boxes_of_two_maps(there, grid, data, edge, padding, monkeypatch):
    monkeypatch.setattr(backends, "BATCH_BYTES", 1e6)
    shells = Shells.of_box(edge, padding, grid.spacing, 3.2)
    centres = np.array([(0, 0, 0), (5, 6, 7), (8, 9, 9), (-2, 4, 9), (10, 9, 12), (5, 6, 8)])
    given = centres, taper_window("hann", edge), shells, grid.voxel_size, Execution(threads=2)
    expected, found = (boxed_sums(*maps, *given) for maps in (data, [there.asarray(one) for one in data]))
    close(found, expected)
    assert expected.shape == (6, 3, shells.count) and (np.abs(expected[1]).max(axis=0) > 0).all()


@pytest.mark.parametrize("box", [4, 7])
def test_centres_of_filtered_boxes(there, grid, data, box, monkeypatch):
    monkeypatch.setattr(backends, "BATCH_BYTES", 2e5)
    rng = np.random.default_rng(7)
    voxels = np.flatnonzero(rng.random(grid.size) > 0.6)
    cutoff = rng.uniform(0.1, 0.3, len(voxels))
    found, expected = (
        centres_of_boxes(data[0], voxels, cutoff, box, grid.voxel_size, 0.5, Execution(threads=2, backend=where))
        for where in (there, HOST)
    )
    close(found, expected)


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("scale", [3.5, 7.0])
def test_windows_of_resmap(there, grid, data, scale):
    model, wanted = model_at(scale, 1.5), data[1] > 0.5
    wanted[:3] = False
    expected, found = (statistic(one, model, wanted) for one in (data[0], there.asarray(data[0])))
    assert isinstance(found, np.ndarray)
    close(found, expected)


def test_batches_that_a_device_has_no_room_for_are_halved(there):
    said, done, largest = [], [], [5]
    there.name, there.free_bytes, there.say = "small", lambda: 32.0, said.append

    def work(part):
        if part.stop - part.start > largest[0]:
            raise MemoryError("Out of memory allocating 4 bytes")
        done.append((part.start, part.stop))

    there.in_batches(19, 1.0, work)  # half of the free memory: 16
    assert done == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 19)]
    assert said == ["small has run out of memory: half as many boxes at a time from now on"] * 2
    there.in_batches(5, 1.0, work)
    assert done[5:] == [(0, 4), (4, 5)] and len(said) == 2
    largest[0] = 0
    with pytest.raises(MemoryError, match="allocating 4"):
        there.in_batches(5, 1.0, work)


# --- amplitudes along directions --------------------------------------------------------------------------------------


AXES = [(1.0, 0.0, 0.0), (0.0, 0.6, 0.8), (0.48, -0.6, 0.64), (0.0, 0.0, 1.0), (0.6, 0.0, -0.8)]


@pytest.mark.usefixtures("slab")
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_amplitudes_along_directions(there, grid, data, axis):
    spectrum, found, expected = rfft(data[0], 1), [], []
    box = (slice(2, 8), slice(0, 9), slice(5, grid.shape[2]))
    for where, values in ((HOST, expected), (there, found)):
        cone = cone_about(np.array(axis), where.asarray(spectrum), grid, 0.4)
        engine = DirectionalAmplitude(grid, 9.0, 3.0, where)
        for band in (Edges((0.1, 0.2)), Edges((0.12, 0.3), (0.3, 0.45)), Edges()):
            amplitude = engine.of(cone, band, Edges(fall=(0.1, 0.2)))
            values.append(np.array(cone.strength(band)))
            values.extend(where.to_host(of) for of in (engine.inside(amplitude, box), engine.coarse(amplitude)))
        nothing = engine.of(cone, Edges((0.6, 0.7)), Edges(fall=(0.1, 0.2)))
        values.append(where.to_host(engine.inside(nothing, box)))
    for one, other in zip(found[:-1], expected):
        assert one.shape == other.shape
        close(one, other)
    assert not found[-1].any() and not expected[-1].any()


def test_noise_of_a_direction(there):
    rng = np.random.default_rng(8)
    amplitude, region = rng.random((6, 7, 8)).astype(np.float32), rng.random((12, 14, 16)) > 0.4
    places = [2 * np.arange(n) for n in amplitude.shape]
    given = *places, *(place - 7.0 for place in places), np.array([0.0, 0.6, 0.8]), 0.7
    near, far = (
        _noise_values(amplitude, region, *given),
        _noise_values(*map(there.asarray, (amplitude, region)), *given),
    )
    np.testing.assert_array_equal(there.to_host(far), near)
    assert 20 < near.size < region.size / 20
    np.testing.assert_array_equal(_binned(far, 3.0, 3), _binned(near, 3.0, 3))
    np.testing.assert_array_equal(_binned(far, 30.0, 10), _binned(near, 30.0, 10))
    for share in (0.0, 0.5, 0.95, 1.0):
        assert _ranked(far, share) == _ranked(near, share)


@pytest.mark.usefixtures("slab")
def test_directions_are_tested_alike(there):
    rng = np.random.default_rng(9)
    voxels = rng.permutation(500)[:300]
    near = [np.ones(300, np.uint8), np.zeros(300, np.int16)]
    far = [there.asarray(values) for values in near]
    for index in range(6):
        amplitude = rng.random(500).astype(np.float32)
        expected = _test_along(*near, amplitude, voxels, np.float32(0.5), index)
        found = _test_along(*far, there.asarray(amplitude), there.asarray(voxels), np.float32(0.5), index)
        assert found == pytest.approx(expected)
        for one, other in zip(far, near):
            np.testing.assert_array_equal(there.to_host(one), other)
    assert expected[0] > 0 and len(set(near[1])) > 4


# --- what nobody may forget ---------------------------------------------------------------------------------------


def kernels():
    """List the name and the arguments of every function that is declared a kernel."""
    for path in sorted(Path(cryores.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(d, ast.Name) and d.id == "kernel" for d in node.decorator_list
            ):
                yield node.name.lstrip("_"), [argument.arg for argument in node.args.args]


def test_every_kernel_has_an_array_form_with_its_arguments():
    declared = dict(kernels())
    assert {"rfft", "shell_sums", "take_phases", "filter", "order_statistic", "test", "add_share"} <= set(declared)
    for name, arguments in declared.items():
        assert list(inspect.signature(array_form(name)).parameters) == ["backend", *arguments], name


def test_array_forms_spell_functions_as_numpy_and_so_cupy_does():
    modules = [array_backend, *(importlib.import_module(module) for module in ARRAY_FORMS)]
    source = "".join(inspect.getsource(module) for module in modules)
    names = set(re.findall(r"\bxp\.(\w+)", source)) - {"atan2"}
    assert len(names) > 15 and [name for name in names if not hasattr(np, name)] == []
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its names are not looked up")
    assert [name for name in names if not hasattr(cupy, name)] == []


def test_planes_cover_a_volume_once():
    for largest in (1, 7, 12, 100, 10**6):
        parts = planes((5, 3, 4), largest)
        assert [z for part in parts for z in range(5)[part]] == list(range(5))
        assert all(part.stop - part.start == 1 or (part.stop - part.start) * 12 <= largest for part in parts)


def test_a_plan_grows_with_the_volumes():
    grid = Grid.regular((64, 64, 62), 1.0)
    assert gpu_bytes(grid, 3.0) - gpu_bytes(grid, 2.0) == 4.0 * 64**3
