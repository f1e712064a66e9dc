"""The loop in which networks on maps learn: it goes on where it was stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from cryores.files import PathLike
from cryores.nets import load_keras
from cryores.nets.stored_weights import load_weights
from cryores.nets.training.state import keep, restore

STEPS, LESSONS = 1500, 500
"""Batches and simulated maps that the networks of the package learned from."""

KEEP_EVERY = 100
"""Steps after which the state is written."""


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
    batch: int = 4
    lessons: int = LESSONS
    rate: float = 1e-3
    warm_up: int = 50
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        fall = 0.5 + 0.5 * np.cos(np.pi * min(step / self.steps, 1.0))
        return float(self.rate * min(1.0, (step + 1) / self.warm_up) * max(fall, 0.01))


@dataclass(frozen=True)
class Learner:
    """What a network is called, how it is built, what its weights say that they are, its loss, its longest gradient."""

    name: str
    build: Callable[[], Any]
    format: str
    loss: Any = "mean_squared_error"
    longest: float = 1.0


def learnt(
    learner: Learner,
    material: Callable[[int], Iterator[Tuple[Any, Any]]],
    judge: Callable[[Any], Dict[str, Any]],
    folder: Path,
    schedule: Schedule,
    start_from: Optional[PathLike] = None,
    tell: Callable[[str], None] = print,
) -> Tuple[Any, List[Dict[str, Any]]]:
    """Train a network, or go on where that was stopped; return it and its curve.

    Parameters
    ----------
    learner : Learner
        The network.
    material : callable
        From a seed to batches of what is given and wanted.
    judge : callable
        From the network to what the curve says of it.
    folder : Path
        Keeps the state of the training (every `KEEP_EVERY` steps) and the log.
    schedule : Schedule
        How long.
    start_from : path, optional
        Weights to start from.
    tell : callable
        Receives a line of progress now and then.
    """
    keras = load_keras()
    keras.utils.set_random_seed(schedule.seed)
    network = learner.build()
    optimizer = keras.optimizers.Adam(schedule.rate, clipnorm=learner.longest)
    network.compile(optimizer=optimizer, loss=learner.loss, jit_compile=False)
    optimizer.build(network.trainable_variables)
    if start_from:
        load_weights(start_from, learner.format).put_into(network)
    state, log = folder / f"{learner.name}-state.npz", folder / f"{learner.name}-log.jsonl"
    variables = [*network.weights, *optimizer.variables]
    first = int(restore(variables, state)["step"]) if state.exists() else 0
    losses: List[float] = []
    for step, (given, wanted) in zip(range(first, schedule.steps), material(schedule.seed + first)):
        optimizer.learning_rate = schedule.rate_at(step)
        losses.append(float(np.asarray(network.train_on_batch(given, wanted)).ravel()[0]))
        network.reset_metrics()
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == schedule.steps:
            keep(variables, state, step=step + 1)
            line = {"step": step + 1, "lessons": schedule.lessons, "loss": float(np.mean(losses)), **judge(network)}
            with log.open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            tell(json.dumps(line))
            losses = []
    return network, [json.loads(line) for line in log.read_text().splitlines()]
