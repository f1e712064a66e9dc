"""What viewers of slices share: the axis in the form, which slices are shown, and the colour bar beside them."""

from pwem.viewers import EmPlotter
from pyworkflow.protocol import params

SHOWN = (3, 4, 5, 6)
"""Slices that are shown, in ninths of the volume."""


def addSliceAxis(form):
    """Add the field of the axis that slices are across."""
    form.addParam("sliceAxis", params.EnumParam, default=2, choices=["x", "y", "z"],
                  display=params.EnumParam.DISPLAY_HLIST, label="Slice axis")  # fmt: skip


def plotSlices(data, axis, title, limits=None, colours="gray"):
    """Return a plotter with four slices across ``axis`` in one scale, from the least to the largest value or given."""
    low, high = limits or (float(data.min()), float(data.max()))
    plotter = EmPlotter(2, 2, mainTitle=title)
    length = data.shape["zyx".index(axis)]
    for ninth in SHOWN:
        number = ninth * length // 9
        axes = plotter.createSubPlot(f"{axis} = {number}", "", "")
        plane = data.take(number, axis="zyx".index(axis))
        image = plotter.plotMatrix(axes, plane, low, high, cmap=colours, interpolation="nearest", origin="lower")
    addColourBar(plotter, image)
    return plotter


def addColourBar(plotter, image):
    """Draw the colour bar of ``image`` right of the slices, where no layout moves them under it."""
    plotter.tightLayoutOn = False
    figure = plotter.getFigure()
    figure.subplots_adjust(left=0.07, right=0.84, bottom=0.07, top=0.87, hspace=0.3, wspace=0.2)
    figure.colorbar(image, cax=figure.add_axes([0.88, 0.1, 0.03, 0.75]))
