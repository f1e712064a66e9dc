"""The search of AutoSharpen on the page."""

from __future__ import annotations

from typing import Dict

from cryores.report import html
from cryores.report.colours import CURVE_COLOURS
from cryores.report.figures_autosharpen import Search, shown_scores
from cryores.report.html_figures import layout


def search_section(tried: Search, chosen: Dict[str, float]) -> html.Section:
    """Return the scores over B, with the one that won."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(400))
    for number, (variant, columns) in enumerate(tried.items()):
        line = {"color": CURVE_COLOURS[number]}
        figure.add_trace(
            go.Scatter(x=columns["b_iso"], y=columns["score"], name=variant, mode="lines+markers", line=line)
        )
    figure.add_annotation(x=chosen["b_iso"], y=chosen["score"], text=f"B = {chosen['b_iso']:.0f} Å²", ax=0, ay=-35)
    figure.update_xaxes(title={"text": "B of the result (Å²): sharper to the left"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "Score"}, range=shown_scores(tried), gridcolor="#e5e5e5")
    return html.Section("Search", figure, "The score of every B-factor; that of too sharp a map lies far below.")
