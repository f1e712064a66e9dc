"""The experiments of the DeepRes paper's supporting information, with stand-ins.

``--models DIR --simulated DIR --out DIR`` writes ``sharpening.csv`` (a row a measurement) and the figures of
docs/sharpening.rst; ``--only S5 S6`` runs some.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

import numpy as np

from cryores import postprocessing, resolution
from cryores.errors import CryoresWarning
from cryores.filters import bfactor
from cryores.fourier import filtered, rfft, shell_width
from cryores.guinier import mean_amplitudes
from cryores.mapio import read_half_maps, read_map
from cryores.report.figures import new_figure
from cryores.shell_correlation import randomised
from cryores.simulation import Simulation, simulate
from cryores.tables import records_text
from cryores.volume import HalfMaps, Volume

RNA = "xray_le2.5A/4p5j.cif.gz"
"""83 nucleotides: for the prohead-binding RNA of phi29, 3R4F."""

CHAIN = "xray_le2.5A/3v1w.pdb.gz"
"""39 kDa: for the chain of the cartilage glycoprotein, 1HJV."""

COMPLEX = "cryoem/6cvm.pdb.gz"
"""A tetramer of 465 kDa: for GroEL, EMD-3407, and the 80S ribosome, EMD-2660."""

SERIES = {
    "6NHB": ("xray_le2.5A/6nhb.pdb.gz", (100, 80, 76), 1.1, 3.2, 6.5, "radial", 90.0),
    "RNA 4P5J": (RNA, (80, 72, 76), 1.05, 3.2, 5.0, "gradient", 50.0),
}
"""Name -> model, box, voxel size, planted resolutions, their field, B-factor: for 6BDF, beside two stored sets."""

Row = Dict[str, Any]
Values = Dict[str, np.ndarray]
Result = Tuple[List[Row], Mapping[str, Values]]


def row(experiment: str, what: str, name: str, values: np.ndarray, **more: Any) -> Row:
    """Return the row of one set of local resolutions (Å)."""
    p5, p20, median, p80 = np.percentile(values, (5, 20, 50, 80))
    return {"experiment": experiment, "what": what, "map": name, "p5": p5, "p20": p20, "median": median, "p80": p80}


def sharpened(volume: Volume, b: float, until: float = 0.0) -> Volume:
    """Return the map times exp(-b s^2 / 4), which beyond ``until`` Å (0: nowhere) stays as it is there."""
    cut = 1.0 / until if until else np.inf
    return volume.like(filtered(volume.data, lambda s: bfactor(b)(np.minimum(s, cut)), volume.grid, 1))


def both(halves: HalfMaps, change: Callable[[Volume], Volume]) -> HalfMaps:
    """Return half maps that were both changed in the same way."""
    return HalfMaps(change(halves.half1), change(halves.half2))


def inside(local: Volume, mask: Volume) -> np.ndarray:
    """Return the values of a resolution map inside a mask."""
    return local.data[(mask.data > 0.5) & np.isfinite(local.data)].astype(np.float64)


def measured(experiment: str, sets: Mapping[str, Values]) -> Result:
    """Return a row for every method and map of ``sets``, and the sets."""
    return [row(experiment, what, name, v) for what, maps in sets.items() for name, v in maps.items()], sets


def rna(models: Path, finest: float, snr: float = 4.0) -> Simulation:
    """Return half maps of the RNA, low-passed at ``finest`` Å."""
    return simulate(models / RNA, (80, 72, 76), 1.0, finest, finest, "constant", snr=snr, seed=1)


# --- the experiments ----------------------------------------------------------------------------------------------


def s1a(models: Path, stored: Path) -> Result:
    """FSC is blind to B."""
    made = rna(models, 4.0)
    before, after = (
        resolution.fsc(h).unmasked for h in (made.halves, both(made.halves, lambda v: sharpened(v, -60.0)))
    )
    largest = float(np.abs(after - before).max())
    return [{"experiment": "S1A", "what": "FSC", "map": "largest change by B = -60", "median": largest}], {}


def s1b(models: Path, stored: Path) -> Result:
    """MonoRes is nearly blind to B."""
    made = rna(models, 4.0)
    maps = {
        "raw": made.halves,
        "B = -60 up to 4 Å": both(made.halves, lambda v: sharpened(v, -60.0, 4.0)),
        "B = -60": both(made.halves, lambda v: sharpened(v, -60.0)),
    }
    found: Dict[str, Values] = {}
    for kind in ("highpass", "bandpass"):
        found[f"MonoRes, {kind}"] = {
            name: inside(resolution.monores(halves, made.mask, filter=kind).resolution, made.mask)
            for name, halves in maps.items()
        }
    found["DeepRes"] = {
        name: inside(resolution.deepres(h.mean(), made.mask, range="2.5-13").resolution, made.mask)
        for name, h in maps.items()
    }
    return measured("S1B", found)


def s1c(models: Path, stored: Path) -> Result:
    """Methods that compare signal with noise go to Nyquist on a LocalDeblur map, DeepRes does not."""
    made = simulate(models / COMPLEX, (72, 100, 128), 1.6, 4.2, 7.0, "gradient", snr=4.0, b=60.0, seed=2)
    mono = resolution.monores(made.halves, made.mask).resolution
    deblurred = postprocessing.localdeblur(made.halves.mean(), mono, made.mask).sharpened
    found = {
        "MonoRes": {
            "half maps": inside(mono, made.mask),
            "LocalDeblur": inside(resolution.monores(deblurred, made.mask).resolution, made.mask),
        },
        "ResMap": {"LocalDeblur": inside(resolution.resmap(deblurred, made.mask).resolution, made.mask)},
        "DeepRes": {
            name: inside(resolution.deepres(volume, made.mask, range="2.5-13").resolution, made.mask)
            for name, volume in (("half maps", made.halves.mean()), ("LocalDeblur", deblurred))
        },
    }
    return measured("S1C", found)


def s2(models: Path, stored: Path) -> Result:
    """Random phases beyond 4 Å are noticed."""
    made = rna(models, 2.5)
    grid = made.clean.grid
    first = round(1.0 / (4.0 * shell_width(grid)))
    mixed = made.clean.like(randomised(rfft(made.clean.data, 1), grid, first, np.random.default_rng(0), 1))
    found = {
        name: inside(resolution.deepres(volume, made.mask, range="2.5-13").resolution, made.mask)
        for name, volume in (("to 2.5 Å", made.clean), ("random phases from 4 Å", mixed))
    }
    return measured("S2", {"DeepRes": found})


def s4(models: Path, stored: Path) -> Result:
    """AutoSharpen moves DeepRes and not the others."""
    made = simulate(models / COMPLEX, (72, 100, 128), 1.6, 4.0, 7.0, "radial", snr=4.0, b=120.0, seed=3)
    mean = made.halves.mean()
    auto = postprocessing.autosharpen(made.halves, made.mask).sharpened
    change = isotropic_change(mean, auto)
    pairs = {"raw": made.halves, "AutoSharpen": both(made.halves, change)}
    found: Dict[str, Values] = {"MonoRes": {}, "ResMap": {}, "blocres": {}}
    for name, halves in pairs.items():
        found["MonoRes"][name] = inside(resolution.monores(halves, made.mask, filter="bandpass").resolution, made.mask)
        found["ResMap"][name] = inside(resolution.resmap(halves, made.mask).resolution, made.mask)
        found["blocres"][name] = inside(resolution.blocres(halves, made.mask, step=3).resolution, made.mask)
    found["DeepRes"] = {
        name: inside(resolution.deepres(volume, made.mask, range="2.5-13").resolution, made.mask)
        for name, volume in (("raw", mean), ("AutoSharpen", auto))
    }
    return measured("S4", found)


def isotropic_change(before: Volume, after: Volume) -> Callable[[Volume], Volume]:
    """Return the filter by which shells of ``after`` are stronger than those of ``before``, for each half map."""
    grid = before.grid
    amplitudes = [mean_amplitudes(rfft(volume.data, 1), grid) for volume in (before, after)]
    ratio = amplitudes[1] / np.maximum(amplitudes[0], 1e-12)
    s = shell_width(grid) * np.arange(len(ratio))
    # Beyond its cut-off AutoSharpen leaves nothing, and of nothing no halves can be compared: level from there on.
    highest = int(np.argmax(ratio))
    ratio[highest:] = ratio[highest]
    return lambda volume: volume.like(filtered(volume.data, lambda f: np.interp(f, s, ratio), grid, 1))


def s5(models: Path, stored: Path) -> Result:
    """Over-sharpening moves DeepRes, MonoRes does not feel it."""
    made = simulate(models / CHAIN, (84, 84, 84), 1.0, 3.5, 3.5, "constant", snr=20.0, seed=4)
    found: Dict[str, Values] = {"MonoRes": {}, "DeepRes": {}}
    for b in (0.0, -60.0, -100.0):
        halves = both(made.halves, lambda v, b=b: sharpened(v, b, 3.5))  # type: ignore[misc]
        found["MonoRes"][f"B = {b:g}"] = inside(resolution.monores(halves, made.mask).resolution, made.mask)
        clean = resolution.deepres(sharpened(made.clean, b), made.mask, range="2.5-13")
        found["DeepRes"][f"B = {b:g}"] = inside(clean.resolution, made.mask)
    return measured("S5", found)


def s6(models: Path, stored: Path) -> Result:
    """The verdict's best B is near that of the best correlation with the clean map."""
    rows = []
    for name, halves, mask, clean in sets(models, stored):
        bfactors = (0.0, -30.0, -60.0, -90.0, -120.0)
        result = postprocessing.verdict(halves, mask=mask, bfactors=bfactors)
        base = postprocessing.postprocess(halves, mask, bfactor=0.0, low_pass="fsc").sharpened
        region = mask.data > 0.5
        tried = np.arange(-150.0, 31.0, 5.0)
        cc = [np.corrcoef(sharpened(base, b).data[region], clean.data[region])[0, 1] for b in tried]
        for one in result.judgements:
            rows.append(
                {
                    "experiment": "S6", "what": name, "map": one.name + (" (best)" if one is result.best else ""),
                    "p5": one.p5, "p20": one.p20, "median": one.median, "p80": one.p80, "past": one.past,
                    "verdict": one.verdict, "limit": result.supported.p20,
                    "cc": float(np.interp(one.bfactor or 0.0, tried, cc)),
                    "best_cc_b": float(tried[int(np.argmax(cc))]),
                }
            )  # fmt: skip
    return rows, {}


def sets(models: Path, stored: Path) -> Iterator[Tuple[str, HalfMaps, Volume, Volume]]:
    """Yield name, half maps, mask and clean map of the stored and the simulated sets."""
    for name in ("haemoglobin", "porin"):
        folder = stored / name
        halves = read_half_maps(str(folder / "half1.mrc"), str(folder / "half2.mrc"))
        yield name, halves, read_map(folder / "mask.mrc.gz"), read_map(folder / "clean.mrc.gz")
    for name, (model, shape, voxel, finest, coarsest, field, b) in SERIES.items():
        made = simulate(models / model, shape, voxel, finest, coarsest, field, b=b, seed=5)
        yield name, made.halves, made.mask, made.clean


EXPERIMENTS = {"S1A": s1a, "S1B": s1b, "S1C": s1c, "S2": s2, "S4": s4, "S5": s5, "S6": s6}


# --- pictures and the table ---------------------------------------------------------------------------------------


def draw(name: str, found: Mapping[str, Values], path: Path) -> None:
    """Draw a panel of histograms for every method."""
    figure = new_figure(3.4 * len(found), 3.0)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (what, maps) in zip(panels, found.items()):
        low = min(np.percentile(v, 0.5) for v in maps.values())
        high = max(np.percentile(v, 99) for v in maps.values())
        for label, values in maps.items():
            weights = np.full(values.size, 100.0 / values.size)
            axes.hist(values, 50, (low, max(high, low + 0.5)), weights=weights, alpha=0.5, label=label)
        axes.set_title(f"{name}: {what}", fontsize=9)
        axes.set_xlabel("Å", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7, frameon=False)
    panels[0].set_ylabel("% of voxels", fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Run what is asked for, print each row as it comes, and write the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--simulated", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", CryoresWarning)
    rows: List[Row] = []
    for name in arguments.only:
        measured_rows, found = EXPERIMENTS[name](arguments.models, arguments.simulated)
        for one in measured_rows:
            print("  ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in one.values()), flush=True)
        rows += measured_rows
        if found:
            draw(name, found, arguments.out / f"sharpening-{name.lower()}.png")
    columns = list(dict.fromkeys(key for one in rows for key in one))
    table = [{key: one.get(key, float("nan")) for key in columns} for one in rows]
    (arguments.out / "sharpening.csv").write_text(records_text(table), encoding="utf-8")


if __name__ == "__main__":
    main()
