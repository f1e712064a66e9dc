"""Histograms of several maps over each other: what the comparison and the viewers of single methods share."""

import numpy as np
from pwem.viewers import EmPlotter

BINS = 60


def plotOverlaid(title, quantity, values, limits):
    """Return a plotter with an outline for each of ``values`` (label -> 1D array), as shares of its voxels."""
    plotter = EmPlotter(1, 1, mainTitle=title)
    axes = plotter.createSubPlot("", quantity, "share of the voxels")
    for label, one in values.items():
        weights = np.full(one.size, 1.0 / max(one.size, 1))
        axes.hist(one, bins=BINS, range=limits, weights=weights, histtype="step", linewidth=1.5, label=label)
    axes.legend()
    return plotter


def sharedLimits(values, margin=0.02):
    """Return limits that hold 5 to 95 % of each of several arrays, and a margin of the range to both sides."""
    low = min(np.percentile(one, 5) for one in values)
    high = max(np.percentile(one, 95) for one in values)
    room = max(high - low, 1e-3) * margin
    return float(low - room), float(high + room)
