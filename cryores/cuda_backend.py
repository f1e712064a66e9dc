"""The GPU that was asked for, through CuPy."""

from __future__ import annotations

import warnings
from typing import Callable

from cryores.array_backend import ArrayBackend
from cryores.errors import UsageError

PLANS = 4
"""Plans of transforms that are kept: both directions of the box, and of a coarser grid or a batch of boxes."""


def cuda_backend(device: str, say: Callable[[str], None]) -> ArrayBackend:
    """Return the backend of ``cuda``, ``cuda:N`` or ``cuda:N,M``; of several GPUs the first, which is said.

    Raises
    ------
    UsageError
        ``E_NO_GPU`` if CuPy is not installed, does not work, or sees no GPU of that number.
    """
    numbers = [int(number) for number in (device.partition(":")[2] or "0").split(",")]
    try:
        with warnings.catch_warnings():  # CuPy's, on where it looked for CUDA: below it is seen whether CUDA works
            warnings.simplefilter("ignore")
            import cupy
    except ImportError as error:
        raise _missing(device, f"CuPy cannot be loaded ({str(error).splitlines()[0]})") from error
    chosen = cupy.cuda.Device(numbers[0])
    try:
        seen = int(cupy.cuda.runtime.getDeviceCount())
        if numbers[0] < seen:
            chosen.use()
            # CUDA's libraries for transforms and for compiling are looked for at the first use only.
            float(cupy.fft.rfftn(cupy.ones((2, 2, 2), dtype=cupy.float32))[0, 0, 0].real * 2)
    except Exception as error:  # of each of CUDA's libraries its own kind
        raise _missing(device, f"CuPy finds no GPU that works ({str(error).splitlines()[0]})") from error
    if numbers[0] >= seen:
        raise _missing(device, f"CuPy sees {seen or 'no'} GPU{'s' if seen > 1 else ''}")
    if len(numbers) > 1:
        say(f"of several GPUs the first is used: cuda:{numbers[0]}")

    def free() -> float:
        return float(chosen.mem_info[0]) + float(cupy.get_default_memory_pool().free_bytes())

    # Plans keep room to work in, each up to a volume: CuPy would keep those of the last 16 shapes.
    cupy.fft.config.get_plan_cache().set_size(PLANS)
    return ArrayBackend(f"cuda:{numbers[0]}", cupy, cupy.asarray, cupy.asnumpy, cupy.zeros, free, say)


def _missing(device: str, what: str) -> UsageError:
    return UsageError(
        "E_NO_GPU",
        f"{device} was asked for, and {what}",
        "use --device cpu, or install CuPy for your CUDA: pip install 'scipion-em-cryores[cuda]'",
    )
