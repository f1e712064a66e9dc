"""The surface of a map coloured by a value, drawn by matplotlib: it turns with the mouse and needs no other program."""

import numpy as np
from pwem.viewers import EmPlotter

from cryores.changes import contour_level
from cryores.report import views

MOST_TRIANGLES = 30000
"""More than these turn slowly; the report's surface, in a browser, has twice as many."""


def traced(density, filled, inside):
    """Return the coloured surface of a map at the level where the report and ChimeraX show it, or None.

    Parameters
    ----------
    density, filled : cryores.volume.Volume
        The map; the value in Å (or what it is) in all voxels.
    inside : ndarray of bool
        The mask.
    """
    level = contour_level(density.data, inside)
    return views.surface(density, filled, inside, level, most_triangles=MOST_TRIANGLES)


def plotSurface(surface, title, limits, colours):
    """Return a plotter with a `cryores.report.views.Surface`, its triangles coloured by their mean value."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LightSource, Normalize

    plotter = EmPlotter(1, 1, mainTitle=title)
    axes = plotter.createSubPlot("", None, None, projection="3d")
    scale = ScalarMappable(Normalize(*limits), colormaps[colours])
    drawn = axes.plot_trisurf(
        *surface.vertices.T, triangles=surface.triangles, linewidth=0, antialiased=False, shade=False
    )
    values = surface.values[surface.triangles].mean(axis=1)
    drawn.set_facecolors(_shaded(scale.to_rgba(values), surface, LightSource(225, 45)))
    axes.set_box_aspect(np.ptp(surface.vertices, axis=0), zoom=1.5)
    axes.set_axis_off()
    plotter.tightLayoutOn = False
    plotter.getFigure().subplots_adjust(left=0.0, right=0.9, bottom=0.0, top=0.95)
    plotter.getFigure().colorbar(scale, cax=plotter.getFigure().add_axes([0.88, 0.15, 0.03, 0.65]))
    return plotter


def _shaded(colours, surface, light):
    """Return the colours of the triangles as they look under a light."""
    a, b, c = (surface.vertices[surface.triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    brightness = 0.8 + 0.3 * (normals @ light.direction)
    return np.column_stack([colours[:, :3] * brightness[:, None].clip(0.4, 1.0), colours[:, 3]])
