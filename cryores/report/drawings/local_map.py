"""A number for every voxel: histogram, slices, and the map coloured by it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from cryores.changes import contour_level
from cryores.mapio import write_map
from cryores.masks import BINARY_THRESHOLD
from cryores.method import LocalMap, LocalResolution, Outcome
from cryores.report import chimerax, figures, html, html_local, views
from cryores.report.colours import colour_scale
from cryores.volume import BoolArray, Volume, full_map

BEYOND = 20.0
"""Times the largest value: what stands for an unsure voxel in the map that colours the surface."""


def draw(
    outcome: Outcome, folder: Path, global_resolution: Optional[float], sure: Optional[LocalMap] = None
) -> List[html.Section]:
    """Write ``histogram.png``, ``slices.png`` and ``view.cxc`` with the two maps that it opens.

    Where the result is not sure, ``sure`` is the same without the voxels in doubt: they have no colour, and the surface
    of ``view.cxc`` can be seen through there. The histogram counts them, as the numbers of the report do.
    """
    result = outcome.result
    coloured = result if sure is None else sure
    density = full_map(outcome.inputs.maps)
    filled = views.filled_outwards(coloured.local)
    inside = result.mask.data > BINARY_THRESHOLD
    level = contour_level(density.data, inside)
    scale = colour_scale(result.values(), result.quantity, result.unit)
    overall = global_resolution if isinstance(result, LocalResolution) else None
    filled_file = f"{next(iter(result.volumes()))}_filled.mrc"

    write_map(folder / "map.mrc", density)
    shown, faded = _faded(filled, np.isfinite(result.local.data) & ~np.isfinite(coloured.local.data))
    write_map(folder / filled_file, shown)
    title = f"The map coloured by its {scale.quantity.lower()} ({outcome.method.title})"
    script = chimerax.coloured_surface(title, "map.mrc", filled_file, level, scale, faded)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
    surface = html_local.surface_section(views.surface(density, filled, inside, level), scale, level)
    del filled, shown  # a volume or two, in time for the pictures
    figures.histogram_figure(result, scale, overall).savefig(folder / "histogram.png")
    figures.slices_figure(coloured, density, scale).savefig(folder / "slices.png")
    return [
        surface,
        html_local.histogram_section(result, scale, overall),
        html_local.slices_section(coloured, density, scale),
    ]


def _faded(filled: Volume, unsure: BoolArray) -> Tuple[Volume, Optional[float]]:
    """Return what colours the surface, with a value of its own for unsure voxels, and that value."""
    if not unsure.any():
        return filled, None
    value = BEYOND * float(np.nanmax(filled.data, initial=1.0))
    # Inside alone: the rim of the surface lies outside the mask and takes the colour of what is next to it.
    return filled.like(np.where(unsure, np.float32(value), filled.data)), value
