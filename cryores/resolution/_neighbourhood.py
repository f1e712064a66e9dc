"""What the voxels around a voxel say of its resolution: the second step of `cryores.resolution.locres`.

The first step (`cryores.resolution._resolution_network`) looks at one voxel and is noisy. Here its answers, logarithms
of frequencies weighted by how sure they are, are averaged over the mask under Gaussians of several widths; the same
kind of perceptron tells, from the averages, their spread, their weights and how steeply they change, how the resolution
of the voxel lies to the average nearby. It is also given how the halves agree in the bands about the first answers,
averaged alike: one voxel's correlations are too noisy to tell a sharp limit from signal that fades, many are not.
Distances are voxels; frequencies are cycles a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Sequence, Tuple

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

REACH = 3.0
"""Width from which on Gaussians tell how steeply the average changes."""

PROFILE_WIDTHS = (4.0, 12.0)
"""Of the Gaussians under which profiles are averaged."""

COVER, WEIGHT, HEIGHT, SQUARE, SILENT = range(5)
FIELDS = 5
"""What is averaged of every voxel: 1, its weight, the weight times the logarithm of its frequency and times the square
of that, and the probability of no signal."""

OWN_INPUTS = 4 * len(WIDTHS) + 5
"""Inputs of the second perceptron but for steepness and profiles."""


def offsets() -> Float64:
    """Return the offsets in ln(frequency) from the average nearby at which the distribution is known, falling."""
    half = 0.9 * np.linspace(0.0, 1.0, 14)[1:] ** 1.6
    result: Float64 = np.concatenate([half[::-1], [0.0], -half])
    return result


@dataclass(frozen=True)
class Estimate:
    """What a step says of every voxel of a mask, in the order of ``np.argwhere``.

    Parameters
    ----------
    frequency, lowest, highest : ndarray of float32
        Median and interval in cycles a voxel.
    none : ndarray of float32
        Probability that there is no signal at all.
    """

    frequency: FloatArray
    lowest: FloatArray
    highest: FloatArray
    none: FloatArray


@dataclass(frozen=True)
class FirstAnswers(Estimate):
    """What the first step says.

    Parameters
    ----------
    profile : ndarray of float32, shape (voxels, columns)
        How the halves agree in bands about ``frequency``.
    """

    profile: FloatArray


@dataclass(frozen=True)
class Surroundings:
    """The answers of the first step around every voxel of a mask.

    Parameters
    ----------
    maps : CoarseMaps of float32
        For each Gaussian in turn the averages of the `FIELDS`.
    steepness : CoarseMaps of float32
        Of the average logarithm under the Gaussians from `REACH` on: the square of its gradient a voxel.
    profiles : CoarseMaps of float32
        For each column of the profiles in turn its averages under the Gaussians of `PROFILE_WIDTHS`.
    own : ndarray of float32, shape (voxels, 3)
        Logarithm of the frequency, less ``centre``; weight; probability of no signal, of every voxel of the mask.
    first : FirstAnswers
        The answers.
    centre : float
        Average logarithm of the frequency.
    """

    maps: CoarseMaps
    steepness: CoarseMaps
    profiles: CoarseMaps
    own: FloatArray
    first: FirstAnswers
    centre: float

    def inputs(self, voxels: npt.NDArray[np.int64], rows: Any) -> Tuple[FloatArray, FloatArray]:
        """Return what the second perceptron is given, a row a voxel, and the logarithm of the average nearby.

        Parameters
        ----------
        voxels : ndarray of int64, shape (n, 3)
            Voxels of the mask.
        rows : slice or ndarray of int
            Which they are of all.
        """
        x = np.empty((len(voxels), OWN_INPUTS), dtype=np.float32)
        _inputs(*self.maps.reading(), voxels, self.own[rows], np.float32(self.centre), x)
        # In logarithms of frequencies a wavelength: what a window sees of the finer side grows with it.
        steep = np.sqrt(_read(self.steepness, voxels)) / self.first.frequency[rows, None]
        parts = (x, steep, self.first.profile[rows], _read(self.profiles, voxels))
        return np.concatenate(parts, axis=1), x[:, -1].copy()


def surroundings(first: FirstAnswers, inside: BoolArray, threads: int) -> Surroundings:
    """Average the answers of the first step over a mask.

    Parameters
    ----------
    first : FirstAnswers
        At the voxels of the mask.
    inside : ndarray of bool, shape (nz, ny, nx)
        The mask.
    threads : int
        Threads to use.
    """
    height = np.log(first.frequency)
    spread = np.log(np.maximum(first.highest / first.lowest, 1.0)) / np.float32(NORMAL_INTERVAL)
    weight = (1.0 - first.none) / (spread**2 + np.float32(LEAST_SPREAD**2)) + np.float32(1e-3)
    centre = np.float32(np.average(height, weights=weight))
    own = np.stack([height - centre, weight, first.none], axis=1)
    maps = _averaged((_field(own, f) for f in range(FIELDS)), FIELDS, WIDTHS, inside, threads)
    weighted = (weight * column for column in (np.float32(1.0), *first.profile.T))
    profiles = _averaged(weighted, 1 + first.profile.shape[1], PROFILE_WIDTHS, inside, threads)
    return Surroundings(maps, _steepness(maps), _relative(profiles), own, first, float(centre))


def _averaged(
    fields: Iterable[Any], count: int, widths: Sequence[float], inside: BoolArray, threads: int
) -> CoarseMaps:
    """Return the averages of ``count`` fields, all of them under one Gaussian after the other."""
    nz, ny, nx = inside.shape
    whole = (nz, ny, nx)
    block = block_around(inside)
    extent = (float(nz), float(ny), float(nx))
    grids = [grid_for(SAMPLING / width, extent, whole) for width in widths for _ in range(count)]
    found = CoarseMaps.empty(grids, block, whole, np.float32)
    there = inside[block]
    values = np.zeros((1, *there.shape), dtype=np.float32)
    for f, field in enumerate(fields):
        np.place(values[0], there, field)
        for i, width in enumerate(widths):
            shares = (width / nz, width / ny, width / nx)
            averaged = found.averages(i * count + f, values, block, whole, shares, threads)
            found[i * count + f][...] = averaged[..., 0]
    return found


def _steepness(maps: CoarseMaps) -> CoarseMaps:
    """Return the squared gradient of the average logarithm, at most 1, of the maps of `_averaged`."""
    wide = [i * FIELDS for i, width in enumerate(WIDTHS) if width >= REACH]
    found = maps.like(wide)
    for at, i in enumerate(wide):
        average = maps[i + HEIGHT] / np.maximum(maps[i + WEIGHT], np.float32(1e-7))
        steep = found[at]
        steep[...] = 0.0
        for axis, (have, whole) in enumerate(zip(maps.grids[i], maps.whole)):
            if average.shape[axis] > 1:
                steep += (np.gradient(average, axis=axis) * np.float32(have / whole)) ** 2
        np.minimum(steep, np.float32(1.0), out=steep)
    return found


def _relative(profiles: CoarseMaps) -> CoarseMaps:
    """Return weighted averages, of averages of weighted columns that come after those of the weights themselves."""
    count = len(profiles.starts) // len(PROFILE_WIDTHS)
    kept = [i * count + c for c in range(1, count) for i in range(len(PROFILE_WIDTHS))]
    found = profiles.like(kept)
    for at, k in enumerate(kept):
        found[at][...] = profiles[k] / np.maximum(profiles[k // count * count], np.float32(1e-7))
    return found


def _read(maps: CoarseMaps, voxels: npt.NDArray[np.int64]) -> FloatArray:
    """Return all maps at voxels, shape (n, maps)."""
    found = np.empty((len(voxels), len(maps.starts)), dtype=np.float32)
    _interpolate(*maps.reading(), voxels, found)
    return found


def _field(own: FloatArray, f: int) -> Any:
    """Return one of the `FIELDS`."""
    height, weight, none = own.T
    if f == COVER:
        return np.float32(1.0)
    return none if f == SILENT else weight * height ** (f - WEIGHT)


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _interpolate(values, starts, scales, firsts, shapes, voxels, found):  # type: ignore[no-untyped-def]
    for v in range(voxels.shape[0]):
        for i in range(starts.size):
            pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
            found[v, i] = interpolated(values, starts, scales, firsts, shapes, i, pz, py, px)


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _inputs(values, starts, scales, firsts, shapes, voxels, own, centre, x):  # type: ignore[no-untyped-def]
    widths = len(WIDTHS)
    for v in range(voxels.shape[0]):
        pz, py, px = voxels[v, 0], voxels[v, 1], voxels[v, 2]
        height, weight, none = own[v, 0], own[v, 1], own[v, 2]
        averages, silent = np.empty(widths, dtype=np.float32), np.empty(widths, dtype=np.float32)
        for i in range(widths):
            k = i * FIELDS
            # The Gaussian is cut where its spectrum ends: next to nothing can come out below it.
            cover = max(interpolated(values, starts, scales, firsts, shapes, k + COVER, pz, py, px), np.float32(1e-4))
            total = max(interpolated(values, starts, scales, firsts, shapes, k + WEIGHT, pz, py, px), np.float32(1e-7))
            first = interpolated(values, starts, scales, firsts, shapes, k + HEIGHT, pz, py, px)
            second = max(interpolated(values, starts, scales, firsts, shapes, k + SQUARE, pz, py, px), np.float32(1e-7))
            quiet = max(interpolated(values, starts, scales, firsts, shapes, k + SILENT, pz, py, px), np.float32(1e-7))
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
