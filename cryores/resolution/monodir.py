"""Directional local resolution by MonoDir: how finely each voxel is resolved along each of 81 directions.

Vilas, Tagare, Vargas, Carazo & Sorzano (2020), Nature Communications 11, 55.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.diagnosis import margin_findings
from cryores.directions import geodesic_axes, rotation_and_tilt
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.fourier import Complex, Float64, rfft, shell_sums
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.monogenic import Edges
from cryores.resolution._directional_amplitude import Cone, DirectionalAmplitude, cone_about
from cryores.resolution._directional_statistics import (
    AVERAGED,
    Directions,
    Levels,
    RadialAverages,
    principal_axes,
    radial_averages,
    slope_over_radius,
    spread_of,
    z_scores,
)
from cryores.resolution.monores import MonoresParameters, _filled_sphere, tested_resolutions
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Maps, Volume, full_map

FREQUENCIES_OF_AXES = {False: 4, True: 3}
"""How finely an icosahedron is cut: 81 directions, or 46 for the fast computation."""

FALL = 7.0
"""Voxels over which amplitudes fall to 0 at the rim of the sphere that one map fills."""

NOISE_CONE = np.radians(45.0)
"""The noise of a direction, in one map, is that around the particle within this angle of the direction."""

BAND_SHARE = 0.05
"""Edges of the filters reach to a resolution so much coarser and finer, or one step if that is more."""

SMALLEST_ACTIVE_SHARE = 0.025
"""A direction ends when a smaller share of the voxels is still tested."""

SMALLEST_SIGNAL_SHARE = 0.001 / 9.0
"""A direction is empty when its mean amplitude is below this share of the map's: nothing was measured along it."""


SIGNIFICANCE = {False: 0.95, True: 0.99}
"""Share of the noise to exceed in one map, as published, and in half maps. Around the particle of one map lies signal
too, which makes the test stricter. Of 81 directions, 0.95 lets four pass by chance, and the highest is the fourth."""


@dataclass(frozen=True)
class MonodirParameters:
    """What MonoDir can be told."""

    min_resolution: Optional[float] = parameter(None, "Finest resolution tested; default Nyquist.", "Å", 0.1, 1000)
    max_resolution: Optional[float] = parameter(
        None, "Coarsest resolution tested; default 18 Å, or a quarter of the box where that is less.", "Å", 0.1, 1000
    )
    resolution_step: float = parameter(
        0.5, "Distance of tested resolutions, each moved to a Fourier bin.", "Å", 0.01, 10
    )
    significance: Optional[float] = parameter(
        None, "Share of the noise that a voxel must exceed; default 0.95 with one map, 0.99 with halves.", "", 0.5, 0.9999
    )
    fast: bool = parameter(False, "46 directions in place of 81.")
    map_radius: Optional[float] = parameter(
        None, "Radius of the sphere that the map was masked with; default, found where the map ends.", "Å", 1, 10000
    )
    filter: str = parameter(
        "highpass",
        "highpass keeps all above the tested frequency, as published; bandpass does not feel sharpening.",
        choices=("highpass", "bandpass"),
        expert=True,
    )


@dataclass(frozen=True)
class MonodirResult(LocalResolution):
    """Directional local resolution; ``resolution`` is the highest one, along the best directions.

    Parameters
    ----------
    directions : Directions
        How many voxels prefer each direction, and the mean resolution along it.
    averages : RadialAverages
        Radial, tangential, highest and lowest resolution over the distance from the centre.
    """

    directions: Directions = field(default=Directions(*[np.zeros((0, 3)), *[np.zeros(0)] * 3]), repr=False)
    averages: RadialAverages = field(
        default=RadialAverages(np.zeros(0), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 4))), repr=False
    )

    def volumes(self) -> Dict[str, Volume]:
        """Return ``doa``, ``mean``, ``highest``, ``lowest``, ``radial``, ``tangential`` (Å) and ``zscore``."""
        return {"highest": self.resolution, **self.extra}

    def tables(self) -> Dict[str, str]:
        """Return ``directions.csv`` and ``radial.csv``."""
        angles = rotation_and_tilt(self.directions.axes)
        rows = np.column_stack([angles, self.directions.axes[:, ::-1], np.array(self.directions[1:]).T])
        names = "rotation_deg,tilt_deg,x,y,z,preferring_voxels,their_highest_A,mean_resolution_A"
        shells = np.column_stack([self.averages.radius, self.averages.count, self.averages.mean])
        columns = ",".join(("radius_A", "voxels", *(f"{name}_A" for name in AVERAGED)))
        return {"directions.csv": _csv(names, rows), "radial.csv": _csv(columns, shells)}


def _csv(names: str, rows: Float64) -> str:
    lines = [",".join("" if np.isnan(value) else f"{value:.6g}" for value in row) for row in rows]
    return "\n".join([names, *lines]) + "\n"


def monodir(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> MonodirResult:
    """Measure the local resolution along 81 directions with MonoDir, and how it differs between them.

    Along each direction only the Fourier coefficients within 15 degrees of it are kept. From coarse to fine, their
    local amplitude in each voxel is compared with that of the noise along the same direction. A voxel that does not
    exceed the noise at two frequencies in a row keeps the last one that it passed. Directions whose resolution stands
    apart from that of their neighbours are left out.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Half maps (their difference is the noise, inside the mask) or one map (the noise is what lies around the
        particle, near the direction), shape (nz, ny, nx).
    mask : Volume, optional
        Voxels above 0.5 are analysed; made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `MonodirParameters`.

    Returns
    -------
    MonodirResult
        ``resolution`` is the highest resolution in Å (5 % quantile of the directions); ``extra`` holds the degree of
        anisotropy ``doa`` (half the range of the middle two thirds), ``mean`` (of highest and lowest), ``lowest``
        (95 %), ``radial`` (directions within 45 degrees of the line to the centre of the box), ``tangential`` (beyond
        70 degrees) and ``zscore`` (how far a voxel lies from others at its radius). NaN outside the mask.

    Raises
    ------
    UsageError
        ``E_RANGE`` for a range of resolutions that is upside down or outside Nyquist and box.
    InputError
        ``E_MARGIN`` if the mask touches the box; ``E_NO_NOISE`` if one map shows too little around the particle.

    Notes
    -----
    Differs from the published program: half maps are used; the amplitude is that of the analytic signal along the
    direction, which differs from the monogenic one by what the cone's opening allows; the Fourier space beyond Nyquist
    in the corners of the box, which only some directions have, is left out; x and y are told apart when directions are
    called radial or tangential.

    References
    ----------
    Vilas, Tagare, Vargas, Carazo & Sorzano (2020), Nature Communications 11, 55.
    """
    result: MonodirResult = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


# --- what is tested -----------------------------------------------------------------------------------------------


def resolutions_of(grid: Grid, parameters: MonodirParameters) -> Float64:
    """Return the resolutions (Å) of the sweep, coarse to fine, all of them Fourier bins.

    Raises
    ------
    UsageError
        ``E_RANGE`` if the range is upside down, or finer than Nyquist or coarser than the box throughout.
    """
    given = (parameters.min_resolution, parameters.max_resolution, parameters.resolution_step)
    return tested_resolutions(grid, MonoresParameters(*given))


def filters_at(resolution: float, step: float, grid: Grid, narrow: bool) -> Tuple[Edges, Edges]:
    """Return the filter of the map and the low-pass of its amplitude, in digital frequency, at a resolution (Å)."""
    width = max(step, BAND_SHARE * resolution)
    frequency, bin_width = grid.spacing / resolution, grid.spacing / max(grid.extent)
    rise = (max(min(grid.spacing / (resolution + width), frequency - bin_width), 0.0), frequency)
    finer = grid.spacing / max(resolution - width, 0.5 * resolution)
    fall = (frequency, max(frequency, min(max(finer, frequency + bin_width), 0.5)))
    return (Edges(rise, fall) if narrow else Edges(rise)), Edges(fall=fall)


def _significance(inputs: Inputs, parameters: MonodirParameters) -> float:
    usual = SIGNIFICANCE[isinstance(inputs.maps, HalfMaps)]
    return usual if parameters.significance is None else parameters.significance


@dataclass(frozen=True)
class Regions:
    """Where resolutions are asked for and where noise is measured.

    Parameters
    ----------
    asked : ndarray of int64
        Flat indices of the voxels to test.
    noise : ndarray of bool, shape (nz, ny, nx)
        Voxels of noise; in one map, only those near a direction are that direction's.
    rim, fall : float
        Radius (Å) of the sphere beyond which amplitudes are 0, and Å over which they fall to it.
    directional : bool
        Whether the noise of a direction is only that near it.
    """

    asked: npt.NDArray[np.int64] = field(repr=False)
    noise: BoolArray = field(repr=False)
    rim: float
    fall: float
    directional: bool


def _regions(inputs: Inputs, parameters: MonodirParameters) -> Regions:
    assert inputs.mask is not None
    grid, inside = inputs.grid, inputs.mask.data > 0.5
    for finding in margin_findings(inputs.mask, 1):
        raise InputError("E_MARGIN", finding.message, finding.hint)
    distance = _distances(grid)
    if parameters.map_radius is None:
        usable = _filled_sphere(full_map(inputs.maps).data, inside, grid)
    else:
        usable = distance < parameters.map_radius
    if isinstance(inputs.maps, HalfMaps):
        active = inside & usable
        return Regions(np.flatnonzero(active), active, 2.0 * max(grid.extent), grid.spacing, False)
    rim, fall = float(distance[usable].max(initial=0.0)), FALL * grid.spacing
    within = distance <= rim - fall
    active = inside & within
    noise = within & (distance > distance[inside].max())
    if np.count_nonzero(noise) < 0.01 * np.count_nonzero(within):
        raise InputError(
            "E_NO_NOISE",
            f"the map ends {rim:.0f} Å from its centre and the mask reaches {distance[inside].max():.0f} Å: there is "
            "too little around the particle to measure the noise along each direction",
            "give half maps, a larger box, or a tighter mask",
        )
    return Regions(np.flatnonzero(active), noise, rim, fall, True)


def _distances(grid: Grid) -> FloatArray:
    """Return the distance of every voxel from the voxel n // 2, in Å."""
    z, y, x = (
        (((np.arange(n) - n // 2) * v) ** 2).astype(np.float32) for n, v in zip(grid.shape, grid.voxel_size)
    )
    distance: FloatArray = np.sqrt(z[:, None, None] + y[:, None] + x)
    return distance


def check(inputs: Inputs, parameters: MonodirParameters) -> List[str]:
    """Raise for a range that cannot be tested, and for a particle without room around it."""
    resolutions = resolutions_of(inputs.grid, parameters)
    if inputs.mask is not None:
        _regions(inputs, parameters)
    if len(resolutions) < 3:
        return [f"only {len(resolutions)} frequencies are tested: widen the range or make the step smaller"]
    return []


# --- one direction ------------------------------------------------------------------------------------------------


class Sweeper:
    """The sweep of one direction after another; each thread has its own."""

    def __init__(self, source: Source, regions: Regions, filters: List[Tuple[Edges, Edges]], share: float) -> None:
        self._source, self._regions, self._filters, self._share = source, regions, filters, share
        self._amplitude = DirectionalAmplitude(source.grid, regions.rim, regions.fall)
        self._state = np.empty(len(regions.asked), dtype=np.uint8)

    def measure(self, axis: Float64, level: Levels) -> int:
        """Fill ``level`` with the index of the last filter passed by every voxel asked for; return how many were run."""
        signal = cone_about(axis, self._source.signal, self._source.grid)
        noise = None if self._source.noise is None else cone_about(axis, self._source.noise, self._source.grid)
        self._state[:] = 1
        level[:] = 0
        active, engine = len(level), self._amplitude
        for index, (band, smooth) in enumerate(self._filters):
            if active < SMALLEST_ACTIVE_SHARE * len(level):
                return index
            found = engine.transformed(signal, band, smooth)
            around = found if noise is None else engine.transformed(noise, band, smooth)
            threshold = self._threshold(engine.coarse(around), axis)
            amplitude = engine.everywhere(found).reshape(-1)
            finished, total = _test(self._state, level, amplitude, self._regions.asked, np.float32(threshold), index)
            if total < self._source.floor * active:
                return index
            active -= finished
        return len(self._filters)

    def _threshold(self, amplitude: FloatArray, axis: Float64) -> float:
        grid, shape = self._source.grid, amplitude.shape
        nearest = [np.round(np.arange(m) * (n / m)).astype(np.int64) % n for n, m in zip(grid.shape, shape)]
        z, y, x = ((i - n // 2) * v for i, n, v in zip(nearest, grid.shape, grid.voxel_size))
        cosine = float(np.cos(NOISE_CONE)) if self._regions.directional else 0.0
        values = _noise_values(amplitude, self._regions.noise, *nearest, z, y, x, np.asarray(axis), cosine)
        if values.size == 0:
            return 0.0
        rank = min(int(values.size * self._share), values.size - 1)
        return float(np.partition(values, rank)[rank])


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _noise_values(amplitude, region, iz, iy, ix, z, y, x, axis, least_cosine):  # type: ignore[no-untyped-def]
    values = np.empty(amplitude.size, dtype=np.float32)
    found = 0
    for i in range(iz.size):
        for j in range(iy.size):
            for k in range(ix.size):
                if not region[iz[i], iy[j], ix[k]]:
                    continue
                along = z[i] * axis[0] + y[j] * axis[1] + x[k] * axis[2]
                if along * along >= least_cosine * least_cosine * (z[i] * z[i] + y[j] * y[j] + x[k] * x[k]):
                    values[found] = amplitude[i, j, k]
                    found += 1
    return values[:found]


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _test(state, level, amplitude, voxels, threshold, index):  # type: ignore[no-untyped-def]
    """Test every voxel that is not finished; return how many finished now, and the sum of the tested amplitudes."""
    finished, total = 0, 0.0
    for i in range(state.size):
        if state[i] == 0:
            continue
        value = amplitude[voxels[i]]
        total += value
        if value > threshold:
            state[i] = 1
            level[i] = index
        elif state[i] == 1:
            state[i] = 2
        else:
            state[i] = 0
            finished += 1
    return finished, total


@dataclass(frozen=True)
class Source:
    """Spectra of the map and, of half maps, of the noise; and the mean amplitude below which a direction is empty."""

    grid: Grid
    signal: Complex = field(repr=False)
    noise: Optional[Complex] = field(repr=False)
    floor: float


def _source(inputs: Inputs, coarsest: float, threads: int) -> Source:
    maps, grid = inputs.maps, inputs.grid
    signal = rfft(full_map(maps).data, threads)
    noise = rfft(maps.noise().data, threads) if isinstance(maps, HalfMaps) else None
    sums = shell_sums(signal, signal, grid)
    power = float(sums.power1[sums.frequency >= 1.0 / coarsest].sum())
    return Source(grid, signal, noise, SMALLEST_SIGNAL_SHARE * float(np.sqrt(power)) / grid.size)


# --- the method ---------------------------------------------------------------------------------------------------


def compute(inputs: Inputs, parameters: MonodirParameters, execution: Execution) -> MonodirResult:
    """Sweep every direction on checked inputs, and compare them voxel by voxel."""
    assert inputs.mask is not None
    grid = inputs.grid
    resolutions = resolutions_of(grid, parameters)
    axes = geodesic_axes(FREQUENCIES_OF_AXES[parameters.fast])
    with execution.stage("preparing the transforms"):
        regions = _regions(inputs, parameters)
        source = _source(inputs, float(resolutions[0]), execution.threads)
        narrow = parameters.filter == "bandpass"
        filters = [filters_at(float(r), parameters.resolution_step, grid, narrow) for r in resolutions]
        workers = min(execution.threads, len(axes))
        share = _significance(inputs, parameters)
        sweepers = [Sweeper(source, regions, filters, share) for _ in range(workers)]
    levels = np.empty((len(axes), len(regions.asked)), dtype=np.int16)
    with execution.stage("sweeping directions", len(axes)) as steps:

        def sweep_every(worker: int) -> None:
            for number in range(worker, len(axes), workers):
                sweepers[worker].measure(axes[number], levels[number])
                steps.advance()

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(sweep_every, range(workers)))
    del sweepers
    with execution.stage("comparing directions"):
        return _compared(inputs, parameters, regions, resolutions, axes, levels)


def _compared(
    inputs: Inputs,
    parameters: MonodirParameters,
    regions: Regions,
    resolutions: Float64,
    axes: Float64,
    levels: Levels,
) -> MonodirResult:
    assert inputs.mask is not None
    grid = inputs.grid
    outwards, distance = _outwards(regions.asked, grid)
    spread, directions = spread_of(levels, resolutions, axes, outwards)
    averages = radial_averages(spread, distance, grid.spacing)
    maps = {**spread._asdict(), "zscore": z_scores(spread, averages, distance)}
    volumes = {name: _on_grid(values, regions.asked, grid) for name, values in maps.items()}
    worst, best = principal_axes(directions)
    details = {
        "tested_resolutions": [round(float(r), 4) for r in resolutions],
        "directions": len(axes),
        "significance": _significance(inputs, parameters),
        "noise_voxels": int(np.count_nonzero(regions.noise)),
        "resolution": {name: float(np.median(values)) for name, values in maps.items() if name != "zscore"},
        "worst_axis": worst.tolist(),
        "best_axis": best.tolist(),
        "slopes": {name: slope_over_radius(averages, name)._asdict() for name in ("radial", "tangential")},
    }
    highest = volumes.pop("highest")
    mask = Volume((inputs.mask.data > 0.5).astype(np.float32), grid)
    criterion = _criterion(inputs, parameters)
    return MonodirResult(highest, mask, criterion, details, volumes, directions, averages)


def _outwards(asked: npt.NDArray[np.int64], grid: Grid) -> Tuple[FloatArray, FloatArray]:
    """Return the unit vectors from the centre to the voxels ``asked``, 0 at the centre itself, and their lengths (Å)."""
    places = np.array(np.unravel_index(asked, grid.shape)).T - np.array(grid.shape) // 2
    vectors = (places * grid.voxel_size).astype(np.float32)
    length = np.linalg.norm(vectors, axis=1)
    return vectors / np.maximum(length, np.float32(1e-6))[:, None], length


def _on_grid(values: FloatArray, asked: npt.NDArray[np.int64], grid: Grid) -> Volume:
    data = np.full(grid.size, np.nan, dtype=np.float32)
    data[asked] = values
    return Volume(data.reshape(grid.shape), grid)


def _criterion(inputs: Inputs, parameters: MonodirParameters) -> str:
    halves = isinstance(inputs.maps, HalfMaps)
    noise = "half the difference of the half maps inside the mask" if halves else "the map around the particle"
    kind = "high-pass" if parameters.filter == "highpass" else "band-pass"
    return (
        f"along each of {5 * FREQUENCIES_OF_AXES[parameters.fast] ** 2 + 1} directions, the finest resolution at which the "
        f"amplitude of the {kind} filtered map within 15 degrees of the direction exceeds the "
        f"{100 * _significance(inputs, parameters):g} % quantile of that of {noise}; highest and lowest are the 5 and 95 % "
        "quantiles of the directions without outliers"
    )


def memory(inputs: Inputs, parameters: MonodirParameters, threads: int) -> float:
    """Return an upper bound of the bytes held at the peak beyond the inputs."""
    grid = inputs.grid
    inside = 0.3 * grid.size if inputs.mask is None else float(np.count_nonzero(inputs.mask.data > 0.5))
    axes = 5 * FREQUENCIES_OF_AXES[parameters.fast] ** 2 + 1
    shared = 4.0 if isinstance(inputs.maps, HalfMaps) else 3.0
    return (shared + 4.5 * min(threads, axes)) * 4.0 * grid.size + inside * (2.0 * axes + 100.0) + 48e6


METHOD = Method(
    name="monodir",
    title="MonoDir",
    summary=(__doc__ or "").splitlines()[0],
    maps=(HALVES, MAP),
    parameters=MonodirParameters,
    compute=compute,
    memory=memory,
    outputs={
        "doa.mrc": "degree of anisotropy in Å: half the range of the middle two thirds of the directions",
        "mean.mrc": "middle of highest and lowest in Å",
        "highest.mrc": "resolution along the best directions in Å (5 % quantile)",
        "lowest.mrc": "resolution along the worst directions in Å (95 % quantile)",
        "radial.mrc": "mean resolution along directions towards the centre in Å",
        "tangential.mrc": "mean resolution along directions across those in Å",
        "zscore.mrc": "standard deviations from the voxels at the same radius",
        "directions.csv": "voxels that prefer each direction, and the mean resolution along it",
        "radial.csv": "averages over the distance from the centre",
    },
    citations=("Vilas2020MonoDir",),
    margin=10,
    check=check,
)
