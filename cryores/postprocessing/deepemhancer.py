"""Map as a network, trained on local scaling to models, expects it: sharpened and masked, with a confidence.

Own networks by default; the published ones where their weights are installed.
Source: Sanchez-Garcia et al., Commun. Biol. 4, 874 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.method import HALVES, MAP, Inputs, Method, parameter
from cryores.processed import ProcessedMap, finish
from cryores.resample import resampled
from cryores.symmetry import rotations
from cryores.volume import FloatArray, Grid, Maps, Volume, full_map

OWN, PUBLISHED = "own", "published"
TARGETS = ("tightTarget", "wideTarget", "highRes", "masked")
COMPAT = "deepemhancer"

USE = "For looking at and for building a model; never refine or measure a resolution against it"
"""What an enhanced map may be used for; report and page say so."""

TENSORFLOW_BYTES = 0.6e9
"""What TensorFlow and a network hold, whatever the map."""

DENOISER_BYTES = 0.3e9
"""What the second step holds besides."""

PUBLISHED_BYTES, CUBE_BYTES = 0.08e9, 0.25e9
"""What a published network holds besides, and for each cube at a time: measured with one of its size (3.9 million
weights) on 1, 2 and 4 cubes."""

LEAST_SYMMETRIC = 0.9
"""Correlation of a map with its turned self below which it does not have the symmetry."""


@dataclass(frozen=True)
class DeepemhancerParameters:
    """Parameters of the enhancers."""

    target: str = parameter(
        "tightTarget",
        "tightTarget: masked close to the molecule; wideTarget: keeps what lies beside it; highRes: for maps better "
        "than 4 Å; masked: the published network for maps that come with --mask",
        choices=TARGETS,
    )
    weights: str = parameter(OWN, "own, published, or the file or folder of the published weights")
    symmetry: str = parameter("C1", "Point group that the result is averaged over")
    views: int = parameter(
        4, "Rotations in which the network sees the map; the results are averaged (own networks)", "", 1, 24
    )
    denoise: bool = parameter(
        True, "Take noise out of the enhanced map by the second network (own networks); no: amplitudes alone change"
    )
    noise_stats: Tuple[float, ...] = parameter(
        (), "Mean and standard deviation of the noise (published networks); default, found", ""
    )
    cleaning: Optional[float] = parameter(
        None, "Remove parts smaller than this share of all density; default, none", "", 0.0, 1.0, expert=True
    )
    batch: Optional[int] = parameter(
        None, "Cubes computed at a time (published networks); halved when the memory runs out", "", 1, 256, expert=True
    )
    compat: Optional[str] = parameter(
        None,
        "deepemhancer: with published weights, the published program's steps to the letter",
        choices=(COMPAT,),
        expert=True,
    )


class EnhancedMap(ProcessedMap):
    """An enhanced map, whose ``extra`` holds ``confidence``."""


def deepemhancer(
    maps: Maps,
    mask: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> EnhancedMap:
    """Map as a network, trained on local scaling to models, expects it: sharpened and masked, with a confidence.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened, unmasked half maps, whose mean is enhanced; or one map.
    mask : Volume, optional
        Where changes are looked for, and what ``masked`` is multiplied by; made when not given. The network finds its
        own, but for target ``masked``, which takes this one.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads, memory, device.
    **parameters
        Fields of `DeepemhancerParameters`.

    Returns
    -------
    EnhancedMap
        ``sharpened``, in which 1 is bright density; with own networks ``extra["confidence"]``, right over right and
        wrong density around a place, as it is to be expected, and ``extra["noise"]``, the deviation of the noise that
        the gains let through; both from the half maps, or the solvent.

    Raises
    ------
    UsageError
        ``E_TARGET`` a target that the weights do not have · ``E_NOISE_STATS`` · ``E_COMPAT`` · ``E_SYMMETRY``.
    WeightsError
        ``E_NO_TENSORFLOW``, ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``.

    Notes
    -----
    Own networks: the map is brought to voxels of 1 Å and taken apart into bands of frequency 0.05/Å wide. On blocks of
    4 Å a network sees the local power of each band, in itself and over the solvent's, and says how strong the band is
    to be there: as strong as local scaling to a model would make it, 0 outside the molecule. The result is the sum of
    the bands with these local gains (`cryores.nets.enhancer`, `cryores.nets.enhancer_bands`): the network changes
    amplitudes, from place to place and band to band, and makes no density of its own. A second network takes
    noise out of that, no more than the gains have let through, and fast bands come nearer to a model's power
    (`cryores.nets.denoiser`). Published networks: see `cryores.nets.published_enhancer`.
    """
    result: EnhancedMap = METHOD.result(Inputs(maps, mask=mask, keep=keep), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: DeepemhancerParameters, execution: Execution) -> EnhancedMap:
    if parameters.weights == OWN:
        density, extra, details = _own(inputs, parameters, execution)
    else:
        density, extra, details = _published(inputs, parameters, execution)
    if parameters.cleaning and not parameters.compat:
        density = without_small_parts(density, parameters.cleaning)
    group = rotations(parameters.symmetry)
    if len(group) > 1:
        doubts = _symmetry_doubts(full_map(inputs.maps), group, parameters.symmetry, execution.threads)
        details["warnings"] = [*details.get("warnings", []), *doubts]
        density = symmetrised(density, inputs.grid, group)
    details.update(target=parameters.target, weights=parameters.weights, use=USE)
    criterion = (
        f"Density that the {parameters.weights} network for {parameters.target} makes of the map; 1 is bright density. "
        f"{USE}"
    )
    return EnhancedMap(**finish(inputs, density, criterion, details, execution, extra))


def _own(
    inputs: Inputs, parameters: DeepemhancerParameters, execution: Execution
) -> Tuple[FloatArray, Dict[str, Volume], Dict[str, Any]]:
    from cryores.nets.devices import on_device
    from cryores.nets.own_enhancer import enhance, read_denoiser, read_enhancer

    with on_device(execution):
        network = read_enhancer(_find_weights(parameters))
        second = read_denoiser(parameters.target) if parameters.denoise else None
        found = enhance(inputs.maps, network, execution, parameters.views, second)
    like = full_map(inputs.maps).like
    return found.density, {"confidence": like(found.confidence), "noise": like(found.noise)}, found.details


def _published(
    inputs: Inputs, parameters: DeepemhancerParameters, execution: Execution
) -> Tuple[FloatArray, Dict[str, Volume], Dict[str, Any]]:
    from cryores.nets import published_enhancer as published
    from cryores.nets.devices import on_device

    before, strictly = full_map(inputs.maps), parameters.compat is not None
    found = published.normalised(before, inputs.mask, parameters.target, parameters.noise_stats, strictly)
    given, used_mask, details, doubts = found
    with on_device(execution):
        network = published.published_network(_find_weights(parameters))
        batch = parameters.batch or 1
        if strictly:
            clean = partial(without_small_parts, share=parameters.cleaning) if parameters.cleaning else np.asarray
            density = published.as_published(given, used_mask, inputs.grid, network, execution, batch, clean)
        else:
            density = published.enhanced(given, inputs.grid, network, execution, batch)
    return density, {}, {**details, "warnings": doubts}


# --- after the network ----------------------------------------------------------------------------------------------


def symmetrised(density: FloatArray, grid: Grid, group: Any) -> FloatArray:
    """Return the mean of a map and its rotations about voxel n // 2 (periodic cubic splines)."""
    from scipy.ndimage import map_coordinates, spline_filter

    centre = np.array(grid.shape) // 2
    voxel = np.array(grid.voxel_size)
    coefficients = spline_filter(density, order=3, mode="grid-wrap", output=np.float32)
    total = np.zeros(grid.shape, dtype=np.float64)
    y, x = (np.arange(n) - c for n, c in zip(grid.shape[1:], centre[1:]))
    for matrix in group:
        for z in range(grid.shape[0]):
            plane = np.stack(np.broadcast_arrays(z - centre[0], y[:, None], x)).reshape(3, -1) * voxel[:, None]
            places = (matrix @ plane) / voxel[:, None] + centre[:, None]
            values = map_coordinates(coefficients, places, order=3, mode="grid-wrap", prefilter=False)
            total[z] += values.reshape(grid.shape[1:])
    mean: FloatArray = (total / len(group)).astype(np.float32)
    return mean


def _symmetry_doubts(volume: Volume, group: Any, name: str, threads: int) -> List[str]:
    """Say whether the map lacks the symmetry that its result is averaged over, seen on voxels of 8 Å or so."""
    shape = tuple(max(8, 2 * int(n * v / 16.0)) for n, v in zip(volume.grid.shape, volume.grid.voxel_size))
    coarse = resampled(volume.data, shape, threads)  # type: ignore[arg-type]
    grid = Grid.regular(shape, tuple(e / n for e, n in zip(volume.grid.extent, shape)))  # type: ignore[arg-type]
    turned = symmetrised(coarse, grid, group[1:])
    agreement = float(np.corrcoef(coarse.ravel(), turned.ravel())[0, 1])
    if agreement >= LEAST_SYMMETRIC:
        return []
    return [f"the map does not look {name}: its other views correlate with it by {agreement:.2f} only"]


def without_small_parts(density: FloatArray, share: float) -> FloatArray:
    """Return the map with connected parts smaller than ``share`` of all density set to the lowest value.

    The threshold lies half-way between Otsu's and the mean inside a third of the box, after a grey closing of 3 voxels,
    as in the published program.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    closed = ndimage.grey_closing(density, size=3)
    index = (np.arange(n) - (n - 1) / 2.0 for n in density.shape)
    z, y, x = index
    radius = 0.33 * min(density.shape)
    middle = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius**2
    threshold = 0.5 * (float(closed[middle].mean(dtype=np.float64)) + float(threshold_otsu(closed)))
    labels, count = ndimage.label(closed > threshold)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = sizes > share * max(int(sizes[1:].sum()), 1)
    kept[0] = False
    cleaned: FloatArray = np.where(kept[labels], density, density.min()).astype(np.float32)
    return cleaned


# --- declaration ----------------------------------------------------------------------------------------------------


def memory(inputs: Inputs, parameters: DeepemhancerParameters, threads: int) -> float:
    """Return the peak in bytes: volumes on the map's grid and on that of 1 Å, and what the network holds."""
    from cryores.nets.own_enhancer import denoiser_file

    grid = 4.0 * inputs.grid.size
    fine = 4.0 * max(float(np.prod([n * v for n, v in zip(inputs.grid.shape, inputs.grid.voxel_size)])), 96.0**3)
    if parameters.weights != OWN:
        cubes = CUBE_BYTES * (parameters.batch or 1)
        return 4.0 * grid + 13.0 * fine + TENSORFLOW_BYTES + PUBLISHED_BYTES + cubes
    twice = parameters.denoise and denoiser_file(parameters.target) is not None
    # The second step is shown ten volumes; at the end come the results and what has changed.
    working, telling = 2.0 * grid + (16.0 if twice else 10.0) * fine, 8.0 * grid + 5.0 * fine
    return max(working, telling) + TENSORFLOW_BYTES + (DENOISER_BYTES if twice else 0.0)


def _check(inputs: Inputs, parameters: DeepemhancerParameters) -> List[str]:
    rotations(parameters.symmetry)
    own = parameters.weights == OWN
    if own and parameters.target == "masked":
        raise UsageError("E_TARGET", "there is no own network for masked maps", "give --weights published with it")
    if own and parameters.compat:
        raise UsageError("E_COMPAT", "--compat speaks of the published networks", "give --weights published with it")
    if len(parameters.noise_stats) not in (0, 2) or (parameters.noise_stats and parameters.noise_stats[1] <= 0):
        raise UsageError("E_NOISE_STATS", "--noise-stats takes a mean and a standard deviation above 0", "give both")
    if own and parameters.noise_stats:
        raise UsageError(
            "E_NOISE_STATS", "our networks find the scale of a map by themselves", "leave --noise-stats out"
        )
    if parameters.target == "masked" and inputs.mask is None:
        raise UsageError("E_TARGET", "the target 'masked' needs a mask", "give --mask")
    _find_weights(parameters)
    return []


def _find_weights(parameters: DeepemhancerParameters) -> Path:
    """Return the file of weights; raises `WeightsError` where it is missing."""
    if parameters.weights == OWN:
        from cryores.nets.own_enhancer import weights_file

        return weights_file(parameters.target)
    from cryores.nets.published_enhancer import published_file

    return published_file(parameters.weights, parameters.target)


METHOD = Method(
    name="deepemhancer",
    title="DeepEMhancer",
    maps=(HALVES, MAP),
    parameters=DeepemhancerParameters,
    compute=_compute,
    memory=memory,
    outputs={
        "sharpened.mrc": "the enhanced map, in which 1 is bright density",
        "masked.mrc": "the enhanced map times the mask",
        "difference.mrc": "enhanced minus input, in standard deviations inside the mask",
        "confidence.mrc": "0 to 1: how much of the density around a place is right, by expectation (own networks)",
        "noise.mrc": "standard deviation of the noise that the gains let through, on the enhanced map's scale "
        "(own networks)",
    },
    citations=("SanchezGarcia2021",),
    optional=("keep",),
    mask="made",
    needs_noise=True,
    check=_check,
    network=lambda parameters: True,
)
