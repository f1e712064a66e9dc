"""The one colour scale of a result: figures, page and ChimeraX key take limits, numbers and colours from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

import numpy as np

COLOUR_MAP = "viridis"
"""Even steps of lightness, told apart with every kind of colour vision and in grey print; blue is the finest end."""

FIRST_SHADE = 0.22
"""Where the scale enters the colour map: the shades before it are too dark to show the relief of a lit surface."""

STOPS = 7
"""Numbers of the key; between them colours are interpolated linearly, in every program alike."""

LIMIT_PERCENTILES = (5.0, 95.0)

CURVE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Colours of lines (Okabe and Ito's palette, safe for colour-blind readers)."""


@dataclass(frozen=True)
class ColourScale:
    """Values and the colours that stand for them, the lowest (of resolutions: the finest) first.

    Parameters
    ----------
    values : tuple of float
        `STOPS` evenly spaced numbers, rising.
    colours : tuple of str
        The colour of each as ``#rrggbb``. Values beyond the ends take the colour of that end.
    quantity, unit : str
        What the values are, and their unit.
    """

    values: Tuple[float, ...]
    colours: Tuple[str, ...]
    quantity: str = "Local resolution"
    unit: str = "Å"

    @property
    def title(self) -> str:
        """What the values are, with their unit in brackets."""
        return f"{self.quantity} ({self.unit})" if self.unit else self.quantity

    def told(self, value: float) -> str:
        """Return a value as text with its unit."""
        return f"{value:.2f} {self.unit}".strip()

    @property
    def low(self) -> float:
        """The lowest value that has a colour of its own."""
        return self.values[0]

    @property
    def high(self) -> float:
        """The highest value that has a colour of its own."""
        return self.values[-1]

    @property
    def labels(self) -> List[str]:
        """The values as text, with the decimals that tell neighbours apart."""
        return [f"{value:.{_decimals(self.high - self.low)}f}" for value in self.values]

    def for_matplotlib(self) -> Any:
        """Return a matplotlib colour map that runs over the scale; masked and NaN are transparent."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("cryores", self.colours).with_extremes(bad=(0, 0, 0, 0))

    def for_plotly(self) -> List[Tuple[float, str]]:
        """Return plotly's list of (position from 0 to 1, colour)."""
        return list(zip(np.linspace(0.0, 1.0, len(self.colours)).tolist(), self.colours))


def colour_scale(values: Any, quantity: str = "Local resolution", unit: str = "Å") -> ColourScale:
    """Return the scale for values: from their 5th to their 95th percentile, rounded outwards.

    Limits are rounded to a hundredth of the power of ten above the range: 3.214..6.871 becomes 3.2..6.9. Without
    values the scale runs from 0 to 1.
    """
    low, high = _rounded_limits(*np.percentile(values, LIMIT_PERCENTILES)) if len(values) else (0.0, 1.0)
    stops = np.round(np.linspace(low, high, STOPS), _decimals(high - low))
    return ColourScale(tuple(stops.tolist()), tuple(palette(STOPS)), quantity, unit)


def palette(count: int) -> List[str]:
    """Return ``count`` colours from the finest to the coarsest, as ``#rrggbb``."""
    import matplotlib
    from matplotlib.colors import to_hex

    colour_map = matplotlib.colormaps[COLOUR_MAP]
    return [to_hex(colour_map(position)) for position in np.linspace(FIRST_SHADE, 1.0, count)]


def _rounded_limits(low: float, high: float) -> Tuple[float, float]:
    size = max(abs(low), abs(high)) or 1.0
    if high - low < 1e-3 * size:  # one value: give it a scale that it lies in the middle of
        low, high = low - 0.05 * size, high + 0.05 * size
    step = 10.0 ** (np.ceil(np.log10(high - low)) - 2)
    # The tolerance keeps a limit that lies on a step, but for rounding, on it.
    return float(np.floor(low / step + 1e-6) * step), float(np.ceil(high / step - 1e-6) * step)


def _decimals(span: float) -> int:
    """Return the decimals at which `STOPS` numbers over ``span`` are even to a tenth of their distance, and no more."""
    return int(max(0, 1 - np.floor(np.log10(span / 3.0) + 1e-9)))
