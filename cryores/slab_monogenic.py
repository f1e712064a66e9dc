"""Monogenic amplitudes of volumes that hardly fit into memory: the same transforms, finished slab by slab.

The filters of a sweep have edges of 0.01 cycles per voxel, and so reach over more than a hundred voxels: overlapping
tiles of the map would have to be several times larger than what they yield, and would still change its values. Here
the transforms are those of the whole volume, and only their last steps are done for one slab of z-planes after the
other: the result is that of `Monogenic` to rounding, whatever the number of slabs.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from cryores.backend import HOST
from cryores.fourier import Complex, InPlaceRealFFT, spectrum_shape
from cryores.monogenic import (
    Edges,
    Filter,
    Monogenic,
    Table,
    _filter,
    _first_energy,
    _last_energy,
    _next_energy,
    _riesz_filter,
    _shared_rows,
    _tabulated,
)
from cryores.volume import FloatArray, Grid

COLUMN_SHARE = 32
"""The columns along z are transformed in so many blocks, which need little memory."""

LEAST_BLOCK = 2**20
"""Coefficients of such a block, at least: starting the threads has to pay."""

HELD_VOLUMES = 2.0
"""Padded volumes that a `SlabMonogenic` holds, beside one slab and one block of columns."""


class SlabMonogenic(Monogenic):
    """`Monogenic` in two volumes and a slab, for the price of transforming the columns along z once a slab.

    It holds one spectrum: `transform` overwrites that of the transform before.

    Parameters
    ----------
    grid : Grid
        The grid of the amplitudes and of the spectra.
    threads : int
        Threads of the transforms.
    slabs : int
        Number of slabs, at most the number of z-planes.
    effort : str
        FFTW planning effort.
    """

    def __init__(self, grid: Grid, threads: int, slabs: int, effort: str = "FFTW_MEASURE") -> None:
        import pyfftw

        self.grid = self.source = grid
        self.backend = HOST
        nz, ny, nx = grid.shape
        self._whole = InPlaceRealFFT(grid.shape, threads, effort=effort)
        self._held, self._result = self._whole.first, self._whole.empty()
        self._planes = InPlaceRealFFT((-(-nz // slabs), ny, nx), threads, axes=(1, 2), effort=effort)
        self._slab = self._planes.first
        nk = spectrum_shape(grid.shape)[2]
        block = (nz, min(ny, max(-(-ny // COLUMN_SHARE), LEAST_BLOCK // (nz * nk))), nk)
        self._block: Complex = pyfftw.empty_aligned(block, dtype="complex64")
        self._columns = pyfftw.FFTW(
            self._block, self._block, axes=(0,), direction="FFTW_BACKWARD", threads=threads, flags=("FFTW_ESTIMATE",)
        )
        self._set_frequencies()

    @property
    def buffer(self) -> FloatArray:
        """A real volume to fill and give to `transform`."""
        return self._whole.real(self._held)

    @property
    def scratch(self) -> FloatArray:
        """A real volume to fill and give to `smoothed`."""
        return self._whole.real(self._result)

    def spare(self) -> FloatArray:
        """Give away a contiguous real volume; after that only `smoothed` of `scratch` may be called."""
        return self._held.reshape(-1)[: self.grid.size].reshape(self.grid.shape)

    def transform(self, data: FloatArray) -> Complex:
        """Return the spectrum of ``data``, which is `buffer`, in its place."""
        return self._whole.forward(self._held)

    def amplitude(self, spectrum: Complex, band: Edges) -> FloatArray:
        """Return the amplitude of the map whose spectrum is ``spectrum`` (kept), filtered to ``band``."""
        table = _tabulated(band, self._corner, 1.0 / self.grid.size)
        thick = len(self._slab)
        for start in _covering(self.grid.shape[0], thick):
            total = self._result[start : start + thick].reshape(-1)
            total[:] = self._invert(spectrum, None, start, table)
            for axis, combine in enumerate((_first_energy, _next_energy, _last_energy)):
                combine(total, self._invert(spectrum, axis, start, table))
        return self.scratch

    def _invert(self, spectrum: Complex, axis: Optional[int], start: int, table: Table) -> FloatArray:
        """Return the padded planes from ``start`` on of the filtered map, or of its Riesz transform along an axis."""
        rows_z, rows_y, columns = _shared_rows(self.grid.shape, self.grid.shape)
        uz, uy, ux = self._axes
        slab, wide = self._planes.spectrum(self._slab), self._block.shape[1]
        for y in _covering(self.grid.shape[1], wide):
            some = slice(y, y + wide)
            if axis is None:
                _filter(spectrum, self._block, rows_z, rows_y[some], columns, uz, uy[some], ux, *table)
            else:
                az, ay, ax = self._along(axis)
                along = az, ay[some], ax
                _riesz_filter(spectrum, self._block, rows_z, rows_y[some], columns, uz, uy[some], ux, *along, *table)
            self._columns.execute()
            slab[:, some] = self._block[start : start + len(slab)]
        self._planes.backward(self._slab)
        return self._slab.reshape(-1)

    def smoothed(self, amplitude: FloatArray, band: Filter) -> FloatArray:
        """Return ``amplitude``, which is `scratch` or came from `amplitude`, filtered to ``band`` in its place."""
        self.smoothed_spectrum(amplitude, band)
        return self._whole.backward(self._result)

    def smoothed_spectrum(self, amplitude: FloatArray, band: Filter) -> Complex:
        """Return the spectrum of `smoothed`."""
        spectrum = self._whole.forward(self._result)
        rows = _shared_rows(self.grid.shape, self.grid.shape)
        _filter(spectrum, spectrum, *rows, *self._axes, *_tabulated(band, self._corner, 1.0 / self.grid.size))
        return spectrum

    def synthesis(self, spectrum: Complex, grid: Grid) -> FloatArray:
        """Return here the map that ``spectrum``, the `smoothed_spectrum` of a coarser ``grid``, describes."""
        rows = _shared_rows(grid.shape, self.grid.shape)
        out = self._whole.spectrum(self._result)
        _filter(spectrum, out, *rows, *self._axes, *_tabulated(Edges(), self._corner, 1.0))
        return self._whole.backward(self._result)


def _covering(length: int, part: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return where parts of one length start that cover ``length``: the last one overlaps the one before."""
    return np.minimum(np.arange(0, length, part), length - part)
