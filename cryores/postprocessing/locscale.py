"""Map whose local amplitudes are those of a reference: a model, another map, or what a protein is expected to have.

Around every voxel a window of 25 Å is given the mean amplitudes, shell by shell, of the same window of the reference,
and keeps its phases. Source: Jakobi et al., eLife 6, e27131 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.backend import gpu_bytes
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.local_scaling import Decay, Wanted, fitted_decay, locally_scaled
from cryores.masks import BINARY_THRESHOLD, bounding_box
from cryores.method import HALVES, MAP, Inputs, LocalMap, Method, parameter, statistics
from cryores.postprocessing import _locscale_targets as targets
from cryores.postprocessing._model_reference import ModelReference, check_model, fit_details, model_reference
from cryores.processed import ProcessedMap, finish
from cryores.shell_correlation import uncorrected_resolution
from cryores.volume import FloatArray, Grid, HalfMaps, Maps, Volume, full_map
from cryores.window_profiles import WindowProfiles, WindowShells, block_bytes, working_bytes

COMPAT = "locscale"
"""The published program: one octant of the coefficients, no weights, its own amplitudes without a reference."""

SMALLEST_EDGE = 8
"""Voxels: smaller windows have too few shells."""


@dataclass(frozen=True)
class LocscaleParameters:
    """Parameters of local amplitude scaling."""

    window: float = parameter(
        25.0, "Edge of the window, rounded up to an odd number of voxels (compat: even), which has a middle", "Å", 1.0
    )
    min_resolution: Optional[float] = parameter(
        None,
        "Finest resolution of the result; default, that of the reference, or without one FSC 0.143 of the half maps",
        "Å",
        0.1,
    )
    fsc_weighting: bool = parameter(
        True, "Weigh a model's or theory's amplitudes in every window by what the half maps agree on there"
    )
    bfactor: float = parameter(20.0, "Without a reference: B-factor that every region is given", "Å²", -500.0, 500.0)
    incomplete: bool = parameter(
        False, "The model is partial: windows without atoms are scaled as if there was no model"
    )
    secondary_structure: float = parameter(
        0.0,
        "Times that a protein's deviation from a plain decay is added to the reference's amplitudes; 1.5 in LocScale",
        "",
        0.0,
        10.0,
        expert=True,
    )
    compat: Optional[str] = parameter(None, "locscale: the published program", choices=(COMPAT,), expert=True)


@dataclass(frozen=True)
class WindowBfactors(LocalMap):
    """The B-factor (Å²) of the window around every voxel, positive where amplitudes fall."""

    quantity = "Local B-factor, positive for decay"
    unit = "Å²"

    bfactor: Volume
    mask: Volume
    details: Dict[str, Any] = field(default_factory=dict)

    @property
    def local(self) -> Volume:
        """The B-factor in Å²."""
        return self.bfactor


class LocscaleResult(ProcessedMap):
    """A locally scaled map, whose ``extra`` holds ``bfactor`` and ``fit_quality``."""

    @property
    def bfactors(self) -> WindowBfactors:
        """The local B-factors, to be drawn."""
        return WindowBfactors(self.extra["bfactor"], self.mask)


def locscale(
    maps: Maps,
    mask: Optional[Volume] = None,
    model: Optional[str] = None,
    reference: Optional[Volume] = None,
    keep: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> LocscaleResult:
    """Map whose local amplitudes are those of a model, of another map, or what a protein is expected to have.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Unsharpened half maps, whose mean is processed; or one map.
    mask : Volume, optional
        Voxels above 0.5 are computed, the others are 0; made when not given.
    model : str, optional
        Path of an atomic model in the frame of the map, with B-factors refined against it.
    reference : Volume, optional
        A map with the wanted amplitudes on the same grid, in place of a model.
    keep : Volume, optional
        Above 0.5 where the density stays as it is.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `LocscaleParameters`.

    Returns
    -------
    LocscaleResult
        ``sharpened`` on the scale of the reference or model (without: of the input); ``extra`` holds ``bfactor``, the
        local B in Å² of the reference (without: of the input's signal), positive where amplitudes fall, and
        ``fit_quality``, the squared correlation of that fit. `cryores.local_scaling.scaled_to_reference` is the same
        on bare arrays.

    Raises
    ------
    UsageError
        ``E_TWO_REFERENCES`` · ``E_NO_HALVES`` one map, no reference and no ``min_resolution`` · ``E_WINDOW`` ·
        ``E_INCOMPLETE`` without a model.
    InputError
        ``E_MODEL...`` a model that is no reference or does not lie in the map · ``E_REFERENCE`` a constant one.

    Notes
    -----
    Windows are not tapered; beyond the box a map continues as its mean outside the mask. Amplitudes of a shell are mean
    moduli over the full spectrum; the program counts one octant (``compat="locscale"``), which is noisier. Between
    shells the ratio is interpolated linearly. With half maps, a model's amplitudes are multiplied in every window by
    sqrt(2 FSC / (1 + FSC)) of that window; those of a reference map never are. Source: Jakobi et al. 2017.
    """
    inputs = Inputs(maps, mask=mask, model=model, reference=reference, keep=keep)
    result: LocscaleResult = METHOD.result(inputs, execution, parameters)
    return result


def window_edge(parameters: LocscaleParameters, spacing: float) -> int:
    """Return how many voxels of ``spacing`` Å hold the window: an odd number, which has a voxel in its middle.

    The published program's windows are even, and reach a voxel farther to one side.
    """
    even = parameters.compat is not None
    return 2 * int(np.ceil((parameters.window / spacing - (not even)) / 2 - 1e-6)) + (not even)


def _compute(inputs: Inputs, parameters: LocscaleParameters, execution: Execution) -> LocscaleResult:
    assert inputs.mask is not None
    before = full_map(inputs.maps)
    inside = inputs.mask.data > BINARY_THRESHOLD
    fitted = None if inputs.model is None else model_reference(inputs.model, before, execution)
    reference = inputs.reference if fitted is None else fitted.density
    resolution = _resolution(inputs, parameters, execution)
    spacing = inputs.grid.spacing
    shells = WindowShells(window_edge(parameters, spacing), octant=parameters.compat is not None)
    frequency = targets.program_frequencies(shells, spacing) if parameters.compat else shells.frequencies(spacing)
    finest = resolution or inputs.grid.nyquist
    shelled = targets.Shelled(frequency, targets.WILSON, finest, shells.independent())
    volumes = [before.data] + ([] if reference is None else [reference.data])
    noise = _weighted_noise(inputs, parameters)
    tapered = [] if noise is None else [before.data, noise]
    wanted = _wanted(parameters, shelled, reference is not None)
    if fitted is not None and parameters.incomplete:
        wanted = _beside_model(wanted, fitted, before, inside, shells, parameters, shelled)
    described = _described(shelled, reference is not None, parameters)
    scaled = locally_scaled(volumes, inside, shells, wanted, described, execution, tapered)
    details = _details(shells, resolution, inputs, noise is not None)
    extra = {"bfactor": before.like(scaled.bfactor), "fit_quality": before.like(scaled.quality)}
    found = scaled.bfactor[inside]
    details["local_bfactor"] = statistics(found[np.isfinite(found)], found.size)
    if fitted is not None:
        details.update(fit_details(fitted, before, before.like(scaled.data), inside, execution.threads))
    # The mean of half maps and their noise are not held while changes are looked for.
    del before, noise, volumes, tapered
    return LocscaleResult(**finish(inputs, scaled.data, _criterion(inputs, details), details, execution, extra))


# --- what is wanted -----------------------------------------------------------------------------------------------


def _wanted(parameters: LocscaleParameters, shelled: targets.Shelled, referred: bool) -> Wanted:
    """Return what the amplitudes of a window are to be."""
    if not referred:
        return lambda block: _free(block, parameters, shelled)
    end = np.ones_like(shelled.frequency)
    if parameters.min_resolution is not None and not parameters.compat:
        end = targets.ended(shelled.frequency, parameters.min_resolution)

    def from_reference(block: WindowProfiles) -> Float64:
        amplitude: Float64 = block.amplitudes[:, 1]
        if parameters.secondary_structure > 0:
            theory = targets.protein_profile(shelled.frequency)
            fit_to = float(1.0 / shelled.frequency[-1])
            times = parameters.secondary_structure
            amplitude = targets.with_secondary_structure(amplitude, shelled, theory, fit_to, times)
        return amplitude * _weight(block, shelled) * end

    return from_reference


def _weight(block: WindowProfiles, shelled: targets.Shelled) -> Float64:
    """Return the weight of each shell: 1 where no half maps tell what it is worth."""
    if not block.tapered.shape[1]:
        return np.ones_like(block.shares)
    return targets.agreement(block.tapered[:, 0], block.tapered[:, 1], shelled.independent)


def _free(block: WindowProfiles, parameters: LocscaleParameters, shelled: targets.Shelled) -> Float64:
    """Return the amplitudes of a window without a reference."""
    own = block.amplitudes[:, 0]
    if parameters.compat:
        return targets.levelled(own, shelled, parameters.bfactor)
    weight = _weight(block, shelled)
    expected = targets.expected(own * weight, shelled.frequency, parameters.bfactor)
    return expected * weight * targets.ended(shelled.frequency, shelled.finest)


def _beside_model(
    modelled: Wanted,
    fitted: ModelReference,
    before: Volume,
    inside: Any,
    shells: WindowShells,
    parameters: LocscaleParameters,
    shelled: targets.Shelled,
) -> Wanted:
    """Return ``modelled`` where a window holds the model, and what is wanted without one where it does not."""
    from scipy.ndimage import uniform_filter

    held, asked = (uniform_filter(a.astype(np.float32), shells.edge) for a in (fitted.near.data * inside, inside))
    share = np.clip(held / np.maximum(asked, 1e-6), 0.0, 1.0)
    near = (fitted.near.data > BINARY_THRESHOLD) & inside
    ours, theirs = (v.data[near].astype(np.float64) for v in (before, fitted.density))
    scale = float(np.std(theirs) / (np.std(ours) or 1.0))

    def mixed(block: WindowProfiles) -> Float64:
        modelled_share = share[block.voxels][:, None]
        beside = scale * _free(block, parameters, shelled)
        both: Float64 = modelled_share * modelled(block) + (1.0 - modelled_share) * beside
        return both

    return mixed


def _described(shelled: targets.Shelled, referred: bool, parameters: LocscaleParameters) -> Any:
    """Return what tells the decay of a window: of the reference, or of the map's signal where there is none."""
    theory = targets.protein_profile(shelled.frequency)

    def decay(block: WindowProfiles, wanted: Float64) -> Decay:
        amplitude = block.amplitudes[:, 1 if referred else 0]
        if parameters.compat:
            return targets.local_decay(amplitude, shelled, float(1.0 / shelled.frequency[-1]))
        if not referred and block.tapered.shape[1]:
            amplitude = block.tapered[:, 0] * _weight(block, shelled)
        # Over the protein's own profile the decay is a line from 10 Å on, and its B that of the atoms.
        return fitted_decay(shelled.frequency, amplitude / theory, shelled.chosen())

    return decay


def _weighted_noise(inputs: Inputs, parameters: LocscaleParameters) -> Optional[FloatArray]:
    """Return half the difference of the half maps, where amplitudes are weighted by it."""
    return inputs.maps.noise().data if _weighs(inputs, parameters) and isinstance(inputs.maps, HalfMaps) else None


def _weighs(inputs: Inputs, parameters: LocscaleParameters) -> bool:
    """Tell whether amplitudes are weighted by what the half maps agree on."""
    wanted = parameters.fsc_weighting and not parameters.compat
    return wanted and isinstance(inputs.maps, HalfMaps) and inputs.reference is None


def _resolution(inputs: Inputs, parameters: LocscaleParameters, execution: Execution) -> Optional[float]:
    """Return the finest resolution (Å) that is known: the given one, or that of the half maps."""
    if parameters.min_resolution is not None or not isinstance(inputs.maps, HalfMaps):
        return parameters.min_resolution
    return uncorrected_resolution(inputs.maps, inputs.mask, execution.threads)


# --- words --------------------------------------------------------------------------------------------------------


def _details(shells: WindowShells, resolution: Optional[float], inputs: Inputs, weighted: bool) -> Dict[str, Any]:
    source = "model" if inputs.model else "reference map" if inputs.reference else "theory"
    return {"window_voxels": shells.edge, "target": source, "fitted_to": resolution, "weighted": weighted}


def _criterion(inputs: Inputs, details: Dict[str, Any]) -> str:
    source = {
        "model": "of the model's density",
        "reference map": "of the reference map",
        "theory": "that a protein is expected to have",
    }[details["target"]]
    weighted = ", weighted by the agreement of the half maps in each" if details["weighted"] else ""
    scale = "input" if details["target"] == "theory" else details["target"]
    size = details["window_voxels"]
    return (
        f"Windows of {size} voxels ({size * inputs.grid.spacing:.1f} Å) given the radial amplitudes {source}{weighted}"
        f"; 0 outside the mask; density on the scale of the {scale}; local B-factors positive where "
        "amplitudes decay, as of atoms (LocBFactor counts them negative)"
    )


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: LocscaleParameters) -> List[str]:
    found: List[str] = []
    if inputs.model is not None and inputs.reference is not None:
        raise UsageError("E_TWO_REFERENCES", "a model and a reference map are given", "give one of them")
    if parameters.incomplete and inputs.model is None:
        raise UsageError("E_INCOMPLETE", "--incomplete speaks of a model, and there is none", "give --model")
    edge = window_edge(parameters, inputs.grid.spacing)
    if not SMALLEST_EDGE <= edge <= min(inputs.grid.shape):
        raise UsageError(
            "E_WINDOW",
            f"a window of {parameters.window:g} Å has {edge} voxels",
            f"--window from {SMALLEST_EDGE * inputs.grid.spacing:.4g} to {min(inputs.grid.extent):.4g} Å in this map",
        )
    if inputs.reference is not None and float(np.ptp(inputs.reference.data)) == 0.0:
        raise InputError("E_REFERENCE", "the reference map is constant", "give a map with density in it")
    if inputs.model is not None:
        found += check_model(inputs.model, inputs.grid)
    return found + _doubts(inputs, parameters)


def _doubts(inputs: Inputs, parameters: LocscaleParameters) -> List[str]:
    single = not isinstance(inputs.maps, HalfMaps)
    referred = inputs.model is not None or inputs.reference is not None
    if (not referred or parameters.incomplete) and single and parameters.min_resolution is None:
        raise UsageError(
            "E_NO_HALVES",
            "without a reference the amplitudes have to end somewhere, and one map does not tell where",
            "give --min-resolution, the half maps, a model or a reference map",
        )
    if not referred and single:
        return ["one map without a reference: where it is poor, noise is sharpened like protein; give the half maps"]
    return []


def _memory(inputs: Inputs, parameters: LocscaleParameters, threads: int) -> float:
    # In volumes while the windows slide: mean map, noise, reference and three results; after, these and what finds the
    # blobs that changed.
    volumes = _windowed(inputs, parameters)
    size, share = _block_of(inputs.mask, inputs.grid)
    edge = window_edge(parameters, inputs.grid.spacing)
    kept, after = (5.0, 7.7) if isinstance(inputs.maps, HalfMaps) else (3.8, 5.8)
    sliding = 4.0 * inputs.grid.size * kept + working_bytes(size, share, volumes, edge, threads)
    return max(sliding, 4.0 * inputs.grid.size * after)


def _gpu_memory(inputs: Inputs, parameters: LocscaleParameters) -> float:
    # The blocks of all maps that windows are cut from, and the windows.
    size, _ = _block_of(inputs.mask, inputs.grid)
    held = block_bytes(size, _windowed(inputs, parameters), window_edge(parameters, inputs.grid.spacing))
    return gpu_bytes(inputs.grid, 0.0, boxes=True) + held


def _windowed(inputs: Inputs, parameters: LocscaleParameters) -> int:
    """Return of how many maps windows are transformed."""
    return 1 + (inputs.model is not None or inputs.reference is not None) + 2 * _weighs(inputs, parameters)


def _block_of(mask: Optional[Volume], grid: Grid) -> Tuple[Tuple[int, ...], float]:
    """Return the size of the block around the mask, and the share of it that is inside."""
    if mask is None:
        return grid.shape, 0.5
    block = bounding_box(mask)
    size = tuple(part.stop - part.start for part in block)
    return size, float(np.mean(mask.data[block] > BINARY_THRESHOLD))


METHOD = Method(
    name="locscale",
    title="LocScale",
    maps=(HALVES, MAP),
    parameters=LocscaleParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={
        "sharpened.mrc": "the locally scaled map, 0 outside the mask",
        "masked.mrc": "the same times the mask",
        "difference.mrc": "scaled minus input, in standard deviations inside the mask",
        "bfactor.mrc": "local B-factor (Å²) of the reference, or of the input's signal where there is none",
        "fit_quality.mrc": "squared correlation of the fit of each B-factor, 0 to 1",
    },
    citations=("Jakobi2017",),
    optional=("model", "reference", "keep"),
    mask="made",
    needs_noise=False,
    check=_check,
)
