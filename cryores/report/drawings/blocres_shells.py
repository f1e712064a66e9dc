"""Resolution against radius: the FSC of every shell with its crossing, beside the map painted by radius."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import numpy as np
from matplotlib.figure import Figure

from cryores.method import Outcome
from cryores.report import figures, html
from cryores.report.drawings import local_map
from cryores.report.html_figures import layout
from cryores.resolution.blocres_shells import ShellResolution

LINE = "#d55e00"


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``shells.png`` beside the pictures of every local-resolution map."""
    sections = local_map.draw(outcome, folder, global_resolution)
    shells_figure(outcome.result).savefig(folder / "shells.png")
    return [shells_section(outcome.result), *sections]


def shells_figure(result: ShellResolution) -> Figure:
    """Draw the resolution at each radius over the FSC of each shell."""
    figure = figures.new_figure(7, 4.4)
    axes = figure.add_subplot()
    drawn = axes.pcolormesh(
        result.radius, result.frequency, np.transpose(result.curves), cmap="Greys", vmin=0, vmax=1, shading="nearest"
    )
    axes.plot(result.radius, 1.0 / result.at_radius, color=LINE, lw=2, label=f"FSC = {result.cutoff:g}")
    axes.set(
        xlabel="Radius (Å)",
        ylabel="Resolution (Å)",
        xlim=(result.radius[0], result.radius[-1]),
        ylim=(0, result.frequency[-1]),
    )
    ticks = [d for d in figures.FSC_TICKS if 1.0 / d < result.frequency[-1]]
    ticks = figures.apart(ticks, 0.06 * float(result.frequency[-1]))
    axes.set_yticks([1.0 / d for d in ticks], [f"{d:g}" for d in ticks])
    figure.colorbar(drawn, ax=axes, label="FSC of the halves in the shell")
    axes.legend(loc="upper left")
    return figure


def shells_section(result: ShellResolution) -> html.Section:
    """Return the same for the page."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(460))
    figure.add_trace(
        go.Heatmap(
            x=np.round(result.radius, 2),
            y=np.round(result.frequency, 4),
            z=np.round(np.transpose(result.curves), 3),
            zmin=0,
            zmax=1,
            colorscale="Greys",
            colorbar={"title": {"text": "FSC"}},
            hovertemplate="radius %{x:.1f} Å, %{y:.3f} 1/Å: FSC %{z:.2f}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=result.radius,
            y=1.0 / result.at_radius,
            customdata=result.at_radius,
            mode="lines",
            line={"color": LINE, "width": 3},
            hovertemplate="%{customdata:.2f} Å at radius %{x:.1f} Å<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": "Radius (Å)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "Spatial frequency (1/Å)"}, showgrid=False, ticks="outside")
    words = f"Grey: FSC of the halves in the shell about each radius. Line: where it falls below {result.cutoff:g}."
    return html.Section("Resolution against radius", figure, words)
