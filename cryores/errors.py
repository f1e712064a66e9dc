"""Every error a user can meet: a code, what is wrong, what to do, and the exit status of the command line."""

from __future__ import annotations

import traceback
from typing import Callable


class CryoresError(Exception):
    """An error with a stable code and a hint that says what to do.

    Parameters
    ----------
    code : str
        Stable name of the error, such as ``E_NOT_FINITE``; scripts may rely on it.
    message : str
        What is wrong.
    hint : str
        What the user can do about it.
    """

    exit_status = 1

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}; hint: {self.hint}"


class UsageError(CryoresError):
    """The call itself is wrong: an unknown option, a value out of its range, a missing input (exit status 2)."""

    exit_status = 2


class InputError(CryoresError):
    """A file or an array that cannot be analysed, or a folder that cannot be written (exit status 3)."""

    exit_status = 3


class MemoryBudgetError(CryoresError):
    """The plan needs more memory than the budget allows (exit status 4)."""

    exit_status = 4


class WeightsError(CryoresError):
    """The trained weights of a network are missing or damaged (exit status 5)."""

    exit_status = 5


class CryoresWarning(UserWarning):
    """Suspicious input: the result is computed, and may mislead."""


def reason_of_failure(work: Callable[[], None]) -> str:
    """Do one of many pieces of work; return in a line why it failed, empty if it did not; print the trace of a bug."""
    try:
        work()
    except CryoresError as error:
        return f"{error.code}: {error.message}"
    except (MemoryError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        traceback.print_exc()
        return f"E_INTERNAL: {type(error).__name__}: {error}"
    return ""
