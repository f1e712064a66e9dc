"""Every HDF5 file that a Keras from 2.0 to 3 can have written gives the outputs of the model that wrote it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")
pytest.importorskip("tf_keras", reason="tf_keras writes the old files")
import h5py
import keras
import tf_keras

sys.path.insert(0, str(Path(__file__).parent))
import legacy_files as old

from cryores.errors import WeightsError
from cryores.nets._legacy_layers import OPTIONS
from cryores.nets.legacy_hdf5 import read_network
from cryores.nets.slab_norm import slab_normalization

SEQUENTIAL = 1e-5
SLABS = 5e-4


def windows(edge, n=3, seed=1):
    data = np.random.default_rng(seed).standard_normal((n, edge, edge, edge, 1)).astype(np.float32)
    return data * np.linspace(0.2, 3, edge, dtype=np.float32)[:, None, None, None]  # the slabs differ in scale


def relative(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def agrees(path, writer, tolerance, **options):
    given = windows(writer.input_shape[1])
    expected = np.asarray(writer(given, training=False))
    assert np.abs(expected).max() > 0.1
    difference = relative(np.asarray(read_network(path, **options)(given, training=False)), expected)
    return difference <= tolerance or pytest.fail(f"differs by {difference:.1e}")


@pytest.fixture(scope="module")
def deepres():
    return old.deepres_like()


@pytest.fixture(scope="module")
def unet():
    return old.unet_like()


@pytest.mark.parametrize(
    ("name", "change", "version", "compiled"),
    [
        ("as_now.h5", lambda config: config, b"2.15.0", False),
        ("keras_2_2_5.h5", old.dict_without_input, b"2.2.5", True),
        ("keras_2_2_2.hd5", old.bare_list, b"2.2.2", False),
        ("no_suffix", old.bare_list, b"2.0.8", False),
    ],
)
def test_sequential_files_of_every_age(deepres, tmp_path, name, change, version, compiled):
    path = old.saved(deepres, tmp_path / name, compiled)
    assert agrees(old.rewritten(path, change, version), deepres, SEQUENTIAL)


def test_the_description_may_be_text_or_bytes(deepres, tmp_path):
    path = old.saved(deepres, tmp_path / "text.h5")
    assert agrees(old.rewritten(path, old.dict_without_input, "2.2.5", as_text=True), deepres, SEQUENTIAL)


def test_names_may_be_numbered_plain_or_cut_into_chunks(deepres, tmp_path):
    path = old.saved(deepres, tmp_path / "named.h5")
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        group = weights["dense_1"]
        names = list(group.attrs["weight_names"])
        del group.attrs["weight_names"]
        for i, (name, new) in enumerate(zip(names, ("dense_1_2/kernel_3:0", "bias"))):
            group.attrs[f"weight_names{i}"] = [new.encode()]
            group[new] = group[name][()]
    assert agrees(path, deepres, SEQUENTIAL)


@pytest.mark.parametrize("change", [lambda config: config, old.with_groups, old.old_functional])
def test_functional_files_with_slab_normalization(unet, tmp_path, change):
    path = old.saved(unet, tmp_path / "unet.hd5")
    assert agrees(old.rewritten(path, change, b"2.3.1"), unet, SLABS)


def test_keras_own_group_norm_loads_the_same_file_and_is_wrong(unet, tmp_path):
    path = old.saved(unet, tmp_path / "unet.hd5")
    given = windows(old.UNET_EDGE)
    expected = np.asarray(unet(given, training=False))
    wrong = np.asarray(read_network(path, group_norm="native")(given, training=False))
    assert relative(wrong, expected) > 100 * SLABS


def test_files_of_keras_3(tmp_path):
    for name, writer in (
        ("sequential.h5", old.deepres_like(keras)),
        ("unet.h5", old.unet_like(keras, keras.layers.GroupNormalization)),
    ):
        assert agrees(old.saved(writer, tmp_path / name), writer, SEQUENTIAL, group_norm="native")


def test_a_layer_that_is_applied_twice_and_one_that_adds(tmp_path):
    given = inner = tf_keras.Input((6, 6, 6, 1))
    shared = tf_keras.layers.Conv3D(1, 3, padding="same", activation="relu")
    writer = tf_keras.Model(given, tf_keras.layers.Add()([shared(shared(inner)), given]))
    old.with_random_weights(writer)
    assert agrees(old.saved(writer, tmp_path / "twice.h5"), writer, SEQUENTIAL)


def test_every_layer_that_is_accepted_does_what_it_did(tmp_path):
    layers = tf_keras.layers
    given = tf_keras.Input((8, 8, 8, 1))
    first = layers.Conv3D(4, 3, padding="same", dilation_rate=2, groups=1, activation="tanh")(given)
    pooled = [layers.MaxPooling3D(2)(first), layers.AveragePooling3D(2, padding="same")(first)]
    grown = [layers.UpSampling3D(2)(one) for one in pooled]
    merged = [layers.Subtract()(grown), layers.Average()(grown), layers.Multiply()(grown), layers.Maximum()(grown)]
    bent = [layers.Activation("sigmoid"), layers.ELU(0.7), layers.ReLU(6.0, 0.2, 0.1), layers.LeakyReLU(0.3)]
    inner = layers.Concatenate(axis=-1)([layer(one) for layer, one in zip(bent, merged)])
    inner = layers.Cropping3D(((1, 2), (2, 1), (0, 3)))(layers.ZeroPadding3D(1)(inner))
    inner = layers.GaussianNoise(0.5)(layers.SpatialDropout3D(0.5)(layers.PReLU()(inner)))
    inner = layers.BatchNormalization(axis=-1, epsilon=0.01, scale=False)(inner)
    inner = layers.Conv3DTranspose(3, 3, strides=2, padding="valid", output_padding=1, use_bias=False)(inner)
    squeezed = layers.Reshape((1, 1, 1, 3))(layers.GlobalAveragePooling3D()(inner))
    writer = tf_keras.Model(given, layers.Dense(2)(layers.Add()([layers.Multiply()([inner, squeezed]), inner])))
    used = {type(layer).__name__ for layer in writer.layers}
    elsewhere = {"Flatten", "Dropout", "GroupNormalization"}
    assert used - {"InputLayer"} | elsewhere == set(OPTIONS)
    assert agrees(old.saved(old.with_random_weights(writer), tmp_path / "all.h5"), writer, SEQUENTIAL)


def test_the_network_is_for_inference(deepres, tmp_path):
    model = read_network(old.saved(deepres, tmp_path / "a.h5"))
    given = windows(13)
    np.testing.assert_array_equal(model.predict_on_batch(given), model.predict_on_batch(given))


# --- slab normalisation -----------------------------------------------------------------------------------------------


def test_a_slab_has_mean_beta_and_deviation_gamma():
    layer = slab_normalization(groups=4)
    layer.build((None, 8, 6, 6, 12))
    gamma, beta = np.arange(1.0, 13.0), np.arange(12.0) / 10
    layer.set_weights([gamma, beta])
    given = windows(8, n=2)[:, :, :6, :6] + np.random.default_rng(0).standard_normal((2, 8, 6, 6, 12))
    found = np.asarray(layer(given.astype(np.float32))).reshape(2, 4, -1, 3)
    expected = given.reshape(2, 4, -1)
    expected = (expected - expected.mean(-1, keepdims=True)) / np.sqrt(expected.var(-1, keepdims=True) + 1e-5)
    expected = expected.reshape(2, 4, -1, 3) * gamma.reshape(4, 1, 3) + beta.reshape(4, 1, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_scale_or_shift_may_be_left_out():
    layer = slab_normalization(groups=2, center=False, scale=False)
    found = np.asarray(layer(np.concatenate([windows(4), windows(4, seed=2)], axis=-1)))
    assert layer.weights == []
    np.testing.assert_allclose(found.reshape(3, 2, -1).mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(found.reshape(3, 2, -1).std(-1), 1, atol=1e-4)


# --- what is refused --------------------------------------------------------------------------------------------------


def code_of(path, **options):
    with pytest.raises(WeightsError) as raised:
        read_network(path, **options)
    assert raised.value.exit_status == 5 and raised.value.hint
    return raised.value.code


def changed(deepres, tmp_path, **options):
    """Return a file whose second layer (a convolution) has other options."""

    def change(config):
        config["config"]["layers"][1]["config"].update(options)
        return config

    return old.rewritten(old.saved(deepres, tmp_path / "changed.h5"), change)


def test_a_lambda_is_refused_and_its_code_not_run(deepres, tmp_path):
    def change(config):
        config["config"]["layers"][2] = {
            "class_name": "Lambda",
            "config": {"name": "dropout_1", "function": ["4wEAAAAA", None, None], "function_type": "lambda"},
        }
        return config

    assert code_of(old.rewritten(old.saved(deepres, tmp_path / "l.h5"), change)) == "E_WEIGHTS_LAYER"


def test_source_code_beside_the_weights_is_left_alone(unet, tmp_path):
    path = old.saved(unet, tmp_path / "unet.hd5")
    with h5py.File(path, "r+") as file:
        file["code/custom_objects"] = [b"raise SystemExit('the code was run')"]
        file["code/normFun"] = [b"raise SystemExit('the code was run')"]
    assert agrees(path, unet, SLABS)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "my_package>evil"},
        {"activation": {"class_name": "Lambda", "config": {}}},
        {"filters": 10**9},
        {"data_format": "channels_first"},
        {"option_of_2031": 3},
        {"kernel_size": {"class_name": "slice"}},
    ],
)
def test_options_that_are_not_known_are_refused(deepres, tmp_path, options):
    assert code_of(changed(deepres, tmp_path, **options)) == "E_WEIGHTS_LAYER"


def test_weights_of_another_shape_are_another_networks(deepres, tmp_path):
    assert code_of(changed(deepres, tmp_path, filters=4)) == "E_WEIGHTS_FOREIGN"


def test_weights_that_miss_or_are_not_finite_are_damage(deepres, tmp_path):
    path = old.saved(deepres, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights/dense_2"].attrs["weight_names"] = [b"dense_2/kernel:0"]
    assert code_of(path) == "E_WEIGHTS_DAMAGED"
    path = old.saved(deepres, tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights/dense_2/dense_2/bias:0"][0] = np.nan
    assert code_of(path) == "E_WEIGHTS_DAMAGED"


def test_other_files_are_told_from_networks(deepres, tmp_path):
    assert code_of(tmp_path / "none.h5") == "E_WEIGHTS_MISSING"
    page = tmp_path / "page.h5"
    page.write_text("<html>404 not found</html>")
    assert code_of(page) == "E_WEIGHTS_FOREIGN"
    zipped = tmp_path / "a.keras"
    old.deepres_like(keras).save(zipped)
    assert code_of(zipped) == "E_WEIGHTS_FOREIGN"
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["numbers"] = np.arange(3)
    assert code_of(tmp_path / "data.h5") == "E_WEIGHTS_FOREIGN"
    newer = old.rewritten(old.saved(deepres, tmp_path / "newer.h5"), lambda config: config, b"4.0.1")
    assert code_of(newer) == "E_WEIGHTS_NEWER"


def test_links_out_of_the_file_are_refused(deepres, tmp_path):
    path = old.saved(deepres, tmp_path / "a.h5")
    other = old.saved(deepres, tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        name = "model_weights/dense_2/dense_2/bias:0"
        del file[name]
        file[name] = h5py.ExternalLink(str(other), name)
    assert code_of(path) == "E_WEIGHTS_LAYER"


def test_a_file_that_is_cut_short_or_scribbled_on_never_loads_wrong(deepres, tmp_path):
    whole = old.saved(deepres, tmp_path / "a.h5").read_bytes()
    given = windows(13)
    expected = np.asarray(deepres(given, training=False))
    bad = tmp_path / "bad.h5"
    for part in (0, 8, 100, 1000, len(whole) // 2, len(whole) - 2000):
        bad.write_bytes(whole[:part])
        assert code_of(bad) in ("E_WEIGHTS_DAMAGED", "E_WEIGHTS_FOREIGN")
    described = whole.index(b'{"class_name": "Sequential"')
    rng = np.random.default_rng(0)
    for place in (*rng.integers(8, 4000, 10), *rng.integers(described, described + 2000, 6)):
        scribbled = bytearray(whole)
        scribbled[place : place + 3] = b"\xff\x00\x7f"
        bad.write_bytes(bytes(scribbled))
        try:
            found = np.asarray(read_network(bad)(given, training=False))
        except WeightsError:
            continue
        assert found.shape == expected.shape  # a byte that plays no part, or a weight: that is what the hash is for


def test_a_description_that_goes_in_circles_is_damage(unet, tmp_path):
    def change(config):
        for layer in config["config"]["layers"]:
            if layer["name"] == "conv3d_1":
                layer["inbound_nodes"][0][0][0] = "conv3d_3"
        return config

    assert code_of(old.rewritten(old.saved(unet, tmp_path / "a.h5"), change)) == "E_WEIGHTS_DAMAGED"


def test_what_is_no_network_of_layers_is_refused(deepres, tmp_path):
    path = old.saved(deepres, tmp_path / "a.h5")
    assert code_of(old.rewritten(path, lambda config: {**config, "class_name": "Evil"})) == "E_WEIGHTS_LAYER"
    assert code_of(old.rewritten(path, lambda config: {"class_name": "Sequential"})) == "E_WEIGHTS_DAMAGED"
    assert code_of(old.rewritten(path, lambda config: [1])) == "E_WEIGHTS_FOREIGN"
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps({})[:1]
    assert code_of(path) == "E_WEIGHTS_DAMAGED"


def test_a_network_without_an_end_is_refused(deepres, tmp_path):
    def change(config):
        layers = config["config"]["layers"]
        extra = [{**layers[2], "config": {**layers[2]["config"], "name": f"more_{i}"}} for i in range(2000)]
        return {**config, "config": {**config["config"], "layers": [*layers[:2], *extra, *layers[2:]]}}

    path = old.saved(deepres, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        text = json.dumps(change(json.loads(file.attrs["model_config"])))
        del file.attrs["model_config"]
        file.attrs.create("model_config", text, dtype=h5py.string_dtype())
    assert code_of(path) == "E_WEIGHTS_LAYER"
