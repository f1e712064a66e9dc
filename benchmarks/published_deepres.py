"""Print what the published DeepRes path costs beside its bare forward passes: processor time, peak memory.

The network has the published size and random weights; windows at a time as words (default 64 256 512 1000).
"""

from __future__ import annotations

import sys
import time
from typing import Any, Iterator, Tuple

import numpy as np
import psutil

from cryores.execution import Execution
from cryores.nets import load_keras, published_deepres
from cryores.nets.published_deepres import WINDOW

WINDOWS = 4000


def network() -> Any:
    """Make a network of the published layers: 36,067,009 weights."""
    keras = load_keras()
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((WINDOW,) * 3 + (1,)),
            layers.Conv3D(32, WINDOW, activation="relu", padding="same"),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(1),
        ]
    )


def costs(batches: Tuple[int, ...]) -> Iterator[Tuple[int, float, float, float]]:
    """Give windows at a time, milliseconds of one core a window, the ratio to bare passes, and resident GB."""
    model, rng = network(), np.random.default_rng(0)
    data = rng.standard_normal((40, 40, 40)).astype(np.float32)
    centres = tuple(rng.integers(6, 34, (3, WINDOWS)))
    for batch in batches:
        block = np.zeros((batch, *(WINDOW,) * 3, 1), np.float32)
        model.predict_on_batch(block)  # compiles

        def bare(model: Any = model, block: Any = block, batch: int = batch) -> None:
            for _ in range(-(-WINDOWS // batch)):
                model.predict_on_batch(block)

        def path(model: Any = model, batch: int = batch) -> None:
            published_deepres.MOST_WINDOWS = batch
            published_deepres._predictions(model, data, centres, Execution())

        seconds = {}
        for name, run in (("path", path), ("bare", bare)):
            start = time.process_time()
            run()
            seconds[name] = time.process_time() - start
        memory = psutil.Process().memory_info().rss / 2**30
        yield batch, 1e3 * seconds["path"] / WINDOWS, seconds["path"] / seconds["bare"], memory


if __name__ == "__main__":
    print(f"{'windows at a time':>18}{'ms a window':>13}{'path / bare':>13}{'GB':>7}")
    for row in costs(tuple(int(word) for word in sys.argv[1:]) or (64, 256, 512, 1000)):
        print("{:>18}{:>13.2f}{:>13.3f}{:>7.2f}".format(*row), flush=True)
