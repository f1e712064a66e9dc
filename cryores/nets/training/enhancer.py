"""Training of the enhancers: simulated maps of the models of a folder, made while the network learns."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from cryores.files import PathLike, appearing
from cryores.nets.enhancer import FORMAT, WIDTHS, build_enhancer
from cryores.nets.stored_weights import arrays_of, save_weights
from cryores.nets.training.card import write_enhancer_card
from cryores.nets.training.chunks import make_missing
from cryores.nets.training.enhancer_maps import (
    DISTANCE_STEP,
    EDGE,
    NEAR,
    RECIPES,
    Lesson,
    ModelMap,
    Simulator,
    lesson,
    model_map,
)
from cryores.nets.training.loop import Learner, Schedule, learnt
from cryores.nets.training.pieces import divided
from cryores.nets.training.state import key
from cryores.volume import IntTriple

WARM_RATE = 4e-4
"""Learning rate for a network that starts from trained weights."""

CHUNK = 25
"""Lessons that are made, and kept, together."""

VALIDATION_LESSONS = 16
"""Lessons of validation models, always the same, on which the network is judged."""

SHAPE = (64, 64, 64)
"""Voxels of a lesson's map."""

WANTED_SHARE = 0.25
"""Share of a lesson's voxels near atoms that is looked for."""

FEATURE_NOISE = 0.05
"""Standard deviation of what is added to the features."""

NOISE_ONLY = 0.05
"""Share of the lessons that hold no molecule."""


def train_on_folder(
    target: str,
    models: PathLike,
    out: PathLike,
    schedule: Schedule,
    start_from: Optional[PathLike] = None,
    processes: int = 1,
    tell: Callable[[str], None] = print,
) -> Path:
    """Train on simulated maps of the atomic models of a folder, a tenth of them kept aside.

    Parameters
    ----------
    target : str
        A key of `RECIPES`.
    models : path
        Folder of atomic models.
    out : path
        Folder for the weights, their card, and all to go on from when the training is stopped.
    schedule : Schedule
        How long.
    start_from : path, optional
        Weights to start from.
    processes : int
        That make the lessons.
    tell : callable
        Receives a line of progress now and then.

    Returns
    -------
    Path
        The file of weights.
    """
    folder = Path(out)
    training, aside = divided(models, folder)
    judged = validation_lessons(map_cache(aside[:VALIDATION_LESSONS], folder, schedule.seed), target)
    lessons = made_lessons(training, target, schedule.lessons, schedule.seed, folder, processes)
    about = {"material": "simulated maps of atomic models", "maps": len(training), "kept_aside": len(aside)}
    return learn(target, lessons, judged, folder, schedule, about, start_from, tell)


def map_cache(models: Sequence[Path], folder: Path, seed: int) -> List[ModelMap]:
    """Return the maps of ``models``; those that were made before, by the same seed, are read from ``folder``."""
    cache = folder / f"maps-{key({'seed': seed, 'edge': EDGE})}"
    cache.mkdir(parents=True, exist_ok=True)
    maps = []
    for number, path in enumerate(models):
        stem = cache / path.name.split(".")[0]
        density, distance = stem.with_suffix(".density.npy"), stem.with_suffix(".distance.npy")
        if not (density.exists() and distance.exists()):
            made = model_map(str(path), seed + number)
            np.save(density, made.density.astype(np.float16))
            np.save(distance, made.distance)
        maps.append(ModelMap(np.load(density, mmap_mode="r"), np.load(distance, mmap_mode="r"), path.name))
    return maps


def new_lesson(item: ModelMap, simulator: Simulator, noise_only: bool = False) -> Lesson:
    """Simulate a map of a model and say what is to be learnt from it."""
    model = model_part(item, simulator.shape, simulator.rng)
    return lesson(simulator.pair(model, noise_only), simulator.recipe)


def model_part(item: ModelMap, shape: IntTriple, rng: Any) -> ModelMap:
    """Return a random part of a model's box that holds both molecule and solvent, as far as that can be had."""
    best, cut = np.inf, item
    for _ in range(4):
        start = [int(rng.integers(0, n - m + 1)) for n, m in zip(item.density.shape, shape)]
        z, y, x = (slice(a, a + m) for a, m in zip(start, shape))
        distance = np.asarray(item.distance[z, y, x])
        miss = abs(float(np.mean(distance <= NEAR / DISTANCE_STEP)) - WANTED_SHARE)
        if miss < best:
            best, cut = miss, ModelMap(np.asarray(item.density[z, y, x], dtype=np.float32), distance, item.name)
    return cut


def turned(pair: Lesson, rng: Any) -> Lesson:
    """Return a lesson turned by random multiples of 90 degrees."""
    turns = rng.integers(0, 4, 3)
    arrays = []
    for array in (pair.features, pair.gains):
        for k, axes in zip(turns, ((0, 1), (1, 2), (0, 2))):
            array = np.rot90(array, k, axes)
        arrays.append(array)
    return Lesson(*arrays)


def lesson_files(folder: Path, name: str, count: int, models: Sequence[Path], settings: Dict[str, Any]) -> List[Path]:
    """Return the files of the chunks of ``count`` lessons, named after all that they are made of."""
    made_of = {**settings, "models": [path.name for path in models], "shape": SHAPE, "chunk": CHUNK}
    return [folder / f"{name}-{key(made_of)}-{chunk}.npz" for chunk in range(-(-count // CHUNK))]


def made_lessons(
    models: Sequence[Path], target: str, count: int, seed: int, folder: Path, processes: int = 1
) -> List[Lesson]:
    """Return ``count`` lessons of models; those that were made before are read from ``folder``."""
    settings = {"recipe": asdict(RECIPES[target]), "seed": seed, "noise_only": NOISE_ONLY}
    files = lesson_files(folder, f"{target}-lessons", count, models, settings)
    map_cache(models, folder, seed)
    make_missing(partial(_make_chunk, list(models), target, seed, folder), files, processes)
    found: List[Lesson] = []
    for file in files:
        with np.load(file) as stored:
            found += [Lesson(*pair) for pair in zip(stored["features"], stored["gains"])]
    return found[:count]


def _make_chunk(models: List[Path], target: str, seed: int, folder: Path, job: Tuple[int, Path]) -> None:
    chunk, file = job
    maps = map_cache(models, folder, seed)
    simulator = Simulator(RECIPES[target], 1000 * seed + chunk, SHAPE)
    rng = simulator.rng
    made = [new_lesson(maps[rng.integers(len(maps))], simulator, bool(rng.random() < NOISE_ONLY)) for _ in range(CHUNK)]
    features, gains = (np.stack([getattr(m, k) for m in made]) for k in ("features", "gains"))
    with appearing(file) as unfinished:
        np.savez(unfinished, features=features.astype(np.float16), gains=gains.astype(np.float16))


def batches(lessons: Sequence[Lesson], size: int, seed: int) -> Iterator[Tuple[Any, Any]]:
    """Yield endless batches of features and gains, every lesson turned anew."""
    rng = np.random.default_rng(seed)
    while True:
        some = [turned(lessons[rng.integers(len(lessons))], rng) for _ in range(size)]
        features = np.stack([one.features for one in some]).astype(np.float32)
        # A little noise keeps the network from knowing the lessons by heart.
        features += rng.normal(0.0, FEATURE_NOISE, features.shape).astype(np.float32)
        yield features, np.stack([one.gains for one in some]).astype(np.float32)


def learn(
    target: str,
    lessons: Sequence[Lesson],
    judged: Sequence[Lesson],
    folder: Path,
    schedule: Schedule,
    about: Dict[str, Any],
    start_from: Optional[PathLike] = None,
    tell: Callable[[str], None] = print,
) -> Path:
    """Train the network of ``target``, or go on where that was stopped; return the file of weights.

    Parameters
    ----------
    target : str
        A key of `RECIPES`.
    lessons, judged : sequence of Lesson
        What is learnt from, and what the network is judged by.
    folder : Path
        Keeps the state of the training (every `KEEP_EVERY` steps), the log, and at last the weights and their card.
    schedule : Schedule
        How long.
    about : dict
        What the lessons are, for the card.
    start_from : path, optional
        Weights to start from.
    tell : callable
        Receives a line of progress now and then.
    """
    network, curve = learnt(
        Learner(target, build_enhancer, FORMAT),
        lambda seed: batches(lessons, schedule.batch, seed),
        lambda network: judge(network, judged),
        folder,
        replace(schedule, lessons=len(lessons)),
        start_from,
        tell,
    )
    file = folder / f"enhancer-{target}.npz"
    told = {
        "format": FORMAT, "target": target, "widths": list(WIDTHS), "schedule": asdict(schedule), **about,
        "recipe": asdict(RECIPES[target]), "started_from": Path(start_from).name if start_from else None,
        "curve": curve,
    }  # fmt: skip
    save_weights(file, arrays_of(network, np.float16), told)
    write_enhancer_card(file, told)
    return file


def validation_lessons(maps: Sequence[ModelMap], target: str) -> List[Lesson]:
    """Return the lessons on which networks are judged: of each map one, by fixed seeds."""
    chosen = maps[:VALIDATION_LESSONS]
    return [new_lesson(item, Simulator(RECIPES[target], 10_000 + n, SHAPE)) for n, item in enumerate(chosen)]


def judge(network: Any, lessons: Sequence[Lesson]) -> Dict[str, float]:
    """Return by how much gains miss those that are wanted, and the share of the wanted amplitude that they reach.

    As bands of unit amplitude do not overlap much, ``correlation`` is about that of the enhanced map with its target.
    """
    error, correlation = [], []
    for one in lessons:
        found = np.maximum(np.asarray(network(one.features[None], training=False))[0], 0.0)
        wanted = float(np.sum(np.square(one.gains)))
        if wanted == 0.0:
            continue
        error.append(float(np.sum(np.square(found - one.gains))) / wanted)
        norms = np.sqrt(float(np.sum(np.square(found))) * wanted)
        correlation.append(float(np.sum(found * one.gains)) / max(float(norms), 1e-20))
    return {
        "error": float(np.median(error)),
        "correlation": float(np.median(correlation)),
        "worst": float(np.min(correlation)),
    }
