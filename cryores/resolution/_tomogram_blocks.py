"""MonoTomo in overlapping blocks of the (y, x) plane, for tomograms larger than memory.

Three things are global: the means of the halves, the surface of the noise, and the median of the values, with which
gaps are filled before the map is smoothed. So there are three passes over the blocks, each of which needs what the one
before has found everywhere: the quantiles of the noise in the tiles, the last frequency that each voxel passed, the
smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from cryores.blocks import Block, Cuts, blocks, in_blocks, on_disk, slabs
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.method import Inputs
from cryores.monogenic import Monogenic, Sweep, moments
from cryores.resolution._monogenic_sweep import (
    SMALLEST_SIGNAL_SHARE,
    SMOOTHING_SIGMA,
    Progress,
    resolution_map,
    smooth_downwards,
)
from cryores.resolution._noise_surface import NoiseSurface
from cryores.resolution._tomogram import Amplitudes, Criterion, border, inner, means, padded
from cryores.volume import FloatArray, Grid, HalfMaps, IntTriple

OVERLAP = 4.0
"""Voxels around a block, in units of one over the width of the filters' edges (cycles per voxel). An edge of width w is
felt as 1/(w r)^2 at the distance r: with 4/w amplitudes differ by 1.5e-4 of their mean from those of the whole."""

SMOOTHING_REACH = int(np.ceil(5 * SMOOTHING_SIGMA))
"""Voxels around a block that the smoothing feels."""


# --- where a tomogram is cut --------------------------------------------------------------------------------------


class _Axis(NamedTuple):
    """One way to cut an axis, the longest stretch that a block then sees, and the sum of all."""

    edges: Tuple[int, ...]
    longest: int
    total: int


def overlap_of(test: Criterion) -> int:
    """Return the voxels that a block sees around what it yields."""
    return int(np.ceil(OVERLAP / test.transition))


def cuts_within(shape: IntTriple, test: Criterion, needed: Callable[[IntTriple], float], budget: float) -> Cuts:
    """Return the cuts with the least work whose largest block fits into ``budget`` bytes, or those that need the least.

    Parameters
    ----------
    shape : tuple of int
        Of the tomogram.
    test : Criterion
        Gives overlap and tiles: cuts lie between tiles, and along z there are none.
    needed : callable
        Shape of what a block sees -> bytes.
    budget : float
        Bytes.
    """
    surface, overlap = NoiseSurface(shape, border(shape), test.noise_tile, padded(shape)), overlap_of(test)
    ways = [
        (y, x, needed((shape[0], y.longest, x.longest)))
        for y in _ways(surface.tile_starts(1), shape[1], overlap)
        for x in _ways(surface.tile_starts(2), shape[2], overlap)
    ]
    fitting = [way for way in ways if way[2] <= budget]
    y, x, _ = min(fitting, key=lambda way: way[0].total * way[1].total) if fitting else min(ways, key=lambda w: w[2])
    return (0, shape[0]), y.edges, x.edges


def largest_block(cuts: Cuts, test: Criterion) -> IntTriple:
    """Return the shape of the largest part that a block sees, axis by axis."""
    reaches = [block.reach for block in blocks(cuts, overlap_of(test))]
    z, y, x = (max(reach[axis].stop - reach[axis].start for reach in reaches) for axis in range(3))
    return z, y, x


def _ways(starts: Tuple[int, ...], length: int, overlap: int) -> List[_Axis]:
    ways = []
    for count in range(1, len(starts) + 1):
        first = [starts[i * len(starts) // count] for i in range(1, count)]
        edges = (0, *first, length)
        if count > 1 and min(np.diff(edges)) < overlap:
            break
        seen = [min(b + overlap, length) - max(a - overlap, 0) for a, b in zip(edges, edges[1:])]
        ways.append(_Axis(edges, max(seen), sum(seen)))
    return ways


# --- the three passes ---------------------------------------------------------------------------------------------


@dataclass
class _Counts:
    """Voxels under test and passed at each frequency, over all blocks."""

    tested: npt.NDArray[np.int64]
    passed: npt.NDArray[np.int64]
    asked: int = 0
    never: int = 0
    faint: bool = False


@dataclass(frozen=True)
class TomogramInBlocks:
    """A tomogram, and how it is cut.

    Parameters
    ----------
    inputs : Inputs
        Half maps, and a mask or none.
    cuts : Cuts
        Where it is cut.
    resolutions : ndarray of float64
        What is tested (Å).
    test : Criterion
        How.
    execution : Execution
        Threads, and the folder for files without names.
    """

    inputs: Inputs
    cuts: Cuts
    resolutions: Float64
    test: Criterion
    execution: Execution
    surface: NoiseSurface = field(init=False)

    def __post_init__(self) -> None:
        shape = self.inputs.grid.shape
        surface = NoiseSurface(shape, border(shape), self.test.noise_tile, padded(shape))
        object.__setattr__(self, "surface", surface)

    def values(self, smooth: bool) -> Tuple[FloatArray, Progress, float]:
        """Return the resolution map (Å) in a file, what the sweep did, and what share never passed."""
        assert isinstance(self.inputs.maps, HalfMaps)
        halves = (self.inputs.maps.half1.data, self.inputs.maps.half2.data)
        count = sum(1 for _ in blocks(self.cuts, 0)) * len(self.resolutions)
        with self.execution.stage("means of the halves"):
            of_halves = means(halves)
        with self.execution.stage("noise around every voxel", count) as steps:
            thresholds = self._thresholds(halves, of_halves, steps)
        with self.execution.stage("sweeping frequencies", count) as steps:
            level, progress, never = self._levels(halves, of_halves, thresholds, steps)
        with self.execution.stage("smoothing"):
            return self._resolution(level, smooth), progress, never

    def mask(self) -> FloatArray:
        """Return 1 where a value is asked for and 0 elsewhere, in a file."""
        asked = self._on_disk(np.float32)
        for z, plane in enumerate(asked):
            place = (slice(z, z + 1), slice(0, plane.shape[0]), slice(0, plane.shape[1]))
            mask = self.inputs.mask
            plane[:] = self._tested(place)[0] if mask is None else mask.data[z] > 0.5
        return asked

    def _thresholds(self, halves: Tuple[FloatArray, FloatArray], of_halves: Tuple[float, float], steps: Any) -> Float64:
        """Return the quantiles of the noise at each frequency and in each tile, shape (frequencies, rows, columns)."""
        rows, columns = self.surface.tiles

        def quantiles(block: Block, half1: FloatArray, half2: FloatArray) -> Float64:
            source = self._amplitudes(block, (half1, half2), of_halves)
            tiles = self.surface.tiles_in(block.core, block.reach, source.engine.grid.shape)
            found = np.empty((len(self.resolutions), len(tiles.y) - 1, len(tiles.x) - 1))
            for into, resolution in zip(found, self.resolutions):
                into[:] = tiles.quantiles(source.noise(float(resolution)), self.test.significance)
                steps.advance()
            return found

        found = np.empty((len(self.resolutions), rows, columns))
        of_tiles = [tuple(np.searchsorted(self.surface.tile_starts(a), self.cuts[a]).tolist()) for a in (1, 2)]
        out_cuts: Cuts = ((0, len(found)), of_tiles[0], of_tiles[1])
        in_blocks(quantiles, halves, self.cuts, overlap_of(self.test), found, out_cuts)
        return found

    def _levels(
        self, halves: Tuple[FloatArray, FloatArray], of_halves: Tuple[float, float], found: Float64, steps: Any
    ) -> Tuple[npt.NDArray[np.int16], Progress, float]:
        """Return the last frequency that each voxel passed (-1: none) in a file, and what the sweep did."""
        none = np.zeros(len(self.resolutions), dtype=np.int64)
        counts = _Counts(none, none.copy())

        def levels(block: Block, half1: FloatArray, half2: FloatArray) -> npt.NDArray[np.int16]:
            source, sweep = self._amplitudes(block, (half1, half2), of_halves), Sweep(self._tested(block.core))
            counts.asked += sweep.active
            largest = 0.0
            for index, resolution in enumerate(self.resolutions):
                if sweep.active > 0:
                    amplitude = source.signal(float(resolution))[block.inner]
                    mean = moments(amplitude, sweep.state).mean
                    largest = max(largest, mean)
                    if self.test.filter == "highpass" and mean < SMALLEST_SIGNAL_SHARE * largest:
                        counts.faint = True
                        break
                    counts.tested[index] += sweep.active
                    threshold = self.surface.through(found[index])[block.core[1:]]
                    counts.passed[index] += sweep.test(index, amplitude, threshold)
                steps.advance()
            counts.never += sweep.never_passed
            level: npt.NDArray[np.int16] = sweep.level
            return level

        level = self._on_disk(np.int16)
        in_blocks(levels, halves, self.cuts, overlap_of(self.test), level)
        return level, self._progress(counts, found), counts.never / max(counts.asked, 1)

    def _progress(self, counts: _Counts, found: Float64) -> Progress:
        progress, asked = Progress(), max(counts.asked, 1)
        for index in range(int(np.count_nonzero(counts.tested))):
            typical = float(np.median(self.surface.through(found[index])))
            shares = counts.tested[index] / asked, counts.passed[index] / asked
            progress.add(float(self.resolutions[index]), typical, *shares)
        if len(progress.resolutions) < len(self.resolutions):
            progress.ended = "every voxel was finished"
        if counts.faint:
            share = f"{100 * SMALLEST_SIGNAL_SHARE:g} %"
            progress.ended = f"the mean signal fell below {share} of its largest, in some block"
        return progress

    def _resolution(self, level: npt.NDArray[np.int16], smooth: bool) -> FloatArray:
        values = self._on_disk(np.float32)
        counted = sum(np.bincount(part.ravel() + 1, minlength=len(self.resolutions) + 1) for part in slabs(level))
        typical = _median(counted, self.resolutions)

        def resolved(block: Block, seen: npt.NDArray[np.int16]) -> FloatArray:
            raw, _ = resolution_map(seen, self.resolutions)
            if smooth:
                grid = Grid.regular(padded(raw.shape), self.inputs.grid.voxel_size)  # type: ignore[arg-type]
                raw = smooth_downwards(raw, typical, Monogenic(grid, self.execution.threads))
            return raw[block.inner]

        in_blocks(resolved, [level], self.cuts, SMOOTHING_REACH, values)
        return values

    def _amplitudes(
        self, block: Block, halves: Tuple[FloatArray, FloatArray], of_halves: Tuple[float, float]
    ) -> Amplitudes:
        z, y, x = halves[0].shape
        grid = Grid.regular((z, y, x), self.inputs.grid.voxel_size)
        return Amplitudes(halves, grid, of_halves, self.test, self.execution.threads)

    def _tested(self, place: Tuple[slice, slice, slice]) -> npt.NDArray[np.bool_]:
        shape = self.inputs.grid.shape
        tested = np.ones(tuple(part.stop - part.start for part in place), dtype=bool)
        if self.inputs.mask is not None:
            tested &= self.inputs.mask.data[place] > 0.5
        for axis, (part, within) in enumerate(zip(place, inner(shape))):
            voxels = np.arange(part.start, part.stop)
            along = (voxels >= within.start) & (voxels < within.stop)
            tested &= np.expand_dims(along, [a for a in range(3) if a != axis])
        return tested

    def _on_disk(self, kind: npt.DTypeLike) -> npt.NDArray[Any]:
        scratch: Optional[Path] = self.execution.scratch
        return on_disk(self.inputs.grid.shape, kind, scratch)


def _median(counted: Any, resolutions: Float64) -> float:
    """Return the median value, of how many voxels have none (first) and each of ``resolutions``."""
    ascending = np.cumsum(counted[:0:-1])
    if ascending.size == 0 or ascending[-1] == 0:
        return float("nan")
    return float(np.float32(resolutions[::-1][np.searchsorted(ascending, ascending[-1] // 2, side="right")]))
