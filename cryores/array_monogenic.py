"""The array forms of the kernels of the monogenic signal and of the sweep over its bands.

`cryores.array_backend` says what an array form is.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from cryores.array_backend import Host, fetched_sum, interpolated, slabs, squared, summed_axes
from cryores.backend import Array, Backend
from cryores.fourier import Float64
from cryores.monogenic import TABLE_STEPS, between_ranks
from cryores.volume import FloatArray, IntTriple

# --- the monogenic signal -----------------------------------------------------------------------------------------


def filter(
    backend: Backend,
    source: Array,
    out: Array,
    rows_z: Host,
    rows_y: Host,
    columns: int,
    uz: Host,
    uy: Host,
    ux: Host,
    table: FloatArray,
    reach: float,
) -> None:
    """Fill ``out`` with the rows and columns of ``source`` that it shares, times the gains; 0 elsewhere."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        u2 = squared(backend, uz[part], uy, ux[:columns])
        gain = _gain(xp, gains, u2) * _open_rows(backend, part, rows_z, rows_y, uz, uy, reach)
        out[part, :, :columns] = _shared(backend, source, out.shape, part, rows_z, rows_y, columns) * gain
        out[part, :, columns:] = 0.0


def riesz_filter(
    backend: Backend,
    source: Array,
    out: Array,
    rows_z: Host,
    rows_y: Host,
    columns: int,
    uz: Host,
    uy: Host,
    ux: Host,
    az: Host,
    ay: Host,
    ax: Host,
    table: FloatArray,
    reach: float,
) -> None:
    """Fill ``out`` with the Riesz transform of `filter` along the axis of which ``az, ay, ax`` hold frequencies."""
    xp, gains = backend.xp, backend.asarray(table)
    for part in slabs(out.shape):
        u2 = squared(backend, uz[part], uy, ux[:columns])
        along = summed_axes(backend, az[part], ay, ax[:columns])
        factor = _gain(xp, gains, u2) * along / xp.sqrt(u2 + 1e-30)
        factor = factor * _open_rows(backend, part, rows_z, rows_y, uz, uy, reach)
        out[part, :, :columns] = _shared(backend, source, out.shape, part, rows_z, rows_y, columns) * factor * -1j


def _gain(xp: Any, table: Array, u2: Array) -> Array:
    return interpolated(xp, table, u2 * float(TABLE_STEPS))


def _open_rows(backend: Backend, part: slice, rows_z: Host, rows_y: Host, uz: Host, uy: Host, reach: float) -> Array:
    """Return 1 for the rows that the source has and the filter reaches, 0 for others, shape (planes, ny, 1)."""
    squares = (uz[part] * uz[part])[:, None] + uy * uy
    reached = (squares.astype(np.float64) <= reach) & (rows_z[part] >= 0)[:, None] & (rows_y >= 0)
    return backend.asarray(reached[:, :, None].astype(np.float32))


def _shared(
    backend: Backend, source: Array, shape: IntTriple, part: slice, rows_z: Host, rows_y: Host, columns: int
) -> Array:
    """Return the rows and columns of ``source`` that a spectrum of ``shape`` takes; any row where it takes none."""
    if tuple(source.shape) == tuple(shape):
        return source[part, ...]
    z, y = (backend.asarray(np.maximum(rows, 0)) for rows in (rows_z[part], rows_y))
    return backend.xp.take(backend.xp.take(source[:, :, :columns], z, axis=0), y, axis=1)


def first_energy(backend: Backend, total: Array, part: Array) -> None:
    """Set ``total`` to the sum of the squares."""
    add_square(backend, total, total, part, last=False)


def next_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``."""
    add_square(backend, total, None, part, last=False)


def last_energy(backend: Backend, total: Array, part: Array) -> None:
    """Add the square of ``part`` to ``total``, and take the root."""
    add_square(backend, total, None, part, last=True)


def add_square(backend: Backend, total: Array, first: Optional[Array], part: Array, last: bool) -> None:
    """Add the square of ``part`` to that of ``first``, or to ``total`` without it; take the root at the last part."""
    for some in slabs(total.shape):
        other = part[some, ...]
        before = total[some, ...] if first is None else first[some, ...] * first[some, ...]
        squares = other * other + before
        total[some, ...] = backend.xp.sqrt(squares) if last else squares


# --- statistics of a region, the sweep ----------------------------------------------------------------------------


def sums(backend: Backend, values: Array, region: Array) -> Float64:
    """Return number, sum and sum of squares of the values in a region, shape (1, 3)."""
    xp, found = backend.xp, []
    for part in slabs(values.shape):
        inside = xp.asarray(region[part, ...] != 0, dtype=xp.float64)
        chosen = xp.asarray(values[part, ...], dtype=xp.float64) * inside
        found.append(xp.stack([xp.sum(inside), xp.sum(chosen), xp.sum(chosen * chosen)]))
    return fetched_sum(backend, found)


def order_statistic(backend: Backend, values: Array, region: Array, fraction: float) -> float:
    """Return the value of rank ``int(n * fraction)`` of the n ``values`` in a region; 0 where there are none."""
    ordered = backend.xp.sort(values[region != 0])
    count = ordered.shape[0]
    return float(ordered[min(int(count * fraction), count - 1)]) if count else 0.0


def quantile(backend: Backend, values: Array, region: Array, fraction: float) -> float:
    """Return the quantile (Hazen's) of the ``values`` in a region that is not empty."""
    ordered = backend.xp.sort(values[region])
    return between_ranks(lambda ranks: [float(ordered[rank]) for rank in ranks], ordered.shape[0], fraction)


def test(
    backend: Backend, state: Array, level: Array, amplitude: Array, threshold: FloatArray, index: int
) -> npt.NDArray[np.int64]:
    """Test one frequency of a sweep in place; return how many voxels passed, finished, and never passed."""
    xp, counts = backend.xp, []
    limit = backend.asarray(threshold[None, :, :])
    for part in slabs(state.shape):
        before, last = state[part, ...], level[part, ...]
        passed = (before != 0) & (amplitude[part, ...] > limit)
        failed = (before == 1) & ~passed
        finished = (before == 2) & ~passed
        never = finished & (last < 0)
        # Levels are 0 at least where a voxel has passed, or has finished without.
        level[part, ...] = xp.where(passed, index + 0 * last, xp.where(never, 0 * last, last))
        state[part, ...] = xp.asarray(passed, dtype=xp.uint8) + 2 * xp.asarray(failed, dtype=xp.uint8)
        counts.append(xp.stack([xp.sum(xp.asarray(found, dtype=xp.int64)) for found in (passed, finished, never)]))
    return fetched_sum(backend, counts)
