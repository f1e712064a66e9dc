"""The evaluation of a map: one figure, the table, and the model coloured by its Q-scores in the map."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.changes import contour_level
from cryores.mapio import write_map
from cryores.method import Outcome
from cryores.report import chimerax, figures_evaluation, html, html_evaluation


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``evaluation.png`` and ``view.cxc`` with the map that it opens."""
    result = outcome.result
    figures_evaluation.evaluation_figure(result).savefig(folder / "evaluation.png")
    after = result.maps["after"]
    write_map(folder / "map.mrc", after)
    level = contour_level(after.data, result.inside)
    script = chimerax.coloured_model("The model coloured by its Q-scores", "map.mrc", "qscores.cif", level)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
    return [
        html_evaluation.table_section(result),
        html_evaluation.curves_section(result),
        html_evaluation.residues_section(result),
    ]
