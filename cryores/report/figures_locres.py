"""The figure of a calibrated local resolution: values that fade where they are uncertain, and how wide they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.method import Outcome
from cryores.report import figures, views
from cryores.report.colours import CURVE_COLOURS, colour_scale
from cryores.volume import full_map

CURVE_BINS = 40


def certainty_figure(outcome: Outcome) -> Figure:
    """Draw three planes, opaque where the interval is narrow, and the interval against the value."""
    result = outcome.result
    density = full_map(outcome.inputs.maps)
    box = block_around(result.mask.data > BINARY_THRESHOLD)
    scale = colour_scale(result.values(), result.quantity, result.unit)
    figure = figures.new_figure(9, 6.4)
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1.0))
    axes = above.subplots(1, 3)
    grey = Normalize(*views.grey_limits(density.data, box))
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.for_matplotlib())
    with np.errstate(invalid="ignore"):
        ratio = result.upper.data / result.lower.data
    widest = outcome.parameters.widest_interval
    for ax, plane in zip(axes, views.central_planes(box)):
        placed = {"origin": "lower", "extent": figures.extent(plane, density.grid), "interpolation": "nearest"}
        opacity = np.clip(np.log(widest / plane.of(ratio)) / np.log(widest), 0.0, 1.0)
        ax.imshow(plane.of(density.data), cmap="gray", norm=grey, **placed)
        image = colours.to_rgba(plane.of(result.resolution.data))
        image[..., 3] = np.where(np.isfinite(opacity), opacity, 0.0)
        ax.imshow(image, **placed)
        figures.look_at(ax, plane, density.grid, box)
    bar = above.colorbar(colours, ax=axes, extend="both", ticks=scale.values, shrink=0.85)
    bar.set_label(f"{scale.title}, fading with its interval")
    _interval_axes(below, result)
    return figure


def _interval_axes(part: Any, result: Any) -> None:
    """Draw the mean interval of the voxels of each resolution."""
    axes = part.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="Local resolution (Å)", ylabel="Interval that holds it 9 times of 10 (Å)")
    told = np.isfinite(result.resolution.data)
    if not told.any():
        axes.text(0.5, 0.5, "no voxel has a value", transform=axes.transAxes, ha="center")
        return
    value, low, high = (v.data[told] for v in (result.resolution, result.lower, result.upper))
    edges = np.unique(np.quantile(value, np.linspace(0.0, 1.0, CURVE_BINS + 1)))
    which = np.clip(np.searchsorted(edges, value, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.maximum(np.bincount(which), 1)
    mean, bottom, top = (np.bincount(which, v.astype(np.float64)) / count for v in (value, low, high))
    axes.fill_between(mean, bottom, top, color=CURVE_COLOURS[0], alpha=0.25, lw=0, label="5–95 %")
    axes.plot(mean, mean, color=CURVE_COLOURS[0], label="median")
    axes.legend(frameon=False, loc="upper left")
