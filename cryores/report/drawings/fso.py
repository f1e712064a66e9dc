"""A directional resolution: FSO with FSC, the sphere of directions, the 3DFSC."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.method import Outcome
from cryores.report import figures_fso, html, html_fso


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``fso.png``, ``directions.png`` and, where the 3DFSC was made, ``3dfsc.png`` and ``view.cxc``."""
    result = outcome.result
    figures_fso.occupancy_figure(result).savefig(folder / "fso.png")
    figures_fso.directions_figure(result).savefig(folder / "directions.png")
    sections = [html_fso.directions_section(result), html_fso.occupancy_section(result)]
    if result.three_d is not None:
        figures_fso.three_d_figure(result).savefig(folder / "3dfsc.png")
        (folder / "view.cxc").write_text(surface_script(result.cutoff), encoding="utf-8")
        sections.append(html_fso.three_d_section(result))
    return sections


def surface_script(cutoff: float) -> str:
    """Return the text of a ``.cxc`` file that shows the surface of the 3DFSC at the cutoff, with the axes."""
    return "\n".join(
        (
            f"# The 3DFSC at {cutoff:g}: a ball where the resolution is the same in all directions",
            "# Open this file with ChimeraX. It closes what is open. Another contour level: volume #1 level NUMBER",
            "close",
            "set bgColor white",
            "open 3dfsc.mrc",
            f"volume #1 style surface region all step 1 level {cutoff:g} color #56b4e9 showOutlineBox true",
            "lighting soft",
            "view",
            "",
        )
    )
