"""Sections of the page for a directional resolution: its maps, its directions, its radial averages."""

from __future__ import annotations

import numpy as np

from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.report import figures_monodir, html, views
from cryores.report.colours import CURVE_COLOURS
from cryores.report.html_figures import layout, positions
from cryores.resolution._directional_statistics import AVERAGED
from cryores.resolution.monodir import MonodirResult


def maps_section(result: MonodirResult) -> html.Section:
    """Return the middle plane of every map, one shown at a time."""
    import plotly.graph_objects as go

    inside = result.mask.data > BINARY_THRESHOLD
    box = block_around(inside)
    plane = views.central_planes(box)[0]
    cut = (slice(None), *box[1:])
    x, y = (positions(result.resolution, axis, box[axis]) for axis in (2, 1))
    figure = go.Figure(layout=layout(560))
    scales = figures_monodir.map_scales(result)
    for number, (name, title) in enumerate(figures_monodir.TITLES.items()):
        shown = np.where(inside, result.volumes()[name].data, np.float32(np.nan))[cut]
        figure.add_trace(
            go.Heatmap(
                z=np.round(plane.of(shown).astype(np.float64), 2).astype(np.float32),
                x=x,
                y=y,
                zmin=scales[name].low,
                zmax=scales[name].high,
                colorscale=scales[name].for_plotly(),
                colorbar={"title": {"text": title, "side": "right"}, "thickness": 16},
                hoverongaps=False,
                hovertemplate="x %{x:.1f} Å, y %{y:.1f} Å: %{z:.2f}<extra></extra>",
                visible=number == 0,
            )
        )
    buttons = [
        {"label": title, "method": "restyle", "args": [{"visible": [n == number for n in range(len(scales))]}]}
        for number, title in enumerate(figures_monodir.TITLES.values())
    ]
    menu = {"buttons": buttons, "x": 0.0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[menu], margin={"t": 70})
    figure.update_xaxes(title={"text": "x (Å)"}, showgrid=False, zeroline=False, constrain="domain")
    figure.update_yaxes(title={"text": "y (Å)"}, showgrid=False, zeroline=False, scaleanchor="x")
    where = plane.placed_in(result.mask.grid)
    words = f"The plane {where} through the middle of the mask. Choose the map above the picture."
    return html.Section("Directional maps", figure, words)


def directions_section(result: MonodirResult) -> html.Section:
    """Return the directions on an equal-area map of half a sphere, coloured by how many voxels prefer each."""
    import plotly.graph_objects as go

    found = result.directions
    longitude, radius = figures_monodir.polar_positions(found.axes)
    even = float(np.mean(found.preferring)) or 1.0
    count = figures_monodir.at_both_ends(found.preferring / even, found.axes)
    resolution = figures_monodir.at_both_ends(found.resolution, found.axes)
    marker = {"size": 24, "color": count, "colorscale": "Viridis", "colorbar": {"title": {"text": "mean = 1"}}}
    figure = go.Figure(
        go.Scatterpolar(
            r=radius,
            theta=np.degrees(longitude),
            mode="markers",
            marker=marker,
            customdata=resolution,
            hovertemplate="preferred by %{marker.color:.2f} of the mean; %{customdata:.2f} Å along it<extra></extra>",
        ),
        layout=layout(520),
    )
    ticks = [np.sqrt(2.0) * np.sin(np.radians(t) / 2.0) for t in figures_monodir.TILTS]
    radial = {"range": [0, 1.08], "tickvals": ticks, "ticktext": [f"{t}°" for t in figures_monodir.TILTS]}
    angular = {"tickvals": [0, 90, 180, 270], "ticktext": ["x", "y", "−x", "−y"]}
    figure.update_layout(polar={"radialaxis": radial, "angularaxis": angular, "bgcolor": "#fff"})
    worst = ", ".join(f"{value:+.2f}" for value in reversed(result.details["worst_axis"]))
    chance = result.details["preferred_axis_chance"]
    words = (
        "How many voxels have their best resolution along each direction; z is the centre of the disc, the equator its "
        f"rim. The resolution is worst along (x, y, z) = ({worst})"
    )
    by_chance = (
        "." if np.isnan(chance) else f"; by chance an axis would stand out so much with probability {chance:.2g}."
    )
    return html.Section("Preferred directions", figure, words + by_chance)


def radial_section(result: MonodirResult) -> html.Section:
    """Return the averages over the distance from the centre."""
    import plotly.graph_objects as go

    averages = result.averages
    figure = go.Figure(layout=layout(400))
    for column, (name, colour) in enumerate(zip(AVERAGED, CURVE_COLOURS)):
        line = {"color": colour, "width": 2}
        figure.add_trace(go.Scatter(x=averages.radius, y=averages.mean[:, column], name=name, mode="lines", line=line))
    figure.update_xaxes(title={"text": "Distance from the centre (Å)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "Mean resolution (Å)"}, gridcolor="#e5e5e5")
    slopes = " and ".join(f"{name} {line['slope']:.3f}" for name, line in result.details["slopes"].items())
    words = (
        f"Slopes in Å per Å: {slopes}. Errors of the angular assignment blur across the radius, the more the farther "
        "out: the tangential resolution then falls off faster than the radial one."
    )
    return html.Section("Over the radius", figure, words)
