"""Model cards: what a file of trained weights is, in JSON for programs and in Markdown for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

LIMITS = (
    "It was trained on simulated maps of X-ray and cryo-EM models at neutral contrast; it never saw a real map.",
    "It judges the look of the density: sharpening makes its values finer, blurring coarser, whatever the data hold.",
    "Membranes, glycans, bound lipids and long nucleic acids are rare among its models.",
    "A voxel is judged by the 33 voxels around it along each axis: gradients within that are smoothed, and at the coarse "
    "end of the range it sees few periods of the finest wave.",
    "Values at the ends of the range say no more than: this fine, or that coarse, or beyond.",
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
        f"- {told['models']} atomic models, each with its own B-factors; {told['kept_aside']} more, listed in "
        "kept-aside.txt, were not shown to it. No globin, and not 2POR.",
        f"- {told['lessons']} pieces of 48³ voxels, turned, shifted, with a voxel size wrong by up to 2 %, low-passed to a "
        "random limit (constant, or varying within the piece) by filters of random shape; then, each with its own "
        "probability, another B-factor, noise down to the FSC 0.143 of half maps at the limit, a soft mask, another "
        "solvent level, smooth density beside the molecule. Every fifth chunk of 200 pieces has no flaw.",
        f"- Seed {told['seed']}. `cryores train deepres --models DIR --out DIR --range "
        f"{told['finest']:g}-{told['coarsest']:g} --lessons {told['lessons']}`.",
        f"- Loss by epoch: {', '.join(f'{value:.3f}' for value in told['loss'])}.",
        "",
        "## Accuracy on the models kept aside",
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
