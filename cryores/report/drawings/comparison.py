"""A comparison of local-resolution maps: slices in one scale, histograms, agreement, and the coloured surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.changes import contour_level
from cryores.mapio import write_map
from cryores.masks import BINARY_THRESHOLD
from cryores.method import Outcome
from cryores.report import chimerax, figures_comparison, html, html_comparison, views
from cryores.resolution.compare import file_stem
from cryores.volume import full_map


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``slices.png``, ``histogram.png``, ``agreement.png`` and ``view.cxc`` with the maps that it opens."""
    result = outcome.result
    density = full_map(outcome.inputs.maps)
    scale = figures_comparison.common_scale(result)
    figures_comparison.slices_figure(result, density, scale).savefig(folder / "slices.png")
    figures_comparison.histogram_figure(result).savefig(folder / "histogram.png")
    figures_comparison.agreement_figure(result).savefig(folder / "agreement.png")
    filled = {}
    for name, volume in result.resolutions.items():
        filled[name] = f"filled_{file_stem(name)}.mrc"
        write_map(folder / filled[name], views.filled_outwards(volume))
    write_map(folder / "map.mrc", density)
    level = contour_level(density.data, result.mask.data > BINARY_THRESHOLD)
    (folder / "view.cxc").write_text(chimerax.side_by_side("map.mrc", filled, level, scale), encoding="utf-8")
    return [
        html_comparison.histogram_section(result),
        html_comparison.maps_section(result),
        html_comparison.pairs_section(result),
        html_comparison.slices_section(result, density, scale),
    ]
