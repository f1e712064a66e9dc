"""Histograms of several maps over each other: what the comparison and the viewers of single methods share."""

from pwem.viewers import EmPlotter

from cryores.report import views


def plotOverlaid(title, quantity, values):
    """Return a plotter with an outline of the same area for each of ``values`` (label -> 1D array, in Å)."""
    plotter = EmPlotter(1, 1, mainTitle=title)
    axes = plotter.createSubPlot("", quantity, "% of the voxels, per 0.1 Å")
    histograms = views.histograms(values)
    for label, counted in histograms.items():
        axes.stairs(counted.density, counted.edges, linewidth=1.5, label=label)
    axes.set_xlim(views.span(histograms.values()))
    axes.legend()
    return plotter
