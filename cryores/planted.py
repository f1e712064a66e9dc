"""Half maps in which local resolution is lost in the ways that it is lost in real maps, with the truth of each.

The transfer H(x, s) says what share of the amplitude a model keeps at voxel x and frequency s. With the signal power S
of the whole model a mask voxel, and the noise power N a voxel, the truth is 1 / s*, s* the largest frequency at which

    H(x, s)^2 S(s) / N(s) >= 1:

there the halves' local FSC is 0.5. Each family plants H in its own way; see `FAMILIES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Tuple, Union

import numpy as np

from cryores.atoms import atom_positions, density_from_model, isotropic
from cryores.errors import UsageError
from cryores.filters import Response, bfactor
from cryores.fourier import Float64, frequency_axes, irfft, multiply_radial, radial_power, rfft
from cryores.masks import BINARY_THRESHOLD, dilate
from cryores.noise import coloured_noise
from cryores.simulation import mask_of_model
from cryores.volume import BoolArray, FloatArray, Grid, HalfMaps, Volume

FAMILIES = {
    "lowpass": "each voxel is low-passed to its own resolution, sharply: over half a shell to three, or 2 to 8 % of it",
    "falloff": "each voxel falls off about a cut-off of its own, in any way between a sharp edge and a slow decay",
    "bfactor": "each atom has a B-factor that follows a field: the signal fades smoothly",
    "residues": "each residue has a B-factor of its own, correlated along the chain",
    "flexible": "a part is averaged over rigid rotations and shifts",
    "occupancy": "a part is there in a share of the particles only, on top of a field of B-factors",
    "orientation": "a cone of directions has less signal, on top of a field of B-factors",
    "uneven": "the noise is stronger in some places than in others",
    "belt": "a ring of disordered density lies around a model with a field of B-factors",
    "noise": "there is no signal at all",
}
"""Ways in which resolution is lost."""

FIELDS = ("gradient", "radial", "shells", "blobs", "domains", "constant")
"""Shapes that a planted quantity may have in space."""

FIELD_KNOTS = 200
FINE_STEPS = 20
"""Points a shell at which transfer and signal-to-noise ratio are compared."""

SHELLS_OF = 96
"""Voxels of the smallest box whose shells are the edges of a low-pass: those of a smaller box would make it soft."""

FALLS: Dict[str, Tuple[float, float, Callable[[Float64, float], Float64]]] = {
    "cosine": (0.08, 0.8, lambda u, width: 0.5 * (1.0 + np.cos(np.pi * np.clip((u - 1.0) / width + 0.5, 0.0, 1.0)))),
    "exponential": (2.0, 16.0, lambda u, power: np.exp(-(u**power))),
    "butterworth": (3.0, 16.0, lambda u, order: 1.0 / np.sqrt(1.0 + u ** (2.0 * order))),
}
"""Ways to fall off: least and largest steepness, and the transfer at a frequency, in cut-offs, for a steepness."""

GAINS = (1.2, 4.0)
"""By how much uneven noise is stronger, in amplitude, where it is strongest."""

CONFORMATIONS = 20
LATTICE = 5
"""Voxels between the places where the transfer of a flexible part is computed."""

Share = Callable[[Float64], Float64]
"""Positions in Å, shape (n, 3) -> 0 (best) ... 1 (worst)."""


@dataclass(frozen=True)
class Planted:
    """Half maps with a planted loss of resolution.

    Parameters
    ----------
    halves : HalfMaps
        Signal and noise.
    signal : Volume
        What both halves have.
    mask : Volume
        1 within 3 Å of an atom, or as much farther as was asked for.
    truth : Volume
        Resolution in Å where signal and noise of a half map are equal; NaN where the noise is stronger everywhere.
        In solvent it is that of the planted transfer, which does not end where the atoms do.
    description : dict
        What was planted.
    """

    halves: HalfMaps
    signal: Volume
    mask: Volume
    truth: Volume
    description: Dict[str, Any] = field(default_factory=dict)


def plant(
    family: str,
    structure: Any,
    grid: Grid,
    finest: float,
    coarsest: float,
    snr: float = 8.0,
    field_shape: str = "gradient",
    noise_b: float = 0.0,
    seed: int = 0,
    threads: int = 1,
    reach: float = 0.0,
) -> Planted:
    """Make half maps of a model that loses resolution from ``finest`` to ``coarsest`` Å in the way of ``family``.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    structure : gemmi.Structure
        Its first model lies inside the box of ``grid``.
    grid : Grid
        The grid of the maps.
    finest, coarsest : float
        Å; approximate, but for ``lowpass``, whose cut-offs they are, and ``falloff``, whose truth.
    snr : float
        ``lowpass`` and ``falloff``: signal over noise of the whole model, a mask voxel, at ``finest``. Elsewhere the
        noise follows from ``finest``.
    field_shape : str
        One of `FIELDS`.
    noise_b : float
        B-factor in Å² of the noise's power spectrum; 0 is white noise.
    seed, threads : int
        Of everything random, and of the transforms.
    reach : float
        Å by which the mask reaches farther than 3 Å from the atoms. The signal a mask voxel is counted without it.

    Raises
    ------
    UsageError
        ``E_PARAMETER`` for an unknown family or field.
    """
    if family not in FAMILIES or field_shape not in FIELDS:
        raise UsageError(
            "E_PARAMETER", f"unknown family {family!r} or field {field_shape!r}", f"families: {', '.join(FAMILIES)}"
        )
    rng = np.random.default_rng(seed)
    structure = isotropic(structure)
    tight = mask_of_model(structure, grid)
    mask = dilate(tight, reach) if reach > 0 else tight
    inside = mask.data > BINARY_THRESHOLD
    occupied = int(np.count_nonzero(tight.data > BINARY_THRESHOLD))
    share, colour = _field(field_shape, structure, rng), bfactor(0.5 * noise_b)
    world = _World(structure, grid, inside, occupied, share, colour, threads, rng)
    signal, truth, details = _MAKERS[family](world, finest, coarsest, snr)
    halves = [Volume(signal + world.noise(details["noise"]), grid) for _ in range(2)]
    description = {
        "family": family, "field": field_shape, "finest": finest, "coarsest": coarsest, "noise_b": noise_b,
        "seed": seed, **details,
    }  # fmt: skip
    truth = np.where(inside, truth, np.float32(np.nan))
    return Planted(HalfMaps(*halves), Volume(signal, grid), mask, Volume(truth, grid), description)


class _World:
    """A model in a box: its clean density, its signal a mask voxel, and what decides where it loses resolution."""

    def __init__(
        self, structure: Any, grid: Grid, inside: BoolArray, occupied: int, share: Share, colour: Response,
        threads: int, rng: Any,
    ) -> None:  # fmt: skip
        self.structure, self.grid, self.inside, self.rng, self.threads = structure, grid, inside, rng, threads
        self.share, self._colour = share, colour
        self.gain: Union[float, FloatArray] = 1.0
        self.positions = atom_positions(structure)
        self.density = density_from_model(structure, grid).data
        frequency, power = radial_power(self.density, grid, threads)
        self.s = np.linspace(frequency[1], frequency[-1], FINE_STEPS * len(frequency))
        self.signal_power = np.interp(self.s, frequency, power / occupied)

    def snr(self, noise: float) -> Float64:
        """Return S / N at `s` for noise of amplitude ``noise`` at frequency 0."""
        ratio: Float64 = self.signal_power / (noise * self._colour(self.s)) ** 2
        return ratio

    def noise_for(self, resolution: float, ratio: float) -> float:
        """Return the amplitude of the noise that leaves S / N = ``ratio`` at ``resolution`` Å."""
        near = np.abs(self.s * resolution - 1.0) < 0.06
        near[np.argmin(np.abs(self.s - 1.0 / resolution))] = True
        return float(np.sqrt(np.mean((self.signal_power / self._colour(self.s) ** 2)[near]) / ratio))

    def noise(self, amplitude: float) -> FloatArray:
        """Return one half's noise."""
        drawn = coloured_noise(self.grid, lambda s: amplitude * self._colour(s), self.rng, self.threads)
        return np.asarray(drawn * self.gain, dtype=np.float32)

    def limits(self, transfers: Float64, noise: float) -> Float64:
        """Return 1 / s* in Å for each row of ``transfers``, H at `s`; NaN where there is no s*."""
        above = transfers**2 * self.snr(noise) >= 1.0
        last = transfers.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1)
        found: Float64 = np.where(above.any(axis=1), 1.0 / self.s[last], np.nan)
        return found

    def truth_of_field(self, values: FloatArray, transfer: Callable[[float], Float64], noise: float) -> FloatArray:
        """Return the truth where H depends on x through one number only."""
        knots = np.linspace(float(values.min()), float(values.max()), FIELD_KNOTS)
        limits = self.limits(np.array([transfer(float(knot)) for knot in knots]), noise)
        known = np.isfinite(limits)
        if not known.any():
            return np.full(values.shape, np.nan, dtype=np.float32)
        truth = 1.0 / np.interp(values, knots, np.where(known, 1.0 / np.where(known, limits, 1.0), 0.0))
        return np.where(truth > max(self.grid.extent), np.nan, truth).astype(np.float32)

    def voxel_shares(self) -> FloatArray:
        """Return the field at every voxel; only those of the mask are computed."""
        return self._shares_at(self.inside)

    def shares_everywhere(self) -> FloatArray:
        """Return the field at every voxel of the box."""
        return self._shares_at(np.ones(self.grid.shape, dtype=bool))

    def _shares_at(self, chosen: BoolArray) -> FloatArray:
        shares = np.zeros(self.grid.shape, dtype=np.float32)
        index = np.argwhere(chosen)
        shares[chosen] = self.share(index * np.array(self.grid.voxel_size) + np.array(self.grid.first_voxel))
        return shares

    def nearest_atom(self) -> Any:
        """Return the number of the nearest atom of every mask voxel."""
        from scipy.spatial import cKDTree

        index = np.argwhere(self.inside) * np.array(self.grid.voxel_size) + np.array(self.grid.first_voxel)
        return cKDTree(self.positions).query(index)[1]


# --- shapes in space ----------------------------------------------------------------------------------------------


def _field(kind: str, structure: Any, rng: Any) -> Share:
    """Return a function of the position that is 0 at the best and 1 at the worst place of the model."""
    positions = atom_positions(structure)
    centre = positions.mean(axis=0)
    size = float(np.sqrt(((positions - centre) ** 2).sum(axis=1).mean()))
    raw = _raw_field(kind, positions, centre, size, rng)
    at_atoms = raw(positions)
    low, high = np.percentile(at_atoms, (1, 99))
    if high - low < 1e-9:
        return lambda p: np.zeros(len(p))
    return lambda p: np.clip((raw(p) - low) / (high - low), 0.0, 1.0)


def _raw_field(kind: str, positions: Float64, centre: Float64, size: float, rng: Any) -> Share:
    if kind == "gradient":
        direction = _unit(rng)
        return lambda p: (p - centre) @ direction
    if kind == "radial":
        off = centre + 0.5 * size * rng.standard_normal(3)
        return lambda p: np.linalg.norm(p - off, axis=1)
    if kind == "shells":
        period = size * rng.uniform(0.8, 1.6)
        return lambda p: np.cos(2 * np.pi * np.linalg.norm(p - centre, axis=1) / period)
    if kind == "blobs":
        waves = np.array([_unit(rng) / (size * rng.uniform(0.8, 3.5)) for _ in range(6)])
        phases = rng.uniform(0, 2 * np.pi, 6)
        return lambda p: np.cos(2 * np.pi * p @ waves.T + phases).sum(axis=1)
    if kind == "domains":
        centres = positions[rng.choice(len(positions), int(rng.integers(2, 6)))]
        levels = rng.permutation(np.linspace(0.0, 1.0, len(centres)))
        return lambda p: levels[np.argmin(((p[:, None] - centres) ** 2).sum(axis=2), axis=1)]
    return lambda p: np.zeros(len(p))


def _unit(rng: Any) -> Float64:
    direction = rng.standard_normal(3)
    unit: Float64 = direction / np.linalg.norm(direction)
    return unit


# --- families -----------------------------------------------------------------------------------------------------

Made = Tuple[FloatArray, FloatArray, Dict[str, Any]]


def _lowpass(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    noise = world.noise_for(finest, snr)
    relative, edge = bool(world.rng.random() < 0.5), float(np.exp(world.rng.uniform(np.log(0.02), np.log(0.08))))
    shells = float(np.exp(world.rng.uniform(np.log(0.5), np.log(3.0)))) / max(
        *world.grid.extent, SHELLS_OF * world.grid.spacing
    )
    cuts = (finest + (coarsest - finest) * world.voxel_shares()).astype(np.float32)

    def pass_up_to(cut: float, s: Float64) -> Float64:
        width = edge * cut if relative else shells
        fall: Float64 = 0.5 * (1.0 + np.cos(np.pi * np.clip((s - cut) / width + 0.5, 0.0, 1.0)))
        return fall

    truth = world.truth_of_field(cuts, lambda cut: pass_up_to(1.0 / cut, world.s), noise)
    details = {"noise": noise, "snr": snr, "edge": edge if relative else shells, "relative": relative}
    return _varying(world, 1.0 / cuts, pass_up_to), truth, details


def _falloff(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    noise, rng = world.noise_for(finest, snr), world.rng
    kind = str(rng.choice(list(FALLS)))
    least, largest, fall = FALLS[kind]
    steepness = float(np.exp(rng.uniform(np.log(least), np.log(largest))))
    # Signal meets noise before or after the cut-off: what lets them meet where the field says is looked up.
    tried = np.geomspace(0.1 / coarsest, 2.0 / finest, FIELD_KNOTS)
    met = 1.0 / world.limits(np.array([fall(world.s / cut, steepness) for cut in tried]), noise)
    wanted = 1.0 / (finest + (coarsest - finest) * world.voxel_shares())
    cuts = np.interp(wanted, np.nan_to_num(met), tried).astype(np.float32)
    signal = _varying(world, cuts, lambda cut, s: fall(s / cut, steepness))
    truth = world.truth_of_field(cuts, lambda cut: fall(world.s / cut, steepness), noise)
    return signal, truth, {"noise": noise, "snr": snr, "fall": kind, "steepness": steepness}


def _varying(world: _World, values: FloatArray, response: Callable[[float, Float64], Float64]) -> FloatArray:
    """Filter every voxel of the density by its own value: linear interpolation between globally filtered maps."""
    spectrum = rfft(world.density, world.threads)
    low, high = float(values.min()), float(values.max())
    steps = max(1, int(np.ceil((high - low) * 2.0 * max(world.grid.extent))))
    position = (values - low) * np.float32(steps / (high - low) if high > low else 0.0)
    result = np.zeros(world.grid.shape, dtype=np.float32)
    for k in range(steps + 1):
        knot = low + (high - low) * k / steps
        layer = multiply_radial(spectrum.copy(), lambda s, knot=knot: response(knot, s), world.grid)  # type: ignore[misc]
        result += irfft(layer, world.grid.shape, world.threads) * np.clip(1.0 - np.abs(position - np.float32(k)), 0, 1)
    return result


def _b_levels(world: _World, finest: float, coarsest: float) -> Tuple[float, float, float]:
    """Return the least B, the largest B (Å²) and the noise for which S / N falls to 1 at finest and coarsest."""
    least = float(world.rng.uniform(0.0, 60.0))
    noise = world.noise_for(finest, float(np.exp(0.5 * least / finest**2)))
    at = int(np.argmin(np.abs(world.s - 1.0 / coarsest)))
    largest = 2.0 * coarsest**2 * float(np.log(max(np.median(world.snr(noise)[max(0, at - 20) : at + 21]), 1.0)))
    return least, float(np.clip(largest, least + 20.0, 1500.0)), noise


def _faded(world: _World, at_atoms: Float64) -> FloatArray:
    """Return the density of the model with so much added to the B-factors of its atoms."""
    moved = world.structure.clone()
    for site, more in zip(moved[0].all(), at_atoms.tolist()):
        site.atom.b_iso += more
    return density_from_model(moved, world.grid).data


def _decay(world: _World) -> Callable[[float], Float64]:
    return lambda b: np.exp(-0.25 * b * world.s**2)


def _bfactor(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    least, largest, noise = _b_levels(world, finest, coarsest)
    signal = _faded(world, least + (largest - least) * world.share(world.positions))
    at_voxels = (least + (largest - least) * world.voxel_shares()).astype(np.float32)
    details = {"noise": noise, "least_b": least, "largest_b": largest}
    return signal, world.truth_of_field(at_voxels, _decay(world), noise), details


def _residues(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    from scipy.ndimage import gaussian_filter1d

    least, largest, noise = _b_levels(world, finest, coarsest)
    sizes = [len(residue) for chain in world.structure[0] for residue in chain]
    drawn = gaussian_filter1d(world.rng.standard_normal(len(sizes)), float(world.rng.uniform(1.0, 8.0)), mode="wrap")
    order = np.argsort(np.argsort(drawn)) / max(len(drawn) - 1, 1)
    at_atoms = least + (largest - least) * np.repeat(order, sizes)
    values = np.zeros(world.grid.shape, dtype=np.float32)
    values[world.inside] = at_atoms[world.nearest_atom()]
    details = {"noise": noise, "least_b": least, "largest_b": largest}
    return _faded(world, at_atoms), world.truth_of_field(values, _decay(world), noise), details


def _occupancy(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    least, largest, noise = _b_levels(world, finest, finest + 0.4 * (coarsest - finest))
    direction, occupancy = _unit(world.rng), float(world.rng.uniform(0.25, 0.8))
    border = float(np.quantile(world.positions @ direction, world.rng.uniform(0.3, 0.7)))
    at_atoms = least + (largest - least) * world.share(world.positions)
    faded = world.structure.clone()
    for site, more, along in zip(faded[0].all(), at_atoms.tolist(), (world.positions @ direction).tolist()):
        site.atom.b_iso += more
        site.atom.occ *= occupancy if along > border else 1.0
    at_voxels = (least + (largest - least) * world.voxel_shares()).astype(np.float32)
    decay = _decay(world)
    whole, partial = (world.truth_of_field(at_voxels, lambda b, o=o: o * decay(b), noise) for o in (1.0, occupancy))  # type: ignore[misc]
    part = np.zeros(world.grid.shape, dtype=bool)
    part[world.inside] = (world.positions @ direction)[world.nearest_atom()] > border
    details = {"noise": noise, "occupancy": occupancy}
    return density_from_model(faded, world.grid).data, np.where(part, partial, whole), details


def _orientation(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    least, largest, noise = _b_levels(world, finest, coarsest)
    axis, half_angle, kept = _unit(world.rng), np.radians(world.rng.uniform(25.0, 60.0)), world.rng.uniform(0.1, 0.6)
    signal = _faded(world, least + (largest - least) * world.share(world.positions))

    def passed(angle: Float64) -> Float64:
        ramp: Float64 = np.clip((angle - half_angle) / np.radians(15.0) + 0.5, 0.0, 1.0)
        passing: Float64 = kept + (1.0 - kept) * ramp
        return passing

    sz, sy, sx = frequency_axes(world.grid.shape, world.grid.voxel_size)
    along = np.abs(axis[0] * sz[:, None, None] + axis[1] * sy[:, None] + axis[2] * sx)
    length = np.sqrt(sz[:, None, None] ** 2 + sy[:, None] ** 2 + sx**2)
    angle = np.arccos(np.clip(along / np.maximum(length, 1e-12), 0.0, 1.0))
    weight = passed(angle)
    weight[0, 0, 0] = 1.0
    # Over all directions the cosine with an axis is spread evenly.
    mean = float(np.mean(passed(np.arccos(np.linspace(0.0, 1.0, 2001))) ** 2))
    signal = irfft(rfft(signal, world.threads) * weight.astype(np.float32), world.grid.shape, world.threads)
    decay = _decay(world)
    at_voxels = (least + (largest - least) * world.voxel_shares()).astype(np.float32)
    truth = world.truth_of_field(at_voxels, lambda b: np.sqrt(mean) * decay(b), noise)
    return signal, truth, {"noise": noise, "cone": float(np.degrees(half_angle)), "kept": float(kept)}


def _uneven(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    b, _, noise = _b_levels(world, finest, coarsest)
    most = float(np.exp(world.rng.uniform(*np.log(GAINS))))
    world.gain = 1.0 + np.float32(most - 1.0) * world.shares_everywhere()
    decayed = _decay(world)(b)
    # Noise that is stronger by a factor meets the signal where a transfer that is weaker by it would.
    truth = world.truth_of_field(world.gain, lambda gain: decayed / gain, noise)
    return _faded(world, np.full(len(world.positions), b)), truth, {"noise": noise, "b": b, "gain": most}


def _belt(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    signal, truth, details = _bfactor(world, finest, coarsest, snr)
    axis = _unit(world.rng)
    centre = world.positions.mean(axis=0)
    from_centre = world.positions - centre
    radial = np.linalg.norm(from_centre - np.outer(from_centre @ axis, axis), axis=1)
    inner, height, thick = float(np.percentile(radial, 80)), world.rng.uniform(8.0, 15.0), world.rng.uniform(6.0, 14.0)
    index = np.indices(world.grid.shape).reshape(3, -1).T * np.array(world.grid.voxel_size) - (
        centre - np.array(world.grid.first_voxel)
    )
    along = index @ axis
    across = np.linalg.norm(index - np.outer(along, axis), axis=1)
    ring = (np.abs(along) < height) & (across > inner) & (across < inner + thick)
    free = ring.reshape(world.grid.shape) & ~world.inside
    # Disordered chains: noise that both halves share, as strong as protein of a large B-factor.
    texture = 1.0 + world.rng.standard_normal(world.grid.shape).astype(np.float32) * 2.0
    level = float(world.density[world.inside].mean()) * world.rng.uniform(0.4, 1.0)
    disorder = world.rng.uniform(250.0, 800.0)
    ringed = multiply_radial(
        rfft((free * texture * level).astype(np.float32), world.threads), bfactor(disorder), world.grid
    )
    return signal + irfft(ringed, world.grid.shape, world.threads), truth, {**details, "belt_b": float(disorder)}


def _flexible(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    least, _, noise = _b_levels(world, finest, coarsest)
    rng, positions = world.rng, world.positions
    direction = _unit(rng)
    border = float(np.quantile(positions @ direction, rng.uniform(0.3, 0.6)))
    moving = positions @ direction > border
    hinge = positions[moving].mean(axis=0) - direction * ((positions[moving] @ direction).mean() - border)
    reach = float(np.linalg.norm(positions[moving] - hinge, axis=1).max())
    # The farthest atom moves so far that its amplitude falls to where `coarsest` lies.
    farthest = 0.35 * coarsest * rng.uniform(0.6, 1.2)
    turns = rng.standard_normal((CONFORMATIONS, 3)) * farthest / reach
    shifts = rng.standard_normal((CONFORMATIONS, 3)) * farthest * rng.uniform(0.0, 0.4)
    still, part = _split(world.structure, moving.tolist(), least)
    signal = density_from_model(still, world.grid).data
    for turn, shift in zip(turns, shifts):
        moved, placed = _displaced(positions[moving], hinge, turn, shift), part.clone()
        for site, (z, y, x) in zip(placed[0].all(), moved.tolist()):
            site.atom.pos.x, site.atom.pos.y, site.atom.pos.z = x, y, z
        signal = signal + density_from_model(placed, world.grid).data / np.float32(CONFORMATIONS)
    truth = _truth_of_motion(world, moving, (hinge, turns, shifts), least, noise)
    return signal, truth, {"noise": noise, "farthest": float(farthest)}


def _displaced(positions: Float64, hinge: Float64, turn: Float64, shift: Float64) -> Float64:
    from scipy.spatial.transform import Rotation

    moved: Float64 = (positions - hinge) @ Rotation.from_rotvec(turn).as_matrix().T + hinge + shift
    return moved


def _truth_of_motion(world: _World, moving: BoolArray, motion: Any, b: float, noise: float) -> FloatArray:
    """Return the truth where copies at u_k are averaged: H^2, mean over directions, is <sinc(2 s |u_k - u_l|)>_kl."""
    from scipy.ndimage import map_coordinates, maximum_filter

    hinge, turns, shifts = motion
    coarse = maximum_filter(world.inside, 2 * LATTICE + 1)[::LATTICE, ::LATTICE, ::LATTICE]
    places = np.argwhere(coarse) * LATTICE * np.array(world.grid.voxel_size) + np.array(world.grid.first_voxel)
    s = world.s[:: FINE_STEPS // 2]
    decay, snr = np.exp(-0.25 * b * world.s**2), world.snr(noise)
    moved = np.stack([_displaced(places, hinge, t, u) for t, u in zip(turns, shifts)], axis=1)
    limits = np.zeros(coarse.shape)
    found = np.zeros(len(places))
    for i, copies in enumerate(moved):
        gap = np.linalg.norm(copies[:, None] - copies, axis=2)
        agreement = np.interp(world.s, s, np.sinc(2.0 * s[:, None, None] * gap).mean(axis=(1, 2)))
        above = np.flatnonzero(np.maximum(agreement, 0.0) * decay**2 * snr >= 1.0)
        found[i] = world.s[above[-1]] if above.size else 0.0
    limits[coarse] = found
    truth = np.full(world.grid.shape, float(world.limits(decay[None], noise)[0]), dtype=np.float32)
    part = np.zeros(world.grid.shape, dtype=bool)
    part[world.inside] = moving[world.nearest_atom()]
    smooth = map_coordinates(limits, np.argwhere(part).T / LATTICE, order=1, mode="nearest")
    with np.errstate(divide="ignore"):
        truth[part] = np.where(smooth > 1.0 / max(world.grid.extent), 1.0 / np.maximum(smooth, 1e-9), np.nan)
    return truth


def _split(structure: Any, moving: Any, b: float) -> Tuple[Any, Any]:
    """Return the atoms that stay and those that move, as two structures; every B-factor grows by ``b`` Å²."""
    still, part = structure.clone(), structure.clone()
    marks = iter(moving)
    for at_rest, in_motion in zip(still[0], part[0]):
        for one, other in zip(at_rest, in_motion):
            own = [next(marks) for _ in range(len(one))]
            for i in reversed(range(len(own))):
                one[i].b_iso += b
                other[i].b_iso += b
                del (one if own[i] else other)[i]
    return still, part


def _noise(world: _World, finest: float, coarsest: float, snr: float) -> Made:
    empty = np.zeros(world.grid.shape, dtype=np.float32)
    return empty, np.full(world.grid.shape, np.nan, dtype=np.float32), {"noise": world.noise_for(finest, 1.0)}


_MAKERS: Dict[str, Callable[[_World, float, float, float], Made]] = {
    "lowpass": _lowpass, "falloff": _falloff, "bfactor": _bfactor, "residues": _residues, "flexible": _flexible,
    "occupancy": _occupancy, "orientation": _orientation, "uneven": _uneven, "belt": _belt, "noise": _noise,
}  # fmt: skip
