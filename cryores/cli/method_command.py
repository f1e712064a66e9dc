"""``cryores METHOD``: read, check, compute, report."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from cryores.cli import progress
from cryores.cli.options import Parser, add_output_options, add_parameter, add_run_options, positive_float
from cryores.cli.output import OutputFolder
from cryores.cli.stopping import stop_if_asked
from cryores.contradictions import contradictions
from cryores.errors import InputError, UsageError
from cryores.execution import Execution, Stage
from cryores.files import require_file, spelled, unchanging
from cryores.localres_maps import AUTO, ResolutionMap, read_resolution_map
from cryores.mapio import read_half_maps, read_map
from cryores.method import (
    HALVES,
    MAP,
    SEVERAL_ROLES,
    Inputs,
    Method,
    Outcome,
    load_method,
    parameters_of,
    several_role,
)
from cryores.volume import Grid, HalfMaps, Maps, Volume

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
MAPPED_SHARE = 0.25
"""Maps that take more of the memory stay in their files, where the method can do with parts of them."""

MODEL_HELP = "atomic model, PDB or mmCIF"


def run_method(name: str, words: List[str]) -> None:
    """Run the method called ``name`` with the words of its command line."""
    if name == "evaluate" and any(word.split("=")[0] == "--set" for word in words):
        from cryores.cli.evaluate_set import run_set

        run_set(words, lambda row: run_method(name, row))
        return
    method = load_method(name)
    arguments = parser_of(method).parse_args(words)
    values = {p.name: getattr(arguments, p.name) for p in parameters_of(method.parameters)}
    repeated = {p.name for p in parameters_of(method.parameters) if p.repeated}
    parameters = method.make_parameters(
        {k: tuple(v) if k in repeated else v for k, v in values.items() if v is not None}
    )
    execution = Execution(
        arguments.threads,
        arguments.memory,
        arguments.device,
        open_stage=_stages(arguments.quiet),
        say=(lambda line: None) if arguments.quiet else progress.say,
    )
    given = {role: getattr(arguments, role) for role in roles_of(method) if role not in SEVERAL_ROLES}
    sources = {role: path for role, path in given.items() if path is not None}
    several_of = _several_of(method)
    several = _named(arguments.maps or [], arguments.names) if several_of else {}
    backgrounds = arguments.background if _reads_resolution(method) else (AUTO,)
    paths = {several_role(several_of, name): path for name, path in several.items()} if several_of else {}
    files = {**sources, **paths}
    with OutputFolder(arguments.out, arguments.overwrite, files.values()) as folder, unchanging(files.values()):
        execution.scratch = folder
        inputs = read_inputs(method, sources, arguments.voxel_size, execution, several, backgrounds)
        outcome = method.run(inputs, parameters, execution)
        for finding in [*outcome.findings, *outcome.summary.get("warnings", [])]:
            progress.say(f"warning: {finding}")
        with execution.stage("global resolution"):
            overall = _global_resolution(outcome, execution)
        for finding in contradictions(outcome, overall):
            outcome.findings.append(finding)
            progress.say(f"warning: {finding}")
        from cryores.report import write_report
        from cryores.report.html import headline

        record = write_report(outcome, folder, files, overall)
    if not arguments.quiet:
        told = "; ".join(f"{name}: {text}" for name, text in headline(record["summary"]))
        if told:
            progress.say(told)
        progress.say(f"done: {arguments.out}/report.html")


def read_inputs(
    method: Method,
    sources: Mapping[str, str],
    voxel_size: Optional[float],
    execution: Execution,
    several: Optional[Mapping[str, str]] = None,
    backgrounds: Sequence[str] = (AUTO,),
) -> Inputs:
    """Read the files of ``sources`` (role -> path) and ``several`` (name -> map) for ``method``.

    ``backgrounds`` holds what stands for "no value" in the resolution maps: one for all, or one a map.

    Raises
    ------
    UsageError
        If the maps that the method starts from are not named, or named twice over; if the backgrounds are not as many
        as the maps.
    InputError
        From `read_map`, `HalfMaps` and `read_resolution_map`.
    """
    halves = [role for role in ("half1", "half2") if role in sources]
    wanted = " or ".join({HALVES: "--half1 and --half2", MAP: "--map"}[kind] for kind in method.maps)
    if len(halves) == 1 and "map" not in sources:
        missing = {"half1": "--half2", "half2": "--half1"}[halves[0]]
        raise UsageError("E_USAGE", f"{missing} is missing", f"{method.name} starts from {wanted}")
    if not halves and "map" not in sources:
        raise UsageError("E_USAGE", f"{wanted} is missing", f"{method.name} starts from it")
    if halves and "map" in sources:
        raise UsageError("E_USAGE", f"{method.name} starts from {wanted}", "give half maps or one map, not both")
    with execution.stage("reading"):
        mapped = method.memory_within is not None and _too_large(sources, execution)
        maps: Maps = (
            read_half_maps(sources["half1"], sources["half2"], voxel_size, mapped)
            if halves
            else read_map(sources["map"], voxel_size, mapped)
        )
        roles = [role for role in ("mask", *VOLUME_INPUTS) if role in sources and role != "resolution_map"]
        others = {role: _read_on_grid(sources[role], maps.grid) for role in roles}
        sharpened = several if _several_of(method) == "sharpened_maps" else None
        resolutions = (several or {}) if sharpened is None else {}
        marks = iter(_one_each(backgrounds, len(resolutions) + ("resolution_map" in sources)))
        if "resolution_map" in sources:
            found = _read_resolution_on_grid(sources["resolution_map"], maps.grid, next(marks))
            others["resolution_map"] = found.resolution
        named = {n: _read_resolution_on_grid(path, maps.grid, next(marks)) for n, path in resolutions.items()}
        processed = {n: _read_on_grid(path, maps.grid) for n, path in (sharpened or {}).items()}
    model = sources.get("model")
    return Inputs(maps=maps, model=model, resolution_maps=named or None, sharpened_maps=processed or None, **others)


def _too_large(sources: Mapping[str, str], execution: Execution) -> bool:
    """Tell whether the maps would take so much of the budget that they are better left in their files."""
    files = [require_file(sources[role]) for role in ("half1", "half2", "map") if role in sources]
    return sum(file.stat().st_size for file in files) > MAPPED_SHARE * execution.budget


def _one_each(backgrounds: Sequence[str], count: int) -> List[str]:
    if len(backgrounds) not in (1, count):
        raise UsageError(
            "E_BACKGROUND",
            f"--background has {len(backgrounds)} values and there are {count} resolution maps",
            "give one for all, or one for each in their order (auto where it is to be recognised)",
        )
    return list(backgrounds) * (count if len(backgrounds) == 1 else 1)


def _named(paths: Sequence[str], names: Optional[Sequence[str]]) -> Dict[str, str]:
    """Return name -> path; a map without a name is called by its file, and by its folder where files share theirs."""
    if names is None:
        stems = [re.sub(r"(\.(mrc|map|ccp4))?(\.gz)?$", "", Path(spelled(path)).name) for path in paths]
        folders = [Path(spelled(path)).absolute().parent.name for path in paths]
        names = [s if stems.count(s) == 1 else f"{folder}/{s}" for s, folder in zip(stems, folders)]
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise UsageError(
            "E_NAMES",
            f"{len(paths)} maps are given and {len(set(names))} different names: {', '.join(names)}",
            "give one name for each map with --names, all different",
        )
    return dict(zip(names, paths))


def _read_on_grid(path: str, grid: Grid) -> Volume:
    # Masks often carry no voxel size, or a wrong one: their voxels are those of the maps or the shape differs.
    try:
        return read_map(path)
    except InputError as error:
        if error.code != "E_VOXEL_SIZE":
            raise
    return read_map(path, grid.spacing)


def _read_resolution_on_grid(path: str, grid: Grid, background: str) -> ResolutionMap:
    try:
        return read_resolution_map(path, background)
    except InputError as error:
        if error.code != "E_VOXEL_SIZE":
            raise
    return read_resolution_map(path, background, grid.spacing)


def _global_resolution(outcome: Outcome, execution: Execution) -> Optional[float]:
    """Return the resolution (Å) at FSC 0.143 that ``cryores fsc`` gives, without computing it twice."""
    from cryores.resolution._fsc_result import FSCResult
    from cryores.resolution.fsc import METHOD as FSC

    # Post-processing keeps the curves that it weights by.
    own = outcome.result if isinstance(outcome.result, FSCResult) else getattr(outcome.result, "fsc", None)
    if isinstance(own, FSCResult):
        return own.resolution.get("0.143")
    maps, mask = outcome.inputs.maps, outcome.inputs.mask
    if not isinstance(maps, HalfMaps):
        return None
    silent = Execution(execution.threads, execution.memory)
    silent.held_bytes = execution.held_bytes + _held_by_result(outcome)
    if FSC.memory(Inputs(maps, mask=mask), FSC.make_parameters({}), silent.threads) > silent.budget:
        return None
    found = FSC.compute(Inputs(maps, mask=mask), FSC.make_parameters({}), silent).summary()["resolution"]
    return found.get("0.143")  # type: ignore[no-any-return]


def _held_by_result(outcome: Outcome) -> float:
    """Return the bytes that the maps of the result take beside the inputs."""
    kept = list(vars(outcome.result).values())
    kept += [item for some in kept if isinstance(some, dict) for item in some.values()]
    given = {id(volume.data) for volume in outcome.inputs.beside_the_maps().values()}
    made = {id(item.data): item.data.nbytes for item in kept if isinstance(item, Volume)}
    return float(sum(size for name, size in made.items() if name not in given))


def _stages(quiet: bool) -> Callable[[str, int], Stage]:
    def open_stage(title: str, steps: int) -> Stage:
        stop_if_asked()
        return progress.Silent() if quiet else progress.open_stage(title, steps)

    return open_stage


def roles_of(method: Method) -> List[str]:
    """Return the names of the inputs that a method takes, as `Inputs` and the options call them."""
    maps = [role for kind in method.maps for role in {HALVES: ("half1", "half2"), MAP: ("map",)}[kind]]
    return maps + (["mask"] if method.mask != "none" else []) + list(method.required + method.optional)


def _several_of(method: Method) -> Optional[str]:
    """Return which field of `Inputs` the option ``--maps`` fills, None where the method has no such option."""
    return next((role for role in SEVERAL_ROLES if role in roles_of(method)), None)


def _reads_resolution(method: Method) -> bool:
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
    several = _several_of(method)
    if several is not None:
        required, text = several in method.required, SEVERAL_HELP[several]
        inputs.add_argument("--maps", metavar="FILE", nargs="+", required=required, help=text)
        inputs.add_argument("--names", metavar="NAME", nargs="+", help="their names; default: those of the files")
    if _reads_resolution(method):
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
