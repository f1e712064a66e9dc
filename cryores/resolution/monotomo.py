"""Local resolution of tomograms by MonoTomo: where the monogenic amplitude stands out of a noise that varies in space.

Vilas et al. (2020), Journal of Structural Biology: X 4, 100016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from cryores.backend import HOST, gpu_bytes
from cryores.blocks import Cuts, is_mapped
from cryores.diagnosis import diagnose, range_on_grid
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter, statistics
from cryores.monogenic import Sweep, moments
from cryores.resolution._monogenic_sweep import (
    COARSE_GRIDS,
    SMALLEST_SIGNAL_SHARE,
    Progress,
    doubts_about_sweep,
    resolution_map,
    smooth_downwards,
    tested_resolutions,
)
from cryores.resolution._noise_surface import NoiseSurface
from cryores.resolution._tomogram import Amplitudes, Criterion, border, inner, means, padded
from cryores.resolution._tomogram_blocks import TomogramInBlocks, cuts_within, largest_block
from cryores.slab_monogenic import COLUMN_SHARE, HELD_VOLUMES
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, IntTriple, Volume

DEFAULT_COARSEST = 30.0
"""Å at which the sweep starts where the user states nothing, or `DEFAULT_COARSEST_VOXELS` if that is coarser."""

DEFAULT_COARSEST_VOXELS = 10.0

TRANSITIONS = {"bandpass": 0.02, "highpass": 0.01}
"""Width of the filters' edges (cycles per voxel) where the user states nothing."""

LEAST_EDGE = 16
"""Voxels that a tomogram needs along each axis."""

DIAGNOSED_EDGE = 160
"""Voxels along each axis of the central part that is examined for what misleads."""

MOST_VALUES = 2**26
"""Values from which the statistics are made where the map lies in a file."""

DASK_BYTES = 60e6
"""What dask and its list of tasks take, whatever the block."""

SLABS = (1, 2, 4, 8, 16)
"""Numbers of slabs that are tried when the volumes of the whole tomogram do not fit."""


@dataclass(frozen=True)
class MonotomoParameters:
    """What MonoTomo can be told."""

    min_resolution: Optional[float] = parameter(None, "Finest resolution tested; default Nyquist.", "Å", 0.1, 1000)
    max_resolution: Optional[float] = parameter(
        None,
        "Coarsest resolution tested; default 30 Å or 10 voxels, or a quarter of the longest edge where that is less.",
        "Å",
        0.1,
        2000,
    )
    resolution_step: float = parameter(
        0.5, "Distance of tested resolutions, each moved to a Fourier bin.", "Å", 0.01, 100
    )
    significance: float = parameter(0.95, "Share of the noise that a voxel must exceed.", "", 0.5, 0.9999)
    filter: str = parameter(
        "bandpass",
        "bandpass compares at the tested frequency only; highpass keeps all above it, as published.",
        choices=("highpass", "bandpass"),
    )
    noise_tile: float = parameter(
        50.0, "Edge of the tiles in which the noise is measured; a tile as large as the box takes one noise for all.",
        "voxels", 10, 100000, expert=True,
    )  # fmt: skip
    transition: Optional[float] = parameter(
        None,
        "Width of the filters' edges; default 0.02, or 0.01 with highpass, as published.",
        "1/voxel",
        0.002,
        0.1,
        expert=True,
    )
    smooth: bool = parameter(True, "Smooth the values by a Gaussian of 2.1 voxels, never upwards.", expert=True)


class TomogramResolution(LocalResolution):
    """The local resolution of a tomogram, which may be too large to be drawn as it is, or for memory."""

    def values(self) -> FloatArray:
        """Return the values inside the mask; of a map in a file, those of as many columns as make no large array."""
        values, asked = self._sample()
        found: FloatArray = values[asked & np.isfinite(values)]
        return found

    def summary(self) -> Dict[str, Any]:
        """Return what every local map tells, of the values that `values` returns."""
        asked = int(np.count_nonzero(self._sample()[1]))
        return {**statistics(self.values(), asked), "unit": self.unit, **self.details}

    def _sample(self) -> Tuple[FloatArray, BoolArray]:
        data = self.resolution.data
        every = int(np.ceil(np.sqrt(data.size / MOST_VALUES))) if is_mapped(data) else 1
        columns = (slice(None), slice(None, None, every), slice(None, None, every))
        return data[columns], self.mask.data[columns] > 0.5


def monotomo(
    maps: HalfMaps,
    mask: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> TomogramResolution:
    """Measure the local resolution of a tomogram with MonoTomo.

    At each tested frequency, from coarse to fine, the tomogram is filtered and its monogenic amplitude compared, voxel
    by voxel, with a quantile of the noise's amplitude around there. A voxel that does not exceed it at two frequencies
    in a row keeps the last one it passed.

    Parameters
    ----------
    maps : HalfMaps
        Two tomograms of the same tilt series, from odd and even frames (or images), shape (nz, ny, nx). Neither cubic
        boxes nor equal voxels are needed; contrast may have either sign.
    mask : Volume, optional
        Voxels above 0.5 are analysed; default, all but the border. The noise is measured everywhere.
    execution : Execution, optional
        Threads and memory. A budget below what the whole tomogram needs is kept by finishing it slab by slab; the
        values are the same.
    **parameters
        Fields of `MonotomoParameters`.

    Returns
    -------
    TomogramResolution
        Resolution in Å; NaN outside the mask, at the border and where no test was decided. ``details`` tells the
        tiles of the noise and each frequency's median threshold and share of voxels that passed.

    Raises
    ------
    UsageError
        ``E_RANGE`` for a range of resolutions that is upside down or outside Nyquist and box.
    InputError
        ``E_THIN`` for fewer than 16 voxels along an axis · ``E_MASK_BORDER`` for a mask that lies in the border.
    MemoryBudgetError
        If not even 16 slabs fit.

    Notes
    -----
    Differs from the published program: its y component is not a Riesz transform, ours is; the band-pass is the
    default; frequencies are bins of the longest edge, not of the thin one; the surface of the noise is fitted to
    logarithms, and to any number of tiles; the border is undetermined, and a tenth of a thin axis at most.

    References
    ----------
    Vilas et al. (2020), Journal of Structural Biology: X 4, 100016.
    """
    result: TomogramResolution = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


# --- what is tested, and where ------------------------------------------------------------------------------------


def check(inputs: Inputs, parameters: MonotomoParameters) -> List[str]:
    """Say in words what is suspicious; raise for what cannot be tested."""
    assert isinstance(inputs.maps, HalfMaps)
    grid = inputs.grid
    if min(grid.shape) < LEAST_EDGE:
        raise InputError(
            "E_THIN",
            f"the tomogram has {min(grid.shape)} voxels along its thinnest axis, and MonoTomo needs {LEAST_EDGE}",
            "give a tomogram that was not cut, or less binned",
        )
    resolutions = _resolutions(grid, parameters)
    if inputs.mask is not None and not _tested(inputs).any():
        raise InputError(
            "E_MASK_BORDER",
            f"the whole mask lies in the border of {border(grid.shape)} voxels (z, y, x) where nothing is measured",
            "give a mask that reaches further in",
        )
    # The sign of a tomogram's contrast does not matter here.
    found = [finding for finding in diagnose(_centre(inputs.maps)) if finding.code != "W_INVERTED"]
    found += range_on_grid(grid, parameters.min_resolution, parameters.max_resolution)
    return doubts_about_sweep(resolutions) + [str(finding) for finding in found]


def _resolutions(grid: Grid, parameters: MonotomoParameters) -> Float64:
    usual = max(DEFAULT_COARSEST, DEFAULT_COARSEST_VOXELS * grid.spacing)
    finest, coarsest = parameters.min_resolution, parameters.max_resolution
    return tested_resolutions(grid, finest, coarsest, parameters.resolution_step, usual)


def _test(parameters: MonotomoParameters) -> Criterion:
    width = TRANSITIONS[parameters.filter] if parameters.transition is None else parameters.transition
    return Criterion(parameters.filter, width, parameters.significance, parameters.noise_tile)


def _centre(maps: HalfMaps) -> HalfMaps:
    """Return the middle of large tomograms: enough to judge their noise by."""
    part = tuple(slice((n - min(n, DIAGNOSED_EDGE)) // 2, (n + min(n, DIAGNOSED_EDGE)) // 2) for n in maps.grid.shape)
    halves = [half.data[part] for half in (maps.half1, maps.half2)]
    z, y, x = halves[0].shape
    grid = Grid.regular((z, y, x), maps.grid.voxel_size)
    return HalfMaps(Volume(halves[0], grid), Volume(halves[1], grid))


def _first(volume: Optional[FloatArray], shape: IntTriple) -> Optional[FloatArray]:
    """Return the beginning of the memory of a contiguous volume, if there is one, as one of ``shape``."""
    return None if volume is None else volume.reshape(-1)[: shape[0] * shape[1] * shape[2]].reshape(shape)


def _tested(inputs: Inputs) -> BoolArray:
    """Return the voxels that are tested: those of the mask that do not lie in the border."""
    within = inner(inputs.grid.shape)
    tested = np.zeros(inputs.grid.shape, dtype=bool)
    tested[within] = True if inputs.mask is None else inputs.mask.data[within] > 0.5
    return tested


# --- the sweep ----------------------------------------------------------------------------------------------------


def _sweep(
    sweep: Sweep, resolutions: Float64, source: Amplitudes, surface: NoiseSurface, test: Criterion, steps: Any
) -> Progress:
    progress = Progress()
    asked = max(sweep.active, 1)
    largest = 0.0
    for index, resolution in enumerate(resolutions):
        active = sweep.active
        if active == 0:
            progress.ended = "every voxel was finished"
            break
        noise = source.engine.backend.to_host(source.noise(float(resolution)))
        threshold = surface.threshold(noise, test.significance)
        amplitude = source.signal(float(resolution))
        signal = moments(amplitude, sweep.state)
        largest = max(largest, signal.mean)
        if test.filter == "highpass" and signal.mean < SMALLEST_SIGNAL_SHARE * largest:
            progress.ended = f"the mean signal fell below {100 * SMALLEST_SIGNAL_SHARE:g} % of its largest"
            break
        passed = sweep.test(index, amplitude, threshold)
        progress.add(float(resolution), float(np.median(threshold)), active / asked, passed / asked)
        steps.advance()
    return progress


def compute(inputs: Inputs, parameters: MonotomoParameters, execution: Execution) -> TomogramResolution:
    """Run the sweep on checked inputs, in the way that was planned."""
    assert isinstance(inputs.maps, HalfMaps)
    grid, resolutions, test = inputs.grid, _resolutions(inputs.grid, parameters), _test(parameters)
    # A GPU has one way: all at once.
    on_host = execution.backend is HOST
    way = _way(grid, parameters, execution.planned_bytes if execution.planned_bytes and on_host else np.inf)
    if way.cuts is None:
        values, mask, progress, never = _in_memory(inputs, resolutions, parameters, execution, way.slabs)
    else:
        whole = TomogramInBlocks(inputs, way.cuts, resolutions, test, execution)
        values, progress, never = whole.values(parameters.smooth)
        mask = whole.mask()
    surface = NoiseSurface(grid.shape, border(grid.shape), test.noise_tile, padded(grid.shape))
    details = {
        **progress.details(),
        "never_passed_fraction": never,
        "noise_tiles_yx": list(surface.tiles),
        "border_zyx": list(border(grid.shape)),
        "slabs": way.slabs,
        "blocks_yx": [len(edges) - 1 for edges in way.cuts[1:]] if way.cuts else [1, 1],
        "transition": test.transition,
        "max_resolution": float(resolutions[0]),
        "min_resolution": float(resolutions[-1]),
    }
    return TomogramResolution(Volume(values, grid), Volume(mask, grid), _criterion(parameters), details)


def _in_memory(
    inputs: Inputs, resolutions: Float64, parameters: MonotomoParameters, execution: Execution, slabs: int
) -> Tuple[FloatArray, FloatArray, Progress, float]:
    """Return the resolution map, where it was asked for, what the sweep did, and what share never passed."""
    assert isinstance(inputs.maps, HalfMaps)
    grid, test = inputs.grid, _test(parameters)
    halves = (inputs.maps.half1.data, inputs.maps.half2.data)
    with execution.stage("preparing the transforms"):
        sweep = Sweep(execution.backend.asarray(_tested(inputs)))
        asked = sweep.active
        source = Amplitudes(halves, grid, means(halves), test, execution.threads, slabs, execution.backend)
        surface = NoiseSurface(grid.shape, border(grid.shape), test.noise_tile, padded(grid.shape))
    with execution.stage("sweeping frequencies", len(resolutions)) as steps:
        progress = _sweep(sweep, resolutions, source, surface, test, steps)
    with execution.stage("smoothing"):
        engine, never = source.engine, sweep.never_passed / max(asked, 1)
        del source
        level = execution.backend.to_host(sweep.level)
        values, typical = resolution_map(level, resolutions, out=_first(engine.spare(), grid.shape))
        del sweep, level
        if parameters.smooth:
            values = smooth_downwards(values, typical, engine)
        del engine
    mask = _tested(inputs) if inputs.mask is None else inputs.mask.data > BINARY_THRESHOLD
    return values, mask.astype(np.float32), progress, never


def _criterion(parameters: MonotomoParameters) -> str:
    kind = "high-pass" if parameters.filter == "highpass" else "band-pass"
    smoothed = "smoothed" if parameters.smooth else "not smoothed"
    return (
        f"the finest resolution at which the monogenic amplitude of the {kind} filtered tomogram exceeds the "
        f"{100 * parameters.significance:g} % quantile of that of half the difference of the half tomograms around "
        f"there, in tiles of about {parameters.noise_tile:g} voxels; "
        f"filter edges of {_test(parameters).transition:g}/voxel, {smoothed}"
    )


# --- memory -------------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """A way to run: all at once, in slabs, or in blocks; and the bytes that it holds at the peak beyond the inputs."""

    slabs: int
    cuts: Optional[Cuts]
    needed: float


def memory(inputs: Inputs, parameters: MonotomoParameters, threads: int) -> float:
    """Return the bytes held at the peak beyond the inputs by the whole tomogram."""
    return _bytes(inputs.grid.shape, parameters, 0)


def memory_within(inputs: Inputs, parameters: MonotomoParameters, threads: int, budget: float) -> float:
    """Return the bytes of the fastest way that fits into ``budget`` bytes, or of the one that needs the least."""
    return _way(inputs.grid, parameters, budget).needed


def _way(grid: Grid, parameters: MonotomoParameters, budget: float) -> Way:
    for slabs in (0, *SLABS):
        needed = _bytes(grid.shape, parameters, slabs)
        if needed <= budget:
            return Way(slabs, None, needed)
    test = _test(parameters)

    def of_block(seen: IntTriple) -> float:
        # Of a spectrum less than the whole, for signal and noise take turns; and both halves of what it sees.
        return _bytes(seen, parameters, 0) + 4.0 * float(np.prod(seen)) + DASK_BYTES

    cuts = cuts_within(grid.shape, test, of_block, budget)
    in_blocks = Way(0, cuts, of_block(largest_block(cuts, test)))
    in_slabs = Way(SLABS[-1], None, _bytes(grid.shape, parameters, SLABS[-1]))
    return min(in_slabs, in_blocks, key=lambda way: way.needed)


def _bytes(shape: IntTriple, parameters: MonotomoParameters, slabs: int) -> float:
    # The state of the sweep takes three quarters of a volume; a narrow band three on the largest of the coarse grids.
    volumes = 0.75 + (3 * (COARSE_GRIDS[-1] * 1.05) ** 3 if parameters.filter == "bandpass" else 0.0)
    volumes += HELD_VOLUMES + 1.0 / slabs + 2.0 / COLUMN_SHARE if slabs else 5.15
    nz, ny, nx = padded(shape)
    return volumes * 4.0 * nz * ny * (nx + 2)


def gpu_memory(inputs: Inputs, parameters: MonotomoParameters) -> float:
    """Return the bytes held at the peak on a GPU."""
    # As on the host, and what a transform returns before it is stored.
    return gpu_bytes(inputs.grid, 1.0) + _bytes(inputs.grid.shape, parameters, 0)


METHOD = Method(
    name="monotomo",
    title="MonoTomo",
    maps=(HALVES,),
    parameters=MonotomoParameters,
    compute=compute,
    memory=memory,
    memory_within=memory_within,
    outputs={"resolution.mrc": "local resolution in Å; 0 outside the mask, at the border, where no test was decided"},
    citations=("Vilas2020Tomo",),
    mask="used",
    needs_noise=False,
    check=check,
    gpu_memory=gpu_memory,
)
