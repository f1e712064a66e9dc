"""What every result of a method can do, and the local maps that most of them are."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from reprlib import Repr
from typing import Any, Dict, Optional

import numpy as np

from cryores.volume import Volume


class _Brief(Repr):
    """A repr that ends after some 80 characters, and of arrays tells the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxstring, self.maxother = 2, 4, 80, 80

    def repr_ndarray(self, array: Any, level: int) -> str:
        return f"array of shape {array.shape}"


_IN_BRIEF = _Brief()


class Result:
    """What every result of a method can do; the report is written from it."""

    criterion: str
    """One sentence: what a value means, with threshold and window."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A dataclass makes a repr of all its numbers where it finds none of the class itself.
        cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Return the class, what a value means, and a line for each attribute."""
        held = (f.name for f in fields(self) if f.name != "criterion")  # type: ignore[arg-type]
        lines = [f"  .{name} = {_IN_BRIEF.repr(getattr(self, name))}" for name in held]
        return "\n".join([f"{type(self).__name__}: {self.criterion}", *lines])

    def volumes(self) -> Dict[str, Volume]:
        """Return the maps to write, keyed by file name without extension; NaN becomes 0 on disk."""
        return {}

    def tables(self) -> Dict[str, str]:
        """Return the text files to write, keyed by file name."""
        return {}

    def summary(self) -> Dict[str, Any]:
        """Return the numbers that describe the result in a few lines, for the report."""
        raise NotImplementedError

    def measured_resolution(self) -> Optional[Dict[str, Optional[float]]]:
        """Return criterion -> global resolution (Å) of the half maps under the mask; None if it was not measured."""
        return None


class LocalMap(Result):
    """What a result can do that has one number for every voxel of a mask."""

    quantity = "Local resolution"
    """What the number is, in words."""

    unit = "Å"
    """Its unit; empty for a pure number."""

    mask: Volume
    details: Dict[str, Any]

    @property
    def local(self) -> Volume:
        """The map of the number; NaN outside the mask and where nothing can be said."""
        raise NotImplementedError

    def values(self) -> Any:
        """Return the determined values inside the mask as a 1D float32 array."""
        return self.local.data[(self.mask.data > 0.5) & np.isfinite(self.local.data)]

    def summary(self) -> Dict[str, Any]:
        """Return n, quantiles and extremes inside the mask, their unit, the undetermined share, and the details."""
        asked = int(np.count_nonzero(self.mask.data > 0.5))
        return {**statistics(self.values(), asked), "unit": self.unit, **self.details}


@dataclass(frozen=True)
class LocalResolution(LocalMap):
    """A local-resolution map.

    Parameters
    ----------
    resolution : Volume
        Local resolution in Å; NaN outside the mask and where nothing can be said.
    mask : Volume
        1 where the resolution was asked for, 0 elsewhere.
    criterion : str
        What a value means, with threshold and window.
    details : dict
        Resolved choices and diagnostics that the report keeps (frequencies, box, ...).
    extra : dict of Volume
        Further maps of the method, keyed by file name without extension.
    """

    resolution: Volume
    mask: Volume
    criterion: str
    details: Dict[str, Any] = field(default_factory=dict)
    extra: Dict[str, Volume] = field(default_factory=dict)

    def volumes(self) -> Dict[str, Volume]:
        """Return ``resolution`` and the extra maps."""
        return {"resolution": self.resolution, **self.extra}

    @property
    def local(self) -> Volume:
        """The resolution in Å."""
        return self.resolution


def statistics(values: Any, asked: int) -> Dict[str, Any]:
    """Return n, the share of ``asked`` voxels without a value, and extremes and quantiles where there are values."""
    numbers: Dict[str, Any] = {
        "n": int(values.size),
        "undetermined_fraction": 1.0 - values.size / asked if asked else 1.0,
    }
    if values.size:
        names = ("min", "p5", "p25", "median", "p75", "p95", "max")
        # Not in float64: the values of a tomogram are gigabytes, and these are copied once more.
        percentiles = np.percentile(values, (0, 5, 25, 50, 75, 95, 100))
        numbers.update(zip(names, map(float, percentiles)))
    return numbers
