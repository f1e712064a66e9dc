"""Pictures of a comparison: slices of every map in one colour scale with its histogram, all histograms, agreement."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any, Dict, List

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.report import figures, views
from cryores.report.colours import CURVE_COLOURS, ColourScale, colour_scale
from cryores.resolution.compare import Comparison
from cryores.volume import Volume


def common_scale(result: Comparison) -> ColourScale:
    """Return the one colour scale of all maps; each map counts alike, however many voxels it gives a value."""
    spread = np.linspace(0, 100, 201)
    return colour_scale(np.concatenate([np.percentile(result.values(name), spread) for name in result.maps]))


def histograms(result: Comparison) -> Dict[str, views.Histogram]:
    """Return the histogram of each map; a map of few steps leaves the others their bins."""
    return views.histograms({name: result.values(name) for name in result.maps})


def line_colours(count: int) -> List[str]:
    """Return a colour for each of so many maps."""
    return list(islice(cycle(CURVE_COLOURS), count))


def slices_figure(result: Comparison, density: Volume, scale: ColourScale) -> Figure:
    """Draw a row a map: three planes coloured in the common scale over the grey density, and its histogram."""
    box = block_around(result.mask.data > BINARY_THRESHOLD)
    planes = [_fullest(plane, result) for plane in views.central_planes(box)]
    grey = Normalize(*views.grey_limits(density.data, box))
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.for_matplotlib())
    counted = histograms(result)
    figure = figures.new_figure(11, 0.6 + 2.5 * len(result.maps))
    grid = figure.subplots(len(result.maps), 4, width_ratios=(1, 1, 1, 1.5), squeeze=False)
    for row, (name, volume) in zip(grid, result.resolutions.items()):
        for ax, plane in zip(row, planes):
            placed: Dict[str, Any] = {
                "origin": "lower",
                "extent": figures.extent(plane, density.grid),
                "interpolation": "nearest",
            }
            ax.imshow(plane.of(density.data), cmap="gray", norm=grey, **placed)
            ax.imshow(plane.of(volume.data), cmap=colours.cmap, norm=colours.norm, alpha=0.75, **placed)
            figures.look_at(ax, plane, density.grid, box)
            ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        row[0].set_ylabel(name, fontsize=11, color=figures.TEXT)
        _draw_histogram(row[3], counted[name], result.maps[name]["median"], scale)
        row[3].set_xlim(views.span(counted.values()))
    grid[-1][3].set_xlabel("Local resolution (Å)")
    # Both are shares of the height of all rows.
    placed_bar: Dict[str, Any] = {
        "location": "bottom",
        "fraction": 0.15 / len(grid),
        "pad": 0.05 / len(grid),
        "aspect": 50,
    }
    bar = figure.colorbar(colours, ax=grid[:, :3], extend="both", ticks=scale.values, **placed_bar)
    bar.set_label("Local resolution (Å)")
    bar.ax.set_xticklabels(scale.labels)
    return figure


def _fullest(plane: views.Plane, result: Comparison) -> views.Plane:
    """Return the plane or a neighbour: blocres computes every second one, and there every map should have values."""
    near = [views.Plane(plane.axis, plane.index + step) for step in (0, 1, -1)]
    near = [one for one in near if 0 <= one.index < result.mask.grid.shape[one.axis]]
    maps = result.resolutions.values()
    return max(near, key=lambda one: min(np.count_nonzero(np.isfinite(one.of(v.data))) > 0 for v in maps))


def _draw_histogram(ax: Any, counted: views.Histogram, median: float, scale: ColourScale) -> None:
    edges = counted.edges
    centres = 0.5 * (edges[1:] + edges[:-1])
    colours = scale.for_matplotlib()((centres - scale.low) / (scale.high - scale.low))
    ax.bar(edges[:-1], counted.density, np.diff(edges), align="edge", color=colours, edgecolor="none")
    ax.axvline(median, color=figures.TEXT, lw=1, label=f"median {median:.2f} Å")
    ax.set_ylabel("% of voxels per 0.1 Å", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)


def histogram_figure(result: Comparison) -> Figure:
    """Draw the histograms of all maps over each other, with their medians dashed."""
    figure = figures.new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    counted = histograms(result)
    for (name, one), colour in zip(counted.items(), line_colours(len(result.maps))):
        median = result.maps[name]["median"]
        axes.stairs(one.density, one.edges, color=colour, lw=1.6, label=f"{name}, median {median:.2f} Å")
        axes.axvline(median, color=colour, ls="--", lw=1)
    axes.set(xlabel="Local resolution (Å)", ylabel="% of the voxels with a value, per 0.1 Å")
    axes.set_xlim(views.span(counted.values()))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def agreement(result: Comparison) -> Float64:
    """Return rank correlations of all maps: voxel by voxel below the diagonal, of the means over the window above."""
    names = list(result.maps)
    found = np.eye(len(names))
    for pair in result.pairs:
        first, second = names.index(pair.first), names.index(pair.second)
        found[second, first], found[first, second] = pair.rank, pair.window_rank
    return found


def agreement_figure(result: Comparison) -> Figure:
    """Draw the matrix of the rank correlations."""
    names, values = list(result.maps), agreement(result)
    size = 2.6 + 0.85 * len(names)
    figure = figures.new_figure(size + 1.2, size)
    axes = figure.add_subplot()
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    image = axes.imshow(shown, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.5 else "black")
    axes.spines[:].set_visible(False)
    axes.set_title(f"below: voxel by voxel\nabove: means over {result.window:.0f} Å", fontsize=10, color=figures.TEXT)
    figure.colorbar(image, ax=axes, label="Rank correlation", shrink=0.8, extend="min")
    return figure
