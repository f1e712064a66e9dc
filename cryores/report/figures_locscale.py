"""Pictures of the local B-factors of LocScale: planes, and how they are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.masks import BINARY_THRESHOLD
from cryores.processed import ProcessedMap
from cryores.report import figures, views
from cryores.report.colours import CURVE_COLOURS

BINS = 60
SHOWN = (1.0, 99.0)
"""Percentiles of the values that are drawn in colours of their own."""


def local_bfactors(result: ProcessedMap) -> Any:
    """Return the B-factors (Å^2) that were found inside the mask."""
    values = result.extra["bfactor"].data[result.mask.data > BINARY_THRESHOLD]
    return values[np.isfinite(values)]


def histogram(values: Any) -> Any:
    """Return counts and edges, without the outermost values at either end."""
    low, high = np.percentile(values, SHOWN)
    return np.histogram(values, bins=BINS, range=(float(low), float(max(high, low + 1.0))))


def bfactor_figure(result: ProcessedMap) -> Figure:
    """Draw three planes of the processed map with the local B-factor over it, and the histogram of the B-factors."""
    box = views.bounding_box(result.mask.data > BINARY_THRESHOLD)
    values = local_bfactors(result)
    figure = figures.new_figure(9, 6.4)
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1.0))
    axes = above.subplots(1, 3)
    if not values.size:
        below.text(0.5, 0.5, "no window has a range to fit a B-factor over", ha="center", color=figures.TEXT)
        return figure
    counts, edges = histogram(values)
    grey = Normalize(*views.grey_limits(result.sharpened.data, box))
    colours = ScalarMappable(Normalize(float(edges[0]), float(edges[-1])), "viridis")
    for ax, plane in zip(axes, views.central_planes(box)):
        placed = {
            "origin": "lower",
            "extent": figures.extent(plane, result.sharpened.grid),
            "interpolation": "nearest",
        }
        ax.imshow(plane.of(result.sharpened.data), cmap="gray", norm=grey, **placed)
        ax.imshow(plane.of(result.extra["bfactor"].data), cmap=colours.cmap, norm=colours.norm, alpha=0.7, **placed)
        figures.look_at(ax, plane, result.sharpened.grid, box)
    above.colorbar(colours, ax=axes, extend="both", shrink=0.85).set_label("Local B-factor (Å²)")
    plot = below.subplots()
    plot.bar(edges[:-1], counts, np.diff(edges), align="edge", color=CURVE_COLOURS[0], edgecolor="none")
    median = float(np.median(values))
    plot.axvline(median, color=figures.TEXT, label=f"median {median:.1f} Å²")
    plot.set(xlabel="Local B-factor (Å²)", ylabel="Voxels inside the mask")
    plot.spines[["top", "right"]].set_visible(False)
    plot.legend(frameon=False)
    return figure
