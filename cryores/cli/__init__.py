"""The ``cryores`` command: finds the method or command that is asked for, runs it, and turns errors into exit codes."""

from __future__ import annotations

import ast
import importlib
import sys
import traceback
from pathlib import Path
from typing import Dict, List, Optional

from cryores.cli.stopping import listen
from cryores.cli.streams import leave_stdout, make_ready, tell
from cryores.errors import CryoresError, UsageError
from cryores.files import NO_ROOM

COMMANDS = ("diagnose", "mask", "simulate", "demo", "doctor", "cite", "weights", "train", "batch", "web")
"""Commands that are no methods: each is a module here whose docstring is its help."""


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line; return 0 done, 2 usage, 3 input, 4 memory, 5 weights, 1 anything else."""
    words = sys.argv[1:] if argv is None else argv
    make_ready()
    listen()
    try:
        _dispatch(words)
        sys.stdout.flush()
    except CryoresError as error:
        return _fail(error.exit_status, error.code, error.message, error.hint)
    except MemoryError:
        return _fail(4, "E_MEMORY", "the machine has run out of memory", "crop or bin the maps, or set --memory")
    except KeyboardInterrupt:
        # One that has passed through code run from a string makes Python end by SIGINT, handled or not, unless another
        # such code has ended well since.
        exec("pass")
        return _fail(1, "E_INTERRUPTED", "stopped before the end", "no half result was left; start it again")
    except BrokenPipeError:
        leave_stdout()
        return 1
    except OSError as error:
        leave_stdout()
        if error.errno in NO_ROOM:
            return _fail(3, "E_WRITE", str(error), "make room, and start again: nothing is left half written")
        return _fail(1, "E_SYSTEM", str(error), "mend this, and start again: nothing is left half written")
    except Exception as error:
        traceback.print_exc()
        return _fail(
            1, "E_INTERNAL", f"{type(error).__name__}: {error}", "this is a bug: report it with the lines above"
        )
    return 0


def _fail(status: int, code: str, message: str, hint: str) -> int:
    tell(f"error {code}: {message}; hint: {hint}")
    return status


def _dispatch(words: List[str]) -> None:
    from cryores.cli.options import did_you_mean, join_negative_numbers
    from cryores.method import method_summaries

    if not words or words[0] in ("-h", "--help"):
        print(_overview(method_summaries()))
        return
    if words[0] == "--version":
        from cryores import __version__

        print(f"cryores {__version__}")
        return
    name, rest = words[0], join_negative_numbers(words[1:])
    if name in COMMANDS:
        run_command(name, rest)
    elif name in method_summaries():
        from cryores.cli.method_command import run_method

        run_method(name, rest)
    else:
        meant = did_you_mean(name, [*method_summaries(), *COMMANDS])
        raise UsageError("E_USAGE", f"there is no method or command {name!r}", f"{meant}see 'cryores --help'")


def run_command(name: str, words: List[str]) -> None:
    """Parse ``words`` and run the command called ``name``."""
    from cryores.cli.options import Parser

    module = importlib.import_module(f"cryores.cli.{name}")
    parser = Parser(prog=f"cryores {name}", description=module.__doc__)
    module.add_arguments(parser)
    module.run(parser.parse_args(words))


def _overview(methods: Dict[str, str]) -> str:
    lines = ["usage: cryores METHOD --half1 A.mrc --half2 B.mrc [--mask M.mrc] --out DIR", "", "methods:"]
    lines += [f"  {name:<16}{summary}" for name, summary in methods.items()]
    lines += ["", "commands:"]
    lines += [f"  {name:<16}{_command_summary(name)}" for name in COMMANDS]
    lines += ["", "'cryores NAME --help' lists the options of one."]
    return "\n".join(lines)


def _command_summary(name: str) -> str:
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]
