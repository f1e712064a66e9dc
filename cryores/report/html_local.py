"""Sections of the page for a number at every voxel: histogram, slices, and the coloured surface."""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np

from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.method import LocalMap
from cryores.report import html, views
from cryores.report.colours import CURVE_COLOURS, ColourScale
from cryores.report.html_figures import PAGE_SLICES, GreyPlanes, layout, plane_slider
from cryores.volume import Volume


def histogram_section(result: LocalMap, scale: ColourScale, global_resolution: Optional[float] = None) -> html.Section:
    """Return the histogram inside the mask with the median and, where known, the global FSC."""
    import plotly.graph_objects as go

    heading, values = "Histogram", result.values()
    if not len(values):
        return html.Section(heading, None, "No voxel inside the mask has a value.")
    found = views.histogram(values)
    ends = found.far_ends(scale.told)
    bars = go.Bar(
        x=0.5 * (found.edges[1:] + found.edges[:-1]),
        y=found.counts,
        width=np.diff(found.edges),
        marker=dict(color=0.5 * (found.edges[1:] + found.edges[:-1]), line={"width": 0}, **_colours(scale, "c")),
        text=[ends.get(i, "") for i in range(len(found.counts))],
        textposition="outside",
        cliponaxis=False,
        hovertemplate=f"%{{x:.2f}} {scale.unit}: %{{y}} voxels %{{text}}<extra></extra>",
    )
    figure = go.Figure(bars, layout=layout(400, bargap=0))
    figure.update_xaxes(title={"text": scale.title}, showgrid=False, ticks="outside")
    figure.update_layout(margin={"t": 70})
    figure.update_yaxes(title={"text": "Voxels inside the mask"}, gridcolor="#e5e5e5", zeroline=False)
    median = float(np.median(values))
    _vertical(figure, median, f"median {scale.told(median)}", "#1a1a1a", "solid", 1.0)
    if global_resolution is not None:
        _vertical(figure, global_resolution, f"global FSC {global_resolution:.2f} Å", CURVE_COLOURS[1], "dash", 1.08)
    p5, p95 = np.percentile(values, (5, 95))
    figure.add_vrect(x0=p5, x1=p95, fillcolor="#000000", opacity=0.06, line_width=0, layer="below")
    return html.Section(
        heading, figure, "Voxels inside the mask that have a value. The grey band holds 5 to 95 % of them."
    )


def _vertical(figure: Any, x: float, text: str, colour: str, dash: str, height: float) -> None:
    figure.add_vline(x=x, line={"color": colour, "width": 2, "dash": dash})
    figure.add_annotation(
        x=x,
        y=height,
        yref="paper",
        yanchor="bottom",
        text=text,
        xanchor="left",
        xshift=5,
        showarrow=False,
        font={"color": colour},
    )


def slices_section(result: LocalMap, density: Volume, scale: ColourScale) -> html.Section:
    """Return planes across z with a slider: the density in grey, the resolution coloured over it inside the mask."""
    import plotly.graph_objects as go

    box = block_around(result.mask.data > BINARY_THRESHOLD)
    planes = views.row_of_planes(box, PAGE_SLICES)
    grey = GreyPlanes(density, box)
    cut = (slice(None), *grey.cut)
    shown = views.shown_values(result, lambda data: data[cut])
    traces = []
    for number, plane in enumerate(planes):
        coloured = {
            "type": "heatmap",
            "x": grey.x,
            "y": grey.y,
            "z": np.round(plane.of(shown).astype(np.float64), 2).astype(np.float32),
            "zmin": scale.low,
            "zmax": scale.high,
            "colorscale": scale.for_plotly(),
            "colorbar": _bar(scale),
            "opacity": 0.75,
            "hoverongaps": False,
            "hovertemplate": f"x %{{x:.1f}} Å, y %{{y:.1f}} Å: %{{z:.2f}} {scale.unit}<extra></extra>",
        }
        traces += [{**trace, "visible": number == len(planes) // 2} for trace in (grey.trace(plane), coloured)]
    figure = go.Figure(traces, layout=layout(600))
    figure.update_layout(sliders=[plane_slider(planes, density.grid, 2)])
    figure.update_xaxes(title={"text": "x (Å)"}, showgrid=False, zeroline=False, constrain="domain")
    figure.update_yaxes(title={"text": "y (Å)"}, showgrid=False, zeroline=False, scaleanchor="x")
    words = "Density in grey; inside the mask, coloured by local resolution. Grey inside the mask: no value."
    return html.Section("Slices", figure, words)


def surface_section(found: Optional[views.Surface], scale: ColourScale, level: float) -> html.Section:
    """Return the surface that can be turned, coloured by the filled resolution map."""
    import plotly.graph_objects as go

    heading = "Surface"
    if found is None:
        return html.Section(heading, None, f"The map has no surface at the level {level:.4g} inside the mask.")
    x, y, z = np.round(found.vertices, 2).T.astype(np.float32)
    i, j, k = found.triangles.T
    mesh = go.Mesh3d(
        x=x,
        y=y,
        z=z,
        i=i,
        j=j,
        k=k,
        intensity=np.round(found.values, 2).astype(np.float32),
        colorbar=_bar(scale),
        # The light stays with the map when it is turned: the far side must keep its colours.
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.1, "roughness": 0.7},
        lightposition={"x": 5e4, "y": 1e5, "z": 1e5},
        hovertemplate=f"%{{intensity:.2f}} {scale.unit}<extra></extra>",
        **_colours(scale, "c"),
    )
    hidden = {"visible": False, "showspikes": False}
    figure = go.Figure(mesh, layout=layout(560))
    camera = {"eye": {"x": 0.95, "y": 0.95, "z": 0.65}}
    figure.update_layout(
        scene={"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data", "camera": camera}
    )
    words = (
        f"The map at the level {level:.4g}, coloured by local resolution: turn it with the mouse, zoom with the wheel. "
        "It is simplified; view.cxc shows it in full in ChimeraX, with the same colours."
    )
    return html.Section(heading, figure, words)


def _colours(scale: ColourScale, letter: str) -> Dict[str, Any]:
    return {f"{letter}min": scale.low, f"{letter}max": scale.high, "colorscale": scale.for_plotly()}


def _bar(scale: ColourScale) -> Dict[str, Any]:
    title = {"text": scale.title, "side": "right"}
    return {"title": title, "tickvals": list(scale.values), "ticktext": scale.labels, "thickness": 16, "len": 0.8}
