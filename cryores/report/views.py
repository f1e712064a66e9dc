"""What is shown of a result, as arrays: histogram, planes, filled map, contour level, surface, FSC curves.

The figures, the page and the ChimeraX script only draw these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np
import numpy.typing as npt

from cryores.fourier import Float64
from cryores.localres_maps import filled_outwards as filled_outwards
from cryores.masks import block_around
from cryores.method import LocalMap
from cryores.resolution._fsc_result import FSCResult
from cryores.volume import BoolArray, FloatArray, Grid, Volume

BINS = 50

DENSITY_WIDTH = 0.1
"""Width (Å) to which the heights of histograms with unlike bins refer."""

BAND = (5.0, 95.0)
"""Percentiles of the band in which most values lie: what is farther from it than it is wide sets no axis."""

ROW_OF_PLANES = 6

SURFACE_BOX = 96
"""Voxels along the longest edge of the box in which the surface is traced."""

SURFACE_TRIANGLES = 60000
"""The surface is traced more coarsely until it has no more triangles: they make the size of the page."""

SURFACE_MARGIN = 2


# --- values -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histogram:
    """Counts of voxels between edges; there is one edge more than counts.

    Parameters
    ----------
    counts : ndarray of int64
        Voxels of each bin; the outermost ones hold what lies beyond the edges too.
    edges : ndarray of float64
        Ends of the bins (Å, or the unit of the quantity).
    below, above : float or None
        The lowest and the highest value where they lie beyond the edges.
    """

    counts: npt.NDArray[np.int64]
    edges: Float64
    below: Optional[float] = None
    above: Optional[float] = None

    def far_ends(self, told: Callable[[float], str]) -> Dict[int, str]:
        """Return what is to be written over a bin that holds values far beyond it; ``told`` makes text of a value."""
        ends = {0: ("down to", self.below), len(self.counts) - 1: ("up to", self.above)}
        return {at: f"{words} {told(value)}" for at, (words, value) in ends.items() if value is not None}

    @property
    def density(self) -> Float64:
        """The percentage of the voxels in every 0.1 Å of a bin: histograms of unlike bins have the same area."""
        share: Float64 = 100.0 * self.counts / self.counts.sum() * DENSITY_WIDTH / np.diff(self.edges)
        return share


def histogram_ends(values: FloatArray) -> Tuple[float, float]:
    """Return where the axis of a histogram begins and ends: at the outermost values, unless they lie far from most."""
    low, high = (float(end) for end in np.percentile(values, BAND))
    room = (high - low) or np.inf
    return max(float(values.min()), low - room), min(float(values.max()), high + room)


def histogram(values: FloatArray) -> Histogram:
    """Count values in `BINS` even bins, or in one bin a value where there are fewer different, even values.

    Methods that try a list of resolutions give few different values; bins of another width would show a comb. Values
    far from all others, of single voxels, count in the outermost bins.
    """
    lowest, highest = float(values.min()), float(values.max())
    distinct, step = _distinct(values)
    if step is not None:
        edges = np.append(distinct - 0.5 * step, distinct[-1] + 0.5 * step)
        ends = lowest, highest
    else:
        ends = histogram_ends(values)
        edges = np.histogram_bin_edges(np.array(ends), bins=BINS)
    counts, edges = np.histogram(np.clip(values.astype(np.float64), *ends), bins=edges)
    below, above = (lowest if lowest < ends[0] else None), (highest if highest > ends[1] else None)
    return Histogram(counts.astype(np.int64), edges.astype(np.float64), below, above)


def histograms(several: Mapping[str, FloatArray]) -> Dict[str, Histogram]:
    """Count several arrays of values to be drawn over each other, by name, in bins that they share.

    Only values of even steps wider than those bins, or not much narrower, get bins of so many whole steps: in others
    they would show a comb, and their bins would hide the shape of the other histograms.
    """
    ends = np.array([histogram_ends(values) for values in several.values()])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    shared = np.histogram_bin_edges(np.array((low, high)), bins=BINS)
    found = {}
    for name, values in several.items():
        edges = _whole_steps(values, shared[1] - shared[0])
        edges = shared if edges is None else edges
        counts, _ = np.histogram(np.clip(values.astype(np.float64), edges[0], edges[-1]), bins=edges)
        found[name] = Histogram(counts.astype(np.int64), edges)
    return found


def span(found: Iterable[Histogram]) -> Tuple[float, float]:
    """Return the ends (Å) of an axis that holds all these histograms."""
    ends = [(one.edges[0], one.edges[-1]) for one in found]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def _whole_steps(values: FloatArray, width: float) -> Optional[Float64]:
    """Return edges of bins of whole steps, not narrower than ``width``; None of values that are many or uneven."""
    distinct, step = _distinct(values)
    if step is None:
        return None
    wide = step * np.ceil(width / step)
    edges: Float64 = distinct[0] - 0.5 * step + wide * np.arange(np.ceil(round(len(distinct) * step / wide, 6)) + 1)
    return edges


def _distinct(values: FloatArray) -> Tuple[Float64, Optional[float]]:
    """Return the different values, and their step where they are no more than `BINS` and even, else None."""
    distinct: Float64 = np.unique(np.round(values.astype(np.float64), 4))
    steps = np.diff(distinct)
    even = 1 < len(distinct) <= BINS and np.allclose(steps, steps.mean(), rtol=0.01)
    return distinct, float(steps.mean()) if even else None


def shown_values(result: LocalMap, cut: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the values of what is cut out of the box, NaN wherever nothing is to be coloured."""
    return np.where(cut(result.mask.data) > 0.5, cut(result.local.data), np.float32(np.nan))


# --- planes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """A plane through a volume: voxel ``index`` along ``axis`` (0, 1, 2 for z, y, x)."""

    axis: int
    index: int

    @property
    def name(self) -> str:
        """The plane in words, counted from 0 as ChimeraX does."""
        return f"{'zyx'[self.axis]} = {self.index}"

    def placed_in(self, grid: Grid) -> str:
        """Return where the plane lies, in words and in Å, as the axes of the pictures."""
        position = grid.first_voxel[self.axis] + self.index * grid.voxel_size[self.axis]
        return f"{'zyx'[self.axis]} = {position:.1f} Å"

    def of(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the plane of ``data``, its later axis along columns."""
        plane: npt.NDArray[Any] = np.take(data, self.index, axis=self.axis)
        return plane

    def others(self, triple: Any) -> Tuple[Any, Any]:
        """Return the parts of a (z, y, x) triple along the rows and the columns of the plane."""
        rows, columns = (part for axis, part in enumerate(triple) if axis != self.axis)
        return rows, columns


def central_planes(box: Tuple[slice, slice, slice]) -> List[Plane]:
    """Return the three planes through the middle of ``box``, across z, y and x."""
    return [Plane(axis, (part.start + part.stop) // 2) for axis, part in enumerate(box)]


def row_of_planes(box: Tuple[slice, slice, slice], count: int = ROW_OF_PLANES) -> List[Plane]:
    """Return at most ``count`` evenly spaced planes across z, from one inner edge of ``box`` to the other."""
    first, last = box[0].start, box[0].stop - 1
    if count < last - first + 1:
        margin = (last - first) / (2.0 * count)
        picked = np.unique(np.round(np.linspace(first + margin, last - margin, count)).astype(int))
    else:
        picked = np.arange(first, last + 1)
    return [Plane(0, int(index)) for index in picked]


def grey_limits(density: FloatArray, box: Tuple[slice, slice, slice]) -> Tuple[float, float]:
    """Return the densities drawn black and white: percentiles 1 and 99.8 inside ``box``."""
    low, high = np.percentile(density[box], (1.0, 99.8))
    return float(low), float(high)


# --- surface ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surface:
    """A coloured surface.

    Parameters
    ----------
    vertices : ndarray of float64, shape (n, 3)
        Positions (x, y, z) in Å, where the map's header places them.
    triangles : ndarray of int32, shape (m, 3)
        Indices of vertices.
    values : ndarray of float64, shape (n,)
        Resolution in Å at each vertex.
    """

    vertices: Float64
    triangles: npt.NDArray[np.int32]
    values: Float64


def surface(
    density: Volume, filled: Volume, inside: BoolArray, level: float, most_triangles: int = SURFACE_TRIANGLES
) -> Optional[Surface]:
    """Trace the surface of ``density`` at ``level`` inside the mask, with the filled resolution at its vertices.

    The map is averaged over blocks of voxels until there are at most ``most_triangles``. None if there is no surface.
    """
    from scipy import ndimage

    box = tuple(
        slice(max(0, part.start - SURFACE_MARGIN), min(n, part.stop + SURFACE_MARGIN))
        for part, n in zip(block_around(inside), density.grid.shape)
    )
    # Without this the noise around the particle would be traced too.
    masked = np.where(
        inside[box], density.data[box], np.minimum(density.data[box], density.data[inside].min(initial=level))
    )
    factor = max(1, -(-max(masked.shape) // SURFACE_BOX))
    traced = _traced(masked, factor, level)
    while traced is not None and len(traced[1]) > most_triangles:
        factor += 1
        traced = _traced(masked, factor, level)
    if traced is None:
        return None
    voxels = traced[0] + np.array([part.start for part in box])
    values = ndimage.map_coordinates(filled.data, voxels.T, order=1, mode="nearest")
    positions = np.array(density.grid.first_voxel) + voxels * np.array(density.grid.voxel_size)
    # Triangles are traced facing inwards in (z, y, x); the mirroring to (x, y, z) turns them outwards.
    return Surface(positions[:, ::-1], traced[1].astype(np.int32), values.astype(np.float64))


def _traced(density: FloatArray, factor: int, level: float) -> Optional[Tuple[Float64, npt.NDArray[np.int32]]]:
    """Return vertices in voxels of ``density`` and triangles, traced on blocks of ``factor`` voxels."""
    from skimage.measure import marching_cubes

    blocks = block_means(density, factor)
    if min(blocks.shape) < 2 or not blocks.min() < level < blocks.max():
        return None
    vertices, triangles, _, _ = marching_cubes(blocks, level)
    return vertices.astype(np.float64) * factor + 0.5 * (factor - 1), triangles


def block_means(density: FloatArray, factor: int) -> FloatArray:
    """Return the means of blocks of ``factor`` voxels along each axis; what fills no block is left out."""
    if factor == 1:
        return density
    whole = tuple(n // factor for n in density.shape)
    trimmed = density[tuple(slice(0, n * factor) for n in whole)]
    z, y, x = whole
    means: FloatArray = trimmed.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5), dtype=np.float32)
    return means


# --- FSC ----------------------------------------------------------------------------------------------------------

FSC_TITLES = {
    "corrected": "corrected for the mask",
    "masked": "masked",
    "unmasked": "unmasked",
    "randomised": "masked, random phases",
    "particle": "corrected for solvent",
    "model": "map and model",
}


FDR_TITLE = "more than noise, by false discovery rate"


@dataclass(frozen=True)
class Mark:
    """Where a curve meets a threshold: ``frequency`` in 1/Å, and what to write beside it."""

    frequency: float
    threshold: float
    label: str


def fsc_curves(result: FSCResult) -> Dict[str, Float64]:
    """Return the correlation curves to draw, keyed by what they are."""
    drawn = {name: getattr(result, name) for name in FSC_TITLES}
    if result.masked is None:
        drawn["corrected"] = None  # it is the unmasked curve
    return {FSC_TITLES[name]: curve for name, curve in drawn.items() if curve is not None}


def fsc_marks(result: FSCResult) -> List[Mark]:
    """Return where the main curve, the corrected one or that with a model, meets the thresholds that are drawn."""
    found = result.resolution or result.model_resolution
    marks = [
        Mark(1.0 / value, float(name), f"{value:.2f} Å at {name}")
        for name, value in found.items()
        if value is not None and _is_number(name)
    ]
    value = result.resolution.get("fdr")
    if result.fdr is not None and value is not None:
        level = float(np.interp(1.0 / value, result.frequency, result.fdr))
        marks.append(Mark(1.0 / value, level, f"{value:.2f} Å by FDR"))
    return marks


def fsc_thresholds(result: FSCResult) -> List[float]:
    """Return the constant thresholds that were applied, the smallest first."""
    return sorted(float(name) for name in (result.resolution or result.model_resolution) if _is_number(name))


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def logarithms(amplitudes: Dict[str, Float64]) -> Dict[str, Float64]:
    """Return ln of each curve, NaN where it is 0."""
    with np.errstate(divide="ignore"):
        return {name: np.where(curve > 0, np.log(curve), np.nan) for name, curve in amplitudes.items()}
