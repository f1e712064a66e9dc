"""A map sharpened by search: as every processed map, and the scores of the search."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import html
from cryores.report.drawings import processed_map
from cryores.report.figures_autosharpen import search_figure
from cryores.report.html_autosharpen import search_section


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``search.png`` beside the pictures of a processed map."""
    result = outcome.result
    chosen = {name: result.details[name] for name in ("b_iso", "score")}
    search_figure(result.tried, chosen).savefig(folder / "search.png")
    return [search_section(result.tried, chosen), *processed_map.draw(outcome, folder, global_resolution)]
