"""The ChimeraX script of a result: the map's surface coloured by local resolution, with a key of the same numbers."""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

from cryores.report.colours import ColourScale

UNSURE_COLOUR = "#9a9a9a50"
"""Grey, seven tenths of it transparent."""

DUST = 8.0
"""Islands of the surface smaller than this (Å) are noise and are hidden."""


def coloured_surface(
    title: str, map_name: str, resolution_name: str, level: float, scale: ColourScale, unsure: Optional[float] = None
) -> str:
    """Return the text of a ``.cxc`` file.

    Parameters
    ----------
    title : str
        One line that says what is shown.
    map_name, resolution_name : str
        Files in the script's own folder, from which ChimeraX runs it. They carry their own voxel size and origin.
    level : float
        Density at which the surface is drawn.
    scale : ColourScale
        Values (Å) and colours.
    unsure : float, optional
        What the resolution map holds where nothing is sure, far above every other value: the surface is grey there and
        can be seen through.

    Source: user documentation of UCSF ChimeraX, commands open, volume, surface, color sample, key and 2dlabels.
    """
    return "\n".join(
        (
            f"# {title}",
            "# Open this file with ChimeraX. It closes what is open. Another contour level: volume #1 level NUMBER",
            "close",
            "set bgColor white",
            f"open {map_name}",
            f"open {resolution_name}",
            "volume #2 hide",
            f"volume #1 style surface region all step 1 level {level:.6g}",
            f"surface dust #1 size {DUST:g}",
            f"color sample #1 map #2 palette {_palette(scale) + _unsure_end(scale, unsure)}",
            *_key(scale),
            "lighting soft",
            "view",
            "",
        )
    )


CONFIDENCE_PALETTE = "0,#d55e00:0.5,#f0e442:1,#0072b2"
"""From nothing that is known to all that is."""


def before_after(
    title: str, before: str, after: str, levels: Tuple[float, float], confidence: Optional[str] = None
) -> str:
    """Return the text of a ``.cxc`` file that shows two maps of the script's folder side by side, turned as one.

    Where there is a map of confidence, 0 to 1, it colours the second.
    """
    coloured = (
        ()
        if confidence is None
        else (
            f"open {confidence}",
            "volume #3 hide",
            f"color sample #2 map #3 palette {CONFIDENCE_PALETTE}",
            '2dlabels text "confidence: red 0, yellow 0.5, blue 1" color black size 14 xpos 0.55 ypos 0.04',
        )
    )
    return "\n".join(
        (
            f"# {title}",
            "# Open this file with ChimeraX. It closes what is open. Another contour level: volume #2 level NUMBER",
            "close",
            "set bgColor white",
            f"open {before}",
            f"open {after}",
            f"volume #1 style surface region all step 1 level {levels[0]:.6g} color #9a9a9a",
            f"volume #2 style surface region all step 1 level {levels[1]:.6g} color #56b4e9",
            *coloured,
            f"surface dust #1,2 size {DUST:g}",
            "tile #1,2 columns 2",
            '2dlabels text "before" color black size 18 xpos 0.2 ypos 0.93',
            '2dlabels text "after" color black size 18 xpos 0.7 ypos 0.93',
            "lighting soft",
            "view",
            "",
        )
    )


Q_SCORE_PALETTE = "0,#d55e00:0.4,#f0e442:0.8,#0072b2"
"""From no likeness to an atom to that of an atom at 2 Å."""


def coloured_model(title: str, map_name: str, model_name: str, level: float) -> str:
    """Return the text of a ``.cxc`` file that shows a model, coloured by its B-factors, inside a map."""
    return "\n".join(
        (
            f"# {title}",
            "# Open this file with ChimeraX. It closes what is open. Another contour level: volume #1 level NUMBER",
            "close",
            "set bgColor white",
            f"open {map_name}",
            f"open {model_name}",
            f"volume #1 style surface region all step 1 level {level:.6g} color #9a9a9a",
            "surface zone #1 nearAtoms #2 distance 4",
            "transparency #1 70",
            "hide #2 cartoons",
            "show #2 atoms",
            "style #2 stick",
            f"color byattribute bfactor #2 palette {Q_SCORE_PALETTE}",
            "key #d55e00:0 #f0e442:0.4 #0072b2:0.8 pos 0.03,0.25 size 0.03,0.45 fontSize 18 labelColor black",
            '2dlabels text "Q-score" color black size 18 xpos 0.03 ypos 0.73',
            "lighting soft",
            "view",
            "",
        )
    )


def side_by_side(map_name: str, resolution_names: Mapping[str, str], level: float, scale: ColourScale) -> str:
    """Return the text of a ``.cxc`` file that shows a map once for each resolution map, coloured by it, in one scale.

    ``resolution_names`` is name -> file in the script's own folder.
    """
    lines: List[str] = []
    count = len(resolution_names)
    for number, (name, file) in enumerate(resolution_names.items(), 1):
        surface, colours = f"#{number}", f"#{number + count}"
        lines += [f"open {map_name} id {number} name {_quoted(name)}", f"open {file} id {number + count}"]
        lines += [
            f"volume {colours} hide",
            f"volume {surface} style surface region all step 1 level {level:.6g}",
            f"surface dust {surface} size {DUST:g}",
            f"color sample {surface} map {colours} palette {_palette(scale)}",
        ]
    shown = f"#1-{count}"
    return "\n".join(
        (
            f"# One map coloured by {count} local-resolution maps, from left to right: {', '.join(resolution_names)}",
            f"# Open this file with ChimeraX. It closes what is open. Another level: volume {shown} level NUMBER",
            "close",
            "set bgColor white",
            *lines,
            f"tile {shown} columns {min(count, 3)}",
            *_key(scale),
            "lighting soft",
            "view",
            "",
        )
    )


def _unsure_end(scale: ColourScale, unsure: Optional[float]) -> str:
    """Return what continues a palette to the value of unsure voxels; the last colour holds nearly up to it."""
    return "" if unsure is None else f":{0.9 * unsure:.6g},{scale.colours[-1]}:{unsure:.6g},{UNSURE_COLOUR}"


def _palette(scale: ColourScale) -> str:
    return ":".join(f"{label},{colour}" for label, colour in zip(scale.labels, scale.colours))


def _key(scale: ColourScale) -> Tuple[str, str]:
    key = " ".join(f"{colour}:{label}" for label, colour in zip(scale.labels, scale.colours))
    return (
        f"key {key} pos 0.03,0.25 size 0.03,0.45 fontSize 18 labelColor black",
        f'2dlabels text "{scale.title}" color black size 18 xpos 0.03 ypos 0.73',
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', "'") + '"'
