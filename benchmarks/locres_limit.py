"""What reading the local signal-to-noise ratio can reach if it is known without error: for docs/validation.rst.

    python -m benchmarks.locres_limit --models DIR [--each 12]

The truth of `cryores.planted` is where the signal of the whole model, a mask voxel, and the noise are equal. The signal
at one place is stronger or weaker than that, as atoms lie there. Here the clean signal's own power in a band, averaged
under a Gaussian, is divided by the known noise: the resolution that is read from it, in every window of locres, without
any noise of measurement, beside that of locres, which has only the halves.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Dict, List, Tuple

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.validation import add_set_arguments, errors_of, kept_models, planted_sets
from cryores.filters import bfactor
from cryores.fourier import Float64, frequency_axes, hermitian_weights, irfft, rfft
from cryores.planted import Planted
from cryores.resolution import locres
from cryores.resolution._band_correlation import BANKS, LEAST_WIDTH, band_frequencies
from cryores.resolution._band_inputs import usable_bands
from cryores.volume import FloatArray

WINDOWS = [(share, window) for share, windows in BANKS for window in windows]


def read_from_signal(made: Planted, share: float, window: float) -> FloatArray:
    """Return where the clean signal under a Gaussian of ``window`` wavelengths is as strong as the noise, in Å."""
    grid, inside = made.halves.grid, made.mask.data > 0.5
    edge = min(grid.shape)
    frequencies = band_frequencies()[: usable_bands(edge)]
    spectrum, (sz, sy, sx) = rfft(made.signal.data, 1), frequency_axes(grid.shape, grid.voxel_size)
    s = np.sqrt(sz[:, None, None] ** 2 + sy[:, None] ** 2 + sx**2)
    noise = (made.description["noise"] * bfactor(0.5 * made.description["noise_b"])(s)) ** 2
    counted = hermitian_weights(grid.shape[2])
    ratios = []
    for frequency in frequencies:
        gain = np.exp(-0.5 * ((s * grid.spacing - frequency) / np.hypot(share * frequency, LEAST_WIDTH / edge)) ** 2)
        band, width = irfft((spectrum * gain).astype(np.complex64), grid.shape, 1), window / frequency
        power = gaussian_filter(inside * band**2, width) / np.maximum(gaussian_filter(1.0 * inside, width), 1e-3)
        ratios.append(power[inside] / (np.sum(counted * gain**2 * noise) / grid.size))
    found = np.full(grid.shape, np.nan, dtype=np.float32)
    found[inside] = grid.spacing / np.exp(_last_crossing(np.log(frequencies), np.log(np.maximum(ratios, 1e-9))))
    return found


def _last_crossing(places: Float64, heights: Float64) -> Float64:
    """Return the highest place at which each column, given from the highest place down, is 0."""
    above = heights >= 0
    first = np.argmax(above, axis=0)
    before, columns = np.maximum(first - 1, 0), np.arange(heights.shape[1])
    low, high = heights[before, columns], heights[first, columns]
    share = np.where(first > 0, -low / np.where(first > 0, high - low, 1.0), 0.0)
    result: Float64 = np.where(
        above.any(axis=0), places[before] + share * (places[first] - places[before]), np.nan
    )  # fmt: skip
    return result


def main() -> None:
    """Print the means of each family."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_set_arguments(parser)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    models = kept_models(arguments.models, arguments.exclude)
    found: Dict[Tuple[str, str], List[Tuple[float, ...]]] = {}
    for family, _, made in planted_sets(models, arguments.each, arguments.size, arguments.seed):
        if family == "uneven":  # where no one number tells the noise
            continue
        truth = made.truth.data
        inside = (made.mask.data > 0.5) & np.isfinite(truth)
        own = errors_of(locres(made.halves, made.mask).resolution.data, truth, inside)
        found.setdefault((family, "locres"), []).append(own)
        for share, window in WINDOWS:
            read = errors_of(read_from_signal(made, share, window), truth, inside)
            found.setdefault((family, f"band {share:4.2f}, window {window:3.1f}"), []).append(read)
    for (family, name), rows in found.items():
        _, median, p90, bias, rank = np.nanmean(rows, axis=0)
        print(f"{family:12s}{name:24s} median {median:5.1f} %  p90 {p90:5.1f} %  bias {bias:+6.1f} %  rank {rank:.2f}")


if __name__ == "__main__":
    main()
