"""The estimator of `cryores.resolution.locres`: local correlations -> a distribution over resolutions.

Two steps. In the first, small perceptrons tell, from the correlations of bands about the rough place of a voxel
(`cryores.resolution._band_inputs`), how likely the resolution is finer than each of a row of frequencies. Each was
fitted to two thirds of the models; they agree on the mean of their log odds. In the second step, others correct it by
the answers around the voxel (`cryores.resolution._neighbourhood`). Median and interval are read from their
distribution, given that there is signal; where they disagree, the interval is wider.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence, Tuple
from zipfile import BadZipFile

import numba
import numpy as np
import numpy.typing as npt

from cryores.errors import WeightsError
from cryores.execution import Execution, share_out
from cryores.fourier import Float64
from cryores.resolution._band_correlation import BandCorrelations
from cryores.resolution._band_inputs import PROFILE, inputs, profiles
from cryores.resolution._neighbourhood import Estimate, FirstAnswers, offsets, surroundings
from cryores.resolution._resolution_distribution import NYQUIST, log_medians, monotonic, told_by
from cryores.volume import BoolArray, FloatArray

DISAGREEMENT = 6.0
"""Standard deviations of the medians of a committee that are added, in squares, to the width of its interval."""

LEAST_WIDTH = 1e-3
"""Of an interval, in logarithms of frequencies, lest it be divided by nothing."""

ROWS_AT_ONCE = 2048
WEIGHTS = Path(__file__).parent.parent / "weights" / "locres.npz"


def first_offsets() -> Float64:
    """Return the offsets in ln(frequency) from the rough place at which the first distribution is known, falling."""
    half = np.linspace(0.0, 1.0, 17)[1:] ** 1.5
    result: Float64 = np.concatenate([half[::-1], [0.0], -half, [-1.3, -1.7]])
    return result


@dataclass(frozen=True)
class Perceptron:
    """Three layers with rectifiers between them; what comes out are log odds.

    Parameters
    ----------
    weights, biases : tuple of ndarray of float32
        Of each layer: (inputs, outputs) and (outputs,).
    """

    weights: Tuple[FloatArray, ...]
    biases: Tuple[FloatArray, ...]

    def after_first_layer(self, x: FloatArray) -> FloatArray:
        """Return the answers to what the first layer makes of rows of inputs."""
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1]):
            x = x @ weight
            _rectify(x, bias)
        x = x @ self.weights[-1]
        x += self.biases[-1]
        return x


@dataclass(frozen=True)
class Committee:
    """Perceptrons that answer the same question and agree on the mean of their log odds.

    Parameters
    ----------
    members : tuple of Perceptron
        Fitted to different models: what one of them knows by heart the others do not.
    """

    members: Tuple[Perceptron, ...]

    def likely(self, x: FloatArray) -> FloatArray:
        """Return the probabilities for rows of inputs."""
        return _likely(self.log_odds(x))

    def log_odds(self, x: FloatArray) -> List[FloatArray]:
        """Return the log odds of each member for rows of inputs."""
        weight, bias, ends = self._first_layers
        x = x @ weight
        _rectify(x, bias)
        return [member.after_first_layer(own) for member, own in zip(self.members, np.split(x, ends, axis=1))]

    @cached_property
    def _first_layers(self) -> Tuple[FloatArray, FloatArray, List[int]]:
        """Those of all members side by side, and where each but the last ends: one product of matrices for all."""
        bias = [member.biases[0] for member in self.members]
        weight = np.concatenate([member.weights[0] for member in self.members], axis=1)
        return weight, np.concatenate(bias), np.cumsum([len(b) for b in bias])[:-1].tolist()


def _likely(log_odds: Sequence[FloatArray]) -> FloatArray:
    """Return the probabilities that log odds agree on."""
    mean = log_odds[0].copy()
    for others in log_odds[1:]:
        mean += others
    _from_log_odds(mean, np.float32(1.0 / len(log_odds)))
    return mean


@dataclass(frozen=True)
class Network:
    """The perceptrons of both steps, and what makes the interval hold what it promises.

    Parameters
    ----------
    bands, nearby : Committee
        Of the first step and the second.
    widening : ndarray of float64, shape (2, places)
        Widths of intervals, logarithms of highest over lowest frequency, rising, and by what the way from the median to
        either end of such an interval, in logarithms, is multiplied.
    """

    bands: Committee
    nearby: Committee
    widening: Float64

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read a network.

        Raises
        ------
        WeightsError
            ``E_WEIGHTS`` if the file is missing or no network.
        """
        try:
            # Opened here, so that it is closed even when it is no archive.
            with open(path, "rb") as file, np.load(file) as stored:
                parts = [Committee(tuple(_members(stored, part))) for part in ("bands", "nearby")]
                widening = stored["widening"]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise WeightsError(
                "E_WEIGHTS", f"{path} holds no network of locres ({error})", "install cryores again, or train it"
            ) from error
        return cls(parts[0], parts[1], widening)

    def save(self, path: Path) -> None:
        """Write it to a file of numpy."""
        arrays: Any = {"widening": self.widening}
        for part, committee in (("bands", self.bands), ("nearby", self.nearby)):
            for k, member in enumerate(committee.members):
                for i, (weight, bias) in enumerate(zip(member.weights, member.biases)):
                    arrays[f"{part}{k}_weight{i}"], arrays[f"{part}{k}_bias{i}"] = weight, bias
        np.savez_compressed(path, **arrays)


def _members(stored: Any, part: str) -> Iterator[Perceptron]:
    """Return the perceptrons of one step from what was stored."""
    count = sum(name.startswith(part) and name.endswith("_weight0") for name in stored.files)
    if not count:
        raise KeyError(part)
    for k in range(count):
        weights, biases = (tuple(stored[f"{part}{k}_{kind}{i}"] for i in range(3)) for kind in ("weight", "bias"))
        yield Perceptron(weights, biases)


@lru_cache(maxsize=2)
def shipped_network(path: Path = WEIGHTS) -> Network:
    """Return the network that comes with the package."""
    return Network.load(path)


def first_answers(
    correlations: BandCorrelations, inside: BoolArray, committee: Committee, execution: Execution
) -> FirstAnswers:
    """Return what the first step says of every voxel of a mask, by itself."""
    with execution.stage("reading every voxel"):
        found, edge = _nothing_yet(inside), min(inside.shape)
        profile = np.empty((found.shape[1], PROFILE), dtype=np.float32)

        def answer(voxels: npt.NDArray[np.int64], rows: slice) -> None:
            x, place = inputs(correlations, voxels, edge)
            read = told_by(*distribution(committee, x, place, first_offsets()))
            found[:, rows] = read.T
            profile[rows] = profiles(correlations, voxels, edge, read[:, 1])

        _for_all_voxels(inside, answer, execution.threads)
        return FirstAnswers(found[1], found[0], found[2], found[3], profile)


def corrected(first: FirstAnswers, inside: BoolArray, network: Network, execution: Execution) -> Estimate:
    """Return what the second step makes of the answers of the first."""
    with execution.stage("looking around every voxel"):
        around = surroundings(first, inside, execution.threads)
        found = _nothing_yet(inside)

        def answer(voxels: npt.NDArray[np.int64], rows: slice) -> None:
            x, nearby = around.inputs(voxels, rows)
            read = told_nearby(network.nearby, x, nearby)
            read[:, :3] = widened(read[:, :3], network.widening)
            found[:, rows] = read.T

        _for_all_voxels(inside, answer, execution.threads)
        return Estimate(found[1], found[0], found[2], found[3])


def _for_all_voxels(inside: BoolArray, answer: Callable[[npt.NDArray[np.int64], slice], None], threads: int) -> None:
    """Call ``answer`` with some voxels of a mask, (n, 3), and which rows they are of all, until all were given.

    So many at a time, one thread each, that what an answer needs stays in a processor's cache.
    """
    flat = np.flatnonzero(inside)

    def some(rows: slice) -> None:
        answer(np.stack(np.unravel_index(flat[rows], inside.shape), axis=1), rows)

    share_out(len(flat), ROWS_AT_ONCE, some, threads)


def _nothing_yet(inside: BoolArray) -> FloatArray:
    """Return room for lowest, median and highest frequency and the probability of no signal of every voxel."""
    return np.empty((4, np.count_nonzero(inside)), dtype=np.float32)


def widened(read: FloatArray, widening: Float64) -> FloatArray:
    """Return lowest, median and highest frequencies, shape (rows, 3), with the interval made wider as calibrated."""
    place, width = np.log(read[:, 1:2]), np.log(read[:, 2:] / read[:, :1])
    result: FloatArray = np.exp(place + np.interp(width, *widening) * (np.log(read) - place)).astype(np.float32)
    return np.minimum(result, np.float32(NYQUIST))


def distribution(committee: Committee, x: FloatArray, place: FloatArray, steps: Float64) -> Tuple[Any, Any]:
    """Return how likely the resolution is finer, monotonic, and than what (logarithms of frequencies)."""
    return monotonic(committee.likely(x)), (place[:, None] + steps).astype(np.float32)


def told_nearby(nearby: Committee, x: FloatArray, place: FloatArray) -> FloatArray:
    """Return what the second step tells: as `told_by` does, the interval wider where its members disagree.

    The voxels of a map err together. What the fit did not settle the members settle each in its own way.
    """
    log_odds, log_frequency = nearby.log_odds(x), (place[:, None] + offsets()).astype(np.float32)
    read = told_by(monotonic(_likely(log_odds)), log_frequency)
    apart = DISAGREEMENT * np.std([log_medians(own, log_frequency) for own in log_odds], axis=0)
    lowest, middle, highest = np.log(read[:, :3]).T
    share = np.hypot(1.0, apart / np.maximum(highest - lowest, LEAST_WIDTH))
    for k, end in ((0, lowest), (2, highest)):
        read[:, k] = np.exp(middle + share * (end - middle))
    return read


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _rectify(x, bias):  # type: ignore[no-untyped-def]
    for v in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[v, i] = max(x[v, i] + bias[i], np.float32(0.0))


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _from_log_odds(x, scale):  # type: ignore[no-untyped-def]
    one, most = np.float32(1.0), np.float32(30.0)
    for v in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[v, i] = one / (one + np.exp(-min(max(x[v, i] * scale, -most), most)))
