"""The wheel and the sdist hold every file of the packages: also weights, pages, forms, and the marker of types."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", reason="setuptools, which builds the distributions, is not installed")
pytest.importorskip("wheel", reason="wheel, which older setuptools build wheels with, is not installed")

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "cryores", "cryoresplugin"
METADATA = "pyproject.toml", "setup.py", "README.rst", "LICENSE"
BUILD = "from setuptools import build_meta; build_meta.build_sdist({0!r}); build_meta.build_wheel({0!r})"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What distributions are made of, copied: building writes beside it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in METADATA:
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def expected(checkout):
    files = (path for name in PACKAGES for path in (checkout / name).rglob("*") if path.is_file())
    return {path.relative_to(checkout).as_posix() for path in files}


@pytest.fixture(scope="module")
def built(checkout, expected, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-c", BUILD.format(str(folder))]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def of_packages(names):
    return {name for name in names if name.split("/")[0] in PACKAGES and not name.endswith("/")}


def test_the_wheel_holds_every_file_of_the_packages(built, expected):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = of_packages(archive.namelist())
    assert "cryores/py.typed" in held
    assert held == expected


def test_the_sdist_holds_every_file_of_the_packages(built, expected):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = of_packages(name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile())
    assert "cryores/py.typed" in held
    assert held == expected
