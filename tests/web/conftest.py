"""Small maps, and servers that end with their tests."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the web tool is not installed: pip install 'scipion-em-cryores[web]'")
pytest.importorskip("uvicorn", reason="the web tool is not installed: pip install 'scipion-em-cryores[web]'")
pytest.importorskip("httpx", reason="httpx, which asks the server, is not installed")
sys.path.insert(0, str(Path(__file__).parent))

from served import Served

from cryores.mapio import write_map
from cryores.simulation import simulate


@pytest.fixture(scope="session")
def maps(tmp_path_factory):
    """Half maps of 32 voxels, their mean and a mask, as files."""
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(32, 32, 32), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=2)
    volumes = {"half1": made.halves.half1, "half2": made.halves.half2, "map": made.halves.mean(), "mask": made.mask}
    for name, volume in volumes.items():
        write_map(folder / f"{name}.mrc", volume)
    return {name: folder / f"{name}.mrc" for name in volumes}


@pytest.fixture
def serve(tmp_path):
    """Start servers whose jobs do nothing but take time."""
    servers = []

    def start(*words, stub=True, store="store"):
        servers.append(Served(tmp_path / store, *words, stub=stub))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of a whole module, whose jobs do nothing but take time."""
    served = Served(tmp_path_factory.mktemp("web") / "store", "--map-size", "1", "--jobs-per-client", "50")
    yield served
    served.stop()
