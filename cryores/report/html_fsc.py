"""The section of the page for FSC curves."""

from __future__ import annotations

import numpy as np

from cryores.report import html, views
from cryores.report.colours import CURVE_COLOURS
from cryores.report.html_figures import layout
from cryores.resolution._fsc_result import FSCResult


def fsc_section(result: FSCResult) -> html.Section:
    """Return the FSC curves with their thresholds and the resolutions where the main curve meets them."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(460, legend={"traceorder": "reversed"}))
    with np.errstate(divide="ignore"):
        angstrom = 1.0 / result.frequency
    # The main curve comes first; plotly draws later traces on top.
    for (title, curve), colour in reversed(list(zip(views.fsc_curves(result).items(), CURVE_COLOURS))):
        figure.add_trace(
            go.Scatter(
                x=result.frequency,
                y=curve,
                name=title,
                mode="lines",
                line={"color": colour, "width": 2},
                customdata=np.where(np.isfinite(angstrom), angstrom, 0.0),
                hovertemplate=f"{title}: %{{y:.3f}} at %{{customdata:.2f}} Å<extra></extra>",
            )
        )
    for threshold in views.fsc_thresholds(result):
        figure.add_hline(y=threshold, line={"color": "#777777", "width": 1, "dash": "dot"})
    if result.fdr is not None:
        dashed = {"color": "#777777", "width": 1, "dash": "dash"}
        figure.add_trace(go.Scatter(x=result.frequency, y=result.fdr, name=views.FDR_TITLE, mode="lines", line=dashed))
    for mark in views.fsc_marks(result):
        figure.add_annotation(x=mark.frequency, y=mark.threshold, text=mark.label, ax=45, ay=-30, arrowhead=2)
    figure.update_xaxes(title={"text": "Spatial frequency (1/Å)"}, showgrid=False, ticks="outside", rangemode="tozero")
    figure.update_yaxes(title={"text": "Fourier shell correlation"}, range=[-0.1, 1.05], gridcolor="#e5e5e5")
    return html.Section(
        "Fourier shell correlation", figure, "Dotted: thresholds. Arrows: where the main curve meets them."
    )
