"""The figure of ways of post-processing on a set of maps: a panel a measure, a bar a way, a dot a map."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np
from matplotlib.figure import Figure

from cryores.postprocessing._method_comparison import FINER_IS_BETTER, MEASURES, Compared
from cryores.report import figures
from cryores.report.colours import CURVE_COLOURS

WORDS = {
    "input": "input", "auto_b": "auto B", "given_b": "given B", "deposited": "deposited", "localdeblur": "LocalDeblur",
    "locspiral": "LocSpiral", "deepemhancer": "enhancer",
}  # fmt: skip


def methods_figure(found: Mapping[str, Compared], middle: Mapping[str, Dict[str, float]]) -> Figure:
    """Draw the medians as bars and the maps as dots, those of one map joined by a line."""
    figure = figures.new_figure(12, 7)
    for axes, (measure, title) in zip(figure.subplots(2, 3).ravel(), MEASURES.items()):  # type: ignore[union-attr]
        _draw(axes, measure, title.strip(), found, middle)
    return figure


def _draw(
    axes: Any, measure: str, title: str, found: Mapping[str, Compared], middle: Mapping[str, Dict[str, float]]
) -> None:
    places = np.arange(len(middle))
    heights = [values[measure] for values in middle.values()]
    axes.bar(places, heights, color=CURVE_COLOURS[0], alpha=0.35, width=0.7)
    for row in found.values():
        values = [row.values.get(kind, {}).get(measure, np.nan) for kind in middle]
        axes.plot(places, values, color="#999999", lw=0.7, marker="o", ms=3, mfc="#333333", mec="none")
    for place, height in zip(places, heights):
        if np.isfinite(height):
            axes.annotate(f"{height:.3g}", (place, 0), ha="center", va="bottom", fontsize=8)
    axes.set_xticks(places, [WORDS.get(kind, kind) for kind in middle], rotation=30, ha="right", fontsize=8)
    better = "smaller" if measure in FINER_IS_BETTER else "larger"
    axes.set_title(f"{title}: {better} is better", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
