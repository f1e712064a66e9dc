"""LocScale against windows that the published program scaled, and against a clean map."""

import numpy as np
import pytest

from cryores.local_scaling import amplitude_ratio
from cryores.mapio import read_half_maps, read_map
from cryores.postprocessing import locscale
from cryores.postprocessing._locscale_targets import Shelled, local_decay, program_frequencies, with_secondary_structure
from cryores.window_profiles import WindowShells, window_profiles

EDGE, VOXEL = 40, 1.2156


@pytest.fixture(params=[1, 2])
def stored(request, shared_data):
    return np.load(shared_data / "maps" / "locscale_scaling_tests" / f"locscale_scaling_{request.param}.npz")


@pytest.fixture
def block(stored):
    inside = np.zeros((EDGE,) * 3, dtype=bool)
    inside[EDGE // 2, EDGE // 2, EDGE // 2] = True
    maps = [stored[f"{name}_window"].astype(np.float32) for name in ("emmap", "modmap")]
    return next(window_profiles(maps, inside, WindowShells(EDGE, octant=True)))


def test_profiles_are_the_programs(stored, block):
    np.testing.assert_allclose(block.amplitudes[0, 0], stored["rp_emmap"], rtol=1e-6)
    np.testing.assert_allclose(block.amplitudes[0, 1], stored["rp_modmap"], rtol=1e-6)


def test_the_scaled_voxel_is_the_programs(stored, block):
    ratio = amplitude_ratio(block.amplitudes[:, 1], block.amplitudes[:, 0])
    wanted = stored["scaled_window_old"][EDGE // 2, EDGE // 2, EDGE // 2]
    assert block.shares[0] @ ratio[0] == pytest.approx(wanted, rel=1e-6)


def test_decay_and_secondary_structure_are_the_programs(stored, block):
    frequency = program_frequencies(WindowShells(EDGE), VOXEL)
    np.testing.assert_allclose(frequency, stored["report_freq"], rtol=1e-6)
    fit_to = float(stored["cond_nyquist"])
    shelled = Shelled(frequency, float(stored["cond_wilson"]), float(stored["cond_fsc_cutoff"]))
    reference = block.amplitudes[:, 1]
    decay = local_decay(reference, shelled, fit_to)
    for found, name in ((decay.bfactor, "bfactor"), (decay.amplitude, "amplitude"), (decay.quality, "qfit")):
        assert found[0] == pytest.approx(float(stored[f"report_{name}"]), rel=1e-6)
    theory = stored["report_theoretical_amplitude"]
    changed = with_secondary_structure(reference, shelled, theory, fit_to, float(stored["report_magnify"]))
    np.testing.assert_allclose(changed[0], stored["report_deviated_reference_profile"], rtol=1e-6)
    ratio = amplitude_ratio(changed, block.amplitudes[:, 0])
    wanted = stored["scaled_window_new"][EDGE // 2, EDGE // 2, EDGE // 2]
    assert block.shares[0] @ ratio[0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
def test_the_scaled_map_is_closer_to_the_clean_one(shared_data):
    folder = shared_data / "simulated" / "haemoglobin"
    halves = read_half_maps(folder / "half1.mrc", folder / "half2.mrc")
    mask, clean = (read_map(folder / f"{name}.mrc.gz").data for name in ("mask", "clean"))
    some = np.zeros(mask.shape, dtype=bool)
    some[:, :, ::8] = mask[:, :, ::8] > 0.5
    before = np.corrcoef(halves.mean().data[some], clean[some])[0, 1]
    for options in ({"model": str(folder / "model.pdb")}, {}):
        after = locscale(halves, halves.half1.like(some), min_resolution=2.9, **options).sharpened.data
        assert np.corrcoef(after[some], clean[some])[0, 1] > before
