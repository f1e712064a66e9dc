"""Computing on arrays of any namespace of the array-API standard: of CuPy's on a GPU, of a strict stand-in in tests.

In `cryores.array_spectra`, `cryores.array_monogenic`, `cryores.array_banks`, `cryores.array_boxes` and
`cryores.array_directions` stand the array forms of the kernels (`cryores.backend.kernel`): each has the name, the
arguments and the values of the loop that it stands for, and the backend before them. They use what CuPy, numpy and the
standard spell alike, and work on a slab of z-planes at a time: what an expression holds for a moment does not grow with
the box. Frequencies, tables and thresholds are small, and come as arrays of numpy's.
"""

from __future__ import annotations

from typing import Any, Callable, Hashable, List, Optional, Tuple, TypeVar

import numpy as np
import numpy.typing as npt

import cryores.backend as backends
from cryores.backend import Array, Backend, InPlaceFFT, PlannedFFT, planes, register
from cryores.fourier import spectrum_shape
from cryores.volume import IntTriple

SLAB = 2**21
"""Values that an expression works on at a time; it holds up to 124 bytes for each (that of `shell_sums`)."""

Host = npt.NDArray[Any]
Made = TypeVar("Made")


def slabs(shape: Tuple[int, ...]) -> Tuple[slice, ...]:
    """Return the z-planes of a volume, or the rows of a table, in slabs of at most `SLAB` values."""
    return planes(shape, SLAB)


class ArrayBackend:
    """A device and a namespace of functions on its arrays.

    Parameters
    ----------
    name : str
        What the report calls it.
    xp : module
        The namespace.
    put : callable
        Copies an array of numpy's to the device.
    get : callable
        Copies an array of the device to the host.
    zeros : callable
        Returns an array of zeros of a shape and a type of numpy's.
    free : callable
        Returns the bytes that the device can give now.
    say : callable
        Receives one-line messages for the user.
    """

    def __init__(
        self,
        name: str,
        xp: Any,
        put: Callable[[Host], Array],
        get: Callable[[Array], Host],
        zeros: Callable[[Tuple[int, ...], npt.DTypeLike], Array],
        free: Callable[[], float] = lambda: float("inf"),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.xp = xp
        self.put, self.to_host, self.zeros, self.free_bytes, self.say = put, get, zeros, free, say
        self._kept: Optional[Tuple[Hashable, Any]] = None
        self.smaller = 1.0  # what batches were divided by, for want of memory
        self.arctan2 = xp.arctan2 if hasattr(xp, "arctan2") else xp.atan2  # the name of numpy, that of the standard
        register(type(put(np.zeros(1, dtype=np.float32))), self)

    def asarray(self, data: Array) -> Array:
        """Return ``data`` on the device: a copy unless it lies there already."""
        return self.put(data) if isinstance(data, np.ndarray) else data

    def real_fft(self, shape: IntTriple, threads: int, effort: str = "FFTW_MEASURE") -> PlannedFFT:
        """Return the transforms of one shape: the namespace plans them by itself."""
        return ArrayFFT(self, shape)

    def in_place_fft(self, shape: IntTriple, threads: int) -> InPlaceFFT:
        """Return the transforms of one shape; the namespace has none in place."""
        return ArrayRooms(self, shape)

    def kept(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what ``make`` returns, made once until another key comes: only the last one is kept."""
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # before the next one takes room
            self._kept = key, make()
        made: Made = self._kept[1]
        return made

    def in_batches(self, count: int, bytes_each: float, work: Callable[[slice], None]) -> None:
        """Let ``work`` do ``count`` boxes, so many at a time as `BATCH_BYTES` and half of the free memory hold.

        Where that is too much in spite of it, half as many from then on; ``work`` must bear to be called again.
        """
        room = min(backends.BATCH_BYTES, 0.5 * self.free_bytes())
        first = 0
        while first < count:
            at_once = max(1, int(room / self.smaller / bytes_each))
            part = slice(first, min(first + at_once, count))
            try:
                work(part)
            except MemoryError:
                if part.stop - part.start == 1:
                    raise
                self.smaller *= 2.0
                self.say(f"{self.name} has run out of memory: half as many boxes at a time from now on")
            else:
                first = part.stop


class ArrayFFT:
    """Real FFTs of one shape on a device: what `cryores.fourier.RealFFT` is on the host."""

    def __init__(self, backend: ArrayBackend, shape: IntTriple) -> None:
        self.shape = shape
        self.scale = 1.0 / float(np.prod(shape, dtype=np.float64))
        self._backend = backend

    def empty_real(self) -> Array:
        """Return a float32 array of the real shape."""
        return self._backend.zeros(self.shape, np.float32)

    def empty_spectrum(self) -> Array:
        """Return a complex64 array of the spectrum's shape."""
        return self._backend.zeros(spectrum_shape(self.shape), np.complex64)

    def forward(self, real: Array, out: Array) -> Array:
        """Transform ``real`` into ``out``, unnormalised."""
        out[...] = self._backend.xp.fft.rfftn(real)
        return out

    def backward(self, spectrum: Array, out: Array) -> Array:
        """Transform ``spectrum`` into ``out``, unnormalised."""
        out[...] = self._backend.xp.fft.irfftn(spectrum, s=self.shape, axes=(0, 1, 2), norm="forward")
        return out


Room = Tuple[Array, Array]
"""A volume and its spectrum, each in memory of its own."""


class ArrayRooms:
    """Real FFTs on a device for what overwrites its volumes on the host, as `cryores.fourier.InPlaceRealFFT` does."""

    def __init__(self, backend: ArrayBackend, shape: IntTriple) -> None:
        self._fft = ArrayFFT(backend, shape)
        self.first = self.empty()

    def empty(self) -> Room:
        """Return room for a volume and for its spectrum."""
        return self._fft.empty_real(), self._fft.empty_spectrum()

    def real(self, room: Room) -> Array:
        """Return the volume."""
        return room[0]

    def spectrum(self, room: Room) -> Array:
        """Return the spectrum."""
        return room[1]

    def forward(self, room: Room) -> Array:
        """Transform the volume, unnormalised; return its spectrum."""
        return self._fft.forward(*room)

    def backward(self, room: Room) -> Array:
        """Transform the spectrum, unnormalised; return its volume."""
        return self._fft.backward(room[1], room[0])


# --- what array forms are made of -----------------------------------------------------------------------------------


def squared(backend: Backend, sz: Host, sy: Host, sx: Host) -> Array:
    """Return |s|^2 of every coefficient, in the precision of the axes."""
    return summed_axes(backend, sz * sz, sy * sy, sx * sx)


def summed_axes(backend: Backend, z: Host, y: Host, x: Host) -> Array:
    """Return z + y + x at every place, shape (nz, ny, nx), of numbers along the axes."""
    return backend.asarray(z[:, None, None] + y[None, :, None]) + backend.asarray(x[None, None, :])


def single(xp: Any, values: Array) -> Array:
    """Return values as float32."""
    return xp.asarray(values, dtype=xp.float32)


def complex_of(xp: Any, re: Array, im: Array) -> Array:
    """Return the complex64 numbers of two parts."""
    return xp.asarray(re, dtype=xp.complex64) + xp.asarray(im, dtype=xp.complex64) * 1j


def looked_up(xp: Any, table: Array, places: Array) -> Array:
    """Return the values of a table at places in it, in the shape of ``places``."""
    return xp.reshape(xp.take(table, xp.reshape(places, (-1,))), places.shape)


def interpolated(xp: Any, table: Array, position: Array) -> Array:
    """Return the values at places between those of a float32 table."""
    i = xp.asarray(position, dtype=xp.int32)
    first = looked_up(xp, table, i)
    fraction = single(xp, position - xp.asarray(i, dtype=position.dtype))
    return first + (looked_up(xp, table, i + 1) - first) * fraction


def fetched_sum(backend: Backend, parts: List[Array]) -> npt.NDArray[Any]:
    """Return the sum of small arrays as one row of numpy's: fetched together, for to fetch waits for the device."""
    fetched: npt.NDArray[Any] = backend.to_host(backend.xp.sum(backend.xp.stack(parts), axis=0))[None, :]
    return fetched
