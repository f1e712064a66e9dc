"""Local resolution of tomograms by MonoTomo: where the monogenic amplitude stands out of a noise that varies in space.

Vilas et al. (2020), Journal of Structural Biology: X 4, 100016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numpy as np
import scipy.fft

from cryores.diagnosis import diagnose, range_on_grid
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.fourier import Complex, Float64
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter
from cryores.monogenic import Edges, Monogenic, Sweep, band_pass, high_pass, low_pass, moments
from cryores.resolution._monogenic_sweep import (
    COARSE_GRIDS,
    SMALLEST_SIGNAL_SHARE,
    Engines,
    Progress,
    doubts_about_sweep,
    resolution_map,
    smooth_downwards,
    tested_resolutions,
)
from cryores.resolution._noise_surface import NoiseSurface
from cryores.slab_monogenic import COLUMN_SHARE, HELD_VOLUMES, SlabMonogenic
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, IntTriple, Volume

DEFAULT_COARSEST = 30.0
"""Å at which the sweep starts where the user states nothing, or `DEFAULT_COARSEST_VOXELS` if that is coarser."""

DEFAULT_COARSEST_VOXELS = 10.0

TRANSITIONS = {"bandpass": 0.02, "highpass": 0.01}
"""Width of the filters' edges (cycles per voxel) where the user states nothing."""

BORDER = 10
"""Voxels at each end of an axis over which the tomogram fades out and where nothing is measured, or a tenth of it."""

LEAST_EDGE = 16
"""Voxels that a tomogram needs along each axis."""

DIAGNOSED_EDGE = 160
"""Voxels along each axis of the central part that is examined for what misleads."""

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
    """The local resolution of a tomogram, which may be too large to be drawn as it is."""


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
            f"the whole mask lies in the border of {_border(grid.shape)} voxels (z, y, x) where nothing is measured",
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


def _transition(parameters: MonotomoParameters) -> float:
    return TRANSITIONS[parameters.filter] if parameters.transition is None else parameters.transition


def _centre(maps: HalfMaps) -> HalfMaps:
    """Return the middle of large tomograms: enough to judge their noise by."""
    part = tuple(slice((n - min(n, DIAGNOSED_EDGE)) // 2, (n + min(n, DIAGNOSED_EDGE)) // 2) for n in maps.grid.shape)
    halves = [half.data[part] for half in (maps.half1, maps.half2)]
    z, y, x = halves[0].shape
    grid = Grid.regular((z, y, x), maps.grid.voxel_size)
    return HalfMaps(Volume(halves[0], grid), Volume(halves[1], grid))


def _border(shape: IntTriple) -> IntTriple:
    z, y, x = (min(BORDER, n // 10) for n in shape)
    return z, y, x


def _padded(grid: Grid) -> Grid:
    """Return the grid of the box in which the tomogram is transformed: edges with small prime factors, even."""
    z, y, x = (2 * scipy.fft.next_fast_len((n + 1) // 2, real=True) for n in grid.shape)
    return Grid.regular((z, y, x), grid.voxel_size)


def _first(volume: FloatArray, shape: IntTriple) -> FloatArray:
    """Return the beginning of the memory of a contiguous volume, as one of ``shape``."""
    return volume.reshape(-1)[: shape[0] * shape[1] * shape[2]].reshape(shape)


def _inner(shape: IntTriple) -> Tuple[slice, slice, slice]:
    z, y, x = (slice(b, n - b) for b, n in zip(_border(shape), shape))
    return z, y, x


def _tested(inputs: Inputs) -> BoolArray:
    """Return the voxels that are tested: those of the mask that do not lie in the border."""
    inner = _inner(inputs.grid.shape)
    tested = np.zeros(inputs.grid.shape, dtype=bool)
    tested[inner] = True if inputs.mask is None else inputs.mask.data[inner] > 0.5
    return tested


# --- amplitudes of signal and noise -------------------------------------------------------------------------------


class Amplitudes:
    """The amplitudes of signal and noise at each frequency, of the tomogram faded out at its border.

    Because it fades out, it may be continued with zeros: to a box whose transforms are fast. In slabs, there is room
    for one spectrum only, which is computed anew each time.
    """

    def __init__(self, maps: HalfMaps, parameters: MonotomoParameters, threads: int, slabs: int) -> None:
        grid = _padded(maps.grid)
        self._maps = maps
        self._part = tuple(slice(0, n) for n in maps.grid.shape)
        self._parameters = parameters
        self.engine = SlabMonogenic(grid, threads, slabs) if slabs else Monogenic(grid, threads)
        self._engines = Engines(self.engine, threads)
        self.noise_surface = NoiseSurface(maps.grid.shape, _border(maps.grid.shape), parameters.noise_tile, grid.shape)
        self._kept = [self._transformed(o) for o in (np.subtract, np.add)] if not slabs else None

    def threshold(self, resolution: float) -> FloatArray:
        """Return the amplitude that a voxel must exceed at ``resolution`` (Å), at every (y, x)."""
        band, smooth = self._bands(resolution)
        engine = self._engines.holding(max(band.reach, smooth.reach))
        amplitude = engine.smoothed(engine.amplitude(self._noise(), band), smooth)
        return self.noise_surface.threshold(amplitude, self._parameters.significance)

    def signal(self, resolution: float) -> FloatArray:
        """Return the amplitude of the tomogram at ``resolution`` (Å), valid until the next call."""
        band, smooth = self._bands(resolution)
        engine = self._engines.holding(max(band.reach, smooth.reach))
        return self._engines.everywhere(engine, engine.amplitude(self._full(), band), smooth)[self._part]

    def _bands(self, resolution: float) -> Tuple[Edges, Edges]:
        chosen = self._parameters
        frequency, width = self._maps.grid.spacing / resolution, _transition(chosen)
        make = band_pass if chosen.filter == "bandpass" else high_pass
        return make(frequency, width), low_pass(frequency, width)

    def _noise(self) -> Complex:
        return self._kept[0] if self._kept else self._transformed(np.subtract)

    def _full(self) -> Complex:
        return self._kept[1] if self._kept else self._transformed(np.add)

    def _transformed(self, operation: np.ufunc) -> Complex:
        """Return the spectrum of half the sum or difference of the halves, without its mean, faded out."""
        self.engine.buffer[:] = 0
        buffer = self.engine.buffer[self._part]
        operation(self._maps.half1.data, self._maps.half2.data, out=buffer)
        buffer *= np.float32(0.5)
        buffer -= np.float32(buffer.mean(dtype=np.float64))
        for axis, border in enumerate(_border(self._maps.grid.shape)):
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(border) + 0.5) / max(border, 1))
            fade = np.expand_dims(ramp.astype(np.float32), [a for a in range(3) if a != axis])
            first, last = (np.moveaxis(buffer, axis, 0)[part] for part in (slice(0, border), slice(-border, None)))
            if border:
                fade = np.moveaxis(fade, axis, 0)
                first *= fade
                last *= fade[::-1]
        return self.engine.transform(self.engine.buffer)


# --- the sweep ----------------------------------------------------------------------------------------------------


def _sweep(
    sweep: Sweep, resolutions: Float64, source: Amplitudes, parameters: MonotomoParameters, steps: Any
) -> Progress:
    progress = Progress()
    asked = max(sweep.active, 1)
    largest = 0.0
    for index, resolution in enumerate(resolutions):
        active = sweep.active
        if active == 0:
            progress.ended = "every voxel was finished"
            break
        threshold = source.threshold(float(resolution))
        amplitude = source.signal(float(resolution))
        signal = moments(amplitude, sweep.state)
        largest = max(largest, signal.mean)
        if parameters.filter == "highpass" and signal.mean < SMALLEST_SIGNAL_SHARE * largest:
            progress.ended = f"the mean signal fell below {100 * SMALLEST_SIGNAL_SHARE:g} % of its largest"
            break
        passed = sweep.test(index, amplitude, threshold)
        progress.add(float(resolution), float(np.median(threshold)), active / asked, passed / asked)
        steps.advance()
    return progress


def compute(inputs: Inputs, parameters: MonotomoParameters, execution: Execution) -> TomogramResolution:
    """Run the sweep on checked inputs, in the way that was planned."""
    assert isinstance(inputs.maps, HalfMaps)
    grid, threads = inputs.grid, execution.threads
    resolutions = _resolutions(grid, parameters)
    slabs = _planned_slabs(inputs, parameters, execution)
    with execution.stage("preparing the transforms"):
        tested = _tested(inputs)
        source = Amplitudes(inputs.maps, parameters, threads, slabs)
        sweep = Sweep(tested)
        del tested
    with execution.stage("sweeping frequencies", len(resolutions)) as steps:
        progress = _sweep(sweep, resolutions, source, parameters, steps)
    with execution.stage("smoothing"):
        engine, tiles, never = source.engine, source.noise_surface.tiles, sweep.never_passed
        del source
        values, typical = resolution_map(sweep.level, resolutions, out=_first(engine.spare(), grid.shape))
        del sweep
        if parameters.smooth:
            smooth_downwards(values, typical, engine)
        del engine
    tested = _tested(inputs)
    details = {
        **progress.details(),
        "never_passed_fraction": never / max(int(np.count_nonzero(tested)), 1),
        "noise_tiles_yx": list(tiles),
        "border_zyx": list(_border(grid.shape)),
        "slabs": slabs,
        "transition": _transition(parameters),
        "max_resolution": float(resolutions[0]),
        "min_resolution": float(resolutions[-1]),
    }
    mask = tested.astype(np.float32) if inputs.mask is None else (inputs.mask.data > 0.5).astype(np.float32)
    return TomogramResolution(Volume(values, grid), Volume(mask, grid), _criterion(parameters), details)


def _criterion(parameters: MonotomoParameters) -> str:
    kind = "high-pass" if parameters.filter == "highpass" else "band-pass"
    smoothed = "smoothed" if parameters.smooth else "not smoothed"
    return (
        f"the finest resolution at which the monogenic amplitude of the {kind} filtered tomogram exceeds the "
        f"{100 * parameters.significance:g} % quantile of that of half the difference of the half tomograms around "
        f"there, in tiles of about {parameters.noise_tile:g} voxels; "
        f"filter edges of {_transition(parameters):g}/voxel, {smoothed}"
    )


# --- memory -------------------------------------------------------------------------------------------------------


def memory(inputs: Inputs, parameters: MonotomoParameters, threads: int) -> float:
    """Return an upper bound of the bytes held at the peak beyond the inputs, by the whole tomogram."""
    return _bytes(inputs.grid, parameters, 0)


def memory_within(inputs: Inputs, parameters: MonotomoParameters, threads: int, budget: float) -> float:
    """Return the bytes of the fastest way that fits into ``budget`` bytes, or of the one that needs the least."""
    ways = [_bytes(inputs.grid, parameters, slabs) for slabs in (0, *SLABS)]
    return next((needed for needed in ways if needed <= budget), min(ways))


def _planned_slabs(inputs: Inputs, parameters: MonotomoParameters, execution: Execution) -> int:
    """Return the number of slabs that was planned, 0 for the whole tomogram at once."""
    ways = {slabs: _bytes(inputs.grid, parameters, slabs) for slabs in (0, *SLABS)}
    return next((slabs for slabs, needed in ways.items() if needed == execution.planned_bytes), 0)


def _bytes(grid: Grid, parameters: MonotomoParameters, slabs: int) -> float:
    # The state of the sweep takes three quarters of a volume; a narrow band three on the largest of the coarse grids.
    volumes = 0.75 + (3 * (COARSE_GRIDS[-1] * 1.05) ** 3 if parameters.filter == "bandpass" else 0.0)
    volumes += HELD_VOLUMES + 1.0 / slabs + 2.0 / COLUMN_SHARE if slabs else 6.25
    nz, ny, nx = _padded(grid).shape
    return volumes * 4.0 * nz * ny * (nx + 2) + 24e6


METHOD = Method(
    name="monotomo",
    title="MonoTomo",
    summary=(__doc__ or "").splitlines()[0],
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
)
