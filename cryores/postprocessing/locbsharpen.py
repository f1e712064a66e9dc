"""Map whose local amplitudes do not decay: each wave gets the amplitude that its place has at 15 Å.

A local B-factor sharpening that fits none: finer than 15 Å, every narrow band is given the local amplitude of the 15 Å
band, weighted by how far its own stands above the solvent's.
Source: Kaur et al., Nat. Commun. 12, 1240 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numba
import numpy as np

from cryores.backend import Array, gpu_bytes, kernel
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.method import HALVES, MAP, Inputs, Method, parameter
from cryores.postprocessing._spiral_bank import (
    GPU_BANK,
    OUTPUTS,
    Band,
    Bank,
    Contribution,
    SumParameters,
    check,
    memory,
    sum_of_bands,
)
from cryores.processed import ProcessedMap
from cryores.volume import Maps, Volume

REFERENCE = 15.0
"""Å: from here on amplitudes are levelled; coarser ones show the shape of the molecule."""


@dataclass(frozen=True)
class LocbsharpenParameters(SumParameters):
    """Parameters of LocBSharpen: a lower noise level than LocSpiral's."""

    quantile: float = parameter(
        0.9, "Share of the solvent's amplitudes that lie below the noise level of a band", "", 0.0, 0.999
    )


def locbsharpen(
    maps: Maps,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> ProcessedMap:
    """Map whose local amplitudes do not decay: each wave gets the amplitude that its place has at 15 Å.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened, unmasked half maps, whose mean is processed; or one map.
    mask : Volume, optional
        Tight around the molecule: what is outside counts as solvent. Made when not given.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocbsharpenParameters`.

    Returns
    -------
    ProcessedMap
        ``sharpened`` in standard deviations of the solvent.

    Raises
    ------
    UsageError
        ``E_RANGE`` no band in the range · ``E_NO_HALVES`` one map and no ``min_resolution``.
    InputError
        ``E_NO_NOISE`` a mask without solvent around it.

    Notes
    -----
    The sum over bands of m / (m + Q) times c for bands coarser than 15 Å and times cos(phase) * m15 from there on, with
    c = m cos(phase) the filtered map, m its monogenic amplitude, m15 that of the 15 Å band and Q the solvent's
    quantile; only where m >= Q (``compat="locspiral"``: everywhere, with the published program's amplitude). Source:
    Kaur et al. 2021.
    """
    result: ProcessedMap = METHOD.result(Inputs(maps, mask=mask, keep=keep), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LocbsharpenParameters, execution: Execution) -> ProcessedMap:
    def contribution_of(bank: Bank, centres: Float64) -> Contribution:
        fixed = float(centres[np.argmin(np.abs(centres - int(max(inputs.grid.extent) / REFERENCE)))])
        reference = next(bank.bands(np.array([fixed]))).amplitude
        significant = parameters.compat is None

        def add(total: Array, band: Band) -> None:
            levels = None if band.frequency < fixed else reference
            _add_levelled(total, band.density, band.amplitude, np.float32(band.noise), levels, significant)

        return add

    meaning = f"Local amplitudes finer than {REFERENCE:g} Å levelled at those of {REFERENCE:g} Å"
    return sum_of_bands(inputs, parameters, execution, contribution_of, meaning)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_levelled(total, density, amplitude, noise, reference, significant):  # type: ignore[no-untyped-def]
    # The density c, or cos(phase) times ``reference``, weighted by m / (m + Q); where only significant waves count,
    # by 0 for m < Q.
    for z in numba.prange(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                m = amplitude[z, y, x]
                if m > 0 and (m >= noise or not significant):
                    height = m if reference is None else reference[z, y, x]
                    total[z, y, x] += density[z, y, x] * height / (m + noise)


def _gpu_memory(inputs: Inputs, parameters: LocbsharpenParameters) -> float:
    # The bank, the sum, and the amplitude of the reference.
    return gpu_bytes(inputs.grid, GPU_BANK + 2.0)


METHOD = Method(
    name="locbsharpen",
    title="LocBSharpen",
    maps=(HALVES, MAP),
    parameters=LocbsharpenParameters,
    compute=_compute,
    memory=memory,
    outputs=OUTPUTS,
    citations=("Kaur2021",),
    optional=("keep",),
    mask="made",
    needs_noise=False,
    check=check,
    gpu_memory=_gpu_memory,
)
