"""What is wrong with this input: errors for what cannot be analysed, findings in words for what will mislead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

import numpy as np

from cryores.errors import InputError, UsageError
from cryores.fourier import Float64, radial_power, rfft, shell_sums
from cryores.method import VOLUME_ROLES, Inputs, Method
from cryores.volume import FloatArray, Grid, HalfMaps, Maps, Volume, full_map

MASKED_FRACTION = 0.2
"""Share of voxels with one and the same value above which a map counts as masked."""

FILTERED_POWER = 1e-6
"""Power, relative to the median shell, below which a shell counts as empty."""

SHARPENED_RISE = 3.0
"""Rise of the noise amplitude towards high frequency above which a map counts as sharpened."""

DEPENDENT_FSC = 0.3
"""FSC of the outermost shells above which two halves do not look independent."""


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
        ``E_NO_HALVES``, ``E_NO_MAP`` the wrong kind of maps · ``E_MISSING_INPUT`` · ``E_UNUSED_INPUT``.
    InputError
        ``E_NOT_FINITE`` · ``E_CONSTANT`` · ``E_OTHER_GRID`` · ``E_MASK_EMPTY`` · ``E_MASK_FULL``.
    """
    _check_kind(inputs, method)
    maps = inputs.maps
    named = {"half 1": maps.half1, "half 2": maps.half2} if isinstance(maps, HalfMaps) else {"the map": maps}
    for name, volume in named.items():
        _check_density(name, volume)
    for name in VOLUME_ROLES:
        volume_given: Optional[Volume] = getattr(inputs, name)
        if volume_given is not None:
            _check_on_grid(name, volume_given, maps.grid)
    if inputs.mask is not None:
        _check_mask(inputs.mask)


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
    for name in (*VOLUME_ROLES, "model"):
        given = getattr(inputs, name) is not None
        if given and name not in takes:
            raise UsageError("E_UNUSED_INPUT", f"{method.title} takes no {name}", f"leave the {name} out")
        if name in method.required and not given:
            raise UsageError("E_MISSING_INPUT", f"{method.title} needs a {name}", f"give it with --{name}")


def _check_density(name: str, volume: Volume) -> None:
    low, high = float(volume.data.min()), float(volume.data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("E_NOT_FINITE", f"{name} has voxels that are NaN or infinite", "find the step that wrote them")
    if low == high:
        raise InputError("E_CONSTANT", f"{name} is constant: every voxel is {low:g}", "give a map with density in it")


def _check_on_grid(name: str, volume: Volume, grid: Grid) -> None:
    if volume.grid.shape != grid.shape:
        raise InputError(
            "E_OTHER_GRID",
            f"the {name} has {_sizes(volume.grid)} voxels and the map {_sizes(grid)}",
            f"resample the {name} onto the grid of the map",
        )
    if not np.isfinite(volume.data).all():
        raise InputError(
            "E_NOT_FINITE", f"the {name} has voxels that are NaN or infinite", "find the step that wrote them"
        )


def _check_mask(mask: Volume) -> None:
    inside = int(np.count_nonzero(mask.data > 0.5))
    if inside == 0:
        raise InputError(
            "E_MASK_EMPTY", "the mask is empty: no voxel is above 0.5", "give a mask that is 1 on the particle"
        )
    if inside == mask.data.size:
        raise InputError(
            "E_MASK_FULL",
            "the mask is full: every voxel is above 0.5",
            "leave the mask out, or give one that is 0 in the solvent",
        )


def _sizes(grid: Grid) -> str:
    return " x ".join(str(n) for n in reversed(grid.shape))


# --- suspicions ---------------------------------------------------------------------------------------------------


def suspicions(inputs: Inputs, method: Method) -> List[str]:
    """Return warnings in words: what in ``inputs`` will make ``method`` mislead."""
    found = list(_grid_findings(inputs))
    if method.needs_noise:
        found += diagnose(inputs.maps, inputs.mask)
    return [str(finding) for finding in found]


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
        ``W_MASKED``, ``W_NO_NOISE``, ``W_FILTERED``, ``W_SHARPENED``, ``W_INVERTED``, ``W_DEPENDENT_HALVES``,
        ``W_OPPOSITE_HALVES``; empty where nothing is suspicious.
    """
    halves = isinstance(maps, HalfMaps)
    full = full_map(maps)
    found = list(_masked(maps.half1 if isinstance(maps, HalfMaps) else maps, halves))
    frequency, power = radial_power(full.data, full.grid, threads)
    found += _filtered(frequency, power)
    if isinstance(maps, HalfMaps):
        found += _halves(maps, threads)
        noise: Optional[FloatArray] = maps.noise().data
    else:
        noise = None if found else _background(full, mask)
    if noise is not None:
        found += _sharpened(*radial_power(noise, full.grid, threads))
    found += _inverted(full)
    return found


def _grid_findings(inputs: Inputs) -> Iterator[Finding]:
    grid = inputs.maps.grid
    for name in VOLUME_ROLES:
        volume: Optional[Volume] = getattr(inputs, name)
        if volume is not None and not grid.same_voxels(volume.grid):
            yield Finding(
                "W_VOXEL_SIZE",
                f"the {name} says {volume.grid.spacing:.4f} Å a voxel and the map {grid.spacing:.4f} Å",
                f"the voxels of the {name} are taken as those of the map",
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
    return shares[value], value


def _masked(volume: Volume, halves: bool) -> Iterator[Finding]:
    share, value = constant_fraction(volume)
    if share > MASKED_FRACTION:
        hint = (
            "noise is known only inside that mask; give the unmasked half maps of the refinement"
            if halves
            else "there is no noise left to compare the signal with, so the result will look too good; give half maps"
        )
        yield Finding("W_MASKED", f"the map is masked: {share:.0%} of its voxels are exactly {value:g}", hint)


def _filtered(frequency: Float64, power: Float64) -> Iterator[Finding]:
    if len(power) < 8:
        return
    level = float(np.median(power[1:]))
    filled = np.nonzero(power > FILTERED_POWER * level)[0]
    edge = int(filled[-1]) if filled.size else 0
    if 0 < edge < 0.8 * (len(power) - 1):
        yield Finding(
            "W_FILTERED",
            f"the map is low-pass filtered: nothing is left beyond {1 / frequency[edge]:.2f} Å",
            "neither signal nor noise can be judged there; give the unfiltered map",
        )


def _halves(maps: HalfMaps, threads: int) -> Iterator[Finding]:
    grid = maps.grid
    sums = shell_sums(rfft(maps.half1.data, threads), rfft(maps.half2.data, threads), grid)
    curve = sums.cross / np.maximum(np.sqrt(sums.power1 * sums.power2), np.finfo(float).tiny)
    outer = curve[-max(3, len(curve) // 10) :]
    if float(np.median(outer)) > DEPENDENT_FSC:
        yield Finding(
            "W_DEPENDENT_HALVES",
            f"the half maps still agree at Nyquist (FSC {float(np.median(outer)):.2f})",
            "they may share a mask, a filter or particles, or the sampling is too coarse; the noise is underestimated",
        )
    if float(np.median(curve[1:6])) < -0.5:
        yield Finding("W_OPPOSITE_HALVES", "one half map is the negative of the other", "invert the contrast of one")


def _background(volume: Volume, mask: Optional[Volume]) -> Optional[FloatArray]:
    """Return the map with the particle taken out, or None where too little background is left to judge it by."""
    if mask is None:
        return None
    outside = mask.data <= 0.5
    if np.count_nonzero(outside) < volume.data.size // 4:
        return None
    level = np.float32(np.median(volume.data[outside]))
    return np.where(outside, volume.data - level, np.float32(0))


def _sharpened(frequency: Float64, power: Float64) -> Iterator[Finding]:
    # The noise of a raw reconstruction is flat or falls; only sharpening makes it rise.
    count = len(power)
    if count < 16:
        return
    amplitude = np.sqrt(power)
    low = float(np.median(amplitude[count // 10 : 3 * count // 10]))
    high = float(amplitude[count // 2 :].max())
    if low > 0 and high / low > SHARPENED_RISE:
        yield Finding(
            "W_SHARPENED",
            f"the map looks sharpened: its noise grows {high / low:.1f} times towards high frequency",
            "methods that compare signal with noise want the raw maps of the refinement",
        )


def _inverted(volume: Volume) -> Iterator[Finding]:
    deviation = volume.data - np.float32(np.median(volume.data))
    if float(np.percentile(deviation, 0.1)) < -2.0 * float(np.percentile(deviation, 99.9)):
        yield Finding(
            "W_INVERTED", "the density looks negative", "invert the contrast: the particle has to be positive"
        )
