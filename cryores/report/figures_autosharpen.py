"""The search of AutoSharpen: the score of every B-factor that was tried."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.report.colours import CURVE_COLOURS
from cryores.report.figures import TEXT, new_figure

Search = Mapping[str, Mapping[str, Float64]]


def shown_scores(tried: Search) -> Tuple[float, float]:
    """Return the range of scores worth seeing: from three times the fall to the blurred end, to just above the best."""
    best = max(float(columns["score"].max()) for columns in tried.values())
    fall = max(best - min(float(columns["score"][-1]) for columns in tried.values()), 1e-3 * abs(best), 1e-6)
    return best - 3.0 * fall, best + 0.3 * fall


def search_figure(tried: Search, chosen: Dict[str, float]) -> Figure:
    """Draw the scores over B; ``chosen`` has the ``b_iso`` and the ``score`` that won."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    for number, (variant, columns) in enumerate(tried.items()):
        axes.plot(columns["b_iso"], columns["score"], "o-", ms=3, color=CURVE_COLOURS[number], label=variant)
    axes.plot(chosen["b_iso"], chosen["score"], "o", ms=9, mfc="none", mec=TEXT, label=f"B = {chosen['b_iso']:.0f} Å²")
    axes.set(xlabel="B of the result (Å²): sharper to the left", ylabel="Score", ylim=shown_scores(tried))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
