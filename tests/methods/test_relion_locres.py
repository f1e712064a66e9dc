"""Local resolution as in RELION: its invariants, and where it has to stop."""

import numpy as np
import pytest

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.fourier import RealFFT, rfft, shell_sums
from cryores.masks import sphere
from cryores.resolution import relion_locres
from cryores.resolution.relion_locres import Spheres, soft_ball, sphere_centres
from cryores.shell_correlation import fsc_curve
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


def run(made, halves=None, **options):
    return relion_locres(halves or made.halves, made.mask, sampling=14.0, **options).resolution.data


def test_a_soft_ball_is_the_sphere_of_the_masks():
    grid = Grid.regular((40, 40, 40), 1.2)
    where, ball = soft_ball(grid, np.array([20, 20, 20]), 9.0, 6.0)
    whole = np.zeros(grid.shape, dtype=np.float32)
    whole[where] = ball
    np.testing.assert_allclose(whole, sphere(grid, 9.0, 6.0).data, atol=1e-6)


def test_the_curve_of_a_sphere_is_the_fsc_of_the_masked_halves(made):
    grid = made.halves.grid
    centre = np.array([20, 24, 22])
    one, two = (h.data for h in (made.halves.half1, made.halves.half2))
    spheres = Spheres(grid, centre[None], 10.0, 8.0, RealFFT(grid.shape, 2))
    curve = spheres.curves([one, two], Execution().stage("s").__enter__())[0]
    ball = np.zeros(grid.shape, dtype=np.float32)
    where, values = soft_ball(grid, centre, 10.0, 8.0)
    ball[where] = values
    np.testing.assert_allclose(curve, fsc_curve(shell_sums(rfft(one * ball, 2), rfft(two * ball, 2), grid)), atol=1e-5)


def test_centres_lie_on_a_lattice_inside_the_box():
    grid = Grid.regular((50, 60, 55), 1.0)
    points = sphere_centres(grid, 12.0, 6.0)
    assert np.all(points % 12 == 0) and len(points) > 10
    assert np.all(np.linalg.norm(points - np.array(grid.shape) // 2, axis=1) < 25 - 6)


def test_spheres_as_large_as_the_particle_are_told_with_a_sampling_that_suits(made):
    usual = relion_locres(made.halves, made.mask)
    (told,) = usual.summary()["warnings"]
    particle = np.count_nonzero(made.mask.data > 0.5) * 1.5**3
    assert f"has {4 / 3 * np.pi * 25**3 / particle:.0%} of the mask's volume" in told and "50 Å wide" in told
    suggested = float(told.rsplit(" ", 1)[1])
    assert 8 * 4 / 3 * np.pi * suggested**3 == pytest.approx(particle, rel=0.2)
    local = relion_locres(made.halves, made.mask, sampling=suggested)
    assert local.summary()["warnings"] == []
    # What the warning is about: little is left of how the values vary.
    narrow, wide = (np.ptp(np.percentile(one.values(), (5, 95))) for one in (usual, local))
    assert narrow < 0.5 * wide


def test_swap_scale_and_offset_change_nothing(made):
    one, two = made.halves.half1, made.halves.half2
    first = run(made)
    second = run(made, HalfMaps(one.like(two.data * 3 + 7), two.like(one.data * 3 + 7)))
    inside = made.mask.data > 0.5
    # Random phases are drawn for each half in turn, so a swap gives the randomised curves other noise.
    assert np.nanmedian(np.abs(first - second)[inside]) < 0.15
    assert np.isnan(first[~inside]).all()
    scaled = run(made, HalfMaps(one.like(one.data * 5 + 2), two.like(two.data * 5 + 2)))
    np.testing.assert_allclose(scaled[inside], first[inside], rtol=1e-4)


def test_the_finer_side_is_finer(made):
    values = run(made)
    fine, coarse = (values[(made.mask.data > 0.5) & where] for where in (made.truth.data < 4.6, made.truth.data > 7.4))
    assert np.nanmedian(fine) < np.nanmedian(coarse) - 0.3


def test_noise_is_as_coarse_as_is_allowed(made):
    rng = np.random.default_rng(5)
    halves = HalfMaps(*(made.clean.like(rng.standard_normal(made.clean.data.shape)) for _ in "12"))
    assert np.nanmedian(run(made, halves)) > 15.0


def test_threads_change_nothing(made):
    one, four = (run(made, execution=Execution(threads=t)) for t in (1, 4))
    np.testing.assert_allclose(one, four, rtol=1e-5)


def test_a_sphere_larger_than_the_box_is_refused(made):
    with pytest.raises(UsageError, match="E_SPHERE"):
        relion_locres(made.halves, made.mask, sampling=150.0)


def test_a_lattice_without_a_sphere_in_the_box_is_refused():
    made = simulate(shape=(40, 40, 40), voxel_size=1.0, finest=3.0, coarsest=8.0, seed=3)
    with pytest.raises(UsageError, match="E_SPHERE"):
        relion_locres(made.halves, made.mask)
