"""The result of an evaluation: one table, values by residue and by atom, curves, and the coloured model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.atoms import Atoms, with_b_factors
from cryores.curves import csv_text
from cryores.fourier import Float64
from cryores.method import Result
from cryores.postprocessing._half_map_test import HalfMapTest
from cryores.shell_correlation import crossing_past_shape
from cryores.tables import records_text
from cryores.volume import BoolArray, FloatArray, Volume

CUTOFFS = (0.5, 0.143)
SIDES = ("before", "after")

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
    "expected_q_score": "  usual at this resolution (Pintilie 2020)",
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


Row = Dict[str, Optional[float]]
"""``before`` and ``after`` -> the value, None where there is none."""


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
    frequency : ndarray of float64, shape (shells,)
        In 1/Å.
    curves : dict
        ``before``, ``after``, ``masked_before``, ``masked_after`` -> map-model FSC.
    cc : dict
        ``before``, ``after`` -> CC_box, CC_mask and CC_peaks.
    q : dict
        The same -> Q-score of every atom.
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
    frequency: Float64 = field(repr=False)
    curves: Dict[str, Float64] = field(repr=False)
    cc: Dict[str, Tuple[float, float, float]]
    q: Dict[str, Float64] = field(repr=False)
    residue_cc: Dict[str, Float64] = field(repr=False)
    residue_resolution: Dict[str, Float64] = field(repr=False)
    local: Dict[str, FloatArray] = field(repr=False)
    half_map_test: Optional[HalfMapTest]
    criterion: str
    details: Dict[str, Any]

    def measures(self) -> Dict[str, Row]:
        """Return the table: a key of `MEASURES` -> the values before and after, of what was measured."""
        columns = {side: self._column(side) if side in self.maps else {} for side in SIDES}
        rows = {name: {side: columns[side].get(name) for side in SIDES} for name in MEASURES}
        return {name: row for name, row in rows.items() if any(name in column for column in columns.values())}

    def _column(self, side: str) -> Dict[str, Optional[float]]:
        found: Dict[str, Optional[float]] = {}
        for cutoff in CUTOFFS:
            found[f"model_fsc_{cutoff:g}"] = self._crossing(side, cutoff)
            found[f"masked_model_fsc_{cutoff:g}"] = self._crossing(f"masked_{side}", cutoff)
        found.update(zip(("cc_box", "cc_mask", "cc_peaks"), self.cc[side]))
        found["residue_cc"] = median_of(self.residue_cc[side])
        found["q_score"] = _of_finite(np.mean, self.q[side])
        found["expected_q_score"] = self.details["expected_q_score"]
        found["local_resolution"] = median_of(self.local[side])
        found["local_resolution_p95"] = _of_finite(lambda values: np.percentile(values, 95), self.local[side])
        if self.half_map_test is not None:
            found.update(self.half_map_test.measures(side))
            found["half_local_resolution"] = median_of(self.local[f"half_{side}"])
        return found

    def _crossing(self, name: str, cutoff: float) -> Optional[float]:
        return crossing_past_shape(self.frequency, self.curves[name], cutoff)

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
            found[names[name]] = self.model.like(spread(values, self.inside))
        return found

    def tables(self) -> Dict[str, str]:
        """Return the table, its values by residue and by atom, the curves, and the model coloured by Q-score."""
        tables = {
            "evaluation.csv": records_text([{"measure": name, **row} for name, row in self.measures().items()]),
            "residues.csv": records_text(self._residue_rows()),
            "atoms.csv": records_text(self._atom_rows()),
            "model_fsc.csv": csv_text({"frequency": self.frequency, **self.curves}),
            "qscores.cif": with_b_factors(self.atoms, self.q["after"]),
        }
        test = self.half_map_test
        if test is not None:
            tables["half_fsc.csv"] = csv_text(test.curves())
        return tables

    def _residue_rows(self) -> List[Dict[str, Any]]:
        atoms, counts = self.atoms, np.bincount(self.atoms.residue, minlength=len(self.atoms.chains))
        columns = {
            "chain": atoms.chains,
            "number": atoms.numbers,
            "residue": atoms.residue_names,
            "atoms": counts.tolist(),
            **{_titled("q_score", name): self.residue_q(name).tolist() for name in self.maps},
            **{_titled("cc", name): self.residue_cc[name].tolist() for name in self.maps},
            **{_titled("local_resolution", name): self.residue_resolution[name].tolist() for name in self.maps},
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
            **{_titled("q_score", name): self.q[name].tolist() for name in self.maps},
        }
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

    def summary(self) -> Dict[str, Any]:
        """Return the table, the masked map-model FSC after the processing, the verdict of the halves, the details."""
        measures = self.measures()
        after = {f"{c:g}": measures[f"masked_model_fsc_{c:g}"]["after"] for c in CUTOFFS}
        verdict = {} if self.half_map_test is None else {"half_map_verdict": self.half_map_test.verdict}
        return {"measures": measures, "model_resolution": after, **verdict, **self.details}


def _titled(quantity: str, name: str) -> str:
    return quantity if name == "after" else f"{quantity}_{name}"


def spread(values: FloatArray, inside: BoolArray, outside: float = 0.0) -> FloatArray:
    """Return ``values`` at the voxels inside, and ``outside`` at all others."""
    whole = np.full(inside.shape, outside, dtype=np.float32)
    whole[inside] = values
    return whole


def median_of(values: Any) -> Optional[float]:
    """Return the median of the finite values, None where there are none."""
    return _of_finite(np.median, values)


def _of_finite(number: Any, values: Any) -> Optional[float]:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(number(known)) if known.size else None
