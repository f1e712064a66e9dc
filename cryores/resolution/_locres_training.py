"""Training of the estimator of `cryores.resolution.locres`: cross-entropy, Adam, and the calibration of the interval.

Nothing but numpy: the perceptrons are small. A model's maps are all for fitting or all for calibration.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
from threadpoolctl import threadpool_limits

from cryores.fourier import Float64
from cryores.resolution import _neighbourhood
from cryores.resolution._locres_examples import DOUBTFUL_SHARES
from cryores.resolution._locres_lessons import MEMBERS, Answers, for_calibration, stranger_of
from cryores.resolution._resolution_distribution import NYQUIST
from cryores.resolution._resolution_network import (
    Committee,
    Network,
    Perceptron,
    first_offsets,
    told_nearby,
    widened,
)
from cryores.volume import FloatArray

HIDDEN = (192, 96)
HIDDEN_NEARBY = (96, 64)
MEMBERS_NEARBY = 3 * MEMBERS
"""Of the second step. They are small, and how far they disagree is known better of more."""

KNOWING = 6
"""Of `MEMBERS_NEARBY`, how many have seen signal that falls off in any way, and uneven noise.

What is neither a sharp end nor a slow decay looks much like a sharp end beside finer places: who knows of it reads
sharp ends too fine, who does not reads it too coarse. The committee's median lies between them, and its interval is the
wider the farther they are apart.
"""

BATCH = 4096
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-4

BLUR = 0.05
"""Noise that every pass adds to the inputs, in standard deviations: without it the maps are learnt by heart."""

CALIBRATION_BINS = 6
"""Of the width of the interval, each with as many voxels."""

INTERVAL_SHARE = 0.9
"""What the interval holds."""

LEAST_WAY = 1e-3
"""In logarithms of frequencies: no interval is narrower in the calibration."""

NO_SIGNAL = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True)
class Errors:
    """How far the estimates of examples are from the truth, in shares of the resolution.

    Parameters
    ----------
    maps : int
        How many.
    median, p90, bias : float
        Of abs(estimate / truth - 1), and the mean of estimate / truth - 1.
    coverage : float
        Share of the voxels whose truth lies in the 5-95 % interval.
    correlation : float
        Spearman's, of all voxels together.
    missed, invented : float
        Share of the voxels with signal that are called noise, and of those without that are not.
    """

    maps: int
    median: float
    p90: float
    bias: float
    coverage: float
    correlation: float
    missed: float
    invented: float


def train(
    voxels: Sequence[Answers], nearby: Callable[[Committee], Sequence[Answers]], epochs: int, seed: int, say: Say
) -> Tuple[Network, List[Answers]]:
    """Fit both steps and calibrate the interval.

    Parameters
    ----------
    voxels : sequence of Answers
        What the first step learns from.
    nearby : callable
        Returns what the second step learns from, and is calibrated on, for the committee of the first.
    epochs, seed : int
        Passes over all of them, and the seed of everything random.
    say : callable
        Receives a line of progress at a time.

    Returns
    -------
    network : Network
        The trained network.
    kept : list of Answers
        Those of the models that were kept for calibration.
    """
    fitting = _certain([v for v in voxels if not for_calibration(v.model)])
    say(f"{len(fitting)} maps to fit")
    bands = _committee(fitting, MEMBERS, HIDDEN, first_offsets(), epochs, (seed, 1), say)
    around = nearby(bands)
    say(f"{len(around)} maps to look around in")
    kept = [a for a in around if for_calibration(a.model)]
    fitting = [a for a in around if not for_calibration(a.model)]
    how = (HIDDEN_NEARBY, _neighbourhood.offsets(), epochs)
    unaware = _committee(_certain(fitting), MEMBERS_NEARBY - KNOWING, *how, (seed, 3), say)
    knowing = _committee(fitting, KNOWING, *how, (seed, 4), say)
    second = Committee(unaware.members + knowing.members)
    return Network(bands, second, calibrated_widening(second, _certain(kept))), kept


def _certain(answers: Sequence[Answers]) -> List[Answers]:
    """Leave out those of doubtful families."""
    return [a for a in answers if a.family not in DOUBTFUL_SHARES]


# --- fitting ------------------------------------------------------------------------------------------------------


def _committee(
    answers: Sequence[Answers], members: int, hidden: Tuple[int, ...], offsets: Float64, epochs: int,
    seed: Tuple[int, int], say: Say,
) -> Committee:  # fmt: skip
    """Return perceptrons, each fitted to the models that are not its strangers, side by side."""

    def member(k: int) -> Perceptron:
        own = [a for a in answers if stranger_of(a.model) != k % MEMBERS]
        return _fitted(own, hidden, offsets, epochs, np.random.default_rng((*seed, k)), say)

    # Each has a thread: those of the products of matrices would wait for one another.
    with threadpool_limits(1), ThreadPoolExecutor(MEMBERS) as pool:
        return Committee(tuple(pool.map(member, range(members))))


def _fitted(
    answers: Sequence[Answers], hidden: Tuple[int, ...], offsets: Float64, epochs: int, rng: Any, say: Say
) -> Perceptron:
    """Return a perceptron that tells how likely the truth is finer than each offset from the place."""
    x = np.concatenate([a.inputs for a in answers])
    limit, place = (np.concatenate(parts) for parts in ([a.limit for a in answers], [a.place for a in answers]))
    with np.errstate(divide="ignore"):
        finer = (np.log(limit)[:, None] > place[:, None] + offsets).astype(np.float32)
    mean, scale = x.mean(axis=0), 1.0 / (x.std(axis=0) + np.float32(1e-2))
    x -= mean
    x *= scale
    return _on_raw_inputs(fit(x, finer, hidden, epochs, BLUR, rng, say), mean, scale)


def fit(
    x: FloatArray, answers: FloatArray, hidden: Tuple[int, ...], epochs: int, blur: float, rng: Any, say: Say
) -> Perceptron:
    """Fit a perceptron to answers of 0 or 1 in ``epochs`` passes, each with noise of ``blur`` added to the inputs."""
    layers: List[FloatArray] = []
    widths = (x.shape[1], *hidden, answers.shape[1])
    for n, m in zip(widths, widths[1:]):
        layers.append((rng.standard_normal((n, m)) * np.sqrt(2.0 / n)).astype(np.float32))
        layers.append(np.zeros(m, dtype=np.float32))
    moments = [np.zeros((2, *p.shape), dtype=np.float32) for p in layers]
    step = 0
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        batches = max(len(order) // BATCH, 1)
        for chosen in np.array_split(order, batches):
            seen = x[chosen] + np.float32(blur) * rng.standard_normal((len(chosen), x.shape[1]), dtype=np.float32)
            loss, gradients = _gradients(layers, seen, answers[chosen])
            losses.append(loss)
            step += 1
            _adam(layers, gradients, moments, step, _rate(min(step / (epochs * batches), 1.0)))
        say(f"epoch {epoch + 1} of {epochs}: cross-entropy {np.mean(losses):.4f}")
    return Perceptron(tuple(layers[0::2]), tuple(layers[1::2]))


def _on_raw_inputs(perceptron: Perceptron, mean: FloatArray, scale: FloatArray) -> Perceptron:
    """Return the perceptron that takes inputs as they are, of one that takes (input - mean) * scale."""
    first = perceptron.weights[0] * scale[:, None]
    bias = perceptron.biases[0] - mean @ first
    return Perceptron((first, *perceptron.weights[1:]), (bias, *perceptron.biases[1:]))


def _rate(done: float) -> float:
    """Warm up over the first fiftieth, then fall as half a cosine."""
    return LEARNING_RATE * min(50.0 * done, 1.0) * 0.5 * (1.0 + float(np.cos(np.pi * done)))


def _gradients(layers: List[FloatArray], x: FloatArray, answers: FloatArray) -> Tuple[float, List[FloatArray]]:
    """Return the cross-entropy of a batch, an answer, and its gradient for every layer."""
    activations = [x]
    for i in range(0, len(layers) - 2, 2):
        activations.append(np.maximum(activations[-1] @ layers[i] + layers[i + 1], 0))
    y = activations[-1] @ layers[-2] + layers[-1]
    loss = float(np.mean(np.logaddexp(0, y) - answers * y))
    back = (1.0 / (1.0 + np.exp(-np.clip(y, -30, 30))) - answers) / np.float32(len(x))
    gradients: List[FloatArray] = []
    for i in range(len(layers) - 2, -1, -2):
        gradients = [activations[i // 2].T @ back, back.sum(axis=0), *gradients]
        if i:
            back = (back @ layers[i].T) * (activations[i // 2] > 0)
    return loss, gradients


def _adam(layers: List[FloatArray], gradients: List[FloatArray], moments: Any, step: int, rate: float) -> None:
    # Source: Kingma & Ba, ICLR 2015; decay of the weights apart from the moments: Loshchilov & Hutter, ICLR 2019.
    size = np.float32(rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
    for p, g, m in zip(layers, gradients, moments):
        m[0] += np.float32(0.1) * (g - m[0])
        m[1] += np.float32(0.001) * (g * g - m[1])
        p -= size * m[0] / (np.sqrt(m[1]) + np.float32(1e-8)) + np.float32(rate * WEIGHT_DECAY) * p


# --- calibration and errors ---------------------------------------------------------------------------------------


def calibrated_widening(nearby: Committee, kept: Sequence[Answers]) -> Float64:
    """Return by what intervals of several widths are widened, so that they hold their share of ``kept``.

    Split conformal: the miss of a voxel is the way from the median to the truth as a share of that to the end of the
    interval on its side, and the factor is the quantile of the misses that the interval promises. Every map counts
    alike. Source: Romano, Patterson & Candès, NeurIPS 2019, with ratios in the place of differences.
    """
    widths, misses, weights = [], [], []
    for a in kept:
        there = (a.limit > 0) & (a.limit < 0.99 * NYQUIST)
        if there.any():
            lowest, middle, highest = np.log(told_nearby(nearby, a.inputs[there], a.place[there])[:, :3]).T
            off = np.log(a.limit[there]) - middle
            misses.append(np.abs(off) / np.maximum(np.where(off < 0, middle - lowest, highest - middle), LEAST_WAY))
            widths.append(highest - lowest)
            weights.append(np.full(len(off), 1.0 / len(off)))
    if not widths:
        return np.array([[1.0], [1.0]])
    width, miss, weight = (np.concatenate(parts) for parts in (widths, misses, weights))
    edges = weighted_quantiles(width, weight, np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, width)
    found = [
        (np.average(width[b], weights=weight[b]), weighted_quantiles(miss[b], weight[b], INTERVAL_SHARE))
        for b in (bins == k for k in range(CALIBRATION_BINS))
        if b.any()
    ]
    return np.array(found).T


def weighted_quantiles(values: Any, weights: Float64, at: Any) -> Any:
    """Return quantiles of values that count by their weights."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return np.interp(at, (cumulated - 0.5 * weights[order]) / cumulated[-1], values[order])


def errors(network: Network, kept: Sequence[Answers]) -> Errors:
    """Measure the network on ``kept``, all voxels together."""
    from scipy.stats import spearmanr

    read, none = [], []
    for a in kept:
        told = told_nearby(network.nearby, a.inputs, a.place)
        read.append(widened(told[:, :3], network.widening))
        none.append(told[:, 3])
    lowest, middle, highest = np.concatenate(read).T
    limit, lost = np.concatenate([a.limit for a in kept]), np.concatenate(none) > NO_SIGNAL
    signal = limit > 0
    both = signal & ~lost
    missed = float(np.mean(lost[signal])) if signal.any() else float("nan")
    invented = float(np.mean(~lost[~signal])) if (~signal).any() else float("nan")
    if not both.any():
        nan = float("nan")
        return Errors(len(kept), nan, nan, nan, nan, nan, missed, invented)
    error = limit[both] / middle[both] - 1.0
    varies = np.ptp(middle[both]) > 0 and np.ptp(limit[both]) > 0
    rank = float(spearmanr(middle[both], limit[both])[0]) if varies else float("nan")
    # Truth and interval both end at Nyquist.
    covered = (lowest[both] <= limit[both] * 1.0001) & (limit[both] <= highest[both] * 1.0001)
    return Errors(
        len(kept), float(np.median(np.abs(error))), float(np.percentile(np.abs(error), 90)), float(error.mean()),
        float(covered.mean()), rank, missed, invented,
    )  # fmt: skip


def errors_by_family(network: Network, kept: Sequence[Answers]) -> Dict[str, Errors]:
    """Measure the network on each family by itself, and on all."""
    names = sorted({a.family for a in kept})
    found = {name: errors(network, [a for a in kept if a.family == name]) for name in names}
    return {**found, "all": errors(network, kept)} if kept else found
