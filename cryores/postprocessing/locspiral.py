"""Map of equal local amplitudes: every wave that stands out of the solvent counts by its phase alone.

In each of many narrow bands a voxel adds the cosine of its local phase, weighted by how far its amplitude stands above
the solvent's; weak regions become as visible as strong ones.
Source: Kaur et al., Nat. Commun. 12, 1240 (2021).
"""

from __future__ import annotations

from typing import Any, Optional

import numba
import numpy as np

from cryores.backend import kernel
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.method import HALVES, MAP, Inputs, Method
from cryores.postprocessing._spiral_bank import (
    OUTPUTS,
    Bank,
    Contribution,
    SumParameters,
    check,
    gpu_memory,
    memory,
    sum_of_bands,
)
from cryores.processed import ProcessedMap
from cryores.volume import Maps, Volume


def locspiral(
    maps: Maps,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> ProcessedMap:
    """Map of equal local amplitudes: every wave that stands out of the solvent counts by its phase alone.

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
        Fields of `SumParameters`.

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
    The sum over bands of cos(phase) * m / (m + Q) where m >= Q, with c = m cos(phase) the filtered map, m its monogenic
    amplitude and Q the solvent's quantile. The published program's amplitude leaves out directions; here it is that of
    all three Riesz components (``compat="locspiral"`` for the other, and its grid). Source: Kaur et al. 2021.
    """
    result: ProcessedMap = METHOD.result(Inputs(maps, mask=mask, keep=keep), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: SumParameters, execution: Execution) -> ProcessedMap:
    def contribution_of(bank: Bank, centres: Float64) -> Contribution:
        return lambda total, band: _add_phase(total, band.density, band.amplitude, np.float32(band.noise))

    meaning = f"Sum of local phases where the amplitude exceeds {100 * parameters.quantile:g} % of the solvent's"
    return sum_of_bands(inputs, parameters, execution, contribution_of, meaning)


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_phase(total, density, amplitude, noise):  # type: ignore[no-untyped-def]
    # cos(phase) * m / (m + Q), which is c / (m + Q), where m >= Q.
    for z in numba.prange(total.shape[0]):
        for y in range(total.shape[1]):
            for x in range(total.shape[2]):
                m = amplitude[z, y, x]
                if m >= noise and m > 0:
                    total[z, y, x] += density[z, y, x] / (m + noise)


METHOD = Method(
    name="locspiral",
    title="LocSpiral",
    maps=(HALVES, MAP),
    parameters=SumParameters,
    compute=_compute,
    memory=memory,
    outputs=OUTPUTS,
    citations=("Kaur2021",),
    optional=("keep",),
    mask="made",
    needs_noise=False,
    check=check,
    gpu_memory=gpu_memory,
)
