"""The maps that the verdict on sharpening judges: one map sharpened by several B-factors, and maps that are given.

The map of a B-factor is that of `cryores.postprocessing.postprocess`: the mean of the half maps, weighted by
sqrt(2 FSC / (1 + FSC)), times exp(-B s^2 / 4), low-passed at FSC 0.143. Without weight and low-pass, B would raise
noise that no one would show, and maps would differ by their noise rather than by their sharpening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.masks import SOFT_EDGE, soft_edge
from cryores.method import Inputs
from cryores.postprocessing._sharpening import EXPECTED_SHARE
from cryores.postprocessing.postprocess import METHOD as POSTPROCESS
from cryores.postprocessing.postprocess import PostprocessResult
from cryores.resolution._fsc_result import FSCResult
from cryores.volume import Volume

SHARES = (0.0, 0.2, EXPECTED_SHARE, 0.7, 1.0)
"""Default B-factors in units of that of the Guinier plot."""

LEAST_DECAY = -10.0
"""Å²: the B-factor of a Guinier plot that falls less is none to start from."""


@dataclass(frozen=True)
class Series:
    """The maps to judge: made of one map and a B-factor when asked for, or given."""

    weighted: Optional[Volume]
    bfactors: Dict[str, float]
    given: Mapping[str, Volume]
    threads: int
    fsc: Optional[FSCResult] = None
    guinier: Optional[float] = None
    doubts: Tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many maps."""
        return len(self.bfactors) + len(self.given)

    @property
    def expected(self) -> Optional[float]:
        """The B-factor that the decay of the half maps lets expect, in Å²."""
        return None if self.guinier is None else EXPECTED_SHARE * self.guinier

    def map(self, name: str) -> Volume:
        """Return one of the maps, made now."""
        if name in self.given:
            return self.given[name]
        assert self.weighted is not None
        grid = self.weighted.grid
        return self.weighted.like(filtered(self.weighted.data, bfactor(self.bfactors[name]), grid, self.threads))

    def maps(self) -> Iterator[Tuple[str, Volume]]:
        """Yield the name of each map and the map, one at a time in memory."""
        for name in (*self.bfactors, *self.given):
            yield name, self.map(name)


def series_to_judge(inputs: Inputs, wanted: Tuple[float, ...], execution: Execution) -> Series:
    """Return the given maps, and those of the B-factors ``wanted`` (Å²), chosen where there are neither.

    Raises
    ------
    InputError
        ``E_SHARPENED_HALVES`` if the decay of the half maps is to choose and there is none.
    UsageError
        If it cannot be fitted.
    """
    given = inputs.sharpened_maps or {}
    if given and not wanted:
        return Series(None, {}, given, execution.threads)
    weighted = _weighted(inputs, execution, needed=not wanted)
    guinier = None if weighted.fit is None else weighted.fit.bfactor
    base = weighted.sharpened
    if guinier is not None:
        base = base.like(filtered(base.data, bfactor(-guinier), base.grid, execution.threads))
    doubts = [line for line in weighted.details.get("warnings", []) if "B-factor" not in line]
    if guinier is not None and guinier > LEAST_DECAY:
        told = f"the amplitudes of the half maps do not decay (Guinier B = {guinier:.0f} Å²): they look sharpened"
        if not wanted:
            raise InputError(
                "E_SHARPENED_HALVES",
                told,
                "give the raw half maps of the refinement, or the B-factors to judge with --bfactors",
            )
        guinier = None
    if guinier is None:
        doubts.append("the decay of the half maps does not tell which B to expect: the best is chosen by DeepRes alone")
    chosen = wanted or tuple(float(round(share * (guinier or 0.0))) for share in SHARES)
    names = {bfactor_name(b): b for b in sorted(chosen, reverse=True)}
    return Series(base, names, given, execution.threads, weighted.fsc, guinier, tuple(doubts))


def bfactor_name(b: float) -> str:
    """Return what a map is called that was sharpened with ``b`` Å²."""
    return f"B = {b:g}"


def _weighted(inputs: Inputs, execution: Execution, needed: bool) -> PostprocessResult:
    """Return the FSC-weighted, low-passed mean of the halves, sharpened by its Guinier plot.

    Where that cannot be fitted and is not needed, not sharpened.
    """
    assert inputs.mask is not None
    soft = soft_edge(inputs.mask, SOFT_EDGE * inputs.grid.spacing)

    def made(**more: Any) -> PostprocessResult:
        chosen = POSTPROCESS.make_parameters({"low_pass": "fsc", **more})
        result: PostprocessResult = POSTPROCESS.compute(Inputs(inputs.maps, mask=soft), chosen, execution)
        return result

    try:
        return made()
    except UsageError as error:
        if needed:
            raise UsageError(error.code, error.message, "give the B-factors to judge with --bfactors") from error
        return made(bfactor=0.0)
