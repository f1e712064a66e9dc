"""Local resolution from the FSC of two half maps in a moving box.

At each voxel the half maps are cut to a box, tapered and compared by Fourier shell correlation; the local resolution
is where the curve falls below a cutoff. Source: Cardone, Heymann & Steven, J. Struct. Biol. 184, 226 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

from cryores.backend import gpu_bytes
from cryores.diagnosis import WINDOW_RULE, window_findings
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD, bounding_box
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter
from cryores.resolution._boxed_fsc import Shells, boxed_resolutions, without_mean
from cryores.resolution._interpolated_fsc import TAPS, interpolated_resolutions
from cryores.resolution._windowed_shells import padded_shape, windowed_resolutions
from cryores.shell_correlation import CROSSINGS, uncorrected_resolution
from cryores.symmetry import copies_in_asymmetric_unit, in_asymmetric_unit, interpolate_known, rotations
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume
from cryores.windows import TAPERS, taper_window

BOX_RULE = sum(WINDOW_RULE) / 2
"""Automatic box in units of the global resolution: the middle of what is good practice."""

STEPS_PER_BOX = 8
"""The automatic step is the box divided by this: far finer than what a box can tell apart."""

SMALLEST_BOX = 8
UNIT_MARGIN = 2.0
"""Voxels by which the asymmetric unit is widened, so that its copies can be interpolated."""

Points = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BlocresParameters:
    """Parameters of blocres."""

    box: Optional[int] = parameter(
        None, "edge of the box; default 6 times the global resolution", unit="voxels", minimum=SMALLEST_BOX
    )
    cutoff: Tuple[float, ...] = parameter(
        (0.5,), "FSC at which the resolution is read; one map for each", minimum=0.001, maximum=0.999
    )
    step: Optional[int] = parameter(
        None,
        "boxes around every so many voxels, and interpolated curves between; default an eighth of the box",
        unit="voxels",
        minimum=1,
    )
    mode: Optional[str] = parameter(
        None,
        "fast: products of filtered maps averaged over the box; exact: boxes; default fast, exact with a step",
        choices=("exact", "fast"),
    )
    min_resolution: Optional[float] = parameter(
        None, "finest resolution that is looked for; default Nyquist", unit="Å", minimum=0.1
    )
    symmetry: str = parameter("C1", "point group: only the asymmetric unit is computed (C4, D2, T, O, I, ...)")
    crossing: str = parameter(
        "last",
        "which descent below the cutoff counts",
        choices=tuple(c for c in CROSSINGS if c != "shell"),
        expert=True,
    )
    padding: int = parameter(
        1, "zeros added to each box, in box edges", unit="boxes", minimum=0, maximum=3, expert=True
    )
    taper: str = parameter("hann", "window of the box", choices=TAPERS, expert=True)
    edge: int = parameter(
        0,
        "leave out voxels this close to the border (half the box, as Bsoft does)",
        unit="voxels",
        minimum=0,
        expert=True,
    )


def blocres(
    maps: HalfMaps,
    mask: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> LocalResolution:
    """Compute the local resolution from the FSC in a moving box.

    Parameters
    ----------
    maps : HalfMaps
        The two half maps of a reconstruction, neither masked nor sharpened.
    mask : Volume, optional
        Voxels above 0.5 are analysed; it does not touch the maps. Default: made from the maps.
    execution : Execution, optional
        Threads, memory, progress.
    **parameters
        Fields of `BlocresParameters`.

    Returns
    -------
    LocalResolution
        ``resolution`` in Å for the first cutoff, NaN outside the mask; ``extra`` holds ``resolution_C`` for each
        further cutoff C.

    Raises
    ------
    UsageError
        ``E_BOX`` a box larger than the map · ``E_RANGE`` a finest resolution that is coarser than the box ·
        ``E_MODE`` fast with a step · ``E_SYMMETRY``.
    InputError
        For halves that cannot be compared.

    Notes
    -----
    The same as Bsoft's blocres except that (1) coefficients count with hermitian weights, (2) frequencies end at
    Nyquist, not at the corner of the spectrum, (3) boxes that reach beyond the map are filled with its mean in place of
    being left out, (4) with a step, the sums of the curves are interpolated, not the resolutions, (5) no value is
    coarser than the edge of the box.
    """
    return METHOD.result(Inputs(maps, mask), execution, parameters)  # type: ignore[no-any-return]


def _compute(inputs: Inputs, parameters: BlocresParameters, execution: Execution) -> LocalResolution:
    halves, mask = inputs.maps, inputs.mask
    assert isinstance(halves, HalfMaps) and mask is not None
    grid = halves.grid
    box = parameters.box or automatic_box(uncorrected_resolution(halves, mask, execution.threads), grid)
    mode = _mode(parameters)
    step = 1 if mode == "fast" else _step(parameters, box)
    shells = Shells.of_box(box, parameters.padding, grid.spacing, max(parameters.min_resolution or 0.0, grid.nyquist))
    wanted = _wanted(mask, parameters.edge)
    computed = _asymmetric_part(wanted, grid, parameters.symmetry)
    how: Any = (
        taper_window(parameters.taper, box), shells, grid.voxel_size,
        parameters.cutoff, parameters.crossing == "last", execution,
    )  # fmt: skip
    one, two = halves.half1.data, halves.half2.data
    if mode == "fast":
        values = windowed_resolutions(one, two, computed, *how)
    else:
        one, two = (execution.backend.asarray(without_mean(half)) for half in (one, two))
        voxels = np.argwhere(computed)
        if step == 1:
            values = boxed_resolutions(one, two, voxels, *how)
        else:
            values = interpolated_resolutions(one, two, voxels, step, *how)
    maps = [_fill(column, computed, wanted, grid, parameters.symmetry) for column in values.T]
    return LocalResolution(
        resolution=Volume(maps[0], grid),
        mask=mask,
        criterion=_criterion(parameters, box, grid),
        details={
            "box": box,
            "box_angstrom": box * grid.spacing,
            "step": step,
            "mode": mode,
            "voxels": len(values),
            "padded_box": shells.padded,
            "finest_resolution": shells.finest,
        },
        extra={f"resolution_{c:g}": Volume(m, grid) for c, m in zip(parameters.cutoff[1:], maps[1:])},
    )


def _mode(parameters: BlocresParameters) -> str:
    return parameters.mode or ("exact" if (parameters.step or 1) > 1 else "fast")


def _step(parameters: BlocresParameters, box: int) -> int:
    return parameters.step or max(1, box // STEPS_PER_BOX)


def automatic_box(overall: Optional[float], grid: Grid) -> int:
    """Return 6 times the global resolution (Å) in voxels; a quarter of the map if it is unknown.

    It is odd: an even box lies half a voxel beside its voxel, and symmetric maps would get values that are not.
    """
    wanted = min(grid.shape) / 4 if overall is None else BOX_RULE * overall / grid.spacing
    return int(np.clip(2 * round((wanted - 1) / 2) + 1, SMALLEST_BOX + 1, _largest_box(grid)))


def _largest_box(grid: Grid) -> int:
    """Return the largest box that is chosen by itself: half the map is hardly local any more."""
    return max(min(grid.shape) // 4 * 2 + 1, SMALLEST_BOX + 1)


def _criterion(parameters: BlocresParameters, box: int, grid: Grid) -> str:
    return (
        f"{parameters.crossing.capitalize()} crossing of FSC = {parameters.cutoff[0]:g} (interpolated) of the halves "
        f"in a box of {box} voxels ({box * grid.spacing:.1f} Å), {parameters.taper} taper"
    )


# --- where it is computed -----------------------------------------------------------------------------------------


def _wanted(mask: Volume, edge: int) -> BoolArray:
    wanted = mask.data > BINARY_THRESHOLD
    if edge:
        inner = np.zeros_like(wanted)
        # The upper limit belongs to it: a box around voxel n - edge ends at the border.
        inner[tuple(slice(edge, n - edge + 1) for n in wanted.shape)] = True
        wanted &= inner
    if not wanted.any():
        raise UsageError("E_BOX", f"no voxel of the mask is {edge} voxels away from the border", "lower --edge")
    return wanted


def _asymmetric_part(wanted: BoolArray, grid: Grid, symmetry: str) -> BoolArray:
    group = rotations(symmetry)
    if len(group) == 1:
        return wanted
    index = np.argwhere(wanted)
    part = np.zeros_like(wanted)
    part[tuple(index[in_asymmetric_unit(index, grid, group, UNIT_MARGIN * grid.spacing)].T)] = True
    return part


def _fill(values: FloatArray, computed: BoolArray, wanted: BoolArray, grid: Grid, symmetry: str) -> FloatArray:
    """Put the values where they were computed, and copy the asymmetric unit to the rest."""
    result = np.full(wanted.shape, np.nan, dtype=np.float32)
    result[computed] = values
    missing = np.argwhere(wanted & ~computed)
    if len(missing):
        result[tuple(missing.T)] = interpolate_known(
            result, copies_in_asymmetric_unit(missing, grid, rotations(symmetry))
        )
    return result


# --- checks and plan ----------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: BlocresParameters) -> List[str]:
    grid = inputs.maps.grid
    rotations(parameters.symmetry)
    if parameters.mode == "fast" and (parameters.step or 1) > 1:
        raise UsageError("E_MODE", "the fast mode computes every voxel", "leave --step out, or use --mode exact")
    if parameters.box is not None and parameters.box > min(grid.shape):
        raise UsageError(
            "E_BOX", f"a box of {parameters.box} voxels does not fit into {min(grid.shape)}", "give a smaller --box"
        )
    if (
        parameters.min_resolution is not None
        and parameters.box
        and parameters.min_resolution > parameters.box * grid.spacing / 2
    ):
        raise UsageError(
            "E_RANGE",
            f"--min-resolution {parameters.min_resolution:g} Å is coarser than the box can tell",
            "give a finer one, or a larger --box",
        )
    if not isinstance(inputs.maps, HalfMaps) or parameters.box is None:
        return []
    overall = uncorrected_resolution(inputs.maps, inputs.mask)
    return [str(finding) for finding in window_findings(parameters.box, grid.spacing, overall)]


def _memory(inputs: Inputs, parameters: BlocresParameters, threads: int) -> float:
    grid = inputs.maps.grid
    box = parameters.box or min(grid.shape) // 3
    padded = box * (1 + parameters.padding)
    columns = padded // 2 + 1
    pairs = threads * 2.0 * (4.0 * box**2 * padded + 8.0 * box * padded * columns + 16.0 * padded**2 * columns)
    block = [s.stop - s.start for s in _block(inputs)]
    # Every voxel has three indices of 8 bytes (on a lattice, twice that), its place, the last FSC and the crossing.
    each = 64.0 if _mode(parameters) == "exact" else 40.0
    places = each * (grid.size if inputs.mask is None else np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD))
    if _mode(parameters) == "fast":
        # Two spectra, the window's, three products, and masks.
        shape = grid.shape if inputs.mask is None else padded_shape(grid.shape, _block(inputs), box)
        return 4.0 * float(np.prod(shape)) * 6.6 + places
    # Both halves without their mean, and the result.
    whole = 4.0 * grid.size * 3 + places
    lattice = np.prod([n / _step(parameters, box) + TAPS.size for n in block])
    return float(whole + pairs + lattice * 12.0 * columns)


def _block(inputs: Inputs) -> Tuple[slice, slice, slice]:
    """Return the smallest block that holds the mask."""
    if inputs.mask is not None:
        return bounding_box(inputs.mask)
    z, y, x = (slice(0, n) for n in inputs.grid.shape)
    return z, y, x


def _reached(edge: int, voxels: slice, box: int, step: int) -> int:
    """Return the length of an axis with what the boxes around ``voxels``, or a lattice around them, reach beyond."""
    first, last = voxels.start, voxels.stop - 1
    if step > 1:
        first, last = ((end // step + int(tap)) * step for end, tap in zip((first, last), (TAPS[0], TAPS[-1])))
    return int(edge + max(0, box // 2 - first) + max(0, last + box - box // 2 - edge))


def _gpu_memory(inputs: Inputs, parameters: BlocresParameters) -> float:
    grid = inputs.grid
    voxels = grid.size if inputs.mask is None else np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD)
    box = parameters.box or min(grid.shape) // 3
    if _mode(parameters) == "fast":
        # Three maps and their spectra, those of both halves and of the window; of each voxel its place (8 bytes), the
        # last FSC and the crossings.
        padded = Grid.regular(padded_shape(grid.shape, _block(inputs), box), grid.voxel_size)
        return gpu_bytes(padded, 9.0) + (12.0 + 4.0 * len(parameters.cutoff)) * float(voxels)
    shells = Shells.of_box(box, parameters.padding, grid.spacing, max(parameters.min_resolution or 0.0, grid.nyquist))
    coefficients = shells.padded**2 * (shells.padded // 2 + 1)
    # Both halves, as they are and with zeros around; the shares of the coefficients in the shells; boxes.
    around = float(np.prod([_reached(*of, box, _step(parameters, box)) for of in zip(grid.shape, _block(inputs))]))
    return gpu_bytes(grid, 2.0, boxes=True) + 8.0 * around + 4.0 * coefficients * shells.count


METHOD = Method(
    name="blocres",
    title="blocres",
    maps=(HALVES,),
    parameters=BlocresParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={"resolution.mrc": "local resolution in Å at the first cutoff, 0 outside the mask"},
    citations=("Cardone2013", "Vilas2020"),
    mask="made",
    needs_noise=True,
    check=_check,
)
