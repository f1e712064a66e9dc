"""Histograms of several maps over each other: what the comparison and the viewers of single methods share."""

import numpy as np
from pwem.viewers import EmPlotter

from cryores.report import views


def plotOverlaid(title, quantity, values, limits):
    """Return a plotter with an outline of the same area for each of ``values`` (label -> 1D array, in Å)."""
    plotter = EmPlotter(1, 1, mainTitle=title)
    axes = plotter.createSubPlot("", quantity, "% of the voxels, per 0.1 Å")
    for label, counted in views.histograms(values).items():
        axes.stairs(counted.density, counted.edges, linewidth=1.5, label=label)
    axes.set_xlim(limits)
    axes.legend()
    return plotter


def sharedLimits(values, margin=0.02):
    """Return limits that hold 5 to 95 % of each of several arrays, and a margin of the range to both sides."""
    low = min(np.percentile(one, 5) for one in values)
    high = max(np.percentile(one, 95) for one in values)
    room = max(high - low, 1e-3) * margin
    return float(low - room), float(high + room)
