"""Atomic models: density of a model on a grid, values of a map at its atoms, and ideal helix bundles for tests.

The only module that imports gemmi. Positions are in Å; a model and a map share the frame in which voxel (0, 0, 0)
lies at `Grid.first_voxel`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, List, Optional, Tuple, Union

import gemmi
import numpy as np
import numpy.typing as npt

from cryores.errors import InputError
from cryores.files import require_file
from cryores.filters import low_pass
from cryores.fourier import Float64, irfft, multiply_radial, rfft, shell_width
from cryores.volume import Grid, Triple, Volume

Model = Union[str, "os.PathLike[str]", "gemmi.Structure"]

SMALLEST_SIGMA = 0.7
"""Standard deviation, in voxels, below which a Gaussian atom cannot be sampled; narrower ones are blurred and
sharpened back in Fourier space, exactly up to Nyquist."""

HELIX_RISE, HELIX_TURN = 1.5, np.radians(100.0)
"""Rise (Å) and turn of an alpha helix a residue."""

HELIX_ATOMS = (
    ("N", "N", 1.55, -27.9, -0.88),
    ("CA", "C", 2.29, 0.0, 0.0),
    ("C", "C", 1.68, 26.3, 1.06),
    ("O", "O", 2.04, 21.3, 2.27),
    ("CB", "C", 3.30, -20.6, -0.66),
    ("CG", "C", 4.35, -8.0, -1.30),
    ("CD", "C", 5.35, -16.0, -2.10),
)
"""Name, element, radius (Å), phase (degrees) and height (Å) of the atoms of a residue about the helix axis."""

_FIRST_MODEL: Any = (1,) if hasattr(gemmi.Model, "num") else ("1",)
"""gemmi numbers models from 0.7 on, and names them before."""

TRACE = 0.9
"""Share of the heavy atoms above which C-alpha atoms alone are no model of the density."""

HELIX_SPACING = 9.6
"""Distance of neighbouring helix axes in a bundle (Å)."""


def read_model(path: Union[str, os.PathLike[str]]) -> Any:
    """Read an atomic model (PDB or mmCIF, gzipped or not) and return its gemmi structure.

    Raises
    ------
    InputError
        ``E_NO_FILE`` if it is missing, ``E_READ`` if this user may not read it, ``E_MODEL`` if it is no model or holds
        no atom.
    """
    require_file(path)
    try:
        structure = gemmi.read_structure(os.fspath(path))
        # Names are bytes until they are asked for.
        for chain in structure[0] if len(structure) else ():
            _ = [(chain.name, residue.name, str(residue.seqid), [atom.name for atom in residue]) for residue in chain]
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError("E_MODEL", f"{path} is no atomic model ({error})", "give a PDB or mmCIF file") from error
    if not len(structure) or structure[0].count_atom_sites() == 0:
        raise InputError("E_MODEL", f"{path} holds no atom", "give a PDB or mmCIF file with coordinates")
    if not np.isfinite(atom_positions(structure)).all():
        raise InputError(
            "E_MODEL", f"{path} has atoms without a position", "give a model whose coordinates are numbers"
        )
    return structure


def atom_positions(structure: Any) -> Float64:
    """Return the positions of the first model's atoms as an array of shape (atoms, 3), in Å, in the order z, y, x."""
    return np.array([[c.atom.pos.z, c.atom.pos.y, c.atom.pos.x] for c in structure[0].all()], dtype=np.float64)


def share_outside(positions: Float64, grid: Grid) -> float:
    """Return the share of ``positions`` (z, y, x; Å) that lie between no voxels of ``grid``."""
    index = (positions - grid.first_voxel) / grid.voxel_size
    return float(np.mean(((index < 0) | (index > np.array(grid.shape) - 1)).any(axis=1)))


def model_outside() -> InputError:
    """Return the error of a model none of whose atoms lies in the map."""
    return InputError(
        "E_MODEL_OUTSIDE",
        "no atom of the model lies inside the map",
        "fit the model into this map, or check the origin in the map's header",
    )


@dataclass(frozen=True)
class Atoms:
    """The atoms of a model that are not hydrogen, one conformer of each residue, as arrays in the order of the file.

    Parameters
    ----------
    positions : ndarray of float64, shape (atoms, 3)
        (z, y, x) in Å.
    names, elements : tuple of str
        Of each atom.
    residue : ndarray of int, shape (atoms,)
        Which of the residues each atom belongs to.
    chains, numbers, residue_names : tuple of str
        Of each residue; the number comes with its insertion code.
    b_factors : ndarray of float64, shape (atoms,)
        In Å².
    structure : gemmi.Structure
        The same atoms, for writing.
    """

    positions: Float64
    names: Tuple[str, ...]
    elements: Tuple[str, ...]
    residue: npt.NDArray[np.int64]
    chains: Tuple[str, ...]
    numbers: Tuple[str, ...]
    residue_names: Tuple[str, ...]
    b_factors: Float64
    structure: Any = field(repr=False)


def heavy_atoms(structure: Any) -> Atoms:
    """Return the atoms of the first model without hydrogens and, where there are alternatives, with the first only.

    Raises
    ------
    InputError
        ``E_MODEL`` if only hydrogens are there.
    """
    kept = _first_model(structure)
    kept.remove_hydrogens()
    kept.remove_alternative_conformations()
    kept.remove_empty_chains()
    residues = [(chain.name, residue) for chain in kept[0] for residue in chain]
    sites = [(number, atom) for number, (_, residue) in enumerate(residues) for atom in residue]
    if not sites:
        raise InputError(
            "E_MODEL", "the model holds no atom but hydrogens", "give the model with its carbons, nitrogens, oxygens"
        )
    return Atoms(
        positions=np.array([atom.pos.tolist()[::-1] for _, atom in sites], dtype=np.float64),
        names=tuple(atom.name for _, atom in sites),
        elements=tuple(atom.element.name for _, atom in sites),
        residue=np.array([number for number, _ in sites], dtype=np.int64),
        chains=tuple(chain for chain, _ in residues),
        numbers=tuple(str(residue.seqid) for _, residue in residues),
        residue_names=tuple(residue.name for _, residue in residues),
        b_factors=np.array([atom.b_iso for _, atom in sites], dtype=np.float64),
        structure=kept,
    )


def doubts_about(structure: Any) -> List[str]:
    """Say in words what makes the density of a model unlike that of the molecule.

    Raises
    ------
    InputError
        ``E_MODEL`` if only hydrogens are there.
    """
    atoms = heavy_atoms(structure)
    found = [] if len(structure) == 1 else [f"the file holds {len(structure)} models: the first is used"]
    alphas = [name == "CA" and element == "C" for name, element in zip(atoms.names, atoms.elements)]
    if np.mean(alphas) > TRACE:
        found.append("the model holds C-alpha atoms only: their density has not the amplitudes of a molecule")
    if np.all(atoms.b_factors <= 0):
        found.append("every B-factor of the model is 0: its density is sharper than that of any molecule")
    return found


def polymer_atoms(atoms: Atoms) -> Tuple[int, int]:
    """Return how many of the atoms belong to amino acids, and how many to nucleotides."""
    kinds = {name: gemmi.find_tabulated_residue(name) for name in set(atoms.residue_names)}
    sizes = np.bincount(atoms.residue, minlength=len(atoms.residue_names)).tolist()
    residues = list(zip(atoms.residue_names, sizes))
    protein = sum(size for name, size in residues if kinds[name].is_amino_acid())
    nucleic = sum(size for name, size in residues if kinds[name].is_nucleic_acid())
    return protein, nucleic


def protein_sequences(structure: Any) -> List[str]:
    """Return the sequences of the protein chains of the first model, one letter a residue, each once."""
    whole = structure.clone()
    whole.setup_entities()
    chains = (chain.get_polymer() for chain in whole[0])
    peptides = (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD)
    found = {chain.make_one_letter_sequence() for chain in chains if chain.check_polymer_type() in peptides}
    return sorted(sequence.replace("-", "") for sequence in found)


def sequence_identity(one: str, other: str) -> float:
    """Return the share of residues of the shorter sequence that are the same in the other, after alignment."""
    aligned = gemmi.align_string_sequences(list(one), list(other), [])
    return float(aligned.match_count) / max(min(len(one), len(other)), 1)


def with_b_factors(atoms: Atoms, values: Float64) -> str:
    """Return the atoms as the text of an mmCIF file that has ``values`` in place of the B-factors, 0 where NaN."""
    structure = atoms.structure.clone()
    for site, value in zip(structure[0].all(), np.nan_to_num(values).tolist()):
        site.atom.b_iso = value
    structure.setup_entities()
    text: str = structure.make_mmcif_document().as_string()
    return text


def isotropic(structure: Any) -> Any:
    """Return a copy of a structure whose atoms have no anisotropic B-factors: `b_iso` decides their density then."""
    kept = structure.clone()
    for site in kept[0].all():
        site.atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    return kept


def _first_model(structure: Any) -> Any:
    first = gemmi.Structure()
    first.name = structure.name
    first.add_model(structure[0].clone())
    return first


def density_from_model(model: Model, grid: Grid, resolution: Optional[float] = None) -> Volume:
    """Compute the electrostatic potential of a model on a grid.

    Electron form factors of five Gaussians, each atom with its own B-factor and occupancy; atoms outside the box are
    left out. The density is band-limited at Nyquist.

    Parameters
    ----------
    model : path or gemmi.Structure
        Atomic model; the first model of the file is used.
    grid : Grid
        The grid of the density.
    resolution : float, optional
        Low-pass limit in Å.

    Returns
    -------
    Volume
        float32, arbitrary but absolute units (the sum over voxels times the voxel volume is the sum of f(0)).

    Raises
    ------
    InputError
        ``E_MODEL`` unreadable or empty; ``E_MODEL_OUTSIDE`` when no atom lies in the box.
    """
    structure = model if isinstance(model, gemmi.Structure) else read_model(model)
    inside = _shifted_into_box(structure, grid)
    if inside.count_atom_sites() == 0:
        raise model_outside()
    nz, ny, nx = grid.shape
    ez, ey, ex = grid.extent
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min = grid.nyquist
    calculator.grid.unit_cell = gemmi.UnitCell(ex, ey, ez, 90, 90, 90)
    calculator.grid.spacegroup = gemmi.SpaceGroup("P1")
    calculator.grid.set_size(nx, ny, nz)
    calculator.blur = _blur(inside, grid)
    calculator.add_model_density_to_grid(inside)
    density = np.ascontiguousarray(np.array(calculator.grid, copy=False).transpose(2, 1, 0), dtype=np.float32)
    return Volume(_band_limited(density, grid, calculator.blur, resolution), grid)


def values_at_atoms(volume: Volume, structure: Any) -> Float64:
    """Return the map's value at every atom of the first model, trilinearly interpolated; NaN outside the box."""
    from scipy.ndimage import map_coordinates

    index = (atom_positions(structure) - volume.grid.first_voxel) / volume.grid.voxel_size
    values: Float64 = map_coordinates(volume.data.astype(np.float64), index.T, order=1, cval=np.nan)
    return values


def piece_of_model(structure: Any, centre: Triple, turn: npt.NDArray[np.float64], grid: Grid) -> Any:
    """Return the atoms that lie in the box of ``grid`` once ``centre`` is in its middle and all is turned about it.

    Parameters
    ----------
    structure : gemmi.Structure
        The first model is used; it is not changed.
    centre : tuple of float
        Å, in the order z, y, x.
    turn : ndarray, shape (3, 3)
        Multiplies positions in the order x, y, z.
    grid : Grid
        The box, whose first voxel lies at 0.

    Returns
    -------
    gemmi.Structure
        One chain, one residue: nothing but atoms.
    """
    middle = np.array(grid.extent) / 2
    moved = ((atom_positions(structure) - np.asarray(centre))[:, ::-1] @ turn.T)[:, ::-1] + middle
    inside = np.all((moved >= 0) & (moved < grid.extent), axis=1)
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNK", gemmi.SeqId("1")
    for kept, site, (z, y, x) in zip(inside, structure[0].all(), moved.tolist()):
        if kept:
            residue.add_atom(site.atom).pos = gemmi.Position(x, y, z)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = gemmi.Model(*_FIRST_MODEL)
    model.add_chain(chain)
    piece = gemmi.Structure()
    piece.add_model(model)
    return piece


def helix_bundle(radius: float, centre: Triple, seed: int = 0, b_factor: float = 20.0) -> Any:
    """Make an ideal protein-like model: antiparallel alpha helices that fill a ball.

    Parameters
    ----------
    radius : float
        Radius of the ball in Å.
    centre : tuple of float
        Its centre in Å, in the order z, y, x.
    seed : int
        Turns the bundle, and decides how long each side chain is.
    b_factor : float
        B-factor of every atom in Å².

    Returns
    -------
    gemmi.Structure
        One model, one chain a helix.
    """
    rng = np.random.default_rng(seed)
    turn = random_rotation(rng)
    structure = gemmi.Structure()
    model = gemmi.Model(*_FIRST_MODEL)
    reach = int(np.ceil(radius / HELIX_SPACING)) + 1
    rows = [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    for number, (i, j) in enumerate(rows):
        axis = np.array([(i + 0.5 * j) * HELIX_SPACING, j * HELIX_SPACING * np.sqrt(0.75)])
        half_length2 = radius**2 - float(axis @ axis)
        if half_length2 > (4 * HELIX_RISE) ** 2:
            model.add_chain(_helix(number, axis, np.sqrt(half_length2), i + j, turn, centre, rng, b_factor))
    structure.add_model(model)
    return structure


def _helix(number: int, axis: Any, half: float, parity: int, turn: Any, centre: Triple, rng: Any, b: float) -> Any:
    chain = gemmi.Chain(chr(ord("A") + number % 26))
    start = rng.uniform(0, 2 * np.pi)
    for k in range(int(2 * half / HELIX_RISE)):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(str(k + 1))
        length = 5 + int(rng.integers(0, 3))
        for name, element, r, phase, height in HELIX_ATOMS[:length]:
            angle = start + k * HELIX_TURN + np.radians(phase)
            along = k * HELIX_RISE + height - half
            x, y, z = axis[0] + r * np.cos(angle), axis[1] + r * np.sin(angle), along
            if parity % 2:  # turned by half a turn about x: the same hand, running down
                y, z = 2 * axis[1] - y, -z
            px, py, pz = turn @ np.array([x, y, z])
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso, atom.occ = name, gemmi.Element(element), b, 1.0
            atom.pos = gemmi.Position(px + centre[2], py + centre[1], pz + centre[0])
            residue.add_atom(atom)
        chain.add_residue(residue)
    return chain


def random_rotation(rng: Any) -> npt.NDArray[np.float64]:
    """Return the matrix of a random rotation, evenly distributed."""
    from scipy.spatial.transform import Rotation

    matrix: npt.NDArray[np.float64] = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
    return matrix


def _shifted_into_box(structure: Any, grid: Grid) -> Any:
    """Return a copy of the first model in the frame of the box, without the atoms outside it."""
    model = structure[0].clone()
    oz, oy, ox = grid.first_voxel
    ez, ey, ex = grid.extent
    for chain in model:
        for residue in chain:
            for i in reversed(range(len(residue))):
                p = residue[i].pos
                x, y, z = p.x - ox, p.y - oy, p.z - oz
                if 0 <= x < ex and 0 <= y < ey and 0 <= z < ez:
                    residue[i].pos = gemmi.Position(x, y, z)
                else:
                    del residue[i]
    return model


def _blur(model: Any, grid: Grid) -> float:
    smallest: float = min(max(site.atom.b_iso, 0.0) for site in model.all())
    blur: float = max(0.0, 8.0 * np.pi**2 * (SMALLEST_SIGMA * grid.spacing) ** 2 - smallest)
    return blur


def _band_limited(density: Any, grid: Grid, blur: float, resolution: Optional[float]) -> Any:
    limit = low_pass(max(resolution or 0.0, grid.nyquist), edge=2 * shell_width(grid))

    def response(s: Float64) -> Float64:
        within = np.minimum(s, 1.0 / grid.nyquist)
        gain: Float64 = limit(s) * np.exp(0.25 * blur * within**2)
        return gain

    # Nyquist's own edge would fall beyond the spectrum: there the cut is sharp.
    threads = 1
    return irfft(multiply_radial(rfft(density, threads), response, grid), grid.shape, threads)
