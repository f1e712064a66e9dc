"""What several tests need."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real maps and planted truths, where a checkout has one beside it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the maps of ../shared/data are not here; these tests compare with them")
    return SHARED_DATA
