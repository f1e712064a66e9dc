"""Make a mask of a map, or grow, shrink and soften one."""

from __future__ import annotations

import argparse

import numpy as np

from cryores.cli.options import add_output_options, positive_float
from cryores.cli.output import OutputFolder
from cryores.cli.progress import say
from cryores.diagnosis import margin_findings
from cryores.errors import UsageError
from cryores.execution import available_threads
from cryores.files import unchanging
from cryores.mapio import read_half_maps, read_map, write_map
from cryores.masks import BINARY_THRESHOLD, automatic_mask, binarise, dilate, erode, mask_above, soft_edge
from cryores.volume import Volume, full_map

EDGE = 6.0
"""Å over which the mask falls from 1 to 0 when nothing is asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the mask is made of, and how wide it is."""
    parser.add_argument(
        "--half1", metavar="FILE", help="first half map: the mask is found by itself, or by --threshold"
    )
    parser.add_argument("--half2", metavar="FILE", help="second half map")
    parser.add_argument("--map", metavar="FILE", help="one map, in place of half maps")
    parser.add_argument("--mask", metavar="FILE", help="a mask that is to be changed, in place of maps")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="VALUE",
        help="density above which the mask lies (default: found, as every method does); with --mask 0.5",
    )
    parser.add_argument(
        "--dilate", type=float, default=0.0, metavar="Å", help="grow it; negative: shrink it (default: 0)"
    )
    parser.add_argument(
        "--soft", type=float, default=EDGE, metavar="Å",
        help=f"width of the edge that falls to 0 outside it; 0: none (default: {EDGE:g})",
    )  # fmt: skip
    parser.add_argument("--voxel-size", type=positive_float, metavar="Å", help="voxel size; overrides the header")
    add_output_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write ``mask.mrc``, and say how large it is."""
    if arguments.soft < 0:
        raise UsageError("E_USAGE", f"an edge of {arguments.soft:g} Å has no meaning", "give 0 Å or more to --soft")
    given = [path for path in (arguments.half1, arguments.half2, arguments.map, arguments.mask) if path]
    with OutputFolder(arguments.out, arguments.overwrite, given) as folder, unchanging(given):
        core = _core(arguments)
        core = dilate(core, arguments.dilate) if arguments.dilate >= 0 else erode(core, -arguments.dilate)
        inside = core.data > BINARY_THRESHOLD
        if inside.all() or not inside.any():
            what, hint = ("fills the box", "raise") if inside.all() else ("is empty", "lower")
            raise UsageError("E_MASK", f"the mask {what}", f"{hint} --threshold, or change --dilate")
        mask = soft_edge(core, arguments.soft)
        write_map(folder / "mask.mrc", mask)
    for finding in margin_findings(binarise(mask, 0.0), 1):
        say(f"warning: {finding}")
    if not arguments.quiet:
        volume = np.count_nonzero(inside) * np.prod(core.grid.voxel_size)
        print(f"{arguments.out}/mask.mrc: {inside.mean():.1%} of the box, {volume:.0f} Å^3, without its edge")


def _core(arguments: argparse.Namespace) -> Volume:
    """Return the binary mask before it is grown."""
    halves = bool(arguments.half1 or arguments.half2)
    if [halves, bool(arguments.map), bool(arguments.mask)].count(True) != 1 or bool(arguments.half1) != bool(
        arguments.half2
    ):
        raise UsageError("E_USAGE", "mask starts from --half1 and --half2, --map, or --mask", "give one of the three")
    if arguments.mask:
        threshold = BINARY_THRESHOLD if arguments.threshold is None else arguments.threshold
        return binarise(read_map(arguments.mask, arguments.voxel_size), threshold)
    maps = (
        read_half_maps(arguments.half1, arguments.half2, arguments.voxel_size)
        if halves
        else read_map(arguments.map, arguments.voxel_size)
    )
    if arguments.threshold is None:
        return automatic_mask(maps, available_threads())
    return mask_above(full_map(maps), arguments.threshold)
