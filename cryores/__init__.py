"""cryores: judge and improve cryo-EM density maps.

>>> from cryores import read_half_maps, resolution
>>> halves = read_half_maps("half1.mrc", "half2.mrc")
>>> result = resolution.monores(halves, min_resolution=3.0)
>>> result.resolution          # a Volume in Å
"""

import importlib
from typing import Any, List

from cryores.localres_maps import read_resolution_map
from cryores.mapio import read_half_maps, read_map, write_map
from cryores.volume import Grid, HalfMaps, Volume

__version__ = "0.1.0"
__all__ = ["Grid", "HalfMaps", "Volume", "read_half_maps", "read_map", "read_resolution_map", "write_map"]

_MODULES = ("diagnosis", "masks", "postprocessing", "resolution", "simulation")
"""Modules that `dir` offers, and that are imported when they are first named: libraries take their time."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted({*globals(), *_MODULES})
