"""Training of the estimator of `cryores.resolution.locres`: cross-entropy, Adam, and the calibration of the interval.

Nothing but numpy: the network is small. A model's maps are all for fitting or all for calibration.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from cryores.fourier import Float64
from cryores.resolution._band_correlation import BANDS, band_frequencies
from cryores.resolution._locres_examples import Example
from cryores.resolution._resolution_network import (
    INPUTS,
    STEPS,
    Network,
    frequencies,
    quantiles,
    rows,
    usable_bands,
)
from cryores.volume import FloatArray

HIDDEN = (48, 32)
VOXELS_A_MAP = 300
BANDS_A_VOXEL = 4
BATCH = 4096
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-5
CALIBRATION_SHARE = 0.2
"""Share of the models that the network never sees, which the interval is calibrated on."""

INTERVAL = (0.05, 0.95)


@dataclass(frozen=True)
class Errors:
    """How far the estimates of examples are from the truth, in shares of the resolution.

    Parameters
    ----------
    median, p90, bias : float
        Of abs(estimate / truth - 1), and the mean of estimate / truth - 1.
    coverage : float
        Share of the voxels whose truth lies in the 5-95 % interval.
    correlation : float
        Spearman's.
    missed, invented : float
        Share of the voxels with signal that are called noise, and of those without that are not.
    """

    median: float
    p90: float
    bias: float
    coverage: float
    correlation: float
    missed: float
    invented: float


def for_calibration(model: str) -> bool:
    """Tell whether a model is kept for the calibration: a share of all names, the same whatever the others are."""
    return hashlib.sha256(model.encode()).digest()[0] < 256 * CALIBRATION_SHARE


def fit(
    examples: Sequence[Example], epochs: int, seed: int, say: Callable[[str], None], voxels: int = VOXELS_A_MAP
) -> Network:
    """Fit a network to ``examples`` in ``epochs`` passes, of some voxels and some bands of each every time."""
    rng = np.random.default_rng(seed)
    layers = _first_layers(rng)
    moments = [np.zeros((2, *p.shape), dtype=np.float32) for p in layers]
    step, steps = 0, 0
    for epoch in range(epochs):
        x, finer = _drawn(examples, voxels, rng)
        steps = epochs * (len(x) // BATCH)
        order, losses = rng.permutation(len(x)), []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            loss, gradients = _gradients(layers, x[chosen], finer[chosen])
            losses.append(loss)
            step += 1
            _adam(layers, gradients, moments, step, _rate(min(step / steps, 1.0)))
        say(f"epoch {epoch + 1} of {epochs}: cross-entropy {np.mean(losses):.4f}")
    return Network(tuple(layers[0::2]), tuple(layers[1::2]), INTERVAL)


def _drawn(examples: Sequence[Example], voxels: int, rng: Any) -> Tuple[FloatArray, FloatArray]:
    """Return inputs and answers for some voxels and some bands of each example."""
    at = frequencies().reshape(BANDS, STEPS)
    inputs, answers = [], []
    for e in examples:
        voxel = rng.integers(len(e.limit), size=voxels * BANDS_A_VOXEL)
        band = rng.integers(usable_bands(e.edge), size=len(voxel))
        inputs.append(rows(e.features[voxel], band, np.full(len(voxel), e.size)))
        answers.append((e.limit[voxel, None] > at[band]).astype(np.float32))
    return np.concatenate(inputs), np.concatenate(answers)


def _first_layers(rng: Any) -> List[FloatArray]:
    layers: List[FloatArray] = []
    for n, m in zip((INPUTS, *HIDDEN), (*HIDDEN, STEPS)):
        layers.append((rng.standard_normal((n, m)) * np.sqrt(2.0 / n)).astype(np.float32))
        layers.append(np.zeros(m, dtype=np.float32))
    return layers


def _rate(done: float) -> float:
    """Warm up over the first fiftieth, then fall as half a cosine."""
    return LEARNING_RATE * min(50.0 * done, 1.0) * 0.5 * (1.0 + float(np.cos(np.pi * done)))


def _gradients(layers: List[FloatArray], x: FloatArray, finer: FloatArray) -> Tuple[float, List[FloatArray]]:
    """Return the cross-entropy of a batch, a frequency, and its gradient for every layer."""
    activations = [x]
    for i in range(0, len(layers) - 2, 2):
        activations.append(np.maximum(activations[-1] @ layers[i] + layers[i + 1], 0))
    y = activations[-1] @ layers[-2] + layers[-1]
    loss = float(np.mean(np.logaddexp(0, y) - finer * y))
    back = (1.0 / (1.0 + np.exp(-y)) - finer) / np.float32(len(x))
    gradients: List[FloatArray] = []
    for i in range(len(layers) - 2, -1, -2):
        gradients = [activations[i // 2].T @ back, back.sum(axis=0), *gradients]
        if i:
            back = (back @ layers[i].T) * (activations[i // 2] > 0)
    return loss, gradients


def _adam(layers: List[FloatArray], gradients: List[FloatArray], moments: Any, step: int, rate: float) -> None:
    # Source: Kingma & Ba, ICLR 2015; decay of the weights apart from the moments: Loshchilov & Hutter, ICLR 2019.
    for p, g, m in zip(layers, gradients, moments):
        m[0] += np.float32(0.1) * (g - m[0])
        m[1] += np.float32(0.001) * (g * g - m[1])
        size = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        p -= np.float32(size) * m[0] / (np.sqrt(m[1]) + np.float32(1e-8)) + np.float32(rate * WEIGHT_DECAY) * p


def calibrated(network: Network, examples: Sequence[Example]) -> Network:
    """Return the network with tails such that each end of the interval is right 95 times of 100 on ``examples``.

    Every map counts alike: the tails are quantiles of the probability below the truth, weighted by one over its voxels.
    """
    ranks, weights = [], []
    for e in examples:
        there = has_signal(e) & (e.limit < frequencies()[0])
        if there.any():
            ranks.append(probability_below(network.finer(e.features[there], e.size, e.edge), e.limit[there]))
            weights.append(np.full(len(ranks[-1]), 1.0 / len(ranks[-1])))
    rank, weight = np.concatenate(ranks), np.concatenate(weights)
    order = np.argsort(rank)
    cumulated = np.cumsum(weight[order]) / weight.sum()
    low, high = (float(np.interp(q, cumulated, rank[order])) for q in INTERVAL)
    return replace(network, tails=(low, high))


def has_signal(e: Example) -> Any:
    """Tell which voxels have a truth that their box can tell."""
    return e.limit > band_frequencies()[usable_bands(e.edge) - 1]


def probability_below(finer: FloatArray, limit: FloatArray) -> Float64:
    """Return how much of each distribution, given that there is signal, lies below the truth (cycles a voxel)."""
    at = np.log(frequencies())[::-1]
    return np.array([
        1.0 - np.interp(np.log(u), at, row[::-1]) / max(float(row[-1]), 1e-9) for u, row in zip(limit, finer)
    ])  # fmt: skip


def errors(network: Network, examples: Sequence[Example]) -> Errors:
    """Measure the network on ``examples``, all voxels together."""
    from scipy.stats import spearmanr

    finer = np.concatenate([network.finer(e.features, e.size, e.edge) for e in examples])
    limit = np.concatenate([e.limit for e in examples])
    signal, found = np.concatenate([has_signal(e) for e in examples]), finer[:, -1] > 0.5
    read = quantiles(finer, (network.tails[0], 0.5, network.tails[1]))
    both = signal & found
    missed = float(np.mean(~found[signal])) if signal.any() else np.nan
    invented = float(np.mean(found[~signal])) if (~signal).any() else np.nan
    if not both.any():
        return Errors(np.nan, np.nan, np.nan, np.nan, np.nan, missed, invented)
    error = limit[both] / read[both, 1] - 1.0
    # The truth is capped at Nyquist, and so is the interval.
    covered = (read[both, 0] <= limit[both]) & (limit[both] <= read[both, 2] * (1 + 1e-4))
    return Errors(
        float(np.median(np.abs(error))), float(np.percentile(np.abs(error), 90)), float(error.mean()),
        float(covered.mean()), float(spearmanr(read[both, 1], limit[both]).statistic), missed, invented,
    )  # fmt: skip


def errors_by_family(network: Network, examples: Sequence[Example]) -> Dict[str, Errors]:
    """Measure the network on each family by itself, and on all."""
    names = sorted({e.family for e in examples})
    found = {name: errors(network, [e for e in examples if e.family == name]) for name in names}
    return {**found, "all": errors(network, examples)}
