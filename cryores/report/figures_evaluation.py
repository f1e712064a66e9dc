"""The figure of an evaluation: map-model FSC, half-map test, local resolution, and the values along the model."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.postprocessing._evaluation import Evaluation
from cryores.postprocessing._half_map_evaluation import HalfMapEvaluation
from cryores.postprocessing._half_map_test import HalfMapTest
from cryores.report import figures
from cryores.report.colours import CURVE_COLOURS
from cryores.volume import FloatArray

COLOURS = {"before": "#777777", "after": CURVE_COLOURS[0]}

MOST_POINTS = 600
"""Residues that are drawn one by one; of more, means of neighbours."""

BINS = 50


def evaluation_figure(result: Evaluation) -> Figure:
    """Draw the FSC curves, the local resolutions, the half-map test if there is one, and two rows along the model."""
    figure = figures.new_figure(11, 9)
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.25))
    panels = above.subplots(1, 2 if result.half_map_test is None else 3)
    _draw_model_fsc(panels[0], result)
    _draw_local(panels[1], {side: result.local[side] for side in result.maps}, "Local FSC 0.5 of map and model")
    if result.half_map_test is not None:
        _draw_half_map_test(panels[2], result.half_map_test)
    rows = below.subplots(2, 1, sharex=True)
    for axes, values, name in (
        (rows[0], {side: result.residue_q(side) for side in result.maps}, "Q-score"),
        (rows[1], result.residue_cc, "Correlation"),
    ):
        _draw_along_model(axes, result, values, name)
    rows[1].set_xlabel("Residues, chain by chain")
    return figure


def half_map_figure(result: HalfMapEvaluation) -> Figure:
    """Draw the FSC of the halves and their local resolutions."""
    figure = figures.new_figure(9, 4)
    panels = list(figure.subplots(1, 2))  # type: ignore[arg-type]
    _draw_half_map_test(panels[0], result.half_map_test)
    _draw_local(panels[1], result.local, "Local FSC 0.5 of half 1 with half 2")
    return figure


def _draw_model_fsc(axes: Any, result: Evaluation) -> None:
    for side in result.maps:
        axes.plot(result.frequency, result.curves[side], color=COLOURS[side], lw=1, ls="--", label=f"{side}, whole box")
        axes.plot(
            result.frequency, result.curves[f"masked_{side}"], color=COLOURS[side], lw=1.8, label=f"{side}, masked"
        )
    _finish_fsc(axes, result.frequency, "FSC of map and model")


def _draw_half_map_test(axes: Any, test: HalfMapTest) -> None:
    axes.plot(test.frequency, test.raw, color=COLOURS["before"], lw=1.8, label="half 1 with half 2")
    axes.plot(test.frequency, test.processed, color=COLOURS["after"], lw=1.8, label="processed half 1 with half 2")
    axes.plot(test.frequency, test.kept, color=CURVE_COLOURS[1], lw=1, ls="--", label="processed with raw half 1")
    _finish_fsc(axes, test.frequency, f"FSC of the halves: {test.verdict}")


def _finish_fsc(axes: Any, frequency: Float64, title: str) -> None:
    for threshold in (0.143, 0.5):
        axes.axhline(threshold, color="#777777", ls=":", lw=1)
    axes.axhline(0, color="#999999", lw=0.8)
    axes.set(xlim=(0, frequency[-1]), ylim=(-0.1, 1.05), xlabel="Spatial frequency (1/Å)")
    axes.set_title(title, fontsize=10, color=figures.TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_local(axes: Any, local: Dict[str, FloatArray], title: str) -> None:
    values = {side: found[np.isfinite(found)] for side, found in local.items()}
    values = {side: found for side, found in values.items() if found.size}
    if values:
        ends = np.array([np.percentile(found, (0.5, 99.5)) for found in values.values()])
        edges = np.linspace(ends[:, 0].min(), ends[:, 1].max() + 1e-3, BINS + 1)
        for side, found in values.items():
            counts, _ = np.histogram(found, bins=edges)  # the last hundredth would stretch the axis
            label = f"{side}, median {np.median(found):.2f} Å"
            axes.stairs(100.0 * counts / found.size, edges, color=COLOURS[side], lw=1.6, label=label)
    axes.set(xlabel="Local resolution (Å)", ylabel="% of the voxels")
    axes.set_title(title, fontsize=10, color=figures.TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _draw_along_model(axes: Any, result: Evaluation, values: Dict[str, Float64], name: str) -> None:
    for side, found in values.items():
        place, height = thinned(found)
        axes.plot(place, height, color=COLOURS[side], lw=1.1, label=f"{side}, mean {np.nanmean(found):.3f}")
    for first, chain in chain_starts(result):
        if first:
            axes.axvline(first - 0.5, color="#cccccc", lw=0.8, zorder=0)
        axes.annotate(chain, (first, 1), xycoords=("data", "axes fraction"), fontsize=8, color=figures.TEXT, va="top")
    axes.set_ylabel(name)
    axes.set_xlim(-0.5, len(result.atoms.chains) - 0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2)


def thinned(values: Float64) -> Tuple[Float64, Float64]:
    """Return places and values along the model: of each residue, or of few enough neighbours the middle and mean."""
    width = -(-len(values) // MOST_POINTS)
    starts = np.arange(0, len(values), width)
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    return starts + 0.5 * (width - 1), np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def chain_starts(result: Evaluation) -> List[Tuple[int, str]]:
    """Return the first residue and the name of every run of residues of one chain that is long enough to be marked."""
    chains = np.array(result.atoms.chains)
    starts = np.flatnonzero(np.append(True, chains[1:] != chains[:-1]))
    lengths = np.diff(np.append(starts, len(chains)))
    return [(int(start), str(chains[start])) for start, n in zip(starts, lengths) if n * 40 >= len(chains)]
