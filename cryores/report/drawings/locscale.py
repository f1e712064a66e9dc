"""A locally scaled map: as every processed map, and its local B-factors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures, html, html_local
from cryores.report.colours import colour_scale
from cryores.report.drawings import processed_map

WORDS = "Of the reference, or, without one, of the input's signal; positive where amplitudes fall."


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``bfactor.png`` and ``bfactor_histogram.png`` beside the pictures of every processed map."""
    sections = processed_map.draw(outcome, folder, global_resolution)
    result, found = outcome.result, outcome.result.bfactors
    scale = colour_scale(found.values(), found.quantity, found.unit)
    figures.histogram_figure(found, scale).savefig(folder / "bfactor_histogram.png")
    figures.slices_figure(found, result.sharpened, scale).savefig(folder / "bfactor.png")
    histogram = dataclasses.replace(html_local.histogram_section(found, scale), heading="Local B-factors", words=WORDS)
    return [*sections, histogram]
