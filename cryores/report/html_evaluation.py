"""Sections of the page of an evaluation: the table, the FSC curves, and the values along the model."""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

import numpy as np

from cryores.fourier import Float64
from cryores.postprocessing._evaluation import MEASURES, SIDES, Evaluation, Row
from cryores.postprocessing._half_map_test import HalfMapTest
from cryores.report import html
from cryores.report.colours import CURVE_COLOURS
from cryores.report.figures_evaluation import COLOURS
from cryores.report.html_figures import layout, table

Line = Tuple[str, Float64, str, str]
"""Name, values, colour and dashes of a curve."""


def table_section(result: Evaluation) -> html.Section:
    """Return every measure before and after."""
    words = (
        "Å: the smaller the better; all others: the larger the better. CC against the density of the model at "
        f"{result.details['resolution']:.2f} Å. What each means, and when it lies: the page of this method."
    )
    if result.half_map_test is not None:
        words += f" Half maps: {result.half_map_test.verdict}."
    return measures_section(result.measures(), words)


def measures_section(measures: Mapping[str, Row], words: str) -> html.Section:
    """Return the table of the measures, with a column of what there was before only where there was something."""
    sides = SIDES if any(row["before"] is not None for row in measures.values()) else ("after",)
    rows = [
        [MEASURES[name].replace("  ", "… "), *(_number(row[side]) for side in sides)] for name, row in measures.items()
    ]
    titles = ["Before", "After"] if len(sides) > 1 else ["Value"]
    return html.Section("Before and after" if len(sides) > 1 else "Measures", table(["Measure", *titles], rows), words)


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.3f}"


def curves_section(result: Evaluation) -> html.Section:
    """Return the FSC of map and model, and those of the halves where there are any."""
    curves: List[Line] = []
    for side in result.maps:
        curves.append((f"{side}, whole box", result.curves[side], COLOURS[side], "dash"))
        curves.append((f"{side}, masked", result.curves[f"masked_{side}"], COLOURS[side], "solid"))
    if result.half_map_test is not None:
        curves += _half_lines(result.half_map_test)
    return _curves(result.frequency, curves, "Of the map and the density of the model; of the halves.")


def half_curves_section(test: HalfMapTest) -> html.Section:
    """Return the FSC of the halves."""
    return _curves(test.frequency, _half_lines(test), "Of half 1, raw and processed, with half 2.")


def _half_lines(test: HalfMapTest) -> List[Line]:
    return [
        ("half 1 with half 2", test.raw, CURVE_COLOURS[2], "solid"),
        ("processed half 1 with half 2", test.processed, CURVE_COLOURS[1], "solid"),
        ("processed with raw half 1", test.kept, CURVE_COLOURS[1], "dot"),
    ]


def _curves(frequency: Float64, lines: List[Line], words: str) -> html.Section:
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(430))
    for name, curve, colour, dash in lines:
        line = {"color": colour, "width": 2, "dash": dash}
        figure.add_trace(go.Scatter(x=frequency, y=curve, name=name, mode="lines", line=line))
    for threshold in (0.143, 0.5):
        figure.add_hline(y=threshold, line={"color": "#777777", "width": 1, "dash": "dot"})
    figure.update_xaxes(title={"text": "Spatial frequency (1/Å)"}, showgrid=False, ticks="outside", rangemode="tozero")
    figure.update_yaxes(title={"text": "FSC"}, range=[-0.1, 1.05], gridcolor="#e5e5e5")
    return html.Section("Fourier shell correlation", figure, words)


def residues_section(result: Evaluation) -> html.Section:
    """Return Q-score, correlation and local resolution of every residue, with its name under the mouse."""
    from plotly.subplots import make_subplots

    rows = (
        ("Q-score", {side: result.residue_q(side) for side in result.maps}),
        ("Correlation", result.residue_cc),
        ("Local resolution (Å)", result.residue_resolution),
    )
    atoms = result.atoms
    names = [" ".join(parts) for parts in zip(atoms.chains, atoms.residue_names, atoms.numbers)]
    figure = make_subplots(len(rows), 1, shared_xaxes=True, vertical_spacing=0.04)
    for number, (title, values) in enumerate(rows, 1):
        for side, found in values.items():
            figure.add_scatter(
                y=np.round(found, 3), name=side, mode="lines", line={"color": COLOURS[side], "width": 1.2},
                text=names, hovertemplate="%{text}: %{y:.2f}<extra></extra>", showlegend=number == 1, row=number, col=1,
            )  # fmt: skip
        figure.update_yaxes(title={"text": title}, gridcolor="#e5e5e5", zeroline=False, row=number, col=1)
    figure.update_xaxes(showgrid=False)
    figure.update_xaxes(title={"text": "Residues, chain by chain"}, row=len(rows), col=1)
    figure.update_layout(layout(760))
    return html.Section("Along the model", figure, "Also in residues.csv; by atom in atoms.csv and qscores.cif.")
