"""Files as old versions of Keras wrote them: written by tf_keras, their description rewritten by hand."""

import json
import warnings

import h5py
import numpy as np
import tensorflow as tf
import tf_keras

UNET_EDGE = 16


class GroupNormalization(tf_keras.layers.Layer):
    """keras_contrib's layer, in the six dimensions in which it was written."""

    def __init__(self, groups=8, axis=-1, epsilon=1e-5, center=True, scale=True, **rest):
        super().__init__(**rest)
        self.options = {"groups": groups, "axis": axis, "epsilon": epsilon, "center": center, "scale": scale}

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="beta")

    def call(self, x):
        groups, (depth, height, width, channels) = self.options["groups"], x.shape[1:]
        apart = tf.reshape(x, (-1, groups, depth, height, width, channels // groups))
        mean, variance = tf.nn.moments(apart, axes=(2, 3, 4, 5), keepdims=True)
        apart = (apart - mean) / tf.sqrt(variance + self.options["epsilon"])
        each = (1, groups, 1, 1, 1, channels // groups)
        apart = apart * tf.reshape(self.gamma, each) + tf.reshape(self.beta, each)
        return tf.reshape(apart, (-1, depth, height, width, channels))

    def get_config(self):
        neutral = {"beta_initializer": "zeros", "gamma_regularizer": None, "beta_constraint": None}
        return {**super().get_config(), **self.options, **neutral}


def deepres_like(library=tf_keras, filters=3, edge=5):
    """DeepRes' network made small, with weights that are not symmetric."""
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((13, 13, 13, 1), name="conv3d_1_input"),
            layers.Conv3D(filters, (edge, edge, edge), activation="relu", padding="same", name="conv3d_1"),
            layers.Dropout(0.2, name="dropout_1"),
            layers.Flatten(name="flatten_1"),
            layers.Dense(8, activation="relu", name="dense_1"),
            layers.Dropout(0.2, name="dropout_2"),
            layers.Dense(1, activation="linear", name="dense_2"),
        ],
        name="sequential_1",
    )
    return with_random_weights(model)


def unet_like(library=tf_keras, group_norm=GroupNormalization, groups=4):
    """DeepEMhancer's network made small: strided and transposed convolutions, group norm, PReLU, a skip connection."""
    layers = library.layers
    given = inner = library.Input((UNET_EDGE, UNET_EDGE, UNET_EDGE, 1), name="input_1")
    skips = []
    for level in (1, 2):
        inner = layers.Conv3D(8, 3, strides=level, padding="same", name=f"conv3d_{level}")(inner)
        inner = group_norm(groups=groups, name=f"group_normalization_{level}")(inner)
        inner = layers.PReLU(shared_axes=[1, 2, 3], name=f"p_re_lu_{level}")(inner)
        skips.append(inner)
    inner = layers.Conv3DTranspose(8, 3, strides=2, padding="same", name="conv3d_transpose_1")(inner)
    inner = layers.Concatenate(name="concatenate_1")([skips[0], inner])
    inner = layers.BatchNormalization(name="batch_normalization_1")(inner)
    inner = layers.LeakyReLU(0.1, name="leaky_re_lu_1")(inner)
    outer = layers.Conv3D(1, 1, activation="linear", name="conv3d_3")(inner)
    return with_random_weights(library.Model(given, outer, name="model_1"))


def with_random_weights(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.6, w.shape).astype(np.float32) * rng.choice((-1, 1), w.shape)
                       if "variance" not in v.name else rng.uniform(0.5, 2, w.shape)
                       for v, w in zip(model.weights, model.get_weights())])  # fmt: skip
    return model


def saved(model, path, compiled=False):
    """Save as HDF5 under any name, which Keras 2.2 allowed."""
    if compiled:
        model.compile("adam", "mae")
        edge = model.input_shape[1]
        shape = (2, edge, edge, edge, 1)
        model.fit(np.zeros(shape), np.zeros((2, *model.output_shape[1:])), verbose=0)  # makes the optimiser's state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path.with_suffix(".h5"), save_format="h5") if "tf_keras" in type(model).__module__ else model.save(
            path.with_suffix(".h5")
        )
    path.with_suffix(".h5").rename(path)
    return path


def rewritten(path, change, version=b"2.2.5", as_text=False):
    """Replace the description in a file by what ``change`` makes of it."""
    with h5py.File(path, "r+") as file:
        given = file.attrs["model_config"]
        config = change(json.loads(given))
        text = json.dumps(config)
        file.attrs["model_config"] = text if as_text else text.encode()
        file.attrs["keras_version"], file.attrs["backend"] = version, b"tensorflow"
    return path


def of_keras_2_2(layer):
    """Write a layer's entry as Keras 2.2 did: no marks of where it was registered, no options of later years."""
    later = {"dtype", "groups"} if "Conv" in layer["class_name"] else {"dtype"}
    config = {k: v for k, v in layer["config"].items() if k not in later}
    marks = ("module", "registered_name", "build_config")
    return {k: v for k, v in {**layer, "config": config}.items() if k not in marks}


def dict_without_input(config):
    """As Keras 2.2.3 to 2.2.5 wrote a Sequential: the first real layer tells the shape."""
    given, first, *rest = (of_keras_2_2(layer) for layer in config["config"]["layers"])
    first["config"]["batch_input_shape"] = given["config"]["batch_input_shape"]
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [first, *rest]}}


def bare_list(config):
    """As Keras up to 2.2.2 wrote a Sequential."""
    return {"class_name": "Sequential", "config": dict_without_input(config)["config"]["layers"]}


def old_functional(config):
    """As Keras 2.2 wrote a functional model."""
    inner = config["config"]
    layers = [of_keras_2_2(layer) for layer in inner["layers"]]
    return {"class_name": "Model", "config": {**inner, "layers": layers}}


def with_groups(config):
    """As TensorFlow 2.3 and later wrote a transposed convolution: with an option that Keras 3 has not."""
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Conv3DTranspose":
            layer["config"]["groups"] = 1
    return config
