"""Training of our own DeepRes: ``cryores train deepres --models DIR --out DIR``."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from cryores.nets import require_keras
from cryores.nets.homogeneous import MARGIN, network
from cryores.nets.training.degraded import Degrader, Recipe, clean
from cryores.nets.training.pieces import EDGE, Pieces, listed_models, pieces_of, split
from cryores.nets.weight_file import WeightFile, save_weights
from cryores.volume import FloatArray

CROP = 40
"""Voxels along the edge of the cubes that the network is trained on."""

CROPS = 2
"""Cubes taken of each degraded piece."""

BATCH = 8
"""Pieces of a step."""

EPOCH = 100
"""Steps between two looks at the models kept aside, and two checkpoints."""

LEARNING_RATE = 2e-3
AVERAGING = 0.98
"""Share of the running mean of the weights that is kept at each of its updates, every `AVERAGED_EVERY` steps."""

AVERAGED_EVERY = 5
FORMAT = "cryores deepres 1"


@dataclass(frozen=True)
class Target:
    """A network to train: voxel size and range of its answers in Å, and the range that it is trained on."""

    name: str
    voxel_size: float
    finest: float
    coarsest: float
    trained_finest: float
    trained_coarsest: float

    @property
    def recipe(self) -> Recipe:
        """What is done to its training maps."""
        return Recipe(self.trained_finest, self.trained_coarsest)


TARGETS = {
    "low": Target("low", 1.0, 2.5, 13.0, 2.1, 15.0),
    "high": Target("high", 0.5, 1.5, 6.0, 1.1, 7.0),
}


def train(
    target: Target,
    models: Union[str, os.PathLike[str]],
    out: Union[str, os.PathLike[str]],
    steps: int,
    seed: int = 0,
    threads: int = 1,
    cache: Optional[Union[str, os.PathLike[str]]] = None,
    start: Optional[WeightFile] = None,
) -> Path:
    """Train a network and write its weights, the history and the list of models that it never saw.

    Parameters
    ----------
    target : Target
        What it is for.
    models : path
        Folder of atomic models.
    out : path
        Folder for ``deepres-NAME.npz``, the checkpoints and the history; a training that was interrupted goes on.
    steps : int
        Steps of ``BATCH`` pieces.
    seed : int
        Of everything random.
    threads : int
        Processes that make the pieces.
    cache : path, optional
        Folder for the pieces; default, ``pieces`` in ``out``.
    start : WeightFile, optional
        Weights to start from.

    Returns
    -------
    Path
        The file of weights.
    """
    keras = require_keras()
    keras.utils.set_random_seed(seed)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    seen, aside = split(listed_models(models))
    (folder / "kept-aside.txt").write_text("".join(f"{path.name}\n" for path in aside))
    store = Path(cache) if cache else folder / "pieces"
    lessons = pieces_of(seen, target.voxel_size, store, "training", seed, threads)
    unseen = pieces_of(aside, target.voxel_size, store, "validation", seed + 1_000_000, threads)
    model = network(CROP, float(np.sqrt(target.finest * target.coarsest)))
    if start is not None:
        start.put_into(model)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, steps, alpha=0.01, warmup_target=LEARNING_RATE, warmup_steps=min(100, steps // 10)
    )
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss, jit_compile=False)
    file = folder / f"deepres-{target.name}.npz"
    watch = _watch(file, target, unseen)
    model.fit(
        _lessons(lessons, target.recipe, steps, seed),
        epochs=max(1, steps // EPOCH),
        steps_per_epoch=min(EPOCH, steps),
        shuffle=False,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(folder / f"checkpoint-{target.name}"), delete_checkpoint=False),
            watch,
        ],
        verbose=0,
    )
    return file


def loss(truth: Any, answer: Any) -> Any:
    """Return |error| / sqrt(truth) in Å^0.5, of an answer in ln(Å): between relative and absolute."""
    from keras import ops

    return ops.abs(ops.exp(ops.minimum(answer, 4.0)) - truth) / ops.sqrt(truth)


def crops(degrader: Degrader, number: int, rng: Any) -> List[Tuple[FloatArray, FloatArray, FloatArray]]:
    """Return cubes of a degraded piece: density, and truth and weight of the network's answers."""
    density, truth, weight = degrader.example(number)
    taken = []
    for _ in range(CROPS):
        z, y, x = rng.integers(0, EDGE - CROP + 1, 3)
        cube = (slice(z, z + CROP), slice(y, y + CROP), slice(x, x + CROP))
        core = tuple(slice(s.start + MARGIN, s.stop - MARGIN) for s in cube)
        taken.append((density[cube], truth[core], weight[core]))
    return taken


def _lessons(pieces: Pieces, recipe: Recipe, steps: int, seed: int) -> Any:
    import keras

    class Lessons(keras.utils.PyDataset):  # type: ignore[misc]
        """Batches of training cubes; batch i is the same whenever it is made."""

        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> Tuple[Any, Any, Any]:
            rng = np.random.default_rng([seed, index])
            degrader = Degrader(pieces, recipe, int(rng.integers(2**31)))
            cubes = [c for n in rng.integers(0, len(pieces), BATCH) for c in crops(degrader, int(n), rng)]
            density, truth, weight = (np.stack(part)[..., None] for part in zip(*cubes))
            return density, truth, weight[..., 0]

    return Lessons(workers=1, use_multiprocessing=False, max_queue_size=6)


def _watch(file: Path, target: Target, unseen: Pieces) -> Any:
    """Return the callback that averages the weights, and at the end of an epoch looks at the unseen and saves."""
    import keras

    mean_file = file.with_suffix(".mean.npz")

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        """The running mean of the weights is what is judged and saved."""

        def on_train_begin(self, logs: Any = None) -> None:
            resumed = int(self.model.optimizer.iterations) > 0 and mean_file.is_file()
            stored = np.load(mean_file) if resumed else None
            now = self.model.get_weights()
            self.mean = [stored[str(i)] for i in range(len(now))] if stored is not None else now
            self.history: List[Dict[str, Any]] = []
            self.judge = network(EDGE, 1.0)
            self.started = time.time()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % AVERAGED_EVERY == 0:
                done = int(self.model.optimizer.iterations) / AVERAGED_EVERY
                keep = min(AVERAGING, done / (done + 10.0))
                self.mean = [keep * m + (1 - keep) * w for m, w in zip(self.mean, self.model.get_weights())]

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.judge.set_weights(self.mean)
            found = {
                "step": int(self.model.optimizer.iterations), "seconds": round(time.time() - self.started),
                "loss": float((logs or {}).get("loss", np.nan)),
                "unseen_clean": mean_error(self.judge, unseen, clean(target.finest, target.coarsest), target),
                "unseen_flawed": mean_error(self.judge, unseen, target.recipe, target),
            }  # fmt: skip
            with file.with_suffix(".history.jsonl").open("a") as lines:
                lines.write(json.dumps(found) + "\n")
            np.savez(mean_file, **{str(i): w for i, w in enumerate(self.mean)})
            save_weights(file, self.judge, {**describe(target), **found})

    return Watch()


def describe(target: Target) -> Dict[str, Any]:
    """Return what a file of weights tells about itself."""
    return {
        "format": FORMAT, "name": target.name, "voxel_size": target.voxel_size, "finest": target.finest,
        "coarsest": target.coarsest, "margin": MARGIN,
    }  # fmt: skip


def mean_error(judge: Any, pieces: Pieces, recipe: Recipe, target: Target, number: int = 48) -> float:
    """Return the mean absolute error in Å of a network of `EDGE` voxels on so many pieces."""
    truth, answer = answers(judge, pieces, recipe, target, number)
    return round(float(np.mean(np.abs(answer - truth))), 4)


def answers(
    judge: Any, pieces: Pieces, recipe: Recipe, target: Target, number: int, seed: int = 1
) -> Tuple[FloatArray, FloatArray]:
    """Return truth and answer in Å of the voxels near atoms of ``number`` pieces, in the range of the target."""
    degrader = Degrader(pieces, recipe, seed)
    core = (slice(MARGIN, EDGE - MARGIN),) * 3
    truths, found = [], []
    for n in np.random.default_rng(seed).permutation(len(pieces))[:number]:
        density, truth, weight = degrader.example(int(n))
        answer = np.exp(np.asarray(judge(density[None, ..., None]))[0, ..., 0])
        counted = (weight[core] > 0) & (truth[core] >= target.finest) & (truth[core] <= target.coarsest)
        truths.append(truth[core][counted])
        found.append(np.clip(answer, target.finest, target.coarsest)[counted])
    return np.concatenate(truths), np.concatenate(found)
