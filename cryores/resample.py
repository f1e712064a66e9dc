"""The same map on a coarser or finer grid over the same box, by cropping or padding its spectrum."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from cryores.fourier import irfft, rfft, spectrum_shape
from cryores.volume import FloatArray, Grid, IntTriple


def resampled(data: FloatArray, shape: IntTriple, threads: int) -> FloatArray:
    """Return ``data`` on ``shape`` voxels over the same box; frequencies that one grid lacks are left out.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        A map.
    shape : tuple of int
        Voxels along (z, y, x), fewer or more.
    threads : int
        Threads of the transforms.
    """
    if data.shape == shape:
        return data
    source = rfft(data, threads)
    target = np.zeros(spectrum_shape(shape), dtype=np.complex64)
    columns = min(data.shape[2], shape[2])
    # The highest frequency of an even edge has no partner of the other sign: it is left out.
    width = (columns - 1) // 2 + 1
    for take_z, put_z in _shared(data.shape[0], shape[0]):
        for take_y, put_y in _shared(data.shape[1], shape[1]):
            target[put_z, put_y, :width] = source[take_z, take_y, :width]
    target *= np.float32(np.prod(shape, dtype=np.float64) / data.size)
    return irfft(target, shape, threads)


def resampled_grid(grid: Grid, shape: IntTriple) -> Grid:
    """Return the plain grid of ``shape`` voxels over the box of ``grid``."""
    z, y, x = (length / n for length, n in zip(grid.extent, shape))
    return Grid.regular(shape, (z, y, x))


def _shared(have: int, want: int) -> List[Tuple[slice, slice]]:
    """Return (from, to) slices of the frequencies, positive and negative, that both lengths hold."""
    positive = (min(have, want) - 1) // 2 + 1
    pairs = [(slice(0, positive), slice(0, positive))]
    if positive > 1:
        pairs.append((slice(have - positive + 1, have), slice(want - positive + 1, want)))
    return pairs
