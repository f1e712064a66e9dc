"""Sections of the page of a verdict: the histograms with the limit, the trend over B, and the table."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from cryores.postprocessing._sharpening import BALANCED
from cryores.postprocessing.verdict import Verdict
from cryores.report import html
from cryores.report.figures_verdict import COLOURS, HALVES_COLOUR, LIMIT_COLOUR, edges, label, limits, percentages
from cryores.report.html_figures import layout, table


def histograms_section(result: Verdict) -> html.Section:
    """Return what the half maps hold and below it DeepRes of every map, with the limit through all of them."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows: List[Tuple[str, Any, str]] = [(result.against, result.supported.values, HALVES_COLOUR)]
    rows += [(label(one), result.values(one.name), COLOURS[one.verdict]) for one in result.judgements]
    titles = [f"{result.against} of the raw half maps"]
    titles += [f"{label(one)}: {one.verdict}{', best' if one is result.best else ''}" for one in result.judgements]
    figure = make_subplots(len(rows), 1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.3 / len(rows))
    bins = edges(result)
    centres = 0.5 * (bins[1:] + bins[:-1])
    for number, (name, values, colour) in enumerate(rows, 1):
        bars = go.Bar(x=centres, y=percentages(values, bins), name=name, marker={"color": colour})
        figure.add_trace(bars, row=number, col=1)
        figure.add_vline(x=result.supported.p20, line={"color": LIMIT_COLOUR, "width": 2}, row=number, col=1)
    figure.update_layout(layout(90 + 120 * len(rows)), bargap=0, showlegend=False)
    figure.update_xaxes(title={"text": "Local resolution (Å)"}, row=len(rows), col=1)
    figure.update_yaxes(showticklabels=False, showgrid=False)
    words = (
        f"Red: the 20th percentile of {result.against}, {result.supported.p20:.2f} Å. A map most of whose voxels look "
        "finer (left of it) shows more than the half maps hold."
    )
    return html.Section("Histograms", figure, words)


def trend_section(result: Verdict) -> Optional[html.Section]:
    """Return the median of DeepRes over B, None where fewer than two B-factors are judged."""
    import plotly.graph_objects as go

    trend = [one for one in result.judgements if one.bfactor is not None]
    if len(trend) < 2:
        return None
    low, high = limits(result)
    figure = go.Figure(layout=layout(400))
    figure.add_hrect(y0=low, y1=high, fillcolor=COLOURS[BALANCED], opacity=0.12, line={"width": 0})
    figure.add_hline(y=low, line={"color": LIMIT_COLOUR, "width": 2})
    figure.add_trace(
        go.Scatter(
            x=[one.bfactor for one in trend],
            y=[one.median for one in trend],
            error_y={
                "array": [one.p80 - one.median for one in trend],
                "arrayminus": [one.median - one.p20 for one in trend],
                "color": "#999999",
            },
            mode="lines+markers",
            line={"color": "#333333"},
            marker={
                "color": [COLOURS[one.verdict] for one in trend],
                "size": [16 if one is result.best else 10 for one in trend],
            },
            name="DeepRes",
        )
    )
    figure.update_xaxes(title={"text": "B-factor (Å²): sharper to the right"}, autorange="reversed", showgrid=False)
    figure.update_yaxes(title={"text": "DeepRes (Å): median, 20th to 80th percentile"}, gridcolor="#e5e5e5")
    words = f"Green: balanced, from {low:.2f} to {high:.2f} Å. The large mark is the best of the B-factors tried."
    return html.Section("Over B", figure, words)


def table_section(result: Verdict) -> html.Section:
    """Return the table of the maps."""
    head = [
        "Map",
        "Verdict",
        "Median",
        "5 %",
        "20 %",
        "80 %",
        "Past the limit",
        "Shift",
        "Distance",
        "By voxel",
        "Model CC",
    ]
    rows: List[List[str]] = [
        [
            label(one),
            one.verdict + (" (best)" if one is result.best else ""),
            *(f"{value:.2f}" for value in (one.median, one.p5, one.p20, one.p80)),
            f"{100 * one.past:.1f} %",
            f"{one.shift:+.2f}",
            f"{one.wasserstein:.2f}",
            f"{one.disagreement:.2f}",
            "-" if one.model_cc is None else f"{one.model_cc:.3f}",
        ]
        for one in result.judgements
    ]
    words = (
        f"DeepRes in Å. {result.against}: median {result.supported.median:.2f} Å, limit {result.supported.p20:.2f} Å. "
        "Past the limit: share of the voxels that look finer than it. Shift: of the medians, DeepRes minus that. "
        f"Distance: by how much the values have to be moved on average to become those of {result.against}. By voxel: "
        "median difference from it at the same voxel. Also in verdict.csv."
    )
    return html.Section("Maps", table(head, rows), words)
