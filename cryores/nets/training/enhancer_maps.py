"""What the enhancers learn from: reconstructions of models, and the gains that local scaling to the model would take.

The density of a model is blurred from place to place, gets noise, and all else that happens to real maps. In every band
of frequency and every block of 4 Å the wanted amplitude is that of the model, weighted by what the map knows of it
there, sqrt(S / (S + N)) with the local powers of signal and noise. Where the resolution ends, so does the reference.
These are LocScale's amplitudes with weights from half maps (sqrt(2 FSC / (1 + FSC)) is the same number), in a mask
around the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

import numpy as np
import numpy.typing as npt
import scipy.fft

from cryores.atoms import atom_positions, density_from_model, read_model
from cryores.nets.enhancer_bands import CONTRAST, block_means, block_powers, described
from cryores.volume import FloatArray, Grid, IntTriple

EDGE = 96
"""Voxels of 1 Å along the edge of a map."""

DISTANCE_STEP = 0.1
"""Å of a step of the stored distance from the nearest atom; the largest stored is 25.5 Å."""

LAYERS = 6
"""Strengths of blurring between which a map varies from place to place."""

END_WIDTH = 0.04
"""1/Å over which the signal falls to 0 where the resolution ends."""

BELTS = 0.25
"""Share of the maps with density around the molecule that is not in the model."""

AT_NOISE = 0.334
"""Ratio of signal to noise power of the full map at its resolution: FSC 0.143 between the halves."""

FINE_WINDOW = 1.0
"""Standard deviation in blocks of the Gaussian over which the wanted gains know signal and noise: finer than what the
network is told, so that it learns as much of the detail as can be known."""

NEAR = 2.5
"""Å from the nearest atom that belong to the molecule."""


@dataclass(frozen=True)
class Recipe:
    """How the pairs of one kind of target are made.

    Parameters
    ----------
    finest, coarsest : float
        Range of the map's resolution in Å.
    mask_start, mask_width : float
        Å from the nearest atom at which the target's mask begins to fall, and over which it does.
    keeps_belt : bool
        Whether density that is not in the model (detergent, lipid) stays in the target.
    """

    finest: float
    coarsest: float
    mask_start: float
    mask_width: float
    keeps_belt: bool


RECIPES = {
    "tightTarget": Recipe(2.2, 6.0, 2.5, 3.0, False),
    "wideTarget": Recipe(2.2, 6.0, 6.0, 6.0, True),
    "highRes": Recipe(2.0, 3.6, 2.5, 3.0, False),
}


@dataclass(frozen=True)
class ModelMap:
    """The density of one model in a box, and how far each voxel is from the nearest atom (in `DISTANCE_STEP`)."""

    density: FloatArray
    distance: npt.NDArray[np.uint8]
    name: str


@dataclass(frozen=True)
class Pair:
    """A simulated map; what of it is signal, noise and belt; the model without B-factor of the map; Å from an atom."""

    given: FloatArray
    signal: FloatArray
    noise: FloatArray
    belt: FloatArray
    reference: FloatArray
    distance: FloatArray


@dataclass(frozen=True)
class Lesson:
    """What the network sees of a map, and the gains that it shall give, block by block."""

    features: FloatArray
    gains: FloatArray


def model_map(path: str, seed: int, edge: int = EDGE) -> ModelMap:
    """Return a model's density in a random orientation, its voxel size 2 % off at most.

    A model that does not fit is shown around one of its atoms.
    """
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    structure = read_model(path)
    structure.remove_waters()
    structure.remove_hydrogens()
    turn = Rotation.from_quat(rng.standard_normal(4)).as_matrix() * rng.uniform(0.98, 1.02)
    positions = atom_positions(structure) @ turn.T
    low, high = positions.min(axis=0), positions.max(axis=0)
    fits = bool(np.all(high - low < edge - 16))
    middle = 0.5 * (low + high) if fits else positions[rng.integers(len(positions))]
    positions += edge / 2 - middle + rng.uniform(-2, 2, 3)
    for site, (z, y, x) in zip(structure[0].all(), positions.tolist()):
        site.atom.pos = type(site.atom.pos)(x, y, z)
    density = density_from_model(structure, Grid.regular((edge,) * 3, 1.0)).data
    index = np.rint(positions).astype(int)
    empty = np.ones((edge,) * 3, dtype=bool)
    empty[tuple(index[np.all((index >= 0) & (index < edge), axis=1)].T)] = False
    steps = np.minimum(distance_transform_edt(empty) / DISTANCE_STEP, 255).astype(np.uint8)
    return ModelMap(density, steps, path)


class Simulator:
    """Makes pairs of maps of one recipe."""

    def __init__(self, recipe: Recipe, seed: int, shape: IntTriple = (EDGE, EDGE, EDGE)) -> None:
        self.recipe, self.shape = recipe, shape
        self.rng = np.random.default_rng(seed)
        z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
        self._s = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2).astype(np.float32)
        self._shell = np.rint(self._s * max(shape)).astype(np.int32)

    def pair(self, model: ModelMap, noise_only: bool = False) -> Pair:
        """Return a new pair of a model's map; of noise alone where ``noise_only``."""
        rng, recipe = self.rng, self.recipe
        distance = model.distance.astype(np.float32) * np.float32(DISTANCE_STEP)
        near = distance <= NEAR
        spectrum = scipy.fft.rfftn(model.density)
        resolution = float(np.exp(rng.uniform(np.log(recipe.finest), np.log(recipe.coarsest))))
        best = rng.uniform(0.0, 20.0 * resolution**1.4)
        responses = self._responses(resolution, best)
        colour = self._noise_colour(best)
        power = self._shell_means(np.abs(spectrum) ** 2) / (near.mean() * model.density.size)
        level = self._noise_level(power, responses[0][0], colour, resolution)
        place = self._place(distance, near)
        signal, reference = (np.zeros(self.shape, dtype=np.float32) for _ in range(2))
        for k, (damping, ending) in enumerate(responses):
            share = np.clip(1.0 - np.abs(place - np.float32(k)), 0.0, 1.0)
            whole = spectrum * self._gain(ending)
            reference += share * self._back(whole)
            signal += share * self._back(whole * self._gain(damping))
        belt = self._belt_of(signal, distance, near)
        signal = self._beside(signal, distance, near) + belt
        noise = self._noise(level, colour)
        if noise_only:
            signal, belt = 0 * signal, 0 * belt
        return self._presented(signal, noise, belt, reference, distance, resolution)

    # --- signal ------------------------------------------------------------------------------------------------

    def _responses(self, resolution: float, best: float) -> List[Tuple[Any, Any]]:
        """Return how B-factor and end of the resolution damp the signal, from the best place to the worst.

        The B-factor goes from ``best`` (Å²) to a worse one; often the resolution ends where it is, or gets worse too.
        """
        rng = self.rng
        worst = best + rng.uniform(0.0, 200.0) * (rng.random() < 0.85)
        coarsest = resolution * (rng.uniform(1.2, 2.7) if rng.random() < 0.4 else 1.0)
        ends = coarsest > resolution or rng.random() < 0.5

        def at(share: float) -> Tuple[Any, Any]:
            b = best + share * (worst - best)
            cut = 1.0 / (resolution + share * (coarsest - resolution)) if ends else 1.0
            return (
                lambda s: np.exp(-0.25 * b * s**2),
                lambda s: 0.5 + 0.5 * np.cos(np.pi * np.clip((s - cut) / END_WIDTH, 0.0, 1.0)),
            )

        return [at(k / (LAYERS - 1)) for k in range(LAYERS)]

    def _place(self, distance: FloatArray, near: Any) -> FloatArray:
        """Return where between the best (0) and the worst (`LAYERS` - 1) strength each voxel lies."""
        rng = self.rng
        kind = rng.random()
        z, y, x = (np.arange(n, dtype=np.float32) for n in self.shape)
        if kind < 0.35:
            along = rng.standard_normal(3)
            field = along[0] * z[:, None, None] + along[1] * y[:, None] + along[2] * x
        elif kind < 0.6:
            middle = [float(i.mean()) for i in np.nonzero(near)] if near.any() else [n / 2 for n in self.shape]
            field = np.sqrt((z[:, None, None] - middle[0]) ** 2 + (y[:, None] - middle[1]) ** 2 + (x - middle[2]) ** 2)
        else:
            waves = rng.standard_normal(self.shape, dtype=np.float32)
            size = rng.uniform(12.0, 40.0)
            field = self._filtered(scipy.fft.rfftn(waves), lambda s: np.exp(-2.0 * (np.pi * size * 0.4 * s) ** 2))
        low, high = np.percentile(field[near] if near.any() else field, (2, 98))
        share = np.clip((field - low) / max(high - low, 1e-9), 0.0, 1.0)
        place: FloatArray = (share * (LAYERS - 1)).astype(np.float32)
        return place

    def _beside(self, signal: FloatArray, distance: FloatArray, near: Any) -> FloatArray:
        """Return the signal over a solvent that has density too."""
        rng = self.rng
        if rng.random() < 0.5 or not near.any():
            return signal
        inside = 1.0 / (1.0 + np.exp((distance - rng.uniform(2.0, 4.0)) / rng.uniform(0.7, 2.0)))
        above: FloatArray = signal - np.float32(rng.uniform(0.0, 0.7) * float(signal[near].mean())) * inside
        return above

    def _belt_of(self, signal: FloatArray, distance: FloatArray, near: Any) -> FloatArray:
        """Return density that is not in the model (detergent, lipid), a belt around the middle; often none."""
        if self.rng.random() >= BELTS or not near.any():
            return np.zeros_like(signal)
        return np.float32(self.rng.uniform(0.3, 1.0) * float(signal[near].mean())) * self._belt(distance, near)

    def _belt(self, distance: FloatArray, near: Any) -> FloatArray:
        rng = self.rng
        normal = rng.standard_normal(3)
        normal /= np.linalg.norm(normal)
        middle = [float(i.mean()) for i in np.nonzero(near)] if near.any() else [n / 2 for n in self.shape]
        z, y, x = (np.arange(n, dtype=np.float32) - m for n, m in zip(self.shape, middle))
        height = np.abs(normal[0] * z[:, None, None] + normal[1] * y[:, None] + normal[2] * x)
        half, reach = rng.uniform(12.0, 20.0), rng.uniform(8.0, 22.0)
        shape = np.clip((half - height) / 4.0, 0, 1) * np.clip((reach - distance) / 4.0, 0, 1)
        shape *= np.clip((distance - 2.0) / 2.0, 0, 1)
        waves = self._filtered(
            scipy.fft.rfftn(rng.standard_normal(self.shape, dtype=np.float32)), lambda s: np.exp(-200.0 * s**2)
        )
        texture: FloatArray = shape * (1.0 + 0.4 * waves / max(float(waves.std()), 1e-9))
        return texture.astype(np.float32)

    # --- noise -------------------------------------------------------------------------------------------------

    def _noise_colour(self, best: float) -> Any:
        """Return the amplitude of the noise: it falls more slowly than the signal, and is stronger in slow waves."""
        rng = self.rng
        b = 0.0 if rng.random() < 0.3 else rng.uniform(0.0, best)
        rise = rng.uniform(0.0, 2.0) if rng.random() < 0.5 else 0.0
        width = rng.uniform(0.03, 0.1)
        return lambda s: np.exp(-0.25 * b * s**2) * (1.0 + rise * np.exp(-((s / width) ** 2)))

    def _noise_level(self, power: Any, response: Any, colour: Any, resolution: float) -> float:
        """Return the standard deviation of white noise for which the map has its resolution in a good place."""
        at = min(round(max(self.shape) / resolution), len(power) - 2)
        s = np.array([at / max(self.shape)])
        signal = float(power[at - 1 : at + 2].mean()) * float(response(s)[0]) ** 2
        snr = AT_NOISE * (np.exp(self.rng.uniform(0, 4)) if self.rng.random() < 0.3 else 1.0)
        return float(np.sqrt(max(signal, 1e-12 * power[1:].max()) / snr) / colour(s)[0])

    def _noise(self, level: float, colour: Any) -> FloatArray:
        waves = self.rng.standard_normal(self.shape, dtype=np.float32) * np.float32(level)
        return self._filtered(scipy.fft.rfftn(waves), colour)

    # --- what the user gives -----------------------------------------------------------------------------------

    def _presented(
        self,
        signal: FloatArray,
        noise: FloatArray,
        belt: FloatArray,
        reference: FloatArray,
        distance: FloatArray,
        resolution: float,
    ) -> Pair:
        """Return the map after sharpening, filtering and masking."""
        rng = self.rng
        if rng.random() < 0.5:
            b = float(rng.choice([0.0, -rng.uniform(0.0, 30.0 * resolution), rng.uniform(0.0, 100.0)]))
            cut = 1.0 / max(2.0, resolution * rng.uniform(0.6, 1.05))

            def response(s: Any) -> Any:
                return np.exp(-0.25 * b * s**2) * (0.5 + 0.5 * np.cos(np.pi * np.clip((s - cut) / 0.05, 0, 1)))

            signal, noise, belt = (self._filtered(scipy.fft.rfftn(v), response) for v in (signal, noise, belt))
        if rng.random() < 0.35:
            start, width = rng.uniform(3.0, 14.0), rng.uniform(1.0, 8.0)
            fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - start) / width, 0.0, 1.0))
            floor = 0.0 if rng.random() < 0.6 else rng.uniform(0.0, 1.0)
            noise = (noise * (floor + (1.0 - floor) * fall)).astype(np.float32)
        return Pair((signal + noise).astype(np.float32), signal.astype(np.float32), noise, belt, reference, distance)

    # --- arithmetic --------------------------------------------------------------------------------------------

    def _shell_means(self, values: Any) -> Any:
        total = np.bincount(self._shell.ravel(), values.ravel().astype(np.float64))
        return total / np.maximum(np.bincount(self._shell.ravel()), 1)

    def _filtered(self, spectrum: Any, response: Any) -> FloatArray:
        return self._back(spectrum * self._gain(response))

    def _gain(self, response: Any) -> FloatArray:
        """Return a function of s (1/Å) at every coefficient of the spectrum."""
        table = np.asarray(response(np.arange(int(self._shell.max()) + 2) / max(self.shape)), dtype=np.float64)
        position = self._s * np.float32(max(self.shape))
        gain: FloatArray = np.interp(position.ravel(), np.arange(len(table)), table).astype(np.float32)
        return gain.reshape(position.shape)

    def _back(self, spectrum: Any) -> FloatArray:
        back: FloatArray = scipy.fft.irfftn(spectrum, s=self.shape)
        return back.astype(np.float32)


def lesson(pair: Pair, recipe: Recipe) -> Lesson:
    """Return what is to be learnt from a pair."""
    given = described(pair.given)
    signal, noise, reference, belt = _powers(pair, recipe.keeps_belt)
    near = block_means((pair.distance <= NEAR).astype(np.float32)) > 0.5
    if recipe.keeps_belt and near.any():
        # The belt stands to the molecule as it does in the map.
        reference = reference + belt * float(reference[near, 0].mean() / max(signal[near, 0].mean(), 1e-20))
    fall = np.clip((pair.distance - recipe.mask_start) / recipe.mask_width, 0.0, 1.0)
    mask = block_means((0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32))
    wanted = np.sqrt(reference * signal) / np.maximum(signal + noise, 1e-20)
    gains = wanted * given.amplitude * np.float32(given.scale.contrast) * mask[..., None]
    strength = wanted * np.sqrt(signal + noise)
    spread = float(np.sqrt(np.mean(np.sum(np.square(strength[near]), axis=-1)))) if near.any() else 0.0
    gains = gains * np.float32(CONTRAST / spread if spread > 0 else 0.0)
    return Lesson(given.features, gains.astype(np.float32))


def _powers(pair: Pair, with_belt: bool) -> Tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the local powers of signal, noise, reference and belt."""
    signal, noise, reference = (fine_power(v) for v in (pair.signal, pair.noise, pair.reference))
    return signal, noise, reference, fine_power(pair.belt) if with_belt else np.zeros_like(signal)


def fine_power(volume: FloatArray) -> FloatArray:
    """Return the power of each band over windows of `FINE_WINDOW`, by blocks."""
    from scipy.ndimage import gaussian_filter

    power: FloatArray = gaussian_filter(block_powers(volume), (FINE_WINDOW, FINE_WINDOW, FINE_WINDOW, 0.0))
    return power
