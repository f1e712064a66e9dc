"""The layers that a weight file may ask for, and what each of their options may be. Anything else is refused."""

from __future__ import annotations

import math
from typing import Any, Dict, Mapping, Sequence, Tuple

from cryores.errors import WeightsError
from cryores.nets import load_keras
from cryores.nets.slab_norm import slab_normalization

LARGEST_NUMBER = 65536
"""Filters, units and edges beyond this are no network of ours, but a file that wants to fill the memory."""

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softmax")

_CONVOLUTION = (
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias"
)  # fmt: skip
_POOLING = ("pool_size", "strides", "padding", "data_format")
OPTIONS: Dict[str, Tuple[str, ...]] = {
    "Conv3D": (*_CONVOLUTION, "groups"),
    "Conv3DTranspose": (*_CONVOLUTION, "output_padding"),
    "Dense": ("units", "activation", "use_bias"),
    "Flatten": ("data_format",),
    "Dropout": ("rate",),
    "SpatialDropout3D": ("rate", "data_format"),
    "GaussianNoise": ("stddev",),
    "Activation": ("activation",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "PReLU": ("shared_axes",),
    "Add": (),
    "Subtract": (),
    "Multiply": (),
    "Average": (),
    "Maximum": (),
    "Concatenate": ("axis",),
    "BatchNormalization": ("axis", "epsilon", "center", "scale"),
    "GroupNormalization": ("groups", "axis", "epsilon", "center", "scale"),
    "MaxPooling3D": _POOLING,
    "AveragePooling3D": _POOLING,
    "GlobalAveragePooling3D": ("data_format", "keepdims"),
    "Reshape": ("target_shape",),
    "UpSampling3D": ("size", "data_format"),
    "ZeroPadding3D": ("padding", "data_format"),
    "Cropping3D": ("cropping", "data_format"),
}
"""What reaches Keras, by layer."""

_DRAWN = ("Conv3D", "Conv3DTranspose", "Dense")
"""Layers whose kernels Keras draws at random."""

_RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
_WITHOUT_EFFECT = {
    "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "momentum", "renorm_momentum", "seed",
    "noise_shape", "fused",
}  # fmt: skip
_AS_USUAL = {"groups": 1, "renorm": False, "synchronized": False}
"""Options that some version of Keras lacks: accepted where they change nothing."""


def make_layer(name: str, kind: str, options: Mapping[str, Any], group_norm: str) -> Any:
    """Make one Keras layer from what a file says of it.

    Parameters
    ----------
    name, kind, options : str, str, mapping
        As in `accepted`.
    group_norm : {'slab', 'native'}
        What ``GroupNormalization`` means.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_LAYER`` for a layer or an option that is not in `OPTIONS`.
    """
    taken = accepted(name, kind, options)
    if kind == "GroupNormalization" and group_norm == "slab":
        if taken.pop("axis", -1) not in (-1, 4):
            raise refused(f"its layer {name!r} normalises another axis than the channels")
        return slab_normalization(name=name, **taken)
    if kind in _DRAWN:
        # The file's weights follow: drawing those of DeepRes (144 MB) took 440 MB, and 1060 MB of addresses.
        taken["kernel_initializer"] = "zeros"
    return getattr(load_keras().layers, kind)(name=name, **taken)


def accepted(name: str, kind: str, options: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what reaches Keras of what a file says of a layer.

    Parameters
    ----------
    name, kind : str
        The layer's name and class.
    options : mapping
        Its configuration in the file, of any version of Keras from 2.0 on.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_LAYER`` for a layer or an option that is not in `OPTIONS`.
    """
    if kind not in OPTIONS:
        raise refused(f"its layer {name!r} is a {kind}, which is not among the layers that are accepted")
    taken: Dict[str, Any] = {}
    for key, value in options.items():
        option = _RENAMED.get((kind, key), key)
        if option in OPTIONS[kind]:
            taken[option] = _checked(name, option, value)
        elif not _changes_nothing(option, value):
            raise refused(f"its layer {name!r} has the option {key} = {value!r}, which this version does not know")
    return taken


def most_weights(kind: str, options: Mapping[str, Any], shape: Sequence[Any]) -> int:
    """Return how many weights, or more, the layer will make room for when it gets an input of ``shape``."""
    inside = [int(n or 1) for n in shape[1:]]
    channels = inside[-1] if inside else 1
    if kind == "Dense":
        return channels * int(options["units"])
    if kind in ("Conv3D", "Conv3DTranspose"):
        size = options["kernel_size"]
        return math.prod(size if isinstance(size, (list, tuple)) else [size] * 3) * channels * int(options["filters"])
    if kind == "PReLU":
        shared = options.get("shared_axes") or ()
        return math.prod(n for axis, n in enumerate(inside, 1) if axis not in shared)
    return channels


def refused(reason: str) -> WeightsError:
    """Return the error of a file whose network must not be built."""
    return WeightsError("E_WEIGHTS_LAYER", f"the weight file is refused: {reason}", "use the published file as it is")


def _changes_nothing(option: str, value: Any) -> bool:
    if option in _WITHOUT_EFFECT or option.endswith(_TRAINING_ONLY) or value is None:
        return True
    return option in _AS_USUAL and bool(value == _AS_USUAL[option])


def _checked(layer: str, option: str, value: Any) -> Any:
    if option == "activation" and (value or "linear") not in ACTIVATIONS:
        raise refused(f"its layer {layer!r} has the activation {value!r}")
    if option == "data_format":
        if value not in (None, "channels_last"):
            raise refused(f"its layer {layer!r} has its channels first")
        return "channels_last"
    if option == "axis" and isinstance(value, list) and len(value) == 1:
        value = value[0]  # as TensorFlow 2 wrote it
    if not _is_plain(value):
        raise refused(f"its layer {layer!r} has {option} = {value!r}")
    return _as_tuples(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 5 and all(_is_plain(item) for item in value)
    if isinstance(value, float) and not isinstance(value, bool):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, str)) or (isinstance(value, int) and abs(value) <= LARGEST_NUMBER)


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
