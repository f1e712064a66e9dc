"""Against RELION's post-processing, stored for the simulated maps."""

import numpy as np
import pytest

from cryores import read_half_maps, read_map
from cryores.curves import read_star_table
from cryores.filters import low_pass
from cryores.fourier import filtered
from cryores.guinier import fit_guinier
from cryores.postprocessing import postprocess

# The mask of the sets has no soft edge: that is told, and the same for RELION.
pytestmark = pytest.mark.filterwarnings("ignore:the mask has no soft edge:cryores.errors.CryoresWarning")

BFACTORS = {"haemoglobin": -129.86, "porin": -80.16}


def guinier(folder):
    table = read_star_table((folder / "peers" / "relion_postprocess.star").read_text(), "rlnLogAmplitudesWeighted")
    square = np.array(table["rlnResolutionSquared"], dtype=float)
    weighted = np.array(table["rlnLogAmplitudesWeighted"], dtype=float)
    return square, weighted


@pytest.mark.parametrize("name", BFACTORS)
def test_the_fit_to_relions_plot_gives_relions_bfactor(shared_data, name):
    square, weighted = guinier(shared_data / "simulated" / name)
    amplitude = np.where(weighted > -90, np.exp(weighted), 0.0)
    fit = fit_guinier(np.sqrt(square), amplitude, 10.0, 1.0)
    assert fit.bfactor == pytest.approx(BFACTORS[name], rel=0.002)


@pytest.mark.parametrize("name", BFACTORS)
def test_over_relions_range_the_bfactor_agrees_within_two_percent(shared_data, name):
    folder = shared_data / "simulated" / name
    square, weighted = guinier(folder)
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask = read_map(folder / "mask.mrc.gz")
    finest = 1.0 / np.sqrt(square[weighted > -90].max()) - 1e-3
    # Random phases move it by up to 2 Å², and those of the program are not known.
    given = {"compat": "relion", "fit_min_resolution": finest}
    found = [postprocess(halves, mask, seed=seed, **given).details["bfactor"] for seed in range(9)]
    assert np.median(found) == pytest.approx(BFACTORS[name], rel=0.02)


def test_up_to_the_resolution_the_map_is_relions(shared_data):
    # Beyond it the random phases, which are not ours, decide where the weight ends.
    folder = shared_data / "simulated" / "haemoglobin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    given = {"compat": "relion", "bfactor": BFACTORS["haemoglobin"]}
    ours = postprocess(halves, read_map(folder / "mask.mrc.gz"), **given).sharpened
    peer = read_map(folder / "peers" / "relion_postprocess.mrc.gz")
    both = [filtered(v.data, low_pass(3.1, 0.01), halves.grid, 2).ravel() for v in (ours, peer)]
    assert np.corrcoef(*both)[0, 1] > 0.999
