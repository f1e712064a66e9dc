"""Accuracy of our own DeepRes: ``python -m benchmarks.deepres_accuracy --models DIR [--maps DIR]``.

On models that were kept aside, low-passed at random resolutions, clean and with every flaw of the training; and on
deposited maps, as they are and blurred by B = 100 Å².
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Dict, Tuple

from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.mapio import read_map
from cryores.masks import automatic_mask
from cryores.nets.own_deepres import FORMAT, Reading, shipped_weights
from cryores.nets.stored_weights import load_weights
from cryores.nets.training.deepres import TARGETS, accuracy, answers, flawed
from cryores.nets.training.degraded import clean
from cryores.nets.training.pieces import listed_models, parted, pieces_of
from cryores.resolution import deepres

REAL: Dict[str, Tuple[float, str]] = {
    "EMD-20026": (1.75, "EMD-20026_apoferritin/QScore_Apoferritin_Tutorial/emd20026_prot.mrc"),
    "EMD-3488": (3.2, "EMD-3488_hemoglobin/emd_3488.map"),
    "EMD-5778": (3.3, "EMD-5778_TRPV1_chainA/5578_ChainA.mrc"),
    "EMD-0093": (3.4, "EMD-0093_HCN4_seg/MAP_m4A.mrc.gz"),
    "EMD-3240": (4.3, "qrefine_5fn5/5fn5_box.ccp4"),
    "EMD-3186": (7.9, "EMD-3186/emd_3186.map"),
}
"""Entry -> published resolution in Å, and its file below the folder of maps."""


def unseen(models: str, cache: str, pieces: int) -> None:
    """Print the errors of both networks on models kept aside."""
    aside = parted(listed_models(models))[1]
    for target in TARGETS.values():
        stored = load_weights(shipped_weights(target.voxel_size), FORMAT)
        judge = Reading(stored.arrays)
        cut = pieces_of(aside, target.voxel_size, Path(cache), "validation", 1_000_000)
        for name, recipe in (("clean", clean(target.finest, target.coarsest)), ("flawed", flawed(target))):
            found = accuracy(*answers(judge, cut, recipe, target, pieces, seed=2)[:2], target)
            print(f"{target.finest:g}-{target.coarsest:g} Å, {name}: {found['mean_absolute_error']:.3f} Å")
            print(f"{'truth':>12}{'voxels':>9}{'error':>8}{'bias':>8}{'median':>8}")
            for low, count, error, bias, median, _ in found["bins"]:
                bounds = f"{low:.1f}-{low + target.voxel_size:.1f}"
                print(f"{bounds:>12}{count:9d}{error:8.3f}{bias:+8.3f}{median:8.2f}")


def real(folder: str) -> None:
    """Print the medians on deposited maps, as they are and blurred."""
    print(f"{'':12}{'published':>10}{'range':>9}{'median':>8}{'5 %':>7}{'95 %':>7}{'blurred':>9}")
    for entry, (published, name) in REAL.items():
        volume = read_map(Path(folder) / name)
        mask = automatic_mask(volume)
        found = deepres(volume, mask)
        chosen = found.details["range"]
        blurred = volume.like(filtered(volume.data, bfactor(100.0), volume.grid, 1))
        coarser = deepres(blurred, mask, range=chosen).summary()["median"]
        told = found.summary()
        print(
            f"{entry:12}{published:10.2f}{chosen:>9}{told['median']:8.2f}{told['p5']:7.2f}{told['p95']:7.2f}{coarser:9.2f}",
            flush=True,
        )


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help="folder of the models of the training")
    parser.add_argument("--maps", help="folder of deposited maps")
    parser.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "cryores-pieces"), help="of pieces")
    parser.add_argument("--pieces", type=int, default=231, help="how many are judged")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.models:
        unseen(chosen.models, chosen.cache, chosen.pieces)
    if chosen.maps:
        real(chosen.maps)


if __name__ == "__main__":
    main()
