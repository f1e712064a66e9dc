"""The figure of a verdict, after figure S6 of the DeepRes paper: half maps above, DeepRes of every map, the limit."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.postprocessing._sharpening import BALANCED, OVER, UNDER, Judgement
from cryores.postprocessing.verdict import Verdict
from cryores.report import figures
from cryores.resolution.compare import Comparison

COLOURS = {UNDER: "#0072b2", BALANCED: "#009e73", OVER: "#d55e00"}
"""Of Okabe and Ito's palette."""

HALVES_COLOUR = "#777777"
LIMIT_COLOUR = "#cc0000"
BINS = 80
SHOWN_PERCENTILES = (0.5, 97.0)
"""Of every map's values: the histograms reach from the least to the largest of these."""


def edges(result: Verdict) -> Float64:
    """Return the edges (Å) of the bins that the half maps and DeepRes of every map share."""
    samples: List[Any] = [result.supported.values, *(result.values(one.name) for one in result.judgements)]
    ends = np.array([np.percentile(values, SHOWN_PERCENTILES) for values in samples])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    return np.linspace(low, max(high, low + 0.1), BINS + 1)


def percentages(values: Any, bins: Float64) -> Float64:
    """Return which percentage of the voxels lies in every bin; some lie beyond the ends."""
    counts, _ = np.histogram(values, bins=bins)
    found: Float64 = 100.0 * counts / max(len(values), 1)
    return found


def verdict_figure(result: Verdict) -> Figure:
    """Draw a histogram for the half maps and for each map with the limit through all of them, and the trend over B."""
    trend = _series(result)
    rows = len(result.judgements) + 1
    figure = figures.new_figure(11 if trend else 8, 0.9 + 0.95 * max(rows, 3))
    left, right = figure.subfigures(1, 2, width_ratios=(2.0, 1)) if trend else (figure, None)
    axes = left.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    bins = edges(result)
    _draw_row(axes[0], bins, result.supported.values, HALVES_COLOUR, f"{result.against}\nraw halves", "")
    for ax, one in zip(axes[1:], result.judgements):
        _draw_row(ax, bins, result.values(one.name), COLOURS[one.verdict], label(one), said(one, result))
        if one is result.best:
            ax.set_facecolor("#f3f7ee")
    for ax in axes:
        ax.axvline(result.supported.p20, color=LIMIT_COLOUR, lw=1.5)
    axes[0].set_title(
        f"limit: 20th percentile of {result.against}, {result.supported.p20:.2f} Å", fontsize=10, color=LIMIT_COLOUR
    )
    axes[-1].set_xlabel(f"Local resolution (Å): {result.against} in grey, DeepRes in colour")
    if trend:
        _draw_trend(right, result, trend)
    return figure


def label(one: Judgement) -> str:
    """Return what a map is called beside its histogram."""
    return one.name if one.bfactor is None else f"{one.name} Å²"


def said(one: Judgement, result: Verdict) -> str:
    """Return the verdict in words, with its numbers."""
    lines = [
        f"{one.verdict}{', best' if one is result.best else ''}",
        f"median {one.median:.2f} Å, {100 * one.past:.0f} % past the limit",
    ]
    return "\n".join(lines + ([] if one.model_cc is None else [f"model CC {one.model_cc:.3f}"]))


def _draw_row(ax: Any, bins: Float64, values: Any, colour: str, name: str, words: str) -> None:
    ax.stairs(percentages(values, bins), bins, fill=True, color=colour, alpha=0.75)
    ax.axvline(float(np.median(values)), color=figures.TEXT, lw=1, ls="--")
    ax.set_yticks([])
    ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=figures.TEXT)
    ax.text(1.01, 0.5, words, transform=ax.transAxes, ha="left", va="center", fontsize=8, color=figures.TEXT)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlim(bins[0], bins[-1])


def _series(result: Verdict) -> List[Judgement]:
    """Return the judgements of B-factors where there are enough for a line."""
    found = [one for one in result.judgements if one.bfactor is not None]
    return found if len(found) > 1 else []


def _draw_trend(part: Any, result: Verdict, trend: List[Judgement]) -> None:
    scored = trend[0].model_cc is not None
    axes = part.subplots(2 if scored else 1, 1, sharex=True, squeeze=False)[:, 0]
    b = [one.bfactor for one in trend]
    supported = result.supported
    ax = axes[0]
    ax.axhspan(
        supported.p20, supported.median + result.tolerance, color=COLOURS[BALANCED], alpha=0.12, lw=0, label=BALANCED
    )
    ax.axhline(supported.p20, color=LIMIT_COLOUR, lw=1.5)
    spread = [one.p20 for one in trend], [one.p80 for one in trend]
    ax.fill_between(b, *spread, color="#999999", alpha=0.25, lw=0, label="20 to 80 % of the voxels")
    ax.plot(b, [one.median for one in trend], color=figures.TEXT, lw=1.5)
    for one in trend:
        size = 12 if one is result.best else 7
        ax.plot(one.bfactor, one.median, marker="*" if one is result.best else "o", ms=size, color=COLOURS[one.verdict])
    ax.set_ylabel("DeepRes (Å): median", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    if scored:
        axes[1].plot(b, [one.model_cc for one in trend], color=figures.TEXT, marker="o", ms=5)
        axes[1].set_ylabel("Correlation with the model", fontsize=9)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=8)
    axes[-1].set_xlabel("B-factor (Å²): sharper to the right", fontsize=9)
    axes[0].invert_xaxis()


def as_comparison(result: Verdict) -> Comparison:
    """Return the resolution of the half maps and DeepRes of the maps, to be drawn side by side."""
    volumes = {result.against: result.held, **{label(one): result.deepres[one.name] for one in result.judgements}}
    # The medians of the verdict: of the voxels in which both are known.
    medians = [result.supported.median, *(one.median for one in result.judgements)]
    maps: Dict[str, Dict[str, Any]] = {name: {"median": median} for name, median in zip(volumes, medians)}
    return Comparison(volumes, result.mask, maps, [], 0.0, 1.0, [])


def limits(result: Verdict) -> Tuple[float, float]:
    """Return the range (Å) that is called balanced."""
    return result.supported.p20, result.supported.median + result.tolerance
