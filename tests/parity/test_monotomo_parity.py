"""MonoTomo against the planted truth and the stored output of the published program."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores import read_half_maps, read_map
from cryores.execution import Execution
from cryores.method import Inputs
from cryores.monogenic import Monogenic
from cryores.resolution.monotomo import METHOD, compute

PUBLISHED = {"median": 1.24, "p90": 3.58, "rho": 0.85, "cover": 0.95}
"""What the published program reaches: |resolution - truth| in A, Spearman's rho, share of the mask."""


@pytest.fixture(scope="module")
def planted(shared_data):
    folder = shared_data / "simulated" / "tomogram"
    maps = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    others = [read_map(folder / name).data for name in ("mask.mrc.gz", "truth.mrc.gz", "peers/monotomo.mrc.gz")]
    return (maps, *others)


def resolution(maps, **values):
    parameters = METHOD.make_parameters({"max_resolution": 30.0, "resolution_step": 0.5, **values})
    return compute(Inputs(maps), parameters, Execution()).resolution.data


def test_the_planted_resolution_is_found(planted):
    maps, mask, truth, _ = planted
    found = resolution(maps)
    known = (mask > 0.5) & np.isfinite(found)
    error = np.abs(found - truth)[known]
    assert np.median(error) <= PUBLISHED["median"]
    assert np.percentile(error, 90) <= PUBLISHED["p90"]
    assert spearmanr(found[known], truth[known])[0] >= PUBLISHED["rho"]
    assert known.sum() / (mask > 0.5).sum() >= PUBLISHED["cover"]


def test_what_separates_the_highpass_from_the_published_program_is_its_y_component(planted, monkeypatch):
    # There the multiplier of y is that of the last x frequency, 0.5: a weight 1 / |s| instead of a Riesz transform.
    maps, mask, _, stored = planted
    along = Monogenic._along

    def published(self, axis):
        z, y, x = along(self, axis)
        return (np.zeros_like(z), np.full_like(y, 0.5), np.zeros_like(x)) if axis == 1 else (z, y, x)

    ours = resolution(maps, filter="highpass", resolution_step=1.0)
    monkeypatch.setattr(Monogenic, "_along", published)
    theirs = resolution(maps, filter="highpass", resolution_step=1.0)
    inside = (mask > 0.5) & np.isfinite(ours)
    assert np.median(np.abs(theirs - stored)[inside]) < 0.7
    assert np.median(np.abs(theirs - stored)[inside]) < 0.6 * np.median(np.abs(ours - stored)[inside])
    assert spearmanr(ours[inside], stored[inside])[0] > 0.8
