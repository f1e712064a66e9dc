"""Rank correlation, residue by residue, of local resolution with the Q-scores that MapQ wrote for EMD-30342.

``python -m benchmarks.qscore_plausibility DATA`` with the folder that holds ``maps/EMD-30342_integrin_Qscore``. The
half maps are the deposited map, which is masked and sharpened, plus white noise: where its density is weak they agree
less far. Q-scores come from the atoms' own peaks, local resolution from no model at all.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Dict

import gemmi
import numpy as np
import scipy.stats

from cryores.atoms import heavy_atoms, read_model, values_at_atoms
from cryores.localres_maps import filled_outwards
from cryores.mapio import read_map
from cryores.resolution import blocres, locres, monores, resmap
from cryores.volume import HalfMaps, Volume

FOLDER = "maps/EMD-30342_integrin_Qscore"
SIGNAL_OVER_NOISE = (1.0, 4.0, 16.0)
"""Variance of the map in the mask over that of the noise of a half."""

METHODS: Dict[str, Callable[..., Any]] = {"locres": locres, "blocres": blocres, "monores": monores, "resmap": resmap}


def published_scores(path: Path) -> np.ndarray[Any, Any]:
    """Return the Q-score of every atom that is not hydrogen, in the order of the file."""
    table = gemmi.cif.read(str(path)).sole_block().find("_atom_site.", ["type_symbol", "Q_score"])
    return np.array([float(score) for element, score in table if element != "H"])


def noisy_halves(volume: Volume, mask: Volume, snr: float) -> HalfMaps:
    """Return a map twice, each with white noise of its own."""
    rng = np.random.default_rng(0)
    scale = np.float32(np.sqrt(volume.data[mask.data > 0].var() / snr))
    noisy = (volume.data + scale * rng.standard_normal(volume.grid.shape, dtype=np.float32) for _ in "12")
    return HalfMaps(*(volume.like(data) for data in noisy))


def by_residue(values: np.ndarray[Any, Any], residue: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the mean of an atom's values in every residue."""
    return np.bincount(residue, values) / np.bincount(residue)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) / FOLDER
    volume = read_map(folder / "390_emd_30342_A_z4.mrc")
    atoms = heavy_atoms(read_model(folder / "390_7cec_A.cif"))
    mask = volume.like((volume.data != 0).astype(np.float32))
    scores = by_residue(published_scores(folder / "390_7cec_A__Q__390_emd_30342_A_z4.cif"), atoms.residue)
    strength = by_residue(values_at_atoms(volume, atoms.structure), atoms.residue)
    print(f"{len(scores)} residues; density at the atoms {scipy.stats.spearmanr(strength, scores)[0]:+.2f}")
    for snr in SIGNAL_OVER_NOISE:
        halves = noisy_halves(volume, mask, snr)
        for name, method in METHODS.items():
            found = method(halves, mask).resolution
            told = found.like(np.where(found.data > 0, found.data, np.nan))
            local = by_residue(values_at_atoms(filled_outwards(told), atoms.structure), atoms.residue)
            rank = scipy.stats.spearmanr(local, scores)[0]
            print(f"signal over noise {snr:4.0f}  {name:8} median {np.nanmedian(told.data):5.2f} Å  rank {rank:+.2f}")
