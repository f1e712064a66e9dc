"""Our enhancers on whole maps: gains of several views, and how much of the density is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from cryores.errors import WeightsError
from cryores.execution import Execution, Stage
from cryores.files import PathLike
from cryores.nets import denoiser
from cryores.nets.cubes import CubePlan, Predict, occupied, predicted
from cryores.nets.devices import device_names
from cryores.nets.enhancer import FORMAT, build_enhancer
from cryores.nets.enhancer_bands import (
    BLOCK,
    CONTRAST,
    COUNT,
    Described,
    block_powers,
    described,
    noise_is_told,
    spread_over_voxels,
    widened,
    with_gains,
)
from cryores.nets.enhancer_confidence import confidence, known_share
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.predictor import on_channels, predictor
from cryores.nets.stored_weights import load_weights
from cryores.nets.views import rotated_views, seen, unseen
from cryores.nets.weights import SHIPPED
from cryores.volume import FloatArray, HalfMaps, Maps, full_map

PLAN = CubePlan(edge=16, stride=8)
"""Cubes of blocks, of the size that the networks learnt from: their faces are part of what a network knows."""

DENOISER_PLAN = CubePlan(edge=64, stride=48)
"""Cubes of voxels in which the second step sees the enhanced map."""

EMPTY, HELD = 0.05, 0.15
"""Mean density around a block, of the molecule's, up to which it holds nothing, and from which it may hold something:
the mean over so many voxels of a noise that is alone in its box stays below."""

NOISE_ALONE = (2.8, 3.4)
"""`DensityScale.stands_out` up to which a box holds nothing but noise, and from which it surely holds something."""

STEADY = 4.0
"""Standard deviation in blocks of the Gaussian over which gains of bands without noise are averaged."""

LEAST_STRENGTH = 0.3
"""Strength of all bands, as a share of the molecule's usual one, from which a block belongs to it as a whole."""

PURE = 4
"""Power of the share of signal with which averaged gains take over."""

SECOND_STEP_OF = {"tightTarget": "tightTarget", "wideTarget": "tightTarget", "highRes": "tightTarget"}
"""Behind which target's first step the second step of a target has learnt: noise is noise behind the others too."""

TOGETHER = 8
"""Cubes at a time: a small network is faster on several."""


@dataclass(frozen=True)
class Enhanced:
    """An enhanced map, how much of it is likely right, 0 to 1, and the noise that the gains let through."""

    density: FloatArray
    confidence: FloatArray
    noise: FloatArray
    details: Dict[str, Any] = field(default_factory=dict)


def weights_file(target: str) -> Path:
    """Return the file of our network for ``target``; raises ``E_WEIGHTS_MISSING`` where it is not installed."""
    path = SHIPPED / f"enhancer-{target}.npz"
    if not path.is_file():
        raise WeightsError(
            "E_WEIGHTS_MISSING",
            f"there is no network of our own for {target} ({path})",
            "take --target tightTarget, --weights published, or train it: 'cryores train deepemhancer --help'",
        )
    return path


def read_enhancer(path: PathLike) -> Any:
    """Return a network of `cryores.nets.enhancer` with the weights of a file.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``, ``E_WEIGHTS_OTHER``, ``E_NO_TENSORFLOW``.
    """
    stored = load_weights(path, FORMAT)
    network = build_enhancer(tuple(stored.description["widths"]))
    stored.put_into(network)
    return network


def denoiser_file(target: str) -> Optional[Path]:
    """Return the weights of the second step for ``target``, or None where there are none."""
    path = SHIPPED / f"denoiser-{SECOND_STEP_OF[target]}.npz"
    return path if path.is_file() else None


def read_denoiser(target: str) -> Any:
    """Return the second step's network for ``target``, or None where there is none."""
    path = denoiser_file(target)
    if path is None:
        return None
    stored = load_weights(path, denoiser.FORMAT)
    network = denoiser.build_denoiser(tuple(stored.description["widths"]))
    stored.put_into(network)
    return network


def enhance(maps: Maps, network: Any, execution: Execution, views: int = 1, second: Any = None) -> Enhanced:
    """Enhance a map, or the mean of two half maps.

    Parameters
    ----------
    maps : Volume or HalfMaps
        Not sharpened.
    network : keras.Model
        From `read_enhancer`.
    execution : Execution
        Threads, device, and who hears of the progress.
    views : int
        Rotations in which the networks see the map, 1 to 24; their results are averaged.
    second : keras.Model, optional
        From `read_denoiser`.
    """
    threads = execution.threads
    way = OneAngstrom.of(maps.grid, BLOCK, BLOCK * PLAN.edge)
    with execution.stage("bands of the map"):
        told = described(_on_one_angstrom(full_map(maps).data, way, threads), threads)
    with execution.stage("network", views * len(PLAN.places(told.amplitude.shape[:3]))) as stage:  # type: ignore[arg-type]
        devices = device_names(execution)
        gains, variance = local_gains(told, predictor(network, devices), views, stage, TOGETHER * len(devices))
    with execution.stage("enhancing"):
        noise = _noise_power(maps, way, told, threads)
        let_through = denoiser.noise_let_through(told, gains, noise)
        density = with_gains(told, gains, threads)
    if second is not None:
        correction = _correction(density, let_through, second, views, execution)
        shares = denoiser.signal_shares(told, noise, let_through)
        density = denoiser.denoised(density, correction, let_through, shares, threads)
        if isinstance(maps, HalfMaps) or noise_is_told(told):
            density = denoiser.like_models(density, shares, threads)
    with execution.stage("confidence"):
        agreeing = CONTRAST**2 / (CONTRAST**2 + variance.sum(axis=-1))
        known = known_share(noise, told.power, density)
        likely = confidence(density, known) * spread_over_voxels(agreeing)
        likely = np.clip(way.back(likely, threads), 0.0, 1.0)
        deviation = np.maximum(way.back(denoiser.deviation(let_through), threads), 0.0)
    density = way.back(density, threads)
    details = {
        "solvent": told.scale.solvent,
        "contrast": told.scale.contrast,
        "known": known,
        "views": views,
        "denoised": second is not None,
    }
    return Enhanced(density, likely, deviation, details)


def _on_one_angstrom(data: FloatArray, way: OneAngstrom, threads: int) -> FloatArray:
    return way.there(data, float(np.median(data)), threads)


def local_gains(
    told: Described, predict: Predict, views: int = 1, stage: Optional[Stage] = None, batch: int = TOGETHER
) -> Tuple[FloatArray, FloatArray]:
    """Return the gains of the blocks by a `predictor` of a network, and their variance over the views."""
    total, squares = (np.zeros(told.amplitude.shape, dtype=np.float32) for _ in range(2))
    for turn in rotated_views(views):
        given = seen(told.features, turn)
        gains = predicted(given, predict, PLAN, batch=batch, stage=stage, channels=COUNT)
        found = np.maximum(unseen(gains, turn), 0.0)
        total += found
        squares += np.square(found)
    low, high = NOISE_ALONE
    something = np.clip((told.scale.stands_out - low) / (high - low), 0.0, 1.0)
    held = something * np.clip((told.features[..., -1:] - EMPTY) / (HELD - EMPTY), 0.0, 1.0)
    total, squares = total * held, squares * held**2
    mean = total / np.float32(views)
    return _steadied(mean, told), np.maximum(squares / np.float32(views) - np.square(mean), 0.0)


def _steadied(gains: FloatArray, told: Described) -> FloatArray:
    """Return gains that leave the map's own local amplitudes as they are where a band is signal alone.

    There, what the gain is over the amplitude is averaged over `STEADY` within the molecule: the network's doubt about
    each block is worse than what the map knows. The noisier a band is, the more the network's own gain counts.
    """
    from scipy.ndimage import gaussian_filter

    strength = np.sqrt(np.sum(np.square(gains), axis=-1, keepdims=True))
    if not strength.any():
        return gains
    usual = np.median(strength[strength > LEAST_STRENGTH * strength.max()])
    within = np.minimum(strength / (LEAST_STRENGTH * usual), 1.0)
    width = (STEADY, STEADY, STEADY, 0.0)
    wanted, there = gains * told.amplitude, within * np.square(told.amplitude)
    around = gaussian_filter(there, width)
    factor = gaussian_filter(wanted, width) / np.maximum(around, 1e-6 * around.max(axis=(0, 1, 2)))
    signal = np.clip(1.0 - told.noise / np.maximum(told.power, np.finfo(np.float32).tiny), 0.0, 1.0) ** PURE
    steadied: FloatArray = (signal * factor * within * told.amplitude + (1.0 - signal) * gains).astype(np.float32)
    return steadied


def _noise_power(maps: Maps, way: OneAngstrom, told: Described, threads: int) -> FloatArray:
    """Return the power of the noise by blocks and bands: of half the difference of half maps, or the solvent's."""
    if not isinstance(maps, HalfMaps):
        return told.noise
    difference = way.there(maps.noise().data, 0.0, threads) * np.float32(1.0 / told.scale.contrast)
    return widened(block_powers(difference, threads))


def _correction(
    density: FloatArray, let_through: FloatArray, network: Any, views: int, execution: Execution
) -> FloatArray:
    """Return what is to be added to an enhanced map so that less of it is noise, as the network says."""
    given = denoiser.shown(density, let_through, execution.threads)
    devices = device_names(execution)
    predict = on_channels(network, devices)
    noisy = given[..., 1] > 0
    total = np.zeros(density.shape, dtype=np.float32)
    cubes = len(occupied(DENOISER_PLAN.places(density.shape), DENOISER_PLAN.edge, noisy))  # type: ignore[arg-type]
    with execution.stage("noise", views * cubes) as stage:
        for turn in rotated_views(views):
            turned = seen(given, turn), seen(noisy, turn)
            # Without a name nothing is held of one view while the next is computed.
            total += unseen(predicted(turned[0], predict, DENOISER_PLAN, turned[1], len(devices), stage), turn)
    total *= np.float32(CONTRAST / views)
    return total
