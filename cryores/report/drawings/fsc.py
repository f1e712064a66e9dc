"""FSC curves."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures, html


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``fsc.png``."""
    figures.fsc_figure(outcome.result).savefig(folder / "fsc.png")
    return [html.fsc_section(outcome.result)]
