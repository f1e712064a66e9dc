"""blocres: its invariants, and where it has to stop."""

import numpy as np
import pytest

from cryores.errors import CryoresWarning, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.resolution import blocres
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps, Volume

BOX = 12
pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(40, 44, 42), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


def local(halves, mask, **options):
    return blocres(halves, mask, box=BOX, **options).resolution.data


def test_a_box_that_is_too_small_is_told(made):
    with pytest.warns(CryoresWarning, match="the box of 8 voxels is .* times the global resolution"):
        blocres(made.halves, made.mask, box=8, step=8)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_swap_scale_and_offset_change_nothing(made, mode):
    one, two = made.halves.half1, made.halves.half2
    first = local(made.halves, made.mask, mode=mode)
    second = local(HalfMaps(one.like(two.data * 3 + 7), two.like(one.data * 0.5 - 2)), made.mask, mode=mode)
    inside = made.mask.data > 0.5
    assert np.mean(np.abs(first[inside] - second[inside]) < 0.01) > 0.995
    assert np.isnan(first[~inside]).all() and np.isfinite(first[inside]).all()


def test_a_step_computes_the_same_values_on_its_lattice(made):
    every = local(made.halves, made.mask, mode="exact", step=1)
    third = local(made.halves, made.mask, mode="exact", step=3)
    lattice = np.zeros(every.shape, dtype=bool)
    lattice[::3, ::3, ::3] = True
    at = lattice & np.isfinite(every)
    assert np.allclose(every[at], third[at], atol=1e-3)


@pytest.mark.parametrize("crossing", ["first", "last"])
def test_curves_between_boxes_are_those_of_boxes(made, crossing):
    every, eighth = (
        blocres(made.halves, made.mask, box=16, mode="exact", step=step, crossing=crossing) for step in (1, None)
    )
    assert eighth.details["step"] == 2
    inside = made.mask.data > 0.5
    shells = [32 * 1.5 / r.resolution.data[inside] for r in (every, eighth)]
    assert np.mean(np.abs(shells[0] - shells[1]) <= 1) >= 0.99
    assert np.median(np.abs(shells[0] - shells[1])) < 0.02


def test_fast_agrees_with_exact_where_the_signal_is_everywhere_alike():
    rng = np.random.default_rng(0)
    grid = Grid.regular((48, 48, 48), 1.0)
    signal = 3 * filtered(rng.standard_normal(grid.shape).astype(np.float32), bfactor(60.0), grid, 1)
    halves = HalfMaps(*(Volume(signal + 0.3 * rng.standard_normal(grid.shape).astype(np.float32), grid) for _ in "12"))
    mask = np.zeros(grid.shape, dtype=np.float32)
    mask[12:36:2, 12:36:2, 12:36:2] = 1
    exact, fast = (
        blocres(halves, Volume(mask, grid), box=20, mode=m, step=s) for m, s in (("exact", 2), ("fast", None))
    )
    shells = [1 / r.resolution.data[mask > 0.5] * 40 for r in (exact, fast)]
    assert np.mean(np.abs(shells[0] - shells[1]) <= 1) >= 0.99


def test_nothing_is_coarser_than_the_box(made):
    rng = np.random.default_rng(8)
    halves = HalfMaps(*(made.clean.like(rng.standard_normal(made.clean.data.shape)) for _ in "12"))
    for mode in ("exact", "fast"):
        assert np.nanmax(local(halves, made.mask, mode=mode, crossing="first")) == pytest.approx(BOX * 1.5)


def test_halves_that_agree_are_as_fine_as_the_grid(made):
    noise = 1e-4 * np.random.default_rng(1).standard_normal(made.clean.data.shape).astype(np.float32)
    texture = np.random.default_rng(2).standard_normal(made.clean.data.shape).astype(np.float32)
    halves = HalfMaps(made.clean.like(texture), made.clean.like(texture + noise))
    values = blocres(halves, made.mask, box=BOX, mode="fast").resolution.data
    assert np.nanmax(values) == pytest.approx(made.clean.grid.nyquist)


def test_noise_has_no_resolution(made):
    rng = np.random.default_rng(4)
    halves = HalfMaps(*(made.clean.like(rng.standard_normal(made.clean.data.shape)) for _ in "12"))
    values = blocres(halves, made.mask, box=BOX, mode="exact", step=4, crossing="first").resolution.data
    assert np.nanmedian(values) > 10 * made.clean.grid.spacing


def test_threads_change_nothing(made):
    for mode in ("exact", "fast"):
        one, four = (local(made.halves, made.mask, mode=mode, execution=Execution(threads=t)) for t in (1, 4))
        assert np.nanmax(np.abs(one / four - 1)) < 1e-4


def test_symmetry_computes_a_part_and_gives_the_whole():
    rng = np.random.default_rng(6)
    grid = Grid.regular((41, 41, 41), 1.5)
    z, y, x = np.indices(grid.shape) - 20
    radius = np.sqrt(z * z + y * y + x * x)
    blur = np.exp(-(radius**2) / 200)
    halves = []
    common = rng.standard_normal(grid.shape) * blur
    for _ in "12":
        half = common + 0.3 * rng.standard_normal(grid.shape)
        halves.append(Volume(sum(np.rot90(half, k, axes=(1, 2)) for k in range(4)) / 2, grid))
    mask = Volume((radius < 14).astype(np.float32), grid)
    # a box of even edge has no centre voxel: an odd one is symmetric about it
    full = blocres(HalfMaps(*halves), mask, box=13, mode="exact", step=1)
    part = blocres(HalfMaps(*halves), mask, box=13, mode="exact", step=1, symmetry="C4")
    assert part.details["voxels"] < 0.5 * full.details["voxels"]
    inside = mask.data > 0.5
    difference = np.abs(part.resolution.data[inside] - full.resolution.data[inside])
    assert np.median(difference) < 0.01 and np.percentile(difference, 95) < 0.3


def test_further_cutoffs_give_further_maps(made):
    result = blocres(made.halves, made.mask, box=BOX, cutoff=(0.5, 0.143))
    assert set(result.volumes()) == {"resolution", "resolution_0.143"}
    finer = result.extra["resolution_0.143"].data - result.resolution.data
    assert np.nanmax(finer) <= 1e-4


def test_edge_leaves_the_border_out(made):
    mask = made.clean.like(np.pad(np.ones((38, 42, 40)), 1))
    values = local(made.halves, mask, mode="exact", step=4, edge=8)
    known = np.argwhere(np.isfinite(values))
    assert known.min(axis=0).tolist() == [8, 8, 8]
    assert known.max(axis=0).tolist() == [32, 36, 34]


REFUSED = [
    ({"box": 60}, "E_BOX"),
    ({"mode": "fast", "step": 2}, "E_MODE"),
    ({"symmetry": "X3"}, "E_SYMMETRY"),
    ({"box": 12, "min_resolution": 40.0}, "E_RANGE"),
]


@pytest.mark.parametrize(("options", "code"), REFUSED)
def test_what_cannot_work_is_refused(made, options, code):
    with pytest.raises(UsageError, match=code):
        blocres(made.halves, made.mask, **options)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_the_automatic_box_keeps_a_symmetry(mode):
    """Turned four-fold about voxel n/2, and 180 degrees about it: where the arrays are odd that is the middle."""
    rng = np.random.default_rng(4)
    grid = Grid.regular((31, 31, 31), 1.5)

    def symmetric(scale):
        data = filtered(rng.standard_normal(grid.shape).astype(np.float32), bfactor(scale), grid, 2)
        return sum(np.rot90(data, turns, axes=(1, 2)) for turns in range(4))

    signal, noise = symmetric(150.0), [symmetric(0.0), symmetric(0.0)]
    halves = HalfMaps(*(Volume((signal + 0.1 * n).astype(np.float32), grid) for n in noise))
    mask = np.zeros(grid.shape, np.float32)
    mask[8:-8, 8:-8, 8:-8] = 1
    result = blocres(halves, Volume(mask, grid), mode=mode, step=1)
    assert result.details["box"] % 2 == 1
    data = np.nan_to_num(result.resolution.data)
    np.testing.assert_allclose(np.rot90(data, axes=(1, 2)), data, atol=1e-3)
