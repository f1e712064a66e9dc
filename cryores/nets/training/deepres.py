"""Training of our own DeepRes: ``cryores train deepres --models DIR --out DIR``.

Pieces of models are degraded and described by the fixed part of the network, once; then the head learns from the
descriptions. Both stages go on where they were stopped, and end as if they had not been; what another seed, other
models or settings made in the same folder lies apart.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import numpy as np

from cryores.files import appearing
from cryores.nets import load_keras
from cryores.nets.homogeneous import ANSWERS, FREQUENCIES, MOMENTS, ODD, RADII, Describer, head, resolutions
from cryores.nets.own_deepres import BOUNDS, COUNTED, FORMAT, LEARNED, WEIGHT_FILES, Reading
from cryores.nets.stored_weights import arrays_of, save_weights
from cryores.nets.training.card import write_card
from cryores.nets.training.chunks import make_missing
from cryores.nets.training.degraded import Degrader, Recipe, clean
from cryores.nets.training.pieces import EDGE, Pieces, divided, pieces_of
from cryores.nets.training.state import keep, key, restore
from cryores.volume import BoolArray, FloatArray

CHUNK = 200
"""Pieces that are described together."""

CLEAN_EVERY = 5
"""One chunk in so many is of maps without a flaw."""

CARVED_EVERY, CARVED = 5, 0.6
"""In one more chunk of so many, such a share of the maps is cut out around the atoms."""

VOXELS = 120
"""Voxels of a degraded piece that are learned from."""

BATCH, EPOCHS = 1024, 8
LEARNING_RATE = 3e-3
BLUR = 0.1
"""Standard deviation of the noise that is added to the descriptions (scaled to 1) while the head learns: real maps do
not look exactly like simulated ones."""

GAIN = 0.4
"""Standard deviation of what is added to the logarithm of a band's power, in all balls alike: spectra of real maps are
less smooth than simulated ones, and no single band shall decide."""

COMMON = (1.0, 99.0)
"""Percentiles of the lessons beyond which a description counts as if it were there: beyond, nothing was learned."""

WITH_REST, REST, REST_TILT, REST_UNEVEN = 0.4, (-6.0, -1.5), 1.0, (1.4, 2.2)
"""Share of the lessons that are given a rest of power in all bands, as steps at cuts leave it; the range of its
logarithm, how much it may rise or fall over the bands, and how uneven it is."""

JUDGED, TIMES = 924, 4
"""Degraded pieces of the models kept aside that a network is judged by, a piece at most so many times: in fewer, what
is said of a bin of flawed maps hangs on a handful of pieces."""

LESSONS = 5000
"""Degraded pieces that the networks of the package learned from."""

KNOTS, KEPT_STRAIGHT, FEWEST = 14, 0.3, 300
"""Of the curve by which answers are straightened: its knots, even in their logarithm; how much a factor other than 1
weighs against a bias; and the voxels that a bias needs."""

BEYOND = 1.15
"""The answers reach so many times beyond the range of the training, since sharpening moves the truth."""


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
    def bounds(self) -> FloatArray:
        """Of the bins of resolution that it tells apart, in Å."""
        return resolutions(self.trained_finest / BEYOND, self.trained_coarsest * BEYOND)

    @property
    def recipe(self) -> Recipe:
        """What is done to its training maps."""
        return Recipe(self.trained_finest, self.trained_coarsest)


TARGETS = {
    "2.5-13": Target("low", 1.0, 2.5, 13.0, *LEARNED[1.0]),
    "1.5-6": Target("high", 0.5, 1.5, 6.0, *LEARNED[0.5]),
}
"""By the range of its answers."""


def train(
    target: Target,
    models: Union[str, os.PathLike[str]],
    out: Union[str, os.PathLike[str]],
    lessons: int = LESSONS,
    seed: int = 0,
    threads: int = 1,
    cache: Optional[Union[str, os.PathLike[str]]] = None,
    tell: Callable[[str], None] = lambda line: None,
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
    tell : callable
        Receives a line of progress now and then.

    Returns
    -------
    Path
        The file of weights.
    """
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    folder = Path(out)
    tell(f"{target.name}: cutting pieces")
    seen, aside = divided(models, folder)
    store = Path(cache) if cache else folder / "pieces"
    unseen = pieces_of(aside, target.voxel_size, store, "validation", seed + 1_000_000, threads)
    cut = pieces_of(seen, target.voxel_size, store, "training", seed, threads)
    workplace = _workplace(folder, target, cut, lessons, seed)
    described = _all_described(cut, target, workplace, lessons, seed, threads, tell)
    counted = common(described.lessons)
    shown = np.clip(with_rest(described.lessons, np.random.default_rng([seed, lessons])), *counted)
    learned, losses = _fitted_head(shown, described.truth, target, seed, workplace / "state.npz", tell)
    arrays = {**arrays_of(learned), COUNTED: counted, BOUNDS: target.bounds}
    arrays[BOUNDS] = straightened(Reading(arrays)(described.lessons)[0], described, target)
    told: Dict[str, Any] = {
        "format": FORMAT, "name": target.name, "voxel_size": target.voxel_size, "finest": target.finest,
        "coarsest": target.coarsest, "seed": seed, "lessons": lessons, "models": len(seen), "kept_aside": len(aside),
        "loss": losses,
    }  # fmt: skip
    tell(f"{target.name}: judging")
    told.update(judged(Reading(arrays), unseen, target, min(JUDGED, TIMES * len(unseen))))
    file = folder / WEIGHT_FILES[target.voxel_size]
    save_weights(file, arrays, told)
    write_card(file, told)
    return file


def _workplace(folder: Path, target: Target, pieces: Pieces, lessons: int, seed: int) -> Path:
    """Return the folder of what is made on the way: another one for another seed, other pieces or settings."""
    settings = {
        "format": FORMAT, "range": asdict(target), "recipe": asdict(target.recipe), "pieces": pieces.base.name,
        "lessons": lessons, "chunk": CHUNK, "voxels": VOXELS, "seed": seed,
    }  # fmt: skip
    place = folder / f"{target.name}-{key(settings)}"
    place.mkdir(exist_ok=True)
    (place / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return place


# --- describing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Described:
    """Descriptions of voxels, shape (voxels, features), their truth in Å, and whether their map had no flaw."""

    lessons: FloatArray
    truth: FloatArray
    flawless: BoolArray


def _all_described(
    pieces: Pieces, target: Target, folder: Path, lessons: int, seed: int, threads: int, tell: Callable[[str], None]
) -> Described:
    files = [folder / f"described-{number:03d}.npz" for number in range(-(-lessons // CHUNK))]
    describing = partial(_describe_chunk, pieces.base, target, lessons, seed)
    make_missing(describing, files, threads, lambda line: tell(f"{target.name}: described {line}"))
    stored = [np.load(file) for file in files]
    descriptions, truth = (np.concatenate([s[what] for s in stored]) for what in ("described", "truth"))
    flawless = np.concatenate([np.full(len(s["truth"]), _is_flawless(number)) for number, s in enumerate(stored)])
    # A few models with extreme B-factors make pieces that are not finite.
    told = np.isfinite(descriptions).all(axis=1)
    return Described(descriptions[told], truth[told], flawless[told])


def _is_flawless(chunk: int) -> bool:
    return chunk % CLEAN_EVERY == CLEAN_EVERY - 1


def _describe_chunk(base: Path, target: Target, lessons: int, seed: int, chunk: Tuple[int, Path]) -> None:
    number, file = chunk
    recipe = target.recipe
    if _is_flawless(number):
        recipe = clean(recipe.finest, recipe.coarsest)
    elif number % CARVED_EVERY == CARVED_EVERY // 2:
        recipe = replace(recipe, carved=CARVED)
    chosen = np.random.default_rng([seed, number])
    described, truth = describe(Pieces.stored(base), recipe, min(CHUNK, lessons - number * CHUNK), chosen)
    with appearing(file) as unfinished:
        np.savez(unfinished, described=described, truth=truth)


def describe(pieces: Pieces, recipe: Recipe, number: int, rng: np.random.Generator) -> Tuple[FloatArray, FloatArray]:
    """Degrade so many pieces; return what describes some voxels near atoms, (voxels, features), and their truth."""
    degrader, described = Degrader(pieces, recipe, int(rng.integers(2**31))), Describer(EDGE, periodic=True)
    found, truths = [], []
    # Every piece is as likely, but none comes again before all others have come.
    order = np.concatenate([rng.permutation(len(pieces)) for _ in range(-(-number // len(pieces)))])[:number]
    for piece in order:
        density, truth, weight = degrader.example(int(piece))
        near = np.argwhere(weight > 0)
        chosen = tuple(near[rng.permutation(len(near))[:VOXELS]].T)
        size = np.sqrt(np.mean(np.square(density[weight > 0], dtype=np.float64)))
        found.append(described(density / np.float32(size), chosen))
        truths.append(truth[chosen])
    return np.concatenate(found), np.concatenate(truths)


# --- learning -----------------------------------------------------------------------------------------------------


def _fitted_head(
    lessons: FloatArray, truth: FloatArray, target: Target, seed: int, state: Path, tell: Callable[[str], None]
) -> Tuple[Any, List[float]]:
    import keras

    middle, width = lessons.mean(axis=0), lessons.std(axis=0) + 1e-6
    learned = head()
    blurred = keras.layers.GaussianNoise(BLUR, seed=0)(learned.inputs[0])
    model = keras.Model(learned.inputs[0], learned(_gained(blurred, width)))
    steps = EPOCHS * -(-len(truth) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(schedule), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    logs = np.log(target.bounds)
    place = np.clip((np.log(truth) - logs[0]) / (logs[1] - logs[0]), 0.5, ANSWERS - 0.5).astype(np.float32)
    scaled = ((lessons - middle) / width).astype(np.float32)
    # Those of the noise are among them.
    variables = [*model.variables, *model.optimizer.variables]
    losses = restore(variables, state)["losses"].tolist() if state.exists() else []
    for epoch in range(len(losses), EPOCHS):
        order = np.random.default_rng([seed, epoch]).permutation(len(place))
        told = model.fit(scaled[order], place[order], batch_size=BATCH, shuffle=False, verbose=0)
        losses.append(round(told.history["loss"][0], 4))
        keep(variables, state, losses=losses)
        tell(f"{target.name}: epoch {epoch + 1} of {EPOCHS}, loss {losses[-1]:.4f}")
    first = learned.layers[0]
    kernel, bias = first.get_weights()
    first.set_weights([kernel / width[:, None], bias - (middle / width) @ kernel])
    return learned, losses


def straightened(answer: FloatArray, described: Described, target: Target) -> FloatArray:
    """Return the bounds of the bins in Å, moved until the answers to the lessons of each truth have that truth as mean.

    A median leans towards where the resolutions lie closer. ``answer`` is what the head says of the lessons; clean and
    flawed ones count the same.
    """
    bounds = target.bounds
    knots = np.geomspace(bounds[0], bounds[-1], KNOTS)
    rows = [KEPT_STRAIGHT * np.eye(KNOTS)]
    wanted = [np.full(KNOTS, KEPT_STRAIGHT)]
    width = 0.5 * target.voxel_size
    for low in np.arange(target.finest, target.trained_coarsest, width):
        for kind in (True, False):
            here = (described.truth >= low) & (described.truth < low + width) & (described.flawless == kind)
            if np.count_nonzero(here) > FEWEST:
                mean_truth = described.truth[here].mean()
                shares = [np.interp(answer[here], knots, hat * knots).mean() for hat in np.eye(KNOTS)]
                rows.append(np.array([shares]) / mean_truth)
                wanted.append(np.ones(1))
    factors = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]
    return np.maximum.accumulate(np.interp(bounds, knots, factors * knots))


def common(lessons: FloatArray) -> FloatArray:
    """Return the least and the largest value of each number of a description that count, shape (2, FEATURES)."""
    return np.asarray(np.percentile(lessons, COMMON, axis=0), dtype=np.float32)


def with_rest(lessons: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the descriptions, some of which as if a little of everything had been added to the map."""
    chosen = np.flatnonzero(rng.random(len(lessons)) < WITH_REST)
    bands, balls, count = len(FREQUENCIES), len(RADII), len(chosen)
    x = lessons[chosen].reshape(count, bands, MOMENTS)
    tilt = rng.uniform(-REST_TILT, REST_TILT, (count, 1, 1)) * np.linspace(-1.0, 1.0, bands)[:, None]
    level = rng.uniform(*REST, (count, 1, 1)) + tilt
    powers = np.logaddexp(x[..., :balls], level)
    kept = np.exp(x[..., :balls] - powers)[..., -len(ODD) :]
    x[..., :balls] = powers
    x[..., balls::2] *= kept**1.5
    x[..., balls + 1 :: 2] += (1.0 - kept) * (rng.uniform(*REST_UNEVEN, (count, 1, 1)) - x[..., balls + 1 :: 2])
    result = lessons.copy()
    result[chosen] = x.reshape(count, -1)
    return result


def _gained(descriptions: Any, width: FloatArray) -> Any:
    """Add noise to the power of each band, the same in all balls; ``descriptions`` are in units of ``width``."""
    import keras

    spread = np.zeros((len(FREQUENCIES), len(FREQUENCIES), MOMENTS), dtype=np.float32)
    spread[np.arange(len(FREQUENCIES)), np.arange(len(FREQUENCIES)), : len(RADII)] = 1.0
    noise = keras.layers.GaussianNoise(GAIN, seed=1)(keras.ops.zeros_like(descriptions)[:, : len(FREQUENCIES)])
    return descriptions + keras.ops.matmul(noise, spread.reshape(len(FREQUENCIES), -1) / width.astype(np.float32))


def loss(place: Any, logits: Any) -> Any:
    """Return minus the log-likelihood of the truth's place among the bins, shared between the two nearest."""
    from keras import ops

    # Keras may or may not have given the truth a last axis.
    middles = ops.arange(ANSWERS, dtype="float32") + 0.5
    share = ops.maximum(1.0 - ops.abs(middles - ops.reshape(place, (-1, 1))), 0.0)
    return -ops.sum(share * ops.log_softmax(logits, axis=-1), axis=-1)


# --- judging ------------------------------------------------------------------------------------------------------


def judged(reading: Reading, unseen: Pieces, target: Target, number: int, seed: int = 1) -> Dict[str, Any]:
    """Return what a network is worth on models that it never saw.

    Returns
    -------
    dict
        ``judged``: ``number``; ``clean`` and ``flawed``: see `accuracy`; ``standard_error``: what the expected error
        is multiplied by, so that 68.3 % of the errors on flawed maps are smaller.
    """
    found: Dict[str, Any] = {"judged": number}
    for name, recipe in (("clean", clean(target.finest, target.coarsest)), ("flawed", flawed(target))):
        truth, answer, expected = answers(reading, unseen, recipe, target, number, seed)
        found[name] = accuracy(truth, answer, target)
    return {**found, "standard_error": round(float(np.percentile(np.abs(answer - truth) / expected, 68.3)), 3)}


def flawed(target: Target) -> Recipe:
    """Return the recipe of maps with every flaw, but neither over-sharpened nor blurred: their truth is the limit."""
    return replace(target.recipe, sharpened=0.0)


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
    reading: Reading, pieces: Pieces, recipe: Recipe, target: Target, number: int, seed: int
) -> Tuple[FloatArray, FloatArray, FloatArray]:
    """Return truth, answer and expected error in Å, of voxels near atoms of ``number`` pieces.

    Only where the truth is in the range of the target; answers reach as far as the lessons, as users get them.
    """
    lessons, truth = describe(pieces, recipe, number, np.random.default_rng(seed))
    counted = (truth >= target.finest) & (truth <= target.coarsest) & np.isfinite(lessons).all(axis=1)
    answer, expected = reading(lessons[counted])
    return truth[counted], np.clip(answer, target.trained_finest, target.trained_coarsest), expected
