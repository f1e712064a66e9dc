"""Local resolution from the corrected FSC under a soft sphere that is moved over a coarse grid, as in RELION.

At each point of the grid both half maps are masked by a soft sphere. Their FSC, corrected by phase randomisation, gives
one resolution for the sphere, and a voxel gets the mean spatial frequency of the spheres that hold it, weighted by the
mask. Source of the correction: Chen et al., Ultramicroscopy 135, 24 (2013); of the program: Kimanius et al., eLife 5,
e18722 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

from cryores.backend import Array, PlannedFFT, backend_of, gpu_bytes
from cryores.errors import UsageError
from cryores.execution import Execution, Stage
from cryores.fourier import Float64, rfft, shell_frequencies, shell_sums
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter
from cryores.resolution._boxed_fsc import without_mean
from cryores.shell_correlation import corrected_curve, crossing_frequency, fsc_curve, randomised
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume

COARSEST = 50.0
"""Å: the coarsest value that RELION gives."""

LARGE_SPHERE = 1.0 / 3.0
"""Volume of a sphere, relative to the mask's, from which values are told to be hardly local."""

LOCAL_SPHERE = 1.0 / 8.0
"""The same of spheres that are half as wide as the particle, which are recommended then."""

Points = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RelionLocresParameters:
    """Parameters of the local resolution as in RELION."""

    sampling: float = parameter(25.0, "Distance of the spheres' centres", "Å", 1.0)
    radius: Optional[float] = parameter(None, "Radius of the spheres; default, half the sampling", "Å", 1.0)
    edge: Optional[float] = parameter(None, "Width of their soft edge; default, the sampling", "Å", 0.0)
    cutoff: float = parameter(0.143, "Corrected FSC at which the resolution is read", "", 0.001, 0.999)
    randomise_from: float = parameter(
        25.0, "Phases are randomised from this resolution on to correct for the mask", "Å", 1.0, expert=True
    )
    max_resolution: Optional[float] = parameter(
        None, "Coarsest value that is given; default, 50 Å or half the box", "Å", 1.0, expert=True
    )
    draws: int = parameter(
        3,
        "Sets of random phases over which a value is averaged: RELION draws one, and the values depend on it",
        "",
        1,
        20,
        expert=True,
    )
    seed: int = parameter(0, "Seed of the random phases", minimum=0, expert=True)


def relion_locres(
    maps: HalfMaps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> LocalResolution:
    """Compute the local resolution under soft spheres on a coarse grid.

    Parameters
    ----------
    maps : HalfMaps
        The two half maps, neither masked nor sharpened.
    mask : Volume, optional
        Voxels above 0.5 get a value; it does not touch the maps. Made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `RelionLocresParameters`.

    Returns
    -------
    LocalResolution
        ``resolution`` in Å, NaN outside the mask and where no sphere reaches.

    Raises
    ------
    UsageError
        ``E_SPHERE`` a sphere that does not fit into the box, or none that reaches the mask.

    Notes
    -----
    As RELION's ``--locres`` with its defaults, except that coefficients count with hermitian weights, that the mean
    of a half map is taken out before it is masked, that what three sets of random phases give is averaged, and that
    only spheres that touch the mask are computed.
    """
    result: LocalResolution = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: RelionLocresParameters, execution: Execution) -> LocalResolution:
    halves, mask = inputs.maps, inputs.mask
    assert isinstance(halves, HalfMaps) and mask is not None
    grid = halves.grid
    radius, edge = _sphere(parameters)
    inside = mask.data > BINARY_THRESHOLD
    points = sphere_centres(grid, parameters.sampling, radius)
    reaching = [_touches(inside, grid, centre, radius + edge) for centre in points]
    if not any(reaching):
        raise UsageError(
            "E_SPHERE",
            f"no sphere of {radius:.3g} Å, one every {parameters.sampling:.3g} Å, lies in the box and reaches the mask",
            "give a smaller --sampling",
        )
    points = points[reaching]
    resolutions = _resolutions_of_spheres(halves, points, parameters, execution)
    frequency, weight = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for centre, resolution in zip(points, resolutions):
        where, ball = soft_ball(grid, centre, radius, edge)
        frequency[where] += ball / np.float32(resolution)
        weight[where] += ball
    known = inside & (weight > 0)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[known] = weight[known] / frequency[known]
    return LocalResolution(
        resolution=Volume(values, grid),
        mask=mask,
        criterion=(
            f"Mean frequency of soft spheres of {radius:.3g} Å (edge {edge:.3g} Å) whose corrected FSC falls below "
            f"{parameters.cutoff:g}"
        ),
        details={
            "radius": radius,
            "edge": edge,
            "spheres": len(points),
            "seed": parameters.seed,
            "warnings": _doubts(radius + 0.5 * edge, inside, grid),
        },
    )


def _doubts(reach: float, inside: BoolArray, grid: Grid) -> List[str]:
    """Return a warning where a sphere holds much of the particle; ``reach`` (Å) is where it has fallen to one half."""
    particle = np.count_nonzero(inside) * float(np.prod(grid.voxel_size))
    share = 4.0 / 3.0 * np.pi * reach**3 / particle
    if share < LARGE_SPHERE:
        return []
    # By default, the spheres of a sampling reach as far as it is wide.
    smaller = reach * (LOCAL_SPHERE / share) ** (1.0 / 3.0)
    return [
        f"a sphere, {2.0 * reach:.3g} Å wide at the middle of its edge, has {share:.0%} of the mask's volume: the "
        f"values are hardly more local than the global resolution; try --sampling {smaller:.2g}"
    ]


def _sphere(parameters: RelionLocresParameters) -> Tuple[float, float]:
    """Return radius and edge in Å."""
    radius = 0.5 * parameters.sampling if parameters.radius is None else parameters.radius
    return radius, parameters.sampling if parameters.edge is None else parameters.edge


def sphere_centres(grid: Grid, sampling: float, radius: float) -> Points:
    """Return the centres (voxel indices z, y, x): a lattice from the first voxel on, without the corners of the box.

    A centre lies ``radius`` Å inside the box's inscribed sphere.
    """
    step = max(1, round(sampling / grid.spacing))
    lattice = np.stack(np.meshgrid(*(np.arange(0, n, step) for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    size = np.array(grid.voxel_size)
    from_centre = np.linalg.norm((lattice - np.array(grid.shape) // 2) * size, axis=1)
    points: Points = lattice[from_centre < min(grid.extent) / 2.0 - radius]
    return points


def soft_ball(
    grid: Grid, centre: npt.NDArray[np.int64], radius: float, edge: float
) -> Tuple[Tuple[slice, slice, slice], FloatArray]:
    """Return where a soft sphere lies in the box, and its values there."""
    spans, distances = [], []
    for n, v, c in zip(grid.shape, grid.voxel_size, centre):
        reach = int(np.ceil((radius + edge) / v))
        spans.append(slice(max(0, int(c) - reach), min(n, int(c) + reach + 1)))
        distances.append(((np.arange(spans[-1].start, spans[-1].stop) - c) * v) ** 2)
    z, y, x = distances
    r = np.sqrt(z[:, None, None] + y[:, None] + x)
    ramp = np.clip((r - radius) / edge, 0.0, 1.0) if edge > 0 else (r > radius).astype(np.float64)
    return (spans[0], spans[1], spans[2]), (0.5 + 0.5 * np.cos(np.pi * ramp)).astype(np.float32)


def _touches(inside: BoolArray, grid: Grid, centre: npt.NDArray[np.int64], reach: float) -> bool:
    where, ball = soft_ball(grid, centre, reach, 0.0)
    return bool(np.any(inside[where] & (ball > 0)))


def _resolutions_of_spheres(
    halves: HalfMaps, points: Points, parameters: RelionLocresParameters, execution: Execution
) -> List[float]:
    """Return the resolution in Å of each sphere: the last shell before the corrected FSC falls below the cutoff.

    Its frequency is averaged over the draws of random phases: near the cutoff they decide between two shells.
    """
    grid, threads = halves.grid, execution.threads
    frequency = shell_frequencies(grid)
    first = max(1, round(1.0 / (parameters.randomise_from * frequency[1])))
    rng = np.random.default_rng(parameters.seed)
    there = execution.backend
    maps = [there.asarray(without_mean(half.data)) for half in (halves.half1, halves.half2)]
    compare = Spheres(grid, points, *_sphere(parameters), there.real_fft(grid.shape, threads))
    coarsest = parameters.max_resolution or min(COARSEST, min(grid.extent) / 2.0)
    total = np.zeros(len(points))
    with execution.stage("comparing spheres", len(points) * (1 + parameters.draws)) as stage:
        masked = compare.curves(maps, stage)
        for _ in range(parameters.draws):
            pair = [randomised(rfft(data, threads), grid, first, rng, threads) for data in maps]
            for number, (curve, random) in enumerate(zip(masked, compare.curves(pair, stage))):
                corrected = corrected_curve(curve, random, first)
                s = crossing_frequency(frequency, corrected, parameters.cutoff, "shell")
                total[number] += max(s or 0.0, 1.0 / coarsest)
            del pair  # before the next one is made
    return [float(resolution) for resolution in parameters.draws / total]


class Spheres:
    """FSC under soft spheres; one plan and three buffers serve all of them."""

    def __init__(self, grid: Grid, points: Points, radius: float, edge: float, fft: PlannedFFT) -> None:
        self._grid, self._points, self._radius, self._edge = grid, points, radius, edge
        self._fft = fft
        self._real = self._fft.empty_real()
        self._spectra = [self._fft.empty_spectrum() for _ in range(2)]

    def curves(self, pair: List[Array], stage: Stage) -> Float64:
        """Return the FSC of two maps under each sphere, shape (spheres, shells)."""
        curves = []
        for centre in self._points:
            where, ball = soft_ball(self._grid, centre, self._radius, self._edge)
            ball = backend_of(self._real).asarray(ball)
            for data, spectrum in zip(pair, self._spectra):
                self._real[...] = 0
                self._real[where] = data[where] * ball
                self._fft.forward(self._real, spectrum)
            curves.append(fsc_curve(shell_sums(self._spectra[0], self._spectra[1], self._grid)))
            stage.advance()
        return np.array(curves).reshape(len(self._points), -1)


def _check(inputs: Inputs, parameters: RelionLocresParameters) -> List[str]:
    radius, edge = _sphere(parameters)
    if radius >= min(inputs.grid.extent) / 2.0:
        raise UsageError(
            "E_SPHERE",
            f"a sphere of {radius:.3g} Å does not fit into a box of {min(inputs.grid.extent):.3g} Å",
            "give a smaller --sampling or --radius",
        )
    if parameters.sampling > radius + edge:
        return [
            f"the spheres reach {radius + edge:.3g} Å and stand {parameters.sampling:.3g} Å apart: voxels between them "
            "get no value; give a smaller --sampling"
        ]
    return []


def _memory(inputs: Inputs, parameters: RelionLocresParameters, threads: int) -> float:
    # In volumes: two maps without their mean, two of noise, a real and two spectra; a map that loses its phases.
    return 4.0 * inputs.grid.size * 8.4


def _gpu_memory(inputs: Inputs, parameters: RelionLocresParameters) -> float:
    # Two maps without their mean, two of noise, a real and two spectra, and what a transform returns before it is
    # stored; the order of the coefficients.
    return gpu_bytes(inputs.grid, 9.0)


METHOD = Method(
    name="relion-locres",
    title="Local resolution as in RELION",
    maps=(HALVES,),
    parameters=RelionLocresParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={"resolution.mrc": "local resolution in Å, 0 outside the mask"},
    citations=("Kimanius2016", "Chen2013"),
    mask="made",
    check=_check,
)
