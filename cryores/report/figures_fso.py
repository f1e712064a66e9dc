"""Pictures of a directional resolution: FSO with FSC, the sphere of directions, planes of the 3DFSC."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cryores.fourier import Float64
from cryores.report import figures, views
from cryores.report.colours import COLOUR_MAP, CURVE_COLOURS, colour_scale
from cryores.resolution.fso import LEVELS, SIGNIFICANT, FSOResult
from cryores.volume import FloatArray, Grid

DISC = 301
"""Pixels across the disc that shows a hemisphere."""

SMOOTHING = 6.0
"""Degrees: values between directions, which lie 8 apart, are means with Gaussian weights of this width."""

LEAST_P = 1e-12
"""p-values below are drawn here."""

TILTS = (30.0, 60.0, 90.0)
CONTOURS = ("w", "k")


# --- curves -------------------------------------------------------------------------------------------------------


def occupancy_figure(result: FSOResult) -> Figure:
    """Draw FSO over FSC, with the FSO of an isotropic map, and below it the p-value of Bingham's test."""
    figure = figures.new_figure(7, 5.6)
    both: Any = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes, test = both
    low, high = np.percentile(result.directional, (5, 95), axis=0)
    axes.fill_between(
        result.frequency, low, high, color=CURVE_COLOURS[1], alpha=0.2, lw=0, label="5–95 % of directions"
    )
    axes.plot(result.frequency, result.fsc, color=CURVE_COLOURS[1], lw=1.5, label="FSC")
    axes.plot(result.frequency, result.expected, color=CURVE_COLOURS[0], lw=1, ls="--", label="FSO if isotropic")
    axes.plot(result.frequency, result.fso, color=CURVE_COLOURS[0], lw=1.8, label="FSO")
    for level in LEVELS:
        resolution = result.occupancy[f"{level:g}"]
        if resolution is not None:
            axes.plot(1.0 / resolution, level, "o", color=figures.TEXT, ms=4, zorder=4)
            axes.annotate(f"{resolution:.2f} Å", (1.0 / resolution, level), xytext=(7, 3), textcoords="offset points")
    axes.axhline(0, color="#999999", lw=0.8)
    axes.axhline(result.cutoff, color="#777777", ls=":", lw=1)
    if result.fdr is not None:
        axes.plot(result.frequency, result.fdr, color="#777777", lw=1, ls="--", label=views.FDR_TITLE)
    axes.set(xlim=(0, result.frequency[-1]), ylim=(-0.1, 1.05), ylabel="FSC · share of directions")
    axes.legend(frameon=False, loc="lower left", fontsize=9)
    p_value = np.maximum(result.p_value, LEAST_P)
    test.semilogy(result.frequency, p_value, ".", color=figures.TEXT, ms=4)
    test.axhline(SIGNIFICANT, color="#777777", ls=":", lw=1)
    test.set(xlabel="Spatial frequency (1/Å)", ylabel="Bingham's p", ylim=(0.3 * min(1e-3, p_value.min()), 2))
    for part in (axes, test):
        part.spines[["top", "right"]].set_visible(False)
    return figure


# --- directions ---------------------------------------------------------------------------------------------------


def between_directions(axes: Float64, values: Float64, wanted: Float64) -> Float64:
    """Return values on the sphere between directions: Gaussian means, NaN where the nearest direction has none.

    Parameters
    ----------
    axes : ndarray of float64, shape (axes, 3)
        Unit vectors; n and -n are one direction.
    values : ndarray of float64, shape (axes,)
        Their values, NaN where there is none.
    wanted : ndarray of float64, shape (..., 3)
        Unit vectors.
    """
    if not np.isfinite(values).any():
        return np.full(wanted.shape[:-1], np.nan)
    # Row by row: the weights of all directions at all places of a picture are 0.6 GB.
    rows = wanted.reshape(-1, *wanted.shape[-2:])
    return np.array([_along_row(axes, values, row) for row in rows]).reshape(wanted.shape[:-1])


def _along_row(axes: Float64, values: Float64, wanted: Float64) -> Float64:
    """Return `between_directions` of one row of unit vectors, shape (n, 3), where some direction has a value."""
    cosines, known = np.abs(wanted @ axes.T), np.isfinite(values)
    # 2 (1 - cos) is the square of the angle, where it counts.
    weights = np.exp(-(1.0 - cosines[:, known]) / np.radians(SMOOTHING) ** 2)
    found: Float64 = (weights @ values[known]) / np.maximum(weights.sum(axis=-1), 1e-300)
    found[~known[np.argmax(cosines, axis=-1)]] = np.nan
    return found


def directions_figure(result: FSOResult) -> Figure:
    """Draw resolution and signal over the hemisphere, seen along z, every direction with its true share of the area.

    What is missing is outlined.
    """
    figure = figures.new_figure(9, 4.4)
    both: Any = figure.subplots(1, 2)
    left, right = both
    disc = _disc()
    limits, signal = (between_directions(result.axes, values, disc.unit) for values in (result.limits, result.signal))
    missing_below = result.details["missing_below"]
    missing = None if missing_below is None else (signal, missing_below)
    scale = colour_scale(result.limits[np.isfinite(result.limits)])
    colours = ScalarMappable(Normalize(scale.low, scale.high), scale.for_matplotlib())
    _hemisphere(left, disc, limits, colours, missing)
    bar = figure.colorbar(colours, ax=left, extend="both", ticks=scale.values, shrink=0.8)
    bar.set_label("Resolution (Å)")
    bar.ax.set_yticklabels(scale.labels)
    grey = ScalarMappable(Normalize(0.0, max(1.5, float(np.percentile(result.signal, 98)))), "gray")
    _hemisphere(right, disc, signal, grey, missing)
    figure.colorbar(grey, ax=right, extend="both", shrink=0.8).set_label("Signal, relative to the mean")
    return figure


class _Disc(NamedTuple):
    """A hemisphere on a disc: positions across and up, shape (DISC, DISC), and the unit vectors (z, y, x) there."""

    right: Float64
    up: Float64
    unit: Float64


def _hemisphere(
    axes: Any, disc: _Disc, values: Float64, colours: ScalarMappable, missing: Optional[Tuple[Float64, float]]
) -> None:
    """Draw values on the disc; ``missing``, the signal there and the level below which it is missing, is outlined."""
    placed = {"origin": "lower", "extent": (-1, 1, -1, 1), "interpolation": "nearest"}
    image = axes.imshow(values, cmap=colours.cmap, norm=colours.norm, **placed)
    image.set_clip_path(Circle((0.0, 0.0), 1.0, transform=axes.transData))
    if missing is not None:
        signal = np.where(np.hypot(disc.right, disc.up) <= 1.0, missing[0], np.nan)
        axes.contour(disc.right, disc.up, signal, levels=[missing[1]], colors=CURVE_COLOURS[1], linewidths=1.5)
    around = np.linspace(0.0, 2.0 * np.pi, 200)
    for degrees in TILTS:
        ring = np.sqrt(2.0) * np.sin(np.radians(degrees) / 2.0)
        axes.plot(ring * np.cos(around), ring * np.sin(around), color="#999999", lw=0.6)
        # Text on the picture needs an edge of its own.
        axes.text(0.02, ring - 0.02, f"{degrees:.0f}°", fontsize=7, color="w", va="top", bbox=_LABEL)
    for name, position in (("x", (1.06, 0)), ("y", (0, 1.08)), ("-x", (-1.1, 0)), ("-y", (0, -1.08))):
        axes.text(*position, name, ha="center", va="center", color=figures.TEXT)
    axes.set(xlim=(-1.18, 1.18), ylim=(-1.15, 1.15), aspect="equal")
    axes.set_axis_off()


def _disc() -> _Disc:
    """Return Lambert's projection, which keeps areas."""
    right, up = np.meshgrid(*[np.linspace(-1.0, 1.0, DISC)] * 2)
    radius = np.hypot(right, up)
    tilt = 2.0 * np.arcsin(np.minimum(radius, 1.0) / np.sqrt(2.0))
    share = np.sin(tilt) / np.maximum(radius, 1e-9)
    return _Disc(right, up, np.stack([np.cos(tilt), share * up, share * right], axis=-1))


_LABEL = {"facecolor": "#333333", "edgecolor": "none", "pad": 1.0, "alpha": 0.6}


# --- 3DFSC --------------------------------------------------------------------------------------------------------


def planes_of(data: FloatArray, grid: Grid) -> List[Tuple[views.Plane, Float64, Float64]]:
    """Return the three planes through the zero frequency with the frequencies (1/Å) of their rows and columns."""
    found = []
    for axis in range(3):
        plane = views.Plane(axis, data.shape[axis] // 2)
        rows, columns = (
            (np.arange(n) - n // 2) / edge for n, edge in zip(plane.others(data.shape), plane.others(grid.extent))
        )
        found.append((plane, rows, columns))
    return found


def three_d_figure(result: FSOResult) -> Figure:
    """Draw planes of the 3DFSC through the zero frequency, with its contours at both cutoffs."""
    assert result.three_d is not None
    figure = figures.new_figure(9, 3.4)
    all_axes: Any = figure.subplots(1, 3)
    levels = sorted({result.cutoff, result.details["sphericity_cutoff"]})
    for axes, (plane, rows, columns) in zip(all_axes, planes_of(result.three_d.data, result.grid)):
        shown = plane.of(result.three_d.data)
        image = axes.pcolormesh(columns, rows, shown, vmin=0, vmax=1, cmap=COLOUR_MAP, shading="nearest")
        if shown.min() < levels[0] < shown.max():
            axes.contour(columns, rows, shown, levels=levels, colors=CONTOURS[: len(levels)], linewidths=0.8)
        row_name, column_name = plane.others("zyx")
        axes.set(aspect="equal", xlabel=f"{column_name} (1/Å)", ylabel=f"{row_name} (1/Å)")
        axes.set_title(f"{'zyx'[plane.axis]} = 0", fontsize=9)
        axes.tick_params(labelsize=7)
    figure.colorbar(image, ax=all_axes, shrink=0.85).set_label("3DFSC")
    return figure
