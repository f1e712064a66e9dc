"""Training of the enhancers: simulated maps of the models of a folder, made while the network learns."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from cryores.mapio import PathLike
from cryores.nets import load_keras
from cryores.nets.enhancer import FORMAT, WIDTHS, build_enhancer
from cryores.nets.stored_weights import load_weights, save_weights
from cryores.nets.training.enhancer_maps import (
    DISTANCE_STEP,
    NEAR,
    RECIPES,
    Lesson,
    ModelMap,
    Simulator,
    lesson,
    model_map,
)
from cryores.nets.training.pieces import listed_models, split
from cryores.volume import IntTriple

STEPS, LESSONS = 1500, 300
"""Batches and simulated maps that the networks of the package learned from."""

CHUNK = 50
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


@dataclass(frozen=True)
class Schedule:
    """How long and how fast the network learns.

    Parameters
    ----------
    steps : int
        Batches in all.
    batch : int
        Lessons of a batch.
    lessons : int
        Simulated maps that are learnt from, each turned in every way.
    rate : float
        Learning rate at the start; it falls as half a cosine.
    warm_up : int
        Steps over which it rises.
    seed : int
        Of all that is random.
    """

    steps: int = STEPS
    batch: int = 8
    lessons: int = LESSONS
    rate: float = 1e-3
    warm_up: int = 50
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        fall = 0.5 + 0.5 * np.cos(np.pi * min(step / self.steps, 1.0))
        return float(self.rate * min(1.0, (step + 1) / self.warm_up) * max(fall, 0.01))


def train_on_folder(
    target: str, models: PathLike, out: PathLike, schedule: Schedule, tell: Callable[[str], None] = print
) -> Path:
    """Train on the atomic models of a folder, a tenth of them kept aside; return the file of weights."""
    training, aside = split(listed_models(models))
    Path(out).mkdir(parents=True, exist_ok=True)
    train(target, [str(p) for p in training], [str(p) for p in aside], Path(out), schedule, tell=tell)
    return Path(out) / f"enhancer-{target}.npz"


def map_cache(models: Sequence[str], folder: Path, seed: int) -> List[ModelMap]:
    """Return the maps of ``models``; what was made before is read from ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    maps = []
    for number, path in enumerate(models):
        stem = folder / Path(path).name.split(".")[0]
        density, distance = stem.with_suffix(".density.npy"), stem.with_suffix(".distance.npy")
        if not (density.exists() and distance.exists()):
            made = model_map(path, seed + number)
            np.save(density, made.density.astype(np.float16))
            np.save(distance, made.distance)
        maps.append(ModelMap(np.load(density, mmap_mode="r"), np.load(distance, mmap_mode="r"), path))
    return maps


def new_lesson(item: ModelMap, simulator: Simulator, noise_only: bool = False) -> Lesson:
    """Simulate a map of a model and say what is to be learnt from it."""
    model = _cut(item, simulator.shape, simulator.rng)
    return lesson(simulator.pair(model, noise_only), simulator.recipe)


def _cut(item: ModelMap, shape: IntTriple, rng: Any) -> ModelMap:
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


def made_lessons(maps: Sequence[ModelMap], target: str, count: int, seed: int, folder: Path) -> List[Lesson]:
    """Return ``count`` lessons; those that were made before are read from ``folder``."""
    found: List[Lesson] = []
    for chunk in range(-(-count // CHUNK)):
        file = folder / f"{target}-lessons-{seed}-{chunk}.npz"
        if not file.exists():
            simulator = Simulator(RECIPES[target], 1000 * seed + chunk, SHAPE)
            rng = simulator.rng
            made = [
                new_lesson(maps[rng.integers(len(maps))], simulator, bool(rng.random() < NOISE_ONLY))
                for _ in range(CHUNK)
            ]
            features, gains = (np.stack([getattr(m, k) for m in made]) for k in ("features", "gains"))
            np.savez(file, features=features.astype(np.float16), gains=gains.astype(np.float16))
        with np.load(file) as stored:
            pairs = zip(stored["features"].astype(np.float32), stored["gains"].astype(np.float32))
            found += [Lesson(*pair) for pair in pairs]
    return found[:count]


def batches(lessons: Sequence[Lesson], size: int, seed: int) -> Iterator[Tuple[Any, Any]]:
    """Yield endless batches of features and gains, every lesson turned anew."""
    rng = np.random.default_rng(seed)
    while True:
        some = [turned(lessons[rng.integers(len(lessons))], rng) for _ in range(size)]
        features = np.stack([one.features for one in some])
        # A little noise keeps the network from knowing the lessons by heart.
        features += rng.normal(0.0, FEATURE_NOISE, features.shape).astype(np.float32)
        yield features, np.stack([one.gains for one in some])


def train(
    target: str,
    models: Sequence[str],
    aside: Sequence[str],
    folder: Path,
    schedule: Schedule,
    start_from: str = "",
    tell: Callable[[str], None] = print,
) -> Any:
    """Train the network of ``target``, or go on where it was stopped; return it.

    Parameters
    ----------
    target : str
        A key of `RECIPES`.
    models, aside : sequence of str
        Paths of the models that are learnt from, and of those on which the network is judged.
    folder : Path
        Keeps the densities, the state of the training (every 100 steps), the log, and at last the weights.
    schedule : Schedule
        How long.
    start_from : str
        File of weights to start from.
    tell : callable
        Receives a line of progress now and then.
    """
    keras = load_keras()
    keras.utils.set_random_seed(schedule.seed)
    network = build_enhancer()
    optimizer = keras.optimizers.Adam(schedule.rate, clipnorm=1.0)
    network.compile(optimizer=optimizer, loss="mean_squared_error", jit_compile=False)
    optimizer.build(network.trainable_variables)
    if start_from:
        load_weights(start_from, FORMAT).put_into(network)
    state = folder / f"{target}-state.npz"
    first = _restore(network, optimizer, state) if state.exists() else 0
    maps, others = (map_cache(some, folder / "maps", schedule.seed) for some in (models, aside))
    judged = validation_lessons(others, target)
    lessons = made_lessons(maps, target, schedule.lessons, schedule.seed, folder)
    losses: List[float] = []
    found: Dict[str, float] = {}
    for step, (given, wanted) in zip(
        range(first, schedule.steps), batches(lessons, schedule.batch, schedule.seed + first)
    ):
        optimizer.learning_rate = schedule.rate_at(step)
        losses.append(float(np.asarray(network.train_on_batch(given, wanted)).ravel()[0]))
        network.reset_metrics()
        if (step + 1) % 100 == 0 or step + 1 == schedule.steps:
            _keep(network, optimizer, state, step + 1)
            found = {"step": step + 1, "loss": float(np.mean(losses)), **judge(network, judged)}
            with (folder / f"{target}-log.jsonl").open("a") as log:
                log.write(json.dumps(found) + "\n")
            tell(json.dumps(found))
            losses = []
    description = {
        "format": FORMAT, "target": target, "widths": list(WIDTHS), "schedule": asdict(schedule),
        "models": len(models), "validation": found,
    }  # fmt: skip
    save_weights(folder / f"enhancer-{target}.npz", network, description)
    return network


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


def _keep(network: Any, optimizer: Any, path: Path, step: int) -> None:
    variables = [np.asarray(v) for v in [*network.weights, *optimizer.variables]]
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, step=step, **{f"v{n:03d}": v for n, v in enumerate(variables)})
    os.replace(partial, path)


def _restore(network: Any, optimizer: Any, path: Path) -> int:
    with np.load(path) as file:
        for n, variable in enumerate([*network.weights, *optimizer.variables]):
            variable.assign(file[f"v{n:03d}"])
        return int(file["step"])
