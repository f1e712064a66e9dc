"""LocSpiral, LocBSharpen and LocBFactor against the stored output of the published programs, and the clean map."""

import numpy as np
import pytest

from cryores.mapio import read_half_maps, read_map
from cryores.postprocessing import locbfactor, locbsharpen, locspiral

METHODS = {"locspiral": (locspiral, 0.929), "locbsharpen": (locbsharpen, 0.932)}


@pytest.mark.parametrize("name", METHODS)
def test_the_published_map_and_the_clean_one(shared_data, name):
    method, clean_enough = METHODS[name]
    folder = shared_data / "simulated" / "haemoglobin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, clean, stored = (read_map(folder / f).data for f in ("mask.mrc.gz", "clean.mrc.gz", f"peers/{name}.mrc.gz"))
    given = {"max_resolution": 30.0, "min_resolution": 3.0}
    compat = method(halves.mean(), halves.half1.like(mask), compat="locspiral", **given).sharpened.data
    assert np.corrcoef(compat.ravel(), stored.ravel())[0, 1] > 0.99999
    inside = mask > 0.5
    ours = method(halves, halves.half1.like(mask), **given).sharpened.data
    assert np.corrcoef(ours[inside], clean[inside])[0, 1] > clean_enough


def test_another_box_as_published(shared_data):
    folder = shared_data / "simulated" / "porin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, stored = (read_map(folder / f).data for f in ("mask.mrc.gz", "peers/locspiral.mrc.gz"))
    given = {"max_resolution": 20.0, "min_resolution": 2.0, "compat": "locspiral"}
    found = locspiral(halves, halves.half1.like(mask), **given).sharpened.data
    assert np.corrcoef(found.ravel(), stored.ravel())[0, 1] > 0.99999


def test_the_published_b_factors(shared_data):
    folder = shared_data / "simulated" / "haemoglobin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, stored = (read_map(folder / f).data for f in ("mask.mrc.gz", "peers/locbfactor.mrc.gz"))
    inside = mask > 0.5
    for compat, alike, tolerance in (("locspiral", 0.99999, 1e-4), (None, 0.91, 0.05)):
        found = locbfactor(halves, halves.half1.like(mask), compat=compat, min_resolution=3.0).bfactor.data
        assert np.median(found[inside]) == pytest.approx(np.median(stored[inside]), rel=tolerance)
        assert np.corrcoef(found[inside], stored[inside])[0, 1] > alike
