"""Maps that were cut out of a larger one: a network would take the step to the zeros beside them for fine detail.

Beyond the cut the density diffuses into the zeros, where it decays: it goes on where it was cut and falls to zero
within some voxels. Where there is density nothing changes, and what ends softly is continued by nothing.
"""

from __future__ import annotations

import numba
import numpy as np

import cryores.openmp  # noqa: F401  before numba starts a thread
from cryores.volume import FloatArray

REACH = 3.0
"""Voxels within which the density would fall by e after many steps."""

STEPS = 25
"""Of the iteration: nothing gets farther than so many voxels."""


def continued(data: FloatArray) -> FloatArray:
    """Return a map whose voxels that are exactly zero continue the density beside them.

    Parameters
    ----------
    data : ndarray of float32, shape (z, y, x)
        Density.

    Returns
    -------
    ndarray of float32
        ``data`` itself where no voxel is zero.
    """
    empty = data == 0.0
    if not empty.any():
        return data
    old, new = data.copy(), data.copy()
    for _ in range(STEPS):
        _step(old, new, empty, np.float32(1.0 / (6.0 + REACH**-2)))
        old, new = new, old
    return old


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _step(old, new, empty, share):  # type: ignore[no-untyped-def]
    nz, ny, nx = old.shape
    for z in numba.prange(nz):
        for y in range(ny):
            for x in range(nx):
                if empty[z, y, x]:
                    along_z = old[z - 1, y, x] + old[(z + 1) % nz, y, x]
                    along_y = old[z, y - 1, x] + old[z, (y + 1) % ny, x]
                    along_x = old[z, y, x - 1] + old[z, y, (x + 1) % nx]
                    new[z, y, x] = share * (along_z + along_y + along_x)
