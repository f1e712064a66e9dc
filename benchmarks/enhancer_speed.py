"""Speed of the enhancers: ``python -m benchmarks.enhancer_speed``.

Our network on a box of ``--edge`` Å: seconds, processor seconds and peak memory. ``--published``: how many cubes the
published loop evaluates on that box and how many we do, and how alike the results are, with an emulated network whose
reach is that of a few convolutions; ``--normalised``: with the published normalisation between these, which sees the
whole cube, so that no two cubes agree on what they share.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from cryores.execution import Execution
from cryores.nets import published_enhancer as published
from cryores.nets.cubes import CubePlan, occupied
from cryores.nets.slab_norm import slab_normalization
from cryores.postprocessing import deepemhancer
from cryores.report.record import peak_memory
from cryores.volume import FloatArray, Grid, Volume


def blob(edge: int) -> FloatArray:
    """Return a molecule-like ball that fills a quarter of the box's edge around its middle, and noise."""
    rng = np.random.default_rng(0)
    along = (np.arange(edge) - edge // 2) ** 2
    inside = along[:, None, None] + along[:, None] + along < (0.25 * edge) ** 2
    texture = gaussian_filter(rng.standard_normal(inside.shape).astype(np.float32), 1.5)
    noise = rng.standard_normal(inside.shape).astype(np.float32)
    made: FloatArray = inside * (1.0 + 4.0 * texture) + 0.3 * noise
    return made.astype(np.float32)


def own(edge: int, threads: int) -> None:
    """Print what the default network takes."""
    volume = Volume(blob(edge), Grid.regular((edge,) * 3, 1.0))
    wall, processor = time.perf_counter(), time.process_time()
    deepemhancer(volume, execution=Execution(threads))
    spent = time.perf_counter() - wall, time.process_time() - processor
    peak = peak_memory() / 1e9
    print(f"own network, {edge}^3 at 1 Å: {spent[0]:.0f} s, {spent[1]:.0f} processor seconds, peak {peak:.2f} GB")


def emulated(normalised: bool) -> Any:
    """Return a network of one channel whose convolutions have random weights."""
    from cryores.nets import load_keras

    keras = load_keras()
    keras.utils.set_random_seed(1)
    given = keras.Input((published.EDGE,) * 3 + (1,))
    hidden = keras.layers.Conv3D(4, 5, padding="same", activation="relu")(given)
    hidden = keras.layers.Conv3D(4, 5, strides=2, padding="same", activation="relu")(hidden)
    if normalised:
        hidden = slab_normalization(groups=4)(hidden)
    hidden = keras.layers.UpSampling3D(2)(hidden)
    return keras.Model(given, keras.layers.Conv3D(1, 5, padding="same")(hidden))


def of_published(edge: int, normalised: bool, strides: Sequence[int]) -> None:
    """Print for each stride how many fewer evaluations than the published loop ours takes, and how alike they are."""
    density, grid = blob(edge), Grid.regular((edge,) * 3, 1.0)
    given = published.NoiseStatistics(0.0, 0.3).normalised(density)
    network, counted = emulated(normalised), Counted()
    strict = published.as_published(given, None, grid, network, counted, 4)  # type: ignore[arg-type]
    many = counted.steps
    inside = gaussian_filter(np.abs(density), 3.0) > 0.5
    for stride in strides:
        counted, plan = Counted(), CubePlan(published.EDGE, stride)
        ours = published.enhanced(given, grid, network, counted, 4, plan)  # type: ignore[arg-type]
        alike = np.corrcoef(ours[inside], strict[inside])[0, 1]
        factor = many / counted.steps
        print(
            f"published network, {edge}^3, stride {stride}: {many} cubes as published, {counted.steps} ours, "
            f"{factor:.1f} times fewer; correlation where the molecule is {alike:.5f}",
            flush=True,
        )


def counts_of_published(edge: int, strides: Sequence[int]) -> None:
    """Print for each stride how many fewer evaluations ours takes, without running any."""
    shape, smooth = (edge,) * 3, gaussian_filter(blob(edge), 3.0)
    padded = edge + published.PUBLISHED_STRIDE - edge % published.PUBLISHED_STRIDE
    many = ((padded - published.EDGE) // published.PUBLISHED_STRIDE + 1) ** 3
    for stride in strides:
        few = len(occupied(CubePlan(published.EDGE, stride).places(shape), published.EDGE, smooth))  # type: ignore[arg-type]
        print(f"{edge}^3, stride {stride}: {many} cubes as published, {few} ours, {many / few:.1f} times fewer")


class Counted(Execution):
    """Counts the cubes that a network evaluates."""

    def __init__(self) -> None:
        super().__init__(2)
        self.steps = 0

    def stage(self, title: str, steps: int = 0) -> Any:
        """Return a stage that counts."""
        return _Counter(self)


class _Counter:
    def __init__(self, owner: Counted) -> None:
        self._owner = owner

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *told: Any) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        self._owner.steps += steps


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=256)
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--normalised", action="store_true")
    parser.add_argument("--strides", type=int, nargs="+", default=[published.PLAN.stride], help="of --published")
    parser.add_argument("--count-only", action="store_true", help="with --published: run no network")
    arguments = parser.parse_args()
    if arguments.published and arguments.count_only:
        counts_of_published(arguments.edge, arguments.strides)
    elif arguments.published:
        of_published(arguments.edge, arguments.normalised, arguments.strides)
    else:
        own(arguments.edge, arguments.threads)


if __name__ == "__main__":
    main()
