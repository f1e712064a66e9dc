"""Judge every post-processing method by an atomic model: ``python -m benchmarks.judged HALF1 HALF2 MASK MODEL``.

Prints a row a method: masked map-model FSC 0.5 (Å), CC_mask and mean Q-score of what it makes, with its defaults.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Dict, Iterator, Tuple

from cryores.errors import CryoresError
from cryores.mapio import read_half_maps, read_map
from cryores.method import Inputs, load_method
from cryores.postprocessing import evaluate
from cryores.volume import HalfMaps, Volume

RUNS: Dict[str, Tuple[str, Dict[str, Any], bool]] = {
    "postprocess": ("postprocess", {}, False),
    "autosharpen": ("autosharpen", {}, False),
    "blocfilt": ("blocfilt", {}, False),
    "local-lowpass": ("local-lowpass", {}, False),
    "localdeblur": ("localdeblur", {}, False),
    "localdeblur, 4 steps": ("localdeblur", {"iterations": 4}, False),
    "locspiral": ("locspiral", {}, False),
    "locbsharpen": ("locbsharpen", {}, False),
    "locscale, model": ("locscale", {}, True),
    "locscale, theory": ("locscale", {}, False),
}
"""Row -> method, parameters, and whether it sees the model."""


def processed(halves: HalfMaps, mask: Volume, model: str) -> Iterator[Tuple[str, Volume]]:
    """Yield the map before, then what each method makes of it."""
    yield "before", halves.mean()
    for row, (name, parameters, sees_model) in RUNS.items():
        method = load_method(name)
        inputs = Inputs(halves, mask=mask, model=model if sees_model else None)
        try:
            yield row, method.run(inputs, method.make_parameters(parameters)).result.sharpened
        except CryoresError as error:
            print(f"{row:22} {error}", flush=True)


def main() -> None:
    """Print the table."""
    half1, half2, mask, model = sys.argv[1:]
    halves = read_half_maps(half1, half2)
    warnings.simplefilter("ignore")
    print(f"{'':22}{'FSC 0.5':>9}{'CC_mask':>9}{'Q-score':>9}")
    for row, volume in processed(halves, halves.half1.like(read_map(mask, halves.grid.spacing).data), model):
        found = {name: value["after"] for name, value in evaluate(volume, model).measures().items()}
        numbers = (found["masked_model_fsc_0.5"], found["cc_mask"], found["q_score"])
        print(f"{row:22}" + "".join(f"{number or float('nan'):9.3f}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
