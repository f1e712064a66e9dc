"""Local amplitude scaling: every voxel is computed from its own window, whose radial amplitudes become those wanted.

The window around a voxel keeps its phases, and each of its shells is multiplied by the wanted mean amplitude over its
own; the voxel is the centre of the result. What is wanted may come from a reference map, from a model, from theory, or
from half maps: it is a function of the amplitudes that the window has. Source: Jakobi et al., eLife 6, e27131 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Optional, Sequence

import numpy as np

from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.volume import BoolArray, FloatArray
from cryores.window_profiles import WindowProfiles, WindowShells, plane_blocks, window_profiles

FEWEST_SHELLS = 3
"""A line through fewer points says nothing about how well it fits."""

ROUNDING = 1e-9
"""Amplitudes below this share of the largest density are rounding: a window of constant density has none."""

Wanted = Callable[[WindowProfiles], Float64]
"""Returns the wanted mean amplitudes of some windows, shape (voxels, shells)."""

Described = Callable[[WindowProfiles, Float64], "Decay"]
"""Returns what is told of some windows, given what is wanted of them."""


@dataclass(frozen=True)
class Decay:
    """Exponential decays exp(-B s^2 / 4) fitted to amplitude profiles.

    Parameters
    ----------
    bfactor : ndarray of float64, shape (voxels,)
        B in Å², positive where amplitudes fall; NaN where fewer than three shells can be fitted.
    amplitude : ndarray of float64
        The fitted amplitude at s = 0.
    quality : ndarray of float64
        Squared correlation coefficient of the line and ln(amplitude), 0 to 1.
    """

    bfactor: Float64
    amplitude: Float64
    quality: Float64


@dataclass(frozen=True)
class LocallyScaled:
    """A locally scaled map, 0 outside the mask, and the local decays (NaN where there is none)."""

    data: FloatArray
    bfactor: FloatArray
    quality: FloatArray


@dataclass(frozen=True)
class ScaledVoxels:
    """The scaled values of some voxels, their windows, and the amplitudes that were wanted of these."""

    values: Float64
    windows: WindowProfiles
    wanted: Float64


def locally_scaled(
    volumes: Sequence[FloatArray],
    inside: BoolArray,
    shells: WindowShells,
    wanted_of: Wanted,
    decay_of: Described,
    execution: Execution,
    tapered: Sequence[FloatArray] = (),
) -> LocallyScaled:
    """Scale the first of ``volumes`` locally; the others are there for ``wanted_of`` to see their amplitudes.

    Parameters
    ----------
    volumes : sequence of ndarray of float32, shape (nz, ny, nx)
        The map, and what else ``wanted_of`` needs, on one grid.
    inside : ndarray of bool, same shape
        Where the result is wanted.
    shells : WindowShells
        Size and shells of the windows.
    wanted_of, decay_of : callable
        What the amplitudes of the windows are to be, and the decay that is told of them.
    execution : Execution
        Threads, and who hears of the progress.
    tapered : sequence of ndarray of float32, same shape
        Maps of which ``wanted_of`` sees the amplitudes in windows with a Hann taper.
    """
    data = np.zeros(inside.shape, dtype=np.float32)
    bfactor, quality = (np.full(inside.shape, np.nan, dtype=np.float32) for _ in range(2))
    with execution.stage("scaling windows", len(plane_blocks(inside, execution.threads))) as stage:
        for block in scaled_voxels(volumes, inside, shells, wanted_of, execution, tapered):
            voxels = block.windows.voxels
            data[voxels] = block.values
            decay = decay_of(block.windows, block.wanted)
            bfactor[voxels], quality[voxels] = decay.bfactor, decay.quality
            stage.advance()
    return LocallyScaled(data, bfactor, quality)


def scaled_voxels(
    volumes: Sequence[FloatArray],
    inside: BoolArray,
    shells: WindowShells,
    wanted_of: Wanted,
    execution: Execution,
    tapered: Sequence[FloatArray] = (),
) -> Iterator[ScaledVoxels]:
    """Yield the voxels of `locally_scaled`, in blocks."""
    least = ROUNDING * float(np.abs(volumes[0]).max())
    for windows in window_profiles(volumes, inside, shells, execution.threads, tapered, execution.backend):
        wanted = wanted_of(windows)
        ratio = amplitude_ratio(wanted, windows.amplitudes[:, 0], least)
        yield ScaledVoxels(np.einsum("vr,vr->v", ratio, windows.shares), windows, wanted)


def scaled_to_reference(
    data: FloatArray, reference: FloatArray, inside: BoolArray, edge: int, execution: Optional[Execution] = None
) -> FloatArray:
    """Return a map with the local radial amplitudes of a reference, 0 outside the mask.

    Parameters
    ----------
    data, reference : ndarray of float32, shape (nz, ny, nx)
        Map and reference on one grid, of any scale.
    inside : ndarray of bool, same shape
        Where the result is wanted; windows reach beyond it.
    edge : int
        Edge of the windows in voxels: 25 Å in LocScale. Odd ones have a voxel in their middle.
    execution : Execution, optional
        Threads.

    Returns
    -------
    ndarray of float32
        On the scale of the reference, whatever the scale of the map.
    """
    execution = execution or Execution()
    scaled = np.zeros(inside.shape, dtype=np.float32)
    volumes, shells = [data, reference], WindowShells(edge)
    with execution.at_work():
        for block in scaled_voxels(volumes, inside, shells, lambda found: found.amplitudes[:, 1], execution):
            scaled[block.windows.voxels] = block.values
    return scaled


def amplitude_ratio(wanted: Float64, own: Float64, least: float = 0.0) -> Float64:
    """Return wanted / own, 0 where ``own`` is at most ``least``: there is nothing to be scaled."""
    ratio: Float64 = np.divide(wanted, own, out=np.zeros_like(own), where=own > least)
    return ratio


def fitted_decay(frequency: Float64, amplitude: Float64, chosen: BoolArray) -> Decay:
    """Fit ln(amplitude) = ln A - B s^2 / 4 to the chosen shells of many windows.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        In 1/Å.
    amplitude : ndarray of float64, shape (voxels, shells)
        Shells without amplitude take no part.
    chosen : ndarray of bool, shape (shells,) or (voxels, shells)
        The shells of the fit.
    """
    weight = ((amplitude > 0) & chosen).astype(np.float64)
    y = np.log(np.where(amplitude > 0, amplitude, 1.0))
    x = np.broadcast_to(frequency**2, y.shape)
    count = weight.sum(axis=1)
    enough = count >= FEWEST_SHELLS
    n = np.where(enough, count, 1.0)
    mean_x, mean_y = (np.einsum("vr,vr->v", weight, a) / n for a in (x, y))
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    xx, xy, yy = (np.einsum("vr,vr,vr->v", weight, a, b) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
    slope = xy / np.where(xx > 0, xx, 1.0)
    quality = np.where(yy > 0, slope * xy / np.where(yy > 0, yy, 1.0), 1.0)
    found = enough & (xx > 0)
    bfactor, height, quality = (
        np.where(found, a, np.nan) for a in (-4.0 * slope, np.exp(mean_y - slope * mean_x), quality)
    )
    return Decay(bfactor, height, quality)
