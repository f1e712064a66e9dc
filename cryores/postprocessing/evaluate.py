"""A processed map judged by an atomic model and by the half map it has not seen: FSC, CC, Q-score, local resolution.

Everything is measured alike before and after the processing: map-model FSC, correlation in real space, Q-scores, local
resolution against the model. Half maps add the test that needs no model: does half 1, processed, agree better with
half 2 than it did raw, or was something invented?
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Union

import numpy as np

from cryores.atoms import (
    density_from_model,
    doubts_about,
    heavy_atoms,
    model_outside,
    polymer_atoms,
    read_model,
    share_outside,
)
from cryores.diagnosis import check_density
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import Float64, filtered, rfft, shell_frequencies, shell_sums, shell_width
from cryores.masks import SOFT_EDGE, soft_edge, solvent_level
from cryores.method import MAP, Inputs, Method, in_words, parameter
from cryores.postprocessing._evaluation import Evaluation, spread
from cryores.postprocessing._half_map_evaluation import HalfMapEvaluation, doubts, judged_by_halves
from cryores.postprocessing._half_map_test import HalfMapTest, half_map_test, levelled
from cryores.postprocessing._local_agreement import local_resolution
from cryores.postprocessing._qscore import expected_q, q_scores
from cryores.postprocessing._real_space import POINTS_AT_ONCE, ResidueVoxels, around_atoms, correlations
from cryores.resolution.blocres import automatic_box
from cryores.shell_correlation import crossing_past_shape, fsc_curve, uncorrected_resolution
from cryores.volume import FloatArray, Grid, HalfMaps, Volume

POOR_FIT = 0.2
"""CC_mask below which the model does not seem to belong to the map."""

BEYOND = 0.9
"""Ratio of the map-model resolutions (FSC 0.143) after and before from which the gain is doubted."""

BYTES_PER_ATOM, BYTES_PER_LINE = 4000.0, 80.0
"""Neighbours, voxels and names of an atom; the least that a model file says of it."""


@dataclass(frozen=True)
class EvaluateParameters:
    """Parameters of an evaluation."""

    resolution: Optional[float] = parameter(
        None,
        "Resolution of the density of the model; chosen: FSC 0.143 of the raw half maps, else masked map-model FSC 0.5 "
        "before the processing",
        unit="Å",
        minimum=0.1,
    )
    sigma: float = parameter(
        0.6, "Width of the Gaussian of the Q-score; EMDB's own tables use 0.4", unit="Å", minimum=0.1, maximum=2.0
    )
    mask_radius: float = parameter(
        3.0, "The mask of the model holds what is so near to an atom", unit="Å", minimum=0.5, maximum=20.0, expert=True
    )
    box: Optional[int] = parameter(
        None,
        "Edge of the box of the local resolution; chosen: 6 times the resolution",
        unit="voxels",
        minimum=8,
        expert=True,
    )


def evaluate(
    map: Volume,  # the name of the option and of the form
    model: Optional[str] = None,
    before: Optional[Volume] = None,
    raw_halves: Optional[HalfMaps] = None,
    processed_half1: Optional[Volume] = None,
    mask: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> Union[Evaluation, HalfMapEvaluation]:
    """Judge a processed map by an atomic model, and the processing by half maps.

    Parameters
    ----------
    map : Volume
        The processed map.
    model : str, optional
        Path of an atomic model in the frame of ``map``; without it the half maps alone judge.
    before : Volume, optional
        The map that it was made from; default the mean of ``raw_halves``.
    raw_halves : HalfMaps, optional
        The half maps that it was made from.
    processed_half1 : Volume, optional
        What the same processing makes of the first of them alone.
    mask : Volume, optional
        Where half maps are compared if there is no model; made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `EvaluateParameters`.

    Returns
    -------
    Evaluation or HalfMapEvaluation
        ``measures`` before and after; with a model Q-score by atom, correlation and local resolution by residue.

    Raises
    ------
    UsageError
        ``E_HALF_TEST`` if the half-map test lacks a map · ``E_MISSING_INPUT`` neither a model nor that test ·
        ``E_RANGE`` a ``resolution`` finer than Nyquist · ``E_BOX`` a box larger than the map.
    InputError
        ``E_MODEL`` no model, or hydrogens only · ``E_MODEL_OUTSIDE`` no atom in the box · ``E_SAME_HALF`` the processed
        half is the processed map · ``E_OTHER_GRID`` · ``E_CONSTANT`` · ``E_NOT_FINITE``.

    Notes
    -----
    Map-model FSC with and without the model's mask (soft); CC_box, CC_mask and CC_peaks (Afonine et al. 2018) against
    the density of the model at the resolution of the data; Q-scores (Pintilie et al. 2020); local FSC 0.5 of map and
    model in a moving box. The half-map test is described in `cryores.postprocessing._half_map_test`.
    """
    half1, half2 = (None, None) if raw_halves is None else (raw_halves.half1, raw_halves.half2)
    inputs = Inputs(
        map, mask=mask, model=model, before=before, raw_half1=half1, raw_half2=half2, processed_half1=processed_half1
    )
    result: Union[Evaluation, HalfMapEvaluation] = METHOD.result(inputs, execution, parameters)
    return result


# --- computation --------------------------------------------------------------------------------------------------


def _compute(
    inputs: Inputs, parameters: EvaluateParameters, execution: Execution
) -> Union[Evaluation, HalfMapEvaluation]:
    if inputs.model is None:
        halves, processed = _raw_halves(inputs), inputs.processed_half1
        assert halves is not None and processed is not None
        return judged_by_halves(halves, processed, inputs.mask, parameters.resolution, parameters.box, execution)
    grid, threads = inputs.grid, execution.threads
    maps, halves, processed = _maps(inputs), _raw_halves(inputs), inputs.processed_half1
    with execution.stage("density of the model"):
        structure = read_model(inputs.model)
        atoms = heavy_atoms(structure)
        model = _of_unit_spread(density_from_model(structure, grid))
        inside = around_atoms(atoms.positions, grid, max(parameters.mask_radius, grid.spacing))
        mask = soft_edge(model.like(inside), SOFT_EDGE * grid.spacing)
    with execution.stage("FSC of map and model"):
        frequency = shell_frequencies(grid)
        curves = _model_curves(maps, model, mask.data, threads)
    resolution = parameters.resolution or _data_resolution(halves, mask, frequency, curves, threads)
    box = parameters.box or automatic_box(resolution, grid)
    with execution.stage("Q-scores"):
        q = {name: q_scores(volume, atoms.positions, parameters.sigma) for name, volume in maps.items()}
    pairs = {name: (volume.data, model.data) for name, volume in maps.items()}
    test = None
    if halves is not None and processed is not None:
        with execution.stage("half maps"):
            processed = levelled(processed, halves.half1, threads)
            test = half_map_test(halves, processed, mask.data, threads)
        pairs["half_before"] = (halves.half1.data, halves.half2.data)
        pairs["half_after"] = (processed.data, halves.half2.data)
    del mask
    with execution.stage("local resolution", len(pairs)) as stage:
        local = {}
        for name, (one, two) in pairs.items():
            local[name] = local_resolution(one, two, inside, grid, box, execution)
            stage.advance()
    del pairs, processed
    with execution.stage("correlation in real space"):
        model = model.like(filtered(model.data, low_pass(resolution, 2 * shell_width(grid)), grid, threads))
        cc = {name: correlations(volume.data, model.data, inside) for name, volume in maps.items()}
        voxels = ResidueVoxels(atoms, grid)
        residue_cc = {name: voxels.correlation(volume, model) for name, volume in maps.items()}
        residue_resolution = {name: voxels.mean(model.like(spread(local[name], inside, np.nan))) for name in maps}
    details = {
        "resolution": resolution,
        "box": box,
        "expected_q_score": expected_q(resolution, parameters.sigma, *polymer_atoms(atoms)),
        "atoms": len(atoms.names),
        "atoms_without_q_score": int(np.count_nonzero(~np.isfinite(q["after"]))),
        "residues": len(atoms.chains),
        "warnings": _doubts(cc["after"][1], frequency, curves, test),
    }
    criterion = _criterion(maps, test, parameters, resolution)
    return Evaluation(
        maps, model, inside, atoms, frequency, curves, cc, q, residue_cc, residue_resolution, local, test,
        criterion, details,
    )  # fmt: skip


def _maps(inputs: Inputs) -> Dict[str, Volume]:
    """Return ``after`` and, where it is known, ``before`` (first)."""
    assert isinstance(inputs.maps, Volume)
    before, halves = inputs.before, _raw_halves(inputs)
    if before is None and halves is not None:
        before = halves.mean()
    return {**({} if before is None else {"before": before}), "after": inputs.maps}


def _raw_halves(inputs: Inputs) -> Optional[HalfMaps]:
    if inputs.raw_half1 is None or inputs.raw_half2 is None:
        return None
    return HalfMaps(inputs.raw_half1, inputs.raw_half2)


def _of_unit_spread(volume: Volume) -> Volume:
    return volume.like(volume.data / (float(volume.data.std(dtype=np.float64)) or 1.0))


def _model_curves(maps: Mapping[str, Volume], model: Volume, mask: FloatArray, threads: int) -> Dict[str, Float64]:
    """Return the FSC of each map with the model, as they are and under the soft mask."""
    grid = model.grid

    def curve(data: FloatArray, spectrum: Any) -> Float64:
        return fsc_curve(shell_sums(rfft(data, threads), spectrum, grid))

    plain = rfft(model.data, threads)
    curves = {name: curve(volume.data, plain) for name, volume in maps.items()}
    masked = rfft(model.data * mask, threads)
    for name, volume in maps.items():
        level = np.float32(solvent_level(volume.data, mask))
        curves[f"masked_{name}"] = curve((volume.data - level) * mask, masked)
    return curves


def _data_resolution(
    halves: Optional[HalfMaps], mask: Volume, frequency: Float64, curves: Mapping[str, Float64], threads: int
) -> float:
    """Return where the raw halves agree to 0.143, or else the map before the processing and the model to 0.5 (Å)."""
    grid = mask.grid
    if halves is not None:
        found = uncorrected_resolution(halves, mask, threads)
    else:
        found = crossing_past_shape(frequency, curves.get("masked_before", curves["masked_after"]), 0.5)
    return max(found or 0.0, grid.nyquist)


# --- words --------------------------------------------------------------------------------------------------------


def _criterion(
    maps: Mapping[str, Volume], test: Optional[HalfMapTest], parameters: EvaluateParameters, resolution: float
) -> str:
    sides = "the map before and after its processing" if "before" in maps else "the map"
    halves = "" if test is None else f"; half 1 processed against half 2 raw: {test.verdict}"
    return (
        f"{sides} against the density of the model at {resolution:.2f} Å; Q-scores with a Gaussian of "
        f"{parameters.sigma:g} Å{halves}"
    )


def _doubts(fit: float, frequency: Float64, curves: Mapping[str, Float64], test: Optional[HalfMapTest]) -> List[str]:
    found = []
    before, after = (
        crossing_past_shape(frequency, curves.get(f"masked_{side}", curves["masked_after"]), 0.143)
        for side in ("before", "after")
    )
    if before is not None and after is not None and after < BEYOND * before:
        found.append(
            f"the processed map agrees with the model up to {after:.2f} Å and the map before up to {before:.2f} Å: "
            "what only makes peaks as sharp as atoms looks like that too, and holds no new data; trust the half maps"
        )
    if fit < POOR_FIT:
        found.append(
            f"map and model hardly correlate (CC_mask {fit:.2f}): is the model fitted into this map, and the density "
            "positive?"
        )
    return found if test is None else found + doubts(test)


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: EvaluateParameters) -> List[str]:
    if parameters.resolution is not None and parameters.resolution < inputs.grid.nyquist:
        raise UsageError(
            "E_RANGE",
            f"{parameters.resolution:g} Å is finer than Nyquist, {inputs.grid.nyquist:.3g} Å",
            "give the resolution of the data with --resolution",
        )
    if parameters.box is not None and parameters.box > min(inputs.grid.shape):
        raise UsageError(
            "E_BOX",
            f"a box of {parameters.box} voxels does not fit into {min(inputs.grid.shape)}",
            "give a smaller --box",
        )
    if inputs.model is None and inputs.processed_half1 is None:
        raise UsageError(
            "E_MISSING_INPUT",
            "neither a model nor half maps can judge this map",
            "give --model, or --raw-half1, --raw-half2 and --processed-half1",
        )
    found = [] if inputs.model is None else _model_findings(inputs.model, inputs.grid)
    if inputs.model is not None and inputs.mask is not None:
        found.append("the mask plays no part: maps are compared where the model is")
    for role in ("before", "raw_half1", "raw_half2", "processed_half1"):
        volume = getattr(inputs, role)
        if volume is not None:
            check_density(f"the {in_words(role)}", volume)
            found += _origin_findings(role, volume, inputs.grid)
    _check_half_test(inputs)
    return found


def _model_findings(path: str, grid: Grid) -> List[str]:
    structure = read_model(path)
    found = doubts_about(structure)
    outside = share_outside(heavy_atoms(structure).positions, grid)
    if outside == 1.0:
        raise model_outside()
    if outside > 0:
        found.append(f"{outside:.1%} of the atoms lie outside the map: they have no Q-score and no density")
    return found


def _origin_findings(role: str, volume: Volume, grid: Grid) -> List[str]:
    if np.allclose(volume.grid.first_voxel, grid.first_voxel, atol=0.5 * min(grid.voxel_size)):
        return []
    return [
        f"the {in_words(role)} has another origin than the map: it is compared voxel by voxel, in the place of the map"
    ]


def _check_half_test(inputs: Inputs) -> None:
    halves = (inputs.raw_half1, inputs.raw_half2)
    if (halves[0] is None) != (halves[1] is None) or (inputs.processed_half1 is not None and halves[0] is None):
        raise UsageError(
            "E_HALF_TEST",
            "the half-map test needs both raw half maps, and what the processing makes of half 1 alone",
            "give --raw-half1, --raw-half2 and --processed-half1",
        )
    _raw_halves(inputs)
    assert isinstance(inputs.maps, Volume)
    if inputs.processed_half1 is not None and np.array_equal(inputs.processed_half1.data, inputs.maps.data):
        raise InputError(
            "E_SAME_HALF",
            "the processed half 1 is the processed map, which holds half 2 too: that it agrees with half 2 proves "
            "nothing",
            "process half 1 alone and give the result with --processed-half1",
        )


def _memory(inputs: Inputs, parameters: EvaluateParameters, threads: int) -> float:
    if inputs.model is None:
        # The mask and what it is made by, a levelled half, spectra of three maps; or the local resolution in a box.
        return 4.0 * inputs.grid.size * 12.0
    # In volumes: the density of the model, its mask and the mean of the halves; then the local resolution in a box
    # around the model, or a map's highest voxels beside what belongs to the atoms.
    kept = 2.5 + (inputs.before is None and inputs.raw_half1 is not None) + (inputs.processed_half1 is not None)
    volume = 4.0 * inputs.grid.size
    packed = 4.0 if str(inputs.model).endswith(".gz") else 1.0
    atoms = packed * os.path.getsize(inputs.model) / BYTES_PER_LINE
    return volume * kept + max(10.0 * volume, 5.0 * volume + BYTES_PER_ATOM * atoms + 100.0 * POINTS_AT_ONCE)


METHOD = Method(
    name="evaluate",
    title="Evaluation of a processed map",
    maps=(MAP,),
    parameters=EvaluateParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "evaluation.csv": "every measure before and after: the table",
        "residues.csv": "Q-score, correlation and local resolution of every residue",
        "atoms.csv": "Q-score of every atom that is not hydrogen",
        "qscores.cif": "the model with Q-scores in place of B-factors",
        "model_fsc.csv": "map-model FSC, plain and under the mask of the model",
        "half_fsc.csv": "FSC of raw and processed half 1 with raw half 2",
        "model.mrc": "density of the model at the resolution of the data",
        "model_mask.mrc": "the mask of the model",
        "resolution.mrc": "local resolution against the model in Å; also before, and of the half maps",
    },
    citations=("Pintilie2020", "Afonine2018", "Cardone2013", "SanchezGarcia2021"),
    optional=("model", "before", "raw_half1", "raw_half2", "processed_half1"),
    mask="used",
    needs_noise=False,
    check=_check,
)
