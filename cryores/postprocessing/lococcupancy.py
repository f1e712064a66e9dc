"""Local occupancy: in which share of narrow bands a place is as strong as most of the molecule.

Source: Kaur et al., Nat. Commun. 12, 1240 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional

import numpy as np

from cryores.array_backend import slabs
from cryores.backend import gpu_bytes
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalMap, Method, parameter
from cryores.postprocessing._spiral_bank import GPU_BANK, BandParameters, Bank, band_centres, check, finest_band
from cryores.volume import Maps, Volume


@dataclass(frozen=True)
class LococcupancyParameters(BandParameters):
    """Parameters of LocOccupancy: bands of shape and secondary structure, which every place of a molecule has."""

    max_resolution: float = parameter(25.0, "Coarsest resolution of the bands", "Å", 1.0)
    min_resolution: Optional[float] = parameter(10.0, "Finest resolution of the bands", "Å", 0.1)
    quantile: float = parameter(
        0.25, "Share of the molecule's amplitudes that lie below the level of a band", "", 0.001, 0.999
    )


@dataclass(frozen=True)
class LocalOccupancy(LocalMap):
    """The share of bands in which a voxel reaches the level of the molecule.

    Parameters
    ----------
    occupancy : Volume
        0 to 1; NaN outside the mask.
    mask : Volume
        1 where it was asked for.
    criterion : str
        What a value means.
    details : dict
        Range and number of bands.
    """

    quantity = "Local occupancy"
    unit = ""

    occupancy: Volume
    mask: Volume
    criterion: str
    details: Dict[str, Any] = field(default_factory=dict)

    @property
    def local(self) -> Volume:
        """The occupancy."""
        return self.occupancy

    def volumes(self) -> Dict[str, Volume]:
        """Return ``occupancy``."""
        return {"occupancy": self.occupancy}


def lococcupancy(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> LocalOccupancy:
    """Tell where the molecule is weak in all bands: flexible or absent in a part of the particles.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened half maps, whose mean is analysed; or one map.
    mask : Volume, optional
        Tight around the molecule. Made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LococcupancyParameters`.

    Returns
    -------
    LocalOccupancy
        ``occupancy`` from 0 to 1.

    Raises
    ------
    UsageError
        ``E_RANGE`` no band in the range · ``E_NO_HALVES`` one map and no ``min_resolution``.

    Notes
    -----
    The share of the bands in which the monogenic amplitude of a voxel reaches the quantile of that of all voxels inside
    the mask. Its mean over the mask is one minus the quantile whatever the map: it ranks places, it is no fraction of
    particles. The published program's amplitude leaves out a direction (``compat="locspiral"``).
    """
    result: LocalOccupancy = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LococcupancyParameters, execution: Execution) -> LocalOccupancy:
    assert inputs.mask is not None
    grid, inside = inputs.grid, inputs.mask.data > BINARY_THRESHOLD
    finest = finest_band(inputs.maps, inputs.mask, parameters.min_resolution, execution.threads)
    centres = band_centres(grid, parameters.max_resolution, finest)
    bank = Bank(inputs.maps, inside, parameters, execution)
    there = execution.backend
    count = there.asarray(np.zeros(grid.shape, dtype=np.uint16))
    for band in bank.bands(centres):
        for part in slabs(grid.shape):
            count[part, ...] += there.xp.asarray(band.amplitude[part, ...] >= band.noise, dtype=count.dtype)
    reached = there.to_host(count)
    occupancy = np.where(inside, reached / np.float32(len(centres)), np.nan).astype(np.float32)
    criterion = (
        f"Share of {len(centres)} bands of {parameters.bandwidth:g} Fourier pixels from "
        f"{parameters.max_resolution:.3g} to {finest:.3g} Å in which the amplitude reaches that of the weakest "
        f"{100 * parameters.quantile:g} % inside the mask"
    )
    details = {"min_resolution": finest, "bands": len(centres)}
    return LocalOccupancy(Volume(occupancy, grid), inputs.mask, criterion, details)


def _memory(inputs: Inputs, parameters: LococcupancyParameters, threads: int) -> float:
    # In volumes: spectrum, two bands, amplitude, the values inside, the count; then the share.
    return 4.0 * inputs.grid.size * 5.0


def _gpu_memory(inputs: Inputs, parameters: LococcupancyParameters) -> float:
    # The bank, and the count.
    return gpu_bytes(inputs.grid, GPU_BANK + 0.5)


METHOD = Method(
    name="lococcupancy",
    title="LocOccupancy",
    maps=(HALVES, MAP),
    parameters=LococcupancyParameters,
    compute=_compute,
    memory=_memory,
    outputs={"occupancy.mrc": "share of the bands, 0 to 1; 0 outside the mask"},
    citations=("Kaur2021",),
    mask="made",
    needs_noise=False,
    check=check,
    gpu_memory=_gpu_memory,
)
