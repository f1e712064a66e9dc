"""The methods that the page offers, for which inputs, and which it recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from cryores.errors import UsageError

HALVES, ONE_MAP = "halves", "map"


@dataclass(frozen=True)
class Offer:
    """A method of the page.

    Parameters
    ----------
    name, title, about : str
        What the engine calls it, what the page calls it, and what it tells, in one line.
    kinds : tuple of str
        Whether it takes half maps, one map, or either.
    recommended : tuple of str
        For which of them it is chosen unless the user says otherwise.
    needs : tuple of str
        Further inputs without which it cannot run.
    asks : tuple of str
        Settings that one map does not tell, and that must then be given.
    local : bool
        Whether it gives a local-resolution map, which `compare` sets beside others.
    """

    name: str
    title: str
    about: str
    kinds: Tuple[str, ...]
    recommended: Tuple[str, ...] = ()
    needs: Tuple[str, ...] = ()
    asks: Tuple[str, ...] = ()
    local: bool = True


MENU = (
    Offer("locres", "locres", "FSC 0.5 around every voxel, learnt from planted truth; with an interval that is meant "
          "to hold it nine times in ten", (HALVES,), (HALVES,)),
    Offer("monores", "MonoRes", "Where the signal rises above the noise; no window, so sharp in space",
          (HALVES, ONE_MAP), (HALVES, ONE_MAP)),
    Offer("fsc", "FSC", "The global resolution, plain and corrected for the mask", (HALVES,), (HALVES,), local=False),
    Offer("blocres", "blocres", "Half maps compared in a moving box; ranks regions well", (HALVES,), (HALVES,)),
    Offer("deepres", "DeepRes", "How sharp the density looks to a network; believes in any sharpening",
          (HALVES, ONE_MAP), (ONE_MAP,)),
    Offer("resmap", "ResMap", "The finest wave that a local model finds significant", (HALVES, ONE_MAP)),
    Offer("relion-locres", "RELION-style", "Corrected FSC under soft spheres", (HALVES,)),
    Offer("monodir", "MonoDir", "Resolution by direction: is it the same along all axes?", (HALVES, ONE_MAP)),
    Offer("fso", "FSO", "Directional FSC: are views missing?", (HALVES,), local=False),
    Offer("postprocess", "Post-processing", "One sharpened map by a B-factor, weighted by the FSC", (HALVES,),
          local=False),
    Offer("autosharpen", "AutoSharpen", "Sharpened by the B-factor that shows most detail in fewest pieces",
          (HALVES, ONE_MAP), asks=("resolution",), local=False),
    Offer("localdeblur", "LocalDeblur", "Sharpened at each place near the local resolution that was measured first",
          (HALVES, ONE_MAP), local=False),
    Offer("locspiral", "LocSpiral", "Weak regions as visible as strong ones; heights are significance, not density",
          (HALVES, ONE_MAP), asks=("resolution",), local=False),
    Offer("deepemhancer", "DeepEMhancer", "Sharpened and masked by a network; to look at and build in, not to measure",
          (HALVES, ONE_MAP), local=False),
    Offer("verdict", "Sharpening verdict",
          "Does a sharpened map show more than the half maps hold? Yours, or a series of B-factors", (HALVES,),
          local=False),
    Offer("evaluate", "Map and model", "Map-model FSC, correlation, Q-scores by residue", (HALVES, ONE_MAP),
          (HALVES, ONE_MAP), needs=("model",), local=False),
)  # fmt: skip
"""In the order in which they run: what is quick and coloured comes first, local resolutions before what uses them."""

SETTINGS = {
    "voxel_size": ("Voxel size (Å)", 0.01, 100.0),
    "min_resolution": ("Finest resolution tested (Å)", 0.1, 200.0),
    "max_resolution": ("Coarsest resolution tested (Å)", 0.1, 1000.0),
    "resolution": ("Resolution of one map (Å)", 0.5, 100.0),
    "box": ("Box of blocres (voxels)", 4, 400),
}
"""Name -> label, least and largest value. All may be left open."""


def title_of(name: str) -> str:
    """Return what the page calls a step of a job."""
    titles = {offer.name: offer.title for offer in MENU}
    return titles.get(name, {"import": "Import into Scipion", "compare": "Comparison"}.get(name, name))


def offers(inputs: Mapping[str, Any], doubts: Sequence[str]) -> List[Dict[str, Any]]:
    """Return what can be run on these inputs, as (name, title, about, chosen).

    ``doubts`` holds the codes of what was found in the maps: the noise of a masked map is not believed in.
    """
    kind = HALVES if "half1" in inputs else ONE_MAP
    found = []
    for offer in MENU:
        if kind not in offer.kinds or any(role not in inputs for role in offer.needs):
            continue
        chosen = kind in offer.recommended
        if offer.name == "verdict":
            chosen = "map" in inputs
        if offer.name == "monores" and kind == ONE_MAP:
            chosen = "W_MASKED" not in doubts
        found.append({"name": offer.name, "title": offer.title, "about": offer.about, "chosen": chosen})
    return found


def plan(inputs: Mapping[str, Any], methods: Any, settings: Any) -> Dict[str, Any]:
    """Check what a client asks for, and return it as a request: methods in their order, and settings.

    Raises
    ------
    UsageError
        For methods that do not fit the inputs, and settings that are no numbers in their range.
    """
    possible = [offer["name"] for offer in offers(inputs, ())]
    if not isinstance(methods, list) or not methods or any(name not in possible for name in methods):
        raise UsageError("E_METHODS", "choose at least one method that fits the maps", f"one of {', '.join(possible)}")
    chosen = [name for name in possible if name in methods]
    local = [offer.name for offer in MENU if offer.local and offer.name in chosen]
    given = settings if isinstance(settings, dict) else {}
    values = {name: number(name, given[name]) for name in SETTINGS if given.get(name) not in (None, "")}
    if values.get("min_resolution", 0.0) >= values.get("max_resolution", float("inf")):
        raise UsageError("E_RANGE", "the finest resolution is not finer than the coarsest", "exchange the two numbers")
    for offer in MENU:
        wanting = [name for name in offer.asks if name not in values]
        if wanting and offer.name in chosen and "half1" not in inputs:
            said = f"one map does not tell {offer.title} what it needs: {SETTINGS[wanting[0]][0]}"
            raise UsageError("E_SETTING", said, "give it under Settings, or leave the method out")
    return {"methods": chosen + (["compare"] if len(local) > 1 else []), "settings": values}


def number(name: str, value: Any) -> float:
    """Return a setting as a number in its range.

    Raises
    ------
    UsageError
        ``E_SETTING`` if it is none.
    """
    label, least, largest = SETTINGS[name]
    wrong = UsageError("E_SETTING", f"{label}: {str(value)[:40]!r} does not fit", f"give {least:g} to {largest:g}")
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise wrong from error
    if isinstance(value, bool) or not least <= found <= largest:
        raise wrong
    return round(found) if name == "box" else found
