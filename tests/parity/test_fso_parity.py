"""FSO against the stored curves of Xmipp on the simulated half maps, cone of 17 degrees, 0.143, masked.

Tolerances: Xmipp keeps the density outside the mask as it is, and treats the plane of Nyquist in its own way: at most
four of 321 directions decide otherwise in a shell, a third of a direction in the mean; the global FSC agrees to 0.005.
"""

import numpy as np
import pytest

from cryores.curves import read_curve
from cryores.mapio import read_half_maps, read_map
from cryores.resolution import fso

# The mask of the sets has no soft edge: that is told, and the same for Xmipp.
pytestmark = pytest.mark.filterwarnings("ignore:the mask has no soft edge:cryores.errors.CryoresWarning")


@pytest.fixture(scope="module", params=("haemoglobin", "porin"))
def case(request, shared_data):
    folder = shared_data / "simulated" / request.param
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    result = fso(halves, read_map(folder / "mask.mrc.gz"), estimate_3dfsc=False)
    return folder / "peers", result


def test_fso_is_that_of_xmipp(case):
    folder, result = case
    theirs = read_curve(folder / "xmipp_fso.xmd", "resolutionFSO")
    np.testing.assert_allclose(result.frequency[1:], theirs.frequency, rtol=1e-3)
    difference = np.abs(result.fso[1:] - theirs.values)
    assert difference.max() < 4.5 / 321 and difference.mean() < 0.33 / 321


def test_the_global_fsc_is_that_of_xmipp(case):
    folder, result = case
    theirs = read_curve(folder / "xmipp_fso_global_fsc.xmd", "resolutionFRC")
    np.testing.assert_allclose(result.fsc[1:], theirs.values, atol=0.005)


def test_the_published_test_tells_no_even_set_from_an_uneven_one(case):
    # Xmipp's value near 1 where directions fail comes of P(5, S) in place of P(5/2, S/2), and of counting directions
    # whose cones overlap as independent, each of them twice.
    folder, result = case
    theirs = read_curve(folder / "xmipp_fso.xmd", "resolutionAnisotropy").values
    falling = (result.fso[1:] > 0.01) & (result.fso[1:] < 0.9)
    assert np.all(theirs[falling] > 0.9)
    ours = result.p_value[1:][falling]
    assert ours.min() < 0.01 and ours.max() > 0.6
