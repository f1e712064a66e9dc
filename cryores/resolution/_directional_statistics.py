"""What the resolutions of a voxel along all directions say: outliers, spread, best and worst, radial and tangential.

A resolution r along the axis n is the point r n of a surface around the voxel; neighbouring axes should give points
near each other. All arrays are of the voxels of a mask, one row a direction.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.special

from cryores.directions import angles_between
from cryores.fourier import Float64
from cryores.resolution._directional_amplitude import HALF_ANGLE
from cryores.volume import FloatArray

Levels = npt.NDArray[np.int16]

NEIGHBOURS = np.radians(20.0)
"""Axes closer than this are neighbours: five or six of 81."""

NEIGHBOURHOODS = ("average", "trim", "none")
"""What the neighbours of a direction are for, see `spread_of`."""

OUTLIER = 1.645
"""Standard deviations by which an axis's mean distance to its neighbours may exceed the voxel's."""

HIGHEST, LOWEST = 0.05, 0.95
SPREAD = (0.17, 0.83)
"""Ranks, as shares of the axes kept: best and worst resolution, and the ends of the anisotropy (two sigmas)."""

RADIAL = np.radians(45.0)
TANGENTIAL = np.radians(70.0)
"""Axes within the first of the line to the centre are radial, those beyond the second tangential."""

ROUNDING = 1e-6
"""Of cosines: an axis on the limit itself, as one between two edges of the box is for voxels on them, belongs to it."""

PARTS = 64

AMONG_THE_BEST = 0.1
"""Å beyond the highest resolution of a voxel up to which a direction is one of its preferred ones."""


class Spread(NamedTuple):
    """One value a voxel, in Å; NaN where nothing is known.

    ``doa`` is half the range of the middle two thirds of the directions, ``mean`` the middle of ``highest`` and
    ``lowest``.
    """

    doa: FloatArray
    mean: FloatArray
    highest: FloatArray
    lowest: FloatArray
    radial: FloatArray
    tangential: FloatArray


class Directions(NamedTuple):
    """One value a direction.

    Parameters
    ----------
    axes : ndarray of float64, shape (directions, 3)
        Unit vectors (z, y, x).
    preferring : ndarray of float64
        Voxels that prefer the direction: along it they reach their highest resolution, to 0.1 Å.
    highest : ndarray of float64
        Mean of the highest resolution (Å) of those voxels, NaN where there are none.
    resolution : ndarray of float64
        Mean resolution (Å) along the direction.
    chance : float
        Probability that ``resolution`` favours an axis so much by chance, see `axis_chance`.
    """

    axes: Float64
    preferring: Float64
    highest: Float64
    resolution: Float64
    chance: float


NO_DIRECTIONS = Directions(np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros(0), float("nan"))


def neighbours_of(axes: Float64) -> Tuple[npt.NDArray[np.int64], Float64]:
    """Return the neighbours of every axis, shape (axes, most), -1 where there are fewer, and all cosines between axes.

    Cosines are positive: an axis has no sign, and of two ends the nearer one counts.
    """
    angles = angles_between(axes)
    near = (angles < max(NEIGHBOURS, 1.3 * _spacing(angles))) & ~np.eye(len(axes), dtype=bool)
    neighbours = np.full((len(axes), int(near.sum(axis=1).max())), -1, dtype=np.int64)
    for i, row in enumerate(near):
        neighbours[i, : row.sum()] = np.flatnonzero(row)
    return neighbours, np.cos(angles)


def _spacing(angles: Float64) -> float:
    return float((angles + 9.0 * np.eye(len(angles))).min())


def spread_of(
    levels: Levels, resolutions: Float64, axes: Float64, outwards: FloatArray, neighbourhood: str = "trim"
) -> Tuple[Spread, Directions]:
    """Return what every voxel's resolutions say, and which directions the voxels prefer.

    Cones of neighbouring axes overlap, so that the resolutions along them differ little, but for noise. There are two
    ways to use that. ``average``: each frequency (1/resolution) becomes the mean of all, weighted with the share of a
    cone that lies in the other. ``trim``: axes that stand apart from their neighbours are left out, as published.

    Parameters
    ----------
    levels : ndarray of int16, shape (directions, voxels)
        Index into ``resolutions``.
    resolutions : ndarray of float64
        Tested resolutions in Å.
    axes : ndarray of float64, shape (directions, 3)
        Unit vectors (z, y, x).
    outwards : ndarray of float32, shape (voxels, 3)
        Unit vectors from the centre to each voxel, (z, y, x); 0 at the centre itself.
    neighbourhood : str
        One of `NEIGHBOURHOODS`.
    """
    neighbours, cosines = neighbours_of(axes)
    weights = overlap_of_cones(axes) if neighbourhood == "average" else np.eye(len(axes))
    weights /= weights.sum(axis=1, keepdims=True)
    values = np.empty((6, levels.shape[1]), dtype=np.float32)
    # A fixed number of parts: the order of the sums, and so their rounding, does not depend on the threads.
    sums = np.zeros((PARTS, len(axes), 3))
    pairs = np.argwhere(weights > 0)
    shares = weights[pairs[:, 0], pairs[:, 1]]
    trimmed = neighbourhood == "trim"
    _spread(levels, resolutions, axes, pairs, shares, trimmed, neighbours, cosines, outwards, values, sums)
    count, highest, everywhere = np.moveaxis(sums.sum(axis=0), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        highest, everywhere = highest / count, everywhere / levels.shape[1]
    return Spread(*values), Directions(axes, count, highest, everywhere, axis_chance(everywhere, axes))


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _spread(levels, resolutions, axes, pairs, shares, trimmed, neighbours, cosines, outwards, values, sums):  # type: ignore[no-untyped-def]
    parts, voxels = sums.shape[0], levels.shape[1]
    for part in numba.prange(parts):
        r, frequency, distance = np.empty(levels.shape[0]), np.empty(levels.shape[0]), np.empty(levels.shape[0])
        for v in range(part * voxels // parts, (part + 1) * voxels // parts):
            for i in range(r.size):
                frequency[i] = resolutions[levels[i, v]]
                sums[part, i, 2] += frequency[i]
                frequency[i] = 1.0 / frequency[i]
            r[:] = 0.0
            for k in range(shares.size):
                r[pairs[k, 0]] += shares[k] * frequency[pairs[k, 1]]
            for i in range(r.size):
                r[i] = 1.0 / r[i]
            limit = _distances(r, neighbours, cosines, distance)
            if not trimmed:
                limit = np.inf
            kept = np.sort(r[distance <= limit])
            high, low = _rank(kept, HIGHEST), _rank(kept, LOWEST)
            middle = 0.5 * (high + low)
            values[0, v] = 0.5 * (_rank(kept, SPREAD[1]) - _rank(kept, SPREAD[0]))
            values[1, v], values[2, v], values[3, v] = middle, high, low
            inwards, across = _towards(r, distance, limit, axes, outwards[v], middle)
            values[4, v], values[5, v] = inwards, across
            for i in range(r.size):
                if distance[i] <= limit and r[i] < high + AMONG_THE_BEST:
                    sums[part, i, 0] += 1
                    sums[part, i, 1] += high


def overlap_of_cones(axes: Float64) -> Float64:
    """Return the share of the cone about each axis that lies in that about each other, as for circles that overlap."""
    half = np.minimum(angles_between(axes) / (2.0 * HALF_ANGLE), 1.0)
    overlap: Float64 = (2.0 / np.pi) * (np.arccos(half) - half * np.sqrt(1.0 - half**2))
    return overlap


def axis_chance(values: Float64, axes: Float64) -> float:
    """Return the probability that ``values``, one a direction, favour an axis so much by chance; NaN if all are equal.

    A quadratic form n' T n is fitted to the values, and its part that is not constant compared with what is left over
    (F-test, 5 degrees of freedom against the rest). Values of near directions are alike, because their cones overlap:
    their correlation is taken as the share of a cone that lies in the other, and whitened.
    """
    quadratic = np.array([[n[0] * n[0], n[1] * n[1], n[2] * n[2], n[0] * n[1], n[0] * n[2], n[1] * n[2]] for n in axes])
    whiten: Float64 = np.linalg.inv(np.linalg.cholesky(overlap_of_cones(axes)))
    left = [_unexplained(whiten @ model, whiten @ values) for model in (np.ones((len(axes), 1)), quadratic)]
    rest = len(axes) - 6
    if left[1] <= 1e-12 * np.sum(values**2):
        return float("nan")
    return float(scipy.special.fdtrc(5, rest, (left[0] - left[1]) / 5.0 / (left[1] / rest)))


def _unexplained(model: Float64, values: Float64) -> float:
    fitted = model @ np.linalg.lstsq(model, values, rcond=None)[0]
    return float(np.sum((values - fitted) ** 2))


@numba.njit(inline="always")  # type: ignore[misc]
def _rank(ascending, share):  # type: ignore[no-untyped-def]
    return ascending[int(share * ascending.size)]


@numba.njit(cache=True)  # type: ignore[misc]
def _distances(r, neighbours, cosines, out):  # type: ignore[no-untyped-def]
    """Fill the mean distance of every point to its neighbours; return the one beyond which it is an outlier."""
    total, squares, pairs = 0.0, 0.0, 0
    for i in range(r.size):
        mean, number = 0.0, 0
        for j in neighbours[i]:
            if j < 0:
                break
            d = np.sqrt(max(r[i] * r[i] + r[j] * r[j] - 2.0 * r[i] * r[j] * cosines[i, j], 0.0))
            mean += d
            total += d
            squares += d * d
            number += 1
        out[i] = mean / number
        pairs += number
    mean = total / pairs
    return mean + OUTLIER * np.sqrt(max(squares / pairs - mean * mean, 0.0))


@numba.njit(cache=True)  # type: ignore[misc]
def _towards(r, distance, limit, axes, outwards, otherwise):  # type: ignore[no-untyped-def]
    """Return the mean resolution along the axes towards the centre and across, ``otherwise`` where there are none."""
    sums = np.zeros((2, 2))
    if outwards[0] == 0 and outwards[1] == 0 and outwards[2] == 0:
        return otherwise, otherwise
    for i in range(r.size):
        if distance[i] > limit:
            continue
        cosine = abs(axes[i, 0] * outwards[0] + axes[i, 1] * outwards[1] + axes[i, 2] * outwards[2])
        if cosine >= np.cos(RADIAL) - ROUNDING:
            sums[0, 0] += 1
            sums[0, 1] += r[i]
        elif cosine <= np.cos(TANGENTIAL) + ROUNDING:
            sums[1, 0] += 1
            sums[1, 1] += r[i]
    inwards = sums[0, 1] / sums[0, 0] if sums[0, 0] > 0 else otherwise
    across = sums[1, 1] / sums[1, 0] if sums[1, 0] > 0 else otherwise
    return inwards, across


def principal_axes(directions: Directions) -> Tuple[Float64, Float64]:
    """Return the axes (z, y, x; z >= 0) about which the resolution is worst and best.

    Each is the eigenvector of the largest eigenvalue of the sum of w n n^T over the directions n. The weight w is the
    square of how far the resolution lies above the median, or below it: all others say nothing of a few bad ones.
    """
    deviation: Float64 = directions.resolution - float(np.median(directions.resolution))
    weights: Float64 = np.square(deviation)
    worst, best = (np.where(side, weights, 0.0) for side in (deviation > 0, deviation < 0))
    return _axis_of(worst, directions.axes), _axis_of(best, directions.axes)


def _axis_of(weights: Float64, axes: Float64) -> Float64:
    vector: Float64 = np.linalg.eigh(np.einsum("i,ij,ik->jk", weights, axes, axes))[1][:, 2]
    turned: Float64 = vector * np.sign(vector[np.flatnonzero(np.abs(vector) > 1e-9)[0]])
    return turned


# --- over the radius ----------------------------------------------------------------------------------------------


class RadialAverages(NamedTuple):
    """Means over shells of two voxels about the centre.

    Parameters
    ----------
    radius : ndarray of float64, shape (shells,)
        Å.
    voxels : ndarray of int64
        Voxels of the mask in each shell.
    mean, deviation : ndarray of float64, shape (shells, maps)
        Mean and standard deviation (Å) of the radial, tangential, highest and lowest resolution, in this order.
    """

    radius: Float64
    voxels: npt.NDArray[np.int64]
    mean: Float64
    deviation: Float64


NO_AVERAGES = RadialAverages(np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros((0, 4)))

AVERAGED = ("radial", "tangential", "highest", "lowest")
LARGEST_Z = 5.0


def radial_averages(spread: Spread, distance: FloatArray, spacing: float) -> RadialAverages:
    """Average over shells; ``distance`` is that of every voxel from the centre (Å), ``spacing`` the voxel size (Å)."""
    maps = np.array([getattr(spread, name) for name in AVERAGED])
    shell = _shells(distance, spacing)
    shells = int(shell.max()) + 2
    # A shell reaches from one whole radius below to one above: every voxel belongs to two.
    alone = [
        np.array([np.bincount(shell, weights=w, minlength=shells) for w in (m, m.astype(np.float64) ** 2)])
        for m in maps
    ]
    sums = np.array([a[:, 1:] + a[:, :-1] for a in alone])
    number = np.bincount(shell, minlength=shells)
    number = number[1:] + number[:-1]
    known = number > 0
    mean = sums[:, 0, known] / number[known]
    deviation = np.sqrt(np.maximum(sums[:, 1, known] / number[known] - mean**2, 0.0))
    radius = (np.arange(1, shells) * spacing)[known]
    return RadialAverages(radius, number[known], mean.T, deviation.T)


def _shells(distance: FloatArray, spacing: float) -> npt.NDArray[np.int64]:
    shells: npt.NDArray[np.int64] = np.floor(distance.astype(np.float64) / spacing).astype(np.int64)
    return shells


def z_scores(spread: Spread, averages: RadialAverages, distance: FloatArray) -> FloatArray:
    """Return how many standard deviations (up to 5) each voxel lies from its shell, in the map where it is farthest."""
    largest = np.zeros(distance.shape)
    for column, name in enumerate(AVERAGED):
        mean = np.interp(distance, averages.radius, averages.mean[:, column])
        deviation = np.interp(distance, averages.radius, averages.deviation[:, column])
        difference = np.abs(getattr(spread, name) - mean)
        largest = np.maximum(largest, np.divide(difference, deviation, out=np.zeros_like(largest), where=deviation > 0))
    return np.minimum(largest, LARGEST_Z).astype(np.float32)


class Slope(NamedTuple):
    """A line through a radial average: Å of resolution per Å of radius, and its standard error."""

    slope: float
    error: float


def slope_over_radius(averages: RadialAverages, name: str) -> Slope:
    """Fit a line to one of `AVERAGED` over the radius, each shell with the weight of its voxels."""
    column = averages.mean[:, AVERAGED.index(name)]
    if len(column) < 3:
        return Slope(float("nan"), float("nan"))
    weight = averages.voxels / averages.voxels.sum()
    radius = averages.radius - np.sum(weight * averages.radius)
    scatter = np.sum(weight * radius**2)
    slope = float(np.sum(weight * radius * column) / scatter)
    residual = column - np.sum(weight * column) - slope * radius
    return Slope(slope, float(np.sqrt(np.sum(weight * residual**2) / scatter / (len(column) - 2))))
