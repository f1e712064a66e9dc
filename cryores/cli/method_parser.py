"""The command line of a method: which inputs and options it takes."""

from __future__ import annotations

import argparse
from typing import List, Optional

from cryores.cli.options import Parser, add_output_options, add_parameter, add_run_options, positive_float
from cryores.localres_maps import AUTO
from cryores.method import HALVES, MAP, SEVERAL_ROLES, Method, parameters_of

VOLUME_INPUTS = {
    "exclude": "volume above 0.5 in voxels that are neither signal nor noise",
    "keep": "volume above 0.5 in voxels that stay as they are",
    "reference": "reference map on the same grid",
    "resolution_map": "local-resolution map (Å) of any program, on the same grid",
    "before": "the map before it was processed",
    "raw_half1": "first half map, as it was reconstructed",
    "raw_half2": "second half map, as it was reconstructed",
    "processed_half1": "what the same processing makes of the first half map alone",
}
SEVERAL_HELP = {
    "resolution_maps": "local-resolution maps (Å) of any program, on the same grid; differences are from the first",
    "sharpened_maps": "sharpened maps of any program, on the same grid",
}
MODEL_HELP = "atomic model, PDB or mmCIF"


def roles_of(method: Method) -> List[str]:
    """Return the names of the inputs that a method takes, as `Inputs` and the options call them."""
    maps = [role for kind in method.maps for role in {HALVES: ("half1", "half2"), MAP: ("map",)}[kind]]
    return maps + (["mask"] if method.mask != "none" else []) + list(method.required + method.optional)


def several_of(method: Method) -> Optional[str]:
    """Return which field of `Inputs` the option ``--maps`` fills, None where the method has no such option."""
    return next((role for role in SEVERAL_ROLES if role in roles_of(method)), None)


def reads_resolution(method: Method) -> bool:
    """Tell whether a method takes local-resolution maps, and so the option ``--background``."""
    return bool({"resolution_maps", "resolution_map"} & set(roles_of(method)))


def parser_of(method: Method) -> argparse.ArgumentParser:
    """Return the parser of a method's command line."""
    parser = Parser(prog=f"cryores {method.name}", description=method.summary, allow_abbrev=False)
    inputs = parser.add_argument_group("inputs")
    if HALVES in method.maps:
        inputs.add_argument("--half1", metavar="FILE", help="first half map (.mrc, .map, .ccp4, also .gz)")
        inputs.add_argument("--half2", metavar="FILE", help="second half map")
    if MAP in method.maps:
        inputs.add_argument(
            "--map", metavar="FILE", help="one map" + (", when there are no half maps" if HALVES in method.maps else "")
        )
    if method.mask != "none":
        kind = "multiplies the maps; may be soft" if method.soft_mask else "voxels above 0.5 are analysed"
        made = "; made, and written, when not given" if method.mask == "made" else ""
        inputs.add_argument("--mask", metavar="FILE", help=f"mask: {kind}{made}")
    several = several_of(method)
    if several is not None:
        required, text = several in method.required, SEVERAL_HELP[several]
        inputs.add_argument("--maps", metavar="FILE", nargs="+", required=required, help=text)
        inputs.add_argument("--names", metavar="NAME", nargs="+", help="their names; default: those of the files")
    if reads_resolution(method):
        text = "what stands for 'no value' in a resolution map, beside 0 and NaN: auto, none, or a number"
        each = "; one for all or one for each" if several else ""
        count = "+" if several else 1
        inputs.add_argument("--background", metavar="VALUE", nargs=count, default=[AUTO], help=text + each)
    for role in method.required + method.optional:
        if role in SEVERAL_ROLES:
            continue
        text = MODEL_HELP if role == "model" else VOLUME_INPUTS[role]
        inputs.add_argument("--" + role.replace("_", "-"), metavar="FILE", required=role in method.required, help=text)
    inputs.add_argument("--voxel-size", type=positive_float, metavar="Å", help="voxel size; overrides the header")
    declared = parameters_of(method.parameters)
    for title, expert in (("parameters", False), ("expert parameters", True)):
        group = parser.add_argument_group(title)
        for parameter in declared:
            if parameter.expert == expert:
                add_parameter(group, parameter)
    if method.name == "evaluate":
        text = "in place of these: a table of many maps, with the columns name, map, model, half1, half2, ..."
        inputs.add_argument("--set", metavar="TABLE", help=text)
        text = "with --set: ways of post-processing to compare: input, auto_b, given_b, deposited, localdeblur, ..."
        inputs.add_argument("--methods", nargs="+", metavar="KIND", help=text)
    run = parser.add_argument_group("output and run")
    add_output_options(run)  # type: ignore[arg-type]
    add_run_options(run)  # type: ignore[arg-type]
    return parser
