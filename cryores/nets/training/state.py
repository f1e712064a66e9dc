"""What a training goes on from: the variables of a network and its optimizer, and how far it had come."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Sequence

import numpy as np

from cryores.files import appearing
from cryores.volume import FloatArray


def keep(variables: Sequence[Any], path: Path, **told: Any) -> None:
    """Write variables of Keras, and arrays or numbers that tell how far they have come."""
    with appearing(path) as unfinished:
        np.savez(unfinished, **told, **{f"v{n:03d}": np.asarray(v) for n, v in enumerate(variables)})


def restore(variables: Sequence[Any], path: Path) -> Dict[str, FloatArray]:
    """Put what `keep` has written back into the variables; return all that is in the file."""
    with np.load(path) as file:
        found = dict(file)
    for n, variable in enumerate(variables):
        variable.assign(found[f"v{n:03d}"])
    return found


def key(settings: Dict[str, Any]) -> str:
    """Return a short name of settings, so that what was made with others is never taken for theirs."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
