"""Train a network of our own on atomic models: what ships with the package was made by this command."""

from __future__ import annotations

import argparse

from cryores.cli.options import positive_int
from cryores.cli.progress import say

NETWORKS = ("deepres", "deepemhancer")
RANGES = ("2.5-13", "1.5-6")
ENHANCERS = ("tightTarget", "wideTarget", "highRes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is trained, and on what."""
    parser.add_argument("network", choices=NETWORKS, help="which network")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of atomic models, PDB or mmCIF")
    parser.add_argument("--out", required=True, metavar="DIR", help="weights, and all to go on from")
    parser.add_argument("--range", choices=RANGES, help="of which range in Å (default: one after the other)")
    parser.add_argument("--target", choices=ENHANCERS, help="deepemhancer: for which target (default: all)")
    parser.add_argument("--steps", type=positive_int, help="deepemhancer: batches to learn from (default: as shipped)")
    parser.add_argument("--lessons", type=positive_int, help="degraded pieces of models (default: as shipped)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--threads", type=positive_int, default=1, help="processes that make the lessons")
    parser.add_argument("--cache", metavar="DIR", help="folder of those pieces (default: pieces, in --out)")
    parser.add_argument("--quiet", action="store_true", help="say nothing")


def run(arguments: argparse.Namespace) -> None:
    """Train, and write weights."""
    if arguments.network == "deepemhancer":
        _train_enhancers(arguments)
    else:
        _train_deepres(arguments)


def _train_enhancers(arguments: argparse.Namespace) -> None:
    from cryores.nets.training.enhancer import STEPS, Schedule, train_on_folder

    tell = (lambda line: None) if arguments.quiet else say
    schedule = Schedule(steps=arguments.steps or STEPS, seed=arguments.seed)
    for target in [arguments.target] if arguments.target else ENHANCERS:
        tell(f"trained: {train_on_folder(target, arguments.models, arguments.out, schedule, tell)}")


def _train_deepres(arguments: argparse.Namespace) -> None:
    from cryores.nets.training.deepres import LESSONS, TARGETS, train

    for name in [arguments.range] if arguments.range else RANGES:
        file = train(
            TARGETS[name],
            arguments.models,
            arguments.out,
            arguments.lessons or LESSONS,
            arguments.seed,
            arguments.threads,
            arguments.cache,
        )
        if not arguments.quiet:
            say(f"trained: {file}")
