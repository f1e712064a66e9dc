"""blocres in shells: its invariants, the planted truth, and where it has to stop."""

import numpy as np
import pytest

from cryores.cli import main
from cryores.errors import CryoresWarning, UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import filtered, rfft, shell_sums
from cryores.mapio import write_map
from cryores.resolution import blocres_shells
from cryores.resolution.blocres_shells import painted, radii
from cryores.shell_correlation import fsc_curve
from cryores.volume import Grid, HalfMaps, Volume

FINE, COARSE, BORDER = 4.5, 9.0, 24.0
pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


def distance(grid):
    z, y, x = ((np.arange(n) - n // 2) * v for n, v in zip(grid.shape, grid.voxel_size))
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)


@pytest.fixture(scope="module")
def capsid():
    """Half maps that are fine inside BORDER Å and coarse beyond, and a mask of all radii up to 44 Å."""
    rng = np.random.default_rng(0)
    grid = Grid.regular((64, 60, 62), 1.5)
    texture = rng.standard_normal(grid.shape).astype(np.float32)
    r = distance(grid)
    signal = np.where(r < BORDER, *(filtered(texture, low_pass(d), grid, 2) for d in (FINE, COARSE)))
    halves = HalfMaps(*(Volume(signal + 0.2 * rng.standard_normal(grid.shape), grid) for _ in "12"))
    return halves, Volume((r < 44.0).astype(np.float32), grid)


def run(capsid, **options):
    return blocres_shells(*capsid, **{"thickness": 14, "step": 2, **options})


def test_the_radius_where_the_resolution_changes_is_found(capsid):
    result = run(capsid, thickness=10)
    inner = result.at_radius[(result.radius > 8) & (result.radius < BORDER - 6)]
    outer = result.at_radius[(result.radius > BORDER + 9) & (result.radius < 40)]
    # A shell of 10 voxels blurs frequencies by about 2 / 15 Å: the coarse side looks finer than it is.
    assert np.all(np.abs(1 / inner - 1 / FINE) < 1 / 15.0)
    assert np.all(outer > 1.25 * inner.max()) and np.all(np.abs(1 / outer - 1 / COARSE) < 1 / 15.0)


def test_a_curve_is_the_fsc_of_the_halves_in_the_shell(capsid):
    halves, _ = capsid
    grid = halves.grid
    result = run(capsid)
    off = np.abs(distance(grid) - result.radius[4]) / (14 * 1.5)
    weight = np.where(off <= 0.5, np.cos(np.pi * off) ** 2, 0)
    cut = [weight * (h.data - np.sum(weight * h.data) / weight.sum()) for h in (halves.half1, halves.half2)]
    expected = fsc_curve(shell_sums(*(rfft(c.astype(np.float32), 1) for c in cut), grid))
    assert result.curves[4][0] == 1.0
    np.testing.assert_allclose(result.curves[4][1:], expected[1 : len(result.frequency)], atol=1e-4)


def test_the_map_is_painted_by_radius(capsid):
    result = run(capsid)
    grid, mask = result.resolution.grid, capsid[1].data > 0.5
    at = distance(grid)[mask]
    assert np.isnan(result.resolution.data[~mask]).all()
    known = at <= result.radius[-1]
    expected = 1 / np.interp(at[known], result.radius, 1 / result.at_radius)
    np.testing.assert_allclose(result.resolution.data[mask][known], expected, rtol=1e-5)


def test_nothing_is_painted_beyond_the_last_radius():
    grid = Grid.regular((20, 20, 40), 1.0)
    radius = radii(grid, 5)
    values = painted(grid, np.ones(grid.shape, dtype=bool), radius, np.array([4.0, 5.0, 8.0]))
    assert radius.tolist() == [0, 5, 10] and values[10, 10, 20] == 4.0 and values[10, 10, 25] == 5.0
    assert np.isnan(values[10, 10, 31]) and np.isfinite(values[10, 10, 30])


@pytest.mark.parametrize("smooth", [True, False])
def test_swap_scale_and_offset_change_nothing(capsid, smooth):
    halves, mask = capsid
    one, two = halves.half1, halves.half2
    changed = HalfMaps(one.like(two.data * 3 + 7), two.like(one.data * 0.5 - 2))
    first, second = run(capsid, smooth=smooth), run((changed, mask), smooth=smooth)
    np.testing.assert_allclose(first.curves, second.curves, atol=1e-4)


def test_noise_is_as_coarse_as_the_shell_is_thick(capsid):
    rng = np.random.default_rng(3)
    halves = HalfMaps(*(capsid[1].like(rng.standard_normal(capsid[1].data.shape)) for _ in "12"))
    result = run((halves, capsid[1]))
    assert np.median(result.at_radius) == pytest.approx(14 * 1.5) and result.at_radius.max() <= 14 * 1.5


def test_halves_that_agree_are_as_fine_as_is_looked_for(capsid):
    rng = np.random.default_rng(4)
    texture = rng.standard_normal(capsid[1].data.shape)
    halves = HalfMaps(*(capsid[1].like(texture + 1e-4 * rng.standard_normal(texture.shape)) for _ in "12"))
    assert run((halves, capsid[1])).at_radius == pytest.approx(3.0)
    assert run((halves, capsid[1]), min_resolution=5.0).at_radius == pytest.approx(5.0)


def test_a_step_computes_the_same_values_at_its_radii(capsid):
    np.testing.assert_allclose(run(capsid, step=1).at_radius[::3], run(capsid, step=3).at_radius, rtol=1e-6)


def test_threads_change_nothing(capsid):
    one, four = (run(capsid, execution=Execution(threads=t)).at_radius for t in (1, 4))
    np.testing.assert_allclose(one, four, rtol=1e-5)


def test_sharp_edges_carry_what_is_coarse_to_all_frequencies_and_are_warned_of(capsid):
    mask, rng = capsid[1], np.random.default_rng(5)
    grid = mask.grid
    coarse = filtered(rng.standard_normal(grid.shape).astype(np.float32), low_pass(12.0), grid, 2)
    noise = 0.1 * coarse.std()
    halves = HalfMaps(*(mask.like(coarse + noise * rng.standard_normal(grid.shape)) for _ in "12"))
    smooth = run((halves, mask))
    with pytest.warns(CryoresWarning, match="sharp edges"):
        sharp = run((halves, mask), smooth=False)
    far, beyond = (sharp.radius > 20) & (sharp.radius < 40), sharp.frequency > 1 / 6.0
    assert smooth.curves[far][:, beyond].mean() < 0.1 < 0.6 < sharp.curves[far][:, beyond].mean()
    assert np.median(sharp.at_radius[far]) < np.median(smooth.at_radius[far]) - 1.0


def test_the_table_and_the_figure_are_written(capsid, tmp_path):
    halves, mask = capsid
    for name, volume in (("half1", halves.half1), ("half2", halves.half2), ("mask", mask)):
        write_map(tmp_path / f"{name}.mrc", volume)
    words = [w for name in ("half1", "half2", "mask") for w in (f"--{name}", str(tmp_path / f"{name}.mrc"))]
    out = tmp_path / "out"
    assert main(["blocres-shells", *words, "--thickness", "14", "--step", "2", "--out", str(out), "--quiet"]) == 0
    table = np.loadtxt(out / "shells.csv", delimiter=",", skiprows=1)
    expected = run(capsid)
    np.testing.assert_allclose(table, np.stack([expected.radius, expected.at_radius], axis=1), atol=1e-5)
    assert (out / "shells.png").stat().st_size > 5000
    assert "Resolution against radius" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code"),
    [({"thickness": 40}, "E_SHELL"), ({"step": 31}, "E_SHELL"), ({"min_resolution": 12.0}, "E_RANGE")],
)
def test_what_cannot_work_is_refused(capsid, options, code):
    with pytest.raises(UsageError, match=code):
        run(capsid, **options)
