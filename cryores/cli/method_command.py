"""``cryores METHOD``: read, check, compute, report."""

from __future__ import annotations

import argparse
from typing import Callable, Dict, List, Optional

from cryores.cli import progress
from cryores.cli.options import Parser, add_output_options, add_parameter, add_run_options, positive_float
from cryores.cli.output import OutputFolder
from cryores.cli.stopping import stop_if_asked
from cryores.errors import InputError, UsageError
from cryores.execution import Execution, Stage
from cryores.mapio import read_half_maps, read_map
from cryores.method import HALVES, MAP, Inputs, Method, load_method, parameters_of
from cryores.volume import Grid, HalfMaps, Maps, Volume

VOLUME_INPUTS = {
    "exclude": "volume above 0.5 in voxels that are neither signal nor noise",
    "keep": "volume above 0.5 in voxels that stay as they are",
    "reference": "reference map on the same grid",
    "resolution_map": "local-resolution map (Å) on the same grid",
}
MODEL_HELP = "atomic model, PDB or mmCIF"


def run_method(name: str, words: List[str]) -> None:
    """Run the method called ``name`` with the words of its command line."""
    method = load_method(name)
    arguments = _parser(method).parse_args(words)
    given = {p.name: getattr(arguments, p.name) for p in parameters_of(method.parameters)}
    repeated = {p.name for p in parameters_of(method.parameters) if p.repeated}
    parameters = method.make_parameters(
        {k: tuple(v) if k in repeated else v for k, v in given.items() if v is not None}
    )
    execution = Execution(
        arguments.threads,
        arguments.memory,
        arguments.device,
        open_stage=_stages(arguments.quiet),
        say=(lambda line: None) if arguments.quiet else progress.say,
    )
    sources = {role: getattr(arguments, role) for role in _roles(method) if getattr(arguments, role) is not None}
    with OutputFolder(arguments.out, arguments.overwrite) as folder:
        inputs = read_inputs(method, sources, arguments.voxel_size, execution)
        outcome = method.run(inputs, parameters, execution)
        for finding in outcome.findings:
            progress.say(f"warning: {finding}")
        with execution.stage("global resolution"):
            overall = _global_resolution(outcome.inputs, execution)
        from cryores.report import write_report

        write_report(outcome, folder, sources, overall)
    if not arguments.quiet:
        progress.say(f"done: {arguments.out}/report.html")


def read_inputs(method: Method, sources: Dict[str, str], voxel_size: Optional[float], execution: Execution) -> Inputs:
    """Read the files named in ``sources`` (role -> path) for ``method``.

    Raises
    ------
    UsageError
        If the maps that the method starts from are not named, or named twice over.
    InputError
        From `read_map` and `HalfMaps`.
    """
    halves = [role for role in ("half1", "half2") if role in sources]
    if bool(halves) == ("map" in sources) or len(halves) == 1:
        wanted = " or ".join({HALVES: "--half1 and --half2", MAP: "--map"}[kind] for kind in method.maps)
        raise UsageError("E_USAGE", f"{method.name} starts from {wanted}", "give these, and only these")
    with execution.stage("reading"):
        maps: Maps = (
            read_half_maps(sources["half1"], sources["half2"], voxel_size)
            if halves
            else read_map(sources["map"], voxel_size)
        )
        others = {role: _read_on_grid(sources[role], maps.grid) for role in ("mask", *VOLUME_INPUTS) if role in sources}
    return Inputs(maps=maps, model=sources.get("model"), **others)


def _read_on_grid(path: str, grid: Grid) -> Volume:
    # Masks often carry no voxel size, or a wrong one: their voxels are those of the maps or the shape differs.
    try:
        return read_map(path)
    except InputError as error:
        if error.code != "E_VOXEL_SIZE":
            raise
    return read_map(path, grid.spacing)


def _global_resolution(inputs: Inputs, execution: Execution) -> Optional[float]:
    from cryores.shell_correlation import global_resolution

    if not isinstance(inputs.maps, HalfMaps):
        return None
    return global_resolution(inputs.maps, inputs.mask, execution.threads)


def _stages(quiet: bool) -> Callable[[str, int], Stage]:
    def open_stage(title: str, steps: int) -> Stage:
        stop_if_asked()
        return Stage() if quiet else progress.open_stage(title, steps)

    return open_stage


def _roles(method: Method) -> List[str]:
    maps = [role for kind in method.maps for role in {HALVES: ("half1", "half2"), MAP: ("map",)}[kind]]
    return maps + (["mask"] if method.mask != "none" else []) + list(method.required + method.optional)


def _parser(method: Method) -> argparse.ArgumentParser:
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
    for role in method.required + method.optional:
        text = MODEL_HELP if role == "model" else VOLUME_INPUTS[role]
        inputs.add_argument("--" + role.replace("_", "-"), metavar="FILE", required=role in method.required, help=text)
    inputs.add_argument("--voxel-size", type=positive_float, metavar="Å", help="voxel size; overrides the header")
    declared = parameters_of(method.parameters)
    for title, expert in (("parameters", False), ("expert parameters", True)):
        group = parser.add_argument_group(title)
        for parameter in declared:
            if parameter.expert == expert:
                add_parameter(group, parameter)
    run = parser.add_argument_group("output and run")
    add_output_options(run)  # type: ignore[arg-type]
    add_run_options(run)  # type: ignore[arg-type]
    return parser
