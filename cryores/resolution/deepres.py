"""Local resolution from what the density looks like, as a network has learned it: DeepRes.

A map is resampled to the voxel size that the network knows; the network says of every voxel of the mask which
resolution density like that around it has. No half maps are needed, and sharpening is seen, as by the eye.
Source: Ramírez-Aportela, Mota, Conesa, Carazo & Sorzano, IUCrJ 6, 1054 (2019); the network and weights are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.execution import Execution
from cryores.localres_maps import filled_outwards
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, MAP, Inputs, LocalResolution, Method, parameter
from cryores.nets import own_deepres
from cryores.nets.carved import continued
from cryores.nets.devices import on_device
from cryores.resample import Between, interpolated, nearest_voxels, resampled, resampled_grid
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, IntTriple, Maps, Volume, full_map

HIGH_BELOW = 2.8
"""Median in Å below which the range is chosen anew: 1.5-6."""


@dataclass(frozen=True)
class Range:
    """The range of resolutions in Å that a network is held to, and the voxel size at which it sees the map."""

    finest: float
    coarsest: float
    voxel_size: float


RANGES = {"2.5-13": Range(2.5, 13.0, 1.0), "1.5-6": Range(1.5, 6.0, 0.5)}
COARSE, FINE = RANGES


@dataclass(frozen=True)
class DeepresParameters:
    """What DeepRes can be told."""

    range: Optional[str] = parameter(
        None,
        "Expected resolutions in Å; default 2.5-13, and 1.5-6 where the map turns out to be that fine. Our own network "
        "answers somewhat beyond, to 2.05 and 16, or 1.1 and 7.5 Å; such values say little more than: beyond.",
        choices=(COARSE, FINE),
    )
    weights: str = parameter(
        "own",
        "own: trained for this package, comes with it; published: those of the authors, see 'cryores weights'.",
        choices=("own", "published"),
    )


def deepres(
    maps: Maps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> LocalResolution:
    """Estimate local resolution from the look of the density.

    Parameters
    ----------
    maps : Volume or HalfMaps
        The map as it will be interpreted: sharpened or not, that is what is judged. Of half maps, their mean.
    mask : Volume, optional
        Voxels above 0.5 are analysed; made when not given.
    execution : Execution, optional
        Threads, memory, device.
    **parameters
        Fields of `DeepresParameters`.

    Returns
    -------
    LocalResolution
        ``resolution`` in Å, not finer than Nyquist; with our own network somewhat beyond the range too, with the
        published one within it; NaN outside the mask. ``extra["uncertainty"]``, with our own network: standard error
        in Å. ``details["at_the_finest_fraction"]`` and ``["at_the_coarsest_fraction"]`` count the voxels at these ends
        of the range or beyond.

    Raises
    ------
    WeightsError
        ``E_WEIGHTS_MISSING``, ``E_WEIGHTS_DAMAGED``, ``E_WEIGHTS_OTHER``; ``E_NO_TENSORFLOW``, which only the published
        network needs.
    UsageError
        ``E_NO_GPU`` where one is asked for the published network and there is none. Our own runs on the processors,
        which a warning says.

    Notes
    -----
    Differs from the published program: the mask may be left out; neither the scale of the density nor its sign at a
    voxel matters; every voxel of the mask is seen; values reach the rim of the mask unmixed with the zeros outside.

    References
    ----------
    Ramírez-Aportela et al. (2019), IUCrJ 6, 1054-1063.
    """
    result: LocalResolution = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: DeepresParameters, execution: Execution) -> LocalResolution:
    assert inputs.mask is not None
    if parameters.weights == "published":
        with execution.stage("starting TensorFlow"):
            on_device(execution)
    density = full_map(inputs.maps)
    inside = inputs.mask.data > BINARY_THRESHOLD
    name = parameters.range or COARSE
    found = _estimated(inputs, density, inside, RANGES[name], parameters, execution)
    if parameters.range is None and _is_fine(found["resolution"], inputs.grid):
        name = FINE
        found.clear()
        found = _estimated(inputs, density, inside, RANGES[FINE], parameters, execution)
    chosen = RANGES[name]
    finest = max(chosen.finest, inputs.grid.nyquist)
    values = np.clip(found.pop("resolution"), *_ends(parameters, chosen, inputs.grid))
    known = values[np.isfinite(values)]
    details: Dict[str, Any] = {
        "range": name,
        "weights": parameters.weights,
        "working_voxel_size": resampled_grid(inputs.grid, working_shape(inputs.grid, chosen.voxel_size)).spacing,
        "at_the_finest_fraction": float(np.mean(known <= finest)) if known.size else 0.0,
        "at_the_coarsest_fraction": float(np.mean(known >= chosen.coarsest)) if known.size else 0.0,
    }
    if details["at_the_finest_fraction"] > 0.5 and name == COARSE and finest < inputs.grid.nyquist + 1.0:
        details["warnings"] = [f"most of the map is finer than the range {name} Å: try --range {FINE}"]
    return LocalResolution(
        Volume(values, inputs.grid),
        inputs.mask,
        _criterion(parameters, chosen),
        details,
        {key: Volume(one, inputs.grid) for key, one in found.items()},
    )


def _ends(parameters: DeepresParameters, chosen: Range, grid: Grid) -> Tuple[float, float]:
    """Return the finest and the coarsest answer in Å."""
    finest, coarsest = chosen.finest, chosen.coarsest
    if parameters.weights == "own":
        finest, coarsest = own_deepres.LEARNED[chosen.voxel_size]
    return min(max(finest, grid.nyquist), coarsest), coarsest


def _is_fine(values: FloatArray, grid: Grid) -> bool:
    """Tell whether the finer range suits the map, and its voxels can hold it."""
    return bool(np.nanmedian(values) < HIGH_BELOW and grid.nyquist < HIGH_BELOW)


def _estimated(
    inputs: Inputs,
    density: Volume,
    inside: BoolArray,
    chosen: Range,
    parameters: DeepresParameters,
    execution: Execution,
) -> Dict[str, FloatArray]:
    """Return the network's answers by name, on the grid of the map; NaN outside the mask."""
    shape = working_shape(density.grid, chosen.voxel_size)
    if parameters.weights == "published":
        found = {"resolution": _published(density, inside, shape, chosen, execution)}
    else:
        answer = own_deepres.estimate(
            density.like(continued(density.data)),
            inside,
            shape,
            chosen.voxel_size,
            execution,
            execution.planned_bytes - _kept(inputs) if execution.planned_bytes else np.inf,
        )
        found = {"resolution": answer.resolution, "uncertainty": answer.uncertainty}
    for name, values in found.items():
        # On a coarser grid some voxels at the rim are nearest to none that was seen.
        if not np.isfinite(values[inside]).all():
            filled = filled_outwards(density.like(values)).data
            found[name] = np.where(inside, filled, np.float32(np.nan))
    return found


def _published(density: Volume, inside: BoolArray, shape: IntTriple, chosen: Range, execution: Execution) -> FloatArray:
    from cryores.nets import published_deepres

    with execution.stage("resampling"):
        seen = Volume(resampled(density.data, shape, execution.threads), resampled_grid(density.grid, shape))
        mask = nearest(inside, shape)
    values = published_deepres.estimate(
        published_deepres.masked(seen, mask),
        mask,
        chosen.voxel_size,
        execution,
        original_voxel=min(density.grid.voxel_size),
    )
    return back(values, inside)


# --- grids --------------------------------------------------------------------------------------------------------


def working_shape(grid: Grid, voxel_size: float) -> IntTriple:
    """Return the shape of the grid over the same box whose voxels are nearest to ``voxel_size``."""
    z, y, x = (max(1, round(length / voxel_size)) for length in grid.extent)
    return (z, y, x)


def nearest(values: Any, shape: IntTriple) -> Any:
    """Return ``values`` at the nearest voxels of a grid of ``shape`` over the same box."""
    if values.shape == shape:
        return values
    return np.ascontiguousarray(values[np.ix_(*map(nearest_voxels, values.shape, shape))])


def back(values: FloatArray, inside: BoolArray) -> FloatArray:
    """Return answers on the grid of the mask, interpolated between those that there are; NaN outside the mask."""
    if values.shape != inside.shape:
        values = interpolated(values, list(map(Between.of, values.shape, inside.shape)))
    return np.where(inside, values, np.float32(np.nan))


# --- declaration --------------------------------------------------------------------------------------------------


def _criterion(parameters: DeepresParameters, chosen: Range) -> str:
    own = parameters.weights == "own"
    return (
        f"The low-pass limit, within {chosen.finest:g} to {chosen.coarsest:g} Å, that density of such a look has, as "
        f"learned by {'our own' if own else 'the published'} network; sharpening makes it finer"
        + ("; values beyond that range say little more than: beyond" if own else "")
    )


def _check(inputs: Inputs, parameters: DeepresParameters) -> List[str]:
    if parameters.weights == "published":
        _require_published()
    chosen = RANGES[parameters.range or COARSE]
    if inputs.grid.nyquist > chosen.coarsest:
        return [f"the voxels hold nothing finer than {inputs.grid.nyquist:.1f} Å, beyond the range of the network"]
    if parameters.range == FINE and inputs.grid.nyquist > HIGH_BELOW:
        return [f"voxels of {inputs.grid.spacing:.2f} Å hold little of the range {FINE} Å: {COARSE} suits them better"]
    return []


def _require_published() -> None:
    """Refuse to start where the published weights are not installed."""
    from cryores.nets import weights

    if weights.installed_in("deepres") is None:
        weights.find("deepres", "model_w13.h5")


def _memory(inputs: Inputs, parameters: DeepresParameters, threads: int) -> float:
    return memory_within(inputs, parameters, threads, 0.0)


def memory_within(inputs: Inputs, parameters: DeepresParameters, threads: int, budget: float) -> float:
    """Return the bytes held beyond the inputs, by blocks as large as a budget allows, or by the smallest."""
    from cryores.nets import published_deepres

    asked = [RANGES[parameters.range or COARSE]]
    if parameters.range is None and inputs.grid.nyquist < HIGH_BELOW:
        asked.append(RANGES[FINE])
    shapes = [working_shape(inputs.grid, chosen.voxel_size) for chosen in asked]
    if parameters.weights == "published":
        # While it is resampled, a map has its spectrum; afterwards answers of both grids are held.
        return published_deepres.memory(shapes[-1]) + 4.0 * inputs.grid.size * 6.0
    kept, grid = _kept(inputs), inputs.grid.shape
    mask = None if inputs.mask is None else inputs.mask.data > BINARY_THRESHOLD
    return kept + max(own_deepres.memory(grid, shape, threads, budget - kept, mask) for shape in shapes)


def _kept(inputs: Inputs) -> float:
    """Return the bytes held beside the network: the mean of half maps, what continues it, answers within the range."""
    return 4.0 * inputs.grid.size * (2.75 + isinstance(inputs.maps, HalfMaps))


METHOD = Method(
    name="deepres",
    title="DeepRes",
    maps=(MAP, HALVES),
    parameters=DeepresParameters,
    compute=_compute,
    memory=_memory,
    memory_within=memory_within,
    outputs={
        "resolution.mrc": "local resolution in Å, 0 outside the mask",
        "uncertainty.mrc": "its standard error in Å, with our own network",
    },
    citations=("RamirezAportela2019",),
    mask="made",
    needs_noise=False,
    check=_check,
    # Our own is so small that numpy computes it.
    network=lambda parameters: bool(parameters.weights == "published"),
)
