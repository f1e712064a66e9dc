"""The picture of where a map's noise is taken from."""

from __future__ import annotations

from matplotlib.figure import Figure

from cryores.report import figures, views
from cryores.volume import BoolArray, Volume


def noise_figure(volume: Volume, region: BoolArray, title: str) -> Figure:
    """Draw three planes of a map with the region of its noise in colour.

    Parameters
    ----------
    volume : Volume
        The map.
    region : ndarray of bool, same shape
        The voxels that are taken for noise.
    title : str
        What was measured there.
    """
    whole = (slice(0, volume.grid.shape[0]), slice(0, volume.grid.shape[1]), slice(0, volume.grid.shape[2]))
    low, high = views.grey_limits(volume.data, whole)
    figure = figures.new_figure(10, 3.8)
    figure.suptitle(title, fontsize=11, color=figures.TEXT)
    planes = views.central_planes(whole)
    for axes, plane in zip(figure.subplots(1, len(planes)), planes):  # type: ignore[arg-type]
        extent = figures.extent(plane, volume.grid)
        axes.imshow(plane.of(volume.data), cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
        shown = plane.of(region.astype("float32"))
        axes.imshow(shown, cmap="autumn", alpha=0.35 * (shown > 0.5), origin="lower", extent=extent)
        figures.look_at(axes, plane, volume.grid, whole)
    return figure
