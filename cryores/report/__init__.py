"""Reports: everything that a run leaves in its output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple, Union

from cryores.mapio import write_map
from cryores.method import LocalResolution, Outcome
from cryores.report import html
from cryores.report.record import json_text, make_record
from cryores.resolution.fsc import FSCResult
from cryores.volume import full_map

Draw = Callable[[Outcome, Path, Optional[float]], List[html.Section]]
"""Writes the pictures of one type of result into a folder and returns the sections of the page that show it."""


def write_report(
    outcome: Outcome, folder: Union[str, Path], sources: Mapping[str, str], global_resolution: Optional[float] = None
) -> None:
    """Write the maps, tables, pictures, ``report.json`` and ``report.html`` of a run.

    Parameters
    ----------
    outcome : Outcome
        The finished run.
    folder : path
        An existing folder.
    sources : mapping
        Role of an input (``half1``, ``half2``, ``map``, ``mask``, ...) -> its path as the user gave it.
    global_resolution : float, optional
        FSC of the half maps at 0.143 in Å, to be shown beside local values.

    Raises
    ------
    InputError
        ``E_WRITE`` if a map cannot be written.
    """
    folder = Path(folder)
    for name, volume in outcome.result.volumes().items():
        write_map(folder / f"{name}.mrc", volume)
    if outcome.mask_was_made and outcome.inputs.mask is not None:
        write_map(folder / "mask.mrc", outcome.inputs.mask)
    for name, text in outcome.result.tables().items():
        (folder / name).write_text(text, encoding="utf-8")
    sections = _drawing(outcome.result)(outcome, folder, global_resolution)
    files = [*sorted(path.name for path in folder.iterdir()), "report.html"]
    record = make_record(outcome, sources, files, global_resolution)
    (folder / "report.json").write_text(json_text(record), encoding="utf-8")
    (folder / "report.html").write_text(html.page(outcome.method, record, sections), encoding="utf-8")


def _draw_local_resolution(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    from cryores.report import chimerax, figures, views
    from cryores.report.colours import colour_scale

    result = outcome.result
    density = full_map(outcome.inputs.maps)
    filled = views.filled_outwards(result.resolution)
    inside = result.mask.data > 0.5
    level = views.contour_level(density.data, inside)
    scale = colour_scale(result.values())

    figures.histogram_figure(result, scale, global_resolution).savefig(folder / "histogram.png")
    figures.slices_figure(result, density, scale).savefig(folder / "slices.png")
    write_map(folder / "map.mrc", density)
    write_map(folder / "resolution_filled.mrc", filled)
    title = f"The map coloured by its local resolution ({outcome.method.title})"
    script = chimerax.coloured_surface(title, "map.mrc", "resolution_filled.mrc", level, scale)
    (folder / "view.cxc").write_text(script, encoding="utf-8")
    return [
        html.surface_section(views.surface(density, filled, inside, level), scale, level),
        html.histogram_section(result, scale, global_resolution),
        html.slices_section(result, density, scale),
    ]


def _draw_fsc(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    from cryores.report import figures

    figures.fsc_figure(outcome.result).savefig(folder / "fsc.png")
    return [html.fsc_section(outcome.result)]


def _draw_nothing(outcome: Outcome, folder: Path, global_resolution: Optional[float]) -> List[html.Section]:
    return []


DRAWINGS: Dict[type, Draw] = {LocalResolution: _draw_local_resolution, FSCResult: _draw_fsc}
"""Type of result -> what draws it."""


def _drawing(result: object) -> Draw:
    found: Tuple[Draw, ...] = tuple(DRAWINGS[kind] for kind in type(result).__mro__ if kind in DRAWINGS)
    return found[0] if found else _draw_nothing
