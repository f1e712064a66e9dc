"""What every method of post-processing owes its user: kept regions, a difference map, blobs, and symmetry."""

import warnings

import numpy as np
import pytest

from cryores.errors import CryoresWarning
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import sphere
from cryores.method import Inputs, load_method, method_summaries
from cryores.processed import ProcessedMap
from cryores.volume import Grid, HalfMaps, Volume

GRID = Grid.regular((41, 41, 41), 1.5)
"""Odd, so that a quarter turn about the middle voxel takes the grid to itself."""

GIVEN = {
    "locscale": {"window": 15.0},
    "locspiral": {"min_resolution": 4.0, "bandwidth": 3.0},
    "locbsharpen": {"min_resolution": 4.0, "bandwidth": 3.0},
    "blocfilt": {"box": 15},
    "autosharpen": {"resolution": 4.0, "trials": 5},
    "localdeblur": {"iterations": 3},
    "deepemhancer": {"symmetry": "C4", "views": 1},  # its blocks of 4 Å do not lie about the middle voxel
}
"""What makes a method quick, and a box one that has a middle voxel."""

METHODS = [name for name in method_summaries() if "keep" in load_method(name).optional]


def four_fold(data):
    return (sum(np.rot90(data, turn, axes=(1, 2)) for turn in range(4)) / 4).astype(np.float32)


@pytest.fixture(scope="module")
def inputs():
    rng, ball = np.random.default_rng(5), sphere(GRID, 20.0)
    signal = filtered(four_fold(rng.standard_normal(GRID.shape)) * ball.data, bfactor(80.0), GRID, 1)
    signal += 0.5 * filtered(ball.data, bfactor(80.0), GRID, 1) * signal.std()
    noise = [0.1 * signal.std() * four_fold(rng.standard_normal(GRID.shape)) for _ in "12"]
    keep = np.zeros(GRID.shape, np.float32)
    keep[14:20, 17:24, 17:24] = 1
    far = np.linalg.norm(np.indices(GRID.shape) - 20.0, axis=0) * 1.5
    resolution = np.where(ball.data > 0.5, 4.0 + far / 8.0, np.nan).astype(np.float32)
    halves = HalfMaps(*(Volume(signal + part, GRID) for part in noise))
    return Inputs(halves, mask=ball, keep=Volume(keep, GRID), resolution_map=Volume(resolution, GRID))


@pytest.fixture(scope="module", params=METHODS)
def done(request, inputs):
    method = load_method(request.param)
    taken = {role: getattr(inputs, role) for role in ("keep", "resolution_map") if role in method.optional}
    given = method.make_parameters(GIVEN.get(request.param, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        return method.run(Inputs(inputs.maps, mask=inputs.mask, **taken), given, Execution(threads=2)).result


def test_every_method_of_processed_maps_takes_a_region_to_keep():
    assert {"postprocess", "autosharpen", "blocfilt", "local-lowpass", "locscale", "localdeblur", "locspiral"} <= set(
        METHODS
    )


def test_what_is_symmetric_stays_so(done, inputs):
    # Inside the mask: beyond it, ties between nearest voxels are broken, and amplitudes lie at thresholds.
    data, inside = done.sharpened.data, inputs.mask.data > 0.5
    for turn in (1, 2, 3):
        turned = np.rot90(data, turn, axes=(1, 2))[inside]
        assert np.abs(turned - data[inside]).max() < 1e-5 * np.abs(data).max()
        assert np.corrcoef(turned, data[inside])[0, 1] > 0.99


def test_what_is_to_be_kept_is_the_input_times_one_number(done, inputs):
    kept = inputs.keep.data > 0.5
    before, after = inputs.maps.mean().data[kept].astype(np.float64), done.sharpened.data[kept].astype(np.float64)
    scale = (before @ after) / (before @ before)
    assert scale > 0
    np.testing.assert_allclose(after, scale * before, atol=1e-4 * np.abs(after).max())


def test_difference_and_blobs_are_told(done, inputs):
    assert isinstance(done, ProcessedMap)
    inside = inputs.mask.data > 0.5
    before, after = (v[inside].astype(np.float64) for v in (inputs.maps.mean().data, done.sharpened.data))
    wanted = (after - after.mean()) / after.std() - (before - before.mean()) / before.std()
    np.testing.assert_allclose(done.difference.data[inside], wanted, atol=1e-3)
    summary = done.summary()
    for blobs in (summary["density_that_went"], summary["density_that_came"]):
        assert all(set(blob) == {"volume", "position", "contour", "peak"} for blob in blobs)
    assert set(done.volumes()) >= {"sharpened", "masked", "difference"}
