"""Simulate half maps of known local resolution, run FSC, MonoRes, blocres and locres on them, and name the pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cryores.cli.options import positive_int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder and the size."""
    parser.add_argument("--out", default="demo-output", metavar="DIR", help="folder of the demo (default: demo-output)")
    parser.add_argument("--size", type=positive_int, default=72, metavar="N", help="box edge in voxels (default: 72)")


def run(arguments: argparse.Namespace) -> None:
    """Run the commands that a user would type, one after the other."""
    from cryores.cli import run_command
    from cryores.cli.method_command import run_method

    folder = Path(arguments.out)
    data = folder / "simulated"
    _type("simulate", ["--size", str(arguments.size), "--out", str(data), "--overwrite"], run_command)
    halves = ["--half1", str(data / "half1.mrc"), "--half2", str(data / "half2.mrc"), "--mask", str(data / "mask.mrc")]
    for name in ("fsc", "monores", "blocres", "locres"):
        _type(name, [*halves, "--out", str(folder / name), "--overwrite"], run_method)
    print()
    _print_accuracy(folder)
    print("what each method measures, and when it lies: docs/methods")
    print("pictures:")
    for picture in sorted(folder.glob("*/*.png")) + sorted(folder.glob("*/report.html")):
        print(f"  {picture.resolve()}")


def _type(name, words, runner) -> None:  # type: ignore[no-untyped-def]
    print(f"$ cryores {name} {' '.join(words)}", flush=True)
    runner(name, words)


def _print_accuracy(folder: Path) -> None:
    from cryores.mapio import read_map

    truth = read_map(folder / "simulated" / "truth_snr.mrc").data  # where the halves have an FSC of 0.5
    mask = read_map(folder / "simulated" / "mask.mrc").data > 0.5
    for name in ("monores", "blocres", "locres"):
        found = read_map(folder / name / "resolution.mrc").data
        known = mask & (found > 0)
        error = float(np.median(np.abs(found[known] - truth[known])))
        median = json.loads((folder / name / "report.json").read_text())["summary"]["median"]
        planted = float(np.median(truth[mask]))
        print(f"{name}: median {median:.2f} Å, planted {planted:.2f} Å, median error {error:.2f} Å")
