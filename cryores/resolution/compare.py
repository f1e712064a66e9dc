"""Local-resolution maps of several methods side by side: histograms, medians, differences, agreement of regions."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np
from scipy import ndimage

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.fourier import Float64
from cryores.localres_maps import AUTO, ResolutionMap, recognise
from cryores.masks import BINARY_THRESHOLD, bounding_box
from cryores.method import MAP, Inputs, Method, Result, parameter, statistics
from cryores.tables import records_text
from cryores.volume import BoolArray, FloatArray, Grid, Volume, require_volume

WINDOW_RULE = 5.0
"""Default window in units of the median resolution: the least that a local FSC needs (Vilas et al. 2020)."""

LITTLE_COVER = 0.5
POOR_AGREEMENT = 0.5


@dataclass(frozen=True)
class CompareParameters:
    """Parameters of a comparison."""

    window: Optional[float] = parameter(
        None,
        "Edge of the cube over which maps are averaged before regions are compared; chosen: 5 times the median",
        unit="Å",
        minimum=0.1,
    )


@dataclass(frozen=True)
class Pair:
    """How two maps agree, over the voxels inside the mask where both have a value. Differences are second - first.

    Parameters
    ----------
    first, second : str
        Names of the maps.
    n : int
        Voxels that both give a value.
    common_fraction : float
        Their share of the mask.
    shift : float
        Median of the difference (Å): what one method reads higher everywhere.
    p5, p95 : float
        Percentiles of the difference (Å).
    absolute : float
        Median of the absolute difference (Å).
    scatter : float
        Median absolute deviation of the difference from the shift (Å).
    rank : float
        Spearman's rank correlation voxel by voxel.
    window_scatter, window_rank : float
        The same of the means over the window.
    """

    first: str
    second: str
    n: int
    common_fraction: float
    shift: float
    p5: float
    p95: float
    absolute: float
    scatter: float
    rank: float
    window_scatter: float
    window_rank: float


@dataclass(frozen=True)
class Comparison(Result):
    """Several local-resolution maps of one map, and how they agree.

    Parameters
    ----------
    resolutions : dict of Volume
        Name -> local resolution in Å; NaN outside the mask and where the map has no value.
    mask : Volume
        Above 0.5 where the maps are compared.
    maps : dict
        Name -> its row of ``comparison.csv``.
    pairs : list of Pair
        Every two maps.
    window : float
        Edge in Å of the cube of the means.
    """

    resolutions: Dict[str, Volume]
    mask: Volume
    maps: Dict[str, Dict[str, Any]]
    pairs: List[Pair]
    window: float
    common_fraction: float
    warnings: List[str]

    @property
    def criterion(self) -> str:  # type: ignore[override]
        """One sentence: what is compared."""
        return (
            f"{len(self.maps)} local-resolution maps, voxel by voxel and over cubes of {self.window:.1f} Å; "
            "each method defines resolution in its own way, so that regions can be compared and single voxels cannot"
        )

    def volumes(self) -> Dict[str, Volume]:
        """Return each map, its difference from the first, and the spread of all."""
        found = {f"resolution_{file_stem(name)}": volume for name, volume in self.resolutions.items()}
        first, *others = self.resolutions.items()
        for name, volume in others:
            found[f"difference_{file_stem(name)}"] = volume.like(volume.data - first[1].data)
        return {**found, "spread": self.spread()}

    def spread(self) -> Volume:
        """Return the largest minus the smallest value of the maps (Å), where all of them have one."""
        arrays = [volume.data for volume in self.resolutions.values()]
        largest, smallest = arrays[0].copy(), arrays[0].copy()
        for data in arrays[1:]:
            np.maximum(largest, data, out=largest)
            np.minimum(smallest, data, out=smallest)
        return self.mask.like(largest - smallest)

    def values(self, name: str) -> FloatArray:
        """Return the values of a map inside the mask as a 1D array (Å)."""
        data = self.resolutions[name].data
        found: FloatArray = data[np.isfinite(data)]
        return found

    def tables(self) -> Dict[str, str]:
        """Return ``comparison.csv``, a row a map, and ``pairs.csv``, a row a pair."""
        maps = [{"name": name, **row} for name, row in self.maps.items()]
        return {"comparison.csv": records_text(maps), "pairs.csv": records_text([asdict(pair) for pair in self.pairs])}

    def summary(self) -> Dict[str, Any]:
        """Return the rows of both tables, the window and the share of the mask where every map has a value."""
        return {
            "maps": self.maps,
            "pairs": [asdict(pair) for pair in self.pairs],
            "window": self.window,
            "common_fraction": self.common_fraction,
            "warnings": self.warnings,
        }


def compare(
    map: Volume,  # the name of the option and of the form
    maps: Mapping[str, Union[Volume, ResolutionMap]],
    mask: Optional[Volume] = None,
    background: str = AUTO,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> Comparison:
    """Compare local-resolution maps.

    Parameters
    ----------
    map : Volume
        The density that they belong to.
    maps : mapping
        Name -> local resolution in Å, of any program, on the grid of ``map``, or what `read_resolution_map` made of
        it; the first is what the differences are taken from.
    mask : Volume, optional
        Above 0.5 where they are compared; made when not given.
    background : str
        What stands for "no value" in a Volume, as in `cryores.localres_maps.recognise`.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `CompareParameters`.

    Returns
    -------
    Comparison
        Statistics of every map and every pair.

    Raises
    ------
    UsageError
        ``E_MAPS`` no mapping, fewer than two maps, or names that give the same file · ``E_NO_VOLUME``.
    InputError
        ``E_RESOLUTION_EMPTY`` a map without a value inside the mask; what `cryores.localres_maps.recognise` raises.

    Notes
    -----
    A method measures over a window, and each defines resolution in its own way: a constant shift between two maps, and
    differences of single voxels, mean little. What counts is whether they rank the regions alike: Spearman's
    correlation of the means over cubes of the window, each over the voxels that both maps give a value. Source:
    Vilas et al. 2020.
    """
    if not isinstance(maps, Mapping):
        raise UsageError("E_MAPS", f"maps want names, and a {type(maps).__name__} has none", 'give {"name": map, ...}')
    recognised = {name: _recognised(given, name, background) for name, given in maps.items()}
    result: Comparison = METHOD.result(Inputs(map, mask=mask, resolution_maps=recognised), execution, parameters)
    return result


def _recognised(given: Union[Volume, ResolutionMap], name: str, background: str) -> ResolutionMap:
    if isinstance(given, ResolutionMap):
        return given
    require_volume(name, given)
    return recognise(given, name, background)


def file_stem(name: str) -> str:
    """Return the name of a map as a part of a file name."""
    return re.sub(r"[^\w.+-]+", "_", name)


# --- arithmetic ---------------------------------------------------------------------------------------------------


def _compute(inputs: Inputs, parameters: CompareParameters, execution: Execution) -> Comparison:
    assert inputs.mask is not None and inputs.resolution_maps is not None
    inside = inputs.mask.data > BINARY_THRESHOLD
    _require_values(inputs, inside)
    grid = inputs.grid
    given = {name: found.resolution.data for name, found in inputs.resolution_maps.items()}
    common = inside.copy()
    for data in given.values():
        common &= np.isfinite(data)
    maps = {}
    for name, data in given.items():
        own, shared = data[inside & np.isfinite(data)], data[common]
        maps[name] = {
            "background": inputs.resolution_maps[name].background,
            **statistics(own, int(np.count_nonzero(inside))),
            "median_common": float(np.median(shared)) if shared.size else float("nan"),
        }
    window = parameters.window or WINDOW_RULE * float(np.median([row["median"] for row in maps.values()]))
    pairs = list(combinations(given, 2))
    with execution.stage("comparing", len(pairs)) as stage:
        compared = []
        for first, second in pairs:
            compared.append(_compared(first, second, given, inside, _width(window, grid)))
            stage.advance()
    resolutions = {name: inputs.mask.like(np.where(inside, data, np.nan)) for name, data in given.items()}
    share = np.count_nonzero(common) / np.count_nonzero(inside)
    doubts = _doubts(maps, compared, window, share, grid)
    return Comparison(resolutions, inputs.mask, maps, compared, window, share, doubts)


def _compared(
    first: str, second: str, given: Mapping[str, FloatArray], inside: BoolArray, width: Tuple[int, ...]
) -> Pair:
    box = ndimage.find_objects(inside.astype(np.int8))[0]
    one, two = given[first][box], given[second][box]
    both = inside[box] & np.isfinite(one) & np.isfinite(two)
    n = int(np.count_nonzero(both))
    share = n / np.count_nonzero(inside)
    if not n:
        return Pair(first, second, 0, 0.0, *[float("nan")] * 8)
    a, b = one[both].astype(np.float64), two[both].astype(np.float64)
    difference = b - a
    shift, p5, p95 = (float(value) for value in np.percentile(difference, (50, 5, 95)))
    wide_a, wide_b = window_means(one, both, width), window_means(two, both, width)
    return Pair(
        first,
        second,
        n,
        share,
        shift,
        p5,
        p95,
        float(np.median(np.abs(difference))),
        _scatter(difference),
        rank_correlation(a, b),
        _scatter(wide_b - wide_a),
        rank_correlation(wide_a, wide_b),
    )


def _scatter(difference: Float64) -> float:
    return float(np.median(np.abs(difference - np.median(difference))))


def rank_correlation(a: Float64, b: Float64) -> float:
    """Return Spearman's rank correlation, NaN where one of them is constant."""
    from scipy.stats import rankdata

    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def window_means(values: FloatArray, known: BoolArray, width: Tuple[int, ...]) -> Float64:
    """Return, at every known voxel, the mean of the known voxels in a box of ``width`` voxels (z, y, x) around it."""
    total = ndimage.uniform_filter(np.where(known, values, 0).astype(np.float64), width, mode="constant")[known]
    count = ndimage.uniform_filter(known.astype(np.float64), width, mode="constant")[known]
    means: Float64 = total / count
    return means


def _width(window: float, grid: Grid) -> Tuple[int, ...]:
    # Odd, so that the box has a voxel in its middle.
    return tuple(2 * round((window / size - 1) / 2) + 1 if window > size else 1 for size in grid.voxel_size)


# --- words --------------------------------------------------------------------------------------------------------


def _doubts(
    maps: Mapping[str, Mapping[str, Any]], pairs: List[Pair], window: float, common: float, grid: Grid
) -> List[str]:
    found = []
    for name, row in maps.items():
        cover = 1.0 - row["undetermined_fraction"]
        if cover < LITTLE_COVER:
            found.append(
                f"{name} has a value in only {cover:.0%} of the mask: its median tells of these voxels; compare "
                "median_common, over the voxels that all maps give a value"
            )
        if row["median"] < grid.nyquist:
            found.append(
                f"most values of {name} are below Nyquist ({grid.nyquist:.2f} Å): it may not be in Å, or the voxel "
                "size may be wrong"
            )
    if common == 0:
        found.append("no voxel has a value in all maps: no medians can be compared over the same voxels")
    found += [
        f"{pair.first} and {pair.second} rank the regions differently (rank correlation {pair.window_rank:.2f} of the "
        f"means over {window:.0f} Å): at least one of them does not tell where the map is better"
        for pair in pairs
        if pair.window_rank < POOR_AGREEMENT
    ]
    return found


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: CompareParameters) -> List[str]:
    assert inputs.resolution_maps is not None
    names = list(inputs.resolution_maps)
    if len(names) < 2:
        raise UsageError("E_MAPS", f"a comparison needs two maps or more, and {len(names)} is given", "give --maps A B")
    if len({file_stem(name).lower() for name in names}) < len(names):
        raise UsageError("E_MAPS", f"the names {', '.join(names)} give the same file names", "give others with --names")
    if inputs.mask is not None:
        _require_values(inputs, inputs.mask.data > BINARY_THRESHOLD)
    return []


def _require_values(inputs: Inputs, inside: BoolArray) -> None:
    assert inputs.resolution_maps is not None
    for name, found in inputs.resolution_maps.items():
        if not np.isfinite(found.resolution.data[inside]).any():
            raise InputError(
                "E_RESOLUTION_EMPTY", f"{name} has no value inside the mask", "give the mask that belongs to the maps"
            )


def _memory(inputs: Inputs, parameters: CompareParameters, threads: int) -> float:
    # In volumes: the maps inside the mask; or the filters of a pair in the box around it; or the ranks and the selected
    # voxels of a pair, in doubles.
    share = box = 1.0
    if inputs.mask is not None:
        inside = inputs.mask.data > BINARY_THRESHOLD
        share, box = np.count_nonzero(inside) / inside.size, inside[bounding_box(inputs.mask)].size / inside.size
    return 4.0 * inputs.grid.size * max(len(inputs.resolution_maps or ()) + 1, 10 * box + 0.5, 31 * share + 1)


METHOD = Method(
    name="compare",
    title="Comparison of local-resolution maps",
    maps=(MAP,),
    parameters=CompareParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "resolution_NAME.mrc": "each map in Å; 0 outside the mask and where it has no value",
        "difference_NAME.mrc": "each map minus the first",
        "spread.mrc": "largest minus smallest value of the maps",
        "comparison.csv": "median and percentiles of each map",
        "pairs.csv": "differences and rank correlations of every two maps",
    },
    citations=("Vilas2020",),
    required=("resolution_maps",),
    mask="made",
    needs_noise=False,
    check=_check,
)
