"""What is done to a piece of ideal density before the network sees it: everything that happens to maps.

The truth is a low-pass limit. Its filter varies in shape; what every shape shares is the frequency at which it has
fallen to one half, which lies half a nominal edge beyond the limit, as in the raised cosine of 0.02 / voxel of the
published training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Tuple

import numpy as np
import scipy.fft

from cryores.fourier import Float64
from cryores.nets.training.pieces import DISTANCE_STEP, EDGE, Pieces
from cryores.volume import FloatArray

NOMINAL_EDGE = 0.02
"""Width, in 1/voxel, of the edge of the published low-pass, from 1 to 0."""

NEAR_ATOMS = 4.0
"""Å from the nearest atom up to which a voxel has a resolution."""

GUINIER = (8.0, 3.0)
"""Å between which the decay of a piece is measured."""

CARVED = (1.5, 5.0)
"""Å from the atoms at which a carved map ends."""

STRENGTH = (-2.5, 2.0)
"""Range of B / (4 limit^2) by which maps are sharpened and blurred: the logarithm of what the limit loses."""

LOOK = 0.08
"""How much coarser, relatively, a map looks for each such unit: none where the eye compares limits only, but then no
sharpening would be seen. That of the published network is not known; it grows with B, as this does."""

PROCESSED_SNR = (0.25, 4.0)
STEEPNESS = (1.4, 7.0)
"""Of processed maps: ratio of signal to noise power at the limit, and how much more the signal's power falls up to
there than the noise's, as logarithm."""

WORST_SNR, BEST_SNR = 0.334, 300.0
"""Range of the ratio of signal to noise power at the truth; the worst is that of a map whose halves have FSC 0.143."""


@dataclass(frozen=True)
class Recipe:
    """How often what is done to a piece, and the range of the truth.

    Parameters
    ----------
    finest, coarsest : float
        Å, of the truth.
    varying, noisy, masked, contrast, clutter : float
        Probability that the truth varies within the piece; that there is noise, a mask, another level of the solvent,
        and low-resolution density beside the molecule.
    processed : float
        Probability that a noisy map is treated as deposited ones are: weighted by its FSC, sharpened until its Guinier
        plot is flat, low-passed at the limit.
    sharpened : float
        Probability that the whole is sharpened or blurred, even far too much; its truth moves with it.
    carved : float
        Probability that all but what lies close to the atoms is cut away, without a soft edge.
    b_spread : float
        Standard deviation of the B-factor that is added to the model's, in Å², at fine resolution.
    largest_b : float
        B-factor in Å² above which the decay of a piece is taken back: with more, nothing can be seen of it at 3 Å.
    shapes : bool
        False for the nominal filter only.
    """

    finest: float
    coarsest: float
    varying: float = 0.35
    noisy: float = 0.6
    masked: float = 0.4
    contrast: float = 0.4
    clutter: float = 0.1
    processed: float = 0.6
    sharpened: float = 0.3
    carved: float = 0.0
    b_spread: float = 12.0
    largest_b: float = 150.0
    shapes: bool = True


def clean(finest: float, coarsest: float) -> Recipe:
    """Return the recipe of maps without any flaw."""
    return Recipe(finest, coarsest, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, shapes=False)


class Degrader:
    """Makes training examples of pieces: degraded density, truth (Å) and the voxels that count."""

    def __init__(self, pieces: Pieces, recipe: Recipe, seed: int) -> None:
        self.pieces, self.recipe = pieces, recipe
        self._rng = np.random.default_rng(seed)
        axis, half = np.fft.fftfreq(EDGE), np.fft.rfftfreq(EDGE)
        self._s = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + half**2)
        self._shell = np.rint(self._s * EDGE).astype(int)
        self._in_shell = np.bincount(self._shell.ravel())

    def example(self, number: int) -> Tuple[FloatArray, FloatArray, FloatArray]:
        """Return density, truth in Å and weight of the degraded piece ``number``, each of shape (edge, edge, edge)."""
        rng, recipe = self._rng, self.recipe
        voxel = self.pieces.voxel_size
        distance = self.pieces.distance[number] * np.float32(DISTANCE_STEP)
        spectrum = self._spectrum(self.pieces.density[number])
        limits = self._limits()
        finest = float(np.min(limits))
        b = rng.normal(0.0, recipe.b_spread * (0.5 + finest / 4.0)) if recipe.b_spread else 0.0
        spectrum *= np.exp(-0.25 * max(b, -4.0 * recipe.b_spread) * (self._s / voxel) ** 2)
        truth = self._truth(limits)
        shape = self._shape()
        density = self._low_passed(spectrum, truth, limits, shape)
        if rng.random() < recipe.contrast:
            density = density + self._solvent(distance) * (rng.normal(0.0, 0.5) * float(density.std()))
        if rng.random() < recipe.clutter:
            density = density + self._clutter(distance) * (rng.uniform(0.2, 1.0) * float(density.std()))
        if rng.random() < recipe.noisy:
            if rng.random() < recipe.processed:
                density = self._processed(density, finest, shape)
            else:
                density = density + self._noise(spectrum, float(np.median(truth)), shape)
        if rng.random() < recipe.sharpened:
            strength = float(rng.uniform(*STRENGTH))
            density = self._sharpened(density, finest, strength)
            truth = truth * np.float32(np.exp(LOOK * strength))
        if rng.random() < recipe.masked:
            density = density * self._soft_mask(distance)
        if recipe.carved and rng.random() < recipe.carved:
            density = density * (distance <= rng.uniform(*CARVED))
        turned: Tuple[FloatArray, FloatArray, FloatArray] = self._turned(
            density.astype(np.float32), truth, (distance <= NEAR_ATOMS).astype(np.float32)
        )
        return turned

    def _spectrum(self, density: FloatArray) -> Any:
        """Return the spectrum of a piece, sharpened where it decays more than any map that is looked at."""
        spectrum = scipy.fft.rfftn(density)
        first, last = (max(2, round(EDGE * self.pieces.voxel_size / d)) for d in GUINIER)
        s2 = (np.arange(first, last + 1) / (EDGE * self.pieces.voxel_size)) ** 2
        b = -2.0 * np.polyfit(s2, np.log(self._radial(spectrum)[first : last + 1] + 1e-30), 1)[0]
        excess = float(np.clip(b - self.recipe.largest_b, 0.0, 400.0))
        return spectrum * np.exp(0.25 * excess * np.minimum((self._s / self.pieces.voxel_size) ** 2, 0.25))

    def _turned(self, *cubes: FloatArray) -> Any:
        """Roll and turn the periodic cubes together by a random shift and multiples of 90 degrees."""
        shift = tuple(self._rng.integers(0, EDGE, 3).tolist())
        first, second = self._rng.integers(0, 4, 2)
        return tuple(
            np.ascontiguousarray(np.rot90(np.rot90(np.roll(c, shift, (0, 1, 2)), first, (0, 1)), second, (1, 2)))
            for c in cubes
        )

    # --- truth -------------------------------------------------------------------------------------------------

    def _limits(self) -> Float64:
        """Return the limits (Å) between which the truth varies: one, or several from fine to coarse."""
        rng, recipe = self._rng, self.recipe
        fine, coarse = recipe.finest, recipe.coarsest
        if rng.random() < 0.5:
            limit = float(rng.uniform(fine, coarse))
        else:
            limit = float(np.exp(rng.uniform(np.log(fine), np.log(coarse))))
        if rng.random() >= recipe.varying:
            return np.array([limit])
        other = min(max(limit * float(np.exp(rng.uniform(0.05, 0.6))), fine), coarse)
        return 1.0 / np.linspace(1.0 / limit, 1.0 / max(other, 1.02 * limit), 5)

    def _truth(self, limits: Float64) -> FloatArray:
        if len(limits) == 1:
            return np.full((EDGE,) * 3, limits[0], dtype=np.float32)
        # A slow periodic wave: from fine to coarse and back over the piece.
        direction = self._rng.integers(0, 3)
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(EDGE) / EDGE + self._rng.random()))
        shape = [1, 1, 1]
        shape[direction] = EDGE
        s = 1.0 / limits[0] + (1.0 / limits[-1] - 1.0 / limits[0]) * wave.reshape(shape)
        return np.broadcast_to(1.0 / s, (EDGE,) * 3).astype(np.float32)

    def _shape(self) -> Callable[[Any, float], Any]:
        """Return a low-pass: a function of frequency and of the frequency at which it has fallen to one half."""
        if not self.recipe.shapes:
            return lambda s, half: raised_cosine(s, half, NOMINAL_EDGE)
        kind = self._rng.random()
        if kind < 0.75:
            edge = NOMINAL_EDGE * float(np.exp(self._rng.uniform(np.log(0.4), np.log(2.2))))
            return lambda s, half: raised_cosine(s, half, edge)
        if kind < 0.92:
            order = float(self._rng.uniform(6, 20))
            return lambda s, half: 1.0 / (1.0 + (s / half) ** (2 * order))
        power = float(self._rng.uniform(4.0, 10.0))
        return lambda s, half: np.exp(-np.log(2.0) * (s / half) ** power)

    def _half(self, limit: float) -> float:
        return self.pieces.voxel_size / limit + 0.5 * NOMINAL_EDGE

    def _low_passed(self, spectrum: Any, truth: FloatArray, limits: Float64, shape: Any) -> FloatArray:
        layers = [self._back(spectrum * shape(self._s, self._half(float(limit)))) for limit in limits]
        if len(layers) == 1:
            return layers[0]
        first, last = 1.0 / limits[0], 1.0 / limits[-1]
        position = (1.0 / truth - first) * np.float32((len(limits) - 1) / (last - first))
        return sum(  # type: ignore[return-value,no-any-return]
            layer * np.clip(1.0 - np.abs(position - np.float32(k)), 0.0, 1.0) for k, layer in enumerate(layers)
        )

    def _back(self, spectrum: Any) -> FloatArray:
        result: FloatArray = scipy.fft.irfftn(spectrum, s=(EDGE,) * 3)
        return result.astype(np.float32)

    # --- flaws -------------------------------------------------------------------------------------------------

    def _noise(self, spectrum: Any, limit: float, shape: Any) -> FloatArray:
        """Return noise, white or coloured, of a random ratio to the signal at the limit, whole or low-passed."""
        rng = self._rng
        at = float(np.clip(self.pieces.voxel_size / limit, 2.0 / EDGE, 0.5))
        near = slice(max(1, round(at * EDGE) - 1), round(at * EDGE) + 1)
        signal = float(self._radial(spectrum)[near].mean())
        snr = float(np.exp(rng.uniform(np.log(WORST_SNR), np.log(BEST_SNR))))
        b = 0.0 if rng.random() < 0.4 else float(rng.uniform(-20.0, 30.0 * limit))
        colour = np.exp(-0.25 * b * (self._s / self.pieces.voxel_size) ** 2)
        level = np.sqrt(signal / snr / EDGE**3) * np.exp(0.25 * b * (at / self.pieces.voxel_size) ** 2)
        noise = scipy.fft.rfftn(rng.standard_normal((EDGE,) * 3, dtype=np.float32)) * (level * colour)
        if rng.random() < 0.75:
            noise *= shape(self._s, self._half(limit * float(rng.uniform(0.7, 1.0))))
        return self._back(noise)

    def _processed(self, density: FloatArray, limit: float, shape: Any) -> FloatArray:
        """Return what a reconstruction and its post-processing make of a density.

        Noise that grows beside the signal, weights by FSC, a flat Guinier plot, a low-pass at the limit.
        """
        rng = self._rng
        spectrum = scipy.fft.rfftn(density)
        relative = self._s * (limit / self.pieces.voxel_size)
        noise = scipy.fft.rfftn(rng.standard_normal((EDGE,) * 3, dtype=np.float32))
        noise *= np.exp(-0.5 * rng.uniform(*STEEPNESS) * (1.0 - np.minimum(relative, 1.5) ** 2))
        signal_power, noise_power = self._radial(spectrum), self._radial(noise)
        at = int(np.clip(round(EDGE * self.pieces.voxel_size / limit), 2, EDGE // 2 - 1))
        snr = float(np.exp(rng.uniform(*np.log(PROCESSED_SNR))))
        share = signal_power[at - 1 : at + 1].mean() / noise_power[at - 1 : at + 1].mean() / snr
        noise *= np.sqrt(share)
        snr_by_shell = signal_power / (share * noise_power + 1e-30)
        weight = np.sqrt(snr_by_shell / (1.0 + snr_by_shell))
        whole = (spectrum + noise) * (weight[self._shell] if rng.random() < 0.8 else 1.0)
        first = max(2, round(EDGE * self.pieces.voxel_size / max(10.0, 2.5 * limit)))
        flat = at - first > 3 and rng.random() < 0.85
        if flat:
            s2 = (np.arange(first, at + 1) / EDGE) ** 2
            slope = np.polyfit(s2, 0.5 * np.log(self._radial(whole)[first : at + 1] + 1e-30), 1)[0]
            highest = (1.2 * self.pieces.voxel_size / limit) ** 2
            whole *= np.exp(-slope * rng.normal(1.0, 0.15) * np.minimum(self._s**2, highest))
        if flat or rng.random() < 0.5:
            whole *= shape(self._s, self._half(limit * float(rng.uniform(0.92, 1.0))))
        return self._back(whole)

    def _radial(self, spectrum: Any) -> Float64:
        """Return the mean power of each shell."""
        power = np.bincount(self._shell.ravel(), (np.abs(spectrum) ** 2).ravel().astype(np.float64))
        return np.asarray(power / self._in_shell)

    def _sharpened(self, density: FloatArray, limit: float, strength: float) -> FloatArray:
        """Return the density blurred by a B-factor of ``4 limit^2 strength``, or sharpened up to the limit."""
        relative = self._s * (limit / self.pieces.voxel_size)
        exponent = strength * (np.minimum(relative, 1.2) if strength < 0 else relative) ** 2
        return self._back(scipy.fft.rfftn(density) * np.exp(-np.minimum(exponent, 80.0)))

    def _soft_mask(self, distance: FloatArray) -> FloatArray:
        start, width = self._rng.uniform(2.0, 8.0), self._rng.uniform(1.5, 8.0)
        fall: FloatArray = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - start) / width, 0.0, 1.0))
        return fall

    def _solvent(self, distance: FloatArray) -> FloatArray:
        smooth: FloatArray = 1.0 / (
            1.0 + np.exp((distance - self._rng.uniform(2.0, 4.0)) / self._rng.uniform(0.7, 2.0))
        )
        return smooth

    def _clutter(self, distance: FloatArray) -> FloatArray:
        """Return smooth density of random sign outside the molecule, as detergent and averaged flexible parts make."""
        limit = self._rng.uniform(8.0, 15.0)
        waves = self._rng.standard_normal((EDGE,) * 3, dtype=np.float32)
        smooth = self._back(scipy.fft.rfftn(waves) * raised_cosine(self._s, self._half(limit), NOMINAL_EDGE))
        return smooth / max(float(smooth.std()), 1e-12) * (1.0 - self._solvent(distance))


def raised_cosine(s: Any, half: float, edge: float) -> Any:
    """Return 1 up to ``half - edge / 2``, 0 from ``half + edge / 2`` on, and half a cosine between."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((s - half) / edge + 0.5, 0.0, 1.0))
