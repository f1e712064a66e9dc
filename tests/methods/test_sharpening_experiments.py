"""The quick ones of the experiments that show what sees sharpening and what does not (docs/sharpening.rst)."""

import numpy as np
import pytest

from cryores import postprocessing, resolution
from cryores.atoms import helix_bundle
from cryores.filters import bfactor
from cryores.fourier import filtered, rfft, shell_width
from cryores.shell_correlation import randomised
from cryores.simulation import LOW_PASS_EDGE_SHELLS, simulate
from cryores.volume import HalfMaps

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")

CUT_OFF = 4.0


@pytest.fixture(scope="module")
def phantom():
    """Half maps that are low-passed at 4 Å."""
    model = helix_bundle(17.0, (0.0, 0.0, 0.0), seed=1)
    return simulate(model, (46, 46, 46), 1.3, CUT_OFF, CUT_OFF, "constant", snr=4.0, seed=1)


def sharpened(volume, b, until=0.0):
    """Return exp(-b s^2 / 4) times the map, beyond ``until`` Å as it is there."""
    cut = 1.0 / until if until else np.inf
    return volume.like(filtered(volume.data, lambda s: bfactor(b)(np.minimum(s, cut)), volume.grid, 1))


def both(halves, *change):
    return HalfMaps(sharpened(halves.half1, *change), sharpened(halves.half2, *change))


def median(volume, mask):
    return float(np.nanmedian(volume.data[mask.data > 0.5]))


def test_the_fsc_is_blind_to_b(phantom):
    raw, changed = (resolution.fsc(halves).unmasked for halves in (phantom.halves, both(phantom.halves, -60.0)))
    assert np.abs(raw - changed).max() < 0.02, "within a shell B still weighs one frequency more than another"
    assert raw[1:9].min() > 0.85 and np.abs(raw[-3:]).max() < 0.2


def test_monores_is_blind_to_b_up_to_the_cut_off_and_in_bands(phantom):
    def monores(halves, kind):
        return median(resolution.monores(halves, phantom.mask, filter=kind).resolution, phantom.mask)

    to_cut_off, everywhere = both(phantom.halves, -60.0, CUT_OFF), both(phantom.halves, -60.0)
    raw = monores(phantom.halves, "highpass")
    assert monores(to_cut_off, "highpass") == pytest.approx(raw, abs=0.1)
    assert monores(everywhere, "bandpass") == pytest.approx(monores(phantom.halves, "bandpass"), abs=0.1)
    assert monores(everywhere, "highpass") > raw + 1.0, "noise beyond the signal, raised, is what it then sees"


def test_random_phases_beyond_4_angstrom_are_noticed(shared_data):
    model = shared_data / "models" / "xray_le2.5A" / "4p5j.cif.gz"
    made = simulate(model, (66, 62, 70), 1.0, 2.5, 2.5, "constant", seed=1)
    first = round(1.0 / (CUT_OFF * shell_width(made.clean.grid)))
    mixed = randomised(rfft(made.clean.data, 1), made.clean.grid, first, np.random.default_rng(0), 1)
    clean, changed = (
        median(resolution.deepres(volume, made.mask, range="2.5-13").resolution, made.mask)
        for volume in (made.clean, made.clean.like(mixed))
    )
    assert clean < 3.0 and changed > 3.5


def test_a_localdeblur_map_deceives_monores_and_not_deepres(phantom):
    mono = resolution.monores(phantom.halves, phantom.mask).resolution
    deblurred = postprocessing.localdeblur(phantom.halves.mean(), mono, phantom.mask).sharpened
    deceived = resolution.monores(deblurred, phantom.mask).resolution
    seen = resolution.deepres(deblurred, phantom.mask, range="2.5-13").resolution
    nothing_beyond = 1.0 / (1.0 / CUT_OFF + LOW_PASS_EDGE_SHELLS * shell_width(phantom.clean.grid))
    inside = phantom.mask.data > 0.5
    assert median(deceived, phantom.mask) < median(mono, phantom.mask) - 0.5
    assert np.nanpercentile(deceived.data[inside], 20) < nothing_beyond - 0.2, "where no signal was planted"
    assert np.nanpercentile(seen.data[inside], 20) > np.nanpercentile(deceived.data[inside], 20)


def test_deepres_becomes_finer_with_every_bit_of_sharpening():
    model = helix_bundle(17.0, (0.0, 0.0, 0.0), seed=2)
    made = simulate(model, (44, 44, 44), 1.0, 3.5, 3.5, "constant", snr=20.0, seed=4)
    found = [
        median(resolution.deepres(sharpened(made.clean, b), made.mask, range="2.5-13").resolution, made.mask)
        for b in (60.0, 0.0, -60.0, -100.0)
    ]
    assert found[0] > found[1] > found[2] > found[3], "over-sharpened maps must not turn coarser again"


def test_what_autosharpen_does_moves_no_local_fsc(shared_data):
    model = shared_data / "models" / "xray_le2.5A" / "3v1w.pdb.gz"
    made = simulate(model, (62, 62, 64), 1.3, 4.0, 4.0, "constant", snr=4.0, b=120.0, seed=3)
    b = postprocessing.autosharpen(made.halves, made.mask).details["b_iso"]
    changed = both(made.halves, b - 120.0, 4.0)
    assert b < 60.0
    boxes = [
        median(resolution.blocres(h, made.mask, box=20, step=4).resolution, made.mask) for h in (made.halves, changed)
    ]
    assert boxes[1] == pytest.approx(boxes[0], abs=0.1)
