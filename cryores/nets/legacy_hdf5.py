"""Networks from the HDF5 files of Keras 2.0 to 3: rebuilt layer by layer, never unpickled, never executed.

Such a file holds the network as JSON (``model_config``) and an array for each weight. Of the JSON only names, known
layers and plain options are taken. Python source that some files carry beside it, Lambda layers, custom objects,
optimiser states and links to other files are left alone or refused.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NoReturn, Sequence, Tuple

import numpy as np

from cryores.errors import InputError, WeightsError
from cryores.files import PathLike, require_file
from cryores.nets import load_keras
from cryores.nets._hdf5_trial import fate_of_reader
from cryores.nets._legacy_layers import LARGEST_NUMBER, make_layer, most_weights, refused

NEWEST_KERAS = 3
MOST_LAYERS = 400

Source = Tuple[str, int]
"""An output of a layer: its name, and which of its calls."""


@dataclass(frozen=True)
class LayerRecord:
    """What a file says of one layer; ``calls`` lists, for each time it is applied, the outputs that it takes."""

    name: str
    kind: str
    options: Mapping[str, Any]
    calls: List[List[Source]] = field(default_factory=list)


@dataclass(frozen=True)
class NetworkRecord:
    """The layers of a network, its inputs and outputs."""

    layers: Dict[str, LayerRecord]
    inputs: List[Source]
    outputs: List[Source]


def read_network(path: PathLike, group_norm: str = "slab") -> Any:
    """Read a network with its weights, for inference.

    Parameters
    ----------
    path : path
        An HDF5 file (.h5, .hd5, .hdf5, whatever its name) that Keras or tf.keras wrote with ``model.save``.
    group_norm : {'slab', 'native'}
        What ``GroupNormalization`` means: keras_contrib's (see `slab_norm`), or Keras' own of later years.
        The files cannot tell.

    Returns
    -------
    keras.Model
        float32; every variable is the file's.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING`` no such file · ``E_WEIGHTS_DAMAGED`` cut short, not finite, weights missing ·
        ``E_WEIGHTS_FOREIGN`` not a Keras network in HDF5, or weights of other shapes than its layers ·
        ``E_WEIGHTS_NEWER`` written by a later Keras · ``E_WEIGHTS_LAYER`` a layer that is not accepted ·
        ``E_NO_TENSORFLOW``.
    """
    with _opened(path) as file:
        record = _network_record(_configuration(file, path), path)
        model, layers = _build(record, group_norm, path)
        for layer in layers:
            _fill(layer, _stored(file, layer.name, path), path)
    return model


# --- the file -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[Any]:
    try:
        path = require_file(path)
    except InputError as error:
        raise WeightsError("E_WEIGHTS_MISSING", error.message, "see 'cryores weights list'") from error
    with open(path, "rb") as stream:
        start = stream.read(8)
    if start[:2] == b"PK":
        _foreign(path, "is a zip archive (Keras' .keras format, or packed weights)")
    if start != b"\x89HDF\r\n\x1a\n":
        _foreign(path, "is not an HDF5 file")
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise WeightsError("E_NO_TENSORFLOW", "h5py is not installed here", "run 'pip install h5py'") from error
    fate = fate_of_reader(path)
    if fate:
        _damaged(path, fate)
    with _read_by_library(path) as file:
        yield file


@contextlib.contextmanager
def _read_by_library(path: PathLike) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        # What HDF5 says of a file that is cut short or scribbled on, and h5py of types of which it can make nothing
        _damaged(path, str(error))


def _configuration(file: Any, path: PathLike) -> Mapping[str, Any]:
    version = _text(file.attrs.get("keras_version", "2"))
    major = re.match(r"\d+", version)
    if major and int(major.group()) > NEWEST_KERAS:
        raise WeightsError(
            "E_WEIGHTS_NEWER",
            f"{path} was written by Keras {version}, which this version cannot read",
            "update cryores",
        )
    if "model_config" not in file.attrs:
        _foreign(path, "holds no Keras network (no model_config)")
    return _parsed(file.attrs["model_config"], path)


def _parsed(text: Any, path: PathLike) -> Mapping[str, Any]:
    try:
        configuration = json.loads(_text(text))
    except (ValueError, RecursionError) as error:
        _damaged(path, f"its model_config is not JSON: {error}")
    if not isinstance(configuration, dict):
        _foreign(path, "has a model_config that is no network")
    return configuration


def _stored(file: Any, layer: str, path: PathLike) -> Dict[str, Any]:
    """Return the data sets of a layer by the last part of their names: kernel, bias, gamma ..."""
    import h5py

    weights = _inside(file, "model_weights", path, h5py.Group)
    if layer not in weights:
        return {}
    group = _inside(weights, layer, path, h5py.Group)
    found = {name: _inside(group, name, path, h5py.Dataset) for name in _listed(group, "weight_names")}
    return {re.sub(r"(_\d+)?(:\d+)?$", "", name.rsplit("/", 1)[-1]): stored for name, stored in found.items()}


def _listed(group: Any, attribute: str) -> List[str]:
    """Return a list of names; Keras cuts a long one into attributes with numbers behind their names."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    parts = itertools.takewhile(lambda part: part in group.attrs, (f"{attribute}{n}" for n in itertools.count()))
    return [_text(name) for part in parts for name in group.attrs[part]]


def _inside(group: Any, name: str, path: PathLike, kind: type) -> Any:
    """Return what lies in a group, of the ``kind`` that it has to be; a link to another file or place is refused."""
    import h5py

    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if link is None:
            _damaged(path, f"{name} is missing")
        if not isinstance(link, h5py.HardLink):
            raise refused(f"{name} is a link to another place")
        group = group[part]
    if not isinstance(group, kind):
        _damaged(path, f"{name} is not what its place is for")
    if isinstance(group, h5py.Dataset) and (group.is_virtual or group.external):
        raise refused(f"{name} lies in another file")
    return group


# --- the description ------------------------------------------------------------------------------------------------


def _network_record(configuration: Mapping[str, Any], path: PathLike) -> NetworkRecord:
    kind, inner = configuration.get("class_name"), configuration.get("config")
    try:
        if kind == "Sequential":
            return _sequential(_layers_of(inner if isinstance(inner, list) else inner["layers"]))  # type: ignore[index]
        if kind in ("Model", "Functional"):
            return _functional(inner)  # type: ignore[arg-type]
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, RecursionError) as error:
        _damaged(path, f"its description cannot be understood ({type(error).__name__}: {error})")
    raise refused(f"its network is a {kind}, neither a Sequential nor a functional model")


def _sequential(listed: Sequence[Mapping[str, Any]]) -> NetworkRecord:
    layers = [_layer_record(entry, []) for entry in listed]
    if layers[0].kind != "InputLayer":
        # Before Keras 2.2.5 the first layer itself told the shape of the input.
        layers.insert(0, LayerRecord("input of the network", "InputLayer", layers[0].options))
    chained = [layers[0]]
    for layer in layers[1:]:
        chained.append(LayerRecord(layer.name, layer.kind, layer.options, [[(chained[-1].name, 0)]]))
    return NetworkRecord({layer.name: layer for layer in chained}, [(chained[0].name, 0)], [(chained[-1].name, 0)])


def _functional(inner: Mapping[str, Any]) -> NetworkRecord:
    layers = [
        _layer_record(entry, [_sources(call) for call in entry["inbound_nodes"]])
        for entry in _layers_of(inner["layers"])
    ]
    return NetworkRecord(
        {layer.name: layer for layer in layers}, _ends(inner["input_layers"]), _ends(inner["output_layers"])
    )


def _layers_of(listed: Any) -> Any:
    if len(listed) > MOST_LAYERS:
        raise refused(f"it has {len(listed)} layers")
    return listed


def _layer_record(entry: Mapping[str, Any], calls: List[List[Source]]) -> LayerRecord:
    options = dict(entry["config"])
    name = str(entry.get("name") or options["name"])
    return LayerRecord(name, str(entry["class_name"]), options, calls)


def _sources(call: Any) -> List[Source]:
    """Return what one call takes: Keras 2 lists ``[name, call, output, {}]``, Keras 3 nests tensors in ``args``."""
    if isinstance(call, dict):
        if any(value is not None and key not in ("mask", "training") for key, value in call.get("kwargs", {}).items()):
            raise refused("a layer is called with more than its input")
        return [source for argument in call["args"] for source in _tensors(argument)]
    sources = []
    for name, number, output, *rest in call:
        if output != 0 or any(rest):
            raise refused(f"a layer takes a second output of {name!r}, or is called with more than its input")
        sources.append((str(name), int(number)))
    return sources


def _tensors(argument: Any) -> List[Source]:
    if isinstance(argument, (list, tuple)):
        return [source for item in argument for source in _tensors(item)]
    name, number, output = argument["config"]["keras_history"]
    if argument["class_name"] != "__keras_tensor__" or output != 0:
        raise refused("a layer takes something else than the output of another")
    return [(str(name), int(number))]


def _ends(listed: Any) -> List[Source]:
    """Return the inputs or outputs of the network: one ``[name, call, output]`` (Keras 3), or a list of such."""
    entries = [listed] if isinstance(listed[0], str) else listed
    return [(str(name), int(number)) for name, number, _ in entries]


# --- the network ----------------------------------------------------------------------------------------------------


def _build(record: NetworkRecord, group_norm: str, path: PathLike) -> Tuple[Any, List[Any]]:
    keras = load_keras()
    room = Path(path).stat().st_size
    made: Dict[str, Any] = {}
    tensors: Dict[Source, Any] = {}

    def layer_of(name: str) -> Any:
        if name not in made:
            layer = record.layers[name]
            made[name] = make_layer(name, layer.kind, layer.options, group_norm)
        return made[name]

    def applied(layer: LayerRecord, taken: List[Any]) -> Any:
        apply = layer_of(layer.name)
        # Keras makes room for the weights at once, however many the file says there are.
        if sum(most_weights(layer.kind, layer.options, one.shape) for one in taken) > room:
            _damaged(path, f"layer {layer.name!r} needs more weights than the file can hold")
        return apply(taken if len(taken) > 1 else taken[0])

    def tensor(source: Source, above: Tuple[Source, ...] = ()) -> Any:
        name, call = source
        if source in above or name not in record.layers:
            _damaged(path, f"its description of {name!r} leads nowhere")
        if source not in tensors:
            layer = record.layers[name]
            if layer.kind == "InputLayer":
                tensors[source] = keras.Input(batch_shape=_input_shape(layer))
            else:
                tensors[source] = applied(layer, [tensor(one, (*above, source)) for one in layer.calls[call]])
        return tensors[source]

    try:
        outputs = [tensor(source) for source in record.outputs]
        inputs = [tensor(source) for source in record.inputs]
        model = keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs)
    except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            "E_WEIGHTS_FOREIGN", f"the network of {path} cannot be built: {reason}", "use the published file as it is"
        ) from error
    return model, list(made.values())


def _input_shape(layer: LayerRecord) -> Tuple[Any, ...]:
    shape = layer.options.get("batch_input_shape") or layer.options.get("batch_shape")
    if not isinstance(shape, (list, tuple)) or not all(n is None or 0 < n <= LARGEST_NUMBER for n in shape):
        raise refused(f"the shape of its input is {shape!r}")
    return (None, *shape[1:])


def _fill(layer: Any, stored: Mapping[str, Any], path: PathLike) -> None:
    """Give a layer the file's arrays, by name; every one must be there, and of the layer's shape."""
    wanted = {variable.name: variable for variable in layer.weights}
    if set(wanted) != set(stored):
        _damaged(path, f"layer {layer.name!r} needs {_spelled(wanted)} and the file has {_spelled(stored)}")
    for name, variable in wanted.items():
        if tuple(stored[name].shape) != tuple(variable.shape) or stored[name].dtype.kind != "f":
            _foreign(
                path,
                f"stores {name} of layer {layer.name!r} as {stored[name].dtype} {tuple(stored[name].shape)}, "
                f"where the layer takes {tuple(variable.shape)}",
            )
        variable.assign(_values(stored[name], f"{name} of layer {layer.name!r}", path))


def _values(stored: Any, what: str, path: PathLike) -> Any:
    values = np.asarray(stored, dtype=np.float32)
    if not np.isfinite(values).all():
        _damaged(path, f"{what} is not finite")
    return values


def _spelled(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _damaged(path: PathLike, reason: str) -> NoReturn:
    raise WeightsError(
        "E_WEIGHTS_DAMAGED", f"{path} is damaged: {reason}", "fetch it again: see 'cryores weights --help'"
    )


def _foreign(path: PathLike, reason: str) -> NoReturn:
    raise WeightsError("E_WEIGHTS_FOREIGN", f"{path} {reason}", "give the published file: see 'cryores weights list'")
