"""Keeps what numba compiles where that is possible, and lets runs go on where it is not.

By itself numba ends a run whose compiled code can be kept nowhere, because neither the folder of the program nor the
user's can be written, or for which there is no room, or that was cut short when it was kept.
"""

from __future__ import annotations

import contextlib
from typing import Any, Optional

from numba.core import caching, dispatcher


class _KeptIfPossible(caching.FunctionCache):  # type: ignore[misc]
    """What was compiled of one function."""

    def load_overload(self, *wanted: Any) -> Any:
        """Return what is kept, None if there is nothing that can be read."""
        try:
            return super().load_overload(*wanted)
        except Exception:
            # Whatever a pickle raises that was cut short: it is done anew.
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, *made: Any) -> None:
        """Keep what was compiled, if there is room."""
        with contextlib.suppress(OSError):
            super().save_overload(*made)


def _cache_of(function: Any) -> Any:
    try:
        return _KeptIfPossible(function)
    except RuntimeError:  # no place
        return caching.NullCache()


def kept_in(function: Any) -> Optional[str]:
    """Return the folder in which compiled code of the module of ``function`` is kept; None: nowhere."""
    place: Optional[str] = _cache_of(function).cache_path
    return place


dispatcher.FunctionCache = _cache_of  # type: ignore[attr-defined]
