"""MonoRes against the stored outputs of the published program and the planted truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores import read_half_maps, read_map
from cryores.execution import Execution
from cryores.method import Inputs
from cryores.monogenic import sweep_resolutions
from cryores.resolution.monores import METHOD, compute

# What the published program reaches: median and 90 % quantile of |resolution - truth|, Spearman's rho, share.
PUBLISHED = {
    ("haemoglobin", "halves"): (0.60, 5.26, 0.385, 0.95),
    ("haemoglobin", "single"): (0.61, 6.75, 0.34, 0.95),
    ("porin", "halves"): (0.51, 4.29, 0.32, 0.95),
    ("porin", "single"): (0.57, 9.03, 0.19, 0.935),
}


@pytest.mark.parametrize(("name", "kind"), PUBLISHED)
def test_highpass_is_the_published_program(shared_data, name, kind):
    folder = shared_data / "simulated" / name
    maps = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask = read_map(folder / "mask.mrc.gz")
    inputs = Inputs(maps if kind == "halves" else maps.mean(), mask=mask)
    parameters = METHOD.make_parameters({"max_resolution": 18.0, "resolution_step": 0.5})
    found = compute(inputs, parameters, Execution()).resolution.data

    stored = read_map(folder / "peers" / f"monores_{kind}.mrc.gz").data
    known = np.isfinite(found)
    assert np.mean(known == (stored > 0)) > 0.9999
    both = known & (stored > 0)
    difference = np.abs(found - stored)[both]
    tested = sweep_resolutions(maps.grid, 18.0, maps.grid.nyquist, 0.5)
    nearest = np.searchsorted(-tested, -stored[both]).clip(1, len(tested) - 1)
    assert np.median(difference) < 0.01
    assert np.mean(difference <= tested[nearest - 1] - tested[nearest]) > 0.98

    truth = read_map(folder / "truth.mrc.gz").data
    error = np.abs(found - truth)[known]
    median, p90, rho, cover = PUBLISHED[name, kind]
    assert np.median(error) <= median + 0.005
    assert np.percentile(error, 90) <= p90 + 0.005
    assert spearmanr(found[known], truth[known])[0] >= rho - 0.005
    assert known.sum() / (mask.data > 0.5).sum() >= cover
