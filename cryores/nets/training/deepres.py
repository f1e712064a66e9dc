"""Training of our own DeepRes: ``cryores train deepres --models DIR --out DIR``.

Pieces of models are degraded and described by the fixed part of the network, once; then the head learns from the
descriptions. Both stages go on where they were stopped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from cryores.nets import load_keras
from cryores.nets.homogeneous import MARGIN, features, head, network
from cryores.nets.own_deepres import FORMAT, WEIGHT_FILES
from cryores.nets.stored_weights import save_weights
from cryores.nets.training.card import write_card
from cryores.nets.training.degraded import Degrader, Recipe, clean
from cryores.nets.training.pieces import EDGE, Pieces, listed_models, pieces_of, split
from cryores.volume import FloatArray

CHUNK = 200
"""Pieces that are described together."""

CLEAN_EVERY = 5
"""One chunk in so many is of maps without a flaw."""

VOXELS = 120
"""Voxels of a degraded piece that are learned from."""

BATCH, EPOCHS = 1024, 30
LEARNING_RATE = 3e-3
LESSONS = 7000
"""Degraded pieces that the networks of the package learned from."""

ERROR_SHARE = 0.1
"""Weight of the expected error's likelihood in the loss."""

CORE = (slice(MARGIN, EDGE - MARGIN),) * 3
"""The voxels of a piece that the network answers for."""


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


TARGETS = {"2.5-13": Target("low", 1.0, 2.5, 13.0, 2.1, 15.0), "1.5-6": Target("high", 0.5, 1.5, 6.0, 1.1, 7.0)}
"""By the range of its answers."""


def train(
    target: Target,
    models: Union[str, os.PathLike[str]],
    out: Union[str, os.PathLike[str]],
    lessons: int = LESSONS,
    seed: int = 0,
    threads: int = 1,
    cache: Optional[Union[str, os.PathLike[str]]] = None,
) -> Path:
    """Train a network and write its weights and the list of models that it never saw.

    Parameters
    ----------
    target : Target
        What it is for.
    models : path
        Folder of atomic models.
    out : path
        Folder for the weights, the descriptions and the checkpoint; a training that was interrupted goes on.
    lessons : int
        Degraded pieces.
    seed : int
        Of everything random.
    threads : int
        Processes that cut and describe the pieces.
    cache : path, optional
        Folder for the pieces; default, ``pieces`` in ``out``.

    Returns
    -------
    Path
        The file of weights.
    """
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    seen, aside = split(listed_models(models))
    (folder / "kept-aside.txt").write_text("".join(f"{path.name}\n" for path in aside))
    store = Path(cache) if cache else folder / "pieces"
    unseen = pieces_of(aside, target.voxel_size, store, "validation", seed + 1_000_000, threads)
    described, truth = _descriptions(
        pieces_of(seen, target.voxel_size, store, "training", seed, threads), target, folder, lessons, seed, threads
    )
    file = folder / WEIGHT_FILES[target.voxel_size]
    learned, losses = _fitted_head(described, truth, target, folder / f"checkpoint-{target.name}")
    judge = network(EDGE)
    for layer in learned.layers:
        judge.get_layer(layer.name).set_weights(layer.get_weights())
    told: Dict[str, Any] = {
        "format": FORMAT, "name": target.name, "voxel_size": target.voxel_size, "finest": target.finest,
        "coarsest": target.coarsest, "seed": seed, "lessons": lessons, "models": len(seen), "kept_aside": len(aside),
        "loss": losses,
    }  # fmt: skip
    told.update(judged(judge, unseen, target))
    save_weights(file, judge, told)
    write_card(file, told)
    return file


# --- describing ---------------------------------------------------------------------------------------------------


def _descriptions(
    pieces: Pieces, target: Target, folder: Path, lessons: int, seed: int, threads: int
) -> Tuple[FloatArray, FloatArray]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    files = [folder / f"described-{target.name}-{number:03d}.npz" for number in range(-(-lessons // CHUNK))]
    missing = [(number, file) for number, file in enumerate(files) if not file.is_file()]
    work = partial(_describe_chunk, pieces.base, target, seed)
    if threads == 1:
        for one in missing:
            work(one)
    elif missing:
        with ProcessPoolExecutor(threads, mp_context=get_context("spawn")) as pool:
            list(pool.map(work, missing))
    stored = [np.load(file) for file in files]
    described, truth = (np.concatenate([s[what] for s in stored]) for what in ("described", "truth"))
    # A few models with extreme B-factors make pieces that are not finite.
    told = np.isfinite(described).all(axis=1)
    return described[told], truth[told]


def _describe_chunk(base: Path, target: Target, seed: int, chunk: Tuple[int, Path]) -> None:
    load_keras()
    number, file = chunk
    recipe = target.recipe
    if number % CLEAN_EVERY == CLEAN_EVERY - 1:
        recipe = clean(recipe.finest, recipe.coarsest)
    described, truth = describe(Pieces.stored(base), recipe, CHUNK, [seed, number])
    unfinished = file.with_suffix(".part.npz")
    np.savez(unfinished, described=described, truth=truth)
    os.replace(unfinished, file)


def describe(pieces: Pieces, recipe: Recipe, number: int, seed: List[int]) -> Tuple[FloatArray, FloatArray]:
    """Degrade so many pieces; return what describes some voxels near atoms, (voxels, features), and their truth."""
    rng = np.random.default_rng(seed)
    fixed = features(EDGE)
    fixed.compile(jit_compile=False)
    degrader = Degrader(pieces, recipe, int(rng.integers(2**31)))
    found, truths = [], []
    for piece in rng.integers(0, len(pieces), number):
        density, truth, weight = degrader.example(int(piece))
        near = np.argwhere(weight[CORE] > 0)
        chosen = tuple(near[rng.permutation(len(near))[:VOXELS]].T)
        found.append(np.asarray(fixed.predict_on_batch(density[None, ..., None]))[0][chosen])
        truths.append(truth[CORE][chosen])
    return np.concatenate(found), np.concatenate(truths)


# --- learning -----------------------------------------------------------------------------------------------------


def _fitted_head(described: FloatArray, truth: FloatArray, target: Target, checkpoint: Path) -> Tuple[Any, List[float]]:
    import keras

    middle, width = described.mean(axis=0), described.std(axis=0) + 1e-6
    model = head(float(np.sqrt(target.finest * target.coarsest)))
    steps = EPOCHS * (len(truth) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(schedule), loss, jit_compile=False)
    kept = keras.callbacks.BackupAndRestore(str(checkpoint), delete_checkpoint=False)
    history = model.fit(
        (described - middle) / width, truth, batch_size=BATCH, epochs=EPOCHS, callbacks=[kept], verbose=0
    )
    first = model.layers[0]
    kernel, bias = first.get_weights()
    first.set_weights([kernel / width[:, None], bias - (middle / width) @ kernel])
    return model, [round(value, 4) for value in history.history.get("loss", [])]


def loss(truth: Any, answer: Any) -> Any:
    """Return |error| / sqrt(truth) of the first answer, and of the second the likelihood of just that error.

    The first lies between the relative and the absolute error; the second is of Laplace's distribution, and does not
    move the first answer.
    """
    from keras import ops

    # Keras may or may not have given the truth a last axis.
    truth = ops.reshape(truth, (-1,))
    error = ops.abs(ops.exp(ops.minimum(answer[:, 0], 4.0)) - truth)
    expected = ops.maximum(answer[:, 1], -5.0)
    surprise = ops.stop_gradient(error) * ops.exp(-expected) + expected
    return error / ops.sqrt(truth) + ERROR_SHARE * surprise


# --- judging ------------------------------------------------------------------------------------------------------


def judged(judge: Any, unseen: Pieces, target: Target, number: int = 231, seed: int = 1) -> Dict[str, Any]:
    """Return what a network of `EDGE` voxels is worth on models that it never saw.

    Returns
    -------
    dict
        ``clean`` and ``flawed``: see `accuracy`; ``standard_error``: what the expected error is multiplied by, so that
        68.3 % of the errors on flawed maps are smaller.
    """
    found: Dict[str, Any] = {}
    for name, recipe in (("clean", clean(target.finest, target.coarsest)), ("flawed", target.recipe)):
        truth, answer, expected = answers(judge, unseen, recipe, target, number, seed)
        found[name] = accuracy(truth, answer, target)
    return {**found, "standard_error": round(float(np.percentile(np.abs(answer - truth) / expected, 68.3)), 3)}


def accuracy(truth: FloatArray, answer: FloatArray, target: Target) -> Dict[str, Any]:
    """Return the mean absolute error in Å, and per bin: its start, voxels, error, bias, median answer and truth."""
    width = target.voxel_size
    rows = []
    for low in np.arange(target.finest, target.coarsest, width):
        here = (truth >= low) & (truth < low + width)
        if np.count_nonzero(here) > 100:
            error = answer[here] - truth[here]
            numbers = (np.abs(error).mean(), error.mean(), np.median(answer[here]), np.median(truth[here]))
            rows.append([float(low), int(here.sum()), *(round(float(value), 3) for value in numbers)])
    return {"mean_absolute_error": round(float(np.mean(np.abs(answer - truth))), 4), "bins": rows}


def answers(
    judge: Any, pieces: Pieces, recipe: Recipe, target: Target, number: int, seed: int
) -> Tuple[FloatArray, FloatArray, FloatArray]:
    """Return truth, answer and expected error in Å, of the voxels near atoms of ``number`` pieces.

    Only where the truth is in the range of the target.
    """
    degrader = Degrader(pieces, recipe, seed)
    judge.compile(jit_compile=False)
    found = []
    for n in np.random.default_rng(seed).permutation(len(pieces))[:number]:
        density, truth, weight = degrader.example(int(n))
        told = np.exp(np.asarray(judge.predict_on_batch(density[None, ..., None]))[0])
        truth = truth[CORE]
        counted = (weight[CORE] > 0) & (truth >= target.finest) & (truth <= target.coarsest)
        found.append((truth[counted], np.clip(told[counted, 0], target.finest, target.coarsest), told[counted, 1]))
    truths, answer, expected = (np.concatenate(part) for part in zip(*found))
    return truths, answer, expected
