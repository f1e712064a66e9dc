"""LocalDeblur against the stored output of Xmipp's program, and the clean map."""

import numpy as np
import pytest

from cryores.localres_maps import read_resolution_map
from cryores.mapio import read_half_maps, read_map
from cryores.postprocessing import localdeblur


def test_the_published_map(shared_data):
    folder = shared_data / "simulated" / "haemoglobin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    resolution = read_resolution_map(folder / "peers" / "monores_halves.mrc.gz").resolution
    stored, clean, mask = (
        read_map(folder / name).data for name in ("peers/localdeblur.mrc.gz", "clean.mrc.gz", "mask.mrc.gz")
    )
    result = localdeblur(halves, resolution)
    (only,) = result.details["rounds"]
    assert only["iterations"] == 8
    assert only["step"] == pytest.approx(6.566154, rel=1e-4)
    found = result.sharpened.data
    assert np.corrcoef(found.ravel(), stored.ravel())[0, 1] > 0.99999
    assert np.abs(found - stored).max() < 0.005 * stored.std()
    assert np.corrcoef(found[mask > 0.5], clean[mask > 0.5])[0, 1] >= 0.9675
