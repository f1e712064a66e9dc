"""What every post-processing method gives: the processed map, what it changed, and the care taken of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import numpy as np

from cryores.changes import Blob, changed_blobs, difference
from cryores.execution import Execution
from cryores.masks import BINARY_THRESHOLD, soft_edge
from cryores.method import Inputs, Result
from cryores.volume import FloatArray, Volume, full_map

JOIN = 3.0
"""Width of the seam between what is kept and what is processed, in voxels."""


@dataclass(frozen=True)
class ProcessedMap(Result):
    """A map that was made easier to read.

    Parameters
    ----------
    sharpened : Volume
        The processed map. Its sign is the input's: density is positive.
    before : Volume
        The map that it was made from: the input, or the mean of the half maps.
    mask : Volume
        Where the molecule is; multiplies the map in ``masked``.
    criterion : str
        What was done, and what the scale of the map is.
    went, came : list of Blob
        Density that the processing erased, and density that was not there before.
    details : dict
        Resolved choices and diagnostics that the report keeps.
    extra : dict of Volume
        Further maps of the method, keyed by file name without extension.
    """

    sharpened: Volume
    before: Volume
    mask: Volume
    criterion: str
    went: List[Blob] = field(default_factory=list)
    came: List[Blob] = field(default_factory=list)
    details: Dict[str, Any] = field(default_factory=dict)
    extra: Dict[str, Volume] = field(default_factory=dict)

    @property
    def masked(self) -> Volume:
        """The processed map times the mask."""
        return self.sharpened.like(self.sharpened.data * self.mask.data)

    @property
    def difference(self) -> Volume:
        """After minus before, in standard deviations inside the mask."""
        return difference(self.before, self.sharpened, self.mask.data > BINARY_THRESHOLD)

    def volumes(self) -> Dict[str, Volume]:
        """Return ``sharpened``, ``masked``, ``difference`` and the extra maps."""
        return {"sharpened": self.sharpened, "masked": self.masked, "difference": self.difference, **self.extra}

    def summary(self) -> Dict[str, Any]:
        """Return how much the map changed inside the mask, what went and came, and the details."""
        inside = self.mask.data > BINARY_THRESHOLD
        before, after = (v.data[inside].astype(np.float64) for v in (self.before, self.sharpened))
        spread = before.std() * after.std()
        return {
            "correlation_with_input": float(np.mean((before - before.mean()) * (after - after.mean())) / spread)
            if spread
            else 0.0,
            "mean": float(after.mean()),
            "standard_deviation": float(after.std()),
            "density_that_went": [blob.as_record() for blob in self.went],
            "density_that_came": [blob.as_record() for blob in self.came],
            **self.details,
        }


def finish(
    inputs: Inputs,
    sharpened: FloatArray,
    criterion: str,
    details: Dict[str, Any],
    execution: Execution,
    extra: Optional[Dict[str, Volume]] = None,
) -> Dict[str, Any]:
    """Return the fields of a `ProcessedMap`: keeps the region that is to be kept, and finds what went and came.

    Inside ``inputs.keep`` the density is the input's, times one number that brings it to the scale of the processed
    map; over the three voxels around it one passes into the other.
    """
    before = full_map(inputs.maps)
    mask = inputs.mask if inputs.mask is not None else before.like(np.ones(before.grid.shape))
    inside = mask.data > BINARY_THRESHOLD
    if inputs.keep is not None:
        sharpened = _kept(before, sharpened, inputs.keep, inside)
    after = before.like(sharpened)
    with execution.stage("finding what changed"):
        went, came = changed_blobs(before, after, inside, execution.threads)
    return {
        "sharpened": after,
        "before": before,
        "mask": mask,
        "criterion": criterion,
        "went": went,
        "came": came,
        "details": details,
        "extra": extra or {},
    }


def _kept(before: Volume, sharpened: FloatArray, keep: Volume, inside: Any) -> FloatArray:
    spread = float(before.data[inside].std(dtype=np.float64)) or 1.0
    scale = np.float32(sharpened[inside].std(dtype=np.float64) / spread)
    share = soft_edge(keep, JOIN * before.grid.spacing).data
    kept: FloatArray = share * scale * before.data + (1 - share) * sharpened
    return kept
