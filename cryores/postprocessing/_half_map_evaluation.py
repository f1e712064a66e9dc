"""A processing judged by half maps alone: no model, no other map.

Half 1, as it was reconstructed and as the processing makes it, is compared with half 2 as it was reconstructed: by
shells under a mask, and in a moving box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from cryores.curves import csv_text
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD, SOFT_EDGE, automatic_mask, softened
from cryores.method import Result
from cryores.postprocessing._evaluation import MEASURES, SIDES, Row, median_of, spread
from cryores.postprocessing._half_map_test import HalfMapTest, half_map_test, levelled
from cryores.postprocessing._local_agreement import local_resolution
from cryores.resolution.blocres import automatic_box
from cryores.shell_correlation import uncorrected_resolution
from cryores.tables import records_text
from cryores.volume import BoolArray, FloatArray, HalfMaps, Volume


@dataclass(frozen=True)
class HalfMapEvaluation(Result):
    """What a processing adds to half 1, by half 2.

    Parameters
    ----------
    half_map_test : HalfMapTest
        Curves and verdict.
    mask : Volume
        The soft mask of the test.
    inside : ndarray of bool
        Where the given mask is above 0.5.
    local : dict
        ``before``, ``after`` -> local resolution (Å) of the voxels inside: of raw and processed half 1 with half 2.
    criterion : str
    details : dict
        Resolved choices and warnings.
    """

    half_map_test: HalfMapTest
    mask: Volume = field(repr=False)
    inside: BoolArray = field(repr=False)
    local: Dict[str, FloatArray] = field(repr=False)
    criterion: str
    details: Dict[str, Any]

    def measures(self) -> Dict[str, Row]:
        """Return the table: a key of `MEASURES` -> the values before and after."""
        columns = {}
        for side in SIDES:
            local = median_of(self.local[side])
            columns[side] = {**self.half_map_test.measures(side), "half_local_resolution": local}
        return {name: {s: columns[s][name] for s in SIDES} for name in MEASURES if name in columns["after"]}

    def volumes(self) -> Dict[str, Volume]:
        """Return the local resolutions and the mask."""
        maps = {"half_resolution": "after", "half_resolution_before": "before"}
        found = {name: self.mask.like(spread(self.local[side], self.inside)) for name, side in maps.items()}
        return {**found, "mask": self.mask}

    def tables(self) -> Dict[str, str]:
        """Return the table and the curves."""
        return {
            "evaluation.csv": records_text([{"measure": name, **row} for name, row in self.measures().items()]),
            "half_fsc.csv": csv_text(self.half_map_test.curves()),
        }

    def summary(self) -> Dict[str, Any]:
        """Return the table, the verdict and the details."""
        return {"measures": self.measures(), "half_map_verdict": self.half_map_test.verdict, **self.details}


def judged_by_halves(
    raw: HalfMaps,
    processed: Volume,
    mask: Optional[Volume],
    resolution: Optional[float],
    box: Optional[int],
    execution: Execution,
) -> HalfMapEvaluation:
    """Compare raw and processed half 1 with raw half 2 inside ``mask``, or one that is made.

    Raises
    ------
    InputError
        ``E_NO_PARTICLE`` if no mask can be made · ``E_NO_RESOLUTION`` if the halves have nothing in common.
    """
    threads, grid = execution.threads, raw.grid
    with execution.stage("half maps"):
        mask = automatic_mask(raw, threads) if mask is None else mask
        inside = mask.data > BINARY_THRESHOLD
        mask = softened(mask, SOFT_EDGE * grid.spacing)
        resolution = resolution or uncorrected_resolution(raw, mask, threads)
        if resolution is None:
            raise InputError(
                "E_NO_RESOLUTION", "the raw half maps have nothing in common", "give two half maps of one refinement"
            )
        resolution = max(resolution, grid.nyquist)
        processed = levelled(processed, raw.half1, threads)
        test = half_map_test(raw, processed, mask.data, threads)
    box = box or automatic_box(resolution, grid)
    with execution.stage("local resolution", 2) as stage:
        local = {}
        for side, half in (("before", raw.half1), ("after", processed)):
            local[side] = local_resolution(half.data, raw.half2.data, inside, grid, box, execution)
            stage.advance()
    criterion = f"half 1 before and after its processing against half 2 as it is: {test.verdict}"
    details = {"resolution": resolution, "box": box, "warnings": doubts(test)}
    return HalfMapEvaluation(test, mask, inside, local, criterion, details)


def doubts(test: HalfMapTest) -> List[str]:
    """Say in words what the half maps make doubtful."""
    found = []
    if test.verdict == "unknown":
        found.append("the raw half maps have nothing in common: they cannot test a processing")
    if test.verdict == "loss":
        found.append(
            "the processed half 1 agrees less with half 2 than the raw one: what was added or changed is not in the "
            "data, or regions were scaled; compare the local resolutions of the halves"
        )
    if test.has_seen_half2:
        found.append(
            "the processed half 1 agrees better with half 2 than the true signal could: it has seen half 2; process "
            "half 1 alone"
        )
    return found
