"""What the figures of the page share: their layout, planes of a density with a slider, tables of words."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from cryores.report import views
from cryores.volume import Grid, Volume

PAGE_SLICES = 24
PAGE_SLICE_SIZE = 96
"""Planes in the page, and pixels along their longer edge: with the surface they make its size."""

FONT = {"family": "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif", "size": 14, "color": "#1a1a1a"}

ROW_HEIGHT = 30
"""Pixels of a row of a table."""


def layout(height: int, **more: Any) -> Dict[str, Any]:
    """Return plotly's layout of a figure of the page."""
    margins = {"l": 60, "r": 20, "t": 30, "b": 50}
    return dict(height=height, font=FONT, paper_bgcolor="#fff", plot_bgcolor="#fff", margin=margins, **more)


class GreyPlanes:
    """Planes of a density across z, in grey and thinned to `PAGE_SLICE_SIZE`.

    Parameters
    ----------
    density : Volume
        The density.
    box : tuple of slice
        The part of it that is shown, and whose values set the limits of the grey.

    Attributes
    ----------
    cut : tuple of slice
        What is shown of a plane, along y and x.
    x, y : ndarray of float64
        Where those voxels lie, in Å.
    """

    def __init__(self, density: Volume, box: Tuple[slice, slice, slice]) -> None:
        step = max(1, -(-max(part.stop - part.start for part in box[1:]) // PAGE_SLICE_SIZE))
        self.cut = tuple(slice(part.start, part.stop, step) for part in box[1:])
        self.x, self.y = (positions(density, axis, self.cut[axis - 1]) for axis in (2, 1))
        self._data, (self._low, self._high) = density.data, views.grey_limits(density.data, box)

    def trace(self, plane: views.Plane) -> Dict[str, Any]:
        """Return plotly's trace of a plane, in whole numbers from 0 to 255: they make a small page."""
        shares = (plane.of(self._data)[self.cut] - self._low) / max(self._high - self._low, 1e-30)
        steps = np.round(255 * np.clip(shares, 0, 1)).astype(np.uint8)
        return {
            "type": "heatmap",
            "x": self.x,
            "y": self.y,
            "z": steps,
            "zmin": 0,
            "zmax": 255,
            "colorscale": "Greys_r",
            "showscale": False,
            "hoverinfo": "skip",
        }


def positions(volume: Volume, axis: int, part: slice) -> Any:
    """Return where the voxels of ``part`` lie along an axis, in Å."""
    voxels = np.arange(volume.grid.shape[axis])[part]
    return volume.grid.first_voxel[axis] + voxels * volume.grid.voxel_size[axis]


def plane_slider(planes: List[views.Plane], grid: Grid, traces: int) -> Dict[str, Any]:
    """Return a slider that shows one plane at a time, of a figure that has so many traces for each plane."""
    count = len(planes)
    steps = [
        {
            "label": plane.placed_in(grid),
            "method": "restyle",
            "args": [{"visible": [n // traces == number for n in range(traces * count)]}],
        }
        for number, plane in enumerate(planes)
    ]
    return {"active": count // 2, "steps": steps, "currentvalue": {"prefix": ""}, "pad": {"t": 45}}


def table(head: Sequence[str], rows: List[List[str]]) -> Any:
    """Return a plotly table of words."""
    import plotly.graph_objects as go

    style: Dict[str, Any] = {"align": "left", "height": ROW_HEIGHT, "line": {"color": "#dddddd"}}
    table = go.Table(
        header={"values": [f"<b>{name}</b>" for name in head], "fill": {"color": "#f2f2f2"}, **style},
        cells={"values": [list(column) for column in zip(*rows)], "fill": {"color": "#ffffff"}, **style},
        columnwidth=[2.2, *[1.0] * (len(head) - 1)],
    )
    figure = go.Figure(table, layout=layout(ROW_HEIGHT * (len(rows) + 2) + 40))
    figure.update_layout(margin={"l": 0, "r": 0, "t": 10, "b": 0})
    return figure
