"""Sections of the page of a comparison: histograms, slices of every map in one scale, and both tables."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.report import figures_comparison, html, views
from cryores.report.colours import ColourScale
from cryores.report.html_figures import PAGE_SLICES, GreyPlanes, layout, plane_slider, table
from cryores.resolution.compare import Comparison
from cryores.volume import Volume

COLUMNS = 3
"""Maps beside each other in the page."""


def histogram_section(result: Comparison) -> html.Section:
    """Return the histograms of all maps over each other, with their medians."""
    import plotly.graph_objects as go

    counted = figures_comparison.histograms(result)
    figure = go.Figure(layout=layout(430))
    colours = figures_comparison.line_colours(len(result.maps))
    for (name, one), colour in zip(counted.items(), colours):
        line = {"color": colour, "width": 2, "shape": "hvh"}
        label = f"{name}: %{{x:.2f}} Å, %{{y:.1f}} % per 0.1 Å<extra></extra>"
        centres = 0.5 * (one.edges[1:] + one.edges[:-1])
        figure.add_trace(go.Scatter(x=centres, y=one.density, name=name, mode="lines", line=line, hovertemplate=label))
        figure.add_vline(x=result.maps[name]["median"], line={"color": colour, "width": 1, "dash": "dash"})
    figure.update_xaxes(title={"text": "Local resolution (Å)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "% of the voxels with a value, per 0.1 Å"}, gridcolor="#e5e5e5", zeroline=False)
    words = (
        "Of each map, the voxels inside the mask to which it gives a value; every outline has the same area. Dashed: "
        "medians."
    )
    return html.Section("Histograms", figure, words)


def slices_section(result: Comparison, density: Volume, scale: ColourScale) -> html.Section:
    """Return planes across z with a slider, every map in the same colours over the grey density."""
    from plotly.subplots import make_subplots

    box = block_around(result.mask.data > BINARY_THRESHOLD)
    planes = views.row_of_planes(box, PAGE_SLICES)
    grey, count = GreyPlanes(density, box), len(result.maps)
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    figure = make_subplots(
        rows, columns, subplot_titles=list(result.maps), horizontal_spacing=0.03, vertical_spacing=0.12 / rows
    )
    for number, plane in enumerate(planes):
        for place, volume in enumerate(result.resolutions.values()):
            where = {"row": place // columns + 1, "col": place % columns + 1}
            for trace in (grey.trace(plane), _coloured(volume, plane, grey, scale, place == 0)):
                figure.add_trace({**trace, "visible": number == len(planes) // 2}, **where)
    figure.update_layout(layout(180 + 300 * rows), sliders=[plane_slider(planes, density.grid, 2 * count)])
    for place in range(count):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        figure.update_xaxes(showgrid=False, zeroline=False, showticklabels=False, constrain="domain", **where)
        anchor = f"x{place + 1 if place else ''}"
        figure.update_yaxes(showgrid=False, zeroline=False, showticklabels=False, scaleanchor=anchor, **where)
    words = "All maps in one colour scale over the density. Grey inside the mask: the map has no value there."
    return html.Section("Slices", figure, words)


def _coloured(volume: Volume, plane: views.Plane, grey: GreyPlanes, scale: ColourScale, keyed: bool) -> Dict[str, Any]:
    """Return plotly's trace of a plane of a map, to lie over that of the density."""
    values = plane.of(volume.data)[grey.cut]
    return {
        "type": "heatmap",
        "x": grey.x,
        "y": grey.y,
        "z": np.round(values.astype(np.float64), 2).astype(np.float32),
        "zmin": scale.low,
        "zmax": scale.high,
        "colorscale": scale.for_plotly(),
        "showscale": keyed,
        "colorbar": {"tickvals": list(scale.values), "ticktext": scale.labels, "thickness": 16, "title": {"text": "Å"}},
        "opacity": 0.75,
        "hoverongaps": False,
        "hovertemplate": "x %{x:.1f} Å, y %{y:.1f} Å: %{z:.2f} Å<extra></extra>",
    }


def maps_section(result: Comparison) -> html.Section:
    """Return the table of the maps."""
    head = ["Map", "No value", "Cover", "5 %", "25 %", "Median", "75 %", "95 %", "Median, common"]
    rows = [
        [
            name,
            "0, NaN" if row["background"] is None else f"{row['background']:.6g}",
            f"{100 * (1 - row['undetermined_fraction']):.1f} %",
            *(_number(row[key]) for key in ("p5", "p25", "median", "p75", "p95", "median_common")),
        ]
        for name, row in result.maps.items()
    ]
    words = (
        "In Å. No value: the number that stands for it. Cover: share of the mask with a value. Common: over the "
        f"{100 * result.common_fraction:.1f} % of the mask where every map has a value. Also in comparison.csv."
    )
    return html.Section("Maps", table(head, rows), words)


def pairs_section(result: Comparison) -> html.Section:
    """Return the table of the pairs."""
    head = ["Pair", "Cover", "Shift", "5 to 95 %", "Scatter", "Rank", "Scatter, regions", "Rank, regions"]
    rows = [
        [
            f"{pair.second} - {pair.first}",
            f"{100 * pair.common_fraction:.1f} %",
            _number(pair.shift),
            f"{_number(pair.p5)} to {_number(pair.p95)}",
            *(_number(v) for v in (pair.scatter, pair.rank, pair.window_scatter, pair.window_rank)),
        ]
        for pair in result.pairs
    ]
    words = (
        "Differences in Å. Shift: their median, which is the two definitions of resolution. Scatter: median deviation "
        "from the shift. Rank: Spearman's correlation. Regions: of the means over cubes of "
        f"{result.window:.1f} Å, which is what can be interpreted; single voxels cannot. Also in pairs.csv."
    )
    return html.Section("Agreement", table(head, rows), words)


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"
