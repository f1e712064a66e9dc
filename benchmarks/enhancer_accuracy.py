"""Accuracy of the enhancers: ``python -m benchmarks.enhancer_accuracy --models DIR`` or ``--maps DIR``.

``--models``: half maps of the models that training kept aside, made by `benchmarks.enhancer_maps`. ``--maps``:
deposited maps with their models, as they are, and blurred by B = 100 Å² with noise. Each is compared with LocScale's
map of it in a tight mask, and with its model, before, after auto-B post-processing, after the enhancer's gains alone,
and after the enhancer. ``--choose`` takes the models that choices may be made on; the others are for the final table.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np

from benchmarks.enhancer_maps import EDGE, TIGHT, Judged, judged_map
from cryores.atoms import atom_positions, density_from_model, read_model
from cryores.errors import CryoresWarning
from cryores.execution import Execution
from cryores.filters import bfactor, gaussian
from cryores.fourier import filtered, irfft, rfft, shell_sums
from cryores.mapio import read_map
from cryores.masks import soft_edge
from cryores.nets.training.pieces import listed_models, parted
from cryores.noise import white_noise
from cryores.postprocessing import deepemhancer, locscale, postprocess
from cryores.postprocessing._real_space import around_atoms
from cryores.resolution import deepres
from cryores.shell_correlation import crossing_past_shape, fsc_curve
from cryores.volume import HalfMaps, Volume

DEPOSITED = {
    "EMD-3488": ("EMD-3488_hemoglobin/emd_3488.map", "EMD-3488_hemoglobin/5ni1.pdb"),
    "EMD-5778": ("EMD-5778_TRPV1_chainA/5578_ChainA.mrc", "EMD-5778_TRPV1_chainA/pdb3j5p.pdb"),
    "EMD-0093": ("EMD-0093_HCN4_seg/MAP_m4A.mrc.gz", "EMD-0093_HCN4_seg/6gyn.pdb"),
    "EMD-3240": ("qrefine_5fn5/5fn5_box.ccp4", "qrefine_5fn5/5fn5_box_complete.pdb"),
    "EMD-5185": ("qrefine_3j06_TMV/3j06_no_ligand_box.ccp4", "qrefine_3j06_TMV/3j06_no_ligand_box_complete.pdb"),
}
"""Map and model of an entry, below the folder of ``--maps``."""

CHOOSE = ("3klr", "1f94", "1t3y", "6ezf", "3hyn", "3q6l")
"""Of the models kept aside, those that choices were made on."""

RANDOM_FROM, RANDOM_JUDGED = 6.0, 5.5
"""Å beyond which phases are made random, and beyond which nothing of the truth may come back."""

BLUR, NOISE_SHARE = 100.0, 0.3
"""B-factor in Å² that deposited maps are blurred by, and the noise of a half map that they then get, as a share of the
blurred map's standard deviation near atoms."""


def fsc_half(volume: Volume, reference: Volume, mask: Any, threads: int) -> float:
    """Return the resolution (Å) at which the FSC falls below 0.5, under a soft mask."""
    level = np.float32(np.median(volume.data))
    sums = shell_sums(rfft((volume.data - level) * mask, threads), rfft(reference.data * mask, threads), volume.grid)
    return crossing_past_shape(sums.frequency, fsc_curve(sums), 0.5) or float("nan")


def measures(found: Dict[str, Volume], made: Judged, resolution: float, threads: int) -> Dict[str, Any]:
    """Return CC with LocScale's map, FSC 0.5 with the model and median of DeepRes, of each map."""
    execution = Execution(threads)
    tight, near = made.tight, made.tight.like(made.tight.data > 0.5)
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model.pdb")
        made.structure.write_pdb(model)
        within = tight.like(tight.data > 0.01)
        options: Dict[str, Any] = {} if isinstance(made.halves, HalfMaps) else {"min_resolution": resolution}
        wanted = locscale(made.halves, within, model, execution=execution, **options).sharpened.data * tight.data
    values: Dict[str, Any] = {}
    for name, volume in found.items():
        values[f"cc_{name}"] = float(np.corrcoef(volume.data.ravel(), wanted.ravel())[0, 1])
        values[f"fsc_{name}"] = fsc_half(volume, made.reference, np.float32(1.0), threads)
        values[f"tight_{name}"] = fsc_half(volume, made.reference, tight.data, threads)
        local = deepres(volume, near, execution=execution).resolution.data[near.data > 0.5]
        values[f"deepres_{name}"] = float(np.median(local[np.isfinite(local) & (local > 0)]))
    return values


def judged(name: str, made: Judged, target: str, threads: int) -> Dict[str, Any]:
    """Return the row of one map."""
    execution = Execution(threads)
    halves = made.halves
    before = halves.mean() if isinstance(halves, HalfMaps) else halves
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        enhanced = deepemhancer(halves, made.tight, execution=execution, target=target)
        gains = deepemhancer(halves, made.tight, execution=execution, target=target, denoise=False)
        found = {"input": before, "gains": gains.sharpened, "enhanced": enhanced.sharpened}
        if isinstance(halves, HalfMaps):
            sharpened = postprocess(halves, made.tight, execution=execution).sharpened
            # A fit over the few shells of a coarse map can give a B-factor that no number holds.
            found.update({"auto_b": sharpened} if np.isfinite(sharpened.data).all() else {})
        values = measures(found, made, made.resolution, threads)
        values.update(confidence_ranks(enhanced, made, threads))
        if isinstance(halves, HalfMaps):
            values["half_test"] = half_map_loss(halves, made, target, threads)
            values["noise_out"] = noise_out(halves, enhanced.sharpened, made, target, threads)
            values.update(random_phases(halves.mean(), made, target, threads))
    for kind in found:
        for what in ("fsc", "tight", "deepres"):
            if kind != "input":
                values[f"{what}_gain_{kind}"] = values[f"{what}_input"] - values[f"{what}_{kind}"]
    return {"name": name, "edge": before.grid.shape[0], **values}


def confidence_ranks(enhanced: Any, made: Judged, threads: int) -> Dict[str, float]:
    """Return rank correlations with the error inside the mask.

    First 1 - confidence with the `relative_error` and with the bare error, which is large where the density is strong;
    then the noise that the result tells of with the bare error.
    """
    from scipy.stats import spearmanr

    inside = made.tight.data > 0.5
    relative, error = (some[inside] for some in relative_error(enhanced.sharpened, made, threads))
    doubt, noise = -enhanced.extra["confidence"].data[inside], enhanced.extra["noise"].data[inside]
    pairs = {"confidence": (doubt, relative), "confidence_bare": (doubt, error), "noise_bare": (noise, error)}
    return {name: float(spearmanr(*pair).statistic) for name, pair in pairs.items()}


def relative_error(enhanced: Volume, made: Judged, threads: int) -> Tuple[Any, Any]:
    """Return the mean squared error around the voxels, over 3 Å: over the truth's own mean square, and bare.

    The truth is the model's density up to the map's resolution, on the scale on which the two fit best in the mask.
    """
    grid, inside, found = enhanced.grid, made.tight.data > 0.5, enhanced.data
    cut = crossing_of(enhanced, made, threads)
    truth = filtered(made.reference.data, lambda s: (s < 1.0 / cut).astype(float), grid, threads)
    scale, level = np.polyfit(truth[inside], found[inside], 1)
    squares = (np.square(some).astype(np.float32) for some in (found - level - scale * truth, scale * truth))
    error, power = (filtered(some, gaussian(3.0), grid, threads) for some in squares)
    return error / np.maximum(power, 1e-6 * float(power[inside].max())), error


def noise_out(halves: HalfMaps, enhanced: Volume, made: Judged, target: str, threads: int) -> float:
    """Return the RMS of what is made of noise with the map's spectrum, over that of the enhanced map in the mask."""
    noise = halves.half1.like(halves.half1.data - halves.half2.data)
    out = deepemhancer(noise, made.tight, execution=Execution(threads), target=target).sharpened.data
    return float(np.sqrt(np.mean(np.square(out))) / np.sqrt(np.mean(np.square(enhanced.data[made.tight.data > 0.5]))))


def random_phases(before: Volume, made: Judged, target: str, threads: int) -> Dict[str, float]:
    """Return how the FSC with the model rises at most beyond `RANDOM_JUDGED` where phases say nothing, and how high.

    Compared are the input times the enhancer's support and its result, in one soft mask.
    """
    spectrum, grid = rfft(before.data, threads), before.grid
    other = rfft(np.random.default_rng(8).standard_normal(grid.shape).astype(np.float32), threads)
    kept = filtered(before.data, lambda s: (s <= 1.0 / RANDOM_FROM).astype(float), grid, threads)
    mixed = irfft((np.abs(spectrum) * np.exp(1j * np.angle(other))).astype(np.complex64), grid.shape, threads)
    volume = before.like(kept + filtered(mixed, lambda s: (s > 1.0 / RANDOM_FROM).astype(float), grid, threads))
    found = deepemhancer(volume, made.tight, execution=Execution(threads), target=target).sharpened
    local = np.sqrt(np.maximum(filtered(np.square(found.data), gaussian(2.0), grid, threads), 0.0))
    support = np.clip(local / (0.2 * np.percentile(local, 99)), 0.0, 1.0)
    spectra = [rfft(v * made.tight.data, threads) for v in (found.data, volume.data * support, made.reference.data)]
    after, raw = (shell_sums(some, spectra[2], grid) for some in spectra[:2])
    beyond = (after.frequency > 1.0 / RANDOM_JUDGED) & (after.frequency < 1.0 / made.resolution)
    reached, first = (fsc_curve(some)[beyond] for some in (after, raw))
    rise, highest = (float(np.max(some, initial=-1.0)) for some in (reached - first, reached))
    return {
        "random_phases": rise,
        "random_phases_reached": highest,
        "random_phases_input": float(np.max(first, initial=-1.0)),
    }


def crossing_of(volume: Volume, made: Judged, threads: int) -> float:
    """Return up to where map and model agree by 0.143 in the tight mask (Å)."""
    spectra = [rfft(some.data * made.tight.data, threads) for some in (volume, made.reference)]
    sums = shell_sums(*spectra, volume.grid)
    return crossing_past_shape(sums.frequency, fsc_curve(sums), 0.143) or 2.0 * volume.grid.spacing


def half_map_loss(halves: HalfMaps, made: Judged, target: str, threads: int) -> float:
    """Return the least of FSC(enhanced half 1, raw half 2) - FSC(raw, raw) over the shells up to the resolution."""
    one = deepemhancer(halves.half1, made.tight, execution=Execution(threads), target=target).sharpened
    spectra = [rfft(v.data, threads) for v in (halves.half1, halves.half2, one)]
    raw, after = (shell_sums(spectra[k], spectra[1], one.grid) for k in (0, 2))
    upto = (raw.frequency > 0) & (raw.frequency <= 1.0 / made.resolution)
    return float(np.min((fsc_curve(after) - fsc_curve(raw))[upto]))


def deposited(folder: Path, entries: List[str], threads: int) -> Iterator[Any]:
    """Yield names and maps of the deposited entries, as they are and blurred with noise."""
    for name in entries:
        file, model = DEPOSITED[name]
        volume, structure = read_map(folder / file), read_model(folder / model)
        structure.remove_waters()
        grid = volume.grid
        near = volume.like(around_atoms(atom_positions(structure), grid, TIGHT))
        tight, reference = soft_edge(near, EDGE), density_from_model(structure, grid)
        blurred = filtered(volume.data, bfactor(BLUR), grid, threads)
        rng, level = np.random.default_rng(1), np.float32(NOISE_SHARE * float(blurred[near.data > 0.5].std()))
        halves = HalfMaps(*(volume.like(blurred + level * white_noise(grid, rng)) for _ in range(2)))
        for kind, maps in (("as deposited", volume), ("blurred", halves)):
            made = Judged(maps, volume, reference, tight, structure, 4.0)  # type: ignore[arg-type]
            yield f"{name} {kind}", made


def simulated(folder: Path, largest: float, choose: bool, threads: int) -> Iterator[Any]:
    """Yield names and maps of the models kept aside that are of a moderate size: to choose on, or for the table."""
    for seed, path in enumerate(parted(listed_models(folder))[1]):
        positions = atom_positions(read_model(path))
        name = path.name.split(".")[0]
        if np.ptp(positions, axis=0).max() < largest and len(positions) > 900 and (name in CHOOSE) == choose:
            yield name, judged_map(path, seed, threads)


def main() -> None:
    """Print a line for each map, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--entries", nargs="+", choices=DEPOSITED, default=list(DEPOSITED), help="of --maps")
    parser.add_argument("--target", default="tightTarget")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--largest", type=float, default=62.0, help="largest extent of a model in Å")
    parser.add_argument("--choose", action="store_true", help="the models that choices may be made on")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    material = (
        simulated(given.models, given.largest, given.choose, given.threads)
        if given.models
        else deposited(given.maps, given.entries, given.threads)
    )
    rows: List[Dict[str, Any]] = []
    for _, (name, made) in zip(range(given.count), material):
        rows.append(judged(name, made, given.target, given.threads))
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    columns = [key for key in dict.fromkeys(k for row in rows for k in row) if key not in ("name", "edge")]
    medians: Dict[str, Optional[float]] = {
        key: float(np.nanmedian([row.get(key, np.nan) for row in rows])) for key in columns
    }
    print({"medians": {key: round(value, 3) for key, value in medians.items() if value is not None}})


if __name__ == "__main__":
    main()
