"""The architecture of our own DeepRes: the local spectrum, and how unlike noise each of its bands is.

=========  ============================================================================================================
bands      fixed filters, each a shell of frequencies that ends smoothly in a ball; none passes a constant
moments    of every band about a voxel: power in three smooth balls; in the two wider ones how skew the band is, and how
           uneven its power. Noise is neither; molecules are both, up to their resolution
norm       all is divided by the power of all bands in the widest ball: only from here on scale is lost
head       a network of one voxel, the part that is trained: the probability of each of many resolutions
=========  ============================================================================================================

All before the norm scales with the density and has a finite reach: a window's answer is the volume's answer at that
place, whatever the scale. Filters and balls do not change when a cube is turned by 90 degrees. The fixed part is
convolutions by FFT; the head uses operations of Keras 3 only, so that any of its backends runs and trains it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from queue import Queue
from typing import Any, List, Tuple, Union

import numba
import numpy as np
import numpy.typing as npt

from cryores.fourier import InnerInverse, RealFFT, rfft
from cryores.volume import BoolArray, FloatArray

FREQUENCIES = tuple(np.geomspace(0.04, 0.52, 16).tolist())
"""Middles of the filters' shells, in 1/voxel."""

PERIODS, SHORTEST, LONGEST = 1.4, 8.0, 11.0
"""Radius of a filter: so many periods, within these limits in voxels."""

EXPECTED_B = 60.0
"""The filters are scaled to equal power on amplitudes that fall with this B-factor (in squared voxels)."""

RADII = (4.0, 8.0, 13.0)
"""Of the balls over which moments are averaged, in voxels; their weight is (1 - (r / radius)^2)^2."""

ODD = RADII[1:]
"""Of those over which skewness and unevenness are."""

LEAST = 1e-8
"""Share of the power of all bands below which a band is empty."""

EMPTY = 1e-10
"""Power below which there is nothing at all, where the map has a mean square of 1."""

HEAD = (96, 64)
"""Units of the head."""

ANSWERS = 80
"""Resolutions of which the head gives the probability."""

MARGIN = int(LONGEST + RADII[-1])
"""Voxels of the input before the first one of the output, along each axis."""

MOMENTS = len(RADII) + 2 * len(ODD)
FEATURES = len(FREQUENCIES) * MOMENTS
"""Numbers that describe a voxel."""

Places = npt.NDArray[np.intp]
Where = Union[BoolArray, Tuple[Places, ...]]


# --- the fixed part -----------------------------------------------------------------------------------------------


def ball(radius: float, reach: int) -> FloatArray:
    """Return the weight of a smooth ball on a cube of ``2 reach + 1`` voxels, of sum 1."""
    weight = np.square(np.maximum(1.0 - (_distances(reach) / radius) ** 2, 0.0))
    return np.asarray(weight / weight.sum(), dtype=np.float64)


@lru_cache(maxsize=None)
def band_filter(frequency: float, reach: int) -> FloatArray:
    """Return the filter of a shell (1/voxel) on a cube of ``2 reach + 1`` voxels."""
    window = ball(min(max(PERIODS / frequency, SHORTEST), LONGEST), reach)
    wave = window * np.sinc(2 * frequency * _distances(reach))
    wave -= window * wave.sum()
    s2 = sum(np.meshgrid(*[np.fft.fftfreq(48) ** 2] * 3, indexing="ij"))
    power = np.sum(np.abs(np.fft.fftn(wave, s=(48,) * 3)) ** 2 * np.exp(-0.5 * EXPECTED_B * s2)) / 48**3
    return np.asarray(wave / np.sqrt(power), dtype=np.float64)


class Describer:
    """The fixed part of the network, for cubes of ``edge`` voxels.

    Parameters
    ----------
    edge : int
        Voxels along the edge of the cubes, an even number.
    threads : int
        Bands that are worked on at a time.
    periodic : bool
        Whether the cubes are; a window of a volume is not, and only voxels `MARGIN` from its faces can be described.
    """

    def __init__(self, edge: int, threads: int = 1, periodic: bool = False) -> None:
        self._threads = threads
        self._rim = 0 if periodic else int(LONGEST)
        # Nearer to the faces a band is wrong: what is averaged over balls is a smaller cube, and costs less.
        whole = edge - 2 * self._rim
        self._inner = (slice(self._rim, edge - self._rim),) * 3
        self._bands = [1.0 / edge**3 * _transfer(band_filter(f, int(LONGEST)), edge) for f in FREQUENCIES]
        self._balls = [1.0 / whole**3 * _transfer(ball(radius, int(np.ceil(radius))), whole) for radius in RADII]
        self._free: Queue[_Workplace] = Queue()
        for _ in range(threads):
            self._free.put(_Workplace(edge, self._rim, 0 if periodic else MARGIN - self._rim))

    def __call__(self, cube: FloatArray, where: Where) -> FloatArray:
        """Describe voxels of a cube.

        Parameters
        ----------
        cube : ndarray of float32, shape (edge, edge, edge)
            Density over its root mean square in the molecule.
        where : ndarray of bool, or indices
            Which voxels.

        Returns
        -------
        ndarray of float32, shape (voxels, FEATURES)
        """
        places = self._places(where)
        spectrum = rfft(cube, self._threads)
        result = np.empty((len(FREQUENCIES), MOMENTS, len(places)), dtype=np.float32)

        def fill(number: int) -> None:
            workplace = self._free.get()
            try:
                workplace.moments(spectrum, self._bands[number], self._balls, places, result[number])
            finally:
                self._free.put(workplace)

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(fill, range(len(FREQUENCIES))))
            whole = result[:, len(RADII) - 1].mean(axis=0)
            list(pool.map(lambda rows: _normalise(rows, whole), result))
        return result.reshape(FEATURES, -1).T

    @staticmethod
    def work(edge: int) -> int:
        """Return how much work a cube of a volume is, whatever is asked: the voxels of its transforms, for a band."""
        return 2 * edge**3 + 10 * (edge - 2 * int(LONGEST)) ** 3

    def _places(self, where: Where) -> Places:
        """Return the places in the cube without its rim, as one number each."""
        if isinstance(where, np.ndarray):
            return np.flatnonzero(where[self._inner])
        edge = self._inner[0].stop - self._rim
        return np.ravel_multi_index(tuple(axis - self._rim for axis in where), (edge,) * 3)


class _Workplace:
    """Planned transforms and the arrays of one band: without the ``rim``, and of that, means without the ``margin``."""

    def __init__(self, edge: int, rim: int, margin: int) -> None:
        whole = (edge - 2 * rim,) * 3
        self._inner = (slice(rim, edge - rim),) * 3
        self._band, self._mean = InnerInverse((edge,) * 3, rim), InnerInverse(whole, margin)
        # Measured plans differ from run to run, and so would the last digits.
        self._fft = RealFFT(whole, 1, effort="FFTW_ESTIMATE")
        self._power, self._raised = self._fft.empty_real(), self._fft.empty_real()
        self._spectrum = self._fft.empty_spectrum()

    def moments(
        self, spectrum: Any, transfer: FloatArray, balls: List[FloatArray], places: Places, rows: FloatArray
    ) -> None:
        """Write the means of a band's power, third and fourth power about ``places``: `RADII`, then both by `ODD`."""
        np.multiply(spectrum, transfer, out=self._band.spectrum)
        band = self._band(self._band.spectrum, self._band.real)[self._inner]
        power, raised = self._power, self._raised
        np.square(band, out=power)
        count, odd = len(RADII), balls[-len(ODD) :]
        np.copyto(raised, power)
        self._means(raised, balls, places, rows[:count])
        np.maximum(rows[:count], 0.0, out=rows[:count])
        self._means(np.multiply(band, power, out=raised), odd, places, rows[count::2])
        self._means(np.square(power, out=raised), odd, places, rows[count + 1 :: 2])

    def _means(self, values: FloatArray, balls: List[FloatArray], places: Places, rows: FloatArray) -> None:
        """Write means over balls; ``values`` are lost."""
        self._fft.forward(values, self._spectrum)
        for one, row in zip(balls, rows):
            np.multiply(self._spectrum, one, out=self._mean.spectrum)
            row[:] = self._mean(self._mean.spectrum, self._mean.real).take(places)


def _normalise(rows: FloatArray, whole: FloatArray) -> None:
    """Turn the moments of a band into numbers without scale, in place: first the powers, then the odd ones."""
    least = np.float32(LEAST) * whole + np.float32(EMPTY)
    count = len(RADII)
    powers = rows[:count] + least
    for power, third, fourth in zip(powers[-len(ODD) :], rows[count::2], rows[count + 1 :: 2]):
        third /= power * np.sqrt(power)
        third /= 1.0 + np.abs(third)
        np.log1p(np.maximum(fourth, 0.0) / (power * power), out=fourth)
    np.log(powers / (whole + np.float32(EMPTY)), out=rows[:count])


def _distances(reach: int) -> FloatArray:
    axis = np.arange(-reach, reach + 1, dtype=np.float64)
    return np.asarray(np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2))


def _transfer(kernel: FloatArray, edge: int) -> FloatArray:
    """Return the Fourier transform of a symmetric kernel about the first voxel: real, and soonest summed by axes."""
    reach = len(kernel) // 2
    waves = np.cos(2.0 * np.pi / edge * np.outer(np.arange(edge), np.arange(-reach, reach + 1)))
    for along_axis in (waves, waves, waves[: edge // 2 + 1]):
        kernel = np.tensordot(kernel, along_axis, axes=(0, 1))
    return kernel.astype(np.float32)


# --- the trained part ---------------------------------------------------------------------------------------------


def head() -> Any:
    """Return the trained part of the network, of one voxel: `FEATURES` numbers -> `ANSWERS` logits."""
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((FEATURES,))], name="head")
    for number, units in enumerate(HEAD):
        model.add(layers.Dense(units, activation="relu", name=f"head{number}"))
    model.add(layers.Dense(ANSWERS, kernel_initializer="zeros", name="answer"))
    return model


def resolutions(finest: float, coarsest: float) -> FloatArray:
    """Return the bounds of the `ANSWERS` bins of resolution in Å, even in their logarithm, shape (ANSWERS + 1,)."""
    return np.geomspace(finest, coarsest, ANSWERS + 1)


def quantiles(logits: FloatArray, bounds: FloatArray, shares: Tuple[float, ...]) -> FloatArray:
    """Return where the probability of being finer reaches each share, in Å, shape (voxels, shares)."""
    result = np.empty((len(logits), len(shares)), dtype=np.float32)
    _quantiles(np.exp(logits - logits.max(axis=1, keepdims=True)), np.log(bounds), np.array(shares), result)
    return result


@numba.njit(nogil=True, cache=True)  # type: ignore[misc]
def _quantiles(likely, logs, shares, result):  # type: ignore[no-untyped-def]
    for voxel in range(len(likely)):
        wanted = shares * likely[voxel].sum()
        reached, k = np.float64(likely[voxel, 0]), 0
        for number in range(len(shares)):
            while reached < wanted[number] and k < likely.shape[1] - 1:
                k += 1
                reached += likely[voxel, k]
            within = min(1.0, 1.0 - (reached - wanted[number]) / likely[voxel, k])
            result[voxel, number] = np.exp(logs[k] + within * (logs[k + 1] - logs[k]))
