"""Resolution against the distance from the centre: FSC of the half maps in concentric shells, for capsids.

At each radius a spherical shell is cut out of both halves and compared by Fourier shell correlation; the resolution is
where the curve falls below a cutoff. Source: Cardone, Heymann & Steven, J. Struct. Biol. 184, 226 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import numba
import numpy as np

from cryores.backend import gpu_bytes, kernel
from cryores.curves import csv_text
from cryores.diagnosis import WINDOW_RULE
from cryores.errors import UsageError
from cryores.execution import Execution
from cryores.fourier import Float64, shell_frequencies, shell_sums
from cryores.masks import BINARY_THRESHOLD
from cryores.method import HALVES, Inputs, LocalResolution, Method, parameter
from cryores.shell_correlation import CROSSINGS, crossing_resolution, fsc_curve, uncorrected_resolution
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume


@dataclass(frozen=True)
class BlocresShellsParameters:
    """Parameters of blocres in shells."""

    thickness: int = parameter(20, "thickness of a shell", unit="voxels", minimum=4)
    step: int = parameter(1, "distance of the shells' radii; values between are interpolated", unit="voxels", minimum=1)
    cutoff: float = parameter(0.5, "FSC at which the resolution is read", minimum=0.001, maximum=0.999)
    smooth: bool = parameter(True, "shells fade out to both sides (Hann); otherwise they are cut off")
    min_resolution: Optional[float] = parameter(
        None, "finest resolution that is looked for; default Nyquist", unit="Å", minimum=0.1
    )
    crossing: str = parameter(
        "last",
        "which descent below the cutoff counts",
        choices=tuple(c for c in CROSSINGS if c != "shell"),
        expert=True,
    )


@dataclass(frozen=True)
class ShellResolution(LocalResolution):
    """A map painted by radius, and the curves that it was painted from.

    Parameters
    ----------
    radius : ndarray of float64, shape (radii,)
        Middle of each shell, Å from voxel n // 2.
    at_radius : ndarray of float64, shape (radii,)
        Resolution in Å there.
    frequency : ndarray of float64, shape (frequencies,)
        1/Å, up to the finest resolution that is looked for.
    curves : ndarray of float64, shape (radii, frequencies)
        FSC in each shell.
    cutoff : float
        FSC at which the resolution was read.
    """

    radius: Float64 = field(default_factory=lambda: np.zeros(0))
    at_radius: Float64 = field(default_factory=lambda: np.zeros(0))
    frequency: Float64 = field(default_factory=lambda: np.zeros(0))
    curves: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    cutoff: float = 0.5

    def tables(self) -> Dict[str, str]:
        """Return ``shells.csv``: radius and resolution in Å."""
        return {"shells.csv": csv_text({"radius": self.radius, "resolution": self.at_radius})}


def blocres_shells(
    maps: HalfMaps, mask: Optional[Volume] = None, execution: Optional[Execution] = None, **parameters: Any
) -> ShellResolution:
    """Compute the resolution against the distance from the centre of the box.

    Parameters
    ----------
    maps : HalfMaps
        The two half maps, neither masked nor sharpened, centred on voxel n // 2.
    mask : Volume, optional
        Voxels above 0.5 are painted; it does not touch the maps. Made when not given.
    execution : Execution, optional
        Threads and memory.
    **parameters
        Fields of `BlocresShellsParameters`.

    Returns
    -------
    ShellResolution
        Resolution at each radius, and ``resolution`` in Å, NaN outside the mask and beyond the last radius.

    Raises
    ------
    UsageError
        ``E_SHELL`` a shell thicker than the box's radius, or a step that leaves fewer than two radii · ``E_RANGE`` a
        finest resolution that is coarser than half the thickness.

    Notes
    -----
    Differences from Bsoft's shell mode: (1) smooth shells fade out as the boxes of blocres do, not over one voxel;
    (2) the mean taken out of a half is that of the shell, not of the map, which would bring the shell's own shape into
    both; (3) hermitian weights; (4) no value is coarser than the thickness of a shell.
    """
    result: ShellResolution = METHOD.result(Inputs(maps, mask=mask), execution, parameters)
    return result


def _compute(inputs: Inputs, parameters: BlocresShellsParameters, execution: Execution) -> ShellResolution:
    halves, mask = inputs.maps, inputs.mask
    assert isinstance(halves, HalfMaps) and mask is not None
    grid = halves.grid
    finest = max(parameters.min_resolution or 0.0, grid.nyquist)
    thickness = parameters.thickness * grid.spacing
    radius = radii(grid, parameters.step)
    frequency = shell_frequencies(grid)
    # One frequency beyond the finest resolution, so that a crossing there is seen.
    frequency = frequency[: int(np.searchsorted(frequency, 1.0 / finest)) + 1]
    curves = _curves(halves, radius, thickness, parameters.smooth, execution)[:, : len(frequency)]
    at_radius = np.array(
        [
            np.clip(crossing_resolution(frequency, curve, parameters.cutoff, parameters.crossing) or np.inf, finest,
                    thickness)
            for curve in curves
        ]
    )  # fmt: skip
    return ShellResolution(
        resolution=Volume(painted(grid, mask.data > BINARY_THRESHOLD, radius, at_radius), grid),
        mask=mask,
        criterion=_criterion(parameters, grid),
        details={"thickness_angstrom": thickness, "radii": len(radius), "finest_resolution": finest},
        radius=radius,
        at_radius=at_radius,
        frequency=frequency,
        curves=curves,
        cutoff=parameters.cutoff,
    )


def radii(grid: Grid, step: int) -> Float64:
    """Return the middles of the shells in Å, every ``step`` voxels from 0 to half the shortest edge."""
    return np.arange(0.0, min(grid.extent) / 2.0 + 1e-6, step * grid.spacing)


def _curves(halves: HalfMaps, radius: Float64, thickness: float, smooth: bool, execution: Execution) -> Float64:
    """Return the FSC of the halves in the shell at each radius (Å), shape (radii, frequencies)."""
    grid = halves.grid
    there = execution.backend
    fft = there.real_fft(grid.shape, execution.threads)
    maps = [there.asarray(half.data) for half in (halves.half1, halves.half2)]
    cut = fft.empty_real()
    spectra = [fft.empty_spectrum() for _ in range(2)]
    axes = _axes(grid)
    curves = []
    with execution.stage("comparing shells", len(radius)) as stage:
        for r in radius:
            for data, spectrum in zip(maps, spectra):
                sums = _shell_mean(data, *axes, r, thickness, smooth).sum(axis=0)
                _cut_shell(data, sums[1] / sums[0], *axes, r, thickness, smooth, cut)
                fft.forward(cut, spectrum)
            curves.append(fsc_curve(shell_sums(spectra[0], spectra[1], grid)))
            # With the mean taken out nothing but rounding is left at frequency 0.
            curves[-1][0] = 1.0
            stage.advance()
    return np.array(curves)


def painted(grid: Grid, inside: BoolArray, radius: Float64, at_radius: Float64) -> FloatArray:
    """Return the resolution at each voxel inside by its radius; NaN outside and beyond the last radius.

    Between radii the spatial frequency is interpolated linearly.
    """
    z, y, x = _axes(grid)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    for plane, mask, z2 in zip(values, inside, z * z):
        r = np.sqrt(z2 + y[:, None] ** 2 + x**2)[mask]
        plane[mask] = 1.0 / np.interp(r, radius, 1.0 / at_radius, right=np.nan)
    return values


def _axes(grid: Grid) -> Any:
    """Return the positions of the voxels along z, y and x in Å from voxel n // 2."""
    return tuple((np.arange(n) - n // 2) * v for n, v in zip(grid.shape, grid.voxel_size))


@numba.njit(cache=True)  # type: ignore[misc]
def shell_weight(r, radius, thickness, smooth):  # type: ignore[no-untyped-def]
    """Return how much a voxel at distance ``r`` belongs to the shell about ``radius`` (all in Å)."""
    off = abs(r - radius) / thickness
    if off > 0.5:
        return 0.0
    return np.cos(np.pi * off) ** 2 if smooth else 1.0


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _shell_mean(data, z, y, x, radius, thickness, smooth):  # type: ignore[no-untyped-def]
    # Sums of the weights and of the weighted densities, for each plane: their order does not depend on the threads.
    sums = np.zeros((z.size, 2))
    for i in numba.prange(z.size):
        for j in range(y.size):
            for k in range(x.size):
                w = shell_weight(np.sqrt(z[i] * z[i] + y[j] * y[j] + x[k] * x[k]), radius, thickness, smooth)
                sums[i, 0] += w
                sums[i, 1] += w * data[i, j, k]
    return sums


@kernel
@numba.njit(parallel=True, cache=True)  # type: ignore[misc]
def _cut_shell(data, mean, z, y, x, radius, thickness, smooth, out):  # type: ignore[no-untyped-def]
    for i in numba.prange(z.size):
        for j in range(y.size):
            for k in range(x.size):
                w = shell_weight(np.sqrt(z[i] * z[i] + y[j] * y[j] + x[k] * x[k]), radius, thickness, smooth)
                out[i, j, k] = w * (data[i, j, k] - mean)


# --- checks and plan ----------------------------------------------------------------------------------------------


def _criterion(parameters: BlocresShellsParameters, grid: Grid) -> str:
    return (
        f"{parameters.crossing.capitalize()} crossing of FSC = {parameters.cutoff:g} (interpolated) of the halves in a "
        f"{'smooth' if parameters.smooth else 'sharp'} spherical shell of {parameters.thickness} voxels "
        f"({parameters.thickness * grid.spacing:.1f} Å) about each radius"
    )


def _check(inputs: Inputs, parameters: BlocresShellsParameters) -> List[str]:
    grid = inputs.grid
    half = min(grid.shape) // 2
    if parameters.thickness > half or parameters.step > half:
        raise UsageError(
            "E_SHELL",
            f"shells of {parameters.thickness} voxels, {parameters.step} apart, do not fit into a radius of {half}",
            "give a smaller --thickness or --step",
        )
    thickness = parameters.thickness * grid.spacing
    if (parameters.min_resolution or 0.0) > thickness / 2:
        raise UsageError(
            "E_RANGE",
            f"--min-resolution {parameters.min_resolution:g} Å is coarser than the shell can tell",
            "give a finer one, or a larger --thickness",
        )
    found = []
    if not parameters.smooth:
        found.append("sharp edges of the shells make the resolution look finer than it is; leave --smooth on")
    overall = uncorrected_resolution(inputs.maps, inputs.mask) if isinstance(inputs.maps, HalfMaps) else None
    if overall is not None and thickness < WINDOW_RULE[0] * overall:
        found.append(
            f"the shells of {thickness:.1f} Å are {thickness / overall:.1f} times the global resolution thick: below "
            f"{WINDOW_RULE[0]:g} times the curves are blurred; give a larger --thickness"
        )
    return found


def _memory(inputs: Inputs, parameters: BlocresShellsParameters, threads: int) -> float:
    # In volumes: what is cut out and two spectra; the painted map; before, the FSC of the halves under the mask.
    return 4.0 * inputs.grid.size * 5.1


def _gpu_memory(inputs: Inputs, parameters: BlocresShellsParameters) -> float:
    # Two halves, what is cut out of one, two spectra, and what a transform returns before it is stored; the order of
    # the coefficients.
    return gpu_bytes(inputs.grid, 6.3)


METHOD = Method(
    name="blocres-shells",
    title="blocres in shells",
    maps=(HALVES,),
    parameters=BlocresShellsParameters,
    compute=_compute,
    memory=_memory,
    gpu_memory=_gpu_memory,
    outputs={
        "shells.csv": "radius and resolution of each shell in Å",
        "resolution.mrc": "the resolution at each voxel's radius in Å, 0 outside the mask",
    },
    citations=("Cardone2013",),
    mask="made",
    check=_check,
)
