"""Training of the enhancers' second step: what the first makes of simulated maps, and what it would make without noise.

The wanted density of a band has the phases of the signal alone and about the amplitude of the enhanced band: its gain
is raised by what the noise added to the amplitude, sqrt((S + N) / S) with the local powers of signal and noise, twice
at most. A band in which a map knows nothing has no gain: the network does not learn to go beyond the resolution.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from cryores.files import PathLike, appearing, sha256
from cryores.nets.cubes import Predict
from cryores.nets.denoiser import FORMAT, WIDTHS, as_shown, build_denoiser, noise_let_through
from cryores.nets.enhancer_bands import (
    BLOCK,
    CONTRAST,
    block_powers,
    described,
    weighted_bands,
    widened,
    with_gains,
)
from cryores.nets.own_enhancer import local_gains, read_enhancer, weights_file
from cryores.nets.predictor import predictor
from cryores.nets.stored_weights import arrays_of, save_weights
from cryores.nets.training.card import write_denoiser_card
from cryores.nets.training.chunks import make_missing
from cryores.nets.training.denoiser_loss import denoiser_loss
from cryores.nets.training.enhancer import CHUNK, NOISE_ONLY, SHAPE, lesson_files, map_cache, model_part
from cryores.nets.training.enhancer_maps import RECIPES, ModelMap, Pair, Simulator, fine_power
from cryores.nets.training.loop import Learner, Schedule, learnt
from cryores.nets.training.pieces import divided
from cryores.volume import FloatArray

STEPS, LESSONS, BATCH = 2700, 2500, 2
"""Batches, simulated maps (those with belts that the target has not are left out), and lessons of a batch."""

LONGEST = 0.3
"""Norm to which gradients are cut off: single maps, few a batch, differ much."""

REMEMBERED = 0.998
"""What of the weights' running mean a step leaves; the mean is kept, as single weights depend on the last maps."""

NOISIER, MOST_NOISE = 0.5, 2.2
"""Share of the maps whose noise is made stronger, and how many times at most: raw half maps have more beyond their
resolution than maps that were filtered."""

JUDGES = 16
"""Models kept aside whose lessons the network is judged by."""

MOST_WANTED = 2.0
"""Most that a wanted band is stronger than what the first step makes of its signal."""


@dataclass(frozen=True)
class DenoiserLesson:
    """An enhanced map, deviation of its noise by blocks and bands, and what it would be without; over `CONTRAST`."""

    enhanced: FloatArray
    deviation: FloatArray
    wanted: FloatArray


FIELDS = ("enhanced", "deviation", "wanted")


def denoiser_lesson(pair: Pair, enhancer: Predict, noise_is_known: bool) -> DenoiserLesson:
    """Return what is to be learnt from a pair.

    Parameters
    ----------
    pair : Pair
        A simulated map.
    enhancer : callable
        The first step, a `predictor`.
    noise_is_known : bool
        Whether the noise is that in each place, as from half maps, or the solvent's.
    """
    told = described(pair.given)
    gains, _ = local_gains(told, enhancer)
    signal, noise = (some / np.float32(told.scale.contrast) for some in (pair.signal, pair.noise))
    let_through = noise_let_through(told, gains, widened(block_powers(noise)) if noise_is_known else told.noise)
    known, unknown = fine_power(signal), fine_power(noise)
    raised = np.sqrt(np.minimum(1.0 + unknown / np.maximum(known, 1e-20), MOST_WANTED**2))
    wanted = weighted_bands(signal, (raised * gains / told.amplitude).astype(np.float32))
    parts = (with_gains(told, gains), np.sqrt(let_through), wanted)
    return DenoiserLesson(*((part / np.float32(CONTRAST)).astype(np.float32) for part in parts))


def train_on_folder(
    target: str,
    models: PathLike,
    out: PathLike,
    schedule: Schedule,
    start_from: Optional[PathLike] = None,
    processes: int = 1,
    tell: Callable[[str], None] = print,
) -> Path:
    """Train the second step of ``target`` on simulated maps, behind the first of ``out``, or else the package's.

    Parameters are those of `cryores.nets.training.enhancer.train_on_folder`, as is what is kept aside.
    """
    folder = Path(out)
    own = folder / f"enhancer-{target}.npz"
    first_step = own if own.is_file() else weights_file(target)
    training, aside = divided(models, folder)
    settings = {
        "recipe": asdict(RECIPES[target]), "seed": schedule.seed, "noise_only": NOISE_ONLY,
        "most_raised": MOST_WANTED, "noisier": [NOISIER, MOST_NOISE], "first_step": sha256(first_step),
    }  # fmt: skip
    judges = lesson_files(folder, f"denoiser-{target}-judges", 1, aside[:JUDGES], settings)[0]
    judged = _validation(aside[:JUDGES], target, schedule.seed, judges, first_step)
    map_cache(training, folder, schedule.seed)
    files = lesson_files(folder, f"denoiser-{target}-lessons", schedule.lessons, training, settings)
    make_missing(partial(_make_chunk, training, target, schedule.seed, folder, first_step), files, processes)
    lessons = [one for file in files for one in _stored(file)]
    loss = denoiser_loss(SHAPE[0])
    network, curve = learnt(
        Learner(f"denoiser-{target}", build_denoiser, FORMAT, loss, LONGEST, REMEMBERED),
        lambda seed: batches(lessons, schedule.batch, seed),
        lambda network: judge(network, judged, loss),
        folder,
        schedule,
        start_from,
        tell,
    )
    file = folder / f"denoiser-{target}.npz"
    about = {
        "format": FORMAT, "target": target, "widths": list(WIDTHS), "schedule": asdict(schedule),
        "material": "simulated maps of atomic models", "maps": len(training), "lessons": len(lessons),
        "kept_aside": len(aside), "most_noise": MOST_NOISE, "remembered": REMEMBERED,
        "started_from": Path(start_from).name if start_from else None,
        "curve": curve,
    }  # fmt: skip
    save_weights(file, arrays_of(network, np.float16), about)
    write_denoiser_card(file, about)
    return file


def _new_lesson(item: ModelMap, simulator: Simulator, enhancer: Predict) -> Optional[DenoiserLesson]:
    """Return a new lesson, or None of a map with density that the first step is to leave out: it is no noise."""
    rng = simulator.rng
    pair = simulator.pair(model_part(item, simulator.shape, rng), bool(rng.random() < NOISE_ONLY))
    noise_is_known = bool(rng.random() < 0.5)
    if rng.random() < NOISIER:
        pair = noisier(pair, float(MOST_NOISE ** rng.random()))
    if pair.belt.any() and not simulator.recipe.keeps_belt:
        return None
    return denoiser_lesson(pair, enhancer, noise_is_known)


def noisier(pair: Pair, times: float) -> Pair:
    """Return a pair with so many times the noise."""
    noise = pair.noise * np.float32(times)
    return replace(pair, given=pair.signal + noise, noise=noise)


def _validation(models: List[Path], target: str, seed: int, file: Path, first_step: Path) -> List[DenoiserLesson]:
    """Return the lessons by which the network is judged: of each model one, by fixed seeds; kept in ``file``."""
    if not file.exists():
        enhancer = predictor(read_enhancer(first_step))
        maps = map_cache(models, file.parent, seed)
        made = [_new_lesson(one, Simulator(RECIPES[target], 20_000 + n, SHAPE), enhancer) for n, one in enumerate(maps)]
        _store(file, made)
    return _stored(file)


def _store(file: Path, lessons: Sequence[Optional[DenoiserLesson]]) -> None:
    kept = [one for one in lessons if one is not None]
    with appearing(file) as unfinished:
        np.savez(unfinished, **{k: np.stack([getattr(one, k) for one in kept]).astype(np.float16) for k in FIELDS})


def _make_chunk(
    models: List[Path], target: str, seed: int, folder: Path, first_step: Path, job: Tuple[int, Path]
) -> None:
    chunk, file = job
    maps, enhancer = map_cache(models, folder, seed), predictor(read_enhancer(first_step))
    simulator = Simulator(RECIPES[target], 1000 * seed + 500 + chunk, SHAPE)
    made = [_new_lesson(maps[simulator.rng.integers(len(maps))], simulator, enhancer) for _ in range(CHUNK)]
    _store(file, made)


def _stored(file: Path) -> List[DenoiserLesson]:
    with np.load(file) as stored:
        return [DenoiserLesson(*arrays) for arrays in zip(*(stored[k] for k in FIELDS))]


def _seen(lesson: DenoiserLesson) -> Tuple[FloatArray, FloatArray]:
    """Return what the network is shown, and density wanted and given, (nz, ny, nx, 2)."""
    density, wanted = lesson.enhanced.astype(np.float32), lesson.wanted.astype(np.float32)
    shown_map = as_shown(density, np.square(lesson.deviation.astype(np.float32)))
    return shown_map, np.stack([wanted, density], axis=-1)


def batches(lessons: Sequence[DenoiserLesson], size: int, seed: int) -> Iterator[Tuple[Any, Any]]:
    """Yield endless batches of what is shown, and of density wanted and given, shifted and turned anew."""
    rng = np.random.default_rng(seed)
    while True:
        some = [_moved(lessons[rng.integers(len(lessons))], rng) for _ in range(size)]
        yield np.stack([one for one, _ in some]), np.stack([told for _, told in some])


def _moved(lesson: DenoiserLesson, rng: Any) -> Tuple[FloatArray, FloatArray]:
    """Return a lesson shifted (it is periodic) and turned by random multiples of 90 degrees."""
    pair = _seen(lesson)
    for turns, axes in zip(rng.integers(0, 4, 3), ((0, 1), (1, 2), (0, 2))):
        pair = tuple(np.rot90(array, turns, axes) for array in pair)  # type: ignore[assignment]
    shift = tuple(BLOCK * int(rng.integers(0, n // BLOCK)) for n in lesson.wanted.shape)
    shown_map, told = (np.roll(array, shift, (0, 1, 2)) for array in pair)
    return shown_map, told


def judge(network: Any, lessons: Sequence[DenoiserLesson], loss: Callable[[Any, Any], Any]) -> Dict[str, float]:
    """Return the mean loss, how much of the first step's error is left, and the correlation with what is wanted."""
    losses, left, before, after = [], [], [], []
    for lesson in lessons:
        if not lesson.wanted.any():
            continue
        seen, told = _seen(lesson)
        wanted, given = told[..., 0], told[..., 1]
        correction = np.asarray(network(seen[None], training=False))
        losses.append(float(loss(told[None], correction)[0]))
        result = given + correction[0, ..., 0]
        left.append(float(np.sum(np.square(result - wanted)) / np.sum(np.square(given - wanted))))
        before.append(float(np.corrcoef(given.ravel(), wanted.ravel())[0, 1]))
        after.append(float(np.corrcoef(result.ravel(), wanted.ravel())[0, 1]))
    return {
        "judged": float(np.mean(losses)),
        "error_left": float(np.median(left)),
        "before": float(np.median(before)),
        "correlation": float(np.median(after)),
        "worst": float(np.max(left)),
    }
