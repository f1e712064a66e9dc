"""Make half maps with a planted local resolution, of an atomic model or of a real map."""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

from cryores.cli.options import add_output_options, positive_float, positive_int
from cryores.cli.output import OutputFolder
from cryores.cli.progress import say
from cryores.errors import CryoresWarning, UsageError
from cryores.execution import available_threads
from cryores.files import unchanging
from cryores.mapio import read_map, write_map
from cryores.masks import automatic_mask, soft_rim
from cryores.simulation import Simulation, halves_of_map, simulate

OF_MODEL: Dict[str, Any] = {
    "size": [64], "min_resolution": 3.0, "max_resolution": 8.0, "field": "gradient", "axis": "z", "noise": "white",
    "bfactor": 0.0,
}  # fmt: skip
"""Options of half maps of a model, which half maps of a map do not have, and their defaults."""

RIM_WIDTH = 6.0
"""Å over which the mask that is written falls from 1 to 0, astride the particle's surface: methods that multiply by
a mask want a soft one, and the others take it above 0.5, which is the particle."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is simulated, and how."""
    parser.add_argument("--model", metavar="FILE", help="atomic model, PDB or mmCIF (default: an ideal helix bundle)")
    parser.add_argument("--map", metavar="FILE", help="real map that both halves share, instead of a model")
    parser.add_argument(
        "--background", metavar="FILE", help="with --map: map whose background gives the noise (default: the map)"
    )
    parser.add_argument("--mask", metavar="FILE", help="with --map: its particle (default: made)")
    parser.add_argument("--voxel-size", type=positive_float, metavar="Å", help="default: 1.2; with --map, its own")
    parser.add_argument(
        "--snr",
        type=positive_float,
        default=4.0,
        help="of a half map, at the finest resolution; with --map in the mask (default: 4)",
    )
    planted = parser.add_argument_group("of a model only")
    planted.add_argument("--size", type=positive_int, nargs="+", metavar="N", help="box: N, or NZ NY NX (default: 64)")
    planted.add_argument("--min-resolution", type=positive_float, metavar="Å", help="finest resolution (default: 3)")
    planted.add_argument("--max-resolution", type=positive_float, metavar="Å", help="coarsest resolution (default: 8)")
    planted.add_argument("--field", help="gradient, radial, blobs, two-halves or constant (default: gradient)")
    planted.add_argument("--axis", choices=("x", "y", "z"), help="of a gradient or of two halves (default: z)")
    planted.add_argument("--noise", choices=("white", "coloured"), help="default: white")
    planted.add_argument("--bfactor", type=float, metavar="Å²", help="damps signal and noise (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    add_output_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Simulate and write maps and description."""
    for option in _ignored(arguments):
        say(f"warning: {option} means nothing {'with' if arguments.map else 'without'} --map; it is ignored")
    given = [path for path in (arguments.map, arguments.mask, arguments.model) if path]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CryoresWarning)
        with OutputFolder(arguments.out, arguments.overwrite, given) as folder, unchanging(given):
            simulation = _of_map(arguments) if arguments.map else _of_model(arguments)
            _write(simulation, folder)
    for warning in caught:
        say(f"warning: {warning.message}")
    if not arguments.quiet:
        grid = simulation.halves.grid
        size = " x ".join(str(n) for n in reversed(grid.shape))
        print(f"simulated: {arguments.out}, {size} voxels of {grid.spacing:g} Å")


def _ignored(arguments: argparse.Namespace) -> List[str]:
    """List the options that were given and play no part."""
    idle = ("model", *OF_MODEL) if arguments.map else ("background", "mask")
    return ["--" + name.replace("_", "-") for name in idle if getattr(arguments, name) is not None]


def _of_model(arguments: argparse.Namespace) -> Simulation:
    given = {name: getattr(arguments, name) for name in OF_MODEL}
    chosen = {name: OF_MODEL[name] if value is None else value for name, value in given.items()}
    size = chosen["size"] * 3 if len(chosen["size"]) == 1 else chosen["size"]
    if len(size) != 3:
        raise UsageError(
            "E_USAGE", f"--size takes one or three numbers, not {len(size)}", "write --size N or --size NZ NY NX"
        )
    made = simulate(
        arguments.model, tuple(size), arguments.voxel_size or 1.2, chosen["min_resolution"], chosen["max_resolution"],
        chosen["field"], chosen["axis"], arguments.snr, chosen["noise"], chosen["bfactor"], arguments.seed,
        available_threads(),
    )  # fmt: skip
    return replace(made, mask=soft_rim(made.mask, RIM_WIDTH))


def _of_map(arguments: argparse.Namespace) -> Simulation:
    volume = read_map(arguments.map, arguments.voxel_size)
    background = read_map(arguments.background) if arguments.background else volume
    found = read_map(arguments.mask, volume.grid.spacing) if arguments.mask else automatic_mask(volume)
    around = automatic_mask(background) if arguments.background else found
    made = halves_of_map(volume, background, around, found, arguments.snr, arguments.seed, available_threads())
    return made if arguments.mask else replace(made, mask=soft_rim(found, RIM_WIDTH))


def _write(simulation: Simulation, folder: Path) -> None:
    maps = {name: getattr(simulation, name) for name in ("clean", "mask", "truth", "truth_snr")}
    maps.update(half1=simulation.halves.half1, half2=simulation.halves.half2)
    for name, volume in maps.items():
        if volume is not None:
            write_map(folder / f"{name}.mrc", volume)
    if simulation.structure is not None:
        simulation.structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    (folder / "simulation.json").write_text(json.dumps(simulation.description, indent=2) + "\n")
