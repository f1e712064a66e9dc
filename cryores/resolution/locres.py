"""Local resolution that is calibrated: a value and its 5-95 % interval for every voxel, learnt from planted truth.

The halves are compared in bands under Gaussian windows (`cryores.resolution._band_correlation`); a small network that
was trained on simulated maps (`cryores.planted`) turns the correlations around a voxel into a distribution over
resolutions, whose median and interval are the result. The resolution is the finest at which the signal of a half map
is as strong as its noise: local FSC 0.5 of the halves, 0.67 of a map with all particles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.backend import gpu_bytes
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter
from cryores.resolution._band_correlation import band_correlations, comparing_bytes, comparing_volumes
from cryores.resolution._band_inputs import PROFILE
from cryores.resolution._local_average import Block
from cryores.resolution._neighbourhood import Estimate
from cryores.resolution._resolution_distribution import NYQUIST
from cryores.resolution._resolution_network import (
    ROWS_AT_ONCE,
    corrected,
    first_answers,
    shipped_network,
)
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume

NO_SIGNAL = 0.5
"""Probability of no signal at any frequency above which a voxel gets no value."""

AT_NYQUIST = 0.98
"""Share of Nyquist from which a value is said to be limited by it."""

BY_BOX = 4.0
"""Wavelengths that the shortest edge of the box has at the coarsest value that the box can tell."""


@dataclass(frozen=True)
class LocresParameters:
    """Parameters of the calibrated local resolution."""

    widest_interval: float = parameter(
        2.0,
        "Upper over lower end of the interval from which a voxel counts as uncertain and is shown grey",
        "",
        1.05,
        25.0,
        expert=True,
    )


@dataclass(frozen=True)
class CalibratedResolution(LocalResolution):
    """A local resolution with its interval.

    Parameters
    ----------
    uncertain : ndarray of bool
        Voxels that have a value whose interval is too wide to tell anything.
    """

    uncertain: BoolArray = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=bool))

    @property
    def lower(self) -> Volume:
        """The 5 % end of the interval in Å: the finest resolution that is likely."""
        return self.extra["lower"]

    @property
    def upper(self) -> Volume:
        """The 95 % end of the interval in Å: the coarsest resolution that is likely."""
        return self.extra["upper"]


def locres(
    maps: HalfMaps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> CalibratedResolution:
    """Estimate the local resolution and how sure it is.

    Parameters
    ----------
    maps : HalfMaps
        The two half maps of a reconstruction. They may be filtered by any isotropic filter; they must not be masked.
    mask : Volume, optional
        Voxels above 0.5 get a value; the halves are compared inside it. Made from the maps when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocresParameters`.

    Returns
    -------
    CalibratedResolution
        ``resolution`` (median), ``lower`` and ``upper`` (5 and 95 %) in Å, NaN outside the mask and where there is more
        likely no signal at all than any.

    Raises
    ------
    InputError
        For halves that cannot be compared; identical halves among them.
    WeightsError
        ``E_WEIGHTS`` when the network does not come with the package.
    """
    result: CalibratedResolution = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: LocresParameters, execution: Execution) -> CalibratedResolution:
    halves, mask = inputs.maps, inputs.mask
    assert isinstance(halves, HalfMaps) and mask is not None
    network = shipped_network()
    inside = mask.data > BINARY_THRESHOLD
    # What a step was given goes when it is done: only the answers are held while maps are made of them.
    found = corrected(
        first_answers(band_correlations(halves, inside, execution), inside, network.bands, execution),
        inside,
        network,
        execution,
    )
    told = found.none < NO_SIGNAL
    grid = halves.grid
    # An interval runs from the finest to the coarsest: the higher frequency is the lower end in Å.
    resolution, lower, upper = (
        _in_angstrom(f, told, inside, grid) for f in (found.frequency, found.highest, found.lowest)
    )
    uncertain = np.zeros(grid.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        uncertain[inside] = told & (found.highest > parameters.widest_interval * found.lowest)
    return CalibratedResolution(
        resolution=Volume(resolution, grid),
        mask=mask,
        criterion="Finest resolution at which signal and noise of a half map are equal around the voxel (local FSC 0.5)"
        ": median, with the interval that holds it 9 times of 10, of a network trained on planted truth",
        details=_details(found, told, uncertain[inside], grid),
        extra={"lower": Volume(lower, grid), "upper": Volume(upper, grid)},
        uncertain=uncertain,
    )


def _in_angstrom(frequency: FloatArray, told: BoolArray, inside: BoolArray, grid: Grid) -> FloatArray:
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[inside] = np.where(told, np.float32(grid.spacing) / frequency, np.float32(np.nan))
    return values


def _details(found: Estimate, told: BoolArray, uncertain: BoolArray, grid: Grid) -> Dict[str, Any]:
    number = max(int(np.count_nonzero(told)), 1)
    coarsest = grid.spacing * BY_BOX / min(grid.extent)
    return {
        "coverage_expected": 0.9,
        "uncertain_fraction": float(np.count_nonzero(uncertain)) / number,
        "nyquist_limited_fraction": float(np.count_nonzero(found.frequency[told] > AT_NYQUIST * NYQUIST)) / number,
        "box_limited_fraction": float(np.count_nonzero(found.frequency[told] < coarsest)) / number,
        "median_interval_ratio": float(np.median(found.highest[told] / found.lowest[told])) if told.any() else None,
    }


def _check(inputs: Inputs, parameters: LocresParameters) -> List[str]:
    shipped_network()
    return []


def _memory(inputs: Inputs, parameters: LocresParameters, threads: int) -> float:
    grid = inputs.grid
    inside, block = _asked(inputs)
    filled = float(np.prod([part.stop - part.start for part in block]))
    # Of a voxel of the mask: two answers of four numbers, a profile, what the second step averages, and the place; with
    # a field, its averages and what becomes of it in the block. At the end: three maps, one of which is being written.
    looking = (68.0 + 4.0 * PROFILE) * inside + 28.0 * filled
    telling = 13.0 * grid.size + 36.0 * inside
    return max(comparing_bytes(grid, block), looking, telling) + grid.size + 2000.0 * ROWS_AT_ONCE * threads


def _gpu_memory(inputs: Inputs, parameters: LocresParameters) -> float:
    # What is transformed and averaged, and the order of the coefficients.
    return gpu_bytes(inputs.grid, 0.6 + comparing_volumes(inputs.grid, _asked(inputs)[1]))


def _asked(inputs: Inputs) -> Tuple[float, Block]:
    """Return how many voxels are asked for, and the block that holds them; without a mask it could be all."""
    if inputs.mask is not None:
        inside = inputs.mask.data > BINARY_THRESHOLD
        if inside.any():
            return float(np.count_nonzero(inside)), block_around(inside)
    z, y, x = (slice(0, n) for n in inputs.grid.shape)
    return float(inputs.grid.size), (z, y, x)


METHOD = Method(
    name="locres",
    title="Calibrated local resolution",
    maps=(HALVES,),
    parameters=LocresParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={
        "resolution.mrc": "local resolution in Å (median), 0 outside the mask and where there is no signal",
        "lower.mrc": "5 % end of its interval in Å (fine)",
        "upper.mrc": "95 % end of its interval in Å (coarse)",
    },
    citations=("Vilas2020",),
    mask="made",
    check=_check,
)
