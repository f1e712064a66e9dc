"""Say what is wrong with a map, a pair of half maps or a mask before any method is run."""

from __future__ import annotations

import argparse

from cryores.cli.options import positive_float
from cryores.diagnosis import constant_fraction, diagnose
from cryores.errors import UsageError
from cryores.execution import available_threads
from cryores.mapio import read_half_maps, read_map
from cryores.volume import HalfMaps, Maps, Volume

WORTH_TELLING = 0.0005
"""Share of the voxels with one and the same value from which on it is told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the maps to examine."""
    parser.add_argument("--half1", metavar="FILE", help="first half map")
    parser.add_argument("--half2", metavar="FILE", help="second half map")
    parser.add_argument("--map", metavar="FILE", help="one map")
    parser.add_argument("--mask", metavar="FILE", help="mask, above 0.5 on the particle")
    parser.add_argument("--voxel-size", type=positive_float, metavar="Å", help="voxel size; overrides the header")


def run(arguments: argparse.Namespace) -> None:
    """Print the grid, then each finding, or that there is none."""
    halves = bool(arguments.half1 or arguments.half2)
    if halves == bool(arguments.map) or bool(arguments.half1) != bool(arguments.half2):
        raise UsageError("E_USAGE", "diagnose starts from --half1 and --half2, or --map", "give one of the two")
    maps: Maps = (
        read_half_maps(arguments.half1, arguments.half2, arguments.voxel_size)
        if halves
        else read_map(arguments.map, arguments.voxel_size)
    )
    mask = read_map(arguments.mask, maps.grid.spacing) if arguments.mask else None
    _print_grid(maps.half1 if isinstance(maps, HalfMaps) else maps)
    findings = diagnose(maps, mask, available_threads())
    for finding in findings:
        print(f"{finding.code}: {finding}")
    if not findings:
        print("nothing suspicious")


def _print_grid(volume: Volume) -> None:
    grid = volume.grid
    z, y, x = grid.voxel_size
    print(f"voxels (x, y, z): {' x '.join(str(n) for n in reversed(grid.shape))}")
    print(f"voxel size: {x:.4f} x {y:.4f} x {z:.4f} Å; Nyquist {grid.nyquist:.3f} Å")
    first = ", ".join(f"{v:.2f}" for v in reversed(grid.first_voxel))
    print(f"first voxel at (x, y, z): {first} Å; axes of the file: {grid.axis_order}")
    share, value = constant_fraction(volume)
    same = f"; {share:.1%} are exactly {value:g}" if share >= WORTH_TELLING else ""
    print(f"values {volume.data.min():.4g} .. {volume.data.max():.4g}{same}")
