"""The arithmetic of the verdict on sharpening: what a map looks like (DeepRes) against what the data hold (MonoRes).

DeepRes falls when a map is sharpened and goes on falling when it is sharpened too much; MonoRes of the raw half maps
does not know of it, nor does locres, which can take its place. With P20 the 20th percentile of MonoRes, and D the
values of DeepRes at the same voxels::

    over-sharpened    median(D) < P20                      most voxels look better than the best fifth of the data
    under-sharpened   median(D) > median(MonoRes) + tolerance
    balanced          between

More sharpening can only make a look finer. Where DeepRes turns and becomes coarser with it, the map has become noise in
its eyes: that is over-sharpened, whatever its median.

The two alone do not tell which B to take: between under- and over-sharpened lie 100 Å², since a B-factor of the map
and one of the atoms look the same. Of the maps that are not over-sharpened that is taken whose B is nearest to the
usual share of the decay of the half maps.

Source: Ramirez-Aportela et al. (2019), IUCrJ 6, 1054, supporting information, figure S6; the last paragraph is our own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional

import numpy as np

from cryores.fourier import Float64
from cryores.volume import FloatArray

SUPPORTED_PERCENTILE = 20.0
"""Percentile of what the half maps hold finer than which the bulk of a map must not look."""

EXPECTED_SHARE = 0.4
"""Of the B-factor of the Guinier plot, that which is to be expected: the rest is what the atoms' own motion and the
loss of resolution in parts of the map add to the decay. The median of six simulated sets (docs/sharpening.rst)."""

EQUAL = 0.1
"""Å: medians of DeepRes that are nearer than this do not tell one map from another."""

UNDER, BALANCED, OVER = "under-sharpened", "balanced", "over-sharpened"


@dataclass(frozen=True)
class Supported:
    """What the half maps hold: their local resolution at the voxels that are judged.

    Parameters
    ----------
    values : ndarray of float64
        In Å, voxel by voxel.
    """

    values: Float64

    @property
    def rising(self) -> Float64:
        """The values in rising order."""
        return np.sort(self.values)

    @property
    def p20(self) -> float:
        """The 20th percentile in Å: the best fifth is finer."""
        return float(np.percentile(self.values, SUPPORTED_PERCENTILE))

    @property
    def median(self) -> float:
        """The median in Å."""
        return float(np.median(self.values))


@dataclass(frozen=True)
class Judgement:
    """What is said of one sharpened map.

    Parameters
    ----------
    name : str
        The map's name.
    bfactor : float or None
        B in Å² that it was sharpened with, None for a map that was given.
    verdict : str
        ``under-sharpened``, ``balanced`` or ``over-sharpened``.
    median, p5, p20, p80 : float
        Of DeepRes, in Å.
    past : float
        Share of the voxels whose DeepRes is finer than the 20th percentile of the half maps'.
    shift : float
        Median of DeepRes minus that of the half maps, in Å.
    wasserstein : float
        Mean distance in Å by which the values of one have to be moved to become those of the other.
    disagreement : float
        Median of the difference of DeepRes and the half maps' resolution at a voxel, without its sign, in Å.
    model_cc : float or None
        Correlation with the density of the model inside the mask.
    turned : bool
        Past the B-factor at which DeepRes is finest.
    """

    name: str
    bfactor: Optional[float]
    verdict: str
    median: float
    p5: float
    p20: float
    p80: float
    past: float
    shift: float
    wasserstein: float
    disagreement: float
    model_cc: Optional[float] = None
    turned: bool = False


def judgement(
    name: str,
    deep: FloatArray,
    supported: Supported,
    tolerance: float,
    bfactor: Optional[float] = None,
    model_cc: Optional[float] = None,
) -> Judgement:
    """Judge a map by its DeepRes (Å, 1D) at the voxels of ``supported``; ``tolerance`` in Å."""
    p5, p20, median, p80 = (float(value) for value in np.percentile(deep.astype(np.float64), (5, 20, 50, 80)))
    coarse = median > supported.median + tolerance
    verdict = OVER if median < supported.p20 else UNDER if coarse else BALANCED
    past = float(np.mean(deep < supported.p20))
    shift = median - supported.median
    distance = wasserstein(deep, supported.rising)
    apart = float(np.median(np.abs(deep - supported.values)))
    return Judgement(name, bfactor, verdict, median, p5, p20, p80, past, shift, distance, apart, model_cc)


def past_the_turn(judgements: List[Judgement], tolerance: float) -> List[Judgement]:
    """Call over-sharpened what lies beyond the B-factor of the finest look, where it is coarser by ``tolerance`` (Å).

    ``judgements`` are returned in their order; those without a B-factor stay as they are.
    """
    tried = {one.bfactor: one.median for one in judgements if one.bfactor is not None}
    if not tried:
        return judgements
    finest = min(tried, key=lambda b: tried[b])

    def turned(one: Judgement) -> bool:
        return one.bfactor is not None and one.bfactor < finest and one.median > tried[finest] + tolerance

    return [replace(one, verdict=OVER, turned=True) if turned(one) else one for one in judgements]


def wasserstein(one: FloatArray, other: Float64) -> float:
    """Return the first Wasserstein distance of two samples of one size, ``other`` in rising order."""
    return float(np.mean(np.abs(np.sort(one.astype(np.float64)) - other)))


def best(judgements: List[Judgement], supported: Supported, expected: Optional[float] = None) -> Judgement:
    """Return the map to take; over-sharpened ones, and those past the turn of DeepRes, only where there is no other.

    Of a series of B-factors, the one nearest to ``expected`` (Å²); without it, and between the series and given maps,
    the one whose median of DeepRes is nearest to P20. Of maps that look equally fine the least sharpened is taken. If
    all are over-sharpened, the coarsest.
    """
    judgements = [one for one in judgements if not one.turned]
    within = [one for one in judgements if one.median >= supported.p20]
    if not within:
        return max(judgements, key=lambda one: one.median)
    series = {one.bfactor: one for one in within if one.bfactor is not None}
    if series and expected is not None:
        champion = series[min(series, key=lambda b: (abs(b - expected), -b))]
        within = [champion, *(one for one in within if one.bfactor is None)]
    finest = min(within, key=lambda one: one.median)
    equal = [one for one in within if one.median <= finest.median + EQUAL]
    sharpened = [one for one in equal if one.bfactor is not None]
    if finest.bfactor is None or not sharpened:
        return max((one for one in equal if one.bfactor is None), key=lambda one: one.median)
    return max(sharpened, key=lambda one: one.bfactor or 0.0)
