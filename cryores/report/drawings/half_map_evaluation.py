"""A processing judged by half maps alone: one figure and the table."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures_evaluation, html, html_evaluation


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``evaluation.png``."""
    result = outcome.result
    figures_evaluation.half_map_figure(result).savefig(folder / "evaluation.png")
    words = "Å: the smaller the better; all others: the larger the better. What each means: the page of this method."
    return [
        html_evaluation.measures_section(result.measures(), words),
        html_evaluation.half_curves_section(result.half_map_test),
    ]
