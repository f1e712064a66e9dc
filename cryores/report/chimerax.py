"""The ChimeraX script of a result: the map's surface coloured by local resolution, with a key of the same numbers."""

from __future__ import annotations

from cryores.report.colours import ColourScale

DUST = 8.0
"""Islands of the surface smaller than this (Å) are noise and are hidden."""


def coloured_surface(title: str, map_name: str, resolution_name: str, level: float, scale: ColourScale) -> str:
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

    Source: user documentation of UCSF ChimeraX, commands open, volume, surface, color sample, key and 2dlabels.
    """
    stops = list(zip(scale.labels, scale.colours))
    palette = ":".join(f"{label},{colour}" for label, colour in stops)
    key = " ".join(f"{colour}:{label}" for label, colour in stops)
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
            f"color sample #1 map #2 palette {palette}",
            f"key {key} pos 0.03,0.25 size 0.03,0.45 fontSize 18 labelColor black",
            '2dlabels text "Local resolution (Å)" color black size 18 xpos 0.03 ypos 0.73',
            "lighting soft",
            "view",
            "",
        )
    )
