"""What the first step of the estimator of `cryores.resolution.locres` is given of the correlations at a voxel.

A count of the bands that agree places the voxel roughly; what is told are the bands about that place. So nothing but
the distance from Nyquist knows of absolute frequencies, and a map on a finer grid gives the same answers.
"""

from __future__ import annotations

from typing import Tuple

import numba
import numpy as np
import numpy.typing as npt

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
from cryores.volume import FloatArray

CONTEXT = 8
"""Bands on each side that the perceptron sees."""

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


@numba.njit(inline="always", cache=True)  # type: ignore[misc]
def _height(correlation):  # type: ignore[no-untyped-def]
    c = min(max(correlation, np.float32(-STRONGEST)), np.float32(STRONGEST))
    return np.float32(0.5) * np.log((np.float32(1.0) + c) / (np.float32(1.0) - c))


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _inputs(values, starts, scales, firsts, shapes, voxels, best, wanted, x, nearest):  # type: ignore[no-untyped-def]
    usable, seen, each = wanted.size, 2 * CONTEXT + 1, WINDOWS + len(COMPARED)
    scale, counted = np.float32(1.0 / FULL), np.empty(usable, dtype=np.float32)
    for v in range(voxels.shape[0]):
        pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        agreeing = np.float32(0.0)
        for band in range(usable):
            i = band * WINDOWS + COUNTED
            counted[band] = _height(scale * interpolated(values, starts, scales, firsts, shapes, i, pz, py, px))
            share = np.float32(2.0) * counted[band] / wanted[band] - np.float32(1.0)
            agreeing += min(max(share, np.float32(0.0)), np.float32(1.0))
        place = min(max(np.float32(usable - 0.5) - agreeing, np.float32(0.0)), np.float32(usable - 1))
        middle = int(np.rint(place))
        nearest[v] = middle
        x[v, x.shape[1] - 1] = place - middle
        for k in range(max(0, CONTEXT - middle), min(seen, usable + CONTEXT - middle)):
            band = middle - CONTEXT + k
            for window in range(WINDOWS):
                if window == COUNTED:
                    x[v, k * each + window] = counted[band]
                    continue
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
