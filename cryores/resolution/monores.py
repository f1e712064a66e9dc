"""Local resolution by MonoRes: the finest frequency at which a voxel's monogenic amplitude stands out of the noise.

Vilas et al. (2018), Structure 26, 337-344.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt
import scipy.special

from cryores.backend import Array, gpu_bytes
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.filled_sphere import filled_sphere
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.monogenic import (
    Blur,
    Edges,
    Moments,
    Monogenic,
    Sweep,
    band_pass,
    high_pass,
    low_pass,
    moments,
    order_statistic,
)
from cryores.resolution._monogenic_sweep import (
    SMALLEST_SIGNAL_SHARE,
    Engines,
    Progress,
    doubts_about_sweep,
    resolution_map,
    smooth_downwards,
    tested_resolutions,
)
from cryores.volume import BoolArray, Grid, HalfMaps, IntTriple, Maps, Volume, full_map

DEFAULT_COARSEST = 18.0
"""Å at which the sweep starts where the user states nothing and the box has room for it."""

SLOW_PRIME = 31
"""Largest prime factor of an edge with which a transform was measured to take less than twice its neighbours' time."""

SMALLEST_ACTIVE_SHARE = 0.025
"""The sweep ends when a smaller share of the voxels is still tested."""

REFINING_SIGMA = 4.0 / np.sqrt(2.0)
"""Standard deviation, in voxels, of the published Gaussian exp(-(pi u sigma)^2) of sigma 4."""


@dataclass(frozen=True)
class MonoresParameters:
    """What MonoRes can be told."""

    min_resolution: Optional[float] = parameter(None, "Finest resolution tested; default Nyquist.", "Å", 0.1, 1000)
    max_resolution: Optional[float] = parameter(
        None, "Coarsest resolution tested; default 18 Å, or a quarter of the box where that is less.", "Å", 0.1, 1000
    )
    resolution_step: float = parameter(
        0.5, "Distance of tested resolutions, each moved to a Fourier bin.", "Å", 0.01, 10
    )
    significance: float = parameter(0.95, "Share of the noise that a voxel must exceed.", "", 0.5, 0.9999)
    filter: str = parameter(
        "highpass",
        "highpass keeps all above the tested frequency, as published; bandpass does not feel sharpening.",
        choices=("highpass", "bandpass"),
    )
    noise_in_mask: bool = parameter(True, "Half maps: take the noise inside the mask only.")
    gaussian_noise: bool = parameter(False, "Take the threshold from a Gaussian fit instead of the noise itself.")
    transition: float = parameter(
        0.02,
        "Width of the filters' edges; a bandpass of 0.01 resists sharpening best.",
        "1/voxel",
        0.002,
        0.1,
        expert=True,
    )
    mask_threshold: float = parameter(0.5, "Mask values above this are analysed.", expert=True)
    smooth: bool = parameter(True, "Smooth the values by a Gaussian of 2.1 voxels, never upwards.", expert=True)


def monores(
    maps: Maps,
    mask: Optional[Volume] = None,
    exclude: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> LocalResolution:
    """Measure local resolution with MonoRes.

    At each tested frequency, from coarse to fine, the map is filtered and its monogenic amplitude compared with that
    of the noise. A voxel that does not exceed the noise at two frequencies in a row keeps the last one it passed.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Half maps (their difference is the noise) or one map (the noise is what lies outside the mask), shape
        (nz, ny, nx). Neither cubic boxes nor equal voxels are needed.
    mask : Volume, optional
        Voxels above ``mask_threshold`` are analysed; made when not given.
    exclude : Volume, optional
        Voxels above 0.5 belong to neither signal nor noise.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `MonoresParameters`.

    Returns
    -------
    LocalResolution
        Resolution in Å; NaN outside the mask and where no test was decided. ``details`` tells each frequency's
        threshold, share of voxels that passed, and why the sweep ended.

    Raises
    ------
    UsageError
        ``E_RANGE`` for a range of resolutions that is upside down or outside Nyquist and box.
    InputError
        ``E_NO_NOISE`` if no voxel is left for the noise.

    Notes
    -----
    Differs from the published program: frequencies are per axis, ``min_resolution`` is honoured, Nyquist is tested
    without a division by zero, excluded voxels of a single map are no noise either, undetermined voxels are NaN.

    References
    ----------
    Vilas et al. (2018), Structure 26, 337-344.
    """
    result: LocalResolution = METHOD.result(Inputs(maps, mask=mask, exclude=exclude), execution, parameters)
    return result


# --- what is tested -----------------------------------------------------------------------------------------------


def check(inputs: Inputs, parameters: MonoresParameters) -> List[str]:
    """Say in words what is suspicious; raise for a range that cannot be tested."""
    said = doubts_about_sweep(_resolutions(inputs.grid, parameters))
    for edge in sorted(set(inputs.grid.shape)):
        prime = largest_prime_factor(edge)
        if prime > SLOW_PRIME:
            said.append(
                f"a box edge of {edge} voxels has the prime factor {prime}: transforms take two to five times as long"
            )
            break
    return said


def largest_prime_factor(number: int) -> int:
    """Return the largest prime factor of a number of at least 2."""
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor:
            divisor += 1
        else:
            number //= divisor
    return number


def _resolutions(grid: Grid, parameters: MonoresParameters) -> Float64:
    finest, coarsest = parameters.min_resolution, parameters.max_resolution
    return tested_resolutions(grid, finest, coarsest, parameters.resolution_step, DEFAULT_COARSEST)


# --- where it is tested -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Regions:
    """The voxels of a sweep: those to test, those whose amplitudes are noise, and those that refine the first.

    ``background`` lies outside the mask; it is None where the mask is taken as it is.
    """

    active: BoolArray = field(repr=False)
    noise: BoolArray = field(repr=False)
    background: Optional[BoolArray] = field(repr=False)
    outside_sphere: int


def _regions(inputs: Inputs, parameters: MonoresParameters) -> Regions:
    assert inputs.mask is not None
    inside = inputs.mask.data > parameters.mask_threshold
    usable = filled_sphere(full_map(inputs.maps).data, inside, inputs.grid)
    outside_sphere = int(np.count_nonzero(inside & ~usable))
    if inputs.exclude is not None:
        usable &= ~(inputs.exclude.data > BINARY_THRESHOLD)
    active = inside & usable
    if isinstance(inputs.maps, HalfMaps) and parameters.noise_in_mask:
        return Regions(active, active, None, outside_sphere)
    background = usable & ~inside
    return Regions(active, usable if isinstance(inputs.maps, HalfMaps) else background, background, outside_sphere)


# --- amplitudes of signal and noise -------------------------------------------------------------------------------


class Noise(NamedTuple):
    """What a sweep step knows of the noise: its moments and the amplitude that a voxel must exceed."""

    moments: Moments
    threshold: float


class Amplitudes:
    """The monogenic amplitudes of a sweep, each computed on the coarsest grid that holds its band."""

    def __init__(self, inputs: Inputs, parameters: MonoresParameters, noise: BoolArray, execution: Execution) -> None:
        self._parameters = parameters
        self._grid = inputs.grid
        self.whole = Monogenic(inputs.grid, execution.threads, backend=execution.backend)
        self._engines = Engines(self.whole, execution.threads)
        self._noise: Optional[Array] = None
        self._noise_region = noise.view(np.uint8)
        self._regions: Dict[IntTriple, Array] = {}
        maps = inputs.maps
        if isinstance(maps, HalfMaps):
            self._noise = self._spectrum(maps, -1.0)
            self._full = self._spectrum(maps, 1.0)
        else:
            self.whole.buffer[...] = execution.backend.asarray(maps.data)
            self._full = self.whole.transform(self.whole.buffer)

    def _spectrum(self, halves: HalfMaps, sign: float) -> Array:
        """Return the spectrum of half the sum (1) or difference (-1) of the half maps."""
        buffer, there = self.whole.buffer, self.whole.backend
        buffer[...] = there.asarray(halves.half1.data)
        if sign > 0:
            buffer += there.asarray(halves.half2.data)
        else:
            buffer -= there.asarray(halves.half2.data)
        buffer *= 0.5
        return self.whole.transform(buffer)

    def refine(self, active: BoolArray, background: BoolArray) -> Array:
        """Return the active voxels whose unfiltered, blurred amplitude stands out of 95 % of the background's."""
        there = self.whole.backend
        blurred = self.whole.smoothed(self.whole.amplitude(self._full, Edges()), Blur(REFINING_SIGMA))
        threshold = order_statistic(blurred, there.asarray(background.view(np.uint8)), 0.95)
        return there.asarray(active) & (blurred >= threshold)

    def at(self, resolution: float) -> Tuple[Array, Noise]:
        """Return the signal's amplitude, shape (nz, ny, nx), and the noise at ``resolution`` (Å)."""
        chosen = self._parameters
        frequency = self._grid.spacing / resolution
        make = band_pass if chosen.filter == "bandpass" else high_pass
        band, smooth = make(frequency, chosen.transition), low_pass(frequency, chosen.transition)
        engine = self._engines.holding(max(band.fall[1], smooth.fall[1]))
        region = self._region(engine.grid.shape)
        if self._noise is not None:
            noise = self._measure(engine.smoothed(engine.amplitude(self._noise, band), smooth), region)
            signal = self._engines.everywhere(engine, engine.amplitude(self._full, band), smooth)
            return signal, noise
        signal = engine.smoothed(engine.amplitude(self._full, band), smooth)
        noise = self._measure(signal, region)
        return (signal if engine is self.whole else self._engines.everywhere(engine, signal, smooth)), noise

    def _region(self, shape: IntTriple) -> Array:
        """Return where the noise is measured on a grid over the same box; that of the last grid is kept."""
        if shape not in self._regions:
            self._regions = {shape: self.whole.backend.asarray(_sampled(self._noise_region, shape))}
        return self._regions[shape]

    def _measure(self, amplitude: Array, region: Array) -> Noise:
        found = moments(amplitude, region)
        significance = self._parameters.significance
        if self._parameters.gaussian_noise:
            threshold = found.mean + float(scipy.special.ndtri(significance)) * float(np.sqrt(found.variance))
        else:
            threshold = order_statistic(amplitude, region, significance)
        return Noise(found, threshold)


def _sampled(region: npt.NDArray[np.uint8], shape: IntTriple) -> npt.NDArray[np.uint8]:
    """Return a region at the voxels of a coarser grid over the same box."""
    if region.shape == shape:
        return region
    nearest = [np.round(np.arange(m) * (n / m)).astype(int) % n for n, m in zip(region.shape, shape)]
    return np.ascontiguousarray(region[np.ix_(*nearest)])


# --- the sweep ----------------------------------------------------------------------------------------------------


def _sweep(
    sweep: Sweep,
    resolutions: Float64,
    source: Amplitudes,
    parameters: MonoresParameters,
    steps: Any,
) -> Progress:
    progress = Progress()
    asked = sweep.active
    critical = float(scipy.special.ndtri(parameters.significance))
    largest = 0.0
    for index, resolution in enumerate(resolutions):
        active = sweep.active
        if active == 0 or active < SMALLEST_ACTIVE_SHARE * asked:
            progress.ended = f"fewer than {100 * SMALLEST_ACTIVE_SHARE:g} % of the voxels were still tested"
            break
        amplitude, noise = source.at(float(resolution))
        signal = moments(amplitude, sweep.state)
        largest = max(largest, signal.mean)
        if parameters.filter == "highpass" and signal.mean < SMALLEST_SIGNAL_SHARE * largest:
            progress.ended = f"the mean signal fell below {100 * SMALLEST_SIGNAL_SHARE:g} % of its largest"
            break
        passed = sweep.test(index, amplitude, noise.threshold)
        progress.add(float(resolution), noise.threshold, active / asked, passed / asked)
        steps.advance()
        if signal.mean - noise.moments.mean < critical * _standard_error(signal, noise.moments):
            progress.ended = "the mean signal no longer stood out of the mean noise"
            break
    return progress


def _standard_error(one: Moments, other: Moments) -> float:
    return float(np.sqrt(one.variance / max(one.number, 1) + other.variance / max(other.number, 1)))


# --- the method ---------------------------------------------------------------------------------------------------


def compute(inputs: Inputs, parameters: MonoresParameters, execution: Execution) -> LocalResolution:
    """Run the sweep on checked inputs."""
    assert inputs.mask is not None
    grid = inputs.grid
    resolutions = _resolutions(grid, parameters)
    with execution.stage("preparing the transforms"):
        regions = _regions(inputs, parameters)
        if not regions.noise.any():
            raise InputError(
                "E_NO_NOISE",
                "no voxel is left to measure the noise on",
                "give half maps, or a mask with room around the particle; look at --exclude",
            )
        source = Amplitudes(inputs, parameters, regions.noise, execution)
        if regions.background is not None:
            regions = replace(regions, active=source.refine(regions.active, regions.background))
        sweep = Sweep(execution.backend.asarray(regions.active))
    with execution.stage("sweeping frequencies", len(resolutions)) as steps:
        progress = _sweep(sweep, resolutions, source, parameters, steps)
    with execution.stage("smoothing"):
        engine, never, noise_voxels = source.whole, sweep.never_passed, int(np.count_nonzero(regions.noise))
        del source
        values, typical = resolution_map(execution.backend.to_host(sweep.level), resolutions, out=engine.spare())
        del sweep
        if parameters.smooth:
            values = smooth_downwards(values, typical, engine)
        del engine
    asked = inputs.mask.data > parameters.mask_threshold
    count = max(int(np.count_nonzero(asked)), 1)
    details = {
        **progress.details(),
        "never_passed_fraction": never / count,
        "outside_the_filled_sphere_fraction": regions.outside_sphere / count,
        "noise_voxels": noise_voxels,
    }
    return LocalResolution(
        Volume(values, grid), Volume(asked.astype(np.float32), grid), _criterion(inputs, parameters), details
    )


def _criterion(inputs: Inputs, parameters: MonoresParameters) -> str:
    if not isinstance(inputs.maps, HalfMaps):
        noise = "of the map outside the mask"
    elif parameters.noise_in_mask:
        noise = "of half the difference of the half maps inside the mask"
    else:
        noise = "of half the difference of the half maps in the whole box"
    kind = "high-pass" if parameters.filter == "highpass" else "band-pass"
    quantile = f"the {100 * parameters.significance:g} % quantile"
    fitted = " of a Gaussian fitted to that" if parameters.gaussian_noise else " of that"
    smoothed = "smoothed" if parameters.smooth else "not smoothed"
    return (
        f"the finest resolution at which the monogenic amplitude of the {kind} filtered map exceeds {quantile}{fitted} "
        f"{noise}; filter edges of {parameters.transition:g}/voxel, {smoothed}"
    )


def memory(inputs: Inputs, parameters: MonoresParameters, threads: int) -> float:
    """Return the bytes held at the peak beyond the inputs."""
    # Two reals, one spectrum, those of map and noise, state and regions; what a narrow band takes on coarse grids.
    halves, narrow = isinstance(inputs.maps, HalfMaps), parameters.filter == "bandpass"
    volumes = 5.3 + (0.55 if halves else 0.0) + (0.8 if narrow else 0.0)
    nz, ny, nx = inputs.grid.shape
    return volumes * 4.0 * nz * ny * (nx + 2)


def gpu_memory(inputs: Inputs, parameters: MonoresParameters) -> float:
    """Return the bytes held at the peak on a GPU."""
    # As on the host, and what a transform returns before it is stored. Sorting the noise takes no more than transforms.
    return gpu_bytes(inputs.grid, 1.0) + memory(inputs, parameters, 1)


METHOD = Method(
    name="monores",
    title="MonoRes",
    maps=(HALVES, MAP),
    parameters=MonoresParameters,
    compute=compute,
    memory=memory,
    outputs={"resolution.mrc": "local resolution in Å; 0 outside the mask and where no test was decided"},
    citations=("Vilas2018",),
    optional=("exclude",),
    check=check,
    gpu_memory=gpu_memory,
)
