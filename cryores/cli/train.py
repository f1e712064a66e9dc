"""Train a network of our own on atomic models: what ships with the package was made by this command."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from cryores.cli.options import positive_int
from cryores.cli.progress import say
from cryores.errors import UsageError

NETWORKS = ("deepres", "locres", "deepemhancer")
RANGES = ("2.5-13", "1.5-6")
ENHANCERS = ("tightTarget", "wideTarget", "highRes")
MAPS, EPOCHS, LOCRES_SEED = 12000, 16, 9
"""Of the network of locres that ships."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is trained, and on what."""
    parser.add_argument("network", choices=NETWORKS, help="which network")
    parser.add_argument("--models", metavar="DIR", help="folder of atomic models, PDB or mmCIF")
    parser.add_argument("--out", required=True, metavar="DIR", help="weights, and all to go on from")
    parser.add_argument("--seed", type=int, help="default: as shipped")
    parser.add_argument("--cache", metavar="DIR", help="folder of what is simulated (default: pieces, in --out)")
    parser.add_argument(
        "--lessons", type=positive_int, help="simulated maps (deepres, deepemhancer; default: as shipped)"
    )
    parser.add_argument("--threads", type=positive_int, default=1, help="processes that make the lessons")
    parser.add_argument(
        "--network-threads", type=positive_int, help="of TensorFlow while a network learns (default: every core)"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    deepres = parser.add_argument_group("deepres only")
    deepres.add_argument("--range", choices=RANGES, help="of which range in Å (default: one after the other)")
    enhancer = parser.add_argument_group("deepemhancer only")
    enhancer.add_argument("--target", choices=ENHANCERS, help="for which target (default: one after the other)")
    enhancer.add_argument(
        "--pairs", metavar="TABLE", help="in place of --models: half1, half2, model, resolution of maps (CSV or TSV)"
    )
    enhancer.add_argument(
        "--second-step", action="store_true", help="the network that takes noise out of what the first makes"
    )
    enhancer.add_argument("--start-from", metavar="FILE", help="weights to start from (default: random)")
    enhancer.add_argument("--steps", type=positive_int, help="batches to learn from (default: as shipped)")
    locres = parser.add_argument_group("locres only")
    locres.add_argument("--exclude", nargs="+", default=[], metavar="NAME", help="models to leave out, by name's start")
    locres.add_argument("--maps", type=positive_int, default=MAPS, help=f"maps to simulate (default: {MAPS})")
    locres.add_argument("--epochs", type=positive_int, default=EPOCHS, help=f"passes over them (default: {EPOCHS})")


def run(arguments: argparse.Namespace) -> None:
    """Train, and write weights."""
    on_pairs = arguments.network == "deepemhancer" and arguments.pairs
    if bool(arguments.models) == bool(on_pairs):
        either = "either --models or --pairs" if arguments.network == "deepemhancer" else "--models"
        raise UsageError("E_USAGE", "there is nothing to train on, or too much", f"give {either}")
    if arguments.network_threads:
        from cryores.nets.devices import use_threads

        use_threads(arguments.network_threads, say)
    {"deepres": _train_deepres, "locres": _train_locres, "deepemhancer": _train_enhancers}[arguments.network](arguments)


def _train_deepres(arguments: argparse.Namespace) -> None:
    from cryores.nets.training.deepres import LESSONS, TARGETS, train

    tell = (lambda line: None) if arguments.quiet else say
    for name in [arguments.range] if arguments.range else RANGES:
        file = train(
            TARGETS[name],
            arguments.models,
            arguments.out,
            arguments.lessons or LESSONS,
            arguments.seed or 0,
            arguments.threads,
            arguments.cache,
            tell,
        )
        tell(f"trained: {file}")


def _train_enhancers(arguments: argparse.Namespace) -> None:
    from cryores.nets.training import denoiser
    from cryores.nets.training.enhancer import WARM_RATE, train_on_folder
    from cryores.nets.training.loop import LESSONS, STEPS, Schedule
    from cryores.nets.training.pairs import train_on_pairs

    tell = (lambda line: None) if arguments.quiet else say
    train, material = (train_on_pairs, arguments.pairs) if arguments.pairs else (train_on_folder, arguments.models)
    schedule = Schedule(STEPS, lessons=LESSONS)
    if arguments.second_step:
        if arguments.pairs:
            raise UsageError("E_USAGE", "the second step learns from simulated maps", "give --models, not --pairs")
        train, schedule = denoiser.train_on_folder, Schedule(denoiser.STEPS, denoiser.BATCH, denoiser.LESSONS)
    schedule = replace(
        schedule,
        steps=arguments.steps or schedule.steps,
        lessons=arguments.lessons or schedule.lessons,
        seed=schedule.seed if arguments.seed is None else arguments.seed,
        rate=WARM_RATE if arguments.start_from else schedule.rate,
    )
    for target in [arguments.target] if arguments.target else ENHANCERS:
        file = train(target, material, arguments.out, schedule, arguments.start_from, arguments.threads, tell)
        tell(f"trained: {file}")


def _train_locres(arguments: argparse.Namespace) -> None:
    """Simulate, train, measure, and write the network with its errors."""
    from cryores.nets.training.chunks import side_by_side
    from cryores.nets.training.pieces import listed_models
    from cryores.resolution._locres_lessons import Lessons
    from cryores.resolution._locres_training import errors_by_family, train

    models = listed_models(arguments.models, arguments.exclude)
    tell = (lambda line: None) if arguments.quiet else say
    seed = LOCRES_SEED if arguments.seed is None else arguments.seed
    out = Path(arguments.out)
    cache = Path(arguments.cache) if arguments.cache else out / "pieces"
    cache.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    lessons = Lessons(models, seed, cache)
    with side_by_side(arguments.threads) as each:
        lessons.make_all(arguments.maps, each)
        voxels = list(lessons.voxels(arguments.maps))
        network, kept = train(
            voxels, lambda bands: lessons.all_nearby(bands, arguments.maps, each), arguments.epochs, seed, tell
        )
    found = {name: asdict(errors) for name, errors in errors_by_family(network, kept).items()}
    network.save(out / "locres.npz")
    about = {"maps": arguments.maps, "epochs": arguments.epochs, "seed": seed, "models": len(models)}
    (out / "locres.json").write_text(json.dumps({**about, "errors": found}, indent=2) + "\n")
    for name, errors in found.items():
        tell(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in errors.items()))
    tell(f"trained: {out / 'locres.npz'}")
