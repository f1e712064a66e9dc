"""blocfilt and the local low-pass against planted truth: nearer to the clean map than any one low-pass."""

import numpy as np
import pytest

from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.localres_maps import read_resolution_map
from cryores.mapio import read_half_maps, read_map
from cryores.postprocessing import blocfilt, local_lowpass
from cryores.postprocessing.local_lowpass import response

DECAY = {"haemoglobin": 60.0, "porin": 30.0}
"""B-factor that the half maps were damped by (simulation.json)."""

WHOLE_MAPS = ("monores_halves", "relion_locres")
"""Stored local-resolution maps that have a value everywhere in the mask."""

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module", params=DECAY)
def sharpened(request, shared_data):
    """The folder, the sharpened mean of the halves, the mask, and how alike a map is to the clean one inside it."""
    folder = shared_data / "simulated" / request.param
    full = read_half_maps(folder / "half1.mrc", folder / "half2.mrc").mean()
    mask, clean = (read_map(folder / name) for name in ("mask.mrc.gz", "clean.mrc.gz"))
    inside = mask.data > 0.5

    def alike(data):
        return float(np.corrcoef(data[inside], clean.data[inside])[0, 1])

    return folder, full.like(filtered(full.data, bfactor(-DECAY[request.param]), full.grid, 2)), mask, alike


@pytest.mark.parametrize("name", WHOLE_MAPS)
def test_the_local_filter_is_better_than_the_best_global_one(sharpened, name):
    folder, volume, mask, alike = sharpened
    resolution = read_resolution_map(folder / "peers" / f"{name}.mrc.gz").resolution
    local = alike(local_lowpass(volume, resolution, mask).sharpened.data)
    overall = [alike(filtered(volume.data, response(d, 0.25), volume.grid, 2)) for d in (2.0, 2.5, 3.0, 3.5, 4.0, 5.0)]
    assert local > max(overall) > alike(volume.data)


def test_boxes_and_bank_give_nearly_the_same_map(sharpened):
    folder, volume, mask, alike = sharpened
    resolution = read_resolution_map(folder / "peers" / "relion_locres.mrc.gz").resolution
    inside = mask.data > 0.5
    boxes = blocfilt(volume, resolution, mask).sharpened.data
    bank = local_lowpass(volume, resolution, mask).sharpened.data
    assert np.corrcoef(boxes[inside], bank[inside])[0, 1] > 0.98
    assert alike(boxes) > alike(volume.data) + 0.015


def test_a_tomogram_is_filtered_by_the_stored_map_of_monotomo(shared_data):
    folder = shared_data / "simulated" / "tomogram"
    tomogram, other = read_half_maps(folder / "half1.mrc", folder / "half2.mrc").half1, read_map(folder / "half2.mrc")
    resolution = read_resolution_map(folder / "peers" / "monotomo.mrc.gz").resolution
    local = local_lowpass(tomogram, resolution).sharpened.data
    inside = read_map(folder / "mask.mrc.gz").data > 0.5

    def alike(data):
        # The other half has the same signal and its own noise: what fits it better has less noise or more signal.
        return float(np.corrcoef(data[inside], other.data[inside])[0, 1])

    overall = [alike(filtered(tomogram.data, response(d, 0.25), tomogram.grid, 2)) for d in (5.0, 7.0, 10.0, 15.0)]
    assert alike(local) > max(overall) and alike(local) > alike(tomogram.data) + 0.05
