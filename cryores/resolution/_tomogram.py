"""The amplitudes of signal and noise in a tomogram, or in a block of one, that fades out at its border."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

import numpy as np
import scipy.fft

from cryores.backend import HOST, Array, Backend
from cryores.monogenic import Edges, Monogenic, band_pass, high_pass, low_pass
from cryores.resolution._monogenic_sweep import Engines
from cryores.slab_monogenic import SlabMonogenic
from cryores.volume import FloatArray, Grid, IntTriple

BORDER = 10
"""Voxels at each end of an axis over which the tomogram fades out and where nothing is measured, or a tenth of it."""

Halves = Tuple[FloatArray, FloatArray]


class Criterion(NamedTuple):
    """What is compared, and with which quantile of the noise: of `MonotomoParameters`, all of them set."""

    filter: str
    transition: float
    significance: float
    noise_tile: float


def border(shape: IntTriple) -> IntTriple:
    """Return the voxels at each end of an axis that fade out."""
    z, y, x = (min(BORDER, n // 10) for n in shape)
    return z, y, x


def inner(shape: IntTriple) -> Tuple[slice, slice, slice]:
    """Return what lies within the border."""
    z, y, x = (slice(b, n - b) for b, n in zip(border(shape), shape))
    return z, y, x


def padded(shape: IntTriple) -> IntTriple:
    """Return the box in which a tomogram is transformed: edges with small prime factors, even."""
    z, y, x = (2 * scipy.fft.next_fast_len((n + 1) // 2, real=True) for n in shape)
    return z, y, x


def means(halves: Halves) -> Tuple[float, float]:
    """Return the means of both halves."""
    one, two = (float(half.mean(dtype=np.float64)) for half in halves)
    return one, two


class Amplitudes:
    """The amplitudes of signal and noise at each frequency, of a tomogram faded out at its border.

    Because it fades out, it may be continued with zeros: to a box whose transforms are fast. In slabs, there is room
    for one spectrum only, which is computed anew each time.

    Parameters
    ----------
    halves : tuple of ndarray of float32
        Two halves of a tomogram, or the same block of both.
    grid : Grid
        Their grid.
    of_halves : tuple of float
        The means of both tomograms, which are subtracted.
    test : Criterion
        The filters.
    threads : int
        Threads of the transforms.
    slabs : int
        Number of slabs; 0 for all at once.
    backend : Backend
        Where it computes; in slabs, on the host alone.
    """

    def __init__(
        self,
        halves: Halves,
        grid: Grid,
        of_halves: Tuple[float, float],
        test: Criterion,
        threads: int,
        slabs: int = 0,
        backend: Backend = HOST,
    ) -> None:
        box = Grid.regular(padded(grid.shape), grid.voxel_size)
        self._halves, self._means, self._grid, self._test = halves, of_halves, grid, test
        self._part = tuple(slice(0, n) for n in grid.shape)
        self.engine = SlabMonogenic(box, threads, slabs) if slabs else Monogenic(box, threads, backend=backend)
        self._engines = Engines(self.engine, threads)
        self._keeps = not slabs
        self._kept: Dict[float, Array] = {}

    def noise(self, resolution: float) -> Array:
        """Return the amplitude of half the difference at ``resolution`` (Å), on any grid over the padded box."""
        band, smooth = self._bands(resolution)
        engine = self._engines.holding(max(band.reach, smooth.reach))
        return engine.smoothed(engine.amplitude(self._transformed(-1.0), band), smooth)

    def signal(self, resolution: float) -> Array:
        """Return the amplitude of the tomogram at ``resolution`` (Å), valid until the next call."""
        band, smooth = self._bands(resolution)
        engine = self._engines.holding(max(band.reach, smooth.reach))
        return self._engines.everywhere(engine, engine.amplitude(self._transformed(1.0), band), smooth)[self._part]

    def _bands(self, resolution: float) -> Tuple[Edges, Edges]:
        frequency, width = self._grid.spacing / resolution, self._test.transition
        make = band_pass if self._test.filter == "bandpass" else high_pass
        return make(frequency, width), low_pass(frequency, width)

    def _transformed(self, sign: float) -> Array:
        """Return the spectrum of half the sum (1) or difference (-1) of the halves, without its mean, faded out."""
        if sign in self._kept:
            return self._kept[sign]
        buffer, there = self.engine.buffer, self.engine.backend
        buffer[...] = 0
        buffer[self._part] = there.asarray(self._halves[0])
        if sign > 0:
            buffer[self._part] += there.asarray(self._halves[1])
        else:
            buffer[self._part] -= there.asarray(self._halves[1])
        buffer *= 0.5
        buffer[self._part] -= 0.5 * (self._means[0] + sign * self._means[1])
        for axis, (faded, length) in enumerate(zip(border(self._grid.shape), self._grid.shape)):
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(faded) + 0.5) / max(faded, 1))
            fade = np.expand_dims(ramp.astype(np.float32), [a for a in range(3) if a != axis])
            for part, factor in ((slice(0, faded), fade), (slice(length - faded, length), np.flip(fade))):
                place = tuple(part if a == axis else slice(None) for a in range(3))
                buffer[place] *= there.asarray(factor)
        spectrum = self.engine.transform(buffer)
        if self._keeps:
            self._kept[sign] = spectrum
        return spectrum
