"""Print the citations of methods, as text or BibTeX."""

from __future__ import annotations

import argparse

from cryores.citations import cite
from cryores.method import load_method, method_summaries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the methods to cite."""
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="methods that were used (default: all)")
    parser.add_argument("--bibtex", action="store_true", help="print BibTeX entries")


def run(arguments: argparse.Namespace) -> None:
    """Print each citation once, in the order of the methods."""
    names = arguments.methods or list(method_summaries())
    keys = list(dict.fromkeys(key for name in names for key in load_method(name).citations))
    for entry in cite(keys):
        print(
            entry["bibtex"]
            if arguments.bibtex
            else f"{entry['text']} {entry['doi'] and 'doi:' + entry['doi']}".rstrip()
        )
