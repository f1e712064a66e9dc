"""Directional local resolution by MonoDir: how finely each voxel is resolved along each of 81 directions.

Vilas, Tagare, Vargas, Carazo & Sorzano (2020), Nature Communications 11, 55.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

from cryores.backend import gpu_bytes
from cryores.diagnosis import margin_findings
from cryores.directions import cubic_axes, rotation_and_tilt
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.filled_sphere import filled_sphere
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.resolution._directional_statistics import (
    AVERAGED,
    NEIGHBOURHOODS,
    NO_AVERAGES,
    NO_DIRECTIONS,
    Directions,
    Levels,
    RadialAverages,
    principal_axes,
    radial_averages,
    slope_over_radius,
    spread_of,
    z_scores,
)
from cryores.resolution._directional_sweep import MOST_WORKERS, Regions, filters_at, source_of, sweep
from cryores.resolution._monogenic_sweep import doubts_about_sweep, tested_resolutions
from cryores.resolution.monores import DEFAULT_COARSEST
from cryores.tables import records_text
from cryores.volume import FloatArray, Grid, HalfMaps, Maps, Volume, full_map

DIRECTIONS = {False: 81, True: 46}
"""As many as in the published program, or fewer for the fast computation."""

FALL = 7.0
"""Voxels over which amplitudes fall to 0 at the rim of the sphere that one map fills."""


SIGNIFICANCE = {False: 0.95, True: 0.99}
"""Share of the noise to exceed in one map, as published, and in half maps. Around the particle of one map lies signal
too, which makes the test stricter. Of 81 directions, 0.95 lets four pass by chance, and the highest is the fourth."""


SMOOTHING = {False: 1.0, True: 2.0}
"""Wavelengths over which amplitudes are averaged, in one map as published, and in half maps. The amplitude along one
direction fades to 0 here and there, as that of any narrow beam does; over two wavelengths it fades much less."""


NEIGHBOURHOOD = {False: "none", True: "average"}
"""What is made of neighbouring directions in one map and in half maps. To leave out those that stand apart, as
published, leaves out a missing cone too. The mean over the overlapping cones halves the noise of single directions. In
one map, whose noise is not the particle's, most directions of a voxel may fail: the mean would drown the others."""


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
        None,
        "Share of the noise that a voxel must exceed; default 0.95 with one map, 0.99 with halves.",
        "",
        0.5,
        0.9999,
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
    smoothing: Optional[float] = parameter(
        None,
        "Amplitudes are averaged over so many; default 1 with one map, 2 with halves.",
        "waves",
        0.5,
        10,
        expert=True,
    )
    neighbours: Optional[str] = parameter(
        None,
        "Directions next to each other: average them, trim those that stand apart (as published), or none of it; "
        "default none with one map, average with halves.",
        choices=NEIGHBOURHOODS,
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

    quantity = "Highest resolution"

    directions: Directions = field(default=NO_DIRECTIONS, repr=False)
    averages: RadialAverages = field(default=NO_AVERAGES, repr=False)

    def volumes(self) -> Dict[str, Volume]:
        """Return ``doa``, ``mean``, ``highest``, ``lowest``, ``radial``, ``tangential`` (Å) and ``zscore``."""
        return {"highest": self.resolution, **self.extra}

    def tables(self) -> Dict[str, str]:
        """Return ``directions.csv`` and ``radial.csv``."""
        angles = rotation_and_tilt(self.directions.axes)
        rows = np.column_stack([angles, self.directions.axes[:, ::-1], np.array(self.directions[1:4]).T])
        names = ("rotation_deg", "tilt_deg", "x", "y", "z", "preferring_voxels", "their_highest_A", "mean_resolution_A")
        shells = np.column_stack([self.averages.radius, self.averages.voxels, self.averages.mean])
        columns = ("radius_A", "voxels", *(f"{name}_A" for name in AVERAGED))
        return {
            "directions.csv": records_text([dict(zip(names, row)) for row in rows.tolist()]),
            "radial.csv": records_text([dict(zip(columns, row)) for row in shells.tolist()]),
        }


def monodir(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> MonodirResult:
    """Measure the local resolution along 81 directions with MonoDir, and how it differs between them.

    Along each direction only the Fourier coefficients within 15 degrees of it are kept. From coarse to fine, their
    local amplitude in each voxel is compared with that of the noise along the same direction. A voxel that does not
    exceed the noise at two frequencies in a row keeps the last one that it passed. With half maps, directions whose
    cones overlap are then averaged.

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
    Differs from the published program: half maps are used; the directions have the symmetry of a cube, and none is left
    out as an outlier; the amplitude is that of the analytic signal along the direction, which differs from the
    monogenic one by what the cone's opening allows; the Fourier space beyond Nyquist in the corners of the box, which
    only some directions have, is left out; x and y are told apart when directions are called radial or tangential.

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
    finest, coarsest = parameters.min_resolution, parameters.max_resolution
    return tested_resolutions(grid, finest, coarsest, parameters.resolution_step, DEFAULT_COARSEST)


def _significance(inputs: Inputs, parameters: MonodirParameters) -> float:
    usual = SIGNIFICANCE[isinstance(inputs.maps, HalfMaps)]
    return usual if parameters.significance is None else parameters.significance


def _smoothing(inputs: Inputs, parameters: MonodirParameters) -> float:
    usual = SMOOTHING[isinstance(inputs.maps, HalfMaps)]
    return usual if parameters.smoothing is None else parameters.smoothing


def _neighbourhood(inputs: Inputs, parameters: MonodirParameters) -> str:
    return parameters.neighbours or NEIGHBOURHOOD[isinstance(inputs.maps, HalfMaps)]


def _regions(inputs: Inputs, parameters: MonodirParameters) -> Regions:
    assert inputs.mask is not None
    grid, inside = inputs.grid, inputs.mask.data > BINARY_THRESHOLD
    for finding in margin_findings(inputs.mask, 1):
        hint = "take a larger box, or a mask that ends before the faces: a filament is measured in its middle then"
        raise InputError("E_MARGIN", finding.message, hint)
    distance = _distances(grid)
    if parameters.map_radius is None:
        usable = filled_sphere(full_map(inputs.maps).data, inside, grid)
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
    z, y, x = ((((np.arange(n) - n // 2) * v) ** 2).astype(np.float32) for n, v in zip(grid.shape, grid.voxel_size))
    distance: FloatArray = np.sqrt(z[:, None, None] + y[:, None] + x)
    return distance


def check(inputs: Inputs, parameters: MonodirParameters) -> List[str]:
    """Raise for a range that cannot be tested, and for a particle without room around it."""
    resolutions = resolutions_of(inputs.grid, parameters)
    if inputs.mask is not None:
        _regions(inputs, parameters)
    return doubts_about_sweep(resolutions)


# --- the method ---------------------------------------------------------------------------------------------------


def compute(inputs: Inputs, parameters: MonodirParameters, execution: Execution) -> MonodirResult:
    """Sweep every direction on checked inputs, and compare them voxel by voxel."""
    assert inputs.mask is not None
    grid = inputs.grid
    resolutions = resolutions_of(grid, parameters)
    axes = cubic_axes(DIRECTIONS[parameters.fast])
    with execution.stage("preparing the transforms"):
        regions = _regions(inputs, parameters)
        source = source_of(inputs.maps, float(resolutions[0]), execution.threads, execution.backend)
        choices = parameters.resolution_step, grid, parameters.filter == "bandpass", _smoothing(inputs, parameters)
        filters = [filters_at(float(r), *choices) for r in resolutions]
        share = _significance(inputs, parameters)
    with execution.stage("sweeping directions", len(axes)) as steps:
        levels = sweep(source, regions, filters, axes, share, execution.threads, steps)
    del source
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
    spread, directions = spread_of(levels, resolutions, axes, outwards, _neighbourhood(inputs, parameters))
    averages = radial_averages(spread, distance, grid.spacing)
    maps = {**spread._asdict(), "zscore": z_scores(spread, averages, distance)}
    volumes = {name: _on_grid(values, regions.asked, grid) for name, values in maps.items()}
    worst, best = principal_axes(directions)
    details = {
        "tested_resolutions": [round(float(r), 4) for r in resolutions],
        "directions": len(axes),
        "significance": _significance(inputs, parameters),
        "smoothing": _smoothing(inputs, parameters),
        "neighbours": _neighbourhood(inputs, parameters),
        "noise_voxels": int(np.count_nonzero(regions.noise)),
        "resolution": {name: float(np.median(values)) for name, values in maps.items() if name != "zscore"},
        "preferred_axis_chance": directions.chance,
        "worst_axis": worst.tolist(),
        "best_axis": best.tolist(),
        "slopes": {name: slope_over_radius(averages, name)._asdict() for name in ("radial", "tangential")},
    }
    highest = volumes.pop("highest")
    criterion = _criterion(inputs, parameters)
    return MonodirResult(highest, inputs.mask, criterion, details, volumes, directions, averages)


def _outwards(asked: npt.NDArray[np.int64], grid: Grid) -> Tuple[FloatArray, FloatArray]:
    """Return unit vectors from the centre to the voxels ``asked``, 0 at the centre itself, and their lengths (Å)."""
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
    among = {
        "average": "directions averaged over their neighbours",
        "trim": "directions without outliers",
        "none": "directions",
    }[_neighbourhood(inputs, parameters)]
    return (
        f"along each of {DIRECTIONS[parameters.fast]} directions, the finest resolution at which the amplitude of the "
        f"{kind} filtered map within 15 degrees of it exceeds the {100 * _significance(inputs, parameters):g} % "
        f"quantile of that of {noise}; highest and lowest are the 5 and 95 % quantiles of {among}"
    )


def memory(inputs: Inputs, parameters: MonodirParameters, threads: int) -> float:
    """Return the bytes held at the peak beyond the inputs: of directions swept at a time, or of the maps at the end."""
    grid, halves = inputs.grid, isinstance(inputs.maps, HalfMaps)
    inside = 0.3 * grid.size if inputs.mask is None else float(np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD))
    levels = inside * 2.0 * DIRECTIONS[parameters.fast]
    sweeping = 4.0 * grid.size * ((4.0 if halves else 3.0) + 2.2 * min(threads, MOST_WORKERS)) + levels
    return max(sweeping, 4.0 * grid.size * (6.0 if halves else 7.0) + levels + 100.0 * inside)


def gpu_memory(inputs: Inputs, parameters: MonodirParameters) -> float:
    """Return the bytes held on a GPU: spectra, the cone, what is transformed, and each voxel's place and state."""
    grid, halves = inputs.grid, isinstance(inputs.maps, HalfMaps)
    inside = 0.3 * grid.size if inputs.mask is None else float(np.count_nonzero(inputs.mask.data > BINARY_THRESHOLD))
    return gpu_bytes(grid, 4.9 if halves else 4.1) + 11.0 * inside


METHOD = Method(
    name="monodir",
    title="MonoDir",
    maps=(HALVES, MAP),
    parameters=MonodirParameters,
    compute=compute,
    memory=memory,
    gpu_memory=gpu_memory,
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
    citations=("Vilas2020Directional",),
    margin=10,
    check=check,
)
