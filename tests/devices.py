"""Devices that tests compute on: a strict stand-in for a GPU, and a GPU where there is one."""

import numpy as np
import pytest

from cryores.array_backend import ArrayBackend
from cryores.errors import UsageError

STAND_IN, GPU = "a strict stand-in", "cuda"


def device(name):
    """Return the backend of a device, or skip the test in words."""
    return stand_in() if name == STAND_IN else gpu()


def stand_in():
    """Return arrays that do what the array-API standard promises and nothing else, and that numpy cannot read.

    They lie on what array-api-strict calls device1: any use of one as an array of numpy's raises, as on a GPU.
    """
    xp = pytest.importorskip("array_api_strict", reason="the stand-in for a GPU needs array-api-strict (Python >= 3.9)")
    far = xp.Device("device1")

    def put(data):
        return xp.asarray(np.array(data, order="C"), device=far)

    def get(array):
        return np.array(array._array)  # what its own to_device does, which with numpy 1 does not work

    def zeros(shape, dtype):
        return xp.zeros(shape, dtype=getattr(xp, np.dtype(dtype).name), device=far)

    return ArrayBackend("a stand-in", xp, put, get, zeros)


def gpu():
    from cryores.cuda_backend import cuda_backend

    try:
        return cuda_backend("cuda", print)
    except UsageError as error:
        pytest.skip(f"no GPU to compute on: {error.message}")
