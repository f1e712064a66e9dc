"""List, fetch, import and verify the published weights of networks, and print where they lie."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional

from cryores.cli.options import positive_float
from cryores.cli.progress import open_stage, say
from cryores.execution import Execution
from cryores.nets import weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="list|fetch|import|verify|path", required=True)
    _add(actions, "list", "what there is, and what is installed")
    fetch = _add(actions, "fetch", "download and install, or go on where it stopped")
    fetch.add_argument("names", nargs="+", metavar="NAME", help="sets of weights: see 'cryores weights list'")
    fetch.add_argument("--from", dest="source", metavar="FILE|DIR", help="install from here; nothing is downloaded")
    fetch.add_argument("--mirror", metavar="URL", help="folder on a web server that has the archives, tried first")
    fetch.add_argument(
        "--timeout", type=positive_float, default=60.0, metavar="S", help="give up after S silent seconds (default: 60)"
    )
    bring = _add(actions, "import", "install from an archive, a file or a folder of this machine")
    bring.add_argument("name", metavar="NAME", help="set of weights")
    bring.add_argument("source", metavar="FILE|DIR", help="the archive, one of its files, or a folder with either")
    check = _add(actions, "verify", "compare the installed files with what was installed")
    check.add_argument("names", nargs="*", metavar="NAME", help="sets of weights (default: all that are installed)")
    where = _add(actions, "path", "print the folder of a set, or the path of one of its files")
    where.add_argument("name", metavar="NAME", help="set of weights")
    where.add_argument("file", nargs="?", metavar="FILE", help="one of its files")


def _add(actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, does: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
    parser.add_argument(
        "--weights-dir",
        metavar="DIR",
        help=f"where weights lie (default: {weights.FOLDER_VARIABLE}, or the user's data folder)",
    )
    parser.add_argument("--quiet", action="store_true", help="print results and errors only")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what was asked."""
    quiet = Execution()
    execution = quiet if arguments.quiet else Execution(open_stage=open_stage, say=say)
    folder = arguments.weights_dir
    if arguments.action == "list":
        _list(folder)
    elif arguments.action == "verify":
        _verify(arguments.names or [n for n in weights.weight_sets() if weights.installed_in(n, folder)], folder)
    elif arguments.action == "path":
        _path(arguments.name, arguments.file, folder)
    elif arguments.action == "import":
        _tell(weights.import_files(weights.weight_set(arguments.name), arguments.source, folder, execution))
    else:
        for given in [weights.weight_set(name) for name in arguments.names]:
            if arguments.source:
                _tell(weights.import_files(given, arguments.source, folder, execution))
            else:
                _tell(weights.fetch(given, folder, arguments.mirror, arguments.timeout, execution))


def _list(folder: Optional[str]) -> None:
    print(f"folder: {weights.folders(folder)[0]}")
    for given in weights.weight_sets().values():
        place = weights.installed_in(given.name, folder)
        archive = given.archives[0]
        print(f"\n{given.name}: {given.what}")
        print(f"  state:    {f'installed in {place / given.name}' if place else 'not installed'}")
        print(f"  files:    {', '.join(given.file_names)}")
        print(f"  size:     {_megabytes(archive)}; hash: {archive.sha256 or 'none published, trusted on first use'}")
        for url in [url for archive in given.archives for url in archive.urls]:
            print(f"  address:  {url}")
        print(f"  by hand:  {given.by_hand}")
        print(f"  licence:  {given.licence}")
        print(f"  citation: {given.citation}")
    for path in weights.shipped():
        print(f"\n{path.name}: ships with the package, {path.stat().st_size / 1e6:.1f} MB")


def _megabytes(archive: weights.Archive) -> str:
    size = archive.size or archive.about
    return f"{'' if archive.size else 'about '}{size / 1e6:.0f} MB" if size else "not known"


def _verify(names: list[str], folder: Optional[str]) -> None:
    for name in names:
        for path in weights.verify(weights.weight_set(name).name, folder):
            print(f"{path}: as installed")
    if not names:
        print("no published weights are installed")


def _path(name: str, file: Optional[str], folder: Optional[str]) -> None:
    if file:
        print(weights.find(weights.weight_set(name).name, file, folder))
    else:
        print(Path(weights.verify(weights.weight_set(name).name, folder)[0]).parent)


def _tell(paths: list[Path]) -> None:
    for path in paths:
        print(path)
