"""Cost of an evaluation, with a map before and with half maps: of a helix bundle that fills a third of the box."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.measuring import VOXEL_SIZE, best, cost, one_fft
from cryores.atoms import density_from_model, heavy_atoms, helix_bundle, read_model
from cryores.execution import Execution
from cryores.method import Inputs
from cryores.postprocessing._qscore import q_scores
from cryores.postprocessing.evaluate import METHOD
from cryores.volume import Grid

RADIUS = 0.33
"""Of the model, in box edges."""

RESOLUTION = 3.5


def bundle(size: int, folder: Path) -> Inputs:
    """Make a map of a model with noise, and write the model."""
    import numpy as np

    grid = Grid.regular((size, size, size), VOXEL_SIZE)
    middle = 0.5 * size * VOXEL_SIZE
    structure = helix_bundle(RADIUS * size * VOXEL_SIZE, (middle, middle, middle))
    path = folder / f"model_{size}.cif"
    path.write_text(structure.make_mmcif_document().as_string(), encoding="utf-8")
    clean = density_from_model(structure, grid, RESOLUTION)
    scale = clean.data.std()
    rng = np.random.default_rng(0)
    maps = [clean.like(clean.data + scale * rng.standard_normal(grid.shape, dtype=np.float32)) for _ in range(4)]
    return Inputs(
        maps[0], model=str(path), before=maps[1], raw_half1=maps[2], raw_half2=maps[3], processed_half1=maps[0]
    )


def measure(size: int) -> List[Dict[str, Any]]:
    """Return a row of the whole, and print what the Q-scores alone cost."""
    with tempfile.TemporaryDirectory() as folder:
        row = cost("evaluate", METHOD, lambda n: bundle(n, Path(folder)), size, resolution=RESOLUTION)
        inputs = bundle(size, Path(folder))
        assert inputs.model is not None and not hasattr(inputs.maps, "half1")
        positions = heavy_atoms(read_model(inputs.model)).positions
        Execution().use_threads()
        seconds = best(lambda: q_scores(inputs.maps, positions, 0.6))  # type: ignore[arg-type]
        unit = one_fft(inputs.maps.data)  # type: ignore[union-attr]
        scores = {"method": f"Q-scores, {len(positions)} atoms", "size": size, "seconds": seconds}
        unknown = dict.fromkeys(("processor_seconds", "processor_rffts", "volumes", "planned_volumes"), float("nan"))
        return [row, {**scores, "rffts": seconds / unit, **unknown}]
