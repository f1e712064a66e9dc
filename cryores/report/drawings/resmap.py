"""A local-resolution map of ResMap: as every other, and the spectrum of the noise before and after whitening."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.method import Outcome
from cryores.report import figures, html
from cryores.report.colours import CURVE_COLOURS
from cryores.report.drawings import local_map
from cryores.report.html_figures import layout
from cryores.whitening import Whitening


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``whitening.png`` beside the pictures of every local-resolution map."""
    sections = local_map.draw(outcome, folder, global_resolution)
    whitening = outcome.result.whitening
    if whitening is None:
        return sections
    whitening_figure(whitening).savefig(folder / "whitening.png")
    return [*sections, whitening_section(whitening)]


def whitening_figure(whitening: Whitening) -> Figure:
    """Draw the amplitude of the noise in each shell before and after, and the range of the fit."""
    figure = figures.new_figure(7, 4)
    axes = figure.add_subplot()
    for (name, curve), colour in zip(_curves(whitening), CURVE_COLOURS):
        axes.semilogy(whitening.frequency[1:], curve, color=colour, lw=1.5, label=name)
    axes.axvline(whitening.start, color="#777777", ls=":", lw=1, label=f"fitted from {1 / whitening.start:.1f} Å")
    axes.set(xlabel="Spatial frequency (1/Å)", ylabel="Amplitude of the noise", xlim=(0, whitening.frequency[-1]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def whitening_section(whitening: Whitening) -> html.Section:
    """Return the same curves for the page."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(400))
    for (name, curve), colour in zip(_curves(whitening), CURVE_COLOURS):
        line = {"color": colour, "width": 2}
        figure.add_trace(go.Scatter(x=whitening.frequency[1:], y=curve, name=name, mode="lines", line=line))
    figure.add_vline(x=whitening.start, line={"color": "#777777", "dash": "dot", "width": 1})
    figure.update_xaxes(title={"text": "Spatial frequency (1/Å)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "Amplitude of the noise"}, type="log", gridcolor="#e5e5e5")
    words = "The test takes the noise as white: after whitening its spectrum should be flat to the right of the dots."
    return html.Section("Spectrum of the noise", figure, words)


def _curves(whitening: Whitening) -> List[Tuple[str, Float64]]:
    level = float(np.interp(whitening.start, whitening.frequency, whitening.before)) or 1.0
    return [("before whitening", whitening.before[1:] / level), ("after", whitening.after[1:] / level)]
