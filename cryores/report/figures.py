"""PNG figures, drawn with matplotlib's object interface on the Agg canvas: no window and no global state."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.method import LocalMap
from cryores.report import views
from cryores.report.colours import CURVE_COLOURS, ColourScale
from cryores.resolution._fsc_result import FSCResult
from cryores.volume import Grid, Volume

DOTS_PER_INCH = 150
TEXT = "#222222"
FSC_TICKS = (40, 20, 15, 10, 8, 6, 5, 4, 3.5, 3, 2.5, 2, 1.5, 1.2, 1)
"""Resolutions in Å that are written along the top of an FSC plot."""


class _Picture(Figure):
    """A figure that is drawn once when it is saved; matplotlib draws one whose parts find their places twice."""

    def savefig(self, fname: Any, **options: Any) -> None:
        if options:
            super().savefig(fname, **options)
        else:
            self.canvas.print_png(fname)  # type: ignore[attr-defined]


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """Return an empty figure of so many inches, with its own Agg canvas.

    Its parts find places in which nothing overlaps; that costs more than the drawing. With ``layout`` None they are
    where they are put.
    """
    figure = _Picture(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def histogram_figure(result: LocalMap, scale: ColourScale, global_resolution: Optional[float] = None) -> Figure:
    """Draw the histogram of the values inside the mask, with median, 5-95 % and, of resolutions, the global FSC.

    The bars have the colours that the values have in the other pictures.
    """
    figure = new_figure(7, 4, layout=None)
    axes = figure.add_axes((0.14, 0.13, 0.84, 0.84))
    values = result.values()
    axes.set(xlabel=scale.title, ylabel="Voxels inside the mask")
    axes.spines[["top", "right"]].set_visible(False)
    if not len(values):
        axes.text(0.5, 0.5, "no voxel has a value", transform=axes.transAxes, ha="center", color=TEXT)
        return figure
    found = views.histogram(values)
    centres = 0.5 * (found.edges[1:] + found.edges[:-1])
    colours = scale.for_matplotlib()((centres - scale.low) / (scale.high - scale.low))
    axes.bar(
        found.edges[:-1], found.counts, np.diff(found.edges), align="edge", color=colours, edgecolor="none", zorder=2
    )
    for at, text in found.far_ends(scale.told).items():
        corner, side = (found.edges[-1], "right") if at else (found.edges[0], "left")
        above: Any = {"xytext": (0, 3), "textcoords": "offset points", "ha": side, "fontsize": 8, "color": TEXT}
        axes.annotate(text, (corner, found.counts[at]), **above)
    p5, median, p95 = np.percentile(values, (5, 50, 95))
    axes.axvspan(p5, p95, color="#000000", alpha=0.06, zorder=1, label=f"5–95 %: {p5:.2f}–{scale.told(p95)}")
    axes.axvline(median, color=TEXT, zorder=3, label=f"median {scale.told(median)}")
    if global_resolution is not None:
        axes.axvline(
            global_resolution, color=CURVE_COLOURS[1], ls="--", zorder=3, label=f"global FSC {global_resolution:.2f} Å"
        )
    axes.legend(frameon=False)
    return figure


def slices_figure(result: LocalMap, density: Volume, scale: ColourScale) -> Figure:
    """Draw planes of the density in grey with the values coloured over it inside the mask.

    Above, three planes through the middle of the mask's bounding box; below, evenly spaced planes across z.
    """
    box = block_around(result.mask.data > BINARY_THRESHOLD)
    row = views.row_of_planes(box)
    figure = new_figure(9, 5.2, layout=None)
    upper = figure.add_gridspec(1, 3, left=0.068, right=0.865, bottom=0.44, top=0.94, wspace=0.28)
    lower = figure.add_gridspec(1, len(row), left=0.03, right=0.97, bottom=0.03, top=0.32, wspace=0.06)
    axes: List[Any] = [figure.add_subplot(grid[0, i]) for grid in (upper, lower) for i in range(grid.ncols)]
    grey = Normalize(*views.grey_limits(density.data, box))
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.for_matplotlib())
    for ax, plane in zip(axes, views.central_planes(box) + row):
        placed = {"origin": "lower", "extent": extent(plane, density.grid), "interpolation": "nearest"}
        ax.imshow(plane.of(density.data), cmap="gray", norm=grey, **placed)
        ax.imshow(views.shown_values(result, plane.of), cmap=colours.cmap, norm=colours.norm, alpha=0.75, **placed)
        look_at(ax, plane, density.grid, box)
    for ax in axes[3:]:
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    beside = figure.add_axes((0.885, 0.46, 0.018, 0.46), label="<colorbar>")
    bar = figure.colorbar(colours, cax=beside, extend="both", ticks=scale.values)
    bar.set_label(scale.title)
    bar.ax.set_yticklabels(scale.labels)
    return figure


def extent(plane: views.Plane, grid: Grid) -> Tuple[float, float, float, float]:
    """Return left, right, bottom and top of a plane in Å; voxels are centred on their positions."""
    edges: List[float] = []
    for count, size, first in reversed(list(zip(*map(plane.others, (grid.shape, grid.voxel_size, grid.first_voxel))))):
        edges += [first - 0.5 * size, first + (count - 0.5) * size]
    left, right, bottom, top = edges
    return left, right, bottom, top


def look_at(ax: Any, plane: views.Plane, grid: Grid, box: Tuple[slice, slice, slice]) -> None:
    """Show the part of a plane inside ``box``, with a margin of a tenth, and name its axes."""
    left, right, bottom, top = extent(plane, grid)
    (row_box, column_box), (row_size, column_size) = plane.others(box), plane.others(grid.voxel_size)
    ax.set_xlim(_limits(column_box, column_size, left, right))
    ax.set_ylim(_limits(row_box, row_size, bottom, top))
    row_name, column_name = plane.others("zyx")
    ax.set_title(plane.placed_in(grid), fontsize=9, color=TEXT)
    ax.set_xlabel(f"{column_name} (Å)", fontsize=8)
    ax.set_ylabel(f"{row_name} (Å)", fontsize=8)
    ax.tick_params(labelsize=7)


def _limits(part: slice, size: float, start: float, end: float) -> Tuple[float, float]:
    margin = 0.1 * (part.stop - part.start)
    return max(start, start + (part.start - margin) * size), min(end, start + (part.stop + margin) * size)


def fsc_figure(result: FSCResult) -> Figure:
    """Draw the FSC curves with their thresholds and the resolutions where the main curve meets them."""
    figure = new_figure(7, 4.4)
    axes = figure.add_subplot()
    for number, (title, curve) in enumerate(views.fsc_curves(result).items()):
        # The main curve comes first and lies on top.
        axes.plot(result.frequency, curve, color=CURVE_COLOURS[number], lw=1.5, label=title, zorder=3 - 0.1 * number)
    axes.axhline(0, color="#999999", lw=0.8)
    for threshold in views.fsc_thresholds(result):
        axes.axhline(threshold, color="#777777", ls=":", lw=1)
    if result.fdr is not None:
        axes.plot(result.frequency, result.fdr, color="#777777", ls="--", lw=1, label=views.FDR_TITLE)
    for mark in views.fsc_marks(result):
        axes.plot(mark.frequency, mark.threshold, "o", color=TEXT, ms=5, zorder=4)
        axes.annotate(
            mark.label, (mark.frequency, mark.threshold), xytext=(7, 5), textcoords="offset points", color=TEXT
        )
    nyquist = float(result.frequency[-1])
    axes.set(xlim=(0, nyquist), ylim=(-0.1, 1.05), xlabel="Spatial frequency (1/Å)", ylabel="Fourier shell correlation")
    axes.spines["right"].set_visible(False)
    top = axes.twiny()
    ticks = apart([d for d in FSC_TICKS if 1.0 / d < nyquist], 0.06 * nyquist)
    top.set(xlim=(0, nyquist), xlabel="Resolution (Å)")
    top.set_xticks([1.0 / d for d in ticks], [f"{d:g}" for d in ticks])
    top.spines["right"].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    return figure


def apart(resolutions: List[float], distance: float) -> List[float]:
    """Keep the resolutions whose frequencies lie at least ``distance`` apart."""
    kept: List[float] = []
    for resolution in resolutions:
        if not kept or 1.0 / resolution - 1.0 / kept[-1] >= distance:
            kept.append(resolution)
    return kept
