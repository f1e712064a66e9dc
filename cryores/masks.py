"""Masks: binarisation, soft edges, spheres, growing and shrinking in Å, and a mask made from the maps themselves."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import numpy.typing as npt

from cryores.errors import InputError
from cryores.filters import gaussian
from cryores.fourier import filtered
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Maps, Triple, Volume, full_map

HARD = 0.01
"""A mask without values between this and one minus this has no soft edge."""

SOFT_EDGE = 6.0
"""Width in voxels of the edge that a mask gets where it multiplies the maps."""

BINARY_THRESHOLD = 0.5
"""Voxels of a mask above this are inside."""


# --- shapes -------------------------------------------------------------------------------------------------------


def binarise(mask: Volume, threshold: float = BINARY_THRESHOLD) -> Volume:
    """Return 1 where ``mask`` is above ``threshold``, 0 elsewhere."""
    return mask.like(mask.data > threshold)


def distance_outside(inside: BoolArray, voxel_size: Triple, reach: float = np.inf) -> FloatArray:
    """Return the distance in Å of every voxel to the nearest one inside: 0 inside, infinite where none is in reach.

    Distances above ``reach`` (Å) may be given as infinite; a short reach saves time.
    """
    distance = np.full(inside.shape, np.inf, dtype=np.float32)
    if inside.any():
        near = block_around(inside, tuple(int(min(n, reach // v + 1)) for n, v in zip(inside.shape, voxel_size)))
        _measure_distances(inside[near], voxel_size, distance[near])
    return distance


def _measure_distances(inside: BoolArray, voxel_size: Triple, out: npt.NDArray[np.floating[Any]]) -> None:
    """Write into ``out`` the distance in Å of every voxel to the nearest one inside, of which there is at least one.

    As `scipy.ndimage.distance_transform_edt` does in four volumes, where that makes eleven for a moment.
    """
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(~inside, sampling=voxel_size, return_distances=False, return_indices=True)
    _, y, x = (np.arange(n) for n in inside.shape)
    for z, into in enumerate(out):
        dz, dy, dx = nearest[0][z] - z, nearest[1][z] - y[:, None], nearest[2][z] - x
        into[:] = np.sqrt((dz * voxel_size[0]) ** 2 + (dy * voxel_size[1]) ** 2 + (dx * voxel_size[2]) ** 2)


def dilate(mask: Volume, distance: float) -> Volume:
    """Return the binary mask grown by ``distance`` Å: every voxel at most so far from one inside."""
    return mask.like(distance_outside(mask.data > BINARY_THRESHOLD, mask.grid.voxel_size, distance) <= distance)


def erode(mask: Volume, distance: float) -> Volume:
    """Return the binary mask shrunk by ``distance`` Å: the voxels farther than that from every one outside.

    The border of the box does not count as outside.
    """
    inside = mask.data > BINARY_THRESHOLD
    if inside.all() or not inside.any():
        return mask.like(inside)
    # One voxel of surroundings holds the nearest outside voxel of every voxel inside.
    near = block_around(inside, (1, 1, 1))
    depth = np.empty(inside[near].shape)
    _measure_distances(~inside[near], mask.grid.voxel_size, depth)
    shrunk = np.zeros_like(inside)
    shrunk[near] = inside[near] & (depth > distance)
    return mask.like(shrunk)


def soft_edge(mask: Volume, width: float) -> Volume:
    """Return the binary mask with an edge that falls outside it from 1 to 0 over ``width`` Å, as half a cosine."""
    inside = mask.data > BINARY_THRESHOLD
    if width <= 0:
        return mask.like(inside)
    edge = distance_outside(inside, mask.grid.voxel_size, width)
    np.minimum(edge, np.float32(width), out=edge)
    edge *= np.float32(np.pi / width)
    np.cos(edge, out=edge)
    edge *= np.float32(0.5)
    edge += np.float32(0.5)
    return mask.like(edge)


def softened(mask: Volume, width: float) -> Volume:
    """Return a mask that has a soft edge as it is, and a hard one with an edge of ``width`` Å outside of it.

    A hard edge spreads low frequencies over all others: under it, maps of steep spectra agree beyond their resolution.
    """
    return soft_edge(mask, width) if is_hard(mask) else mask


def is_hard(mask: Volume) -> bool:
    """Tell whether a mask has no soft edge: no value between 0 and 1."""
    return not np.any((mask.data > HARD) & (mask.data < 1.0 - HARD))


def soft_rim(mask: Volume, width: float) -> Volume:
    """Return the binary mask with an edge of ``width`` Å astride its surface: above 0.5 in just the same voxels."""
    inside = mask.data > BINARY_THRESHOLD
    voxel_size = mask.grid.voxel_size
    signed = distance_outside(inside, voxel_size, width)
    signed -= distance_outside(~inside, voxel_size)
    return mask.like(0.5 - 0.5 * np.sin(np.pi * np.clip(signed / width, -0.5, 0.5)))


def sphere(grid: Grid, radius: float, edge: float = 0.0) -> Volume:
    """Return a sphere about voxel n // 2: 1 up to ``radius`` Å, then a cosine edge of ``edge`` Å."""
    z, y, x = ((np.arange(n) - n // 2) * v for n, v in zip(grid.shape, grid.voxel_size))
    r = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
    if edge <= 0:
        return Volume((r <= radius).astype(np.float32), grid)
    ramp = np.clip((r - radius) / edge, 0.0, 1.0)
    return Volume((0.5 + 0.5 * np.cos(np.pi * ramp)).astype(np.float32), grid)


def bounding_box(mask: Volume, margin: int = 0) -> Tuple[slice, slice, slice]:
    """Return the slices (z, y, x) of the smallest block that holds the mask, ``margin`` voxels wider, inside the box.

    Raises
    ------
    InputError
        ``E_MASK_EMPTY`` for an empty mask.
    """
    inside = mask.data > BINARY_THRESHOLD
    if not inside.any():
        raise InputError("E_MASK_EMPTY", "the mask has no voxel above 0.5", "give another mask")
    return block_around(inside, (margin, margin, margin))


def block_around(inside: BoolArray, margin: Tuple[int, ...] = (0, 0, 0)) -> Tuple[slice, slice, slice]:
    """Return the slices of the smallest block that holds every voxel inside, ``margin`` voxels wider.

    Where none is inside, it is the whole box.
    """
    if not inside.any():
        z, y, x = (slice(0, n) for n in inside.shape)
        return z, y, x
    blocks = []
    for axis, n in enumerate(inside.shape):
        used = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        blocks.append(slice(max(0, int(used[0]) - margin[axis]), min(n, int(used[-1]) + 1 + margin[axis])))
    return (blocks[0], blocks[1], blocks[2])


# --- the automatic mask -------------------------------------------------------------------------------------------

SMOOTHING = (4.0, 8.0, 16.0)
"""Widths in Å (standard deviation) of the Gaussian that smooths the map, tried until the particle stands out."""

STANDS_OUT = 4.0
"""Standard deviations of the smoothed noise above which density is no accident."""

PARTICLE_RADIUS = 2.0
"""Density that is no accident must fill a ball of so many smoothing widths: chance peaks are smaller."""

SHARE_OF_OTSU = 0.5
"""The mask's threshold, as a share of the one that separates particle and background best (Otsu): the rim counts."""

HALOS = 95.0
"""Percentage of the density below the background that the mask's must exceed: halos go both ways, and those of a
missing wedge, which no difference of half maps shows, are as strong above the background as below."""

SMALLEST_PART = 0.1
"""Parts smaller than this share of the largest one are left out."""

RIM = 2.0
"""Å by which the mask is grown at the end."""


def automatic_mask(maps: Maps, threads: int = 1) -> Volume:
    """Find the particle and return a binary mask (0 or 1) that holds it.

    The (mean) map is smoothed and its median, the background, subtracted. Noise is measured on the half difference,
    or, in a single map, below the background level, where there is no particle. Voxels above half of Otsu's threshold,
    three times the noise and 95 % of what lies below the background are kept, without small parts, with holes filled,
    and grown by 2 Å.

    Parameters
    ----------
    maps : HalfMaps or Volume
        The maps, with positive density.
    threads : int
        Threads of the transforms.

    Returns
    -------
    Volume
        0 or 1, on the grid of the input.

    Raises
    ------
    InputError
        ``E_NO_PARTICLE`` if nothing stands out from the background.
    """
    grid = maps.grid
    full = full_map(maps)
    for smoothing in SMOOTHING:
        width = max(smoothing, smoothing / SMOOTHING[0] * grid.spacing)
        density = filtered(full.data, gaussian(width), grid, threads)
        density -= np.median(density)
        noise = _noise(maps, density, width, threads)
        if _stands_out(density > STANDS_OUT * noise, width, grid):
            halos = float(np.percentile(-density[density < 0], HALOS))
            found = density > max(SHARE_OF_OTSU * _otsu(density), (STANDS_OUT - 1.0) * noise, halos)
            if found.any():
                return dilate(full.like(_without_holes(_large_parts(found))), RIM)
    raise InputError(
        "E_NO_PARTICLE",
        "no particle stands out from the background, so no mask can be made",
        "give a mask, and check that the density is positive and the halves belong together",
    )


def mask_above(volume: Volume, threshold: float) -> Volume:
    """Return 1 where the density is above ``threshold``, in its large parts with their holes filled; 0 elsewhere.

    Parts smaller than a tenth of the largest one are left out. Nothing is 1 where no density is above.
    """
    found = volume.data > threshold
    return volume.like(_without_holes(_large_parts(found)) if found.any() else found)


def _noise(maps: Maps, density: FloatArray, width: float, threads: int) -> float:
    if isinstance(maps, HalfMaps):
        return float(filtered(maps.noise().data, gaussian(width), maps.grid, threads).std(dtype=np.float64))
    below = density[density < 0]
    # The median of a half normal distribution is 0.6745 standard deviations.
    return float(np.median(-below)) / 0.6745 if below.size else 0.0


def _stands_out(above: BoolArray, width: float, grid: Grid) -> bool:
    ball = 4.0 / 3.0 * np.pi * (PARTICLE_RADIUS * width) ** 3
    sizes = _part_sizes(above)[1]
    return bool(sizes.size and sizes.max() * np.prod(grid.voxel_size) >= ball)


def _otsu(density: FloatArray) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(density))


def _part_sizes(inside: BoolArray) -> Tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.integer[Any]]]:
    """Return the number of every voxel's part (0 outside) and the size of parts 1, 2, ..."""
    from scipy import ndimage

    labels, count = ndimage.label(inside)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def _large_parts(inside: BoolArray) -> BoolArray:
    labels, sizes = _part_sizes(inside)
    kept: BoolArray = np.concatenate([[False], sizes >= SMALLEST_PART * sizes.max()])[labels]
    return kept


def _without_holes(inside: BoolArray) -> BoolArray:
    """Return ``inside`` with every part of the outside that does not reach the border of the box filled."""
    labels, sizes = _part_sizes(~inside)
    open_parts = np.zeros(sizes.size + 1, dtype=bool)
    for axis in range(3):
        open_parts[labels.take((0, -1), axis=axis)] = True
    open_parts[0] = False
    filled: BoolArray = ~open_parts[labels]
    return filled


def making_bytes(maps: Maps) -> float:
    """Return the bytes that `automatic_mask`, and an edge for it, hold at the peak beyond the maps."""
    return 4.0 * maps.grid.size * (6.7 if isinstance(maps, HalfMaps) else 5.7)


# --- masks that multiply a map ------------------------------------------------------------------------------------


def solvent_level(data: FloatArray, mask: FloatArray) -> float:
    """Return the mean density outside a soft mask (weights 1 - mask), 0 where the mask leaves nothing outside."""
    outside = 1.0 - float(mask.mean(dtype=np.float64))
    if outside < 1e-6:
        return 0.0
    total = float(data.mean(dtype=np.float64)) - float(np.einsum("zyx,zyx->", data, mask, dtype=np.float64)) / data.size
    return total / outside


def independent_share(mask: FloatArray) -> float:
    """Return by how much a mask reduces the independent coefficients of a shell, (sum m^2)^2 / (N sum m^4).

    Multiplication by the mask correlates neighbouring coefficients: the FSC of noise then varies as if there were
    fewer. 1 for a mask of ones, the filled share of the box for a binary mask.
    """
    squared = np.square(mask)
    sum2, sum4 = (float(np.sum(a, dtype=np.float64)) for a in (squared, np.square(squared)))
    return sum2 * sum2 / (mask.size * sum4)
