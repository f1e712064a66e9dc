"""Accuracy of the enhancers on models that they never saw: ``python -m benchmarks.enhancer_accuracy --models DIR``.

Half maps of the models that training kept aside are simulated (`cryores.simulation`, coloured noise, resolution falling
along an axis, B-factor), enhanced, and compared with LocScale's map of them and the model, in a tight mask.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from cryores.atoms import atom_positions, density_from_model, read_model
from cryores.errors import CryoresWarning
from cryores.execution import Execution
from cryores.fourier import rfft, shell_sums
from cryores.masks import soft_edge
from cryores.nets.training.pieces import listed_models, split
from cryores.postprocessing import deepemhancer, locscale
from cryores.postprocessing._model_reference import around_atoms
from cryores.shell_correlation import crossing_resolution, fsc_curve
from cryores.simulation import simulate
from cryores.volume import Volume

TIGHT, EDGE = 2.5, 3.0
"""Å from the atoms at which the tight mask begins to fall, and over which it does."""


def fsc_half(volume: Volume, reference: Volume, mask: Any, threads: int) -> Optional[float]:
    """Return the resolution (Å) at which the FSC falls below 0.5, under a soft mask."""
    sums = shell_sums(rfft(volume.data * mask, threads), rfft(reference.data * mask, threads), volume.grid)
    return crossing_resolution(sums.frequency, fsc_curve(sums), 0.5)


def judged(path: Path, seed: int, target: str, execution: Execution) -> Dict[str, Any]:
    """Return correlation with LocScale's map and FSC 0.5 with the model, before and after."""
    rng = np.random.default_rng(seed)
    positions = atom_positions(read_model(path))
    edge = int(np.ceil((np.ptp(positions, axis=0).max() + 30.0) / 8.0)) * 8
    finest = float(rng.uniform(3.0, 4.5))
    made = simulate(
        str(path), shape=(edge,) * 3, voxel_size=1.0, finest=finest, coarsest=finest * float(rng.uniform(1.05, 1.8)),
        snr=float(rng.uniform(1.0, 3.0)), noise="coloured", b=float(rng.uniform(40.0, 140.0)), seed=seed,
    )  # fmt: skip
    before = made.halves.mean()
    near = before.like(around_atoms(made.structure, before.grid, TIGHT))
    tight = soft_edge(near, EDGE)
    reference = density_from_model(made.structure, before.grid)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        model = str(Path(folder) / "model.pdb")
        made.structure.write_pdb(model)
        wanted = locscale(made.halves, before.like(tight.data > 0.01), model, execution=execution).sharpened.data
        after = deepemhancer(made.halves, made.mask, execution=execution, target=target)
    wanted = wanted * tight.data
    ones = np.ones(before.grid.shape, dtype=np.float32)
    found: Dict[str, Any] = {"model": path.name.split(".")[0], "edge": edge, "finest": finest}
    for name, volume in (("before", before), ("after", after.sharpened)):
        found[f"cc_{name}"] = float(np.corrcoef(volume.data.ravel(), wanted.ravel())[0, 1])
        found[f"fsc_{name}"] = fsc_half(volume, reference, ones, execution.threads)
        found[f"fsc_tight_{name}"] = fsc_half(volume, reference, tight.data, execution.threads)
    return found


def main() -> None:
    """Print a line for each model, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True)
    parser.add_argument("--target", default="tightTarget")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--largest", type=float, default=70.0, help="largest extent of a model in Å")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rows: List[Dict[str, Any]] = []
    for seed, path in enumerate(split(listed_models(arguments.models))[1]):
        positions = atom_positions(read_model(path))
        if len(rows) < arguments.count and np.ptp(positions, axis=0).max() < arguments.largest and len(positions) > 900:
            rows.append(judged(path, seed, arguments.target, Execution(arguments.threads)))
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    names = [name for name in rows[0] if "_" in name]
    print({name: round(float(np.median([row[name] for row in rows if row[name]])), 3) for name in names})


if __name__ == "__main__":
    main()
