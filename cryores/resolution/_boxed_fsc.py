"""FSC of the two halves in a box around each point: the exact computation of blocres, in batches.

A box is tapered by a window, zero-padded and transformed axis by axis, so that no line of zeros is ever transformed.
The spectra of one pair of boxes stay in the cache of a core from the first transform to the sums over shells.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Callable, Tuple

import numba
import numpy as np
import numpy.typing as npt

from cryores.backend import Array, kernel
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.volume import FloatArray, Triple

BATCH = 64
"""Boxes that a thread takes at a time."""

Split = Tuple[npt.NDArray[np.int16], FloatArray, FloatArray]
"""How the coefficients of a box are shared among shells: see `_shell_split`."""


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
    coarsest, finest : float
        The coarsest and finest resolution that are reported (Å): a box cannot tell waves longer than its edge apart.
    """

    padded: int
    spacing: float
    count: int
    coarsest: float
    finest: float

    @classmethod
    def of_box(cls, box: int, padding: int, spacing: float, finest: float) -> Shells:
        """Return the shells of a box of ``box`` voxels padded to ``box * (1 + padding)``."""
        padded = box * (1 + padding)
        return cls(padded, spacing, int(2 + padded * spacing / finest), box * spacing, finest)

    @property
    def width(self) -> float:
        """Width of a shell in 1/Å."""
        return 1.0 / (self.padded * self.spacing)

    @property
    def limits(self) -> Triple:
        """Shell width, coarsest and finest resolution."""
        return (self.width, self.coarsest, self.finest)


def without_mean(half: FloatArray) -> FloatArray:
    """Return a half map minus its mean over the whole map: the value that tapers and padding blend to."""
    return half - np.float32(half.mean(dtype=np.float64))


def boxed_resolutions(
    half1: Array,
    half2: Array,
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
        Half maps minus the mean of the map, where the boxes shall be compared; outside of them a box holds zeros.
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
    thresholds = np.asarray(cutoffs, dtype=np.float64)
    found = np.empty((len(centres), len(cutoffs)), dtype=np.float32)

    def read(batch: slice, sums: Float64) -> None:
        _read_curves(sums, thresholds, *shells.limits, last, found[batch])

    split = _shell_split(shells, voxel_size)
    _over_boxes(half1, half2, centres, window, shells.padded, shells.count, split, execution, read)
    return found


def boxed_sums(
    half1: Array,
    half2: Array,
    centres: npt.NDArray[np.int64],
    window: FloatArray,
    shells: Shells,
    voxel_size: Triple,
    execution: Execution,
) -> FloatArray:
    """Return the sums over each shell at each centre, float32 of shape (centres, 3, shells).

    They are Re(F1 F2*), |F1|^2 and |F2|^2; the parameters are those of `boxed_resolutions`.
    """
    result = np.empty((len(centres), 3, shells.count), dtype=np.float32)

    def keep(batch: slice, sums: Float64) -> None:
        result[batch] = sums

    split = _shell_split(shells, voxel_size)
    _over_boxes(half1, half2, centres, window, shells.padded, shells.count, split, execution, keep)
    return result


@kernel
def _over_boxes(
    half1: FloatArray,
    half2: FloatArray,
    centres: npt.NDArray[np.int64],
    window: FloatArray,
    padded: int,
    count: int,
    split: Split,
    execution: Execution,
    take: Callable[[slice, Float64], None],
) -> None:
    """Give the sums over shells to ``take``, batch by batch, from several threads."""
    batches = [slice(i, i + BATCH) for i in range(0, len(centres), BATCH)]
    idle: SimpleQueue[BoxPair] = SimpleQueue()
    for _ in range(min(execution.threads, len(batches))):
        idle.put(BoxPair(half1, half2, window, padded))

    def work(batch: slice) -> None:
        pair = idle.get()
        sums = np.empty((len(centres[batch]), 3, count))
        for number, centre in enumerate(centres[batch]):
            spectra = pair.spectra(centre)
            _split_into_shells(spectra[0], spectra[1], *split, sums[number])
        take(batch, sums)
        idle.put(pair)

    with execution.stage("comparing boxes", len(batches)) as stage, ThreadPoolExecutor(execution.threads) as pool:
        for _ in pool.map(work, batches):
            stage.advance()


class BoxPair:
    """The tapered, padded boxes of two maps about one centre, and planned transforms of both; one for each thread.

    Parameters
    ----------
    half1, half2 : ndarray of float32
        The maps; outside of them a box holds zeros.
    window : ndarray of float32, shape (n, n, n)
        Taper of the box.
    padded : int
        Edge of the padded box in voxels.
    """

    def __init__(self, half1: FloatArray, half2: FloatArray, window: FloatArray, padded: int) -> None:
        import pyfftw

        n, columns = window.shape[0], padded // 2 + 1
        self._halves, self._window = (half1, half2), window
        # The padding is zero and stays so: a transform out of place leaves its input as it is.
        self._boxes = pyfftw.zeros_aligned((2, n, n, padded), dtype="float32")
        rows = pyfftw.zeros_aligned((2, n, padded, columns), dtype="complex64")
        planes = pyfftw.zeros_aligned((2, padded, columns, padded), dtype="complex64")
        self._spectra = pyfftw.empty_aligned((2, padded, columns, padded), dtype="complex64")
        # The last transform runs along z; its lines are contiguous when the one along y turns the axes round.
        turned = planes[..., :n].transpose(0, 3, 1, 2)
        flags = ("FFTW_MEASURE",)
        self._steps = (
            pyfftw.FFTW(self._boxes, rows[:, :, :n], axes=(3,), flags=flags),
            pyfftw.FFTW(rows, turned, axes=(2,), flags=flags),
            pyfftw.FFTW(planes, self._spectra, axes=(3,), flags=flags),
        )
        # Planning has written into the arrays.
        for array in (self._boxes, rows, planes):
            array[:] = 0

    def spectra(self, centre: npt.NDArray[np.int64]) -> Any:
        """Return both spectra, complex64 of shape (2, ky, kx, kz), valid until the next call."""
        n = self._window.shape[0]
        for half, box in zip(self._halves, self._boxes):
            _cut_box(half, centre, self._window, box[:, :, :n])
        for step in self._steps:
            step.execute()
        return self._spectra


def _shell_split(shells: Shells, voxel_size: Triple) -> Split:
    """Return for each coefficient (ky, kx, kz) its lower shell, the upper one's share, and each kx plane's weight.

    Lower shell -1 marks coefficients that no shell holds. The plane kx = padded / 2 is left out.
    """
    p = shells.padded
    scale_z, scale_y, scale_x = (shells.spacing / v for v in voxel_size)
    k = np.fft.fftfreq(p, 1.0 / p)
    z, y, x = k * scale_z, k[:, None, None] * scale_y, np.arange(p // 2 + 1)[:, None] * scale_x
    radius = np.sqrt(z * z + y * y + x * x)
    low = np.floor(radius).astype(np.int16)
    share = (radius - low).astype(np.float32)
    low[low + 1 >= shells.count] = -1
    low[:, p // 2] = -1
    weight = np.full(p // 2 + 1, 2.0, dtype=np.float32)
    weight[0] = 1.0
    return low, share, weight


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _cut_box(volume, centre, window, box):  # type: ignore[no-untyped-def]
    n = window.shape[0]
    h = n // 2
    nz, ny, nx = volume.shape
    z0, y0, x0 = centre[0] - h, centre[1] - h, centre[2] - h
    for z in range(n):
        for y in range(n):
            inside = 0 <= z0 + z < nz and 0 <= y0 + y < ny
            for x in range(n):
                if inside and 0 <= x0 + x < nx:
                    box[z, y, x] = volume[z0 + z, y0 + y, x0 + x] * window[z, y, x]
                else:
                    box[z, y, x] = 0


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _split_into_shells(f1, f2, low, share, weight, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0.0
    for y in range(low.shape[0]):
        for x in range(low.shape[1]):
            w = weight[x]
            for z in range(low.shape[2]):
                i = low[y, x, z]
                if i >= 0:
                    a, c = f1[y, x, z], f2[y, x, z]
                    upper = w * share[y, x, z]
                    lower = w - upper
                    cross = a.real * c.real + a.imag * c.imag
                    power1 = a.real * a.real + a.imag * a.imag
                    power2 = c.real * c.real + c.imag * c.imag
                    sums[0, i] += lower * cross
                    sums[0, i + 1] += upper * cross
                    sums[1, i] += lower * power1
                    sums[1, i + 1] += upper * power1
                    sums[2, i] += lower * power2
                    sums[2, i + 1] += upper * power2


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _read_curves(sums, thresholds, width, coarsest, finest, last, found):  # type: ignore[no-untyped-def]
    for b in range(sums.shape[0]):
        read_curve(sums[b], thresholds, width, coarsest, finest, last, found[b])


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def read_curve(sums, thresholds, width, coarsest, finest, last, found):  # type: ignore[no-untyped-def]
    """Read the resolution (Å) at each threshold off the FSC of one box, into ``found``."""
    count = sums.shape[1]
    curve = np.zeros(count)
    curve[0] = 1.0
    for i in range(1, count):
        power = max(sums[1, i], 0.0) ** 0.5 * max(sums[2, i], 0.0) ** 0.5
        if power > 1e-30:
            curve[i] = sums[0, i] / power
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
        found[t] = min(max(1.0 / s, finest), coarsest) if s > 0 else coarsest
