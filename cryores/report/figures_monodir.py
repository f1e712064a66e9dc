"""PNG figures of a directional resolution: histogram and polar map of its directions, its maps, radial averages."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.directions import rotation_and_tilt
from cryores.fourier import Float64
from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.report import figures, views
from cryores.report.colours import CURVE_COLOURS, ColourScale, colour_scale
from cryores.resolution._directional_statistics import AVERAGED, LARGEST_Z
from cryores.resolution.monodir import MonodirResult

TITLES = {
    "doa": "Degree of anisotropy (Å)",
    "highest": "Highest resolution (Å)",
    "lowest": "Lowest resolution (Å)",
    "radial": "Radial resolution (Å)",
    "tangential": "Tangential resolution (Å)",
    "zscore": "z-score in the shell",
}
"""The maps that are drawn, and their names."""

TILTS = (30, 60, 90)


def polar_positions(axes: Float64) -> Tuple[Float64, Float64]:
    """Return longitude (radians) and radius (0 at z, 1 at the equator) of axes on an equal-area map of half a sphere.

    Axes on the equator, which is the rim of the map, are given at both ends.
    """
    on_rim = np.abs(axes[:, 0]) < 1e-6
    rotation, tilt = rotation_and_tilt(np.concatenate([axes, -axes[on_rim]])).T
    return np.radians(rotation), np.sqrt(2.0) * np.sin(np.radians(tilt) / 2.0)


def at_both_ends(values: Float64, axes: Float64) -> Float64:
    """Return ``values``, one an axis, in the order of `polar_positions`."""
    both: Float64 = np.concatenate([values, values[np.abs(axes[:, 0]) < 1e-6]])
    return both


def directions_figure(result: MonodirResult) -> Figure:
    """Draw the histogram of preferred directions, and on a polar map that and the mean resolution of each direction."""
    found = result.directions
    figure = figures.new_figure(10, 7)
    above, below = figure.subfigures(2, 1, height_ratios=(1.6, 1.0))
    left, right = above.subplots(1, 2, subplot_kw={"projection": "polar"})
    even = float(np.mean(found.preferring)) or 1.0
    _polar(
        above,
        left,
        found.axes,
        found.preferring / even,
        "Voxels that prefer a direction, mean = 1\n(z in the centre)",
        "viridis",
    )
    _polar(above, right, found.axes, found.resolution, "Mean resolution along it (Å)\n(z in the centre)", "viridis")
    for name, marker, label in (("worst_axis", "X", "worst axis"), ("best_axis", "P", "best axis")):
        longitude, radius = polar_positions(_upwards(result.details[name]))
        right.plot(longitude[:1], radius[:1], marker, color="white", mec="black", ms=11, ls="none", label=label)
    right.legend(loc="lower right", bbox_to_anchor=(1.25, -0.15), frameon=False, fontsize=8)
    bars = below.subplots()
    bars.bar(np.arange(1, len(found.preferring) + 1), found.preferring, color=CURVE_COLOURS[0], width=0.8)
    bars.axhline(even, color=figures.TEXT, ls="--", lw=1, label="no direction preferred")
    bars.set(xlabel="Direction (number in directions.csv)", ylabel="Voxels that prefer it")
    bars.set_xlim(0, len(found.preferring) + 1)
    bars.spines[["top", "right"]].set_visible(False)
    bars.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.98))
    return figure


def _upwards(axis: List[float]) -> Float64:
    vector = np.array([axis])
    return -vector if vector[0, 0] < 0 else vector


def _polar(figure: Any, axes: Any, directions: Float64, values: Float64, title: str, colours: str) -> None:
    longitude, radius = polar_positions(directions)
    size = 26000.0 / len(directions)
    drawn = axes.scatter(longitude, radius, c=at_both_ends(values, directions), s=size, cmap=colours, edgecolor="none")
    axes.set_ylim(0, 1.08)
    axes.set_yticks([np.sqrt(2.0) * np.sin(np.radians(t) / 2.0) for t in TILTS], ["" for t in TILTS])
    axes.set_xticks(np.radians([0, 90, 180, 270]), ["x", "y", "−x", "−y"])
    axes.grid(color="#bbbbbb", lw=0.5)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=10, color=figures.TEXT)
    figure.colorbar(drawn, ax=axes, shrink=0.7, pad=0.12)


def maps_figure(result: MonodirResult) -> Figure:
    """Draw the plane across z through the middle of the mask of every map, on one scale where they are resolutions."""
    box = block_around(result.mask.data > BINARY_THRESHOLD)
    plane = views.central_planes(box)[0]
    figure = figures.new_figure(10, 6.2)
    axes: List[Any] = [figure.add_subplot(2, 3, number + 1) for number in range(len(TITLES))]
    for ax, (name, scale) in zip(axes, map_scales(result).items()):
        volume = result.volumes()[name]
        colours = ScalarMappable(Normalize(scale.low, scale.high), scale.for_matplotlib())
        shown = np.where(result.mask.data > BINARY_THRESHOLD, volume.data, np.float32(np.nan))
        placed: Dict[str, Any] = {
            "origin": "lower",
            "extent": figures.extent(plane, volume.grid),
            "interpolation": "nearest",
        }
        ax.imshow(plane.of(shown), cmap=colours.cmap, norm=colours.norm, **placed)
        figures.look_at(ax, plane, volume.grid, box)
        ax.set_title(TITLES[name], fontsize=10, color=figures.TEXT)
        bar = figure.colorbar(colours, ax=ax, ticks=scale.values, shrink=0.85, extend="both")
        bar.ax.set_yticklabels(scale.labels, fontsize=8)
    return figure


def map_scales(result: MonodirResult) -> Dict[str, ColourScale]:
    """Return the colour scale of each map of `TITLES`: one for all resolutions, one each for the others."""
    inside = result.mask.data > BINARY_THRESHOLD
    values = {name: result.volumes()[name].data[inside] for name in TITLES}
    values = {name: v[np.isfinite(v)] for name, v in values.items()}
    together = colour_scale(np.concatenate([values[name] for name in AVERAGED]))
    scales = {name: together if name in AVERAGED else colour_scale(v) for name, v in values.items()}
    scales["zscore"] = colour_scale(np.clip(values["zscore"], 0.0, LARGEST_Z))
    return scales


def radial_figure(result: MonodirResult) -> Figure:
    """Draw the averages over the distance from the centre, and the lines fitted to radial and tangential ones."""
    averages = result.averages
    figure = figures.new_figure(7, 4.4)
    axes = figure.add_subplot()
    for column, (name, colour) in enumerate(zip(AVERAGED, CURVE_COLOURS)):
        mean = averages.mean[:, column]
        slope = result.details["slopes"].get(name)
        label = name if slope is None else f"{name}, slope {slope['slope']:.3f} ± {slope['error']:.3f}"
        axes.plot(averages.radius, mean, color=colour, lw=1.8, label=label)
        if slope is not None:
            axes.plot(averages.radius, fitted_line(result, name), color=colour, lw=1, ls=":")
    axes.set(xlabel="Distance from the centre (Å)", ylabel="Mean resolution (Å)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def fitted_line(result: MonodirResult, name: str) -> Float64:
    """Return the line through one of the radial averages, at its radii (Å)."""
    averages, mean = result.averages, result.averages.mean[:, AVERAGED.index(name)]
    weight = averages.voxels / max(int(averages.voxels.sum()), 1)
    line: Float64 = np.sum(weight * mean) + result.details["slopes"][name]["slope"] * (
        averages.radius - np.sum(weight * averages.radius)
    )
    return line
