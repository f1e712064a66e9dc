"""What the estimator of `cryores.resolution.locres` learns from, in files: made side by side, and kept.

The first step learns from single voxels, of which some of every example are kept. The second needs whole examples:
every voxel of them is evaluated. Models of calibration are those that nothing is fitted to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence

import numpy as np

from cryores.execution import Execution
from cryores.resolution import _neighbourhood
from cryores.resolution._band_correlation import BandCorrelations
from cryores.resolution._band_inputs import inputs
from cryores.resolution._local_average import CoarseMaps
from cryores.resolution._locres_examples import Example, example, is_doubtful, model_of
from cryores.resolution._resolution_network import Committee, first_answers
from cryores.volume import FloatArray

Each = Callable[..., Iterator[Any]]
"""What `map` is."""

MEMBERS = 3
"""Perceptrons of either step. Each leaves out as large a share of the models."""

VOXELS_A_MAP = 300
LARGEST_NEARBY = 150000
"""Voxels of a mask up to which a map serves the second step."""

CALIBRATION_SHARE = 0.2
"""Share of the models that the network never sees, which the interval is calibrated on."""


@dataclass(frozen=True)
class Answers:
    """What a step is given at some voxels of an example, and their truth.

    Parameters
    ----------
    inputs : ndarray of float32, shape (voxels, inputs)
        Of the perceptron.
    place : ndarray of float32
        Logarithm of the frequency that its offsets are counted from.
    limit : ndarray of float32
        Truth in cycles a voxel; 0 where there is no signal.
    model, family : str
        Of the example.
    """

    inputs: FloatArray
    place: FloatArray
    limit: FloatArray
    model: str
    family: str


def for_calibration(model: str) -> bool:
    """Tell whether a model is kept for the calibration: a share of all names, the same whatever the others are."""
    return hashlib.sha256(model.encode()).digest()[0] < 256 * CALIBRATION_SHARE


def stranger_of(model: str) -> int:
    """Return which member of a committee never sees a model."""
    return hashlib.sha256(model.encode()).digest()[1] % MEMBERS


def may_serve_nearby(number: int) -> bool:
    """Tell whether an example may serve the second step: every other one, and doubtful ones, which do not the first."""
    return number % 2 == 0 or is_doubtful(number)


def serves_nearby(e: Example) -> bool:
    """Tell whether an example serves the second step."""
    return may_serve_nearby(e.number) and np.count_nonzero(e.inside) <= LARGEST_NEARBY


def some_voxels(e: Example, seed: int) -> Answers:
    """Return what the first step is given, at random voxels whose truth is known."""
    rng = np.random.default_rng((seed, 0, e.number))
    voxels = np.argwhere(e.inside & (e.limit >= 0))
    voxels = voxels[rng.permutation(len(voxels))[:VOXELS_A_MAP]]
    x, place = inputs(e.correlations, voxels, min(e.inside.shape))
    return Answers(x, place, e.limit[tuple(voxels.T)], e.model, e.family)


def answers_nearby(e: Example, bands: Committee, seed: int) -> Answers:
    """Return what the second step is given, at random voxels whose truth is known.

    It has to learn from answers as they are for models that the first step has not seen.
    """
    strangers = bands if for_calibration(e.model) else Committee((bands.members[stranger_of(e.model)],))
    rng, execution = np.random.default_rng((seed, 2, e.number)), Execution(threads=1)
    first = first_answers(e.correlations, e.inside, strangers, execution)
    around = _neighbourhood.surroundings(first, e.inside, execution.threads)
    limit = e.limit[e.inside]
    chosen = rng.permutation(np.flatnonzero(limit >= 0))[:VOXELS_A_MAP]
    x, nearby = around.inputs(np.argwhere(e.inside)[chosen], chosen)
    return Answers(x, nearby, limit[chosen], e.model, e.family)


# --- in files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lessons:
    """Lessons of a seed, in files of a folder.

    Parameters
    ----------
    models : sequence of Path
        Atomic models.
    seed : int
        Of everything random.
    folder : Path
        Where they are kept.
    """

    models: Sequence[Path]
    seed: int
    folder: Path

    def make(self, number: int) -> None:
        """Make a lesson, unless that was done."""
        if self._voxels(number).exists() or self._none(number).exists():
            return
        model = model_of(self.models, self.seed, number)[0].name
        # The first step never sees models of calibration: what does not serve the second serves nobody.
        wanted = may_serve_nearby(number) or not for_calibration(model)
        made = example(self.models, self.seed, number) if wanted else None
        if made is None:
            self._none(number).touch()
            return
        if serves_nearby(made):
            _save(self._whole(number), _parts(made))
        # Last: it says that all is there.
        some = some_voxels(made, self.seed)
        _save(self._voxels(number), vars(some))

    def make_all(self, count: int, each: Each) -> None:
        """Make lessons 0 ... ``count`` - 1, with a ``map`` that may do several at a time."""
        for _ in each(self.make, range(count)):
            pass

    def voxels(self, count: int) -> Iterator[Answers]:
        """Return what the first step learns from, of lessons 0 ... ``count`` - 1."""
        for number in range(count):
            if self._voxels(number).exists():
                with np.load(self._voxels(number)) as kept:
                    yield Answers(kept["inputs"], kept["place"], kept["limit"], str(kept["model"]), str(kept["family"]))

    def serving_nearby(self, count: int) -> Sequence[int]:
        """Return which of lessons 0 ... ``count`` - 1 serve the second step."""
        return [number for number in range(count) if self._whole(number).exists()]

    def nearby(self, bands: Committee, number: int) -> Answers:
        """Return what the second step learns from, or is calibrated on, of a lesson."""
        return answers_nearby(self.whole(number), bands, self.seed)

    def all_nearby(self, bands: Committee, count: int, each: Each) -> List[Answers]:
        """Return the same of all that serve the second step, of lessons 0 ... ``count`` - 1."""
        return list(each(partial(self.nearby, bands), self.serving_nearby(count)))

    def whole(self, number: int) -> Example:
        """Return a lesson that serves the second step."""
        with np.load(self._whole(number)) as kept:
            maps = CoarseMaps(*(kept[field.name] for field in fields(CoarseMaps)))
            found = BandCorrelations(maps, kept["strong"])
            return Example(found, kept["inside"], kept["limit"], str(kept["model"]), str(kept["family"]), number)

    def _whole(self, number: int) -> Path:
        return self.folder / f"{self.seed}-{number:05d}-whole.npz"

    def _voxels(self, number: int) -> Path:
        return self.folder / f"{self.seed}-{number:05d}-voxels.npz"

    def _none(self, number: int) -> Path:
        return self.folder / f"{self.seed}-{number:05d}.none"


def _parts(e: Example) -> Any:
    found = e.correlations
    return {
        **vars(found.maps), "strong": found.strong, "inside": e.inside, "limit": e.limit, "model": e.model,
        "family": e.family,
    }  # fmt: skip


def _save(path: Path, arrays: Any) -> None:
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **arrays)
    partial.rename(path)
