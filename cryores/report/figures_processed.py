"""Pictures of a processed map: slices before and after, and the spectra of both."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cryores.fourier import Float64
from cryores.guinier import GuinierFit
from cryores.masks import BINARY_THRESHOLD, block_around
from cryores.processed import ProcessedMap
from cryores.report import figures, views
from cryores.report.colours import CURVE_COLOURS
from cryores.volume import Volume

Spectra = Dict[str, Float64]
"""Name -> mean amplitude of each shell."""


def before_after_figure(result: ProcessedMap) -> Figure:
    """Draw three planes of the input above the same planes of the processed map, each in its own grey scale."""
    box = block_around(result.mask.data > BINARY_THRESHOLD)
    planes = views.central_planes(box)
    figure = figures.new_figure(9, 7)
    rows = figure.subfigures(2, 1)
    for part, volume, title in zip(rows, (result.before, result.sharpened), ("before", "after")):
        part.suptitle(title, fontsize=11, color=figures.TEXT)
        _draw_planes(part, volume, planes, box)
    return figure


def _draw_planes(part: Any, volume: Volume, planes: List[views.Plane], box: Tuple[slice, slice, slice]) -> None:
    grey = Normalize(*views.grey_limits(volume.data, box))
    for ax, plane in zip(np.atleast_1d(part.subplots(1, len(planes))), planes):
        placed = {"origin": "lower", "extent": figures.extent(plane, volume.grid), "interpolation": "nearest"}
        ax.imshow(plane.of(volume.data), cmap="gray", norm=grey, **placed)
        figures.look_at(ax, plane, volume.grid, box)


def spectra_figure(
    frequency: Float64, amplitudes: Spectra, fit: Optional[GuinierFit] = None, resolution: Optional[float] = None
) -> Figure:
    """Draw the Guinier plot: ln of the mean amplitude against 1/d^2, the fitted line and the resolution."""
    figure = figures.new_figure(7, 4.4)
    axes = figure.add_subplot()
    for (name, height), colour in zip(views.logarithms(amplitudes).items(), CURVE_COLOURS):
        axes.plot(frequency**2, height, color=colour, lw=1.5, label=name)
    if fit is not None:
        ends = np.array([1.0 / fit.coarsest, 1.0 / fit.finest])
        axes.plot(ends**2, fit.line(ends), color=figures.TEXT, lw=1.2, ls="--", label=f"fit, B = {fit.bfactor:.1f} Å²")
    if resolution is not None:
        axes.axvline(1.0 / resolution**2, color="#777777", ls=":", lw=1, label=f"FSC 0.143 at {resolution:.2f} Å")
    axes.set(xlabel="1/d² (1/Å²)", ylabel="ln of the mean amplitude", xlim=(0, frequency[-1] ** 2))
    axes.spines["right"].set_visible(False)
    top = axes.twiny()
    ticks = [d for d in figures.FSC_TICKS if 1.0 / d < frequency[-1] and d <= 8]
    top.set(xlim=axes.get_xlim(), xlabel="Resolution (Å)")
    top.set_xticks([1.0 / d**2 for d in ticks], [f"{d:g}" for d in ticks])
    top.spines["right"].set_visible(False)
    axes.legend(frameon=False)
    return figure
