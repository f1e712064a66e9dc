"""``cryores METHOD``: read, check, compute, report."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, List

from cryores.cli import progress
from cryores.cli.method_inputs import named_by_file, read_inputs
from cryores.cli.method_parser import parser_of, reads_resolution, roles_of, several_of
from cryores.cli.output import OutputFolder
from cryores.cli.stopping import stop_if_asked
from cryores.contradictions import contradictions
from cryores.execution import Execution, Stage
from cryores.files import unchanging
from cryores.localres_maps import AUTO
from cryores.method import SEVERAL_ROLES, Method, load_method, parameters_of, several_role


def run_method(name: str, words: List[str]) -> None:
    """Run the method called ``name`` with the words of its command line."""
    if name == "evaluate" and any(word.split("=")[0] == "--set" for word in words):
        from cryores.cli.evaluate_set import run_set

        run_set(words, lambda row: run_method(name, row))
        return
    method = load_method(name)
    arguments = parser_of(method).parse_args(words)
    parameters = _parameters(method, arguments)
    execution = Execution(
        arguments.threads,
        arguments.memory,
        arguments.device,
        open_stage=_stages(arguments.quiet),
        say=(lambda line: None) if arguments.quiet else progress.say,
    )
    given = {role: getattr(arguments, role) for role in roles_of(method) if role not in SEVERAL_ROLES}
    sources = {role: path for role, path in given.items() if path is not None}
    several: Dict[str, str] = {}
    files = dict(sources)
    role = several_of(method)
    if role is not None:
        several = named_by_file(arguments.maps or [], arguments.names)
        files.update({several_role(role, name): path for name, path in several.items()})
    backgrounds = arguments.background if reads_resolution(method) else (AUTO,)
    with OutputFolder(arguments.out, arguments.overwrite, files.values()) as folder, unchanging(files.values()):
        execution.scratch = folder
        inputs = read_inputs(method, sources, arguments.voxel_size, execution, several, backgrounds)
        outcome = method.run(inputs, parameters, execution)
        outcome.findings.extend(contradictions(outcome))
        for finding in [*outcome.findings, *outcome.summary.get("warnings", [])]:
            progress.say(f"warning: {finding}")
        from cryores.report import write_report
        from cryores.report.html import headline

        record = write_report(outcome, folder, files, outcome.global_resolution)
    if not arguments.quiet:
        told = "; ".join(f"{name}: {text}" for name, text in headline(record["summary"]))
        if told:
            progress.say(told)
        progress.say(f"done: {arguments.out}/report.html")


def _parameters(method: Method, arguments: argparse.Namespace) -> Any:
    """Return the method's parameters: those of the command line, and the defaults of the others."""
    given = {}
    for parameter in parameters_of(method.parameters):
        value = getattr(arguments, parameter.name)
        if value is not None:
            given[parameter.name] = tuple(value) if parameter.repeated else value
    return method.make_parameters(given)


def _stages(quiet: bool) -> Callable[[str, int], Stage]:
    def open_stage(title: str, steps: int) -> Stage:
        stop_if_asked()
        return progress.Silent() if quiet else progress.open_stage(title, steps)

    return open_stage
