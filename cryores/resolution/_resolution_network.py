"""The estimator of `cryores.resolution.locres`: local correlations -> a distribution over resolutions.

Two steps. In the first, one small perceptron serves every band: from the correlations of the band and of its `CONTEXT`
neighbours on each side it tells how likely the resolution is finer than each of `STEPS` frequencies within the band.
So it has no notion of absolute frequencies, and a map on a finer grid gives the same answers. The answers of all bands,
made monotonic from the finest band down, are a distribution. In the second step, another perceptron corrects it by the
answers around the voxel (`cryores.resolution._neighbourhood`). Median and interval are read from its distribution,
given that there is signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Tuple
from zipfile import BadZipFile

import numba
import numpy as np

from cryores.errors import WeightsError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.resolution._band_correlation import (
    BAND_RATIO,
    BANDS,
    WINDOWS,
    BandCorrelations,
    band_frequencies,
    interpolated,
)
from cryores.resolution._neighbourhood import neighbourhood, offsets
from cryores.volume import BoolArray, FloatArray

CONTEXT = 7
"""Bands on each side that the perceptron sees."""

STEPS = 4
"""Frequencies within a band, even in their logarithm."""

NYQUIST = 0.5
CERTAIN = 0.999
"""Probability at which coarser bands need not be looked at."""

FEWEST_WAVELENGTHS = 3.0
"""Bands with fewer wavelengths along the shortest edge of the box tell nothing local."""

INPUTS = (2 * CONTEXT + 1) * len(WINDOWS) + 2
FIRST_QUANTILES = (0.05, 0.5, 0.95)
ROWS_AT_ONCE = 65536
BLOCK = 32
"""Voxels that go through the network together."""

WEIGHTS = Path(__file__).parent.parent / "weights" / "locres.npz"


def frequencies() -> Float64:
    """Return the frequencies (cycles a voxel) at which the distribution is known, the finest first."""
    within = BAND_RATIO ** ((0.5 * (STEPS - 1) - np.arange(STEPS)) / STEPS)
    result: Float64 = (band_frequencies()[:, None] * within).ravel()
    return result


def usable_bands(wavelengths: float) -> int:
    """Return how many bands a box has whose shortest edge is so many voxels long."""
    return max(1, int(np.count_nonzero(band_frequencies() * wavelengths >= FEWEST_WAVELENGTHS)))


def rows(features: FloatArray, bands: Any, size: Any) -> FloatArray:
    """Return what the perceptron is given: the correlations about a band, and two numbers about it.

    Parameters
    ----------
    features : ndarray of float32, shape (n, BANDS * windows)
        Correlations, the finest band first.
    bands : ndarray of int, shape (n,)
        Which band each row asks about.
    size : ndarray, shape (n,)
        Cube root of the mask's volume in voxels.
    """
    count = len(WINDOWS)
    padded = np.zeros((len(features), (BANDS + 2 * CONTEXT) * count), dtype=np.float32)
    padded[:, CONTEXT * count : (BANDS + CONTEXT) * count] = features
    columns = bands[:, None] * count + np.arange((2 * CONTEXT + 1) * count)
    about = np.stack([_missing(bands), np.log(band_frequencies()[bands] * size) / 2.0], axis=1)
    return np.concatenate([np.take_along_axis(padded, columns, axis=1), about.astype(np.float32)], axis=1)


def _missing(bands: Any) -> Any:
    """Return the share of the finer neighbours that lie beyond Nyquist."""
    return np.maximum(CONTEXT - bands, 0) / CONTEXT


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

    def likely(self, x: FloatArray) -> FloatArray:
        """Return the probabilities for rows of inputs."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            x = np.maximum(x @ weight + bias, 0)
        result: FloatArray = 1.0 / (1.0 + np.exp(-np.clip(x @ self.weights[-1] + self.biases[-1], -30, 30)))
        return result


@dataclass(frozen=True)
class Network:
    """The two perceptrons, and the quantiles that hold what they promise.

    Parameters
    ----------
    bands, nearby : Perceptron
        Of the first step and the second.
    tails : tuple of float
        Probabilities at which the last distribution is read for the two ends of the interval.
    """

    bands: Perceptron
    nearby: Perceptron
    tails: Tuple[float, float]

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
                parts = [
                    Perceptron(*(tuple(stored[f"{part}_{kind}{i}"] for i in range(3)) for kind in ("weight", "bias")))
                    for part in ("bands", "nearby")
                ]
                low, high = stored["tails"].tolist()
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise WeightsError(
                "E_WEIGHTS", f"{path} holds no network of locres ({error})", "install cryores again, or train it"
            ) from error
        return cls(parts[0], parts[1], (low, high))

    def save(self, path: Path) -> None:
        """Write it to a file of numpy."""
        arrays: Any = {"tails": np.array(self.tails)}
        for name, part in (("bands", self.bands), ("nearby", self.nearby)):
            for i, (weight, bias) in enumerate(zip(part.weights, part.biases)):
                arrays[f"{name}_weight{i}"], arrays[f"{name}_bias{i}"] = weight, bias
        np.savez_compressed(path, **arrays)


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


@dataclass(frozen=True)
class Estimate:
    """What the network says of every voxel of a mask, in the order of ``np.argwhere``.

    Parameters
    ----------
    frequency, lowest, highest : ndarray of float32
        Median and interval in cycles a voxel.
    none : ndarray of float32
        Probability that there is no signal at all.
    limited : ndarray of float32
        Probability that the signal reaches Nyquist.
    """

    frequency: FloatArray
    lowest: FloatArray
    highest: FloatArray
    none: FloatArray
    limited: FloatArray


def estimate(correlations: BandCorrelations, inside: BoolArray, network: Network, execution: Execution) -> Estimate:
    """Evaluate the network at every voxel of a mask."""
    with execution.stage("reading every voxel"):
        first = first_answers(correlations, inside, network.bands)
    with execution.stage("looking around every voxel"):
        return corrected(first, inside, network, execution.threads)


def first_answers(correlations: BandCorrelations, inside: BoolArray, perceptron: Perceptron) -> Estimate:
    """Return what the first step says of every voxel, by itself."""
    flat = np.flatnonzero(inside)
    found = np.empty((len(flat), 5), dtype=np.float32)
    layers = [x for w, b in zip(perceptron.weights, perceptron.biases) for x in (np.ascontiguousarray(w.T), b)]
    bands = np.arange(BANDS)
    about = np.stack([_missing(bands), np.log(band_frequencies() * len(flat) ** (1 / 3)) / 2.0], axis=1)
    _evaluate(
        correlations.values, correlations.starts, correlations.shapes, np.array(correlations.shape), flat,
        about.astype(np.float32), usable_bands(min(correlations.shape)), np.log(frequencies()).astype(np.float32),
        *layers, np.array(FIRST_QUANTILES), found,
    )  # fmt: skip
    return Estimate(found[:, 1], found[:, 0], found[:, 2], found[:, 3], found[:, 4])


def corrected(first: Estimate, inside: BoolArray, network: Network, threads: int) -> Estimate:
    """Return what the second step makes of the answers of the first."""
    x, nearby = neighbourhood(first.frequency, first.lowest, first.highest, first.none, inside, threads)
    found = np.empty((len(x), 5), dtype=np.float32)
    at = (network.tails[0], 0.5, network.tails[1])
    for start in range(0, len(x), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        finer, log_frequency = distribution(network.nearby, x[part], nearby[part])
        found[part, :3] = quantiles(finer, log_frequency, at)
        found[part, 3] = 1.0 - finer[:, -1]
    found[:, 4] = first.limited
    return Estimate(found[:, 1], found[:, 0], found[:, 2], found[:, 3], found[:, 4])


def distribution(perceptron: Perceptron, x: FloatArray, nearby: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """Return how likely the resolution is finer, monotonic, and than what (logarithms), of the second step."""
    finer = np.maximum.accumulate(perceptron.likely(x), axis=1)
    return finer, (nearby[:, None] + offsets()).astype(np.float32)


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


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _quantiles(finer, log_frequency, at, found):  # type: ignore[no-untyped-def]
    for v in numba.prange(finer.shape[0]):
        _read_quantiles(finer[v], log_frequency[v], at, found[v])


@numba.njit(fastmath={"contract", "reassoc", "nsz"}, cache=True)  # type: ignore[misc]
def _layer(weight, bias, inputs, outputs, rectify):  # type: ignore[no-untyped-def]
    # `inputs` and `outputs` have the voxels of the block along their rows, which the inner loop runs along.
    for o in range(weight.shape[0]):
        total = np.full(BLOCK, bias[o], dtype=np.float32)
        for i in range(weight.shape[1]):
            w, source = weight[o, i], inputs[i]
            for v in range(BLOCK):
                total[v] += w * source[v]
        for v in range(BLOCK):
            outputs[o, v] = max(total[v], np.float32(0)) if rectify else total[v]


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _evaluate(  # type: ignore[no-untyped-def]
    values, starts, shapes, shape, flat, about, usable, log_frequency, w1, b1, w2, b2, w3, b3, quantile, found
):
    windows = starts.size // BANDS
    context = (2 * CONTEXT + 1) * windows
    for block in numba.prange((flat.size + BLOCK - 1) // BLOCK):
        x = np.zeros((starts.size + 2 * CONTEXT * windows, BLOCK), dtype=np.float32)
        seen = np.empty((context + 2, BLOCK), dtype=np.float32)
        h1 = np.empty((w1.shape[0], BLOCK), dtype=np.float32)
        h2 = np.empty((w2.shape[0], BLOCK), dtype=np.float32)
        y = np.empty((STEPS, BLOCK), dtype=np.float32)
        finer = np.zeros((BLOCK, BANDS * STEPS), dtype=np.float32)
        count = min(BLOCK, flat.size - block * BLOCK)
        known = 0
        for k in range(usable):
            # Features are read when a band first needs them.
            needed = min(BANDS, k + CONTEXT + 1) * windows
            for f in range(known, needed):
                nz, ny, nx = shapes[f, 0], shapes[f, 1], shapes[f, 2]
                pz, py, px = nz / shape[0], ny / shape[1], nx / shape[2]
                for v in range(count):
                    at_voxel = flat[block * BLOCK + v]
                    plane = at_voxel // shape[2]
                    z, y_, x_ = plane // shape[1], plane % shape[1], at_voxel % shape[2]
                    x[CONTEXT * windows + f, v] = interpolated(values, starts[f], nz, ny, nx, z * pz, y_ * py, x_ * px)
            known = needed
            for i in range(context):
                for v in range(BLOCK):
                    seen[i, v] = x[k * windows + i, v]
            for v in range(BLOCK):
                seen[context, v], seen[context + 1, v] = about[k, 0], about[k, 1]
            _layer(w1, b1, seen, h1, True)
            _layer(w2, b2, h1, h2, True)
            _layer(w3, b3, h2, y, False)
            least = np.float32(1)
            for v in range(count):
                for j in range(STEPS):
                    at = k * STEPS + j
                    likely = np.float32(1.0 / (1.0 + np.exp(-min(max(y[j, v], -30.0), 30.0))))
                    finer[v, at] = max(likely, finer[v, at - 1]) if at else likely
                least = min(least, finer[v, k * STEPS + STEPS - 1])
            if least > CERTAIN or k == usable - 1:
                # Coarser bands can add no more: what is likely there is at least as likely as here.
                for v in range(count):
                    for j in range((k + 1) * STEPS, BANDS * STEPS):
                        finer[v, j] = finer[v, j - 1]
                break
        for v in range(count):
            row = found[block * BLOCK + v]
            _read_quantiles(finer[v], log_frequency, quantile, row)
            row[3] = 1.0 - finer[v, finer.shape[1] - 1]
            row[4] = finer[v, 0]
