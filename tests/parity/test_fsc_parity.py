"""The FSC against the stored curves of RELION 5 and Xmipp on the simulated half maps.

Tolerances: RELION prints six digits, so curves without random numbers agree to 1e-5; its random phases are other ones,
so the corrected curve agrees to 0.05 and its resolution exactly, a shell being a shell. Xmipp's curve is not the plain
one (it differs from RELION's by as much): 0.03 in each shell, 0.01 in the mean, its resolution within one shell.
"""

import numpy as np
import pytest

from cryores.curves import read_curve
from cryores.errors import CryoresWarning
from cryores.fourier import shell_width
from cryores.mapio import read_half_maps, read_map
from cryores.masks import automatic_mask, soft_edge
from cryores.resolution.fsc import fsc
from cryores.shell_correlation import crossing_resolution

PRINTED = 1e-5
RELION = {"haemoglobin": (3.015384, 7.35), "porin": (2.021053, 3.072)}


@pytest.fixture(scope="module", params=sorted(RELION))
def case(request, shared_data):
    folder = shared_data / "simulated" / request.param
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    return request.param, folder / "peers", halves, read_map(folder / "mask.mrc.gz")


@pytest.fixture(scope="module")
def as_relion(case):
    _, _, halves, mask = case
    with pytest.warns(CryoresWarning, match="soft edge"):
        return fsc(
            halves, mask, compat="relion", crossing="shell", particle_fraction=float(mask.data.mean(dtype=float))
        )


@pytest.mark.parametrize(
    "curve, label, tolerance",
    [
        ("unmasked", "rlnFourierShellCorrelationUnmaskedMaps", PRINTED),
        ("masked", "rlnFourierShellCorrelationMaskedMaps", PRINTED),
        ("particle", "rlnFourierShellCorrelationParticleMaskFraction", PRINTED),
        ("corrected", "rlnFourierShellCorrelationCorrected", 0.05),
    ],
)
def test_curves_are_those_of_relion(case, as_relion, curve, label, tolerance):
    stored = read_curve(case[1] / "relion_postprocess.star", label)
    np.testing.assert_allclose(as_relion.frequency[1:], stored.frequency[1:], atol=1e-6)
    np.testing.assert_allclose(getattr(as_relion, curve), stored.values, atol=tolerance)


def test_random_phases_leave_as_little_as_those_of_relion(case, as_relion):
    stored = read_curve(
        case[1] / "relion_postprocess.star", "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps"
    ).values
    first = round(1 / as_relion.details["randomised_from"] / shell_width(as_relion.grid))
    np.testing.assert_allclose(as_relion.randomised[: first - 1], stored[: first - 1], atol=0.002)
    ours, theirs = (np.sqrt(np.mean(curve[first + 2 :] ** 2)) for curve in (as_relion.randomised, stored))
    assert ours < 1.3 * theirs + 0.01


def test_the_resolution_is_that_of_relion(case, as_relion):
    resolution, randomised_from = RELION[case[0]]
    assert as_relion.resolution["0.143"] == pytest.approx(resolution, rel=1e-5)
    assert as_relion.details["randomised_from"] == pytest.approx(randomised_from, rel=1e-5)


def test_our_own_conventions_stay_within_a_shell(case, as_relion):
    name, _, halves, mask = case
    with pytest.warns(CryoresWarning, match="soft edge"):
        ours = fsc(halves, mask)
    assert abs(1 / ours.resolution["0.143"] - 1 / RELION[name][0]) < shell_width(halves.grid)
    np.testing.assert_allclose(ours.unmasked[1:], as_relion.unmasked[1:], atol=0.005)
    np.testing.assert_allclose(ours.masked[1:], as_relion.masked[1:], atol=0.005)


def test_a_soft_edge_moves_the_resolution_by_less_than_two_shells(case):
    name, _, halves, mask = case
    soft = fsc(halves, soft_edge(mask, 6.0))
    assert abs(1 / soft.resolution["0.143"] - 1 / RELION[name][0]) < 2 * shell_width(halves.grid)


def test_the_curve_is_near_that_of_xmipp(case, as_relion):
    stored = read_curve(case[1] / "xmipp_fsc.xmd")
    np.testing.assert_allclose(as_relion.frequency[1:], stored.frequency, atol=1e-6)
    difference = np.abs(as_relion.unmasked[1:] - stored.values)
    assert difference.max() < 0.03 and difference.mean() < 0.01
    for threshold in (0.143, 0.5):
        ours = crossing_resolution(as_relion.frequency, as_relion.unmasked, threshold)
        theirs = crossing_resolution(stored.frequency, stored.values, threshold)
        assert abs(1 / ours - 1 / theirs) < shell_width(as_relion.grid)


@pytest.mark.parametrize(
    "entry, model, published, tolerance",
    [
        ("EMD-3488_hemoglobin/emd_3488.map", "EMD-3488_hemoglobin/5ni1.pdb", 3.2, 0.15),
        ("EMD-3186/emd_3186.map", "EMD-3186/5fj6.pdb", 7.9, 0.4),
    ],
)
@pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
def test_map_against_model_is_near_the_published_resolution(shared_data, entry, model, published, tolerance):
    volume = read_map(shared_data / "maps" / entry)
    mask = soft_edge(automatic_mask(volume), 6.0)
    result = fsc(volume, mask, model=str(shared_data / "maps" / model))
    assert result.model_resolution["0.5"] == pytest.approx(published, abs=tolerance)
    assert result.details["model_cc_mask"] > 0.7
