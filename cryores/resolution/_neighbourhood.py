"""What the voxels around a voxel say of its resolution: the second step of `cryores.resolution.locres`.

The first step (`cryores.resolution._resolution_network`) looks at one voxel and is noisy. Here its answers, logarithms
of frequencies weighted by how sure they are, are averaged over the mask under Gaussians of several widths; the same
kind of perceptron tells, from the averages, their spread and their weights, how the resolution of the voxel lies to
the average nearby. Distances are voxels; frequencies are cycles a voxel.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import numba
import numpy as np

from cryores.fourier import Float64, rfft
from cryores.resolution._band_correlation import WINDOW_SAMPLING, averaged_under, grid_for
from cryores.volume import BoolArray, FloatArray, Grid, IntTriple

WIDTHS = (1.5, 3.0, 6.0, 12.0)
"""Standard deviations of the Gaussians in voxels."""

REFERENCE = 1
"""Which of them the offsets are counted from."""

LEAST_SPREAD = 0.03
"""Added in squares to the standard deviation of the logarithm of an answer, lest one voxel outweigh all others."""

NORMAL_INTERVAL = 3.29
"""Standard deviations between 5 and 95 % of a normal distribution."""

INPUTS = 4 * len(WIDTHS) + 5


def offsets() -> Float64:
    """Return the offsets in ln(frequency) from the average nearby at which the distribution is known, falling."""
    half = 0.9 * np.linspace(0.0, 1.0, 14)[1:] ** 1.6
    result: Float64 = np.concatenate([half[::-1], [0.0], -half])
    return result


def neighbourhood(
    frequency: FloatArray, lowest: FloatArray, highest: FloatArray, none: FloatArray, inside: BoolArray, threads: int
) -> Tuple[FloatArray, FloatArray]:
    """Return what the second perceptron is given, (voxels, `INPUTS`), and the logarithm of the average nearby.

    Parameters
    ----------
    frequency, lowest, highest, none : ndarray of float32
        Answers of the first step at the voxels of the mask, in order.
    inside : ndarray of bool, shape (nz, ny, nx)
        The mask.
    threads : int
        Threads of the transforms.
    """
    height = np.log(frequency)
    spread = np.log(np.maximum(highest / lowest, 1.0)) / np.float32(NORMAL_INTERVAL)
    weight = (1.0 - none) / (spread**2 + np.float32(LEAST_SPREAD**2)) + np.float32(1e-3)
    centre = np.float32(np.average(height, weights=weight))
    off = height - centre
    fields = (np.ones_like(weight), weight, weight * off, weight * off * off, none)
    means = _means(fields, inside, threads)
    own_weight = 0.5 * np.log(weight)
    columns: List[Any] = []
    averages = []
    for cover, total, first, second, _ in means:
        average = first / total
        averages.append(average)
        columns += [
            np.sqrt(np.maximum(second / total - average * average, 0.0)), 0.5 * np.log(total / cover), cover,
        ]  # fmt: skip
    reference = averages[REFERENCE]
    columns += [a - reference for i, a in enumerate(averages) if i != REFERENCE]
    columns += [off - reference, own_weight, none, means[0][4] / means[0][0], means[2][4] / means[2][0]]
    columns += [reference + centre]
    return np.stack(columns, axis=1).astype(np.float32), (reference + centre).astype(np.float32)


def _means(fields: Any, inside: BoolArray, threads: int) -> List[List[FloatArray]]:
    """Return the fields at the voxels of the mask under each Gaussian, [width][field]."""
    shape: IntTriple = inside.shape  # type: ignore[assignment]
    per_voxel = Grid.regular(shape, 1.0)
    flat = np.flatnonzero(inside)
    found: List[List[FloatArray]] = [[] for _ in WIDTHS]
    for field in fields:
        whole = np.zeros(shape, dtype=np.float32)
        whole[inside] = field
        spectrum = rfft(whole, threads)
        for i, width in enumerate(WIDTHS):
            coarse = grid_for(WINDOW_SAMPLING / width, per_voxel, shape)
            averaged = averaged_under(spectrum, shape, coarse, per_voxel, width, threads)
            # The Gaussian is cut where its spectrum ends: next to nothing can come out below it.
            values = _at_voxels(averaged, flat, np.array(shape))
            least = np.float32(1e-4 if field is fields[0] else 1e-7)
            found[i].append(values if field is fields[2] else np.maximum(values, least))
    return found


def _at_voxels(averaged: FloatArray, flat: Any, shape: Any) -> FloatArray:
    found = np.empty(len(flat), dtype=np.float32)
    _read(averaged.ravel(), np.array(averaged.shape), shape, flat, found)
    return found


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _read(values, coarse, shape, flat, found):  # type: ignore[no-untyped-def]
    nz, ny, nx = coarse
    for v in numba.prange(flat.size):
        plane = flat[v] // shape[2]
        pz = (plane // shape[1]) * (nz / shape[0])
        py = (plane % shape[1]) * (ny / shape[1])
        px = (flat[v] % shape[2]) * (nx / shape[2])
        z0, y0, x0 = int(pz), int(py), int(px)
        fz, fy, fx = np.float32(pz - z0), np.float32(py - y0), np.float32(px - x0)
        z1 = z0 + 1 if z0 + 1 < nz else 0
        y1 = y0 + 1 if y0 + 1 < ny else 0
        x1 = x0 + 1 if x0 + 1 < nx else 0
        a, b = (z0 * ny + y0) * nx, (z0 * ny + y1) * nx
        c, d = (z1 * ny + y0) * nx, (z1 * ny + y1) * nx
        one = np.float32(1)
        low = (one - fy) * ((one - fx) * values[a + x0] + fx * values[a + x1]) + fy * (
            (one - fx) * values[b + x0] + fx * values[b + x1]
        )
        high = (one - fy) * ((one - fx) * values[c + x0] + fx * values[c + x1]) + fy * (
            (one - fx) * values[d + x0] + fx * values[d + x1]
        )
        found[v] = (one - fz) * low + fz * high
