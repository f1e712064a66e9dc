"""The same map on a coarser or finer grid over the same box, by cropping or padding its spectrum."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from cryores.fourier import Complex, irfft, rfft, spectrum_shape
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
    nz, ny, nx = data.shape
    return irfft(resampled_spectrum(rfft(data, threads), (nz, ny, nx), shape), shape, threads, destroy=True)


def resampled_spectrum(spectrum: Complex, have: IntTriple, want: IntTriple) -> Complex:
    """Return the spectrum of a map of ``have`` voxels on ``want`` voxels over the same box."""
    target = np.zeros(spectrum_shape(want), dtype=np.complex64)
    # The highest frequency of an even edge has no partner of the other sign: it is left out.
    width = (min(have[2], want[2]) - 1) // 2 + 1
    for take_z, put_z in _shared(have[0], want[0]):
        for take_y, put_y in _shared(have[1], want[1]):
            target[put_z, put_y, :width] = spectrum[take_z, take_y, :width]
    target *= np.float32(np.prod(want, dtype=np.float64) / np.prod(have, dtype=np.float64))
    return target


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
