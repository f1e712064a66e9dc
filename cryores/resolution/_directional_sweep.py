"""The sweep of MonoDir: along every direction, from coarse to fine, which voxels stand out of the noise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Iterable, List, NamedTuple, Optional, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import HOST, Array, Backend, backend_of, kernel
from cryores.directions import cubic_axes
from cryores.fourier import Float64, rfft, shell_sums
from cryores.monogenic import Edges
from cryores.resolution._directional_amplitude import Amplitude, Box, DirectionalAmplitude, cone_about
from cryores.resolution._directional_statistics import Levels
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, IntTriple, Maps, full_map

NOISE_CONE = np.radians(45.0)
"""The noise of a direction, in one map, is that around the particle within this angle of the direction."""

BAND_SHARE = 0.05
"""Edges of the filters reach to a resolution so much coarser and finer, or one step if that is more."""

SMALLEST_ACTIVE_SHARE = 0.025
"""A direction ends when a smaller share of the voxels is still tested."""

SMALLEST_SIGNAL_SHARE = 0.001 / 9.0
"""A direction is empty when its mean amplitude is below this share of the map's: nothing was measured along it."""

MOST_WORKERS = 16
"""Directions that are swept at a time, at most: each holds three volumes, and more gain little."""

NOISE_DIRECTIONS = 21
"""Directions along which the noise of half maps is seen."""

NOISE_BINS = 4096
LARGEST_NOISE = 16.0
"""Noise amplitudes are counted in so many bins, up to so many times the strength of the noise along the direction."""

Filters = Tuple[Edges, Edges]
"""The filter of the map, and the low-pass of its amplitude."""


def filters_at(resolution: float, step: float, grid: Grid, narrow: bool, smoothing: float) -> Filters:
    """Return the filter of the map and the low-pass of its amplitude, in digital frequency, at a resolution (Å).

    ``step`` is the distance (Å) of the resolutions tested, ``narrow`` asks for a band-pass, and ``smoothing`` is the
    number of wavelengths that the low-pass averages over.
    """
    width = max(step, BAND_SHARE * resolution)
    frequency, bin_width = grid.spacing / resolution, grid.spacing / max(grid.extent)
    rise = (max(min(grid.spacing / (resolution + width), frequency - bin_width), 0.0), frequency)
    finer = grid.spacing / max(resolution - width, 0.5 * resolution)
    fall = (frequency, max(frequency, min(max(finer, frequency + bin_width), 0.5)))
    smooth = Edges(fall=(fall[0] / smoothing, fall[1] / smoothing))
    return (Edges(rise, fall) if narrow else Edges(rise)), smooth


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


class Source(NamedTuple):
    """Spectra of the map and, of half maps, of the noise; and the mean amplitude below which a direction is empty."""

    grid: Grid
    signal: Array
    noise: Optional[Array]
    floor: float


def source_of(maps: Maps, coarsest: float, threads: int, there: Backend = HOST) -> Source:
    """Return ``there`` the spectra of ``maps``, whose sweep starts at ``coarsest`` (Å)."""
    signal = rfft(there.asarray(full_map(maps).data), threads)
    noise = rfft(there.asarray(maps.noise().data), threads) if isinstance(maps, HalfMaps) else None
    sums = shell_sums(signal, signal, maps.grid)
    power = float(sums.power1[sums.frequency >= 1.0 / coarsest].sum())
    return Source(maps.grid, signal, noise, SMALLEST_SIGNAL_SHARE * float(np.sqrt(power)) / maps.grid.size)


def sweep(
    source: Source,
    regions: Regions,
    filters: List[Filters],
    axes: Float64,
    share: float,
    threads: int,
    steps: Any,
) -> Levels:
    """Return the index of the last of ``filters`` that every voxel has passed along every axis.

    Parameters
    ----------
    source : Source
        Spectra.
    regions : Regions
        What is tested and where noise is measured.
    filters : list of pairs of Edges
        Filter of the map and low-pass of its amplitude at each frequency, coarse to fine.
    axes : ndarray of float64, shape (directions, 3)
        Unit vectors (z, y, x).
    share : float
        Share of the noise that a voxel must exceed.
    threads : int
        Directions that are swept at a time.
    steps : Stage
        Advanced after every direction.

    Returns
    -------
    ndarray of int16, shape (directions, voxels)
        0 also where no frequency was passed.
    """
    levels = np.empty((len(axes), len(regions.asked)), dtype=np.int16)
    with ThreadPoolExecutor(min(threads, MOST_WORKERS)) as pool:
        sweeper = Sweeper(source, regions, filters, share)
        # What a GPU is asked for by another thread than that which chose it goes to another GPU.
        over: Any = pool.map if sweeper.there is HOST else map
        if source.noise is not None:
            sweeper.learn_noise(over(sweeper.noise_along, cubic_axes(NOISE_DIRECTIONS)))
        for level, found in zip(levels, over(sweeper.signal_along, axes)):
            level[:] = found
            steps.advance()
    return levels


class Sweeper:
    """Sweeps one direction after another, many at a time on the processors."""

    def __init__(self, source: Source, regions: Regions, filters: List[Filters], share: float) -> None:
        self._source, self._regions, self._filters, self._share = source, regions, filters, share
        self.there = there = backend_of(source.signal)
        self._amplitude = DirectionalAmplitude(source.grid, regions.rim, regions.fall, there)
        self._box, voxels = _inside_box(regions.asked, source.grid.shape)
        self._voxels, self._noise = there.asarray(voxels), there.asarray(regions.noise)
        self._quantiles: Optional[Float64] = None

    def noise_along(self, axis: Float64) -> npt.NDArray[np.int64]:
        """Return at each frequency a histogram of the noise's amplitudes along ``axis``, over their strength."""
        cone, strengths = self._noise_cone(axis)
        counts = np.zeros((len(self._filters), NOISE_BINS), dtype=np.int64)
        for index, (band, smooth) in enumerate(self._filters):
            if strengths[index] > self._source.floor:
                values = self._around(self._amplitude.of(cone, band, smooth), axis)
                counts[index] = _binned(values, NOISE_BINS / LARGEST_NOISE / strengths[index], NOISE_BINS)
        return counts

    def learn_noise(self, histograms: Iterable[npt.NDArray[np.int64]]) -> None:
        """Take from the sum of `noise_along` the amplitudes, over the strength, that the share lies below.

        How the noise varies over the box, and how its amplitudes are distributed, is taken as common to all directions:
        inside the mask a single one shows too few independent amplitudes. Its strength is that of the whole box.
        """
        counts: npt.NDArray[np.int64] = np.sum(list(histograms), axis=0)
        edges = np.arange(1, NOISE_BINS + 1) * (LARGEST_NOISE / NOISE_BINS)
        below = np.cumsum(counts, axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        self._quantiles = np.array([np.interp(self._share, row, edges) for row in below])

    def signal_along(self, axis: Float64) -> Levels:
        """Return the index of the last filter passed by every voxel along ``axis``, 0 where none was."""
        cone, engine = cone_about(axis, self._source.signal, self._source.grid), self._amplitude
        thresholds = None if self._quantiles is None else self._quantiles * self._noise_cone(axis)[1]
        there, voxels = self.there, len(self._regions.asked)
        state, level = there.asarray(np.ones(voxels, dtype=np.uint8)), there.zeros((voxels,), np.int16)
        active = voxels
        for index, (band, smooth) in enumerate(self._filters):
            if active < SMALLEST_ACTIVE_SHARE * voxels:
                break
            found = engine.of(cone, band, smooth)
            threshold = self._threshold(found, axis) if thresholds is None else thresholds[index]
            amplitude = there.xp.reshape(engine.inside(found, self._box), (-1,))
            finished, total = _test_along(state, level, amplitude, self._voxels, np.float32(threshold), index)
            if total < self._source.floor * active:
                return np.minimum(there.to_host(level), np.int16(max(index - 1, 0)))
            active -= finished
        return there.to_host(level)

    def _noise_cone(self, axis: Float64) -> Tuple[Any, Float64]:
        """Return the noise along ``axis``, and its root mean square amplitude over the box at each frequency."""
        assert self._source.noise is not None
        cone = cone_about(axis, self._source.noise, self._source.grid)
        return cone, np.array([cone.strength(band) for band, _ in self._filters]) / self._source.grid.size

    def _threshold(self, found: Amplitude, axis: Float64) -> float:
        values = self._around(found, axis)
        return _ranked(values, self._share) if values.shape[0] else 0.0

    def _around(self, found: Amplitude, axis: Float64) -> Array:
        """Return the smoothed amplitudes at the voxels of noise of the coarse grid that holds them."""
        amplitude, grid = self._amplitude.coarse(found), self._source.grid
        places = [np.round(np.fft.fftfreq(m) * n).astype(np.int64) for n, m in zip(grid.shape, amplitude.shape)]
        nearest = [(offset + n // 2) % n for offset, n in zip(places, grid.shape)]
        z, y, x = (offset * size for offset, size in zip(places, grid.voxel_size))
        cosine = float(np.cos(NOISE_CONE)) if self._regions.directional else 0.0
        return _noise_values(amplitude, self._noise, *nearest, z, y, x, np.asarray(axis), cosine)


def _inside_box(asked: npt.NDArray[np.int64], shape: IntTriple) -> Tuple[Box, npt.NDArray[np.int64]]:
    """Return the smallest box that holds the voxels with these flat indices, and their flat indices in it."""
    places = np.unravel_index(asked, shape)
    z, y, x = (slice(int(p.min(initial=n - 1)), int(p.max(initial=0)) + 1) for p, n in zip(places, shape))
    inner = [p - part.start for p, part in zip(places, (z, y, x))]
    flat: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(inner), tuple(s.stop - s.start for s in (z, y, x)))
    return (z, y, x), flat


@kernel
def _binned(values: FloatArray, scale: float, bins: int) -> npt.NDArray[np.int64]:
    """Return how many values, times ``scale``, lie in each bin of 1; the last one holds all that are larger."""
    place = np.clip(values * scale, 0, bins - 1)
    return np.bincount(place.astype(np.int64), minlength=bins)


@kernel
def _ranked(values: FloatArray, share: float) -> float:
    """Return the value that a share of them lies below."""
    rank = min(int(values.size * share), values.size - 1)
    return float(np.partition(values, rank)[rank])


@kernel
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


@kernel
@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _test_along(state, level, amplitude, voxels, threshold, index):  # type: ignore[no-untyped-def]
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
