"""Options that several commands share, and how the words of a command line become values."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Any, Iterable, List, NoReturn, Sequence

from cryores.errors import UsageError
from cryores.method import Parameter


class Parser(argparse.ArgumentParser):
    """A parser whose errors end like every other error of cryores: code, what is wrong, what to do."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` in place of printing the usage and leaving."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown and not unknown.group(1).startswith("-"):
            meant = f"{unknown.group(1)} wants an option before it, as --half1, --map or --out; "
        else:
            meant = did_you_mean(unknown.group(1).partition("=")[0], self._option_string_actions) if unknown else ""
        raise UsageError("E_USAGE", message, f"{meant}see '{self.prog} --help'")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the beginning of a hint that names what was meant by ``word``, empty if nothing ``known`` is like it."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""


def join_negative_numbers(words: Sequence[str]) -> List[str]:
    """Write ``--option -1e-3`` as ``--option=-1e-3``: argparse takes some negative numbers for options.

    Several numbers stay as they are: an option that takes several gets none but the first after an equals sign.
    """
    joined: List[str] = []
    for word, following in zip(words, [*words[1:], ""]):
        if (
            word.startswith("-")
            and _is_number(word)
            and not _is_number(following)
            and joined
            and joined[-1].startswith("--")
            and "=" not in joined[-1]
        ):
            joined[-1] += "=" + word
        else:
            joined.append(word)
    return joined


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--out``, ``--overwrite`` and ``--quiet``."""
    parser.add_argument("--out", type=folder_name, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are already in DIR")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a computation may run."""
    parser.add_argument("--threads", type=positive_int, metavar="N", help="threads (default: every processor)")
    parser.add_argument(
        "--device",
        type=device,
        default="cpu",
        metavar="DEVICE",
        help="cpu (default), cuda, cuda:N or cuda:N,M; methods without a GPU version run on the cpu, and say so",
    )
    parser.add_argument("--memory", type=positive_float, metavar="GB", help="memory budget (default: what is free)")


def folder_name(word: str) -> str:
    """Return a name that is not empty, as that of a variable would be which is not set."""
    if not word:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return word


def device(word: str) -> str:
    """Return ``cpu``, ``cuda``, ``cuda:N`` or ``cuda:N,M``."""
    if re.fullmatch(r"cpu|cuda(:\d+(,\d+)*)?", word) is None:
        raise argparse.ArgumentTypeError(f"{word!r} is no device: give cpu, cuda, cuda:N or cuda:N,M")
    return word


def add_parameter(parser: Any, parameter: Parameter) -> None:
    """Add the option of a declared parameter; None stands for 'not given'."""
    unit = f" ({parameter.unit})" if parameter.unit else ""
    text = f"{parameter.help.rstrip('.')}{unit}{_default(parameter)}".replace("%", "%%")
    if parameter.type is bool:
        negative = "--no-" + parameter.option[2:]
        text = f"{text} ({negative} turns it off)" if parameter.default else text
        parser.add_argument(parameter.option, dest=parameter.name, action="store_true", default=None, help=text)
        parser.add_argument(negative, dest=parameter.name, action="store_false", default=None, help=argparse.SUPPRESS)
        return
    parser.add_argument(
        parameter.option,
        dest=parameter.name,
        type=parameter.type,
        nargs="+" if parameter.repeated else None,
        choices=parameter.choices or None,
        metavar=None if parameter.choices else parameter.unit or parameter.type.__name__.upper(),
        help=text,
    )


def positive_int(word: str) -> int:
    """Return a whole number above 0."""
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{word} is not above 0")
    return value


def positive_float(word: str) -> float:
    """Return a finite number above 0."""
    value = float(word)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{word} is not above 0")
    return value


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _default(parameter: Parameter) -> str:
    """Return what follows the help: the default, unless the help says what the method chooses."""
    if parameter.default not in (None, ()):
        return f"; default: {_spelled(parameter.default)}"
    return "" if "default" in parameter.help.lower() else "; default: chosen by the method"


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)
