"""What several tests in Scipion need."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The folder of half maps with a planted resolution."""
    from cryores.cli import main

    folder = tmp_path_factory.mktemp("simulated") / "maps"
    words = ["simulate", "--size", "40", "--voxel-size", "1.5", "--min-resolution", "4", "--out", str(folder)]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="module")
def display():
    """The number of a display that this test alone has."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb, a display without a screen, is not installed here")
    pytest.importorskip("tkinter", reason="this Python has no tkinter, which Scipion's windows need")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
        pass_fds=(write,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()
