"""Make half maps with a planted local resolution, of an atomic model or of a real map."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cryores.cli.options import add_output_options, positive_float, positive_int
from cryores.cli.output import OutputFolder
from cryores.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is simulated, and how."""
    parser.add_argument("--model", metavar="FILE", help="atomic model, PDB or mmCIF (default: an ideal helix bundle)")
    parser.add_argument("--map", metavar="FILE", help="real map that both halves share, instead of a model")
    parser.add_argument(
        "--background", metavar="FILE", help="with --map: map whose background gives the noise (default: the map)"
    )
    parser.add_argument("--mask", metavar="FILE", help="with --map: its particle (default: made)")
    parser.add_argument(
        "--size", type=positive_int, nargs="+", default=[64], metavar="N", help="box: N, or NZ NY NX (default: 64)"
    )
    parser.add_argument("--voxel-size", type=positive_float, default=1.2, metavar="Å", help="default: 1.2")
    parser.add_argument(
        "--min-resolution", type=positive_float, default=3.0, metavar="Å", help="finest resolution (default: 3)"
    )
    parser.add_argument(
        "--max-resolution", type=positive_float, default=8.0, metavar="Å", help="coarsest resolution (default: 8)"
    )
    parser.add_argument(
        "--field", default="gradient", help="gradient, radial, blobs, two-halves or constant (default: gradient)"
    )
    parser.add_argument(
        "--axis", default="z", choices=("x", "y", "z"), help="of a gradient or of two halves (default: z)"
    )
    parser.add_argument(
        "--snr",
        type=positive_float,
        default=None,
        help="of a half map, at the finest resolution; with --map in the mask (default: 4)",
    )
    parser.add_argument("--noise", default="white", choices=("white", "coloured"), help="default: white")
    parser.add_argument("--bfactor", type=float, default=0.0, metavar="Å^2", help="damps signal and noise (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    add_output_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Simulate and write maps and description."""
    with OutputFolder(arguments.out, arguments.overwrite) as folder:
        simulation = _of_map(arguments) if arguments.map else _of_model(arguments)
        _write(simulation, folder)
    print(f"simulated: {arguments.out}")


def _of_model(arguments: argparse.Namespace) -> Any:
    from cryores.execution import available_threads
    from cryores.simulation import simulate

    size = arguments.size * 3 if len(arguments.size) == 1 else arguments.size
    if len(size) != 3:
        raise UsageError(
            "E_USAGE", f"--size takes one or three numbers, not {len(size)}", "write --size N or --size NZ NY NX"
        )
    return simulate(
        arguments.model, tuple(size), arguments.voxel_size, arguments.min_resolution, arguments.max_resolution,
        arguments.field, arguments.axis, arguments.snr or 4.0, arguments.noise, arguments.bfactor, arguments.seed,
        available_threads(),
    )  # fmt: skip


def _of_map(arguments: argparse.Namespace) -> Any:
    from cryores.execution import available_threads
    from cryores.mapio import read_map
    from cryores.masks import automatic_mask
    from cryores.simulation import halves_of_map

    volume = read_map(arguments.map)
    background = read_map(arguments.background) if arguments.background else volume
    mask = read_map(arguments.mask, volume.grid.spacing) if arguments.mask else automatic_mask(volume)
    around = automatic_mask(background) if arguments.background else mask
    return halves_of_map(volume, background, around, mask, arguments.snr or 4.0, arguments.seed, available_threads())


def _write(simulation: Any, folder: Path) -> None:
    from cryores.mapio import write_map

    maps = {name: getattr(simulation, name) for name in ("clean", "mask", "truth", "truth_snr")}
    maps.update(half1=simulation.halves.half1, half2=simulation.halves.half2)
    for name, volume in maps.items():
        if volume is not None:
            write_map(folder / f"{name}.mrc", volume)
    if simulation.structure is not None:
        simulation.structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    (folder / "simulation.json").write_text(json.dumps(simulation.description, indent=2) + "\n")
