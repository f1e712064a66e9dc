"""What several tests in Scipion need."""

import pytest


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The folder of half maps with a planted resolution."""
    from cryores.cli import main

    folder = tmp_path_factory.mktemp("simulated") / "maps"
    words = ["simulate", "--size", "40", "--voxel-size", "1.5", "--min-resolution", "4", "--out", str(folder)]
    assert main(words) == 0
    return folder
