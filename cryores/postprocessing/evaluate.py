"""A processed map judged by an atomic model and by the half map it has not seen: FSC, CC, Q-score, local resolution.

Everything is measured alike before and after the processing: map-model FSC, correlation in real space, Q-scores, local
resolution against the model. Half maps add the test that needs no model: does half 1, processed, agree better with
half 2 than it did raw, or was something invented?
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from cryores.atoms import Atoms, density_from_model, heavy_atoms, read_model, with_b_factors
from cryores.curves import csv_text
from cryores.diagnosis import check_density
from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import Float64, filtered, rfft, shell_frequencies, shell_sums, shell_width
from cryores.masks import bounding_box, soft_edge
from cryores.method import MAP, SOFT_EDGE, Inputs, Method, Result, parameter
from cryores.postprocessing._half_map_test import HalfMapTest, half_map_test
from cryores.postprocessing._qscore import q_scores
from cryores.postprocessing._real_space import ResidueVoxels, around_atoms, correlations
from cryores.resolution.blocres import METHOD as BLOCRES
from cryores.resolution.blocres import automatic_box
from cryores.resolution.fsc import solvent_level
from cryores.shell_correlation import crossing_resolution, fsc_curve, global_resolution
from cryores.tables import records_text
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume

CUTOFFS = (0.5, 0.143)

POOR_FIT = 0.2
"""CC_mask below which the model does not seem to belong to the map."""

TOO_GOOD = 1.02
"""Mean correlation with the signal above which the processed half must have seen half 2."""

BYTES_PER_ATOM = 4000.0
"""Neighbours, voxels and names of an atom; a line of a model file has at least 80 bytes."""

MEASURES = {
    "model_fsc_0.5": "Map-model FSC at 0.5 (Å)",
    "model_fsc_0.143": "Map-model FSC at 0.143 (Å)",
    "masked_model_fsc_0.5": "  under the mask of the model, at 0.5 (Å)",
    "masked_model_fsc_0.143": "  under the mask of the model, at 0.143 (Å)",
    "cc_box": "CC_box",
    "cc_mask": "CC_mask",
    "cc_peaks": "CC_peaks",
    "residue_cc": "CC of a residue, median",
    "q_score": "Q-score, mean of the atoms",
    "local_resolution": "Local resolution against the model, median (Å)",
    "local_resolution_p95": "  95 % of the voxels are finer than (Å)",
    "half_fsc_0.5": "FSC of half 1 with raw half 2 at 0.5 (Å)",
    "half_fsc_0.143": "  at 0.143 (Å)",
    "half_local_resolution": "  local, median (Å)",
    "half_signal": "Correlation of half 1 with the true signal",
    "half_new_share": "Share of half 1 that is new",
    "half_new_signal": "  its correlation with the true signal",
}
"""Name in the report -> what it is, in the order of the table."""


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


@dataclass(frozen=True)
class Evaluation(Result):
    """How good a map is by a model and by half maps, before (where given) and after the processing.

    Parameters
    ----------
    maps : dict of Volume
        ``before`` and ``after``, or only ``after``.
    model : Volume
        Density of the model at the resolution of the data.
    inside : ndarray of bool
        The mask of the model.
    atoms : Atoms
        The model without hydrogens, one conformer.
    measures : dict
        Name (a key of `MEASURES`) -> {``before``: value, ``after``: value}; None where there is none.
    frequency : ndarray of float64, shape (shells,)
        In 1/Å.
    curves : dict
        ``before``, ``after``, ``masked_before``, ``masked_after`` -> map-model FSC.
    q : dict
        ``before``, ``after`` -> Q-score of every atom.
    residue_cc, residue_resolution : dict
        The same -> real-space correlation, and mean local resolution against the model (Å), of every residue.
    local : dict
        ``before``, ``after``, ``half_before``, ``half_after`` -> local resolution (Å) of the voxels inside.
    half_map_test : HalfMapTest or None
    criterion : str
    details : dict
        Resolved choices and warnings.
    """

    maps: Dict[str, Volume]
    model: Volume
    inside: BoolArray = field(repr=False)
    atoms: Atoms = field(repr=False)
    measures: Dict[str, Dict[str, Optional[float]]]
    frequency: Float64
    curves: Dict[str, Float64]
    q: Dict[str, Float64]
    residue_cc: Dict[str, Float64]
    residue_resolution: Dict[str, Float64]
    local: Dict[str, FloatArray]
    half_map_test: Optional[HalfMapTest]
    criterion: str
    details: Dict[str, Any]

    def residue_q(self, name: str) -> Float64:
        """Return the mean Q-score of the atoms of every residue, NaN where no atom has one."""
        known = np.isfinite(self.q[name])
        count = len(self.atoms.chains)
        total = np.bincount(self.atoms.residue[known], self.q[name][known], count)
        atoms = np.bincount(self.atoms.residue[known], minlength=count)
        return np.where(atoms > 0, total / np.maximum(atoms, 1), np.nan)

    def volumes(self) -> Dict[str, Volume]:
        """Return the density of the model, its mask, and the local resolutions."""
        found = {"model": self.model, "model_mask": self.model.like(self.inside)}
        names = {"after": "resolution", "before": "resolution_before"}
        names.update(half_after="half_resolution", half_before="half_resolution_before")
        for name, values in self.local.items():
            found[names[name]] = self.model.like(_spread(values, self.inside))
        return found

    def tables(self) -> Dict[str, str]:
        """Return the table, its values by residue and by atom, the curves, and the model coloured by Q-score."""
        tables = {
            "evaluation.csv": records_text([{"measure": name, **row} for name, row in self.measures.items()]),
            "residues.csv": records_text(self._residue_rows()),
            "atoms.csv": records_text(self._atom_rows()),
            "model_fsc.csv": csv_text({"frequency": self.frequency, **self.curves}),
            "qscores.cif": with_b_factors(self.atoms, self.q["after"]),
        }
        test = self.half_map_test
        if test is not None:
            curves = {"raw": test.raw, "processed": test.processed, "kept": test.kept}
            tables["half_fsc.csv"] = csv_text({"frequency": test.frequency, **curves})
        return tables

    def _residue_rows(self) -> List[Dict[str, Any]]:
        atoms, counts = self.atoms, np.bincount(self.atoms.residue, minlength=len(self.atoms.chains))
        columns = {
            "chain": atoms.chains,
            "number": atoms.numbers,
            "residue": atoms.residue_names,
            "atoms": counts.tolist(),
            **{_column("q_score", name): self.residue_q(name).tolist() for name in self.maps},
            **{_column("cc", name): self.residue_cc[name].tolist() for name in self.maps},
            **{_column("local_resolution", name): self.residue_resolution[name].tolist() for name in self.maps},
        }
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

    def _atom_rows(self) -> List[Dict[str, Any]]:
        atoms = self.atoms
        columns = {
            "chain": [atoms.chains[r] for r in atoms.residue],
            "number": [atoms.numbers[r] for r in atoms.residue],
            "residue": [atoms.residue_names[r] for r in atoms.residue],
            "atom": atoms.names,
            "element": atoms.elements,
            "b_factor": atoms.b_factors.tolist(),
            **{_column("q_score", name): self.q[name].tolist() for name in self.maps},
        }
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

    def summary(self) -> Dict[str, Any]:
        """Return the table, the masked map-model FSC after the processing, the verdict of the halves, the details."""
        after = {f"{c:g}": self.measures[f"masked_model_fsc_{c:g}"]["after"] for c in CUTOFFS}
        verdict = {} if self.half_map_test is None else {"half_map_verdict": self.half_map_test.verdict}
        return {"measures": self.measures, "model_resolution": after, **verdict, **self.details}


def _column(quantity: str, name: str) -> str:
    return quantity if name == "after" else f"{quantity}_{name}"


def evaluate(
    map: Volume,  # the name of the option and of the form
    model: str,
    before: Optional[Volume] = None,
    raw_halves: Optional[HalfMaps] = None,
    processed_half1: Optional[Volume] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> Evaluation:
    """Judge a processed map by an atomic model, and the processing by half maps.

    Parameters
    ----------
    map : Volume
        The processed map.
    model : str
        Path of an atomic model in the frame of ``map``.
    before : Volume, optional
        The map that it was made from; default the mean of ``raw_halves``.
    raw_halves : HalfMaps, optional
        The half maps that it was made from.
    processed_half1 : Volume, optional
        What the same processing makes of the first of them alone.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `EvaluateParameters`.

    Returns
    -------
    Evaluation
        ``measures`` before and after; Q-score by atom, correlation and local resolution by residue; curves.

    Raises
    ------
    UsageError
        ``E_HALF_TEST`` if the half-map test lacks a map.
    InputError
        ``E_MODEL`` no model, or hydrogens only · ``E_MODEL_OUTSIDE`` no atom in the box · ``E_SAME_HALF`` the processed
        half is the processed map · ``E_OTHER_GRID`` · ``E_CONSTANT`` · ``E_NOT_FINITE``.

    Notes
    -----
    Map-model FSC with and without the model's mask (soft); CC_box, CC_mask and CC_peaks (Afonine et al. 2018) against
    the density of the model at the resolution of the data; Q-scores (Pintilie et al. 2020); local FSC 0.5 of map and
    model in a moving box. The half-map test is described in `cryores.postprocessing._half_map_test`.
    """
    halves = {} if raw_halves is None else {"raw_half1": raw_halves.half1, "raw_half2": raw_halves.half2}
    inputs = Inputs(map, model=model, before=before, processed_half1=processed_half1, **halves)
    result: Evaluation = METHOD.result(inputs, execution, parameters)
    return result


# --- computation --------------------------------------------------------------------------------------------------


def _compute(inputs: Inputs, parameters: EvaluateParameters, execution: Execution) -> Evaluation:
    assert inputs.model is not None
    grid, threads = inputs.grid, execution.threads
    maps, halves = _maps(inputs), _raw_halves(inputs)
    with execution.stage("density of the model"):
        structure = read_model(inputs.model)
        atoms = heavy_atoms(structure)
        model = _of_unit_spread(density_from_model(structure, grid))
        inside = around_atoms(atoms.positions, grid, parameters.mask_radius)
        mask = soft_edge(model.like(inside), SOFT_EDGE * grid.spacing)
    rows: Dict[str, Dict[str, Optional[float]]] = {name: {} for name in MEASURES}
    with execution.stage("FSC of map and model"):
        curves = _model_curves(maps, model, mask.data, threads)
        for name, curve in curves.items():
            prefix, side = ("masked_", name[7:]) if name.startswith("masked_") else ("", name)
            for cutoff in CUTOFFS:
                found = crossing_resolution(shell_frequencies(grid), curve, cutoff)
                rows[f"{prefix}model_fsc_{cutoff:g}"][side] = found
    resolution = _resolution(parameters, halves, mask, rows, grid, threads)
    with execution.stage("Q-scores", len(maps)) as stage:
        q = {}
        for name, volume in maps.items():
            q[name] = q_scores(volume, atoms.positions, parameters.sigma)
            stage.advance()
    box = parameters.box or automatic_box(resolution, grid)
    local, test = {}, None
    with execution.stage("local resolution"):
        for name, volume in maps.items():
            local[name] = _local_resolution(volume.data, model.data, inside, grid, box, execution)
    if halves is not None and inputs.processed_half1 is not None:
        with execution.stage("half maps"):
            test = half_map_test(halves, inputs.processed_half1, mask.data, threads)
            for name, one in (("half_before", halves.half1), ("half_after", inputs.processed_half1)):
                local[name] = _local_resolution(one.data, halves.half2.data, inside, grid, box, execution)
    del mask
    with execution.stage("correlation in real space"):
        limit = low_pass(resolution, 2 * shell_width(grid))
        model = model.like(filtered(model.data, limit, grid, threads))
        voxels = ResidueVoxels(atoms, grid)
        residue_cc = {name: voxels.correlation(volume, model) for name, volume in maps.items()}
        residue_resolution = {name: voxels.mean(model.like(_spread(local[name], inside, np.nan))) for name in maps}
        for name, volume in maps.items():
            for measure, value in zip(("cc_box", "cc_mask", "cc_peaks"), correlations(volume.data, model.data, inside)):
                rows[measure][name] = value
    for name in maps:
        rows["residue_cc"][name] = _of_finite(np.median, residue_cc[name])
        rows["q_score"][name] = _of_finite(np.mean, q[name])
    for side in ("before", "after"):
        for prefix in ("", "half_"):
            if prefix + side in local:
                rows[f"{prefix}local_resolution"][side] = _of_finite(np.median, local[prefix + side])
        if side in local:
            rows["local_resolution_p95"][side] = _of_finite(lambda v: np.percentile(v, 95), local[side])
    if test is not None:
        rows.update(test.measures())
    measures = {name: {side: rows[name].get(side) for side in ("before", "after")} for name in MEASURES if rows[name]}
    details = {
        "resolution": resolution,
        "box": box,
        "atoms": len(atoms.names),
        "atoms_without_q_score": int(np.count_nonzero(~np.isfinite(q["after"]))),
        "residues": len(atoms.chains),
        "warnings": _doubts(measures, test),
    }
    return Evaluation(
        maps, model, inside, atoms, measures, shell_frequencies(grid), curves, q, residue_cc, residue_resolution,
        local, test, _criterion(maps, test, parameters, resolution), details,
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


def _resolution(
    parameters: EvaluateParameters,
    halves: Optional[HalfMaps],
    mask: Volume,
    rows: Mapping[str, Mapping[str, Optional[float]]],
    grid: Grid,
    threads: int,
) -> float:
    if parameters.resolution is not None:
        return parameters.resolution
    if halves is not None:
        found = global_resolution(halves, mask, threads)
    else:
        found = next(iter(rows["masked_model_fsc_0.5"].values()))
    return max(found or 0.0, grid.nyquist)


def _local_resolution(
    one: FloatArray, two: FloatArray, inside: BoolArray, grid: Grid, box: int, execution: Execution
) -> FloatArray:
    """Return where the FSC of two maps in a moving box falls to 0.5 (Å), at the voxels inside."""
    mask = Volume(inside.astype(np.float32), grid)
    block = bounding_box(mask, box // 2)
    part = Grid.regular(one[block].shape, grid.voxel_size)
    pair = HalfMaps(Volume(one[block], part), Volume(two[block], part))
    parameters = BLOCRES.make_parameters({"box": min(box, min(part.shape) // 2 * 2)})
    silent = Execution(execution.threads, execution.memory)
    found = BLOCRES.compute(Inputs(pair, mask=Volume(mask.data[block], part)), parameters, silent)
    values: FloatArray = found.resolution.data[inside[block]]
    return values


def _spread(values: FloatArray, inside: BoolArray, outside: float = 0.0) -> FloatArray:
    whole = np.full(inside.shape, outside, dtype=np.float32)
    whole[inside] = values
    return whole


def _of_finite(number: Any, values: Any) -> Optional[float]:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(number(known)) if known.size else None


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


def _doubts(measures: Mapping[str, Mapping[str, Optional[float]]], test: Optional[HalfMapTest]) -> List[str]:
    found = []
    fit = measures["cc_mask"]["after"]
    if fit is not None and fit < POOR_FIT:
        found.append(
            f"map and model hardly correlate (CC_mask {fit:.2f}): is the model fitted into this map, and the density "
            "positive?"
        )
    if test is None:
        return found
    if test.verdict == "unknown":
        found.append("the raw half maps have nothing in common: they cannot test a processing")
    if test.verdict == "loss":
        found.append(
            "the processed half 1 agrees less with half 2 than the raw one: what was added or changed is not in the "
            "data, or regions were scaled; compare the local resolutions of the halves"
        )
    if test.signal_after.size and float(np.mean(test.signal_after)) > TOO_GOOD:
        found.append(
            "the processed half 1 agrees better with half 2 than the true signal could: it has seen half 2; process "
            "half 1 alone"
        )
    return found


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: EvaluateParameters) -> List[str]:
    assert inputs.model is not None
    structure = read_model(inputs.model)
    found = [] if len(structure) == 1 else [f"the file holds {len(structure)} models: the first is used"]
    outside = _share_outside(heavy_atoms(structure).positions, inputs.grid)
    if outside == 1.0:
        raise InputError(
            "E_MODEL_OUTSIDE",
            "no atom of the model lies inside the map",
            "fit the model into this map, or check the origin in the map's header",
        )
    if outside > 0:
        found.append(f"{outside:.1%} of the atoms lie outside the map: they have no Q-score and no density")
    for role in ("before", "raw_half1", "raw_half2", "processed_half1"):
        volume = getattr(inputs, role)
        if volume is not None:
            check_density(f"the {role}", volume)
            found += _origin_findings(role, volume, inputs.grid)
    _check_half_test(inputs)
    return found


def _share_outside(positions: Float64, grid: Grid) -> float:
    index = (positions - grid.first_voxel) / grid.voxel_size
    return float(np.mean(((index < 0) | (index > np.array(grid.shape) - 1)).any(axis=1)))


def _origin_findings(role: str, volume: Volume, grid: Grid) -> List[str]:
    if np.allclose(volume.grid.first_voxel, grid.first_voxel, atol=0.5 * min(grid.voxel_size)):
        return []
    return [f"the {role} has another origin than the map: it is compared voxel by voxel, in the place of the map"]


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
    assert inputs.model is not None
    # In volumes: the density of the model and its mask, the mean of the halves; then, one after the other, three
    # spectra and a product, or the local resolution in a box around the model.
    mean = inputs.before is None and inputs.raw_half1 is not None
    local = 10.0
    packed = 4.0 if str(inputs.model).endswith(".gz") else 1.0
    atoms = packed * os.path.getsize(inputs.model) / 80.0
    return 4.0 * inputs.grid.size * (2.5 + mean + local) + BYTES_PER_ATOM * atoms


METHOD = Method(
    name="evaluate",
    title="Evaluation of a processed map",
    summary="A processed map judged by an atomic model and by the half map it has not seen, before and after",
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
    required=("model",),
    optional=("before", "raw_half1", "raw_half2", "processed_half1"),
    mask="none",
    needs_noise=False,
    check=_check,
)
