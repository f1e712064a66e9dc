"""Model cards: what a file of trained weights is, in JSON for programs and in Markdown for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

LIMITS = (
    "It was trained on simulated maps of X-ray and cryo-EM models at neutral contrast; it never saw a real map.",
    "Six deposited maps had a part in it all the same: how their descriptions differ from simulated ones (not their "
    "resolutions) led to the continuation of maps beyond cuts and to the noise of the training, and the six medians "
    "were looked at between trials. They are no independent test any more.",
    "It judges the look of the density: sharpening makes its values finer, blurring coarser, whatever the data hold.",
    "Membranes, glycans, bound lipids and long nucleic acids are rare among its models.",
    "A voxel is judged by the 49 voxels around it along each axis, those within 13 most: gradients within that are "
    "smoothed, and at the coarse end of the range it sees few periods of the finest wave.",
    "The models kept aside chose the moments and the number of lessons; other models are needed to judge it.",
    "Values beyond the range, where the lessons end, say little more than: beyond.",
)


def write_card(file: Path, description: Dict[str, Any]) -> None:
    """Write the card of ``file`` beside it, as ``.json`` and as ``.md``."""
    file.with_suffix(".json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text("\n".join(_lines(file.name, description)) + "\n", encoding="utf-8")


def _lines(name: str, told: Dict[str, Any]) -> List[str]:
    size = told["voxel_size"]
    lines = [
        f"# {name}",
        "",
        f"Local resolution of {told['finest']:g} to {told['coarsest']:g} Å from density on voxels of {size:g} Å "
        f"(`cryores deepres --range {told['finest']:g}-{told['coarsest']:g}`). Format: {told['format']}.",
        "",
        "## Training",
        "",
        f"- {told['models']} atomic models, each with its own B-factors (of what decays faster than "
        f"150 Å² the rest is taken back, here and below: nothing could be seen of it at 3 Å); {told['kept_aside']} "
        "more, listed in kept-aside.txt, were not shown to it. No globin, and not 2POR.",
        f"- {told['lessons']} pieces of 48³ voxels, turned, shifted, a voxel size wrong by up to 2 %, low-passed to "
        "a random limit (constant, or varying within the piece) by filters of random shape; then, each with its own "
        "probability, another B-factor; another solvent level; smooth density beside the molecule; noise, of which "
        "more than half is treated as in deposited maps (weights by FSC, flat Guinier plot, low-pass at the limit); "
        "far too much sharpening or blur, with which the truth moves; a soft mask. Of every five chunks of 200 pieces "
        "one has no flaw, and one has maps cut out around the atoms. While the head learned, the power of each band "
        "was raised or lowered at random, four in ten descriptions were given a rest of power in all bands, and what "
        "lies beyond the 1 and 99 % percentiles of the lessons counted as if it were there. At last the bounds of the "
        "bins of resolution were moved by up to some per cent, until the answers to the lessons of each truth, clean "
        "and flawed ones alike, had that truth as mean.",
        f"- Seed {told['seed']}. `cryores train deepres --models DIR --out DIR --range "
        f"{told['finest']:g}-{told['coarsest']:g} --lessons {told['lessons']}`.",
        f"- Loss by epoch: {', '.join(f'{value:.3f}' for value in told['loss'])}.",
        "",
        "## Accuracy on the models kept aside",
        "",
        f"{told['judged']} degraded pieces of each kind, voxels within 4 Å of an atom, at most 120 of a piece: of 1200 "
        "voxels, ten pieces.",
        "",
    ]
    for kind in ("clean", "flawed"):
        lines += [f"{kind}: mean absolute error {told[kind]['mean_absolute_error']:.3f} Å", ""]
        lines += [
            "| truth (Å) | voxels | mean error | bias | median truth | median answer |",
            "|---|---|---|---|---|---|",
        ]
        for low, count, error, bias, answer, truth in told[kind]["bins"]:
            lines.append(
                f"| {low:.1f}-{low + size:.1f} | {count} | {error:.3f} | {bias:+.3f} | {truth:.2f} | {answer:.2f} |"
            )
        lines.append("")
    lines += ["## Limits", "", *(f"- {limit}" for limit in LIMITS)]
    return lines


ENHANCER_LIMITS = (
    "It learnt from simulated maps, unless the lines above name half maps; glycans, lipids and tomograms are rare.",
    "It changes amplitudes, in blocks of 4 Å, and never sees or makes density: what the map does not hold cannot come.",
    "A map that was sharpened or masked before hides how strong its noise is, and what is noise is taken for signal.",
    "For looking at maps and for building models; never for refinement, nor for measuring a resolution.",
)


def write_enhancer_card(file: Path, description: Dict[str, Any]) -> None:
    """Write the card of an enhancer beside its weights, as Markdown; the weights hold the same for programs."""
    file.with_suffix(".md").write_text("\n".join(_enhancer_lines(file.name, description)) + "\n", encoding="utf-8")


def _enhancer_lines(name: str, told: Dict[str, Any]) -> List[str]:
    schedule, recipe, curve = told["schedule"], told["recipe"], told["curve"]
    belt = "with" if recipe["keeps_belt"] else "without"
    ends = recipe["mask_start"] + recipe["mask_width"]
    shown = curve[-1]["lessons"] if curve else 0
    lines = [
        f"# {name}",
        "",
        f"The enhancer for {told['target']}: a 3D U-net on blocks of 4 Å ({', '.join(map(str, told['widths']))} "
        "channels, no normalisation layers) that says how strong each of ten bands of frequency is to be. "
        f"Format: {told['format']}.",
        "",
        "## Training",
        "",
        f"- Material: {told['material']} ({told['maps']}); {told['kept_aside']} more, listed in kept-aside.txt, were "
        "not shown to it.",
        f"- Resolution {recipe['finest']:g} to {recipe['coarsest']:g} Å; the target's mask falls from "
        f"{recipe['mask_start']:g} to {ends:g} Å from the atoms, {belt} belts of detergent or lipid.",
        f"- {shown} lessons of 64³ voxels of 1 Å, each turned in every way; {schedule['steps']} batches of "
        f"{schedule['batch']}, Adam from {schedule['rate']:g}, seed {schedule['seed']}"
        + (f", started from {told['started_from']}." if told["started_from"] else "."),
        f"- `cryores train deepemhancer --target {told['target']} --models DIR --out DIR --steps {schedule['steps']} "
        f"--lessons {schedule['lessons']}" + (" --start-from FILE`." if told["started_from"] else "`."),
        "",
        "| batch | lessons | loss | error of the gains | correlation of the gains | worst map |",
        "|---|---|---|---|---|---|",
    ]
    for one in curve:
        values = (one[key] for key in ("loss", "error", "correlation", "worst"))
        lines.append(f"| {one['step']} | {one['lessons']} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
    lines += [
        "",
        "Error and correlation are medians over lessons of models kept aside (enhancer.validation_lessons).",
        "",
        "## Limits",
        "",
    ]
    return lines + [f"- {limit}" for limit in ENHANCER_LIMITS]


DENOISER_LIMITS = (
    "It sees density and learnt from atomic models: within the noise of a map it prefers what looks like a molecule.",
    "In every band of frequency and every place its correction has no more power than the noise that was let through; "
    "bands in which the molecule has no more power than the noise are left alone.",
    "It learnt behind the first step of its target alone, the tight one's on maps without belts of detergent or lipid; "
    "what the tight one's does behind the others is in docs/methods/deepemhancer.rst.",
    *ENHANCER_LIMITS[2:],
)


def write_denoiser_card(file: Path, told: Dict[str, Any]) -> None:
    """Write the card of an enhancer's second step beside its weights, as Markdown."""
    schedule, target = told["schedule"], told["target"]
    lines = [
        f"# {file.name}",
        "",
        f"The second step of the enhancer for {target}: a 3D U-net on voxels of 2 to 8 Å "
        f"({', '.join(map(str, told['widths']))} channels, no normalisation layers) that takes noise out of the "
        f"enhanced map. Format: {told['format']}.",
        "",
        "## Training",
        "",
        f"- Material: {told['material']} ({told['maps']}), enhanced by enhancer-{target}.npz; {told['kept_aside']} "
        "more, listed in kept-aside.txt, were not shown to it.",
        f"- {told['lessons']} lessons ({schedule['lessons']} simulated maps, those left out that have belts which the "
        "target has not) of 64³ voxels of 1 Å, each turned in every way and shifted; half of them with more noise, up "
        f"to {told['most_noise']:g} times; "
        f"{schedule['steps']} batches of {schedule['batch']}, Adam from {schedule['rate']:g}, seed {schedule['seed']}"
        + (f", started from {told['started_from']}" if told["started_from"] else "")
        + f". Kept is the running mean of the weights, of which a batch leaves {told['remembered']:g}.",
        f"- `cryores train deepemhancer --second-step --target {target} --models DIR --out DIR --steps "
        f"{schedule['steps']} --lessons {schedule['lessons']}"
        + (" --start-from FILE`." if told["started_from"] else "`."),
        *([f"- {told['remark']}"] if told.get("remark") else []),
        "",
        "| batch | loss | of models kept aside | error left | correlation before | after | largest error left |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in told["curve"]:
        values = (one[key] for key in ("loss", "judged", "error_left", "before", "correlation", "worst"))
        lines.append(f"| {one['step']} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
    lines += [
        "",
        "From the third column on of lessons of models kept aside: mean loss; medians, and the largest, of how the",
    ]
    lines += ["result compares with the noise-free enhanced map.", "", "## Limits", ""]
    lines += [f"- {limit}" for limit in DENOISER_LIMITS]
    file.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
