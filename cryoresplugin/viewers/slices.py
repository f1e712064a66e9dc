"""What viewers of slices share: which slices are shown, and the colour bar beside them."""

SHOWN = (3, 4, 5, 6)
"""Slices that are shown, in ninths of the volume."""


def addColourBar(plotter, image):
    """Draw the colour bar of ``image`` right of the slices, where no layout moves them under it."""
    plotter.tightLayoutOn = False
    figure = plotter.getFigure()
    figure.subplots_adjust(left=0.07, right=0.84, bottom=0.07, top=0.87, hspace=0.3, wspace=0.2)
    figure.colorbar(image, cax=figure.add_axes([0.88, 0.1, 0.03, 0.75]))
