"""Training of the enhancers' second step: what the first makes of simulated maps, and what it would make without noise.

The wanted density of a band has the phases of the signal alone and about the amplitude of the enhanced band: its gain
is raised by what the noise added to the amplitude, sqrt((S + N) / S) with the local powers of signal and noise, twice
at most. A band in which a map knows nothing has no gain: the network does not learn to go beyond the resolution.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    spread_over_voxels,
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
from cryores.nets.training.pieces import listed_models, split
from cryores.volume import FloatArray

STEPS, LESSONS, BATCH = 1500, 425, 1
"""Batches, simulated maps (those with belts that the target has not are left out), and lessons of a batch."""

LONGEST = 0.3
"""Norm to which gradients are cut off: single maps, a batch each, differ much."""

JUDGES = 8
"""Models kept aside whose lessons the network is judged by."""

MOST_WANTED = 2.0
"""Most that a wanted band is stronger than what the first step makes of its signal."""


@dataclass(frozen=True)
class DenoiserLesson:
    """An enhanced map, deviation of its noise by blocks, and what it would be without; all over `CONTRAST`."""

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
    deviation = np.sqrt(let_through.sum(axis=-1))
    parts = (with_gains(told, gains), deviation, wanted)
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
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f"enhancer-{target}.npz"
    first_step = own if own.is_file() else weights_file(target)
    training, aside = split(listed_models(models))
    (folder / "kept-aside.txt").write_text("".join(f"{path.name}\n" for path in aside))
    settings = {
        "recipe": asdict(RECIPES[target]), "seed": schedule.seed, "noise_only": NOISE_ONLY,
        "most_raised": MOST_WANTED, "first_step": sha256(first_step),
    }  # fmt: skip
    judges = lesson_files(folder, f"denoiser-{target}-judges", 1, aside[:JUDGES], settings)[0]
    judged = _validation(aside[:JUDGES], target, schedule.seed, judges, first_step)
    map_cache(training, folder, schedule.seed)
    files = lesson_files(folder, f"denoiser-{target}-lessons", schedule.lessons, training, settings)
    make_missing(partial(_make_chunk, training, target, schedule.seed, folder, first_step), files, processes)
    lessons = [one for file in files for one in _stored(file)]
    network, curve = learnt(
        Learner(f"denoiser-{target}", build_denoiser, FORMAT, denoiser_loss(SHAPE[0]), LONGEST),
        lambda seed: batches(lessons, schedule.batch, seed),
        lambda network: judge(network, judged),
        folder,
        schedule,
        start_from,
        tell,
    )
    file = folder / f"denoiser-{target}.npz"
    about = {
        "format": FORMAT, "target": target, "widths": list(WIDTHS), "schedule": asdict(schedule),
        "material": "simulated maps of atomic models", "maps": len(training), "lessons": len(lessons),
        "kept_aside": len(aside), "started_from": Path(start_from).name if start_from else None,
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
    if pair.belt.any() and not simulator.recipe.keeps_belt:
        return None
    return denoiser_lesson(pair, enhancer, noise_is_known)


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
    shown_map = as_shown(density, spread_over_voxels(lesson.deviation.astype(np.float32)))
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


def judge(network: Any, lessons: Sequence[DenoiserLesson]) -> Dict[str, float]:
    """Return how much of the first step's error is left, and the correlation with what is wanted before and after."""
    left, before, after = [], [], []
    for lesson in lessons:
        if not lesson.wanted.any():
            continue
        seen, told = _seen(lesson)
        wanted, given = told[..., 0], told[..., 1]
        result = given + np.asarray(network(seen[None], training=False))[0, ..., 0]
        left.append(float(np.sum(np.square(result - wanted)) / np.sum(np.square(given - wanted))))
        before.append(float(np.corrcoef(given.ravel(), wanted.ravel())[0, 1]))
        after.append(float(np.corrcoef(result.ravel(), wanted.ravel())[0, 1]))
    return {
        "error_left": float(np.median(left)),
        "before": float(np.median(before)),
        "correlation": float(np.median(after)),
        "worst": float(np.max(left)),
    }
