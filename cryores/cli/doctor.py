"""Print versions, devices, memory and weights, and run a 32^3 self-test."""

from __future__ import annotations

import argparse
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import List, Tuple

import numpy as np

from cryores import __version__
from cryores.errors import CryoresError
from cryores.execution import GIGABYTE, available_memory, available_threads
from cryores.fourier import RealFFT
from cryores.method import Inputs, load_method
from cryores.nets import weights
from cryores.numba_cache import kept_in
from cryores.volume import Grid, HalfMaps, Volume

PACKAGES = ("numpy", "scipy", "mrcfile", "gemmi", "pyfftw", "numba", "scikit-image", "matplotlib", "plotly")
OPTIONAL = ("tensorflow", "keras", "cupy-cuda12x", "scipion-pyworkflow", "scipion-em", "scipion-app")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no argument."""


def run(arguments: argparse.Namespace) -> None:
    """Print what there is, then test that FFTs and the three first methods give what they must."""
    print(f"cryores {__version__} in {Path(__file__).resolve().parents[1]}")
    print(f"python {platform.python_version()} on {platform.platform()}")
    for name in PACKAGES + OPTIONAL:
        print(f"  {name:<20}{_version(name, required=name in PACKAGES)}")
    print(f"threads: {available_threads()}; memory free: {available_memory() / GIGABYTE:.1f} GB")
    print(f"devices: cpu{''.join(', ' + d for d in _accelerators())}")
    kept = kept_in(RealFFT.forward)
    print(f"compiled code: {kept or 'kept nowhere, and made in every run: name a folder in NUMBA_CACHE_DIR'}")
    print(f"weights: {', '.join(_weights()) or 'none installed'}")
    for title, test in (("transforms", _test_transforms), ("methods", _test_methods)):
        start = time.perf_counter()
        test()
        print(f"self-test of {title}: passed in {time.perf_counter() - start:.1f} s")


def _version(name: str, required: bool) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "MISSING: run pip install scipion-em-cryores again" if required else "not installed"


def _accelerators() -> List[str]:
    # The driver's own folder tells of NVIDIA devices without loading tensorflow, which takes seconds.
    return [f"cuda:{i}" for i, _ in enumerate(sorted(Path("/proc/driver/nvidia/gpus").glob("*")))]


def _weights() -> List[str]:
    return [path.name for path in weights.shipped()] + [n for n in weights.weight_sets() if weights.installed_in(n)]


def _test_transforms() -> None:
    data = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
    fft = RealFFT((32, 32, 32), threads=1, effort="FFTW_ESTIMATE")
    real, spectrum = fft.empty_real(), fft.empty_spectrum()
    real[...] = data
    back = fft.backward(fft.forward(real, spectrum), fft.empty_real()) * np.float32(fft.scale)
    _expect(float(np.abs(back - data).max()) < 1e-5, "a transform and its inverse do not give the map back")


def _test_methods() -> None:
    halves, mask, nyquist = _ball_with_noise()
    fsc = load_method("fsc")
    curves = fsc.run(Inputs(halves), fsc.make_parameters({})).result
    _expect(curves.resolution["0.143"] < 16.0, "the FSC does not find the signal")
    for name, options in (("monores", {}), ("blocres", {"box": 10, "step": 2})):
        method = load_method(name)
        values = method.run(Inputs(halves, mask), method.make_parameters(options)).result.values()
        _expect(values.size > 0 and values.min() >= nyquist * 0.99, f"{name} gives values finer than Nyquist, or none")


def _ball_with_noise() -> Tuple[HalfMaps, Volume, float]:
    grid = Grid.regular((32, 32, 32), 2.0)
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    radius = np.sqrt(z * z + y * y + x * x)
    rng = np.random.default_rng(1)
    texture = rng.standard_normal(grid.shape)
    signal = np.where(radius < 9, 1.0 + texture, 0.0)
    halves = [Volume((signal + 0.3 * rng.standard_normal(grid.shape)).astype(np.float32), grid) for _ in range(2)]
    return HalfMaps(*halves), Volume((radius < 9).astype(np.float32), grid), grid.nyquist


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise CryoresError(
            "E_SELF_TEST", otherwise, "reinstall scipion-em-cryores; if it stays, report the versions above"
        )
