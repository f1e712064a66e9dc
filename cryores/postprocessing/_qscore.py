"""Q-score: how much the density around an atom looks like that atom, from -1 to 1.

On shells of 0 to 2 Å around the atom the map is read at points that belong to this atom and to no other; Q is the
correlation of the values with a Gaussian of the distance. Source: Pintilie et al., Nature Methods 17, 328 (2020).
"""

from __future__ import annotations

from typing import Optional, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.fourier import Float64
from cryores.volume import Volume

REACH = 2.0
"""Radius of the outermost shell (Å)."""

STEP = 0.1
"""Distance of the shells (Å)."""

POINTS = 8
"""Points that a shell should have."""

TRIES = 50
"""Sets of 8, 10, 12, ... even directions that are tried until as many as `POINTS` points of a shell are free."""

EXPECTED = {0.6: ((-0.1775, 1.1192), (-0.1377, 0.9973)), 0.4: ((-0.1866, 1.1242), (-0.1465, 0.9436))}
"""Sigma -> slope (1/Å) and height of the lines that mean Q-scores over resolution follow, of protein and nucleic acid:
those of Pintilie et al. 2020 and, for 0.4, of their later program."""

OWN = 0.9
"""A point at the distance R from its atom is free where no other atom is nearer than ``OWN * R``, as in MapQ."""


def expected_q(resolution: float, sigma: float, protein: int, nucleic: int) -> Optional[float]:
    """Return the mean Q-score that models of so many protein and nucleic atoms have at a resolution (Å), at least 0.

    None for a ``sigma`` that no line was published for, and for a model of neither.
    """
    if sigma not in EXPECTED or protein + nucleic == 0:
        return None
    of_protein, of_nucleic = (max(slope * resolution + height, 0.0) for slope, height in EXPECTED[sigma])
    return (protein * of_protein + nucleic * of_nucleic) / (protein + nucleic)


def q_scores(volume: Volume, positions: Float64, sigma: float) -> Float64:
    """Return the Q-score of every atom.

    Parameters
    ----------
    volume : Volume
        The map.
    positions : ndarray of float64, shape (atoms, 3)
        Atoms that are not hydrogen, (z, y, x) in Å, in the frame of the map; one conformer, or two atoms in one place
        leave each other no point.
    sigma : float
        Standard deviation of the reference Gaussian in Å: 0.6, or 0.4 as EMDB reports.

    Returns
    -------
    ndarray of float64, shape (atoms,)
        NaN where a point falls outside the box.

    Notes
    -----
    The published reference has a height and an offset made from the map's mean and standard deviation. A correlation
    about the mean does not change with either, so that they are left out.
    """
    index = (positions - volume.grid.first_voxel) / volume.grid.voxel_size
    radii = np.arange(0.0, REACH + 0.5 * STEP, STEP)
    first, others = _neighbours(positions, 2.0 * REACH)
    directions, starts = _direction_sets()
    reference = np.exp(-0.5 * (radii / sigma) ** 2)
    scores: Float64 = _q_scores(
        volume.data,
        index,
        positions,
        1.0 / np.array(volume.grid.voxel_size),
        first,
        others,
        radii,
        reference,
        directions,
        starts,
    )
    return scores


def _neighbours(positions: Float64, reach: float) -> Tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each atom's neighbours start in a list, and the list: all atoms nearer than ``reach`` (Å)."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(positions).query_pairs(reach, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    first = np.searchsorted(both[:, 0], np.arange(len(positions) + 1))
    return first.astype(np.int64), np.ascontiguousarray(both[:, 1], dtype=np.int64)


def _direction_sets() -> Tuple[Float64, npt.NDArray[np.int64]]:
    """Return the directions (z, y, x) of all sets that are tried, one after the other, and where each set starts."""
    counts = POINTS + 2 * np.arange(TRIES)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.concatenate([even_directions(int(count)) for count in counts]), starts


def even_directions(count: int) -> Float64:
    """Return ``count`` unit vectors along a spiral from pole to pole that spreads them evenly.

    Source: Saff & Kuijlaars, Mathematical Intelligencer 19, 5 (1997).
    """
    height = np.linspace(-1.0, 1.0, count)
    ring = np.sqrt(np.maximum(1.0 - height**2, 0.0))
    steps = np.zeros(count)
    steps[1:-1] = 3.6 / np.sqrt(count) / ring[1:-1]
    angle = np.cumsum(steps)
    angle[-1] = 0.0
    return np.stack([height, ring * np.sin(angle), ring * np.cos(angle)], axis=1)


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _q_scores(  # type: ignore[no-untyped-def]
    data, index, positions, per_voxel, first, others, radii, reference, directions, starts
):
    scores = np.empty(len(positions))
    for atom in numba.prange(len(positions)):
        scores[atom] = _q_score(
            data, index, positions, per_voxel, first, others, radii, reference, directions, starts, atom
        )
    return scores


@numba.njit(cache=True)  # type: ignore[misc]
def _q_score(  # type: ignore[no-untyped-def]
    data, index, positions, per_voxel, first, others, radii, reference, directions, starts, atom
):
    centre = _interpolated(data, index[atom, 0], index[atom, 1], index[atom, 2])
    # Sums over the points of the map's value v, relative to the centre, and of the reference g.
    n, sv, sg = float(POINTS), 0.0, POINTS * reference[0]
    svv, sgg, svg = 0.0, POINTS * reference[0] ** 2, 0.0
    free = np.empty(starts[-1] - starts[-2], dtype=np.int64)
    for shell in range(1, len(radii)):
        radius, g = radii[shell], reference[shell]
        count = 0
        for attempt in range(len(starts) - 1):
            count = 0
            for d in range(starts[attempt], starts[attempt + 1]):
                if _is_free(positions, others, first[atom], first[atom + 1], atom, directions[d], radius):
                    free[count] = d
                    count += 1
            if count >= POINTS:
                break
        for i in range(count):
            step = directions[free[i]] * radius * per_voxel
            v = _interpolated(data, index[atom, 0] + step[0], index[atom, 1] + step[1], index[atom, 2] + step[2])
            v -= centre
            n, sv, sg = n + 1.0, sv + v, sg + g
            svv, sgg, svg = svv + v * v, sgg + g * g, svg + v * g
    variance = (svv - sv * sv / n) * (sgg - sg * sg / n)
    if variance > 0.0:
        return (svg - sv * sg / n) / np.sqrt(variance)
    return 0.0 if variance == 0.0 else np.nan


@numba.njit(cache=True)  # type: ignore[misc]
def _is_free(positions, others, start, end, atom, direction, radius):  # type: ignore[no-untyped-def]
    near2 = (OWN * radius) ** 2
    for i in range(start, end):
        other = others[i]
        d2 = 0.0
        for axis in range(3):
            d = positions[atom, axis] + radius * direction[axis] - positions[other, axis]
            d2 += d * d
        if d2 < near2:
            return False
    return True


@numba.njit(cache=True)  # type: ignore[misc]
def _interpolated(data, z, y, x):  # type: ignore[no-untyped-def]
    """Return the trilinearly interpolated value at a position in voxels, NaN outside the box."""
    nz, ny, nx = data.shape
    if not (0.0 <= z <= nz - 1 and 0.0 <= y <= ny - 1 and 0.0 <= x <= nx - 1):
        return np.nan
    k, j, i = min(int(z), nz - 2), min(int(y), ny - 2), min(int(x), nx - 2)
    fz, fy, fx = z - k, y - j, x - i
    low = (data[k, j, i] * (1 - fx) + data[k, j, i + 1] * fx) * (1 - fy) + (
        data[k, j + 1, i] * (1 - fx) + data[k, j + 1, i + 1] * fx
    ) * fy
    k += 1
    high = (data[k, j, i] * (1 - fx) + data[k, j, i + 1] * fx) * (1 - fy) + (
        data[k, j + 1, i] * (1 - fx) + data[k, j + 1, i + 1] * fx
    ) * fy
    return low * (1 - fz) + high * fz
