"""Regions of Fourier space: what is connected to the zero frequency, its sphericity, and a map filtered by it."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from cryores.fourier import irfft, rfft, shell_width
from cryores.resolution._directional import Coefficients, centred_map
from cryores.volume import BoolArray, FloatArray, Grid

FILTER_EDGE = 2.0
"""Standard deviation, in shells, of the Gaussian that softens the edge of the anisotropic filter."""

MESH_EDGE = 1.0
"""The same for the surface whose sphericity is measured: a surface of steps has an area that no step size mends."""


def connected_region(found: Coefficients, passing: BoolArray, forced: int) -> FloatArray:
    """Return 1 where the zero frequency is reached through passing coefficients, and in the holes that they enclose.

    Parameters
    ----------
    found : Coefficients
        Where they lie.
    passing : ndarray of bool, shape (n,)
        Those whose correlation is high enough.
    forced : int
        Shells up to this one pass.

    Returns
    -------
    ndarray of float32
        On the full spectrum, the zero frequency in the middle.
    """
    from scipy.ndimage import binary_fill_holes, label

    candidates = passing.copy()
    candidates[: found.start[min(forced + 1, found.start.size - 1)]] = True
    labels, _ = label(centred_map(found, candidates, at_origin=1.0))
    middle = tuple(n // 2 for n in labels.shape)
    return np.asarray(binary_fill_holes(labels == labels[middle]), dtype=np.float32)


def sphericity(region: FloatArray, grid: Grid) -> float:
    """Return pi^(1/3) (6 V)^(2/3) / A of a region of Fourier space: 1 for a ball, less for anything else.

    Parameters
    ----------
    region : ndarray of float32
        1 inside, 0 outside, the zero frequency in the middle; smoothed before its surface is traced.
    grid : Grid
        Grid of the maps, which gives the spacing of the coefficients.

    Returns
    -------
    float
        The sphericity; 0 for an empty region.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes, mesh_surface_area

    smooth = gaussian_filter(np.pad(region, 3), _in_voxels(MESH_EDGE, grid), mode="constant")
    if smooth.max() <= 0.5:
        return 0.0
    corners, triangles, _, _ = marching_cubes(smooth, 0.5, spacing=tuple(1.0 / edge for edge in grid.extent))
    a, b, c = (corners[triangles[:, i]].astype(np.float64) for i in range(3))
    volume = abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6.0
    area = float(mesh_surface_area(corners, triangles))
    return float(np.pi ** (1.0 / 3.0) * (6.0 * volume) ** (2.0 / 3.0) / area)


def filter_by_direction(data: FloatArray, region: FloatArray, grid: Grid, threads: int) -> FloatArray:
    """Return ``data`` without the coefficients outside a centred region, whose edge is made soft."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(region, _in_voxels(FILTER_EDGE, grid), mode="constant")
    spectrum = rfft(data, threads)
    spectrum *= np.fft.ifftshift(smooth)[:, :, : spectrum.shape[2]]
    spectrum[0, 0, 0] = data.sum(dtype=np.float64)
    return irfft(spectrum, grid.shape, threads)


def _in_voxels(shells: float, grid: Grid) -> Tuple[float, ...]:
    """Return a width in shells as voxels of the spectrum along each axis."""
    return tuple(shells * shell_width(grid) * edge for edge in grid.extent)
