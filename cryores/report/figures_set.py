"""The figure of many evaluations: one row a map, one panel a measure, a line from before to after."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
from matplotlib.figure import Figure

from cryores.postprocessing._evaluation import MEASURES
from cryores.report import figures
from cryores.report.figures_evaluation import COLOURS

DRAWN = ("masked_model_fsc_0.5", "cc_mask", "q_score", "local_resolution", "half_fsc_0.143", "half_signal")
"""Measures that have a panel, where any map has them."""

FINER_IS_BETTER = ("fsc", "resolution")

ROW_HEIGHT = 0.28


def set_figure(records: List[Dict[str, Any]]) -> Figure:
    """Draw records of ``name``, ``reason``, and ``MEASURE_before`` and ``MEASURE_after`` (NaN where there is none)."""
    drawn = [name for name in DRAWN if any(np.isfinite(row[f"{name}_after"]) for row in records)]
    figure = figures.new_figure(2.2 + 2.4 * max(len(drawn), 1), 1.2 + ROW_HEIGHT * len(records))
    panels = figure.subplots(1, max(len(drawn), 1), sharey=True, squeeze=False)[0]  # type: ignore[index]
    places = np.arange(len(records))
    for axes, name in zip(panels, drawn):
        _draw_measure(axes, name, records, places)
    labels = [row["name"] + (" (failed)" if row["reason"] else "") for row in records]
    panels[0].set_yticks(places, labels)
    panels[0].set_ylim(len(records) - 0.5, -0.5)
    if drawn:
        panels[0].legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _draw_measure(axes: Any, name: str, records: List[Dict[str, Any]], places: Any) -> None:
    before, after = (np.array([row[f"{name}_{side}"] for row in records]) for side in ("before", "after"))
    axes.hlines(places, before, after, color="#bbbbbb", lw=1.5, zorder=1)
    for side, values in (("before", before), ("after", after)):
        axes.scatter(values, places, s=22, color=COLOURS[side], label=side, zorder=2)
    better = "smaller" if any(word in name for word in FINER_IS_BETTER) else "larger"
    axes.set_xlabel(f"{_short(name)}\n({better} is better)", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#eeeeee", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    words = {
        "masked_model_fsc_0.5": "Map-model FSC 0.5\nunder the mask (Å)",
        "q_score": "Q-score",
        "local_resolution": "Local resolution\nagainst the model (Å)",
        "half_fsc_0.143": "FSC 0.143 with\nraw half 2 (Å)",
        "half_signal": "Correlation of half 1\nwith the true signal",
    }
    return words.get(name, MEASURES[name])
