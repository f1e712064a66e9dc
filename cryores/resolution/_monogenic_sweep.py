"""What the sweeps of MonoRes and MonoTomo share: range, coarse grids of narrow bands, record, values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.backend import Array
from cryores.errors import UsageError
from cryores.fourier import Float64
from cryores.monogenic import Blur, Edges, Monogenic, sweep_resolutions
from cryores.volume import FloatArray, Grid, IntTriple

SMALLEST_SIGNAL_SHARE = 0.001
"""A high-pass sweep ends when the mean signal falls below this share of the largest so far."""

SMOOTHING_SIGMA = 3.0 / np.sqrt(2.0)
"""Standard deviation, in voxels, of the published Gaussian exp(-(pi u sigma)^2) of sigma 3."""

COARSE_GRIDS = (0.25, 0.375, 0.5, 0.6)
"""Shares of the box's voxels along each edge on which a narrow band may be processed: few, for each is planned once."""

OVERSAMPLING = 1.5
"""Room above the band on those grids: the squares in an amplitude double its band, and fold back outside of it."""


# --- what is tested -----------------------------------------------------------------------------------------------


def tested_resolutions(
    grid: Grid, finest: Optional[float], coarsest: Optional[float], step: float, usual: float
) -> Float64:
    """Return the resolutions (Å) of a sweep, coarse to fine, all of them Fourier bins.

    Parameters
    ----------
    grid : Grid
        The grid of the maps.
    finest, coarsest : float or None
        What the user asked for (Å); None for Nyquist, and for ``usual`` or a quarter of the box where that is less.
    step : float
        Distance of the candidates (Å).
    usual : float
        Where the sweep starts when nothing is asked for (Å).

    Raises
    ------
    UsageError
        ``E_RANGE`` if the range is upside down, or finer than Nyquist or coarser than the box throughout.
    """
    box = max(grid.extent)
    finest = finest if finest is not None else grid.nyquist
    if coarsest is None:
        coarsest = max(min(usual, box / 4), 2 * grid.nyquist, finest)
    if coarsest < grid.nyquist * (1 - 1e-6):
        raise UsageError(
            "E_RANGE",
            f"the maps hold nothing finer than {grid.nyquist:.2f} Å (Nyquist), and the range ends at {coarsest:g} Å",
            f"give --max-resolution above {grid.nyquist:.2f} Å, or check the voxel size",
        )
    if finest > coarsest:
        raise UsageError(
            "E_RANGE",
            f"the resolution range is upside down: {finest:g} Å is coarser than {coarsest:g} Å",
            "min_resolution is the finest, the smallest number of Å",
        )
    if finest > box:
        raise UsageError(
            "E_RANGE",
            f"the whole range lies beyond the box of {box:.1f} Å: it starts at {finest:g} Å",
            "give a smaller --min-resolution, or check the voxel size",
        )
    return sweep_resolutions(grid, min(coarsest, box), max(finest, grid.nyquist), step)


def doubts_about_sweep(resolutions: Float64) -> List[str]:
    """Say in words what is suspicious in the frequencies of a sweep."""
    if len(resolutions) < 3:
        return [f"only {len(resolutions)} frequencies are tested: widen the range or make the step smaller"]
    return []


# --- the grids of narrow bands ------------------------------------------------------------------------------------


class Engines:
    """The whole grid, and the coarsest grid that holds a band: the last one used is kept.

    A high-pass holds every frequency, and needs the whole grid. A band-pass does not: its noise is measured on a
    coarser grid, and only its signal is interpolated to all voxels.
    """

    def __init__(self, whole: Monogenic, threads: int) -> None:
        self.whole = whole
        self._threads = threads
        self._coarse: Optional[Monogenic] = None

    def holding(self, limit: float) -> Monogenic:
        """Return the coarsest engine that holds digital frequencies up to ``limit``."""
        grid = self.whole.grid
        shape = _shape_for(limit, grid)
        if shape == grid.shape:
            return self.whole
        if self._coarse is None or self._coarse.grid.shape != shape:
            self._coarse = None  # given back before the next one is allocated
            voxel_size = tuple(e / n for e, n in zip(grid.extent, shape))
            coarse = Grid.regular(shape, voxel_size)  # type: ignore[arg-type]
            self._coarse = Monogenic(coarse, self._threads, source=grid, backend=self.whole.backend)
        return self._coarse

    def everywhere(self, engine: Monogenic, amplitude: Array, smooth: Edges) -> Array:
        """Return ``amplitude`` of ``engine`` (destroyed), filtered to ``smooth``, on the whole grid."""
        if engine is self.whole:
            return engine.smoothed(amplitude, smooth)
        spectrum = engine.smoothed_spectrum(amplitude, smooth)
        return self.whole.synthesis(spectrum, engine.grid)


def _shape_for(limit: float, grid: Grid) -> IntTriple:
    """Return the smallest of the coarse shapes that holds digital frequencies up to ``limit``, or the whole one."""
    needed = [OVERSAMPLING * (2 * limit / grid.spacing * edge + 1) for edge in grid.extent]
    for share in COARSE_GRIDS:
        z, y, x = (2 * scipy.fft.next_fast_len(int(np.ceil(n * share / 2)), real=True) for n in grid.shape)
        if all(m >= least and m < n for m, least, n in zip((z, y, x), needed, grid.shape)):
            return (z, y, x)
    return grid.shape


# --- the record ---------------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What a sweep did at each frequency, and why it ended."""

    resolutions: List[float] = field(default_factory=list)
    thresholds: List[float] = field(default_factory=list)
    passed: List[float] = field(default_factory=list)
    tested: List[float] = field(default_factory=list)
    ended: str = "the finest resolution of the range was tested"

    def add(self, resolution: float, threshold: float, tested: float, passed: float) -> None:
        """Note one frequency: its resolution (Å), threshold, and the shares of the voxels tested and passed."""
        self.resolutions.append(resolution)
        self.thresholds.append(threshold)
        self.tested.append(tested)
        self.passed.append(passed)

    def details(self) -> Dict[str, Any]:
        """Return it as plain values for the report."""
        return {
            "tested_resolutions": [round(r, 4) for r in self.resolutions],
            "thresholds": self.thresholds,
            "tested_share": [round(s, 6) for s in self.tested],
            "passed_share": [round(s, 6) for s in self.passed],
            "ended_because": self.ended,
        }


# --- the values ---------------------------------------------------------------------------------------------------


def resolution_map(
    level: npt.NDArray[np.int16], resolutions: Float64, out: Optional[FloatArray] = None
) -> Tuple[FloatArray, float]:
    """Turn the last frequency passed into Å, NaN where no test was decided; return it and the median value."""
    values = np.append(resolutions, np.nan).astype(np.float32)  # level -1 is the last
    found = np.empty(level.shape, dtype=np.float32) if out is None else out
    counts = np.zeros(len(values), dtype=np.int64)
    for plane, into in zip(level, found):
        np.take(values, plane, out=into, mode="wrap")
        counts += np.bincount(plane.ravel() + 1, minlength=len(values))
    ascending = np.cumsum(counts[:0:-1])
    if ascending.size == 0 or ascending[-1] == 0:
        return found, float("nan")
    return found, float(values[:-1][::-1][np.searchsorted(ascending, ascending[-1] // 2, side="right")])


def smooth_downwards(raw: FloatArray, typical: float, engine: Monogenic) -> FloatArray:
    """Blur a resolution map, its gaps filled with ``typical``, where that makes the value finer; return it.

    The map lies on the engine's grid, or on the first corner of it, and is changed in place if the engine computes on
    the host. A blurred value beyond Nyquist gives way to the raw one.
    """
    there = engine.backend
    values, xp = there.asarray(raw), there.xp
    scratch = engine.scratch
    scratch[...] = typical
    ny, nx = raw.shape[1:]
    for z in range(len(raw)):
        plane = values[z, ...]
        scratch[z, :ny, :nx] = xp.where(xp.isnan(plane), typical, plane)
    blurred = engine.smoothed(scratch, Blur(SMOOTHING_SIGMA))
    for z in range(len(raw)):
        plane, finer = values[z, ...], blurred[z, :ny, :nx]
        values[z, ...] = xp.where((finer < plane) & (finer >= engine.grid.nyquist), finer, plane)
    return there.to_host(values)
