"""Global resolution by Fourier shell correlation: plain, masked, corrected for the mask, and map against model.

Two half maps are compared shell by shell. A mask (soft: it multiplies the maps) takes noise away and brings a
correlation of its own; the curve of the masked maps with random phases measures that share, and the corrected curve is
free of it. With an atomic model the full map is compared with the model's density too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from cryores.backend import gpu_bytes
from cryores.diagnosis import filtered_findings, hard_mask_findings, rises_again
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.filters import low_pass
from cryores.fourier import Complex, Float64, ShellSums, filtered, rfft, shell_sums
from cryores.masks import BINARY_THRESHOLD, independent_share, solvent_level
from cryores.method import HALVES, MAP, Inputs, Method, parameter
from cryores.resolution._fsc_result import FSCResult
from cryores.shell_correlation import (
    CRITERIA,
    CROSSINGS,
    asymmetric_units,
    corrected_curve,
    correlation,
    crossing_resolution,
    fdr_threshold,
    fsc_curve,
    independent_coefficients,
    phase_residual,
    randomised,
    solvent_corrected,
    stays_above,
    threshold_curve,
)
from cryores.volume import Grid, HalfMaps, Maps, Volume, full_map

SUSPICIOUS_RANDOMISED = 0.1
"""A randomised FSC above this at the estimate means that the mask makes much of the correlation."""

MASKED_SHARE = 0.2
"""Share of voxels with the value of the box's first corner above which a half map counts as masked."""

DEPENDENT_FSC = 0.3
"""Mean FSC of the outermost tenth of the shells above which the halves do not look independent."""

MODEL_CRITERIA = ("0.143", "0.5")


@dataclass(frozen=True)
class FSCParameters:
    """Parameters of the global FSC."""

    cutoff: float = parameter(
        0.143,
        "FSC value that defines the resolution reported first; the usual ones are always reported",
        "",
        0.0,
        0.999,
    )
    crossing: str = parameter(
        "first",
        "Where the curve meets a threshold: first or last descent, interpolated, or shell: the last shell above",
        choices=CROSSINGS,
    )
    randomise_from: Optional[float] = parameter(
        None,
        "Resolution from which phases are randomised under the mask; default, where the unmasked FSC falls",
        "Å",
        0.1,
        expert=True,
    )
    randomise_below: float = parameter(
        0.8, "Unmasked FSC below which phases are randomised, where no resolution is given", "", 0.0, 1.0, expert=True
    )
    seed: int = parameter(0, "Seed of the random phases", minimum=0, expert=True)
    symmetry: str = parameter(
        "C1", "Point group imposed on the map: it leaves fewer independent values in a shell (half-bit, 1-bit, 3-sigma)"
    )
    false_discovery_rate: Optional[float] = parameter(
        None,
        "Adds the criterion fdr: share of the shells above it that may be but noise (usual: 0.01); default, left out",
        "",
        1e-6,
        0.5,
        expert=True,
    )
    particle_fraction: Optional[float] = parameter(
        None,
        "Share of the box that the particle fills; adds the curve corrected for solvent",
        "",
        0.001,
        1.0,
        expert=True,
    )
    compat: Optional[str] = parameter(
        None,
        "relion: count the stored half of the spectrum once and keep the density outside the mask as it is",
        choices=("relion",),
        expert=True,
    )


# --- computation --------------------------------------------------------------------------------------------------


def fsc(
    maps: Maps,
    mask: Optional[Volume] = None,
    model: Optional[str] = None,
    execution: Optional[Execution] = None,
    **parameters: Any,
) -> FSCResult:
    """Measure the global resolution by Fourier shell correlation.

    Parameters
    ----------
    maps : HalfMaps or Volume
        Two half maps; or one map, which then needs ``model``.
    mask : Volume, optional
        Soft mask, 0 to 1: multiplies the maps after the mean density outside it was subtracted.
    model : str, optional
        Path of an atomic model in the frame of the map.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `FSCParameters`.

    Returns
    -------
    FSCResult
        Curves, and the resolution at 0.143, 0.5, half-bit, 1-bit and 3-sigma.

    Raises
    ------
    UsageError
        ``E_NO_HALVES`` for one map without a model; an unknown or invalid parameter.
    InputError
        What the checks of every input raise.

    Notes
    -----
    The sums count every coefficient of the full spectrum once; RELION, Xmipp and Bsoft count the stored half, where
    the plane kx = 0 weighs double (``compat="relion"``). Random phases keep the map real. Sources: Harauz & van Heel
    1986 (FSC), Rosenthal & Henderson 2003 (0.143), van Heel & Schatz 2005 (bits), Chen et al. 2013 (random phases).
    """
    result: FSCResult = METHOD.result(Inputs(maps, mask=mask, model=model), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: FSCParameters, execution: Execution) -> FSCResult:
    curves: Dict[str, Any] = {}
    if isinstance(inputs.maps, HalfMaps):
        curves = _half_map_curves(inputs.maps, inputs.mask, parameters, execution)
    if inputs.model is not None:
        curves.update(_model_curves(inputs, curves.get("details", {}).get("estimate"), parameters, execution))
    details = {
        "cutoff": parameters.cutoff,
        "crossing": parameters.crossing,
        "seed": parameters.seed,
        **curves.pop("details", {}),
        **curves.pop("model_details", {}),
    }
    return FSCResult(criterion=_criterion(inputs, parameters), grid=inputs.grid, details=details, **curves)


def _half_map_curves(
    halves: HalfMaps, mask: Optional[Volume], parameters: FSCParameters, execution: Execution
) -> Dict[str, Any]:
    grid, threads, there = halves.grid, execution.threads, execution.backend
    weights = _weights(grid, parameters)
    with execution.stage("FSC of the half maps"):
        spectra = [rfft(there.asarray(half.data), threads) for half in (halves.half1, halves.half2)]
        sums = shell_sums(spectra[0], spectra[1], grid, weights)
        unmasked = fsc_curve(sums)
        curves: Dict[str, Any] = {
            "frequency": sums.frequency,
            "count": _independent(sums, parameters),
            "unmasked": unmasked,
            "corrected": unmasked,
            "phase_residual": phase_residual(spectra[0], spectra[1], grid),
        }
    details: Dict[str, Any] = {}
    independent, noise = curves["count"], 1.0
    if parameters.particle_fraction is not None:
        curves["particle"] = solvent_corrected(unmasked, parameters.particle_fraction)
    if mask is not None:
        first = _first_randomised(unmasked, sums.frequency, parameters)
        curves.update(_masked_curves(halves, mask, spectra, first, parameters, execution))
        curves["corrected"] = curves["masked"]
        if first is not None:
            curves["corrected"], noise = corrected_curve(curves["masked"], curves["randomised"], first), 2.0
            details["randomised_from"] = float(1.0 / sums.frequency[first])
        independent = np.maximum(independent * independent_share(mask.data), 1.0)
        curves["masked_resolution"] = _resolutions(sums.frequency, curves["masked"], independent, parameters)
    curves["resolution"] = _resolutions(sums.frequency, curves["corrected"], independent, parameters, noise)
    curves["unmasked_resolution"] = _resolutions(sums.frequency, unmasked, curves["count"], parameters)
    thresholds = _thresholds(curves["corrected"], independent, parameters, noise)
    curves["reaches_nyquist"] = {name: stays_above(curves["corrected"], t) for name, t in thresholds.items()}
    curves["fdr"] = thresholds.get("fdr")
    details["estimate"] = curves["resolution"][f"{parameters.cutoff:g}"]
    power = (sums.power1 + sums.power2) / np.maximum(sums.count, 1)
    details["warnings"] = [str(finding) for finding in filtered_findings(sums.frequency, power)]
    details["warnings"] += _doubts(curves, mask, details["estimate"], f"{parameters.cutoff:g}")
    return {**curves, "details": details}


def _masked_curves(
    halves: HalfMaps,
    mask: Volume,
    spectra: List[Complex],
    first: Optional[int],
    parameters: FSCParameters,
    execution: Execution,
) -> Dict[str, Any]:
    """Return the FSC of the masked maps and, from shell ``first``, with random phases; uses ``spectra`` up."""
    grid, threads, there = halves.grid, execution.threads, execution.backend
    weights = _weights(grid, parameters)
    both = (halves.half1, halves.half2)
    solvent = [0.0 if parameters.compat else solvent_level(half.data, mask.data) for half in both]
    weight, curves = there.asarray(mask.data), {}
    if first is not None:
        rng = np.random.default_rng(parameters.seed)
        with execution.stage("FSC under the mask with random phases"):
            for s in solvent:
                # One after the other out of the list: no more than three volumes are held at a time.
                noise = randomised(spectra.pop(0), grid, first, rng, threads)
                noise -= s
                noise *= weight
                spectra.append(rfft(noise, threads))
                del noise
            curves["randomised"] = fsc_curve(shell_sums(spectra[0], spectra[1], grid, weights))
    spectra.clear()
    with execution.stage("FSC under the mask"):
        masked = [rfft((there.asarray(half.data) - s) * weight, threads) for half, s in zip(both, solvent)]
        curves["masked"] = fsc_curve(shell_sums(masked[0], masked[1], grid, weights))
    return curves


def _model_curves(
    inputs: Inputs, estimate: Optional[float], parameters: FSCParameters, execution: Execution
) -> Dict[str, Any]:
    from cryores.atoms import density_from_model

    grid, threads, there = inputs.grid, execution.threads, execution.backend
    assert inputs.model is not None
    with execution.stage("FSC of map and model"):
        model = there.asarray(density_from_model(inputs.model, grid, resolution=grid.nyquist).data)
        on_host = full_map(inputs.maps).data
        full = there.asarray(on_host)
        mask = inputs.mask.data if inputs.mask is not None else None
        if mask is not None:
            level, weight = 0.0 if parameters.compat else solvent_level(on_host, mask), there.asarray(mask)
            sums = shell_sums(
                rfft((full - level) * weight, threads),
                rfft(model * weight, threads),
                grid,
                _weights(grid, parameters),
            )
        else:
            sums = shell_sums(rfft(full, threads), rfft(model, threads), grid, _weights(grid, parameters))
        curve = fsc_curve(sums)
        resolution = {
            name: crossing_resolution(sums.frequency, curve, float(name), parameters.crossing)
            for name in MODEL_CRITERIA
        }
        limit = estimate or resolution["0.5"] or grid.nyquist
        pair = [there.to_host(filtered(data, low_pass(limit), grid, threads)) for data in (full, model)]
        details: Dict[str, Any] = {"model_cc_box": correlation(pair[0], pair[1]), "model_cc_resolution": limit}
        if mask is not None:
            details["model_cc_mask"] = correlation(pair[0][mask > BINARY_THRESHOLD], pair[1][mask > BINARY_THRESHOLD])
    return {
        "frequency": sums.frequency,
        "count": _independent(sums, parameters),
        "model": curve,
        "model_resolution": resolution,
        "model_details": details,
    }


# --- choices ------------------------------------------------------------------------------------------------------


def _weights(grid: Grid, parameters: FSCParameters) -> Optional[Float64]:
    return np.ones(grid.shape[2] // 2 + 1) if parameters.compat == "relion" else None


def _independent(sums: ShellSums, parameters: FSCParameters) -> Float64:
    # The stored half of the spectrum, counted once, already holds about one of every mirror pair.
    full = 2.0 * sums.count if parameters.compat == "relion" else sums.count
    return independent_coefficients(full, asymmetric_units(parameters.symmetry))


def _criteria(parameters: FSCParameters) -> List[str]:
    own = f"{parameters.cutoff:g}"
    return [*CRITERIA, *([] if own in CRITERIA else [own])]


def _thresholds(
    curve: Float64, independent: Float64, parameters: FSCParameters, noise: float = 1.0
) -> Dict[str, Float64]:
    """Return criterion -> threshold of every shell, of a curve with ``noise`` times the variance of a plain FSC."""
    found = {name: threshold_curve(name, independent) for name in _criteria(parameters)}
    if parameters.false_discovery_rate is not None:
        found["fdr"] = fdr_threshold(curve, independent / noise, parameters.false_discovery_rate)
    return found


def _resolutions(
    frequency: Float64, curve: Float64, independent: Float64, parameters: FSCParameters, noise: float = 1.0
) -> Dict[str, Optional[float]]:
    return {
        name: crossing_resolution(frequency, curve, threshold, parameters.crossing)
        for name, threshold in _thresholds(curve, independent, parameters, noise).items()
    }


def _first_randomised(unmasked: Float64, frequency: Float64, parameters: FSCParameters) -> Optional[int]:
    """Return the first shell to randomise, None where there is no such shell."""
    if parameters.randomise_from is None:
        chosen = np.flatnonzero(unmasked[1:] < parameters.randomise_below) + 1
        return int(chosen[0]) if chosen.size else None
    shell = max(1, int(1.0 / (parameters.randomise_from * frequency[1])))
    return shell if shell < len(frequency) else None


def _criterion(inputs: Inputs, parameters: FSCParameters) -> str:
    where = {
        "first": "at the first crossing, interpolated linearly between shells",
        "last": "at the last descent below it, interpolated linearly between shells",
        "shell": "at the last shell before the first value below it",
    }[parameters.crossing]
    if not isinstance(inputs.maps, HalfMaps):
        return f"FSC of the map and the density of the model at 0.5 and 0.143, {where}"
    masked = (
        " of the masked half maps, corrected by phase randomisation,"
        if inputs.mask is not None
        else " of the half maps without a mask, which noise around the particle lowers,"
    )
    return f"FSC{masked} at {parameters.cutoff:g}, {where}"


def _doubts(curves: Dict[str, Any], mask: Optional[Volume], estimate: Optional[float], name: str) -> List[str]:
    """Say in words what makes the estimate doubtful."""
    found = []
    if estimate is None:
        found.append(f"the FSC is below {name} from the first shell on: the half maps have nothing in common")
    if curves["reaches_nyquist"][name]:
        found.append(f"the FSC never falls below {name}: the resolution is at least the Nyquist limit of this sampling")
    unmasked = curves["unmasked"]
    if unmasked[-max(1, len(unmasked) // 10) :].mean() > DEPENDENT_FSC:
        found.append(
            "the half maps agree up to the outermost shells: are they independent, and not resampled or filtered?"
        )
    again = rises_again(unmasked, curves["count"])
    if again is not None:
        found.append(
            f"the FSC rises again at {1.0 / curves['frequency'][again]:.2f} Å (to {unmasked[again]:.2f}) after it had "
            "ended: look for a shared mask, interpolation or an artefact there; --crossing first counts the first end"
        )
    if mask is None or estimate is None:
        return found
    if "randomised" not in curves:
        found.append("no shell was left to randomise phases in: the masked curve is not corrected")
    elif np.interp(1.0 / estimate, curves["frequency"], curves["randomised"]) > SUSPICIOUS_RANDOMISED:
        found.append(
            f"maps with random phases still correlate above {SUSPICIOUS_RANDOMISED} at the estimate: "
            "the mask is too tight or too sharp; use a wider, softer one"
        )
    finer = curves["unmasked_resolution"][name]
    if finer is not None and finer < estimate * (1.0 - 1e-6):
        found.append(f"the unmasked maps give a finer value ({finer:.2f} Å): the mask cuts off density")
    return found


# --- declaration --------------------------------------------------------------------------------------------------


def _check(inputs: Inputs, parameters: FSCParameters) -> List[str]:
    asymmetric_units(parameters.symmetry)
    if not isinstance(inputs.maps, HalfMaps) and inputs.model is None:
        raise UsageError(
            "E_NO_HALVES",
            "one map has nothing to be correlated with",
            "give --half1 and --half2, or an atomic model with --model",
        )
    found = []
    if inputs.model is not None:
        from cryores.atoms import doubts_about, read_model

        found += doubts_about(read_model(inputs.model))
        if inputs.mask is None:
            found.append("map and model are compared with no mask: noise lowers their FSC; give a soft --mask")
    if inputs.mask is not None:
        found += map(str, hard_mask_findings(inputs.mask))
    if isinstance(inputs.maps, HalfMaps):
        data = inputs.maps.half1.data
        share = np.count_nonzero(data == data[0, 0, 0]) / data.size
        if share > MASKED_SHARE:
            found.append(
                f"{100 * share:.0f} % of the first half map's voxels have one value: the halves were masked before, "
                "which no curve here is corrected for; give the unmasked half maps"
            )
    return found


def _memory(inputs: Inputs, parameters: FSCParameters, threads: int) -> float:
    # In volumes of 4 bytes a voxel: two spectra; under a mask a product, or noise; with a model both maps and products.
    volumes = 5.1 if inputs.model is not None else 3.1 if inputs.mask is not None else 2.1
    return 4.0 * inputs.grid.size * volumes


def _gpu_memory(inputs: Inputs, parameters: FSCParameters) -> float:
    # In volumes: spectra of the halves and the order of their coefficients; under a mask the mask, and the product that
    # is transformed; with a model, maps.
    volumes = 6.0 if inputs.model is not None else 4.0 if inputs.mask is not None else 3.0
    return gpu_bytes(inputs.grid, volumes + 0.3)


METHOD = Method(
    name="fsc",
    title="Fourier shell correlation",
    maps=(HALVES, MAP),
    parameters=FSCParameters,
    compute=_compute,
    memory=_memory,
    outputs={
        "fsc.star": "every curve, with RELION's labels where it has them",
        "fsc.xml": "the corrected curve (of a single map: map against model) in EMDB's format",
        "fsc.csv": "every curve, with the number of independent coefficients of each shell",
    },
    citations=("Harauz1986", "Rosenthal2003", "vanHeel2005", "Chen2013", "Beckers2020"),
    optional=("model",),
    mask="used",
    soft_mask=True,
    needs_noise=False,
    check=_check,
    gpu_memory=_gpu_memory,
)
