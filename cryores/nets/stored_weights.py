"""Files of trained weights: named arrays and a description in one npz, without anything that could be executed."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping

import numpy as np

from cryores.errors import WeightsError
from cryores.files import PathLike, appearing
from cryores.volume import FloatArray

DESCRIPTION = "description"


@dataclass(frozen=True)
class StoredWeights:
    """Trained weights: arrays by layer and variable, and what they are.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Keyed ``layer/variable``.
    description : dict
        Its format, the voxel size, the range, how it was trained.
    """

    arrays: Dict[str, FloatArray] = field(repr=False)
    description: Dict[str, Any] = field(default_factory=dict)

    def put_into(self, model: Any) -> None:
        """Set the weights of a keras model with the same layers.

        Raises
        ------
        WeightsError
            ``E_WEIGHTS_OTHER`` where a name or a shape differs.
        """
        wanted = named_variables(model)
        for name, variable in wanted.items():
            found = self.arrays.get(name)
            if found is None or tuple(found.shape) != tuple(variable.shape):
                raise foreign(name)
        for name, variable in wanted.items():
            variable.assign(self.arrays[name])


def foreign(name: str) -> WeightsError:
    """Return the error of weights whose array ``name`` is not as the network needs it."""
    return WeightsError(
        "E_WEIGHTS_OTHER",
        f"the weights are of another network: {name} is missing or has another shape",
        "give weights that were trained with this version of cryores",
    )


def named_variables(model: Any) -> Dict[str, Any]:
    """Return the variables of a keras model keyed ``layer/variable``."""
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}


def arrays_of(model: Any, stored_as: Any = np.float32) -> Dict[str, FloatArray]:
    """Return the values of the variables of a keras model keyed ``layer/variable``."""
    return {name: np.asarray(variable, dtype=stored_as) for name, variable in named_variables(model).items()}


def save_weights(path: PathLike, arrays: Mapping[str, FloatArray], description: Dict[str, Any]) -> None:
    """Write named arrays and their description, at once or not at all."""
    with appearing(path) as unfinished:
        np.savez_compressed(unfinished, **{DESCRIPTION: np.array(json.dumps(description)), **arrays})


def load_weights(path: PathLike, format: str) -> StoredWeights:
    """Read a file of weights.

    Parameters
    ----------
    path : path
        File.
    format : str
        What its description must name as its format.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``, or ``E_WEIGHTS_OTHER`` for another format or a newer version.
    """
    if not os.path.isfile(path):
        raise WeightsError("E_WEIGHTS_MISSING", f"there is no file of weights {path}", "install cryores again")
    try:
        # Opened here: numpy leaves a file that it cannot read open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            description = json.loads(str(stored[DESCRIPTION]))
            arrays = {name: stored[name] for name in stored.files if name != DESCRIPTION}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise WeightsError(
            "E_WEIGHTS_DAMAGED", f"{path} is no file of weights, or damaged ({error})", "install cryores again"
        ) from error
    if not isinstance(description, dict) or description.get("format") != format:
        said = description.get("format") if isinstance(description, dict) else None
        raise WeightsError(
            "E_WEIGHTS_OTHER",
            f"{path} holds weights of the format {said!r}, not {format!r}",
            "use the weights of this version of cryores, or a newer cryores",
        )
    return StoredWeights(arrays, description)
