"""The published DeepRes path: equal to its loops written out, without their bugs, on a network of its kind."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
pytest.importorskip("tf_keras", reason="tf_keras writes the old files")

sys.path.insert(0, str(Path(__file__).parent))
import legacy_files as old

from cryores.errors import UsageError, WeightsError
from cryores.execution import Execution, Stage
from cryores.nets.published_deepres import estimate, masked, read_published
from cryores.volume import Grid, Volume

SHAPE = (19, 18, 21)


@pytest.fixture(scope="module")
def path(tmp_path_factory, volume):
    model = old.deepres_like()
    windows = np.lib.stride_tricks.sliding_window_view(volume.data, (13, 13, 13)).reshape(-1, 13, 13, 13, 1)
    raw = np.asarray(model(windows / np.sqrt(np.square(windows).sum(axis=(1, 2, 3, 4), keepdims=True)), training=False))
    kernel, bias = model.layers[-1].get_weights()
    spread = 5 / raw.std()  # over the range, and past both its ends
    model.layers[-1].set_weights([kernel * spread, (bias - raw.mean()) * spread + 8])
    file = old.saved(model, tmp_path_factory.mktemp("weights") / "model_w13.h5")
    return old.rewritten(file, old.dict_without_input)


@pytest.fixture(scope="module")
def volume():
    data = np.random.default_rng(3).standard_normal(SHAPE) * np.linspace(0.1, 2, SHAPE[2])
    return Volume(data.astype(np.float32), Grid.regular(SHAPE, 1.0))


@pytest.fixture(scope="module")
def mask():
    return np.random.default_rng(4).random(SHAPE) > 0.3


@pytest.fixture(scope="module")
def found(path, volume, mask):
    return estimate(volume, mask, 1.0, path=path)


def written_out(path, volume, mask, lowest=2.5, highest=12.9):
    """The published loops, voxel by voxel, with the mask alone to choose: 0 stands for nothing."""
    network = read_published(path)
    inside = [range(6, n - 6) for n in volume.grid.shape]
    out = np.zeros(volume.grid.shape)
    for z in inside[0]:
        for y in inside[1]:
            for x in inside[2]:
                if mask[z, y, x] and (z + y + x) % 2 == 0:
                    box = volume.data[z - 6 : z + 7, y - 6 : y + 7, x - 6 : x + 7]
                    box = (box / np.linalg.norm(box)).reshape(1, 13, 13, 13, 1)
                    out[z, y, x] = min(max(float(network(box, training=False)[0, 0]), lowest), highest)
    for z in inside[0]:
        for y in inside[1]:
            for x in inside[2]:
                if mask[z, y, x] and (z + y + x) % 2 == 1:
                    around = [out[z + 1, y, x], out[z - 1, y, x], out[z, y + 1, x], out[z, y - 1, x],
                              out[z, y, x + 1], out[z, y, x - 1]]  # fmt: skip
                    known = [value for value in around if value > 0]
                    out[z, y, x] = sum(known) / len(known) if known else 0
    return out


def test_it_is_what_the_published_loops_give(path, volume, mask, found):
    expected = written_out(path, volume, mask)
    np.testing.assert_array_equal(np.isnan(found), expected == 0)
    np.testing.assert_allclose(np.nan_to_num(found), expected, atol=1e-4)
    inside = expected[expected > 0]
    assert inside.min() == 2.5 and inside.max() == 12.9 and np.mean((inside > 2.5) & (inside < 12.9)) > 0.3


def test_nothing_is_said_outside_the_mask_and_near_the_edges(mask, found):
    said = np.isfinite(found)
    assert not said[~mask].any() and not said[:6].any() and not said[:, -6:].any() and not said[..., :6].any()
    assert said[6:-6, 6:-6, 6:-6].sum() > 0.6 * 7 * 6 * 9


def test_the_scale_of_the_map_plays_no_part(path, volume, mask, found):
    for scale in (1e-6, 1e5):
        scaled = volume.like(volume.data * np.float32(scale))
        np.testing.assert_allclose(estimate(scaled, mask, 1.0, path=path), found, atol=1e-3)


def test_a_shift_by_two_voxels_shifts_the_answer(path, volume, mask, found):
    moved, where = (np.roll(array, (0, 0, 2), axis=(0, 1, 2)) for array in (volume.data, mask))
    again = estimate(volume.like(moved), where, 1.0, path=path)
    np.testing.assert_allclose(again[..., 9:14], found[..., 7:12], atol=1e-4)


def test_the_answer_does_not_hang_on_the_batch(path, volume, mask, found):
    class Bars(Stage):
        steps = 0

        def advance(self, steps=1):
            Bars.steps += steps

    small = Execution(memory=0.5, open_stage=lambda title, steps: Bars())
    np.testing.assert_allclose(estimate(volume, mask, 1.0, small, path=path), found, atol=1e-4)
    even = np.add.outer(np.add.outer(np.arange(7), np.arange(6)), np.arange(9)) % 2 == 0
    assert Bars.steps == (mask[6:-6, 6:-6, 6:-6] & even).sum() > 64


def test_no_estimate_is_finer_than_the_original_voxels_allow(path, volume, mask, found):
    coarse = estimate(volume, mask, 1.0, original_voxel=1.8, path=path)
    even = np.isfinite(found) & (np.indices(SHAPE).sum(axis=0) % 2 == 0)
    np.testing.assert_allclose(coarse[even], np.maximum(found[even], 3.6), atol=1e-4)


def test_the_finer_network_has_its_own_range(path, volume, mask):
    fine = estimate(volume, mask, 0.5, path=path)
    assert np.nanmin(fine) == 1.5 and np.nanmax(fine) == np.float32(5.9)
    assert np.mean((fine > 1.5) & (fine < 5.9)) > 0.005
    with pytest.raises(UsageError, match=r"0\.7"):
        estimate(volume, mask, 0.7, path=path)


def test_where_there_is_no_density_nothing_is_said(path, volume):
    data = volume.data.copy()
    data[..., :15] = 0
    found = estimate(volume.like(data), np.ones(SHAPE, bool), 1.0, path=path)
    assert np.isnan(found[..., 6:8]).all() and np.isfinite(found[6:-6, 6:-6, 10:-6]).all()


def test_every_second_voxel_is_looked_at_and_the_others_interpolated(path, volume):
    whole = np.ones(SHAPE, bool)
    full, sparse = (estimate(volume, whole, 1.0, every_second=flag, path=path) for flag in (False, True))
    looked = sparse[6:-6:2, 6:-6:2, 6:-6:2]
    np.testing.assert_allclose(looked, full[6:-6:2, 6:-6:2, 6:-6:2], atol=1e-4)
    np.testing.assert_allclose(sparse[6, 6, 7], (sparse[6, 6, 6] + sparse[6, 6, 8]) / 2, atol=1e-4)
    np.testing.assert_allclose(sparse[7, 7, 7], sparse[6:9:2, 6:9:2, 6:9:2].mean(), atol=1e-4)
    np.testing.assert_array_equal(np.isnan(sparse), np.isnan(full))


def test_the_map_is_masked_a_voxel_wider_than_its_mask(volume):
    mask = np.zeros(SHAPE, bool)
    mask[9, 9, 9] = True
    kept = masked(volume, mask).data != 0
    assert kept.sum() == 7 and kept[9, 9, 10] and not kept[9, 10, 10]


def test_another_network_is_not_taken_for_it(tmp_path, volume, mask):
    unet = old.saved(old.unet_like(), tmp_path / "model_w13.h5")
    with pytest.raises(WeightsError, match="another network"):
        estimate(volume, mask, 1.0, path=unet)
