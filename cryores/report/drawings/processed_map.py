"""A processed map: slices before and after, spectra, and both surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from cryores.changes import contour_level
from cryores.fourier import rfft, shell_frequencies
from cryores.guinier import mean_amplitudes
from cryores.mapio import write_map
from cryores.masks import BINARY_THRESHOLD
from cryores.method import Outcome
from cryores.report import chimerax, figures_processed, html, html_processed
from cryores.volume import Volume


def draw(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    """Write ``slices.png``, ``spectra.png`` and ``view.cxc`` with the input map that it opens."""
    result = outcome.result
    frequency = shell_frequencies(result.before.grid)
    amplitudes = spectra_of(result.before, result.sharpened, outcome.execution.threads)
    fit = getattr(result, "fit", None)
    figures_processed.before_after_figure(result).savefig(folder / "slices.png")
    spectra = (frequency, amplitudes, fit, global_resolution)
    figures_processed.spectra_figure(*spectra).savefig(folder / "spectra.png")
    write_surfaces(outcome, folder)
    return [
        html_processed.before_after_section(result),
        html_processed.spectra_section(*spectra),
        html_processed.changes_section(result),
    ]


def spectra_of(before: Volume, after: Volume, threads: int) -> figures_processed.Spectra:
    """Return the mean amplitudes by shell before and after."""
    return {
        name: mean_amplitudes(rfft(volume.data, threads), before.grid)
        for name, volume in (("before", before), ("after", after))
    }


def write_surfaces(outcome: Outcome, folder: Path) -> None:
    """Write ``map.mrc`` and ``view.cxc``: input and processed map side by side, each at its own Otsu contour."""
    result = outcome.result
    inside = result.mask.data > BINARY_THRESHOLD
    write_map(folder / "map.mrc", result.before)
    levels = contour_level(result.before.data, inside), contour_level(result.sharpened.data, inside)
    title = f"Before and after {outcome.method.title}"
    confidence = "confidence.mrc" if "confidence" in result.extra else None
    script = chimerax.before_after(title, "map.mrc", "sharpened.mrc", levels, confidence)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
