"""FSO and 3DFSC: what noise alone does, what is missing, and the sums against loops that leave nothing to doubt."""

import itertools

import numpy as np
import pytest

from cryores.citations import BIBTEX
from cryores.directions import geodesic_axes
from cryores.errors import CryoresError, UsageError
from cryores.execution import Execution
from cryores.fourier import frequency_axes, irfft, rfft, shell_sums, shell_width
from cryores.masks import soft_edge, solvent_level, sphere
from cryores.method import Inputs
from cryores.report.figures_fso import between_directions, directions_figure, occupancy_figure, three_d_figure
from cryores.report.views import FDR_TITLE
from cryores.resolution import fso
from cryores.resolution._directional import (
    cone_sums,
    cone_weight,
    correlation_of,
    every_cone,
    sorted_coefficients,
)
from cryores.resolution._fourier_region import connected_region, filter_by_direction, sphericity
from cryores.resolution._isotropy import bingham_test, cone_overlap, principal_axes
from cryores.resolution.fso import METHOD
from cryores.volume import Grid, HalfMaps, Volume

CUTOFF = 0.143
SKEW = (0.3, 0.8, -0.5)


def frequencies(grid):
    z, y, x = frequency_axes(grid.shape, grid.voxel_size)
    return np.stack(np.broadcast_arrays(z[:, None, None], y[:, None], x))


def decaying(grid, rng, decay=0.25):
    """Return the spectrum of a map whose amplitude falls as exp(-(s / decay)^2), the same in all directions."""
    s2 = np.sum(frequencies(grid) ** 2, axis=0)
    return rfft(rng.standard_normal(grid.shape, dtype=np.float32), 1) * np.exp(-s2 / decay**2)


def with_noise(spectrum, grid, rng, noise=0.4):
    signal = irfft(spectrum.astype(np.complex64), grid.shape, 1)
    return HalfMaps(
        *(Volume(signal + np.float32(noise) * rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12")
    )


def isotropic(seed=0, shape=(48, 48, 48), voxel_size=1.0):
    rng, grid = np.random.default_rng(seed), Grid.regular(shape, voxel_size)
    return with_noise(decaying(grid, rng, 0.25 / voxel_size), grid, rng)


def wedge(grid, axis, degrees):
    """Return what a tilt series leaves out: all within so many degrees of the plane of ``axis`` and a tilt axis."""
    axis = np.array(axis) / np.linalg.norm(axis)
    tilt_axis = np.cross(axis, (0.3, 0.5, 0.8))
    across = np.cross(axis, tilt_axis / np.linalg.norm(tilt_axis))
    along, aside = (np.abs(np.tensordot(v, frequencies(grid), 1)) for v in (axis, across))
    return (aside < np.tan(np.radians(degrees)) * along) & (np.sum(frequencies(grid) ** 2, axis=0) > 0)


def cone(grid, axis, degrees):
    axis = np.array(axis) / np.linalg.norm(axis)
    along, s = np.abs(np.tensordot(axis, frequencies(grid), 1)), np.sqrt(np.sum(frequencies(grid) ** 2, axis=0))
    return (along > np.cos(np.radians(degrees)) * s) & (s > 0)


def coefficients(halves):
    return sorted_coefficients(rfft(halves.half1.data, 1), rfft(halves.half2.data, 1), halves.grid)


@pytest.fixture(scope="module")
def halves():
    return isotropic()


@pytest.fixture(scope="module")
def found(halves):
    return fso(halves)


# --- an isotropic map ---------------------------------------------------------------------------------------------


def standard_error(halves, curve):
    """Return that of the FSC in a cone of 17 degrees, its coefficients counted as a share of the sphere."""
    cosine = np.linspace(0.0, 1.0, 100001)
    weight = cone_weight(cosine, 17.0)
    share = weight.mean() ** 2 / np.mean(weight**2)
    sums = shell_sums(rfft(halves.half1.data, 1), rfft(halves.half2.data, 1), halves.grid)
    return (1.0 - curve**2) / np.sqrt(share * sums.count)


@pytest.mark.parametrize("seed", range(3))
def test_fso_of_an_isotropic_map_falls_within_the_noise_of_its_fsc(seed):
    halves = isotropic(seed)
    result = fso(halves, estimate_3dfsc=False)
    falling = (result.fso >= 0.1) & (result.fso <= 0.9)
    falling[:4] = False
    error = standard_error(halves, result.fsc)
    assert falling.sum() >= 3
    assert np.all(np.abs(result.fsc - CUTOFF)[falling] <= 2.0 * error[falling])
    assert np.all(result.fso[(result.fsc > CUTOFF + 3 * error) & (result.frequency > 0.1)] > 0.97)
    assert np.abs(result.fso - result.expected)[4:].max() < 0.1
    assert abs(1 / result.occupancy["0.5"] - 1 / result.resolution["0.143"]) < shell_width(halves.grid)
    assert result.details["anisotropy_p"] > 0.01 and result.details["missing_rot_tilt"] is None
    assert result.details["warnings"] == []


def test_the_3dfsc_of_an_isotropic_map_is_a_ball():
    rng, grid = np.random.default_rng(0), Grid.regular((48, 52, 50), 1.0)
    radius = np.sqrt(np.sum(frequencies(grid) ** 2, axis=0))
    spectrum = np.where(radius < 15.5 / 52, rfft(rng.standard_normal(grid.shape, dtype=np.float32), 1), 0)
    result = fso(with_noise(spectrum, grid, rng))
    assert result.details["sphericity"] > 0.99
    data, (nz, ny, nx) = result.three_d.data, grid.shape
    assert data[nz // 2, ny // 2, nx // 2] == 1.0 and data.max() <= 1.0 and data[0, 0, 0] == 0.0
    mirrored = data[1:, 1:, 1:]
    np.testing.assert_array_equal(mirrored, mirrored[::-1, ::-1, ::-1])
    inner = data[nz // 2, ny // 2, nx // 2 + 5 : nx // 2 + 12]
    np.testing.assert_allclose(inner, result.fsc[5:12], atol=0.15)


def test_scale_and_order_of_the_half_maps_change_nothing(halves, found):
    other = fso(HalfMaps(halves.half2.like(3e-6 * halves.half2.data), halves.half1.like(70 * halves.half1.data)))
    np.testing.assert_array_equal(other.fso, found.fso)
    np.testing.assert_allclose(other.directional, found.directional, atol=1e-5)
    np.testing.assert_allclose(other.three_d.data, found.three_d.data, atol=1e-5)
    assert other.details["sphericity"] == pytest.approx(found.details["sphericity"], rel=1e-5)


def test_the_names_of_the_axes_change_nothing():
    halves = isotropic(shape=(40, 44, 48))
    turned = HalfMaps(
        *(
            Volume(np.ascontiguousarray(np.moveaxis(half.data, 0, 2)), Grid.regular((44, 48, 40), 1.0))
            for half in (halves.half1, halves.half2)
        )
    )
    before, after = fso(halves), fso(turned)
    difference = np.abs(np.moveaxis(before.three_d.data, 0, 2) - after.three_d.data)
    z, y, x = (np.arange(n) / n - (n // 2) / n for n in turned.grid.shape)
    # On Nyquist's plane, where 1/2 and -1/2 are one, a coefficient has two directions.
    assert difference[np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) < 0.48].max() < 1e-5
    np.testing.assert_allclose(before.fsc, after.fsc, atol=1e-6)
    np.testing.assert_allclose(before.fso, after.fso, atol=0.05)
    axes = geodesic_axes(4)
    sums, _ = cone_sums(coefficients(halves), axes, 17.0)
    again, _ = cone_sums(coefficients(turned), axes[:, [1, 2, 0]], 17.0)
    np.testing.assert_allclose(again[:, :-1], sums[:, :-1], rtol=1e-4, atol=1e-6 * np.abs(sums).max())


def test_the_voxel_size_only_scales():
    one, two = isotropic(shape=(32, 32, 32)), isotropic(shape=(32, 32, 32), voxel_size=2.5)
    a, b = fso(one, estimate_3dfsc=False), fso(two, estimate_3dfsc=False)
    np.testing.assert_allclose(b.fso, a.fso)
    np.testing.assert_allclose(b.limits, 2.5 * a.limits, rtol=1e-5)


def test_a_mask_multiplies_the_maps(halves):
    mask = soft_edge(sphere(halves.grid, 14.0), 5.0)
    both = (halves.half1, halves.half2)
    levels = [np.float32(solvent_level(half.data, mask.data)) for half in both]
    masked = HalfMaps(*(half.like((half.data - level) * mask.data) for half, level in zip(both, levels)))
    expected = fso(masked, estimate_3dfsc=False)
    np.testing.assert_allclose(fso(halves, mask, estimate_3dfsc=False).directional, expected.directional, atol=1e-5)


# --- what is missing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise_too", [False, True])
@pytest.mark.parametrize(
    "region, degrees, axis, share",
    [
        (cone, 25.0, SKEW, 1 - np.cos(np.radians(25.0))),
        (cone, 35.0, (1, 0, 0), 1 - np.cos(np.radians(35.0))),
        (wedge, 30.0, SKEW, 30.0 / 90.0),
        (wedge, 30.0, (0, 0, 1), 30.0 / 90.0),
        (wedge, 40.0, (1, 0, 0), 40.0 / 90.0),
    ],
)
def test_what_is_missing_is_found(region, degrees, axis, share, noise_too):
    grid, rng = Grid.regular((48, 48, 48), 1.0), np.random.default_rng(3)
    missing = region(grid, axis, degrees)
    halves = with_noise(np.where(missing, 0, decaying(grid, rng)), grid, rng)
    if noise_too:
        spectra = (np.where(missing, 0, rfft(half.data, 1)) for half in (halves.half1, halves.half2))
        halves = HalfMaps(*(Volume(irfft(s.astype(np.complex64), grid.shape, 1), grid) for s in spectra))
    details = fso(halves, estimate_3dfsc=False).details
    assert details["missing_fraction"] == pytest.approx(share, rel=0.2)
    rot, tilt = np.radians(details["missing_rot_tilt"])
    told = np.array([np.cos(tilt), np.sin(tilt) * np.sin(rot), np.sin(tilt) * np.cos(rot)])
    assert abs(told @ axis) / np.linalg.norm(axis) > np.cos(np.radians(10.0))
    warning = next(warning for warning in details["warnings"] if "hardly any signal" in warning)
    assert "mask" not in warning


@pytest.fixture(scope="module")
def elongated():
    """Half maps whose signal reaches half as far again along `SKEW` as across it."""
    grid, rng = Grid.regular((56, 56, 56), 1.0), np.random.default_rng(5)
    s, axis = frequencies(grid), np.array(SKEW) / np.linalg.norm(SKEW)
    along = np.tensordot(axis, s, 1) ** 2
    spectrum = rfft(rng.standard_normal(grid.shape, dtype=np.float32), 1)
    spectrum *= np.exp(-(along / 0.3**2 + (np.sum(s**2, axis=0) - along) / 0.2**2))
    return fso(with_noise(spectrum, grid, rng))


def test_an_anisotropic_resolution_is_told_with_its_axis(elongated):
    details = elongated.details
    assert details["anisotropy_p"] < 0.01
    coarse, middle, fine = details["principal_resolutions"]
    assert coarse / fine == pytest.approx(1.5, rel=0.1) and middle == pytest.approx(coarse, rel=0.08)
    rot, tilt = np.radians(details["principal_axes_rot_tilt"][2])
    told = np.array([np.cos(tilt), np.sin(tilt) * np.sin(rot), np.sin(tilt) * np.cos(rot)])
    assert abs(told @ SKEW) / np.linalg.norm(SKEW) > np.cos(np.radians(10.0))
    assert any("depends on the direction" in warning for warning in details["warnings"])
    width = 1 / elongated.occupancy["0.1"] - 1 / elongated.occupancy["0.9"]
    assert width == pytest.approx(1 / fine - 1 / coarse, rel=0.35)
    assert details["sphericity"] < 0.97


def test_the_filter_passes_what_each_direction_resolves(elongated):
    spectrum = rfft(elongated.filtered.data, 1)
    s = frequencies(elongated.grid)
    radius = np.sqrt(np.sum(s**2, axis=0))
    cosine = np.abs(np.tensordot(np.array(SKEW) / np.linalg.norm(SKEW), s, 1)) / np.maximum(radius, 1e-9)
    shell = np.abs(radius - 0.5 / elongated.occupancy["0.9"] - 0.5 / elongated.occupancy["0.1"]) < 0.01
    power = np.abs(spectrum) ** 2
    along, across = power[shell & (cosine > 0.95)].mean(), power[shell & (cosine < 0.2)].mean()
    assert across < 0.03 * along
    beyond = radius > 1.5 / elongated.occupancy["0.1"]
    assert power[beyond].sum() < 1e-4 * power.sum()


def test_noise_alone_has_no_resolution():
    rng, grid = np.random.default_rng(1), Grid.regular((32, 32, 32), 1.0)
    result = fso(with_noise(np.zeros((32, 32, 17)), grid, rng))
    assert result.resolution["0.143"] is None or result.resolution["0.143"] > 10
    assert np.abs(result.fso - result.expected)[4:].mean() < 0.06 and result.details["missing_rot_tilt"] is None
    for draw in (occupancy_figure, directions_figure, three_d_figure):
        assert draw(result).axes


def test_a_false_discovery_rate_is_a_criterion_of_the_global_fsc(halves, found):
    assert found.fdr is None and "fdr" not in found.resolution
    tested = fso(halves, false_discovery_rate=0.01, estimate_3dfsc=False)
    # In shells of so many coefficients less than 0.143 is signal already.
    assert tested.resolution["fdr"] < tested.resolution["0.143"]
    last = int(np.argmin(np.abs(tested.frequency - 1 / tested.resolution["fdr"])))
    assert (tested.fsc[2:last] > tested.fdr[2:last]).all() and tested.fsc[last + 1] < tested.fdr[last + 1]
    assert FDR_TITLE in occupancy_figure(tested).axes[0].get_legend_handles_labels()[1]


def test_the_mask_that_hides_what_is_missing_is_named():
    grid, rng = Grid.regular((48, 48, 48), 1.0), np.random.default_rng(4)
    missing = wedge(grid, (1, 0, 0), 35.0)
    halves = with_noise(np.where(missing, 0, decaying(grid, rng)), grid, rng, noise=0.1)
    masked = fso(halves, soft_edge(sphere(grid, 12.0), 4.0), estimate_3dfsc=False)
    assert masked.details["missing_fraction"] == pytest.approx(35.0 / 90.0, rel=0.25)
    warning = next(warning for warning in masked.details["warnings"] if "hardly any signal" in warning)
    assert "compare with a run without mask" in warning


@pytest.mark.parametrize("shape", [(8, 9, 10), (16, 12, 20)])
def test_tiny_boxes_are_no_reason_to_stop(shape):
    rng, grid = np.random.default_rng(0), Grid.regular(shape, 1.0)
    result = fso(with_noise(decaying(grid, rng), grid, rng, noise=0.05))
    assert np.isfinite(result.fso).all() and result.three_d.data.shape == shape


# --- Bingham's test -----------------------------------------------------------------------------------------------


def test_bingham_rejects_as_often_as_it_says():
    axes, rng = geodesic_axes(8), np.random.default_rng(0)
    overlap = cone_overlap(axes, 17.0)
    fields = np.linalg.cholesky(overlap + 1e-9 * np.eye(len(axes))) @ rng.standard_normal((len(axes), 600))
    for share in (0.2, 0.5, 0.8):
        limit = np.quantile(fields, 1 - share)
        tests = np.array([bingham_test(axes, field > limit, overlap) for field in fields.T])
        assert tests[:, 0].mean() == pytest.approx(5.0, rel=0.1)
        assert np.mean(tests[:, 1] < 0.05) == pytest.approx(0.05, abs=0.03)


def test_bingham_finds_a_belt_and_lets_all_or_none_pass():
    axes = geodesic_axes(8)
    overlap = cone_overlap(axes, 17.0)
    assert bingham_test(axes, np.abs(axes[:, 0]) < 0.5, overlap)[1] < 1e-6
    assert bingham_test(axes, np.ones(len(axes), bool), overlap) == (0.0, 1.0)
    assert bingham_test(axes, np.zeros(len(axes), bool), overlap) == (0.0, 1.0)


def test_independent_axes_make_the_published_statistic():
    axes = geodesic_axes(8)
    passing = np.abs(axes[:, 0]) < 0.6
    statistic, p = bingham_test(axes, passing, np.eye(len(axes)))
    tensor = axes[passing].T @ axes[passing] / passing.sum()
    # Axes of an even set that pass one by one are a sample without replacement.
    replaced = (1 - passing.mean()) * len(axes) / (len(axes) - 1)
    assert statistic == pytest.approx(7.5 * passing.sum() * (np.sum(tensor**2) - 1 / 3) / replaced, rel=0.02)
    assert p < 1e-10


def test_principal_axes_are_those_of_an_ellipsoid():
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    matrix = turn @ np.diag([0.2, 0.3, 0.5]) @ turn.T
    axes = geodesic_axes(4)
    values, principal = principal_axes(axes, np.einsum("ni,ij,nj->n", axes, matrix, axes))
    np.testing.assert_allclose(values, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(np.abs(np.sum(principal * turn.T, axis=1)), 1.0)


# --- the sums -----------------------------------------------------------------------------------------------------


def full_spectrum(halves):
    """Return shell, direction and Re(F1 F2*), |F1|^2, |F2|^2 of every coefficient of the full spectrum."""
    grid = halves.grid
    f1, f2 = (np.fft.fftn(half.data.astype(np.float64)) for half in (halves.half1, halves.half2))
    s = np.stack(np.meshgrid(*(np.fft.fftfreq(n, d) for n, d in zip(grid.shape, grid.voxel_size)), indexing="ij"))
    radius = np.sqrt(np.sum(s**2, axis=0))
    products = np.stack([(f1 * f2.conj()).real, np.abs(f1) ** 2, np.abs(f2) ** 2])
    return np.floor(radius / shell_width(grid) + 0.5).astype(int), s / np.maximum(radius, 1e-12), products


@pytest.fixture(scope="module")
def small():
    return isotropic(shape=(14, 15, 18))


def test_cone_sums_are_those_of_a_plain_loop(small):
    shell, unit, products = full_spectrum(small)
    axes = geodesic_axes(2)
    sums, weights = cone_sums(coefficients(small), axes, 25.0)
    for number, i in itertools.product((0, 7, 20), (2, 4, 7)):
        here = shell == i
        cosine = np.clip(np.abs(np.tensordot(axes[number], unit, 1)[here]), 0, 1)
        weight = cone_weight(cosine, 25.0)
        np.testing.assert_allclose(2 * sums[number, i], (products[:, here] * weight).sum(axis=1), rtol=1e-4)
        np.testing.assert_allclose(2 * weights[number, i], [weight.sum(), (weight**2).sum()], rtol=1e-4)


def test_the_3dfsc_is_that_of_a_plain_loop(small):
    shell, unit, products = full_spectrum(small)
    three_d = fso(small).three_d.data
    rng = np.random.default_rng(0)
    for i in (2, 4, 6):
        for z, y, x in rng.permutation(np.argwhere(shell == i))[:5]:
            near = (shell == i) & (np.abs(np.tensordot(unit[:, z, y, x], unit, 1)) >= np.cos(np.radians(20.0)) - 1e-9)
            cross, power1, power2 = products[:, near].sum(axis=1)
            place = tuple((p + n // 2) % n for p, n in zip((z, y, x), shell.shape))
            assert three_d[place] == pytest.approx(cross / np.sqrt(power1 * power2), abs=2e-3)


def test_harmonics_are_as_near_the_exact_cones_as_is_said():
    listed = coefficients(isotropic(shape=(72, 72, 72)))
    exact, smooth = every_cone(listed, 20.0), every_cone(listed, 20.0, exact_shells=0)
    for shell in (24, 28, 32, 36):
        here = slice(listed.start[shell], listed.start[shell + 1])
        in_cone = (here.stop - here.start) * (1 - np.cos(np.radians(20.0)))
        noise = (1 - np.mean(exact[here]) ** 2) / np.sqrt(2 * in_cone)
        assert np.sqrt(np.mean((exact - smooth)[here] ** 2)) == pytest.approx(0.36 * noise, rel=0.1)


def test_no_power_is_no_correlation():
    sums = np.array([[0.0, 0.0, 3.0], [4.0, 4.0, 4.0], [-9.0, 1.0, 1.0]])
    np.testing.assert_array_equal(correlation_of(sums), [0.0, 1.0, -1.0])


def test_a_region_has_no_islands_and_no_holes(small):
    listed = coefficients(small)
    z, y, x = (np.arange(n) / n - (n // 2) / n for n in small.grid.shape)
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) / shell_width(small.grid)
    passing = np.zeros(listed.place.size, dtype=bool)
    passing[: listed.start[6]] = passing[listed.start[8] :] = True
    passing[listed.start[3] :: 40] = False
    region = connected_region(listed, passing, forced=2)
    assert np.all(region[radius < 4.5] == 1) and np.all(region[radius > 5.5] == 0)
    nothing = connected_region(listed, np.zeros_like(passing), forced=2)
    np.testing.assert_array_equal(nothing, radius < 2.5)


@pytest.mark.parametrize("stretch", [1.0, 1.6])
def test_sphericity_is_that_of_a_spheroid(stretch):
    grid = Grid.regular((60, 72, 66), 1.0)
    z, y, x = (np.fft.fftshift(np.fft.fftfreq(n)) for n in grid.shape)
    region = (z[:, None, None] ** 2 + y[:, None] ** 2 + (x / stretch) ** 2 < 0.2**2).astype(np.float32)
    if stretch == 1.0:
        expected = 1.0
    else:
        eccentricity = np.sqrt(1 - stretch**-2)
        area = 2 * np.pi * (1 + stretch / eccentricity * np.arcsin(eccentricity))
        expected = np.pi ** (1 / 3) * (8 * np.pi * stretch) ** (2 / 3) / area
    assert sphericity(region, grid) == pytest.approx(expected, abs=0.01)
    assert sphericity(np.zeros_like(region), grid) == 0.0


def test_the_filter_keeps_the_mean_and_what_lies_inside():
    grid = Grid.regular((40, 44, 48), 1.0)
    z, y, x = (2 * np.pi * np.arange(n) / n for n in grid.shape)
    fine, coarse = np.cos(16 * z)[:, None, None], np.cos(3 * y)[:, None]
    data = (5 + fine + coarse + 0 * x).astype(np.float32)
    region = np.zeros(grid.shape, dtype=np.float32)
    region[:, 22 - 9 : 22 + 10, 24 - 9 : 24 + 10] = 1
    region[: 20 - 7] = region[20 + 8 :] = 0
    np.testing.assert_allclose(filter_by_direction(data, region, grid, 1), 5 + coarse + 0 * (fine + x), atol=0.02)


# --- result, memory, parameters -----------------------------------------------------------------------------------


def test_tables_hold_every_curve_and_direction(found):
    tables = found.tables()
    head, *rows = tables["directions.csv"].splitlines()
    assert head == "x,y,z,rot,tilt,resolution,signal" and len(rows) == 321
    x, y, z, rot, tilt, resolution, _ = np.array([[float(w) for w in row.split(",")] for row in rows]).T
    np.testing.assert_allclose(np.stack([z, y, x], axis=1), found.axes, atol=1e-6)
    np.testing.assert_allclose(np.sin(np.radians(tilt)) * np.cos(np.radians(rot)), x, atol=1e-5)
    np.testing.assert_allclose(resolution, found.limits, atol=1e-5)
    head, *rows = tables["fso.csv"].splitlines()
    assert head == "frequency,resolution,fsc,fso,fso_if_isotropic,bingham,p_value"
    np.testing.assert_allclose([float(row.split(",")[3]) for row in rows], found.fso, atol=1e-6)
    assert len(tables["directional_fsc.csv"].splitlines()[0].split(",")) == 322
    assert "cryoresFourierShellOccupancy" in tables["fsc.star"] and "<fsc" in tables["fsc.xml"]


def test_without_the_3dfsc_there_is_no_map(halves, found):
    plain = fso(halves, estimate_3dfsc=False)
    assert plain.volumes() == {} and "sphericity" not in plain.details
    assert set(found.volumes()) == {"3dfsc", "filtered"}
    np.testing.assert_array_equal(plain.fso, found.fso)
    few, many = (
        METHOD.memory(Inputs(halves), METHOD.make_parameters({"estimate_3dfsc": made}), 1) for made in (False, True)
    )
    assert few < many


def test_a_wider_cone_smooths_over_directions(halves):
    narrow, wide = (fso(halves, estimate_3dfsc=False, cone=angle) for angle in (10.0, 40.0))
    assert np.nanstd(wide.limits) < 0.5 * np.nanstd(narrow.limits)


def test_bad_parameters_are_refused(halves):
    for values in ({"cone": 0.0}, {"cutoff": 1.0}, {"cone_3dfsc": 90.0}, {"estimate_3dfsc": "yes"}):
        with pytest.raises(UsageError):
            fso(halves, **values)


def test_one_map_is_refused(halves):
    with pytest.raises(CryoresError):
        METHOD.run(Inputs(halves.half1), METHOD.make_parameters({}), Execution())


def test_values_between_directions_are_those_of_the_nearest():
    axes = geodesic_axes(8)
    values = 3.0 + axes[:, 0] ** 2
    np.testing.assert_allclose(between_directions(axes, values, axes), values, atol=0.05)
    values[5] = np.nan
    drawn = between_directions(axes, values, np.concatenate([axes, -axes]))
    assert np.isnan(drawn).tolist() == np.isnan(np.tile(values, 2)).tolist()
    assert np.isnan(between_directions(axes, np.full(321, np.nan), axes)).all()


def test_the_figure_shows_the_curves(found):
    lines = {line.get_label(): line for line in occupancy_figure(found).axes[0].lines}
    np.testing.assert_array_equal(lines["FSO"].get_ydata(), found.fso)
    np.testing.assert_array_equal(lines["FSC"].get_ydata(), found.fsc)


def test_the_literature_is_known():
    assert set(METHOD.citations) <= set(BIBTEX)


# --- masks --------------------------------------------------------------------------------------------------------


def test_a_mask_without_a_soft_edge_is_told_and_a_soft_one_not():
    halves = isotropic(0)
    masks = {edge: sphere(halves.grid, 20.0, edge) for edge in (0.0, 12.0)}
    told = {
        edge: METHOD.run(Inputs(halves, mask=mask), METHOD.make_parameters({"estimate_3dfsc": False})).findings
        for edge, mask in masks.items()
    }
    assert told[12.0] == [] and len(told[0.0]) == 1 and "no soft edge" in told[0.0][0]
