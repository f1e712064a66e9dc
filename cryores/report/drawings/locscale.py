"""A locally scaled map: as every processed map, and its local B-factors."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.processed import ProcessedMap
from cryores.report import figures_locscale, html
from cryores.report.colours import CURVE_COLOURS
from cryores.report.drawings import processed_map


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``bfactor.png`` beside the pictures of every processed map."""
    sections = processed_map.draw(outcome, folder, global_resolution)
    figures_locscale.bfactor_figure(outcome.result).savefig(folder / "bfactor.png")
    return [*sections, bfactor_section(outcome.result)]


def bfactor_section(result: ProcessedMap) -> html.Section:
    """Return the histogram of the local B-factors for the page."""
    import plotly.graph_objects as go

    heading, values = "Local B-factors", figures_locscale.local_bfactors(result)
    if not values.size:
        return html.Section(heading, None, "No window has a range to fit a B-factor over.")
    counts, edges = figures_locscale.histogram(values)
    bars = go.Bar(x=0.5 * (edges[1:] + edges[:-1]), y=counts, marker={"color": CURVE_COLOURS[0]})
    figure = go.Figure(bars, layout=html.layout(360, bargap=0))
    figure.update_xaxes(title={"text": "Local B-factor (Å²)"}, showgrid=False, ticks="outside")
    figure.update_yaxes(title={"text": "Voxels inside the mask"}, gridcolor="#e5e5e5", zeroline=False)
    words = "Of the reference, or, without one, of the input's signal; positive where amplitudes fall."
    return html.Section(heading, figure, words)
