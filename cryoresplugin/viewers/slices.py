"""What viewers of slices share: the axis in the form, which slices are shown, a slider, and the colour bar beside."""

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


def plotWithSlider(data, axis, title, limits, colours="gray"):
    """Return a plotter with the central slice across ``axis`` and a slider that moves through the others.

    The slider is the plotter's ``slider``: it would stop moving if nothing held it.
    """
    from matplotlib.widgets import Slider

    along = "zyx".index(axis)
    length = data.shape[along]
    plotter = EmPlotter(1, 1, mainTitle=title)
    axes = plotter.createSubPlot(f"{axis} = {length // 2}", "", "")
    low, high = limits
    plane = data.take(length // 2, axis=along)
    image = plotter.plotMatrix(axes, plane, low, high, cmap=colours, interpolation="nearest", origin="lower")
    addColourBar(plotter, image)
    plotter.getFigure().subplots_adjust(bottom=0.17)
    place = plotter.getFigure().add_axes([0.15, 0.05, 0.6, 0.04])
    plotter.slider = Slider(place, axis, 0, length - 1, valinit=length // 2, valstep=1)

    def move(number):
        image.set_data(data.take(int(number), axis=along))
        axes.set_title(f"{axis} = {int(number)}")
        plotter.getFigure().canvas.draw_idle()

    plotter.slider.on_changed(move)
    return plotter


def addColourBar(plotter, image):
    """Draw the colour bar of ``image`` right of the slices, where no layout moves them under it."""
    plotter.tightLayoutOn = False
    figure = plotter.getFigure()
    figure.subplots_adjust(left=0.07, right=0.84, bottom=0.07, top=0.87, hspace=0.3, wspace=0.2)
    figure.colorbar(image, cax=figure.add_axes([0.88, 0.1, 0.03, 0.75]))
