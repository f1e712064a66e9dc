"""The local model of ResMap at one scale: a steerable basis, its significance, and its response at every voxel.

In a window about each voxel the density is fitted by a constant and 16 steerable functions, second derivatives of a
Gaussian along the 6 five-fold axes of an icosahedron and their odd partners along its 10 three-fold axes. How much they
explain beyond the constant is a sum of 16 squared correlations; in white noise it is a weighted sum of squared normal
variables. Source: Kucukelbir, Sigworth & Tagare, Nat. Methods 11, 63 (2014); basis: Freeman & Adelson, IEEE Trans. PAMI
13, 891 (1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

import numba
import numpy as np

from cryores.errors import InputError
from cryores.fourier import Complex, Float64, RealFFT, rfft
from cryores.volume import BoolArray, FloatArray

GOLDEN = (1.0 + np.sqrt(5.0)) / 2.0
COMPAT_EIGENVALUES = 0.1
"""The published program drops eigenvalues below this share of the largest."""


LEAST_NOISE = 1e-9
"""Share of the map's variance below which noise is a rounding error."""


@dataclass(frozen=True)
class Model:
    """The local model at one scale.

    Parameters
    ----------
    radius : int
        The window has 2 radius + 1 voxels along each edge.
    kernels : ndarray of float64, shape (16, w, w, w)
        What the density is correlated with.
    weight : ndarray of float64, shape (w, w, w)
        Gaussian weight of the voxels of a window.
    eigenvalues : ndarray of float64, shape (16,)
        The statistic of white noise of variance 1 is distributed as the sum of eigenvalue * Z^2.
    """

    radius: int
    kernels: Float64
    weight: Float64
    eigenvalues: Float64

    def null_weights(self, compat: bool) -> Float64:
        """Return the eigenvalues that the significance is computed from."""
        return (
            self.eigenvalues[self.eigenvalues > COMPAT_EIGENVALUES * self.eigenvalues.max()]
            if compat
            else self.eigenvalues
        )


def model_at(resolution: float, voxel_size: float) -> Model:
    """Return the model whose second derivative responds most at a wavelength of ``resolution`` Å."""
    radius = int(np.ceil(0.5 * resolution / voxel_size))
    step = 2.0 * np.pi / resolution * np.sqrt(0.4) * voxel_size
    axis = step * np.arange(-radius, radius + 1)
    z, y, x = (c.ravel() for c in np.meshgrid(axis, axis, axis, indexing="ij"))
    weight = np.exp(-(x * x + y * y + z * z))
    root = np.sqrt(weight)
    projected = [[n[0] * x + n[1] * y + n[2] * z for n in directions] for directions in _icosahedral_axes()]
    columns = [4.0 * p**2 - 2.0 for p in projected[0]] + [p**3 - 2.254 * p for p in projected[1]]
    constant = root / np.linalg.norm(root)
    design = np.stack([root * c for c in columns], axis=1)
    design -= constant[:, None] * (constant @ design)
    basis, _ = np.linalg.qr(design)
    kernels = root[:, None] * basis
    edge = 2 * radius + 1
    return Model(
        radius,
        np.ascontiguousarray(kernels.T).reshape(-1, edge, edge, edge),
        weight.reshape(edge, edge, edge),
        np.linalg.eigvalsh(kernels.T @ kernels)[::-1],
    )


def _icosahedral_axes() -> List[Float64]:
    """Return the 6 five-fold and the 10 three-fold axes of an icosahedron as unit vectors."""
    five, three = [], []
    for sign in (1.0, -1.0):
        for turn in range(3):
            five.append(np.roll((1.0, 0.0, sign * GOLDEN), turn))
            three.append(np.roll((0.0, GOLDEN, sign / GOLDEN), turn))
    three += [np.array((a, b, 1.0)) for a in (1.0, -1.0) for b in (1.0, -1.0)]
    return [np.array([n / np.linalg.norm(n) for n in axes]) for axes in (five, three)]


# --- the statistic ------------------------------------------------------------------------------------------------


class Statistic:
    """Sums of squared correlations with the kernels of any scale, at every voxel of one map.

    Parameters
    ----------
    data : ndarray of float32, shape (nz, ny, nx)
        The map; the window reaches round the border.
    threads : int
        Threads of the transforms.
    """

    def __init__(self, data: FloatArray, threads: int) -> None:
        self._fft = RealFFT(data.shape, threads)  # type: ignore[arg-type]
        self._spectrum: Complex = rfft(data, threads)
        self._real, self._work = self._fft.empty_real(), self._fft.empty_spectrum()

    def of(self, model: Model) -> FloatArray:
        """Return the statistic for noise of variance 1, float32 of the map's shape."""
        total = np.zeros(self._real.shape, dtype=np.float32)
        r = model.radius
        around = np.ix_(*(np.arange(-r, r + 1) % n for n in total.shape))
        for kernel in model.kernels:
            self._real[:] = 0
            # Voxels of a window that is wider than the box fall on the same place.
            np.add.at(self._real, around, kernel.astype(np.float32))
            self._fft.forward(self._real, self._work)
            _correlate(self._spectrum, self._work, np.float32(self._fft.scale))
            self._fft.backward(self._work, self._real)
            _add_square(total.reshape(-1), self._real.reshape(-1))
        return total


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _correlate(spectrum, kernel, scale):  # type: ignore[no-untyped-def]
    for z in numba.prange(spectrum.shape[0]):
        for y in range(spectrum.shape[1]):
            for x in range(spectrum.shape[2]):
                kernel[z, y, x] = spectrum[z, y, x] * np.conj(kernel[z, y, x]) * scale


@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _add_square(total, part):  # type: ignore[no-untyped-def]
    for i in numba.prange(total.size):
        total[i] += part[i] * part[i]


def noise_variance(model: Model, noise: FloatArray, region: BoolArray, compat: bool) -> Optional[float]:
    """Return the variance of white noise, from what the model does not explain in separate windows inside ``region``.

    None where no whole window lies inside it. With ``compat`` the mean of a window is taken out without counting it,
    as in the published program: a few per cent too little in small windows.
    """
    edge = 2 * model.radius + 1
    kernels = model.kernels.reshape(len(model.kernels), -1)
    weight = model.weight.ravel()
    total, count = 0.0, 0
    for start in range(0, noise.shape[0] - edge + 1, edge):
        slab = slice(start, start + edge)
        values = _whole_blocks(noise[slab], region[slab], edge)
        values -= values.mean(axis=1, keepdims=True)
        total += float(((values**2) @ weight).sum() - np.sum((values @ kernels.T) ** 2))
        count += len(values)
    if not count:
        return None
    trace = weight.sum() - model.eigenvalues.sum()
    if not compat:
        trace -= (weight.sum() - np.sum(kernels.sum(axis=1) ** 2)) / weight.size
    return float(total / count / trace)


def _whole_blocks(slab: FloatArray, region: BoolArray, edge: int) -> Float64:
    """Return the separate blocks of ``edge`` voxels of a slab as thick that lie inside ``region``, one a row."""
    ny, nx = (n // edge for n in slab.shape[1:])
    trimmed = (slice(None), slice(0, ny * edge), slice(0, nx * edge))
    split, order = (edge, ny, edge, nx, edge), (1, 3, 0, 2, 4)
    inside = region[trimmed].reshape(split).transpose(order).reshape(-1, edge**3).all(axis=1)
    rows: Float64 = slab[trimmed].reshape(split).transpose(order).reshape(-1, edge**3)[inside].astype(np.float64)
    return rows


def require_noise(variance: Optional[float], whole: float, resolution: float) -> float:
    """Return the variance of the noise, or say that there is none beside that of the ``whole`` map.

    Raises
    ------
    InputError
        ``E_NO_NOISE`` where no window of noise was found, or it holds no noise.
    """
    if variance is None or not variance > LEAST_NOISE * whole:
        raise InputError(
            "E_NO_NOISE",
            f"no window of noise at {resolution:.1f} Å lies in the region where noise is measured",
            "give half maps, a wider mask, or a smaller --max-resolution",
        )
    return variance
