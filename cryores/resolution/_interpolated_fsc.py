"""FSC in a box around every voxel, from boxes on a lattice: the sums over shells are interpolated between them.

As a function of the box's centre, the sums of products over a shell change no faster than the square of the taper's
spectrum: a Hann window of n voxels lets through 4 / n cycles per voxel at most, so a lattice of n / 8 voxels holds
them. The curves are then read at every voxel. (To interpolate resolutions would be wrong: they jump where curves graze
the cutoff.)
"""

from __future__ import annotations

from typing import Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import Array
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.resolution._boxed_fsc import Shells, boxed_sums, read_curve
from cryores.volume import BoolArray, FloatArray, Triple

TAPS = np.arange(-2, 4)
"""Lattice points along each axis that a voxel is interpolated from, relative to the one below it."""


def interpolated_resolutions(
    half1: Array,
    half2: Array,
    voxels: npt.NDArray[np.int64],
    step: int,
    window: FloatArray,
    shells: Shells,
    voxel_size: Triple,
    cutoffs: Tuple[float, ...],
    last: bool,
    execution: Execution,
) -> FloatArray:
    """Return the local resolution (Å) at each voxel for each cutoff, shape (voxels, cutoffs).

    Parameters are those of `cryores.resolution._boxed_fsc.boxed_resolutions`; ``voxels`` are the centres, and the boxes
    lie around every voxel whose indices are multiples of ``step``.
    """
    first = (voxels.min(axis=0) // step + TAPS[0]) * step
    needed = _needed(voxels, first, step)
    row = np.full(needed.shape, -1, dtype=np.int32)
    row[needed] = np.arange(np.count_nonzero(needed))
    centres = np.argwhere(needed) * step + first
    sums = boxed_sums(half1, half2, centres, window, shells, voxel_size, execution)
    found = np.empty((len(voxels), len(cutoffs)), dtype=np.float32)
    weights = np.array([_lagrange_weights(i / step) for i in range(step)])
    _read_between(voxels - first, step, weights, row, sums, np.asarray(cutoffs), *shells.limits, last, found)
    return found


def _needed(voxels: npt.NDArray[np.int64], first: npt.NDArray[np.int64], step: int) -> BoolArray:
    """Mark the lattice points that a voxel is interpolated from; the lattice starts at ``first``."""
    below = (voxels - first) // step
    needed = np.zeros(below.max(axis=0) + TAPS[-1] + 1, dtype=bool)
    cells = np.zeros_like(needed)
    cells[tuple(below.T)] = True
    for z, y, x in np.argwhere(np.ones((TAPS.size,) * 3)) + TAPS[0]:
        needed |= np.roll(cells, (z, y, x), axis=(0, 1, 2))
    return needed


def _lagrange_weights(fraction: float) -> Float64:
    """Return the weights of the lattice points `TAPS`, of the polynomial of degree 5 through their values."""
    ratios = [[(fraction - b) / (a - b) for b in TAPS if b != a] for a in TAPS]
    weights: Float64 = np.prod(ratios, axis=1, dtype=np.float64)
    return weights


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _read_between(places, step, weights, row, sums, cutoffs, width, coarsest, finest, last, found):  # type: ignore[no-untyped-def]
    taps = weights.shape[1]
    first = taps // 2 - 1
    for v in numba.prange(places.shape[0]):
        z, y, x = places[v, 0] // step, places[v, 1] // step, places[v, 2] // step
        wz, wy, wx = weights[places[v, 0] % step], weights[places[v, 1] % step], weights[places[v, 2] % step]
        here = np.zeros((3, sums.shape[2]))
        for i in range(taps):
            for j in range(taps):
                for k in range(taps):
                    w = wz[i] * wy[j] * wx[k]
                    if w != 0.0:
                        at = row[z + i - first, y + j - first, x + k - first]
                        for quantity in range(3):
                            for shell in range(sums.shape[2]):
                                here[quantity, shell] += w * sums[at, quantity, shell]
        read_curve(here, cutoffs, width, coarsest, finest, last, found[v])
