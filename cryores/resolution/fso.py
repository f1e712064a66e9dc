"""Directional resolution: Fourier shell occupancy (FSO), three-dimensional FSC, sphericity, and what is missing.

The half maps are correlated not over whole shells but over the part of each shell inside a cone. FSO is the share of
directions whose correlation is above the threshold: where it falls from 1 to 0 the map has its resolution, and the
longer it takes, the more the resolution depends on the direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from cryores.backend import gpu_bytes
from cryores.curves import Curve, csv_text, star_text, xml_text
from cryores.diagnosis import hard_mask_findings
from cryores.directions import geodesic_axes, rotation_and_tilt
from cryores.execution import Execution
from cryores.fourier import Complex, Float64, rfft, shell_sums
from cryores.masks import independent_share, solvent_level
from cryores.method import HALVES, Inputs, Method, Result, parameter
from cryores.resolution._directional import (
    Coefficients,
    centred_map,
    cone_sums,
    correlation_of,
    every_cone,
    sorted_coefficients,
)
from cryores.resolution._fourier_region import connected_region, filter_by_direction, sphericity
from cryores.resolution._isotropy import bingham_test, cone_overlap, main_axis, principal_axes
from cryores.shell_correlation import (
    crossing_frequency,
    crossing_resolution,
    fdr_threshold,
    fsc_curve,
    independent_coefficients,
)
from cryores.volume import BoolArray, Grid, HalfMaps, Volume

DIRECTIONS = 8
"""Frequency of the geodesic axes: 321 of them, 8 degrees apart."""

LEVELS = (0.9, 0.5, 0.1)
"""Values of FSO whose resolutions are reported: where the first directions fail, half of them, and nearly all."""

FIRST_SHELLS = 5
"""Shells whose cones hold a handful of coefficients."""

FEWEST = 5.0
"""Independent coefficients below which a cone has no FSC of its own: at 17 degrees, in the first five shells."""

MISSING = 0.5
"""A direction with less than this share of the usual signal is missing: half, as at the very edge of a wedge."""

LEAST_MISSING = 0.05
"""Share of directions below which nothing is said to be missing: a cone of 18 degrees, no wider than that of FSO."""

SIGNIFICANT = 0.01
"""p-value of Bingham's test, corrected for the shells tested, below which a map is called anisotropic."""


@dataclass(frozen=True)
class FSOParameters:
    """Parameters of the directional resolution."""

    cutoff: float = parameter(
        0.143, "Correlation above which a direction counts as resolved, in FSO and 3DFSC", "", 0.001, 0.999
    )
    false_discovery_rate: Optional[float] = parameter(
        None,
        "Adds the criterion fdr to the global FSC: share of the shells above it that may be but noise (usual: 0.01); "
        "default, left out",
        "",
        1e-6,
        0.5,
        expert=True,
    )
    cone: float = parameter(
        17.0, "Half the opening of the cone in which a shell is correlated, for FSO", "degrees", 5.0, 60.0, expert=True
    )
    estimate_3dfsc: bool = parameter(
        True, "Also make the 3DFSC, its sphericity, and the map low-passed in each direction at its resolution"
    )
    cone_3dfsc: float = parameter(
        20.0, "Half the opening of the cone about every coefficient, for the 3DFSC", "degrees", 5.0, 60.0, expert=True
    )
    sphericity_cutoff: float = parameter(
        0.5, "Value of the 3DFSC on the surface whose sphericity is measured", "", 0.001, 0.999, expert=True
    )


@dataclass(frozen=True)
class FSOResult(Result):
    """Curves over the shells, values over the directions, and maps.

    Parameters
    ----------
    frequency : ndarray of float64, shape (shells,)
        Shell centres in 1/Å, from 0 to Nyquist.
    fsc : ndarray
        FSC of the (masked) half maps, not corrected for the mask.
    fso : ndarray
        Share of the directions whose correlation is at least the cutoff.
    expected : ndarray
        FSO that an isotropic map with this FSC would have: noise alone makes it fall over some shells.
    bingham, p_value : ndarray
        Statistic of `bingham_test` on the directions that pass, and its p-value.
    axes : ndarray of float64, shape (axes, 3)
        Directions (z, y, x); n and -n are one.
    directional : ndarray of float64, shape (axes, shells)
        Correlation in the cone about each direction.
    limits : ndarray of float64, shape (axes,)
        Resolution of each direction in Å: the first crossing of the cutoff; NaN where it is below from shell 1 on.
    signal : ndarray of float64, shape (axes,)
        Common power of the half maps in each cone up to the resolution, relative to the mean over directions.
    cutoff : float
        Correlation from which on a direction counts as resolved.
    criterion : str
        Threshold and cone in words.
    grid : Grid
        Grid of the input.
    resolution : dict
        Criterion -> Å of the global FSC, None where it is below from the first shell on.
    occupancy : dict
        ``"0.9"``, ``"0.5"``, ``"0.1"`` -> Å at which FSO falls to it.
    fdr : ndarray or None
        FSC that each shell has to reach under the false discovery rate, where one was given.
    three_d : Volume or None
        The 3DFSC with the zero frequency at voxel (nz // 2, ny // 2, nx // 2); 0 beyond Nyquist.
    filtered : Volume or None
        The full map, low-passed in each direction where the 3DFSC falls below the cutoff.
    details : dict
        Sphericity, principal axes, what is missing, resolved choices and warnings.
    """

    frequency: Float64
    fsc: Float64
    fso: Float64
    expected: Float64
    bingham: Float64
    p_value: Float64
    axes: Float64
    directional: Float64
    limits: Float64
    signal: Float64
    cutoff: float
    criterion: str
    grid: Grid = field(repr=False)
    resolution: Dict[str, Optional[float]] = field(default_factory=dict)
    occupancy: Dict[str, Optional[float]] = field(default_factory=dict)
    fdr: Optional[Float64] = None
    three_d: Optional[Volume] = None
    filtered: Optional[Volume] = None
    details: Dict[str, Any] = field(default_factory=dict)

    def volumes(self) -> Dict[str, Volume]:
        """Return ``3dfsc`` and ``filtered``, where they were made."""
        named = {"3dfsc": self.three_d, "filtered": self.filtered}
        return {name: volume for name, volume in named.items() if volume is not None}

    def tables(self) -> Dict[str, str]:
        """Return the curves, ``directions.csv`` (resolution by direction) and ``directional_fsc.csv`` (all curves)."""
        angstrom = 1.0 / np.maximum(self.frequency, 1e-3)
        rot, tilt = rotation_and_tilt(self.axes).T
        z, y, x = self.axes.T
        curves = {f"rot{r:.1f}_tilt{t:.1f}": curve for r, t, curve in zip(rot, tilt, self.directional)}
        shells = {
            "fsc": self.fsc,
            "fso": self.fso,
            "fso_if_isotropic": self.expected,
            "bingham": self.bingham,
            "p_value": self.p_value,
        }
        star = {
            "rlnSpectralIndex": np.arange(len(self.frequency)),
            "rlnResolution": self.frequency,
            "rlnAngstromResolution": angstrom,
            "rlnFourierShellCorrelation": self.fsc,
            "cryoresFourierShellOccupancy": self.fso,
        }
        directions = {"x": x, "y": y, "z": z, "rot": rot, "tilt": tilt, "resolution": self.limits}
        return {
            "fsc.star": star_text({}, star),
            "fsc.xml": xml_text(Curve(self.frequency, self.fsc, "cryores FSC of half maps")),
            "fso.csv": csv_text({"frequency": self.frequency, "resolution": angstrom, **shells}),
            "directions.csv": csv_text({**directions, "signal": self.signal}),
            "directional_fsc.csv": csv_text({"frequency": self.frequency, **curves}),
        }

    def summary(self) -> Dict[str, Any]:
        """Return the resolutions of FSC and FSO, the spread over directions, and the details."""
        known = self.limits[np.isfinite(self.limits)]
        spread = dict(zip(("p5", "median", "p95"), np.percentile(known, (5, 50, 95)))) if known.size else {}
        return {
            "resolution": self.resolution,
            "occupancy": self.occupancy,
            "directional_resolution": spread,
            "directions": len(self.axes),
            "directions_without_resolution": int(self.limits.size - known.size),
            "nyquist": self.grid.nyquist,
            **self.details,
        }


# --- computation --------------------------------------------------------------------------------------------------


def fso(
    maps: HalfMaps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> FSOResult:
    """Measure how the resolution depends on the direction.

    Parameters
    ----------
    maps : HalfMaps
        Two half maps.
    mask : Volume, optional
        Soft mask, 0 to 1: multiplies the maps after the mean density outside it was subtracted.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `FSOParameters`.

    Returns
    -------
    FSOResult
        Curves, directional resolutions, 3DFSC, sphericity, filtered map.

    Raises
    ------
    UsageError
        An unknown or invalid parameter.
    InputError
        What the checks of every input raise.

    Notes
    -----
    In a cone about n the coefficients of shell i weigh ``exp(-4 ((1 - |cos g|) / (1 - cos cone))^2)``, g the angle
    to n, and FSC_n(i) is the correlation of the weighted coefficients. FSO(i) is the share of 321 directions with
    FSC_n(i) at least the cutoff. The 3DFSC gives all coefficients of a cone the same weight. Sources: Vilas & Tagare
    (2023), FSO; Tan et al. (2017), 3DFSC and sphericity; Bingham (1974), the test.
    """
    result: FSOResult = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: FSOParameters, execution: Execution) -> FSOResult:
    assert isinstance(inputs.maps, HalfMaps)
    halves, grid = inputs.maps, inputs.grid
    with execution.stage("transforms of the half maps"):
        spectra = [_spectrum(half, inputs.mask, execution.threads) for half in (halves.half1, halves.half2)]
        sums = shell_sums(spectra[0], spectra[1], grid)
        found = sorted_coefficients(spectra[0], spectra[1], grid, execution.backend)
        del spectra
    # A shell is one coefficient thick: of those that a mask correlates it holds the neighbours in two directions.
    share = 1.0 if inputs.mask is None else independent_share(inputs.mask.data) ** (2.0 / 3.0)
    curve = fsc_curve(sums)
    axes = geodesic_axes(DIRECTIONS)
    with execution.stage("FSC by direction"):
        cones, weights = cone_sums(found, axes, parameters.cone)
    directional = directional_curves(cones, weights, curve)
    passing = directional >= parameters.cutoff
    passing[:, 0] = True
    occupied = passing.mean(axis=0)
    overlap = cone_overlap(axes, parameters.cone)
    tests = np.array([bingham_test(axes, shell, overlap) for shell in passing.T])
    limits = _limits(sums.frequency, directional, parameters.cutoff)
    used = _with_signal(sums.frequency, curve, parameters.cutoff)
    resolution = {
        f"{t:g}": crossing_resolution(sums.frequency, curve, t) for t in dict.fromkeys((parameters.cutoff, 0.143, 0.5))
    }
    fdr = None
    if parameters.false_discovery_rate is not None:
        fdr = fdr_threshold(curve, independent_coefficients(sums.count) * share, parameters.false_discovery_rate)
        resolution["fdr"] = crossing_resolution(sums.frequency, curve, fdr)
    signal, error = relative_signal(cones, weights, curve, used, share)
    details: Dict[str, Any] = {
        **_principal(axes, limits),
        **missing_region(axes, signal, error),
        "anisotropy_p": _overall_p(occupied, tests[:, 1]),
    }
    volumes: Dict[str, Volume] = {}
    if parameters.estimate_3dfsc:
        volumes, more = _three_dimensional(halves, found, parameters, execution)
        details.update(more)
    result = FSOResult(
        frequency=sums.frequency,
        fsc=curve,
        fso=occupied,
        expected=_expected_occupancy(curve, weights, share, parameters.cutoff),
        bingham=tests[:, 0],
        p_value=tests[:, 1],
        axes=axes,
        directional=directional,
        limits=limits,
        signal=signal,
        cutoff=parameters.cutoff,
        criterion=_criterion(inputs, parameters),
        grid=grid,
        resolution=resolution,
        occupancy={f"{level:g}": crossing_resolution(sums.frequency, occupied, level) for level in LEVELS},
        fdr=fdr,
        details=details,
        **volumes,
    )
    details["warnings"] = _doubts(result, inputs, parameters)
    return result


def _spectrum(half: Volume, mask: Optional[Volume], threads: int) -> Complex:
    if mask is None:
        return rfft(half.data, threads)
    return rfft((half.data - np.float32(solvent_level(half.data, mask.data))) * mask.data, threads)


def directional_curves(cones: Float64, weights: Float64, curve: Float64) -> Float64:
    """Return the FSC of every direction; where a cone holds too few coefficients, that of the shell."""
    total, squares = weights[..., 0], weights[..., 1]
    return np.where((total > 0) & (total**2 >= FEWEST * squares), correlation_of(cones), curve)


def _limits(frequency: Float64, directional: Float64, cutoff: float) -> Float64:
    return np.array([crossing_resolution(frequency, curve, cutoff) or np.nan for curve in directional])


def _expected_occupancy(curve: Float64, weights: Float64, share: float, cutoff: float) -> Float64:
    """Return the FSO of an isotropic map: the chance that FSC plus the noise of a cone is at least the cutoff.

    The FSC of n independent coefficients has a standard error of (1 - FSC^2) / sqrt(2 n); a cone has
    (sum w)^2 / sum w^2 of them, and a mask leaves a share of these independent.
    """
    from scipy.special import ndtr

    total, squares = weights[..., 0].sum(axis=0), weights[..., 1].sum(axis=0)
    in_cone = np.divide(total**2, squares * len(weights), out=np.zeros_like(total), where=squares > 0)
    error = np.maximum((1.0 - curve**2) / np.sqrt(2.0 * np.maximum(share * in_cone, 1.0)), 1e-9)
    return np.where(in_cone >= FEWEST, ndtr((curve - cutoff) / error), curve >= cutoff)


def _overall_p(occupied: Float64, p_value: Float64) -> float:
    """Return the smallest p-value of the shells where some directions pass, times the number of these shells."""
    tested = p_value[(occupied >= LEVELS[-1]) & (occupied <= LEVELS[0])]
    if not tested.size:
        tested = p_value[(occupied > 0) & (occupied < 1)]
    return float(min(1.0, tested.min() * tested.size)) if tested.size else 1.0


# --- directions ---------------------------------------------------------------------------------------------------


def _principal(axes: Float64, limits: Float64) -> Dict[str, Any]:
    """Return the axes of the ellipsoid that fits the limits (1/Å) of all directions, the coarsest first."""
    frequencies, principal = principal_axes(axes, np.nan_to_num(1.0 / limits))
    return {
        "principal_resolutions": [1.0 / f if f > 0 else None for f in frequencies],
        "principal_axes_rot_tilt": [_rot_tilt(axis) for axis in principal],
    }


def relative_signal(
    cones: Float64, weights: Float64, curve: Float64, used: BoolArray, independent: float
) -> Tuple[Float64, float]:
    """Return the common power of the half maps in each cone, relative to the mean of its shell, and its standard error.

    The mean over the shells ``used``, each with the weight FSC^2 of its coefficients: the common power of one of them,
    relative to its mean, has the variance (1 + 1 / FSC^2) / 2, and a share of them is ``independent``.
    """
    total, squares, share = weights[:, used, 0], weights[:, used, 1] / independent, curve[used] ** 2
    shell_mean = cones[:, used, 0].sum(axis=0) / np.maximum(total.sum(axis=0), 1e-30)
    relative = np.divide(cones[:, used, 0], shell_mean, out=np.zeros_like(total), where=shell_mean > 0)
    weight = np.maximum(total @ share, 1e-30)
    variance = squares @ (share * (share + 1.0) / 2.0) / weight**2
    return relative @ share / weight, float(np.sqrt(variance.mean()))


def _with_signal(frequency: Float64, curve: Float64, cutoff: float) -> BoolArray:
    """Return the shells up to the resolution of the global FSC, without the first, of few coefficients."""
    used: BoolArray = (frequency <= (crossing_frequency(frequency, curve, cutoff) or 0.0)) & (curve > 0)
    used[: FIRST_SHELLS + 1] = False
    return used


def missing_region(axes: Float64, signal: Float64, error: float) -> Dict[str, Any]:
    """Return the share of directions without signal and the axis about which they lie.

    A direction is missing when its signal is below half of the usual one, the median of the directions above the mean.
    At the straight edge of a missing wedge a cone holds just half, whatever its opening. Nothing is said to be missing
    unless the share is twice what a standard error of ``error`` would bring below half.
    """
    from scipy.special import ndtr

    usual = float(np.median(signal[signal >= signal.mean()]))
    missing = signal < MISSING * usual
    share = float(missing.mean())
    if share < LEAST_MISSING + 2.0 * ndtr((MISSING - 1.0) / max(error, 1e-9)):
        return {"missing_fraction": 0.0, "missing_below": None, "missing_rot_tilt": None}
    axis = _rot_tilt(main_axis(axes[missing]))
    return {"missing_fraction": share, "missing_below": MISSING * usual, "missing_rot_tilt": axis}


def _rot_tilt(axis: Float64) -> List[float]:
    rot, tilt = rotation_and_tilt(axis)
    return [float(rot), float(tilt)]


# --- the third dimension ------------------------------------------------------------------------------------------


def _three_dimensional(
    halves: HalfMaps, found: Coefficients, parameters: FSOParameters, execution: Execution
) -> Tuple[Dict[str, Volume], Dict[str, Any]]:
    grid = halves.grid
    with execution.stage("3DFSC"):
        values = every_cone(found, parameters.cone_3dfsc)
    with execution.stage("sphericity and filter"):
        ball = connected_region(found, values >= parameters.sphericity_cutoff, FIRST_SHELLS)
        details = {"sphericity": sphericity(ball, grid), "sphericity_cutoff": parameters.sphericity_cutoff}
        passed = connected_region(found, values >= parameters.cutoff, FIRST_SHELLS)
        filtered = filter_by_direction(halves.mean().data, passed, grid, execution.threads)
    volumes = {"three_d": centred_map(found, values, at_origin=1.0), "filtered": filtered}
    return {name: halves.half1.like(data) for name, data in volumes.items()}, details


# --- words --------------------------------------------------------------------------------------------------------


def _criterion(inputs: Inputs, parameters: FSOParameters) -> str:
    what = "masked half maps" if inputs.mask is not None else "half maps"
    return (
        f"FSC of the {what} in cones of {parameters.cone:g} degrees about 321 directions at {parameters.cutoff:g}, at "
        "the first crossing, interpolated linearly between shells; FSO is the share of directions above"
    )


def _doubts(result: FSOResult, inputs: Inputs, parameters: FSOParameters) -> List[str]:
    """Say in words what was found, and what makes it doubtful."""
    found, details = [], result.details
    if result.resolution[f"{parameters.cutoff:g}"] is None:
        found.append("the FSC is below the cutoff from the first shell on: the half maps have nothing in common")
    if details["missing_rot_tilt"] is not None:
        rot, tilt = details["missing_rot_tilt"]
        found.append(
            f"{100 * details['missing_fraction']:.0f} % of the directions have hardly any signal, about the axis rot "
            f"{rot:.0f}, tilt {tilt:.0f} degrees: a missing wedge or cone, or views that are missing"
            + (
                "; the mask fills it from its borders, compare with a run without mask"
                if inputs.mask is not None
                else ""
            )
        )
    if details["anisotropy_p"] < SIGNIFICANT and None not in details["principal_resolutions"]:
        coarse, _, fine = details["principal_resolutions"]
        (coarse_rot, coarse_tilt), _, (fine_rot, fine_tilt) = details["principal_axes_rot_tilt"]
        found.append(
            f"the resolution depends on the direction (p = {details['anisotropy_p']:.1g}): it is coarsest, "
            f"{coarse:.2f} Å, along rot {coarse_rot:.0f}, tilt {coarse_tilt:.0f} degrees, and finest, {fine:.2f} Å, "
            f"along rot {fine_rot:.0f}, tilt {fine_tilt:.0f} degrees"
        )
    return found


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: FSOParameters) -> List[str]:
    return [] if inputs.mask is None else [str(finding) for finding in hard_mask_findings(inputs.mask)]


def _memory(inputs: Inputs, parameters: FSOParameters, threads: int) -> float:
    # In volumes of 4 bytes a voxel: spectra, frequencies and the sorted list; then the list, the 3DFSC and the filter.
    return 4.0 * inputs.grid.size * (9.7 if parameters.estimate_3dfsc else 7.2)


def _gpu_memory(inputs: Inputs, parameters: FSOParameters) -> float:
    # In volumes: of half of the coefficients in a ball, pi / 12 of the voxels of a box, direction, products and 3DFSC.
    return gpu_bytes(inputs.grid, 1.9)


METHOD = Method(
    name="fso",
    title="Directional resolution (FSO, 3DFSC)",
    maps=(HALVES,),
    parameters=FSOParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "fsc.star": "the global FSC and the FSO",
        "fsc.xml": "the global FSC in EMDB's format",
        "fso.csv": "FSC, FSO, the FSO of an isotropic map, and Bingham's test in each shell",
        "directions.csv": "resolution and signal of each direction",
        "directional_fsc.csv": "the FSC curve of each direction",
        "3dfsc.mrc": "the 3DFSC, the zero frequency in the middle voxel",
        "filtered.mrc": "the full map, low-passed in each direction at its own resolution",
    },
    citations=("Vilas2023", "Tan2017", "Bingham1974", "Harauz1986"),
    mask="used",
    soft_mask=True,
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
