"""Volumes larger than memory: mapped files, computed in overlapping blocks one after the other, into files again.

dask.array cuts the sources, puts the overlaps around the blocks and stores what is computed; every block is computed by
all threads. Only what a function needs around a block limits how small blocks can be.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from cryores.errors import UsageError

Cuts = Tuple[Tuple[int, ...], Tuple[int, ...], Tuple[int, ...]]
"""Where a volume is cut along (z, y, x): ascending from 0 to its length."""

Slices = Tuple[slice, slice, slice]


class Block(NamedTuple):
    """One block: its number along (z, y, x), what it yields and what it sees, in voxels of the whole volume."""

    number: Tuple[int, int, int]
    core: Slices
    reach: Slices

    @property
    def inner(self) -> Slices:
        """The core, in voxels of the reach."""
        z, y, x = (slice(c.start - r.start, c.stop - r.start) for c, r in zip(self.core, self.reach))
        return z, y, x


def block_at(number: Tuple[int, int, int], cuts: Cuts, overlap: int) -> Block:
    """Return the block of that number along (z, y, x); it sees ``overlap`` voxels around its core, if there are."""
    core = [slice(edges[i], edges[i + 1]) for i, edges in zip(number, cuts)]
    reach = [slice(max(c.start - overlap, 0), min(c.stop + overlap, e[-1])) for c, e in zip(core, cuts)]
    return Block(number, (core[0], core[1], core[2]), (reach[0], reach[1], reach[2]))


def blocks(cuts: Cuts, overlap: int) -> List[Block]:
    """List all blocks."""
    return [block_at((i[0], i[1], i[2]), cuts, overlap) for i in np.ndindex(*(len(edges) - 1 for edges in cuts))]


def in_blocks(
    function: Callable[..., npt.NDArray[Any]],
    sources: Sequence[npt.NDArray[Any]],
    cuts: Cuts,
    overlap: int,
    out: npt.NDArray[Any],
    out_cuts: Optional[Cuts] = None,
) -> None:
    """Fill ``out`` by ``function(block, *pieces)``, one block at a time.

    Parameters
    ----------
    function : callable
        Gets a `Block` and what it sees of every source; returns what its part of ``out`` holds.
    sources : sequence of ndarray
        Volumes of one shape, as mapped files.
    cuts : Cuts
        Where they are cut; no block may be thinner than ``overlap``.
    overlap : int
        Voxels that are seen around a block.
    out : ndarray
        Of the shape of the sources, or cut at ``out_cuts``.
    out_cuts : Cuts, optional
        Where ``out`` is cut, into as many blocks.

    Raises
    ------
    UsageError
        ``E_NO_DASK`` if dask is not installed.
    """
    try:
        import dask.array
    except ImportError as error:
        raise UsageError(
            "E_NO_DASK",
            "volumes larger than memory need dask",
            "pip install 'scipion-em-cryores[tomo]', or give more memory",
        ) from error

    def one(*pieces: npt.NDArray[Any], block_info: Any = None) -> npt.NDArray[Any]:
        return function(block_at(block_info[None]["chunk-location"], cuts, overlap), *pieces)

    depth = tuple(overlap if len(edges) > 2 else 0 for edges in cuts)
    made = dask.array.map_overlap(
        one,
        *(dask.array.from_array(_Lazy(source), chunks=_sizes(cuts), name=False) for source in sources),
        depth=depth,
        boundary="none",
        trim=False,
        allow_rechunk=False,
        chunks=_sizes(out_cuts or cuts),
        dtype=out.dtype,
        meta=np.empty((0, 0, 0), dtype=out.dtype),
        # Dask would name the result by all that the function knows, whole volumes among it.
        name=f"blocks-{uuid.uuid4().hex}",
    )
    dask.array.store(made, out, lock=False, scheduler="synchronous")


class _Lazy:
    """An array that dask slices block by block: of what it knows as an array of numpy it makes copies of all blocks."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim

    def __getitem__(self, part: Any) -> npt.NDArray[Any]:
        return np.asarray(self._array[part])


def _sizes(cuts: Cuts) -> Tuple[Tuple[int, ...], ...]:
    return tuple(tuple(np.diff(edges).tolist()) for edges in cuts)


def on_disk(shape: Tuple[int, ...], dtype: npt.DTypeLike, folder: Optional[Path]) -> npt.NDArray[Any]:
    """Return an array of zeros in a file of ``folder`` that has no name: it is gone when the array is."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Tell whether an array, or what it is a view of, lies in a file."""
    held: Any = array
    while held is not None and not isinstance(held, np.memmap):
        held = getattr(held, "base", None)
    return held is not None


def slabs(array: npt.NDArray[Any], voxels: int = 2**22) -> Iterator[npt.NDArray[Any]]:
    """Yield a volume as slabs of z-planes of about so many voxels, for what needs a copy of what it looks at."""
    thick = max(1, voxels // int(np.prod(array.shape[1:], dtype=np.int64)))
    for start in range(0, array.shape[0], thick):
        yield array[start : start + thick]
