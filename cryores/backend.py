"""Where arrays lie and what computes on them: the processors of this machine, or a GPU.

A method is written once. `Execution.backend` puts its maps where it shall compute. Every kernel (a transform, or a loop
of numba's) then sees by the array that it is given what is to compute: itself, for arrays of numpy; for others its form
for arrays (`array_form`). Between kernels a method uses what numpy and the array-API standard spell alike.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, Callable, Dict, Protocol, Tuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from cryores.volume import Grid, IntTriple

Array = Any
"""An array of numpy's, or of a device: of CuPy's, or of another namespace that follows the array-API standard."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


class PlannedFFT(Protocol):
    """Real FFTs of one shape in both directions, unnormalised: `cryores.fourier.RealFFT` says how they are used."""

    shape: IntTriple
    scale: float

    def empty_real(self) -> Array:
        """Return a float32 array of the real shape."""

    def empty_spectrum(self) -> Array:
        """Return a complex64 array of the spectrum's shape."""

    def forward(self, real: Array, out: Array) -> Array:
        """Transform ``real`` (destroyed) into ``out``, and return it."""

    def backward(self, spectrum: Array, out: Array) -> Array:
        """Transform ``spectrum`` (destroyed) into ``out``, and return it."""


class InPlaceFFT(Protocol):
    """Real FFTs that overwrite their volume: `cryores.fourier.InPlaceRealFFT` says how they are used."""

    first: Any

    def empty(self) -> Any:
        """Return room for a volume or its spectrum."""

    def real(self, room: Any) -> Array:
        """Return the volume of a room."""

    def spectrum(self, room: Any) -> Array:
        """Return the spectrum of a room."""

    def forward(self, room: Any) -> Array:
        """Transform the volume of a room, unnormalised; return its spectrum."""

    def backward(self, room: Any) -> Array:
        """Transform the spectrum of a room, unnormalised; return its volume."""


class Backend(Protocol):
    """What a method needs of the place where it computes.

    Attributes
    ----------
    name : str
        ``cpu`` or ``cuda:N``.
    xp : module
        Its functions on arrays: numpy or a namespace of the array-API standard.
    """

    name: str
    xp: Any

    def asarray(self, data: Array) -> Array:
        """Return ``data`` there: on the host it is itself, elsewhere a copy unless it lies there already."""

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """Return an array as one of numpy's: on the host it is itself, elsewhere a copy."""

    def zeros(self, shape: Tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return an array of zeros there."""

    def real_fft(self, shape: IntTriple, threads: int, effort: str = "FFTW_MEASURE") -> PlannedFFT:
        """Return the transforms of one shape."""

    def in_place_fft(self, shape: IntTriple, threads: int) -> InPlaceFFT:
        """Return the transforms of one shape that overwrite their volume."""

    def free_bytes(self) -> float:
        """Return the memory of a device that can be had now; of the host, whose memory is planned apart, infinity."""


class Host:
    """The processors of this machine: numpy, numba and FFTW."""

    name = "cpu"
    xp: Any = np

    def asarray(self, data: Array) -> Array:
        """Return ``data``."""
        return data

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """Return ``array``."""
        return cast("npt.NDArray[Any]", array)

    def zeros(self, shape: Tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return zeros of numpy's."""
        return np.zeros(shape, dtype=dtype)

    def real_fft(self, shape: IntTriple, threads: int, effort: str = "FFTW_MEASURE") -> PlannedFFT:
        """Return transforms by FFTW."""
        from cryores.fourier import RealFFT

        return RealFFT(shape, threads, effort)

    def in_place_fft(self, shape: IntTriple, threads: int) -> InPlaceFFT:
        """Return transforms by FFTW."""
        from cryores.fourier import InPlaceRealFFT

        return InPlaceRealFFT(shape, threads)

    def free_bytes(self) -> float:
        """Return infinity."""
        return float("inf")


HOST = Host()

_DEVICES: Dict[type, Backend] = {}
"""The backend of every type of array that does not lie on the host."""


def register(kind: type, backend: Backend) -> None:
    """Make kernels compute on arrays of type ``kind`` by ``backend``, from now on."""
    _DEVICES[kind] = backend


def backend_of(array: Array) -> Backend:
    """Return where ``array`` lies: anything that numpy can read lies on the host."""
    return _DEVICES.get(type(array), HOST)


ARRAY_FORMS = (
    "cryores.array_spectra",
    "cryores.array_monogenic",
    "cryores.array_banks",
    "cryores.array_boxes",
    "cryores.array_directions",
)
"""Where array forms are, which only a device needs."""


@functools.lru_cache(maxsize=None)
def array_form(name: str) -> Callable[..., Any]:
    """Return the array form of a kernel: the function of its name, without a leading underscore, in `ARRAY_FORMS`."""
    modules = [importlib.import_module(module) for module in ARRAY_FORMS]
    found: Callable[..., Any] = next(getattr(module, name) for module in modules if hasattr(module, name))
    return found


def kernel(host_form: Kernel) -> Kernel:
    """Let a function whose first argument is an array take those of a device too.

    For these it has an `array_form`, which is given the backend and then the same arguments.
    """
    name = host_form.__name__.lstrip("_")

    @functools.wraps(host_form)
    def chosen(array: Array, *others: Any, **named: Any) -> Any:
        backend = _DEVICES.get(type(array))
        if backend is None:
            return host_form(array, *others, **named)
        return array_form(name)(backend, array, *others, **named)

    return cast(Kernel, chosen)


FFT_VOLUMES = 2.0
"""Volumes that a transform on a GPU takes for itself: cuFFT's workspace, and the copy that keeps its input."""

EXPRESSION_BYTES = 0.4e9
"""What expressions of array forms hold for a moment, whatever the box, with room for CUDA's libraries."""


BATCH_BYTES = 1e9
"""What small boxes that are transformed together take on a GPU: as many at a time as fit into this."""


def gpu_bytes(grid: Grid, volumes: float, boxes: bool = False) -> float:
    """Return the bytes of so many volumes that a method holds on a GPU, and of what works on them, or on ``boxes``."""
    nz, ny, nx = grid.shape
    return (volumes + FFT_VOLUMES) * 4.0 * nz * ny * (nx + 2) + EXPRESSION_BYTES + (BATCH_BYTES if boxes else 0.0)


def planes(shape: Tuple[int, ...], largest: int) -> Tuple[slice, ...]:
    """Return the z-planes of a volume in slabs of at most ``largest`` values, or of one plane."""
    thick = max(1, largest // max(1, int(np.prod(shape[1:]))))
    return tuple(slice(z, min(z + thick, shape[0])) for z in range(0, shape[0], thick))
