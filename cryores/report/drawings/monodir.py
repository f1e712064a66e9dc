"""Directional local resolution: as every local resolution, and its directions, its maps and its radial averages."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures_monodir, html, html_monodir
from cryores.report.drawings import local_map


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``directions.png``, ``maps.png`` and ``radial.png`` beside the pictures of the highest resolution."""
    result = outcome.result
    sections = local_map.draw(outcome, folder, global_resolution)
    figures_monodir.directions_figure(result).savefig(folder / "directions.png")
    figures_monodir.maps_figure(result).savefig(folder / "maps.png")
    figures_monodir.radial_figure(result).savefig(folder / "radial.png")
    return [
        html_monodir.maps_section(result),
        html_monodir.directions_section(result),
        html_monodir.radial_section(result),
        *sections,
    ]
