"""Distributions over resolution: how likely it is finer than each of a row of frequencies; median and interval."""

from __future__ import annotations

from typing import Tuple

import numba
import numpy as np

from cryores.volume import FloatArray

NYQUIST = 0.5
QUANTILES = (0.05, 0.5, 0.95)


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


def log_medians(log_odds: FloatArray, log_frequency: FloatArray) -> FloatArray:
    """Return the logarithms of the medians of rows of log odds, read between them; `quantiles` reads probabilities."""
    found = np.empty(len(log_odds), dtype=np.float32)
    _log_medians(log_odds, log_frequency, found)
    return found


def monotonic(finer: FloatArray) -> FloatArray:
    """Make rows rise, in place."""
    np.maximum.accumulate(finer, axis=1, out=finer)
    return finer


def told_by(finer: FloatArray, log_frequency: FloatArray) -> FloatArray:
    """Return lowest, median and highest frequency and the probability of no signal, shape (rows, 4)."""
    return np.concatenate([quantiles(finer, log_frequency, QUANTILES), 1.0 - finer[:, -1:]], axis=1)


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


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _log_medians(log_odds, log_frequency, found):  # type: ignore[no-untyped-def]
    certain, nyquist = np.float32(30.0), np.float32(np.log(NYQUIST))
    for v in range(log_odds.shape[0]):
        row, places = log_odds[v], log_frequency[v]
        most = row[0]
        for j in range(1, row.size):
            most = max(most, row[j])
        # The log odds of half of the probability of any signal, p: -ln(2 / p - 1), with 1 / p = 1 + exp(-most).
        wanted = -np.log(np.float32(1.0) + np.float32(2.0) * np.exp(-min(max(most, -certain), certain)))
        before, place_before = -certain, max(nyquist, places[0])
        found[v] = places[-1]
        for j in range(row.size):
            here = min(max(row[j], -certain), certain)
            if here >= wanted:
                share = (wanted - before) / (here - before) if here > before else np.float32(0.0)
                found[v] = min(place_before + share * (places[j] - place_before), nyquist)
                break
            before, place_before = max(before, here), places[j]
