"""Sections of the page of a processed map: slices before and after, spectra, and what went and came."""

from __future__ import annotations

from typing import Optional

import numpy as np

from cryores.fourier import Float64
from cryores.guinier import GuinierFit
from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.processed import ProcessedMap
from cryores.report import html, views
from cryores.report.colours import CURVE_COLOURS
from cryores.report.figures_processed import Spectra
from cryores.report.html_figures import PAGE_SLICES, GreyPlanes, layout, plane_slider


def before_after_section(result: ProcessedMap) -> html.Section:
    """Return planes across z with a slider: the input at the left, the processed map at the right."""
    from plotly.subplots import make_subplots

    box = block_around(result.mask.data > BINARY_THRESHOLD)
    planes = views.row_of_planes(box, PAGE_SLICES)
    figure = make_subplots(1, 2, subplot_titles=("before", "after"), shared_yaxes=True, horizontal_spacing=0.03)
    sides = [GreyPlanes(volume, box) for volume in (result.before, result.sharpened)]
    for number, plane in enumerate(planes):
        for column, grey in enumerate(sides, 1):
            figure.add_trace({**grey.trace(plane), "visible": number == len(planes) // 2}, 1, column)
    figure.update_layout(layout(520), sliders=[plane_slider(planes, result.before.grid, 2)])
    for column, axis in ((1, "x"), (2, "x2")):
        figure.update_xaxes(title={"text": "x (Å)"}, showgrid=False, zeroline=False, constrain="domain", col=column)
        figure.update_yaxes(showgrid=False, zeroline=False, scaleanchor=axis, col=column)
    figure.update_yaxes(title={"text": "y (Å)"}, col=1)
    return html.Section("Before and after", figure, "The same planes, each map in its own grey scale.")


def spectra_section(
    frequency: Float64, amplitudes: Spectra, fit: Optional[GuinierFit] = None, resolution: Optional[float] = None
) -> html.Section:
    """Return the Guinier plot with the fitted line and the resolution."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(460))
    for (name, height), colour in zip(views.logarithms(amplitudes).items(), CURVE_COLOURS):
        line = {"color": colour, "width": 2}
        figure.add_trace(go.Scatter(x=frequency**2, y=height, name=name, mode="lines", line=line))
    if fit is not None:
        ends = np.array([1.0 / fit.coarsest, 1.0 / fit.finest])
        dashed = {"color": "#1a1a1a", "dash": "dash"}
        name = f"fit, B = {fit.bfactor:.1f} Å²"
        figure.add_trace(go.Scatter(x=ends**2, y=fit.line(ends), name=name, mode="lines", line=dashed))
    if resolution is not None:
        figure.add_vline(x=1.0 / resolution**2, line={"color": "#777777", "dash": "dot", "width": 1})
    figure.update_xaxes(title={"text": "1/d² (1/Å²)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "ln of the mean amplitude"}, gridcolor="#e5e5e5", zeroline=False)
    words = "Guinier plot: where a line fits, its slope is a quarter of the B-factor."
    return html.Section("Spectra", figure, words + ("" if resolution is None else " Dotted: FSC 0.143."))


def changes_section(result: ProcessedMap) -> html.Section:
    """Return in words, and as a list, the density that went and came."""
    lines = [
        f"{kind} {blob.volume:.0f} Å^3 at ({', '.join(f'{p:.1f}' for p in blob.position)}) Å"
        for kind, blobs in (("went:", result.went), ("came:", result.came))
        for blob in blobs
    ]
    if not lines:
        return html.Section("What changed", None, "No blob of density went or came.")
    words = "Blobs of density that went or came, in maps smoothed by 2 Å, with their centres (x, y, z): "
    return html.Section("What changed", None, words + "; ".join(lines))
