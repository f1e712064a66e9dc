"""The published DeepEMhancer pipeline, with networks in the files that its time wrote."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
pytest.importorskip("tf_keras", reason="tf_keras writes the old files")

from skimage.transform import resize

from cryores.masks import sphere
from cryores.nets import legacy_hdf5
from cryores.postprocessing import deepemhancer
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import legacy_files

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The writing model, and the folder in which its file lies under the published name."""
    folder = tmp_path_factory.mktemp("weights")
    before, legacy_files.UNET_EDGE = legacy_files.UNET_EDGE, 64
    try:
        model = legacy_files.unet_like()
    finally:
        legacy_files.UNET_EDGE = before
    for target in ("tightTarget", "masked"):
        path = legacy_files.saved(model, folder / f"deepEMhancer_{target}.hd5")
        legacy_files.rewritten(path, legacy_files.old_functional)
    return model, folder


@pytest.fixture(scope="module")
def volume():
    made = simulate(shape=(56, 56, 56), voxel_size=1.31, finest=4.0, coarsest=8.0, seed=3)
    return made.halves.mean(), made.mask


def plain_pipeline(data, spacing, model):
    """What the published program does with a normalised cubic map, written from its description, without any care."""
    fine = resize(data, [round(n * spacing) for n in data.shape], order=3, mode="reflect", anti_aliasing=True)
    padded = np.pad(fine, [(0, 16 - n % 16) for n in fine.shape], mode="wrap")
    total, weights = np.zeros(padded.shape), np.ones(padded.shape)
    for z in range(0, padded.shape[0] - 63, 16):
        for y in range(0, padded.shape[1] - 63, 16):
            for x in range(0, padded.shape[2] - 63, 16):
                cube = padded[z : z + 64, y : y + 64, x : x + 64].astype(np.float32)
                total[z : z + 64, y : y + 64, x : x + 64] += np.asarray(model(cube[None, ..., None]))[0, ..., 0]
                weights[z : z + 64, y : y + 64, x : x + 64] += 1
    out = (total / weights)[tuple(slice(n) for n in fine.shape)]
    return resize(out, data.shape, order=3, mode="reflect", anti_aliasing=True)


def test_to_the_letter(network, volume):
    model, folder = network
    given = ((volume[0].data - 0.01) / (10 * 0.2)).astype(np.float32)
    expected = plain_pipeline(given, 1.31, model)
    found = deepemhancer(volume[0], weights=str(folder), noise_stats=(0.01, 0.2), compat="deepemhancer").sharpened.data
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_without_the_flaws_means_are_means_up_to_the_corners(tmp_path):
    import tf_keras

    given = tf_keras.Input((64, 64, 64, 1))
    same = tf_keras.Model(given, tf_keras.layers.Conv3D(1, 1, use_bias=False, kernel_initializer="ones")(given))
    legacy_files.saved(same, tmp_path / "same.hd5")
    waves = np.random.default_rng(0).standard_normal((80, 80, 80))
    smooth = gaussian_filter(waves, 4.0, mode="wrap").astype(np.float32)
    smooth = smooth / smooth.std() + 6.0
    values = {"weights": str(tmp_path / "same.hd5"), "noise_stats": (0.0, 0.1)}
    volume = Volume(smooth, Grid.regular(smooth.shape, 1.0))
    mask = sphere(volume.grid, 30.0)
    ours = deepemhancer(volume, mask, **values).sharpened.data
    np.testing.assert_allclose(ours, smooth, atol=1e-4)
    strict = deepemhancer(volume, mask, compat="deepemhancer", **values).sharpened.data
    assert strict[2, 2, 2] / smooth[2, 2, 2] == pytest.approx(0.5, abs=0.01)


def test_the_native_group_normalisation_is_another_network(network):
    model, folder = network
    cube = np.random.default_rng(0).standard_normal((1, 64, 64, 64, 1)).astype(np.float32)
    cube *= np.linspace(0.2, 2.0, 64, dtype=np.float32)[:, None, None, None]
    expected = np.asarray(model(cube))
    right, wrong = (
        np.asarray(legacy_hdf5.read_network(folder / "deepEMhancer_tightTarget.hd5", group_norm=kind)(cube))
        for kind in ("slab", "native")
    )
    scale = np.abs(expected).max()
    assert np.abs(right - expected).max() <= 5e-4 * scale and np.abs(wrong - expected).max() > 0.1 * scale


def test_masked_target_and_non_cubic_small_boxes(network):
    grid = Grid((40, 52, 47), (50.0, 65.0, 58.75), (40, 52, 47), origin=(5.0, -3.0, 2.0))
    made = simulate(shape=grid.shape, voxel_size=1.25, finest=4.0, coarsest=8.0, seed=3)
    halves = Volume(made.halves.mean().data, grid)
    found = deepemhancer(halves, made.mask.like(made.mask.data), target="masked", weights=str(network[1]))
    assert found.sharpened.grid == grid and found.sharpened.data.std() > 0
    assert found.details["normalisation"] == "mask" and "confidence" not in found.extra
