"""What the voxels around a voxel say of its resolution: the second step of `cryores.resolution.locres`.

The first step (`cryores.resolution._resolution_network`) looks at one voxel and is noisy. Here its answers, logarithms
of frequencies weighted by how sure they are, are averaged over the mask under Gaussians of several widths; the same
kind of perceptron tells, from the averages, their spread and their weights, how the resolution of the voxel lies to
the average nearby. Distances are voxels; frequencies are cycles a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.fourier import Float64
from cryores.masks import block_around
from cryores.resolution._local_average import SAMPLING, CoarseMaps, grid_for, interpolated
from cryores.volume import BoolArray, FloatArray

WIDTHS = (1.5, 3.0, 6.0, 12.0)
"""Standard deviations of the Gaussians in voxels."""

REFERENCE = 1
"""Which of them the offsets are counted from."""

LEAST_SPREAD = 0.03
"""Added in squares to the standard deviation of the logarithm of an answer, lest one voxel outweigh all others."""

NORMAL_INTERVAL = 3.29
"""Standard deviations between 5 and 95 % of a normal distribution."""

FIELDS = 5
INPUTS = 4 * len(WIDTHS) + 5


def offsets() -> Float64:
    """Return the offsets in ln(frequency) from the average nearby at which the distribution is known, falling."""
    half = 0.9 * np.linspace(0.0, 1.0, 14)[1:] ** 1.6
    result: Float64 = np.concatenate([half[::-1], [0.0], -half])
    return result


@dataclass(frozen=True)
class Surroundings:
    """The answers of the first step around every voxel of a mask.

    Parameters
    ----------
    maps : CoarseMaps of float32
        For each Gaussian in turn the averages of the `FIELDS`.
    own : ndarray of float32, shape (voxels, 3)
        Logarithm of the frequency, less ``centre``; weight; probability of no signal, of every voxel of the mask.
    centre : float
        Average logarithm of the frequency.
    """

    maps: CoarseMaps
    own: FloatArray
    centre: float

    def inputs(self, voxels: npt.NDArray[np.int64], rows: Any) -> Tuple[FloatArray, FloatArray]:
        """Return what the second perceptron is given, (n, `INPUTS`), and the logarithm of the average nearby.

        Parameters
        ----------
        voxels : ndarray of int64, shape (n, 3)
            Voxels of the mask.
        rows : slice or ndarray of int
            Which they are of all.
        """
        x = np.empty((len(voxels), INPUTS), dtype=np.float32)
        _inputs(*self.maps.reading(), voxels, self.own[rows], np.float32(self.centre), x)
        return x, x[:, -1].copy()


def surroundings(
    frequency: FloatArray, lowest: FloatArray, highest: FloatArray, none: FloatArray, inside: BoolArray
) -> Surroundings:
    """Average the answers of the first step over a mask.

    Parameters
    ----------
    frequency, lowest, highest, none : ndarray of float32
        Answers of the first step at the voxels of the mask, in order.
    inside : ndarray of bool, shape (nz, ny, nx)
        The mask.
    """
    height = np.log(frequency)
    spread = np.log(np.maximum(highest / lowest, 1.0)) / np.float32(NORMAL_INTERVAL)
    weight = (1.0 - none) / (spread**2 + np.float32(LEAST_SPREAD**2)) + np.float32(1e-3)
    centre = np.float32(np.average(height, weights=weight))
    own = np.stack([height - centre, weight, none], axis=1)
    return Surroundings(_averaged(own, inside), own, float(centre))


def _averaged(own: FloatArray, inside: BoolArray) -> CoarseMaps:
    nz, ny, nx = inside.shape
    whole = (nz, ny, nx)
    block = block_around(inside)
    extent = (float(nz), float(ny), float(nx))
    grids = [grid_for(SAMPLING / width, extent, whole) for width in WIDTHS for _ in range(FIELDS)]
    found = CoarseMaps.empty(grids, block, whole, np.float32)
    there = inside[block]
    field = np.zeros((1, *there.shape), dtype=np.float32)
    for f in range(FIELDS):
        field[0, there] = _field(own, f)
        for i, width in enumerate(WIDTHS):
            widths = (width / nz, width / ny, width / nx)
            found[i * FIELDS + f][...] = found.averages(i * FIELDS + f, field, block, whole, widths)[..., 0]
    return found


def _field(own: FloatArray, f: int) -> Any:
    """Return what is averaged: 1, weight, weight times logarithm and its square, probability of no signal."""
    if f == 0:
        return np.float32(1.0)
    return own[:, 2] if f == FIELDS - 1 else own[:, 1] * own[:, 0] ** (f - 1)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _inputs(values, starts, scales, firsts, shapes, voxels, own, centre, x):  # type: ignore[no-untyped-def]
    widths = len(WIDTHS)
    for v in numba.prange(voxels.shape[0]):
        pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        height, weight, none = own[v, 0], own[v, 1], own[v, 2]
        averages, silent = np.empty(widths, dtype=np.float32), np.empty(widths, dtype=np.float32)
        for i in range(widths):
            k = i * FIELDS
            # The Gaussian is cut where its spectrum ends: next to nothing can come out below it.
            cover = max(interpolated(values, starts, scales, firsts, shapes, k, pz, py, px), np.float32(1e-4))
            total = max(interpolated(values, starts, scales, firsts, shapes, k + 1, pz, py, px), np.float32(1e-7))
            first = interpolated(values, starts, scales, firsts, shapes, k + 2, pz, py, px)
            second = max(interpolated(values, starts, scales, firsts, shapes, k + 3, pz, py, px), np.float32(1e-7))
            quiet = max(interpolated(values, starts, scales, firsts, shapes, k + 4, pz, py, px), np.float32(1e-7))
            average = first / total
            averages[i], silent[i] = average, quiet / cover
            x[v, 3 * i] = np.sqrt(max(second / total - average * average, np.float32(0.0)))
            x[v, 3 * i + 1] = np.float32(0.5) * np.log(total / cover)
            x[v, 3 * i + 2] = cover
        reference, at = averages[REFERENCE], 3 * widths
        for i in range(widths):
            if i != REFERENCE:
                x[v, at] = averages[i] - reference
                at += 1
        x[v, at] = height - reference
        x[v, at + 1] = np.float32(0.5) * np.log(weight)
        x[v, at + 2] = none
        x[v, at + 3] = silent[0]
        x[v, at + 4] = silent[2]
        x[v, at + 5] = reference + centre
