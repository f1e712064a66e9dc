"""What LocScale wants the amplitudes of a window to be: a reference's, or, without one, those that theory expects.

Every function works on many windows at once: amplitudes have the shape (voxels, shells), frequencies (1/Å) the shape
(shells,). Sources: Jakobi et al. 2017, Bharadwaj & Jakobi 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cryores.fourier import Float64
from cryores.local_scaling import Decay, fitted_decay
from cryores.window_profiles import WindowShells

WILSON = 10.0
"""Å: coarser amplitudes show the shape of the molecule."""

JOIN = (12.0, 6.0)
"""Å: from here to there the target without a reference passes from the map's own amplitudes to theory's."""

LOGISTIC_CUT = 10.0
"""1/Å: steepness of the end of the amplitudes, as a function of the resolution."""

SIGMAS = 2.0
"""Standard deviations of the FSC of noise above which half maps are said to agree."""

FIRST_JUDGED = 2
FEWEST_JUDGED = 8.0
"""The innermost shells, and others of so few independent coefficients (the fourth), tell too little to be judged."""

PROTEIN = (
    (0.056, 1.39),
    (0.094, 0.79),
    (0.134, 0.41),
    (0.174, 0.41),
    (0.214, 0.55),
    (0.253, 0.43),
    (0.292, 0.22),
    (0.331, 0.01),
    (0.371, -0.12),
    (0.410, -0.17),
    (0.449, -0.19),
    (0.489, -0.26),
    (0.529, -0.38),
    (0.568, -0.49),
    (0.607, -0.58),
    (0.646, -0.67),
)
"""Frequency (1/Å) and ln of the mean amplitude in windows of 25 Å inside proteins of which no atom moves (B = 0)."""


@dataclass(frozen=True)
class Shelled:
    """Frequencies of the shells of a window, and the range of resolution (Å) over which decays are fitted.

    ``independent`` is the number of independent coefficients of each shell.
    """

    frequency: Float64
    coarsest: float
    finest: float
    independent: Float64 = field(default_factory=lambda: np.ones(1))

    def chosen(self) -> Any:
        """Return the shells of the fit."""
        return (self.frequency * self.coarsest >= 1.0 - 1e-6) & (self.frequency * self.finest <= 1.0 + 1e-6)


def program_frequencies(shells: WindowShells, voxel_size: float) -> Float64:
    """Return the frequencies that LocScale gives to the shells: evenly spaced, from 1 / (shells * voxel size)."""
    return np.linspace(1.0 / (shells.count * voxel_size), 0.5 / voxel_size, shells.count)


def protein_profile(frequency: Float64) -> Float64:
    """Return the mean amplitudes inside a protein without motion, of any scale."""
    table = np.array(PROTEIN)
    return np.exp(np.interp(frequency, table[:, 0], table[:, 1]))


def agreement(own: Float64, noise: Float64, independent: Float64) -> Float64:
    """Return the share of signal in the amplitudes of the mean of two half maps, up to the first shell without any.

    Parameters
    ----------
    own, noise : ndarray of float64, shape (voxels, shells)
        Amplitudes of the mean, and of half the difference of the half maps, in tapered windows: what leaks over the
        edge of a window is the same in both halves.
    independent : ndarray of float64, shape (shells,)
        Independent coefficients of each shell.

    Notes
    -----
    2 FSC / (1 + FSC) is 1 - noise^2 / own^2, so the share is the weight sqrt(2 FSC / (1 + FSC)) of Rosenthal and
    Henderson for every window. It is 0 from the first shell on (but the innermost two, and those of fewer than eight
    coefficients) whose FSC could be that of noise, which is below 2 / sqrt(independent).
    """
    power = np.square(own)
    share = 1.0 - np.divide(np.square(noise), power, out=np.ones_like(power), where=power > 0)
    # Shell 1 holds none of the coefficients that count in tapered windows: it gets what its neighbours have.
    share[:, 1] = np.where(power[:, 1] > 0, share[:, 1], 0.5 * (share[:, 0] + share[:, 2]))
    fsc = share / (2.0 - share)
    doubtful = fsc < SIGMAS / np.sqrt(np.maximum(independent, 1.0))
    doubtful[:, :FIRST_JUDGED] = False
    doubtful[:, independent < FEWEST_JUDGED] = False
    weight: Float64 = np.where(np.logical_or.accumulate(doubtful, axis=1), 0.0, np.sqrt(np.maximum(share, 0.0)))
    return weight


def ended(frequency: Float64, resolution: float) -> Float64:
    """Return the end of the amplitudes at a resolution: 1 / (1 + exp(10 (resolution - d))), d = 1 / s in Å."""
    d = 1.0 / np.maximum(frequency, 1e-6)
    return 1.0 / (1.0 + np.exp(np.clip(LOGISTIC_CUT * (resolution - d), -50.0, 50.0)))


def expected(own: Float64, frequency: Float64, bfactor: float) -> Float64:
    """Return the amplitudes of a protein of one B-factor, joined to the window's ``own`` coarse ones.

    ``own`` is what the window has, without its noise. Up to 12 Å the result is ``own``; from 6 Å on it is the profile
    of a protein times exp(-B s^2 / 4), at the height that ``own`` has on average in between.
    """
    theory = protein_profile(frequency) * np.exp(-0.25 * bfactor * frequency**2)
    start, end = 1.0 / JOIN[0], 1.0 / JOIN[1]
    between = (frequency > start) & (frequency < end)
    height = np.exp(np.mean(np.log(np.maximum(own[:, between] / theory[between], 1e-30)), axis=1))
    share = np.clip((end - frequency) / (end - start), 0.0, 1.0)
    target: Float64 = share * own + (1.0 - share) * height[:, None] * theory
    return target


def levelled(own: Float64, shelled: Shelled, bfactor: float) -> Float64:
    """Return a window's own amplitudes with their decay made that of ``bfactor``: LocScale without a reference."""
    found = fitted_decay(shelled.frequency, own, shelled.chosen()).bfactor
    gain = np.exp(0.25 * (np.nan_to_num(found, nan=bfactor) - bfactor)[:, None] * shelled.frequency**2)
    target: Float64 = own * gain * ended(shelled.frequency, shelled.finest)
    return target


def local_wilson(amplitude: Float64, shelled: Shelled) -> Float64:
    """Return for each window the resolution (Å) from which its amplitudes show no shape, by the mass in it.

    1 / (0.309 M^(-1/12)), with M sixteen times the amplitude at s = 0, and no finer than 1.5 times the resolution.
    """
    mass = 16.0 * np.maximum(amplitude[:, 0], 1e-30)
    wilson = 1.0 / (0.309 * mass ** (-1.0 / 12.0))
    coarsest = max(shelled.coarsest, 1.5 * shelled.finest)
    return np.clip(wilson, 1.5 * shelled.finest, coarsest)


def local_decay(amplitude: Float64, shelled: Shelled, fit_to: float) -> Decay:
    """Fit the decay of each window from its own `local_wilson` to the resolution ``fit_to`` (Å), as LocScale does."""
    coarse = 1.0 / local_wilson(amplitude, shelled)[:, None]
    s = shelled.frequency
    return fitted_decay(s, amplitude, (s >= coarse - 1e-9) & (s <= 1.0 / fit_to + 1e-9))


def with_secondary_structure(
    amplitude: Float64, shelled: Shelled, theory: Float64, fit_to: float, times: float
) -> Float64:
    """Return a reference's amplitudes plus what sets those of a protein off from a plain decay, ``times`` over.

    ``theory`` is brought to the decay of each window; its deviation from that decay is added from the window's
    `local_wilson` to the resolution.
    """
    s = shelled.frequency
    decay = local_decay(amplitude, shelled, fit_to)
    wilson = local_wilson(amplitude, shelled)
    own = local_decay_of_theory(theory, s, wilson, fit_to)
    plain = decay.amplitude[:, None] * np.exp(-0.25 * decay.bfactor[:, None] * s**2)
    change = decay.bfactor - own.bfactor
    brought = theory * (decay.amplitude / own.amplitude)[:, None] * np.exp(-0.25 * change[:, None] * s**2)
    where = (s >= 1.0 / wilson[:, None] - 1e-9) & (s <= 1.0 / shelled.finest + 1e-9)
    deviation = np.where(where, np.nan_to_num(brought - plain), 0.0)
    changed: Float64 = np.maximum(amplitude + times * deviation, 0.0)
    return changed


def local_decay_of_theory(theory: Float64, frequency: Float64, wilson: Float64, fit_to: float) -> Decay:
    """Fit the decay of the theoretical amplitudes over the range of each window."""
    chosen = (frequency >= 1.0 / wilson[:, None] - 1e-9) & (frequency <= 1.0 / fit_to + 1e-9)
    return fitted_decay(frequency, np.broadcast_to(theory, chosen.shape), chosen)
