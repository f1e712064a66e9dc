"""cryores: judge and improve cryo-EM density maps.

>>> from cryores import read_half_maps, resolution
>>> halves = read_half_maps("half1.mrc", "half2.mrc")
>>> result = resolution.monores(halves, min_resolution=3.0)
>>> result.resolution          # a Volume in Å
"""

from cryores.localres_maps import read_resolution_map
from cryores.mapio import read_half_maps, read_map, write_map
from cryores.volume import Grid, HalfMaps, Volume

__version__ = "0.1.0"
__all__ = ["Grid", "HalfMaps", "Volume", "read_half_maps", "read_map", "read_resolution_map", "write_map"]
