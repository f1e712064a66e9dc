"""The estimator of `cryores.resolution.locres`: local correlations -> a distribution over resolutions.

Two steps. In the first, a count of the bands that agree places the voxel roughly (`inputs`); from the
correlations of the bands about that place, and from what they are in the best part of the mask, a small perceptron
tells how likely the resolution is finer than each of a row of frequencies about it. So nothing but the distance from
Nyquist knows of absolute frequencies, and a map on a finer grid gives the same answers. Made monotonic, the row is a
distribution. Three of them, each fitted to two thirds of the models, agree on the mean of their log odds. In the second
step, three others correct it by the answers around the voxel (`cryores.resolution._neighbourhood`). Median and interval
are read from their distribution, given that there is signal; where they disagree, the interval is wider.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence, Tuple
from zipfile import BadZipFile

import numba
import numpy as np
import numpy.typing as npt

from cryores.errors import WeightsError
from cryores.execution import Execution, share_out
from cryores.fourier import Float64
from cryores.resolution._band_correlation import (
    BAND_RATIO,
    BANDS,
    FINEST_BAND,
    FULL,
    WINDOWS,
    BandCorrelations,
    band_frequencies,
)
from cryores.resolution._local_average import interpolated
from cryores.resolution._neighbourhood import Estimate, FirstAnswers, offsets, surroundings
from cryores.volume import BoolArray, FloatArray

CONTEXT = 8
"""Bands on each side that the perceptron sees."""

NYQUIST = 0.5
FEWEST_WAVELENGTHS = 3.0
"""Bands with fewer wavelengths along the shortest edge of the box tell nothing local."""

AGREEMENT = 0.5
"""Correlation at which a band counts as agreeing."""

COUNTED = 1
"""Window of the narrow bands whose correlations are counted."""

COMPARED = (1, 4)
"""Windows, of narrow and of wide bands, that are compared with the best part of the mask."""

STRONGEST = 0.9999
"""Correlations end here, for the sake of their inverse hyperbolic tangent: half the logarithm of twice the
signal-to-noise ratio where that is large, and the correlation itself where it is small."""

KNOWN_EVERY = 4
"""Bands from one to the next of which the perceptron is told whether the box and Nyquist leave them."""

PROFILE_BANDS = (-2.0, 0.0, 2.0, 4.0)
"""Bands below the answer of the first step at which the second is told how the halves agree."""

PROFILE_WINDOWS = (0, 3)
"""The narrowest windows of narrow and of wide bands, which it is told of."""

PROFILE = 2 * len(PROFILE_BANDS) * len(PROFILE_WINDOWS)

INPUTS = (2 * CONTEXT + 1) * (WINDOWS + len(COMPARED)) + len(range(0, 2 * CONTEXT + 1, KNOWN_EVERY)) + 1
QUANTILES = (0.05, 0.5, 0.95)
DISAGREEMENT = 9.0
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


def usable_bands(edge: float) -> int:
    """Return how many bands a box has whose shortest edge is so many voxels long."""
    return max(1, int(np.count_nonzero(band_frequencies() * edge >= FEWEST_WAVELENGTHS)))


def inputs(correlations: BandCorrelations, voxels: npt.NDArray[np.int64], edge: float) -> Tuple[FloatArray, FloatArray]:
    """Return what the first perceptron is given, (n, `INPUTS`), and the logarithm of the rough frequency of each row.

    A count of the bands that agree is the rough place, in bands from the finest: as many agree as lie below it. A band
    agrees whose height is half of that in the best part of the mask. Where the signal is far stronger than the noise,
    what leaks into the bands beyond a sharp limit agrees too, but is less by as much.

    Nothing in the inputs is the same for all voxels of a map: a network would know its training maps by that.

    Parameters
    ----------
    correlations : BandCorrelations
        Of the map.
    voxels : ndarray of int64, shape (n, 3)
        Inside the mask.
    edge : float
        Shortest edge of the box in voxels.
    """
    best = _best(correlations, edge)
    wanted = np.maximum(np.float32(np.arctanh(AGREEMENT)), np.float32(0.5) * best[:, COUNTED])
    x = np.zeros((len(voxels), INPUTS), dtype=np.float32)
    nearest = np.empty(len(voxels), dtype=np.int64)
    _inputs(*correlations.maps.reading(), voxels, best, wanted, x, nearest)
    return x, np.log(band_frequencies())[nearest].astype(np.float32)


def _best(correlations: BandCorrelations, edge: float) -> FloatArray:
    """Return the heights of the best part of the mask, shape (usable bands, WINDOWS)."""
    clipped = np.clip(correlations.strong.reshape(BANDS, WINDOWS), -STRONGEST, STRONGEST)
    result: FloatArray = np.arctanh(clipped[: usable_bands(edge)])
    return result


def profiles(
    correlations: BandCorrelations, voxels: npt.NDArray[np.int64], edge: float, frequency: FloatArray
) -> FloatArray:
    """Return how the halves agree in bands about ``frequency``, by themselves and relative to the best part.

    Averaged over a neighbourhood, these tell far better than one voxel whether signal ends at a frequency sharply or
    fades, and whether it does end there: at a sharp limit half of it is left, however strong it is.

    Returns
    -------
    ndarray of float32, shape (n, PROFILE)
        For each of `PROFILE_BANDS` its heights under `PROFILE_WINDOWS`, and these less those of the best part.
    """
    place = (np.log(FINEST_BAND / frequency) / np.log(BAND_RATIO)).astype(np.float32)
    found = np.empty((len(voxels), PROFILE), dtype=np.float32)
    _profiles(*correlations.maps.reading(), voxels, _best(correlations, edge), place, found)
    return found


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

    def log_odds(self, x: FloatArray) -> FloatArray:
        """Return the answers to rows of inputs."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
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
        return [member.log_odds(x) for member in self.members]


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


def quantiles(finer: FloatArray, log_frequency: FloatArray, at: Tuple[float, ...]) -> FloatArray:
    """Return frequencies (cycles a voxel) at quantiles of monotonic rows, shape (rows, len(at)).

    Parameters
    ----------
    finer : ndarray of float32, shape (rows, frequencies)
        How likely the resolution is finer than each frequency, rising.
    log_frequency : ndarray of float32, same shape
        Their logarithms, falling.
    at : tuple of float
        The quantiles.
    """
    found = np.empty((len(finer), len(at)), dtype=np.float32)
    _quantiles(np.ascontiguousarray(finer, dtype=np.float32), log_frequency, np.array(at), found)
    return found


def first_answers(
    correlations: BandCorrelations, inside: BoolArray, committee: Committee, execution: Execution
) -> FirstAnswers:
    """Return what the first step says of every voxel of a mask, by itself."""
    with execution.stage("reading every voxel"):
        found, edge = _nothing_yet(inside), min(inside.shape)
        profile = np.empty((found.shape[1], PROFILE), dtype=np.float32)

        def answer(voxels: npt.NDArray[np.int64], rows: slice) -> None:
            x, place = inputs(correlations, voxels, edge)
            read = _read(*distribution(committee, x, place, first_offsets()))
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
    return _monotonic(committee.likely(x)), (place[:, None] + steps).astype(np.float32)


def told_nearby(nearby: Committee, x: FloatArray, place: FloatArray) -> FloatArray:
    """Return what the second step tells: as `_read` does, the interval wider where its members disagree.

    The voxels of a map err together. What the fit did not settle the members settle each in its own way.
    """
    log_odds, log_frequency = nearby.log_odds(x), (place[:, None] + offsets()).astype(np.float32)
    read = _read(_monotonic(_likely(log_odds)), log_frequency)
    medians = [quantiles(_monotonic(_likely([own])), log_frequency, (0.5,))[:, 0] for own in log_odds]
    apart = DISAGREEMENT * np.log(medians).std(axis=0)
    lowest, middle, highest = np.log(read[:, :3]).T
    share = np.hypot(1.0, apart / np.maximum(highest - lowest, LEAST_WIDTH))
    for k, end in ((0, lowest), (2, highest)):
        read[:, k] = np.exp(middle + share * (end - middle))
    return read


def _monotonic(finer: FloatArray) -> FloatArray:
    """Make rows rise, in place."""
    np.maximum.accumulate(finer, axis=1, out=finer)
    return finer


def _read(finer: FloatArray, log_frequency: FloatArray) -> FloatArray:
    """Return lowest, median and highest frequency and the probability of no signal, shape (rows, 4)."""
    return np.concatenate([quantiles(finer, log_frequency, QUANTILES), 1.0 - finer[:, -1:]], axis=1)


@numba.njit(inline="always", cache=True)  # type: ignore[misc]
def _height(correlation):  # type: ignore[no-untyped-def]
    c = min(max(correlation, np.float32(-STRONGEST)), np.float32(STRONGEST))
    return np.float32(0.5) * np.log((np.float32(1.0) + c) / (np.float32(1.0) - c))


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _inputs(values, starts, scales, firsts, shapes, voxels, best, wanted, x, nearest):  # type: ignore[no-untyped-def]
    usable, seen, each = wanted.size, 2 * CONTEXT + 1, WINDOWS + len(COMPARED)
    scale = np.float32(1.0 / FULL)
    for v in range(voxels.shape[0]):
        pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        agreeing = np.float32(0.0)
        for band in range(usable):
            i = band * WINDOWS + COUNTED
            height = _height(scale * interpolated(values, starts, scales, firsts, shapes, i, pz, py, px))
            share = np.float32(2.0) * height / wanted[band] - np.float32(1.0)
            agreeing += min(max(share, np.float32(0.0)), np.float32(1.0))
        place = min(max(np.float32(usable - 0.5) - agreeing, np.float32(0.0)), np.float32(usable - 1))
        middle = int(np.rint(place))
        nearest[v] = middle
        x[v, x.shape[1] - 1] = place - middle
        for k in range(max(0, CONTEXT - middle), min(seen, usable + CONTEXT - middle)):
            band = middle - CONTEXT + k
            for window in range(WINDOWS):
                i = band * WINDOWS + window
                c = scale * interpolated(values, starts, scales, firsts, shapes, i, pz, py, px)
                x[v, k * each + window] = _height(c)
            for j, window in enumerate(COMPARED):
                x[v, k * each + WINDOWS + j] = x[v, k * each + window] - best[band, window]
            if k % KNOWN_EVERY == 0:
                x[v, seen * each + k // KNOWN_EVERY] = 1.0


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _profiles(values, starts, scales, firsts, shapes, voxels, best, place, found):  # type: ignore[no-untyped-def]
    scale, windows, last = np.float32(1.0 / FULL), len(PROFILE_WINDOWS), best.shape[0] - 1
    for v in range(voxels.shape[0]):
        pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        for k, off in enumerate(PROFILE_BANDS):
            at = min(max(place[v] + np.float32(off), np.float32(0.0)), np.float32(last))
            finer = min(int(at), max(last - 1, 0))
            coarser, share = min(finer + 1, last), np.float32(at - finer)
            for j, window in enumerate(PROFILE_WINDOWS):
                a, b = finer * WINDOWS + window, coarser * WINDOWS + window
                above = _height(scale * interpolated(values, starts, scales, firsts, shapes, a, pz, py, px))
                below = _height(scale * interpolated(values, starts, scales, firsts, shapes, b, pz, py, px))
                here = above + share * (below - above)
                there = best[finer, window] + share * (best[coarser, window] - best[finer, window])
                found[v, 2 * windows * k + j] = here
                found[v, 2 * windows * k + windows + j] = here - there


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


@numba.njit(cache=True)  # type: ignore[misc]
def _read_quantiles(finer, log_frequency, at, out):  # type: ignore[no-untyped-def]
    # `finer` rises along the row, from the finest frequency to the coarsest; beyond Nyquist it is 0.
    last = finer.size - 1
    signal = np.float64(finer[last])
    for q in range(at.size):
        target = (1.0 - at[q]) * signal
        before, place_before = np.float64(0), max(np.log(NYQUIST), log_frequency[0])
        out[q] = np.exp(log_frequency[last])
        for j in range(finer.size):
            here = np.float64(finer[j])
            if here >= target:
                share = (target - before) / (here - before) if here > before else 0.0
                out[q] = min(np.exp(place_before + share * (log_frequency[j] - place_before)), NYQUIST)
                break
            before, place_before = here, log_frequency[j]


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _quantiles(finer, log_frequency, at, found):  # type: ignore[no-untyped-def]
    for v in range(finer.shape[0]):
        _read_quantiles(finer[v], log_frequency[v], at, found[v])
