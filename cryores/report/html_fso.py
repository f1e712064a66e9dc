"""Sections of the page of a directional resolution: the sphere of directions, FSO with FSC, planes of the 3DFSC."""

from __future__ import annotations

import numpy as np

from cryores.report import html, views
from cryores.report.colours import CURVE_COLOURS, colour_scale
from cryores.report.figures_fso import between_directions, planes_of
from cryores.report.html_figures import layout
from cryores.resolution.fso import FSOResult

MESH = (46, 90)
"""Circles and meridians of the sphere."""

PLANE_SIZE = 96
"""Pixels along the longer edge of a plane of the 3DFSC."""


def directions_section(result: FSOResult) -> html.Section:
    """Return the sphere, coloured by the resolution of each direction: it can be turned."""
    import plotly.graph_objects as go

    heading, known = "Resolution by direction", result.limits[np.isfinite(result.limits)]
    if not known.size:
        return html.Section(heading, None, "No direction has a resolution.")
    scale = colour_scale(known)
    tilt, rot = np.meshgrid(np.linspace(0, np.pi, MESH[0]), np.linspace(0, 2 * np.pi, MESH[1]), indexing="ij")
    z, y, x = np.cos(tilt), np.sin(tilt) * np.sin(rot), np.sin(tilt) * np.cos(rot)
    values = between_directions(result.axes, result.limits, np.stack([z, y, x], axis=-1))
    sphere = go.Surface(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        z=z.astype(np.float32),
        surfacecolor=np.round(values, 2).astype(np.float32),
        cmin=scale.low,
        cmax=scale.high,
        colorscale=scale.for_plotly(),
        colorbar={"title": {"text": "Resolution (Å)", "side": "right"}, "thickness": 16, "len": 0.8},
        customdata=np.stack([np.degrees(rot), np.degrees(tilt)], axis=-1).astype(np.float32),
        hovertemplate="rot %{customdata[0]:.0f}, tilt %{customdata[1]:.0f}: %{surfacecolor:.2f} Å<extra></extra>",
        lighting={"ambient": 0.8, "diffuse": 0.3, "specular": 0.05},
    )
    named = {letter + "axis": {"title": {"text": letter}, "showticklabels": False} for letter in "xyz"}
    figure = go.Figure(sphere, layout=layout(520))
    figure.update_layout(scene={**named, "aspectmode": "data"})
    words = "A point of the sphere is a direction in the map, its colour the resolution along it. Bare: no resolution."
    return html.Section(heading, figure, words)


def occupancy_section(result: FSOResult) -> html.Section:
    """Return FSO, what it would be if the map were isotropic, and FSC."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(460))
    blue, orange = CURVE_COLOURS[:2]
    for name, curve, line in (
        ("FSC", result.fsc, {"color": orange, "width": 2}),
        ("FSO if isotropic", result.expected, {"color": blue, "width": 1.5, "dash": "dash"}),
        ("FSO", result.fso, {"color": blue, "width": 2.5}),
    ):
        figure.add_trace(go.Scatter(x=result.frequency, y=curve, name=name, mode="lines", line=line))
    figure.add_hline(y=result.cutoff, line={"color": "#777777", "width": 1, "dash": "dot"})
    if result.fdr is not None:
        dashed = {"color": "#777777", "width": 1, "dash": "dash"}
        figure.add_trace(go.Scatter(x=result.frequency, y=result.fdr, name=views.FDR_TITLE, mode="lines", line=dashed))
    figure.update_xaxes(title={"text": "Spatial frequency (1/Å)"}, showgrid=False, ticks="outside", rangemode="tozero")
    figure.update_yaxes(title={"text": "FSC · share of directions"}, range=[-0.1, 1.05], gridcolor="#e5e5e5")
    words = (
        "FSO is the share of directions whose FSC is above the cutoff (dotted). The dashed curve falls by the noise of "
        "the cones alone: where FSO leaves it, the resolution depends on the direction."
    )
    return html.Section("Fourier shell occupancy", figure, words)


def three_d_section(result: FSOResult) -> html.Section:
    """Return planes of the 3DFSC through the zero frequency."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    assert result.three_d is not None
    figure = make_subplots(1, 3, horizontal_spacing=0.13)
    step = max(1, -(-max(result.grid.shape) // PLANE_SIZE))
    for column, (plane, rows, columns) in enumerate(planes_of(result.three_d.data, result.grid), 1):
        shown = np.round(plane.of(result.three_d.data)[::step, ::step].astype(np.float64), 2).astype(np.float32)
        x, y = columns[::step].astype(np.float32), rows[::step].astype(np.float32)
        bar = {"title": {"text": "3DFSC", "side": "right"}, "thickness": 16}
        heat = go.Heatmap(
            x=x, y=y, z=shown, zmin=0, zmax=1, colorscale="Viridis", colorbar=bar, showscale=column == 3
        )  # fmt: skip
        figure.add_trace(heat, 1, column)
        row_name, column_name = plane.others("zyx")
        figure.update_xaxes(title={"text": f"{column_name} (1/Å)"}, constrain="domain", col=column)
        anchor = f"x{column}" if column > 1 else "x"
        figure.update_yaxes(title={"text": f"{row_name} (1/Å)"}, scaleanchor=anchor, col=column)
    figure.update_layout(layout(360))
    words = (
        "FSC of the coefficients around each, on the planes through the zero frequency. Sphericity is measured on the "
        f"surface at {result.details['sphericity_cutoff']:g}."
    )
    return html.Section("3DFSC", figure, words)
