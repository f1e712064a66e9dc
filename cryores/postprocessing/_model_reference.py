"""An atomic model as the reference of a map: whether it is fit to be one, whether it lies in the map, its density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from cryores.atoms import TRACE, atom_positions, density_from_model, model_outside, read_model
from cryores.errors import InputError
from cryores.execution import Execution
from cryores.fourier import rfft, shell_sums
from cryores.masks import BINARY_THRESHOLD, distance_outside, soft_edge
from cryores.shell_correlation import correlation, crossing_resolution, fsc_curve
from cryores.volume import BoolArray, Grid, Volume

REACH = 3.0
"""Å around the atoms in which map and model are compared."""

COARSEST_FIT, LEAST_CORRELATION = 12.0, 0.3
"""A model lies elsewhere when its FSC with the map falls below 0.5 before this resolution (Å), and the densities around
its atoms correlate less than this. Either alone happens to good models: in sharpened cuts, and at low resolution."""

MOSTLY_INSIDE = 0.95
"""Share of the atoms below which a model that reaches out of the map is worth a warning."""


MOSTLY_MASKED = 0.5
"""Share of the model's surroundings inside the mask below which the mask is worth a warning."""


@dataclass(frozen=True)
class ModelFit:
    """How a map agrees with a model around its atoms.

    Parameters
    ----------
    resolution : float or None
        Å at which their FSC falls below 0.5; None when it is below from the first shell on.
    correlation : float
        Of the densities (CC_mask).
    """

    resolution: Optional[float]
    correlation: float


@dataclass(frozen=True)
class ModelReference:
    """Density of a model on the grid of a map, and how the map agrees with it."""

    density: Volume
    near: Volume
    fit: ModelFit


def check_model(path: str, grid: Grid) -> List[str]:
    """Return doubts about a model as a reference, in words.

    Raises
    ------
    InputError
        ``E_NO_FILE``, ``E_MODEL`` unreadable, empty, or nothing but hydrogen · ``E_MODEL_OUTSIDE`` no atom in the box ·
        ``E_MODEL_BFACTORS`` every B-factor is 0 · ``E_MODEL_TRACE`` C-alpha atoms only.
    """
    structure = read_model(path)
    atoms = [site.atom for site in structure[0].all()]
    heavy = [atom for atom in atoms if not atom.element.is_hydrogen]
    if not heavy:
        raise InputError("E_MODEL", f"{path} holds only hydrogen", "give a model with all its atoms")
    if sum(_is_calpha(atom) for atom in heavy) > TRACE * len(heavy):
        raise InputError(
            "E_MODEL_TRACE",
            f"{path} holds C-alpha atoms only: their density has not the amplitudes of a molecule",
            "give the full model, or none: local scaling works without one",
        )
    inside = float(np.mean(_in_box(structure, grid)))
    if inside == 0.0:
        raise model_outside()
    return [*_bfactor_doubts(path, np.array([atom.b_iso for atom in heavy])), *_placing_doubts(structure, inside)]


def model_reference(path: str, volume: Volume, execution: Execution) -> ModelReference:
    """Return the density of a model on the grid of ``volume``.

    Raises
    ------
    InputError
        ``E_MODEL_MISFIT`` if the model does not lie in the map.
    """
    structure = read_model(path)
    with execution.stage("density of the model"):
        density = density_from_model(structure, volume.grid)
        near = soft_edge(volume.like(around_atoms(structure, volume.grid, REACH)), REACH)
        fit = fit_of(volume, density, near, execution.threads)
    if (fit.resolution or np.inf) > COARSEST_FIT and fit.correlation < LEAST_CORRELATION:
        where = "from the start" if fit.resolution is None else f"at {fit.resolution:.1f} Å"
        raise InputError(
            "E_MODEL_MISFIT",
            f"the model does not lie in the map: their FSC falls below 0.5 {where}, and around the atoms the densities "
            f"correlate by {fit.correlation:.2f}",
            "fit the model into this map; check origin, voxel size, hand and contrast of the map",
        )
    return ModelReference(density, near, fit)


def fit_of(volume: Volume, density: Volume, near: Volume, threads: int) -> ModelFit:
    """Compare a map with the density of a model under the soft mask ``near`` its atoms."""
    spectra = [rfft(v.data * near.data, threads) for v in (volume, density)]
    sums = shell_sums(spectra[0], spectra[1], volume.grid)
    inside = near.data > BINARY_THRESHOLD
    return ModelFit(
        crossing_resolution(sums.frequency, fsc_curve(sums), 0.5),
        correlation(volume.data[inside], density.data[inside]),
    )


def around_atoms(structure: Any, grid: Grid, reach: float) -> BoolArray:
    """Return the voxels within ``reach`` Å of an atom of the first model."""
    index = _indices(structure, grid)[_in_box(structure, grid)]
    at = np.zeros(grid.shape, dtype=bool)
    at[tuple(np.minimum(np.rint(index).astype(int), np.array(grid.shape) - 1).T)] = True
    near: BoolArray = distance_outside(at, grid.voxel_size, reach) <= reach
    return near


def fit_details(
    model: ModelReference, before: Volume, after: Volume, inside: BoolArray, threads: int
) -> Dict[str, Any]:
    """Return for the report how two maps agree with a model where it lies inside the mask, and doubts in words."""
    near = model.near.like(model.near.data * inside)
    share = np.count_nonzero(near.data > BINARY_THRESHOLD) / np.count_nonzero(model.near.data > BINARY_THRESHOLD)
    doubts = _fit_doubts(model.fit)
    if share < MOSTLY_MASKED:
        doubts.append(f"only {share:.0%} of what surrounds the model lies in the mask")
    found: Dict[str, Any] = {"model_in_mask": share, "warnings": doubts}
    if share == 0:
        return found
    for name, volume in (("before", before), ("after", after)):
        fit = fit_of(volume, model.density, near, threads)
        found.update({f"model_resolution_{name}": fit.resolution, f"model_correlation_{name}": fit.correlation})
    return found


def _fit_doubts(fit: ModelFit) -> List[str]:
    """Say in words that a model that was not refused may still lie elsewhere."""
    if (fit.resolution or np.inf) <= COARSEST_FIT and fit.correlation >= LEAST_CORRELATION:
        return []
    where = "from the start" if fit.resolution is None else f"at {fit.resolution:.1f} Å"
    return [
        f"the model agrees poorly with the map: their FSC falls below 0.5 {where}, and around the atoms the densities "
        f"correlate by {fit.correlation:.2f}; look whether it lies in the map"
    ]


def _is_calpha(atom: Any) -> bool:
    return bool(atom.name == "CA" and atom.element.name == "C")


def _indices(structure: Any, grid: Grid) -> Any:
    return (atom_positions(structure) - grid.first_voxel) / grid.voxel_size


def _in_box(structure: Any, grid: Grid) -> BoolArray:
    index = _indices(structure, grid)
    inside: BoolArray = np.all((index >= 0) & (index < grid.shape), axis=1)
    return inside


def _bfactor_doubts(path: str, bfactors: Any) -> List[str]:
    if np.all(bfactors <= 0):
        raise InputError(
            "E_MODEL_BFACTORS",
            f"every B-factor of {path} is 0: its density decays nowhere, and would sharpen all of the map too much",
            "refine the B-factors of the model against the map, or give no model",
        )
    found = []
    unset = float(np.mean(bfactors <= 0))
    if unset > 0:
        found.append(f"{unset:.0%} of the atoms have a B-factor of 0: the map is sharpened too much around them")
    if np.ptp(bfactors) == 0:
        found.append(
            f"every atom has the same B-factor, {bfactors[0]:.4g} Å²: "
            "the reference is as sharp where the map is poor; refine "
            "the B-factors against the map"
        )
    return found


def _placing_doubts(structure: Any, inside: float) -> List[str]:
    found = []
    if len(structure) > 1:
        found.append(f"the file holds {len(structure)} models: the first is the reference")
    if inside < MOSTLY_INSIDE:
        found.append(f"{1.0 - inside:.0%} of the atoms lie outside the map, and are left out")
    return found
