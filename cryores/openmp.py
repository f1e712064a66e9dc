"""Loads the two OpenMP runtimes, FFTW's and numba's, so that their threads sleep while they wait for work.

By default a thread that waits spins. Two pools that take turns then keep each other off the processors: on a busy
machine a loop of small transforms took minutes in place of seconds. A runtime reads the setting once, when it is
loaded; the environment is put back, so that programs started from this process are not concerned.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Iterator

import cryores.numba_cache  # noqa: F401  before the first function is compiled

SETTING = "OMP_WAIT_POLICY"


@contextlib.contextmanager
def _waiting_passively() -> Iterator[None]:
    given = os.environ.get(SETTING)
    os.environ[SETTING] = given or "PASSIVE"
    try:
        yield
    finally:
        if given is None:
            del os.environ[SETTING]


@contextlib.contextmanager
def _without_dask() -> Iterator[None]:
    """Keep pyfftw from importing Dask, where there is one, for transforms of Dask's arrays: a third of a start."""
    hidden = "dask" not in sys.modules
    if hidden:
        sys.modules["dask"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["dask"]


with _waiting_passively(), _without_dask(), contextlib.suppress(ImportError):
    import pyfftw  # noqa: F401
    from numba.np.ufunc import omppool  # type: ignore[attr-defined]  # noqa: F401
