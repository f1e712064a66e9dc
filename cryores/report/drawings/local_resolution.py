"""A local-resolution map: histogram, slices, and the map coloured by it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.changes import contour_level
from cryores.mapio import write_map
from cryores.method import Outcome
from cryores.report import chimerax, figures, html, views
from cryores.report.colours import colour_scale
from cryores.volume import full_map


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``histogram.png``, ``slices.png`` and ``view.cxc`` with the two maps that it opens."""
    result = outcome.result
    density = full_map(outcome.inputs.maps)
    filled = views.filled_outwards(result.resolution)
    inside = result.mask.data > 0.5
    level = contour_level(density.data, inside)
    scale = colour_scale(result.values())

    figures.histogram_figure(result, scale, global_resolution).savefig(folder / "histogram.png")
    figures.slices_figure(result, density, scale).savefig(folder / "slices.png")
    write_map(folder / "map.mrc", density)
    write_map(folder / "resolution_filled.mrc", filled)
    title = f"The map coloured by its local resolution ({outcome.method.title})"
    script = chimerax.coloured_surface(title, "map.mrc", "resolution_filled.mrc", level, scale)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
    return [
        html.surface_section(views.surface(density, filled, inside, level), scale, level),
        html.histogram_section(result, scale, global_resolution),
        html.slices_section(result, density, scale),
    ]
