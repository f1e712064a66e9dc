"""Training of the enhancers: simulated pairs of the models of a folder, made while the network learns."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from cryores.nets import load_keras
from cryores.nets.enhancer import FINE, FORMAT, WIDTHS, build_enhancer
from cryores.nets.stored_weights import load_weights, save_weights
from cryores.nets.training.enhancer_maps import RECIPES, ModelMap, Simulator, cubes_of, model_map
from cryores.volume import FloatArray

VALIDATION_PAIRS = 12
"""Pairs of validation models, always the same, on which the network is judged."""

NOISE_ONLY = 0.05
"""Share of the pairs that hold no molecule."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast the network learns.

    Parameters
    ----------
    steps : int
        Batches in all.
    batch, edge : int
        Cubes of a batch, and their edge in voxels.
    pool : int
        Simulated pairs that are held.
    renewal : float
        Chance of a step that one of them is replaced.
    rate : float
        Learning rate at the start; it falls as half a cosine.
    warm_up : int
        Steps over which it rises.
    seed : int
        Of all that is random.
    """

    steps: int = 2000
    batch: int = 4
    edge: int = 48
    pool: int = 24
    renewal: float = 0.5
    rate: float = 2e-3
    warm_up: int = 50
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        fall = 0.5 + 0.5 * np.cos(np.pi * min(step / self.steps, 1.0))
        return float(self.rate * min(1.0, (step + 1) / self.warm_up) * max(fall, 0.01))


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


def batches(maps: Sequence[ModelMap], target: str, schedule: Schedule, first: int) -> Iterator[Tuple[FloatArray, ...]]:
    """Yield endless batches of cubes: given and wanted, each of shape (batch, edge, edge, edge, 1)."""
    simulator = Simulator(RECIPES[target], schedule.seed + first)
    rng = simulator.rng

    def fresh() -> Any:
        chosen = maps[rng.integers(len(maps))]
        density = np.asarray(chosen.density, dtype=np.float32)
        pair = simulator.pair(ModelMap(density, chosen.distance, chosen.name), rng.random() < NOISE_ONLY)
        return cubes_of(pair, schedule.edge, 6, rng)

    pool = [fresh() for _ in range(schedule.pool)]
    while True:
        picked = [(rng.integers(len(pool)), rng.integers(6)) for _ in range(schedule.batch)]
        yield tuple(np.stack([pool[i][which][j] for i, j in picked])[..., None] for which in (0, 1))
        if rng.random() < schedule.renewal:
            pool[rng.integers(len(pool))] = fresh()


def train(
    target: str,
    models: Sequence[str],
    aside: Sequence[str],
    folder: Path,
    schedule: Schedule,
    start_from: str = "",
    tell: Callable[[str], None] = print,
    widths: Tuple[int, ...] = WIDTHS,
) -> Any:
    """Train the network of ``target``, or go on where it was stopped; return it.

    Parameters
    ----------
    target : str
        A key of `RECIPES`.
    models, aside : sequence of str
        Paths of the models that are learnt from, and of those on which the network is judged.
    folder : Path
        Keeps the densities, the state of the training (every 200 steps) and the log.
    schedule : Schedule
        How long.
    start_from : str
        File of weights (``.npz``) to start from.
    tell : callable
        Receives a line of progress now and then.
    """
    keras = load_keras()
    keras.utils.set_random_seed(schedule.seed)
    network = build_enhancer(widths)
    optimizer = keras.optimizers.Adam(schedule.rate, clipnorm=1.0)
    network.compile(optimizer=optimizer, loss=_loss, jit_compile=False)
    optimizer.build(network.trainable_variables)
    if start_from:
        load_weights(start_from, FORMAT).put_into(network)
    state = folder / f"{target}-state.npz"
    first = _restore(network, optimizer, state) if state.exists() else 0
    training = map_cache(models, folder / "maps", schedule.seed)
    judged = validation_pairs(map_cache(aside, folder / "maps", schedule.seed), target)
    log = (folder / f"{target}-log.jsonl").open("a")
    losses: List[float] = []
    for step, (given, wanted) in zip(range(first, schedule.steps), batches(training, target, schedule, first)):
        optimizer.learning_rate = schedule.rate_at(step)
        losses.append(float(np.asarray(network.train_on_batch(given, wanted)).ravel()[0]))
        network.reset_metrics()
        if (step + 1) % 200 == 0 or step + 1 == schedule.steps:
            found = {"step": step + 1, "loss": float(np.mean(losses)), **judge(network, judged)}
            log.write(json.dumps(found) + "\n")
            log.flush()
            tell(json.dumps(found))
            losses = []
            _keep(network, optimizer, state, step + 1)
    description = {
        "format": FORMAT, "target": target, "widths": list(widths), "fine": FINE, "schedule": asdict(schedule),
        "models": len(models), **judge(network, judged),
    }  # fmt: skip
    save_weights(folder / f"enhancer-{target}.npz", network, description)
    return network


def _loss(wanted: Any, found: Any) -> Any:
    ops = load_keras().ops
    error = found - wanted
    return ops.mean(ops.abs(error)) + 2.0 * ops.mean(ops.square(error))


def validation_pairs(maps: Sequence[ModelMap], target: str) -> List[Any]:
    """Return the pairs on which networks are judged: of each map one, by fixed seeds."""
    pairs = []
    for number, item in enumerate(maps[:VALIDATION_PAIRS]):
        model = ModelMap(np.asarray(item.density, dtype=np.float32), item.distance, item.name)
        pairs.append(Simulator(RECIPES[target], 10_000 + number).pair(model))
    return pairs


def judge(network: Any, pairs: Sequence[Any]) -> Dict[str, float]:
    """Return the median correlations with the targets before and after, in the whole box."""
    before = [float(np.corrcoef(p.given.ravel(), p.wanted.ravel())[0, 1]) for p in pairs]
    after = []
    for pair in pairs:
        found = np.asarray(network(pair.given[None, ..., None], training=False))[0, ..., 0]
        after.append(float(np.corrcoef(found.ravel(), pair.wanted.ravel())[0, 1]))
    return {"before": float(np.median(before)), "after": float(np.median(after)), "worst": float(np.min(after))}


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
