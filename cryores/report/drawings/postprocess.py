"""A map sharpened by one B-factor: FSC, Guinier plot, slices before and after, and both surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures, figures_processed, html, html_fsc, html_processed
from cryores.report.drawings.processed_map import write_surfaces


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``fsc.png``, ``guinier.png``, ``slices.png`` and ``view.cxc``."""
    result = outcome.result
    figures_processed.before_after_figure(result).savefig(folder / "slices.png")
    guinier = (result.frequency, result.amplitudes, result.fit, result.details["estimate"])
    figures_processed.spectra_figure(*guinier).savefig(folder / "guinier.png")
    write_surfaces(outcome, folder)
    sections = [html_processed.before_after_section(result), html_processed.spectra_section(*guinier)]
    if result.fsc is not None:
        figures.fsc_figure(result.fsc).savefig(folder / "fsc.png")
        sections.append(html_fsc.fsc_section(result.fsc))
    return [*sections, html_processed.changes_section(result)]
