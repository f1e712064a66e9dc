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
from cryores.volume import FloatArray

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
    """What network learns, and how.

    Parameters
    ----------
    name : str
        What its files are called.
    build : callable
        Gives it with random weights.
    format : str
        What its weights say that they are.
    loss : str or callable
        What is made small.
    longest : float
        Norm to which gradients are cut off.
    remembered : float
        What of the running mean of the weights, which is the result, a step leaves; 0 for the weights themselves.
    """

    name: str
    build: Callable[[], Any]
    format: str
    loss: Any = "mean_squared_error"
    longest: float = 1.0
    remembered: float = 0.0


class RunningMean:
    """The running mean of a network's weights: steadier than they are."""

    def __init__(self, network: Any, remembered: float) -> None:
        self._variables, self._remembered = network.trainable_variables, remembered
        self.values = [np.array(v) for v in self._variables]

    def add(self, step: int) -> None:
        """Take in the weights after ``step``; of the first steps the mean forgets sooner."""
        kept = np.float32(min(self._remembered, step / (step + 10.0)))
        for mean, variable in zip(self.values, self._variables):
            mean *= kept
            mean += (1 - kept) * np.asarray(variable)

    def restore(self, stored: Dict[str, FloatArray]) -> None:
        """Go on from what `told` gave."""
        self.values = [stored[name].copy() for name in self.told()]

    def told(self) -> Dict[str, FloatArray]:
        """Return the means under names for a file."""
        return {f"mean{n:03d}": value for n, value in enumerate(self.values)}

    def judged(self, judge: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
        """Return what ``judge`` says of the network with the means in place of its weights."""
        own = [np.array(v) for v in self._variables]
        self.put()
        found = judge()
        for variable, value in zip(self._variables, own):
            variable.assign(value)
        return found

    def put(self) -> None:
        """Put the means into the network."""
        for variable, value in zip(self._variables, self.values):
            variable.assign(value)


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
    mean, first = RunningMean(network, learner.remembered), 0
    if state.exists():
        stored = restore(variables, state)
        mean.restore(stored)
        first = int(stored["step"])
    losses: List[float] = []
    for step, (given, wanted) in zip(range(first, schedule.steps), material(schedule.seed + first)):
        optimizer.learning_rate = schedule.rate_at(step)
        losses.append(float(np.asarray(network.train_on_batch(given, wanted)).ravel()[0]))
        network.reset_metrics()
        mean.add(step)
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == schedule.steps:
            keep(variables, state, step=step + 1, **mean.told())
            found = mean.judged(lambda: judge(network))
            line = {"step": step + 1, "lessons": schedule.lessons, "loss": float(np.mean(losses)), **found}
            with log.open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            tell(json.dumps(line))
            losses = []
    mean.put()
    return network, [json.loads(line) for line in log.read_text().splitlines()]
