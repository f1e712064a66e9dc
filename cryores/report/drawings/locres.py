"""A calibrated local resolution: as every other, grey where the interval tells nothing, and how wide it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from cryores.method import Outcome
from cryores.report import figures_locres, html
from cryores.report.drawings import local_map


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``certainty.png`` beside the pictures of every local-resolution map; uncertain voxels have no colour."""
    result = outcome.result
    shown = np.where(result.uncertain, np.float32(np.nan), result.resolution.data)
    certain = replace(result, resolution=result.resolution.like(shown))
    surface, histogram, slices = local_map.draw(outcome, folder, global_resolution, certain)
    figures_locres.certainty_figure(outcome).savefig(folder / "certainty.png")
    left_out = f"Without the {100 * result.summary()['uncertain_fraction']:.1f} % whose interval is too wide."
    surface, slices = (replace(section, words=f"{section.words} {left_out}") for section in (surface, slices))
    return [surface, histogram, slices, _words(result)]


def _words(result: Any) -> html.Section:
    summary = result.summary()
    told = (
        f"Nine of ten voxels have their resolution between lower.mrc and upper.mrc. "
        f"{100 * summary['undetermined_fraction']:.1f} % of the mask has no signal that could be told from noise and "
        f"no value; {100 * summary['uncertain_fraction']:.1f} % of the rest have an interval too wide to tell "
        f"anything and are left grey in the pictures. {100 * summary['nyquist_limited_fraction']:.1f} % are as fine as "
        f"the voxel size allows (Nyquist), {100 * summary['box_limited_fraction']:.1f} % as coarse as the box."
    )
    return html.Section("How sure it is", None, told)
