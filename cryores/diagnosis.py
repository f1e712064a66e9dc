"""What is wrong with this input: errors for what cannot be analysed, findings in words for what will mislead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Tuple

import numpy as np

from cryores.blocks import slabs
from cryores.errors import InputError, UsageError
from cryores.fourier import Float64, ShellSums, radial_power, rfft, shell_sums
from cryores.inputs import HALVES, SEVERAL_ROLES, VOLUME_ROLES, Inputs, in_words
from cryores.masks import BINARY_THRESHOLD, is_hard
from cryores.noise import background_amplitude
from cryores.volume import VOXEL_SIZE_TOLERANCE, BoolArray, Grid, HalfMaps, Maps, Volume, full_map, require_volume

if TYPE_CHECKING:
    from cryores.method import Method

MASKED_FRACTION = 0.2
"""Share of voxels with one and the same value above which a map counts as masked."""

FILTERED_POWER = 1e-6
"""Power, relative to the median shell that holds anything, below which a shell counts as empty."""

EMPTY_POWER = 1e-10
"""Power, relative to the strongest shell, that is mere rounding."""

SHARPENED_RISE = 3.0
"""Rise of the noise amplitude towards high frequency above which a map counts as sharpened."""

DEPENDENT_FSC = 0.3
"""FSC of the outermost shells above which two halves do not look independent."""

GLOBAL_CUTOFF = 0.143
"""FSC at which two halves are said to end."""

RISES_BY = 0.2
"""Height, over what noise explains, to which an FSC must rise again before it is told."""

FEWEST_COMMON_SHELLS = 8
"""Half maps that agree in no more shells than this hardly show the shape of a particle."""

UNLIKE_POWERS = 4.0
"""Ratio of the powers of two half maps between a tenth and nine tenths of the shells; a filter makes it large."""

UNLIKE_GREY = 1.2
"""Ratio of the grey scales of two half maps from which their difference holds 1 % of the power of the signal."""

MASK_EXCESS = 0.5
"""How far a mask may go below 0 or above 1: interpolation overshoots, bytes from 0 to 255 and densities do more."""

WINDOW_RULE = (5.0, 7.0)
"""Least and largest window of a local FSC in units of the global resolution (Vilas et al. 2020)."""

GOOD_PRACTICE = "good practice: "
"""How findings begin that are no fault of the input: the run could be given something better."""


@dataclass(frozen=True)
class Finding:
    """Something suspicious: a stable code, what was found, and what to do."""

    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}"


# --- errors -------------------------------------------------------------------------------------------------------


def check_inputs(inputs: Inputs, method: Method) -> None:
    """Raise for everything that keeps ``method`` from analysing ``inputs``.

    Raises
    ------
    UsageError
        ``E_NO_VOLUME`` a file name · ``E_NO_HALVES``, ``E_NO_MAP`` the wrong kind of maps · ``E_MISSING_INPUT`` ·
        ``E_UNUSED_INPUT``.
    InputError
        ``E_NOT_FINITE`` · ``E_CONSTANT`` · ``E_OTHER_GRID`` · ``E_MASK_EMPTY`` · ``E_MASK_FULL`` · ``E_MASK_RANGE``.
    """
    for name, given in {"maps": inputs.maps, **inputs.beside_the_maps()}.items():
        if name != "maps" or not isinstance(given, HalfMaps):
            require_volume(in_words(name), given)
    _check_kind(inputs, method)
    maps = inputs.maps
    named = {"half 1": maps.half1, "half 2": maps.half2} if isinstance(maps, HalfMaps) else {"the map": maps}
    for name, volume in named.items():
        check_density(name, volume)
    for name, volume in inputs.beside_the_maps().items():
        _check_on_grid(in_words(name), volume, maps.grid)
    if inputs.mask is not None:
        _check_mask(inputs.mask, multiplies=method.soft_mask)


def _check_kind(inputs: Inputs, method: Method) -> None:
    kind = "halves" if isinstance(inputs.maps, HalfMaps) else "map"
    if kind not in method.maps:
        if kind == "map":
            raise UsageError(
                "E_NO_HALVES",
                f"{method.title} compares two half maps and was given one map",
                "give the two half maps of the refinement",
            )
        raise UsageError("E_NO_MAP", f"{method.title} works on one map and was given two halves", "give one map")
    takes = set(method.required) | set(method.optional) | ({"mask"} if method.mask != "none" else set())
    for name in (*VOLUME_ROLES, *SEVERAL_ROLES, "model"):
        given = getattr(inputs, name) is not None
        if given and name not in takes:
            raise UsageError("E_UNUSED_INPUT", f"{method.title} takes no {name}", f"leave the {name} out")
        if name in method.required and not given:
            raise UsageError("E_MISSING_INPUT", f"{method.title} needs a {name}", f"give it with --{name}")


def check_density(name: str, volume: Volume) -> None:
    """Raise `InputError` for a map with NaN or infinite voxels (``E_NOT_FINITE``) or of one value (``E_CONSTANT``)."""
    low, high = float(volume.data.min()), float(volume.data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("E_NOT_FINITE", f"{name} has voxels that are NaN or infinite", "find the step that wrote them")
    if low == high:
        raise InputError(
            "E_CONSTANT", f"{name} is constant: every voxel is {low + 0.0:g}", "give a map with density in it"
        )


def _check_on_grid(name: str, volume: Volume, grid: Grid) -> None:
    if volume.grid.shape != grid.shape:
        raise InputError(
            "E_OTHER_GRID",
            f"the {name} has {_sizes(volume.grid)} voxels and the map {_sizes(grid)}",
            f"resample the {name} onto the grid of the map",
        )
    # In a resolution map, NaN is a voxel without a value.
    bad = np.isinf if name.startswith("resolution") else lambda part: ~np.isfinite(part)
    if any(bad(part).any() for part in slabs(volume.data)):
        raise InputError(
            "E_NOT_FINITE", f"the {name} has voxels that are NaN or infinite", "find the step that wrote them"
        )


def _check_mask(mask: Volume, multiplies: bool) -> None:
    inside = sum(int(np.count_nonzero(part > 0.5)) for part in slabs(mask.data))
    low, high = _extremes(mask)
    if inside == 0:
        # Bytes have a sign in MRC files: 255 of a program that writes them without one is read as -1.
        bytes_without_sign = low == -1.0 and high == 0.0
        raise InputError(
            "E_MASK_EMPTY",
            f"the mask is empty: no voxel is above 0.5 (its values: {low:g} to {high:g})",
            "it seems to hold 255 in bytes without a sign; write it with 1 inside and 0 outside"
            if bytes_without_sign
            else "give a mask that is 1 on the particle",
        )
    if inside == mask.data.size:
        raise InputError(
            "E_MASK_FULL",
            "the mask is full: every voxel is above 0.5",
            "leave the mask out, or give one that is 0 in the solvent",
        )
    if multiplies and not _from_0_to_1(low, high):
        raise InputError(
            "E_MASK_RANGE",
            f"the mask goes from {low:g} to {high:g}, and would multiply the maps: a mask goes from 0 to 1",
            f"make one of it, if it is a mask: cryores mask --mask FILE --threshold {high / 2:g}",
        )


def _extremes(volume: Volume) -> Tuple[float, float]:
    lows, highs = zip(*((part.min(), part.max()) for part in slabs(volume.data)))
    return float(min(lows)) + 0.0, float(max(highs)) + 0.0  # no mask needs to be told of a negative zero


def _from_0_to_1(low: float, high: float) -> bool:
    return low >= -MASK_EXCESS and high <= 1.0 + MASK_EXCESS


def _sizes(grid: Grid) -> str:
    return " x ".join(str(n) for n in reversed(grid.shape))


# --- suspicions ---------------------------------------------------------------------------------------------------


def suspicions(inputs: Inputs, method: Method, parameters: Any = None) -> List[str]:
    """Return warnings in words: what in ``inputs`` and ``parameters`` will make ``method`` mislead.

    They hold the good practices of local resolution (Vilas et al. 2020): half maps rather than one map, raw maps, a
    mask with room around it, a range that holds the resolution of the map.
    """
    return [str(finding) for finding in suspicious(inputs, method, parameters)]


def suspicious(inputs: Inputs, method: Method, parameters: Any = None) -> List[Finding]:
    """Return what `suspicions` puts into words."""
    found = list(_grid_findings(inputs))
    found += [] if inputs.mask is None else mask_range_findings(inputs.mask)
    if method.needs_noise:
        found += [] if inputs.mask is None else margin_findings(inputs.mask, method.margin)
        found += _practice_findings(inputs, method)
        found += diagnose(inputs.maps, inputs.mask)
        found += range_findings(inputs.maps, parameters)
    elif method.mask == "made" and HALVES in method.maps:  # the mean, and what is positive, is taken for the particle
        found += _belong_together(*_correlation(inputs.maps, 1)) if isinstance(inputs.maps, HalfMaps) else []
        found += inverted_findings(full_map(inputs.maps))
    return found


def checking_bytes(maps: Maps) -> float:
    """Return the bytes that `suspicions` holds at the peak beyond the maps: a map and its spectrum, or the halves'."""
    return 4.0 * maps.grid.size * (3.1 if isinstance(maps, HalfMaps) else 3.9)


def diagnose(maps: Maps, mask: Optional[Volume] = None, threads: int = 1) -> List[Finding]:
    """Examine one map or two halves.

    Parameters
    ----------
    maps : Volume or HalfMaps
        The density.
    mask : Volume, optional
        Above 0.5 on the particle; used only to tell noise from signal.
    threads : int
        Threads of the transforms.

    Returns
    -------
    list of Finding
        ``W_MASKED``, ``W_FILTERED``, ``W_SHARPENED``, ``W_INVERTED``, ``W_DEPENDENT_HALVES``, ``W_FSC_RISES``,
        ``W_OPPOSITE_HALVES``, ``W_HALVES_DIFFER``; empty where nothing is suspicious.
    """
    halves = isinstance(maps, HalfMaps)
    full = full_map(maps)
    found = list(_masked(maps.half1 if isinstance(maps, HalfMaps) else maps, halves))
    frequency, power = radial_power(full.data, full.grid, threads)
    found += filtered_findings(frequency, power)
    # Where a single map was masked or filtered its background tells nothing more.
    noise = None if found and not halves else _noise_amplitude(maps, mask, threads)
    if isinstance(maps, HalfMaps):
        found += _halves(maps, threads)
    if noise is not None:
        found += _sharpened(noise[1])
    found += inverted_findings(full)
    return found


def _grid_findings(inputs: Inputs) -> Iterator[Finding]:
    grid = inputs.maps.grid
    for name, volume in inputs.beside_the_maps().items():
        if not grid.same_voxels(volume.grid):
            yield Finding(
                "W_VOXEL_SIZE",
                f"the {in_words(name)} says {volume.grid.spacing:.4f} Å a voxel and the map {grid.spacing:.4f} Å",
                f"the voxels of the {in_words(name)} are taken as those of the map",
            )
    if isinstance(inputs.maps, HalfMaps) and inputs.maps.half1.grid.first_voxel != inputs.maps.half2.grid.first_voxel:
        yield Finding(
            "W_ORIGIN",
            "the half maps have different origins",
            "they are compared voxel by voxel, and written on the first's grid",
        )


def constant_fraction(volume: Volume) -> Tuple[float, float]:
    """Return the share of the voxels that hold one and the same value, and that value (looked for at the corners)."""
    data = volume.data
    corners = data[:: data.shape[0] - 1, :: data.shape[1] - 1, :: data.shape[2] - 1].ravel()
    values, counts = np.unique(corners, return_counts=True)
    candidates = {float(values[np.argmax(counts)]), 0.0}
    shares = {value: float(np.count_nonzero(data == np.float32(value))) / data.size for value in candidates}
    value = max(shares, key=lambda v: shares[v])
    return shares[value], value + 0.0  # no map needs to be told of a negative zero


def _masked(volume: Volume, halves: bool) -> Iterator[Finding]:
    share, value = constant_fraction(volume)
    if share > MASKED_FRACTION:
        hint = (
            "noise is known only inside that mask; give the unmasked half maps of the refinement"
            if halves
            else "there is no noise left to compare the signal with, so the result will look too good; give half maps"
        )
        yield Finding("W_MASKED", f"the map is masked: {share:.0%} of its voxels are exactly {value:g}", hint)


def filtered_findings(frequency: Float64, power: Float64) -> Iterator[Finding]:
    """Yield a finding if the radial ``power`` of a map ends before Nyquist, as only a filter makes it end."""
    if len(power) < 8:
        return
    # The level is that of the shells that hold anything: a filter may have emptied more than half of them.
    level = float(np.median(power[1:][power[1:] > EMPTY_POWER * power[1:].max()]))
    filled = np.nonzero(power > FILTERED_POWER * level)[0]
    edge = int(filled[-1]) if filled.size else 0
    if 0 < edge < 0.8 * (len(power) - 1):
        yield Finding(
            "W_FILTERED",
            f"the map is low-pass filtered: nothing is left beyond {1 / frequency[edge]:.2f} Å",
            "neither signal nor noise can be judged there; give the unfiltered map",
        )


def _halves(maps: HalfMaps, threads: int) -> Iterator[Finding]:
    sums, curve = _correlation(maps, threads)
    outer = curve[-max(3, len(curve) // 10) :]
    if float(np.median(outer)) > DEPENDENT_FSC:
        yield Finding(
            "W_DEPENDENT_HALVES",
            f"the half maps still agree at Nyquist (FSC {float(np.median(outer)):.2f})",
            "they may share a mask, a filter or particles, or the sampling is too coarse; the noise is underestimated",
        )
    again = rises_again(curve, 0.5 * sums.count)
    if again is not None:
        yield Finding(
            "W_FSC_RISES",
            f"the FSC of the half maps falls below {GLOBAL_CUTOFF} and rises again at "
            f"{1 / sums.frequency[again]:.2f} Å (to {curve[again]:.2f})",
            "noise cannot do that; look for a shared mask, interpolation, a wrong CTF or an artefact at that frequency",
        )
    yield from _belong_together(sums, curve)


def _belong_together(sums: ShellSums, curve: Float64) -> Iterator[Finding]:
    """Yield what tells that two maps are no halves of one refinement."""
    below = np.flatnonzero(curve[1:] < GLOBAL_CUTOFF) + 1
    if below.size and 1 < below[0] <= FEWEST_COMMON_SHELLS < len(curve) // 2:
        yield Finding(
            "W_HALVES_DIFFER",
            f"the half maps agree only to {1 / sums.frequency[below[0]]:.0f} Å, {below[0] - 1} shells",
            "is one of them shifted, turned, mirrored or of another refinement?",
        )
    powers = (sums.power1[1:] > 0) & (sums.power2[1:] > 0)
    ratio = np.log(sums.power1[1:][powers] / sums.power2[1:][powers])
    if ratio.size and np.percentile(ratio, 90) - np.percentile(ratio, 10) > np.log(UNLIKE_POWERS):
        yield Finding(
            "W_HALVES_DIFFER",
            "the spectra of the half maps have different shapes",
            "is one of them sharpened, filtered or masked, or the full map?",
        )
    grey = grey_ratio(sums, curve)
    if not 1.0 / UNLIKE_GREY < grey < UNLIKE_GREY:
        yield Finding(
            "W_HALVES_DIFFER",
            f"the half maps have different grey scales: the density of the second is {grey:.3g} times the first's",
            "their difference holds signal, their mean is mostly one of them; give both as one program wrote them",
        )
    if float(np.median(curve[1:6])) < -0.5:
        yield Finding("W_OPPOSITE_HALVES", "one half map is the negative of the other", "invert the contrast of one")


def grey_ratio(sums: ShellSums, curve: Float64) -> float:
    """Return by how much the signal of the second half map is stronger than the first's, 1 where they share none.

    Of the shells where the FSC ``curve`` is above 0.5, by the root of their powers, without the mean of the maps.
    """
    shared = (curve > 0.5) & (np.arange(len(curve)) > 0)
    one, two = (float(power[shared].sum()) for power in (sums.power1, sums.power2))
    return float(np.sqrt(two / one)) if one > 0 and two > 0 else 1.0


def _correlation(maps: HalfMaps, threads: int) -> Tuple[ShellSums, Float64]:
    sums = shell_sums(rfft(maps.half1.data, threads), rfft(maps.half2.data, threads), maps.grid)
    return sums, sums.cross / np.maximum(np.sqrt(sums.power1 * sums.power2), np.finfo(float).tiny)


def rises_again(curve: Float64, independent: Float64) -> Optional[int]:
    """Return the shell at which an FSC that had ended is highest again, None where noise explains what is there.

    Parameters
    ----------
    curve : ndarray of float64
        FSC.
    independent : ndarray of float64
        Independent coefficients of each shell; noise varies by the square root of one over it.
    """
    if len(curve) < 8:
        return None
    # Three shells together: one alone may be an accident, and the first ones hold few coefficients.
    mean = np.convolve(curve, np.full(3, 1 / 3), mode="valid")
    begun = np.flatnonzero(mean > 0.5)
    ended = np.flatnonzero(mean[begun[0] :] < GLOBAL_CUTOFF) + begun[0] if begun.size else begun
    if ended.size == 0:
        return None
    together = np.convolve(independent, np.ones(3), mode="valid")
    allowed = GLOBAL_CUTOFF + RISES_BY + 3.0 / np.sqrt(np.maximum(together, 1.0))
    high = np.flatnonzero(mean[ended[0] :] > allowed[ended[0] :]) + ended[0]
    return int(high[np.argmax(mean[high])]) + 1 if high.size else None


def _noise_amplitude(maps: Maps, mask: Optional[Volume], threads: int) -> Optional[Tuple[Float64, Float64]]:
    """Return frequencies and amplitude of the noise, None where a map shows too little background to judge it by."""
    if isinstance(maps, HalfMaps):
        frequency, power = radial_power(maps.noise().data, maps.grid, threads)
        return frequency, np.sqrt(power)
    if mask is None or np.count_nonzero(mask.data <= 0.5) < mask.data.size // 4:
        return None
    try:
        return background_amplitude(maps, mask, threads)
    except InputError:
        return None


def _sharpened(amplitude: Float64) -> Iterator[Finding]:
    # The noise of a raw reconstruction is flat or falls; only sharpening makes it rise.
    count = len(amplitude)
    if count < 16:
        return
    low = float(np.median(amplitude[count // 10 : 3 * count // 10]))
    high = float(amplitude[count // 2 :].max())
    if low > 0 and high / low > SHARPENED_RISE:
        yield Finding(
            "W_SHARPENED",
            f"the map looks sharpened: its noise grows {high / low:.1f} times towards high frequency",
            "methods that compare signal with noise want the raw maps of the refinement",
        )


def inverted_findings(volume: Volume) -> Iterator[Finding]:
    """Yield a finding if the strong density of a map is negative."""
    low, middle, high = np.percentile(volume.data, (0.1, 50.0, 99.9))
    if low - middle < -2.0 * (high - middle):
        yield Finding(
            "W_INVERTED", "the density looks negative", "invert the contrast: the particle has to be positive"
        )


# --- good practices -----------------------------------------------------------------------------------------------


def _practice_findings(inputs: Inputs, method: Method) -> Iterator[Finding]:
    if HALVES in method.maps and not isinstance(inputs.maps, HalfMaps):
        yield Finding(
            "W_SINGLE_MAP",
            f"{GOOD_PRACTICE}this is one map, and its noise has to be guessed from its background",
            "give the two half maps of the refinement, where there are any",
        )
    if method.mask == "made" and inputs.mask is None:
        yield Finding(
            "W_NO_MASK",
            f"{GOOD_PRACTICE}no mask was given, so one is made",
            "look at mask.mrc, and give your own if it cuts density or holds solvent",
        )


def mask_range_findings(mask: Volume) -> Iterator[Finding]:
    """Yield a finding if a mask that selects voxels above 0.5 goes beyond 0 to 1, and 0.5 is not its middle."""
    low, high = _extremes(mask)
    between = sum(int(np.count_nonzero((part > 0.5) & (part < 0.5 * high))) for part in slabs(mask.data))
    if between and not _from_0_to_1(low, high):
        yield Finding(
            "W_MASK_RANGE",
            f"the mask goes from {low:g} to {high:g}, and every voxel above 0.5 counts as inside",
            f"if that is more than you mean: cryores mask --mask FILE --threshold {high / 2:g} makes one from 0 to 1",
        )


def hard_mask_findings(mask: Volume) -> Iterator[Finding]:
    """Yield a finding if a mask that multiplies the maps has no soft edge."""
    if is_hard(mask):
        yield Finding(
            "W_HARD_MASK",
            "the mask has no soft edge: under it the FSC is inflated, and a correction for the mask noisy",
            "give it one of a few voxels, as cryores mask --mask FILE does",
        )


def margin_findings(mask: Volume, least: int) -> Iterator[Finding]:
    """Yield a finding if fewer than ``least`` voxels lie between the mask and a face of the box.

    Where it runs from face to face along one or two axes, as a filament or a membrane has to, the finding says so, and
    the room is that along the others.
    """
    inside = mask.data > BINARY_THRESHOLD
    used = {name: inside.any(axis=axes) for name, axes in (("z", (1, 2)), ("y", (0, 2)), ("x", (0, 1)))}
    crossed = [name for name, places in used.items() if places[0] and places[-1]]
    others = [places for name, places in used.items() if name not in crossed]
    free = min(map(_free, others)) if others else 0
    if crossed and others:
        yield Finding(
            "W_MARGIN",
            f"the mask runs from face to face of the box along {' and '.join(crossed)}",
            "a filament or a membrane has to, but trust the values at its ends less; else take a larger box",
        )
    if free < least:
        wanted = "one voxel" if least == 1 else f"{least} voxels"
        yield Finding(
            "W_MARGIN",
            "the mask touches the face of the box"
            if free == 0
            else f"only {free} {'voxel lies' if free == 1 else 'voxels lie'} between the mask and a face of the box",
            f"leave {wanted} or more free for the noise around the particle: take a larger box, or a tighter mask",
        )


def _free(used: BoolArray) -> int:
    """Return the number of unused places before the first used one or after the last, whichever is smaller."""
    places = np.flatnonzero(used)
    return int(min(places[0], used.size - 1 - places[-1]))


def range_findings(maps: Maps, parameters: Any, threads: int = 1) -> Iterator[Finding]:
    """Yield what is wrong with ``min_resolution`` and ``max_resolution`` (Å) of ``parameters``, where it has them."""
    finest, coarsest = (getattr(parameters, name, None) for name in ("min_resolution", "max_resolution"))
    yield from range_on_grid(maps.grid, finest, coarsest)
    if not isinstance(maps, HalfMaps) or (finest is None and coarsest is None):
        return
    overall = _resolution(maps, threads)
    if overall is not None and not (finest or 0.0) <= overall <= (coarsest or np.inf):
        yield Finding(
            "W_RANGE",
            f"the global resolution of {overall:.2f} Å (plain FSC {GLOBAL_CUTOFF}) lies outside the range that is "
            "tested",
            "widen the range: most of the map has values beyond it, and they pile up at its end",
        )


def range_on_grid(grid: Grid, finest: Optional[float], coarsest: Optional[float]) -> Iterator[Finding]:
    """Yield what is wrong with a range (Å, None where it is left open) on this grid, whatever lies on it."""
    if finest is not None and 0 < finest < grid.nyquist * (1 - VOXEL_SIZE_TOLERANCE):
        yield Finding(
            "W_RANGE",
            f"nothing finer than {grid.nyquist:.2f} Å (Nyquist) can be tested",
            "the range ends there",
        )
    if coarsest is not None and coarsest > max(grid.extent) / 2:
        yield Finding(
            "W_RANGE",
            f"the range starts at {coarsest:.1f} Å in a box of {max(grid.extent):.1f} Å: few waves fit in",
            "start at half the box, or less",
        )


def _resolution(maps: HalfMaps, threads: int) -> Optional[float]:
    sums, curve = _correlation(maps, threads)
    below = np.flatnonzero(curve[1:] < GLOBAL_CUTOFF) + 1
    return 1.0 / float(sums.frequency[below[0]]) if below.size and below[0] > 1 else None


def window_findings(box: int, spacing: float, overall: Optional[float]) -> Iterator[Finding]:
    """Yield a finding if a window of ``box`` voxels is not 5 to 7 times the global resolution ``overall`` (Å)."""
    if overall is None:
        return
    least, largest = WINDOW_RULE
    ratio = box * spacing / overall
    if least - 0.5 <= ratio <= largest + 0.5:
        return
    effect = (
        "a small box has too few coefficients, so that noise looks like resolution"
        if ratio < least
        else "a large box blurs what is local"
    )
    yield Finding(
        "W_WINDOW",
        f"the box of {box} voxels is {ratio:.1f} times the global resolution of {overall:.2f} Å: {effect}",
        f"take {np.ceil(least * overall / spacing):.0f} to {largest * overall / spacing:.0f} voxels, "
        f"{least:g} to {largest:g} times the resolution",
    )
