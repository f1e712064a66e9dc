"""What draws a result: one module per type, each with ``draw(outcome, folder, global_resolution)``.

``draw`` writes the pictures of the result into the folder and returns the sections of the page that show them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Callable, List, Optional

from cryores.method import Outcome
from cryores.report.html import Section

Draw = Callable[[Outcome, Path, Optional[float]], List[Section]]

DRAWINGS = {
    "AutosharpenResult": "autosharpen",
    "Comparison": "comparison",
    "Evaluation": "evaluation",
    "FSCResult": "fsc",
    "LocalMap": "local_map",
    "HalfMapEvaluation": "half_map_evaluation",
    "FSOResult": "fso",
    "LocscaleResult": "locscale",
    "MonodirResult": "monodir",
    "PostprocessResult": "postprocess",
    "ProcessedMap": "processed_map",
    "ResmapResult": "resmap",
    "ShellResolution": "blocres_shells",
    "TomogramResolution": "tomogram",
}
"""Name of the result's class, or of one of its bases -> module of this folder."""


def drawing_of(result: object) -> Draw:
    """Return what draws ``result``: the most special entry of `DRAWINGS`, or what draws nothing."""
    for kind in type(result).__mro__:
        if kind.__name__ in DRAWINGS:
            draw: Draw = import_module(f"{__name__}.{DRAWINGS[kind.__name__]}").draw
            return draw
    return _draw_nothing


def _draw_nothing(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[Section]:
    return []
