"""FSC of the two halves in a box around each point: the exact computation of blocres, in batches.

A box is tapered by a window, zero-padded and transformed axis by axis, so that no line of zeros is ever transformed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Tuple

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.execution import Execution
from cryores.volume import FloatArray, Triple

BATCH = 32
"""Boxes of a batch: its spectra should stay in the cache of a core."""

COARSEST = 200.0
"""No local resolution is reported coarser than this (Å)."""


@dataclass(frozen=True)
class Shells:
    """The shells of a padded box.

    Parameters
    ----------
    padded : int
        Edge of the padded box in voxels.
    spacing : float
        Voxel size in Å; shell i lies at i / (padded * spacing).
    count : int
        Number of shells, shell 0 included.
    finest : float
        The finest resolution that is reported (Å).
    """

    padded: int
    spacing: float
    count: int
    finest: float

    @classmethod
    def of_box(cls, box: int, padding: int, spacing: float, finest: float) -> Shells:
        """Return the shells of a box of ``box`` voxels padded to ``box * (1 + padding)``."""
        padded = box * (1 + padding)
        return cls(padded, spacing, int(2 + padded * spacing / finest), finest)

    @property
    def width(self) -> float:
        """Width of a shell in 1/Å."""
        return 1.0 / (self.padded * self.spacing)


def boxed_resolutions(
    half1: FloatArray,
    half2: FloatArray,
    centres: npt.NDArray[np.int64],
    window: FloatArray,
    shells: Shells,
    voxel_size: Triple,
    cutoffs: Tuple[float, ...],
    last: bool,
    execution: Execution,
) -> FloatArray:
    """Return the local resolution (Å) at each centre for each cutoff, shape (centres, cutoffs).

    Parameters
    ----------
    half1, half2 : ndarray of float32
        Half maps minus the mean of the map; outside of them a box holds zeros.
    centres : ndarray of int, shape (points, 3)
        Voxel n // 2 of each box, in the order z, y, x.
    window : ndarray of float32, shape (n, n, n)
        Taper of the box.
    shells : Shells
        Shells of the padded box.
    voxel_size : tuple of float
        Å along z, y, x.
    cutoffs : tuple of float
        FSC thresholds.
    last : bool
        Take the last descent of the curve below the threshold, not the first.
    execution : Execution
        Threads; each works on its own batches.
    """
    low, share, weight = _shell_split(shells, voxel_size)
    thresholds = np.asarray(cutoffs, dtype=np.float64)
    found = np.empty((len(centres), len(cutoffs)), dtype=np.float32)
    batches = [slice(i, i + BATCH) for i in range(0, len(centres), BATCH)]
    n, columns = window.shape[0], low.shape[2]

    def work(batch: slice) -> None:
        spectra = []
        for half in (half1, half2):
            boxes = np.empty((len(centres[batch]), n, n, n), dtype=np.float32)
            _cut_boxes(half, centres[batch], window, boxes)
            spectra.append(_padded_spectra(boxes, shells.padded, columns))
        sums = np.empty((len(centres[batch]), 3, shells.count))
        _split_into_shells(spectra[0], spectra[1], low, share, weight, sums)
        _read_curves(sums, thresholds, shells.width, shells.finest, last, found[batch])

    with execution.stage("comparing boxes", len(batches)) as stage, ThreadPoolExecutor(execution.threads) as pool:
        for _ in pool.map(work, batches):
            stage.advance()
    return found


def _padded_spectra(boxes: FloatArray, padded: int, columns: int) -> Any:
    rows = np.ascontiguousarray(scipy.fft.rfft(boxes, n=padded, axis=3)[..., :columns])
    return scipy.fft.fft(scipy.fft.fft(rows, n=padded, axis=2), n=padded, axis=1)


def _shell_split(shells: Shells, voxel_size: Triple) -> Tuple[Any, Any, Any]:
    """Return for each coefficient its lower shell, the share that goes to the upper one, and its hermitian weight.

    Lower shell -1 marks coefficients that no shell holds. The plane kx = padded / 2 is left out.
    """
    p = shells.padded
    scale = [p * shells.spacing / (p * v) for v in voxel_size]
    k = np.fft.fftfreq(p, 1.0 / p)
    z, y, x = k[:, None, None] * scale[0], k[:, None] * scale[1], np.arange(p // 2) * scale[2]
    radius = np.sqrt(z * z + y * y + x * x)
    low = np.floor(radius).astype(np.int16)
    share = (radius - low).astype(np.float32)
    low[low + 1 >= shells.count] = -1
    weight = np.full(p // 2, 2.0, dtype=np.float32)
    weight[0] = 1.0
    return low, share, weight


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _cut_boxes(volume, centres, window, boxes):  # type: ignore[no-untyped-def]
    n = window.shape[0]
    h = n // 2
    nz, ny, nx = volume.shape
    for b in range(boxes.shape[0]):
        z0, y0, x0 = centres[b, 0] - h, centres[b, 1] - h, centres[b, 2] - h
        for z in range(n):
            for y in range(n):
                inside = 0 <= z0 + z < nz and 0 <= y0 + y < ny
                for x in range(n):
                    if inside and 0 <= x0 + x < nx:
                        boxes[b, z, y, x] = volume[z0 + z, y0 + y, x0 + x] * window[z, y, x]
                    else:
                        boxes[b, z, y, x] = 0


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _split_into_shells(f1, f2, low, share, weight, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0.0
    for b in range(f1.shape[0]):
        for z in range(low.shape[0]):
            for y in range(low.shape[1]):
                for x in range(low.shape[2]):
                    i = low[z, y, x]
                    if i >= 0:
                        a, c, w = f1[b, z, y, x], f2[b, z, y, x], weight[x]
                        upper = w * share[z, y, x]
                        lower = w - upper
                        cross = a.real * c.real + a.imag * c.imag
                        power1 = a.real * a.real + a.imag * a.imag
                        power2 = c.real * c.real + c.imag * c.imag
                        sums[b, 0, i] += lower * cross
                        sums[b, 0, i + 1] += upper * cross
                        sums[b, 1, i] += lower * power1
                        sums[b, 1, i + 1] += upper * power1
                        sums[b, 2, i] += lower * power2
                        sums[b, 2, i + 1] += upper * power2


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _read_curves(sums, thresholds, width, finest, last, found):  # type: ignore[no-untyped-def]
    count = sums.shape[2]
    curve = np.empty(count)
    for b in range(sums.shape[0]):
        curve[0] = 1.0
        for i in range(1, count):
            scale = np.sqrt(sums[b, 1, i]) * np.sqrt(sums[b, 2, i])
            curve[i] = sums[b, 0, i] / scale if scale > 1e-30 else 0.0
        for t in range(thresholds.size):
            threshold = thresholds[t]
            s = -1.0
            for i in range(count - 1):
                if curve[i] >= threshold > curve[i + 1]:
                    s = (i + (curve[i] - threshold) / (curve[i] - curve[i + 1])) * width
                    if not last:
                        break
            if s < 0:
                s = (count - 1) * width if curve[count - 1] > threshold else 0.0
            resolution = 1.0 / s if s > 0 else COARSEST
            found[b, t] = min(max(resolution, finest), COARSEST)
