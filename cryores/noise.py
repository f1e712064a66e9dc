"""Noise with a given radial spectrum, and the spectrum of the noise in a real map's background."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from cryores.errors import InputError
from cryores.filters import Response
from cryores.fourier import Float64, irfft, multiply_radial, radial_power, rfft
from cryores.masks import BINARY_THRESHOLD, distance_outside
from cryores.volume import FloatArray, Grid, Volume

LEAST_BACKGROUND = 0.1
"""Share of the box that has to be background for its spectrum to be measured."""

EDGE = 6.0
"""Width in voxels of the edge of the window through which background is seen."""


def white_noise(grid: Grid, rng: np.random.Generator) -> FloatArray:
    """Return Gaussian noise of variance 1 on every voxel; its mean |F|^2 is the number of voxels."""
    return rng.standard_normal(grid.shape, dtype=np.float32)


def coloured_noise(grid: Grid, amplitude: Response, rng: np.random.Generator, threads: int = 1) -> FloatArray:
    """Return Gaussian noise whose variance a coefficient is ``amplitude(s)**2`` times that of white noise.

    Parameters
    ----------
    grid : Grid
        Where it lies.
    amplitude : callable
        Function of the frequency s in 1/Å; 1 everywhere gives white noise of variance 1.
    rng : numpy.random.Generator
        Source of the noise.
    threads : int
        Threads of the transforms.
    """
    spectrum = rfft(white_noise(grid, rng), threads)
    return irfft(multiply_radial(spectrum, amplitude, grid), grid.shape, threads)


def background_amplitude(volume: Volume, mask: Volume, threads: int = 1) -> Tuple[Float64, Float64]:
    """Measure the radial amplitude of the noise outside a mask.

    The background is multiplied by a soft-edged window that is 0 on the particle, and the power divided by the mean
    square of the window, so that noise of variance 1 gives 1 at every frequency.

    Returns
    -------
    frequency, amplitude : ndarray of float64
        Shell centres in 1/Å and the amplitude relative to white noise of variance 1.

    Raises
    ------
    InputError
        ``E_NO_BACKGROUND`` when less than a tenth of the box is background, or it holds no noise.
    """
    window = distance_outside(mask.data > BINARY_THRESHOLD, (1.0, 1.0, 1.0), EDGE)
    window /= np.float32(EDGE)
    np.minimum(window, np.float32(1), out=window)
    share = float(np.einsum("zyx,zyx->", window, window, dtype=np.float64)) / window.size
    total = float(np.einsum("zyx,zyx->", volume.data, window, dtype=np.float64))
    level = np.float32(total / float(window.sum(dtype=np.float64))) if share else np.float32(0)
    seen = volume.data - level
    seen *= window
    frequency, power = radial_power(seen, volume.grid, threads)
    if share < LEAST_BACKGROUND or not power[1:].max() > 0:
        raise InputError(
            "E_NO_BACKGROUND", "the map has no background with noise in it", "give an unmasked map as --background"
        )
    return frequency, np.sqrt(power / (share * volume.grid.size))
