"""A verdict on sharpening: the figure, the local resolutions side by side, and the best map coloured by DeepRes."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.changes import contour_level
from cryores.mapio import write_map
from cryores.masks import BINARY_THRESHOLD
from cryores.method import Outcome
from cryores.report import chimerax, figures_comparison, figures_verdict, html, html_comparison, html_verdict, views


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``verdict.png``, ``slices.png`` and ``view.cxc`` with the map that it opens."""
    result = outcome.result
    figures_verdict.verdict_figure(result).savefig(folder / "verdict.png")
    side_by_side = figures_verdict.as_comparison(result)
    scale = figures_comparison.common_scale(side_by_side)
    figures_comparison.slices_figure(side_by_side, result.best_map, scale).savefig(folder / "slices.png")
    write_map(folder / "filled.mrc", views.filled_outwards(result.deepres[result.best.name]))
    level = contour_level(result.best_map.data, result.mask.data > BINARY_THRESHOLD)
    title = f"{result.best.name}, the best map, coloured by DeepRes"
    script = chimerax.coloured_surface(title, "best.mrc", "filled.mrc", level, scale)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
    sections = [
        html_verdict.histograms_section(result),
        html_verdict.trend_section(result),
        html_verdict.table_section(result),
        html_comparison.slices_section(side_by_side, result.best_map, scale),
    ]
    return [section for section in sections if section is not None]
