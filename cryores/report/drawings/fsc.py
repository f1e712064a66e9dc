"""FSC curves."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures, html, html_fsc


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``fsc.png``."""
    figures.fsc_figure(outcome.result).savefig(folder / "fsc.png")
    return [html_fsc.fsc_section(outcome.result)]
