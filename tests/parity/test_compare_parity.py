"""The stored maps of the published programs, each in its own convention, against statistics computed here by hand."""

from itertools import combinations

import mrcfile
import numpy as np
import pytest
from scipy.stats import spearmanr

from cryores.errors import InputError
from cryores.localres_maps import read_resolution_map
from cryores.mapio import read_map
from cryores.resolution import compare

# What stands for "no value" in each file, and how these files were made: ../shared/data/README.md
PEERS = {"monores_halves": 0, "blocres_box24_step2_fsc05": 0, "relion_locres": 0, "resmap": 100}


def raw(path):
    with mrcfile.open(path, permissive=True) as m:
        return np.array(m.data, np.float64)


@pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
@pytest.mark.parametrize("name", ["haemoglobin", "porin"])
def test_medians_and_correlations_are_those_of_the_files(shared_data, name):
    folder = shared_data / "simulated" / name
    inside = raw(folder / "mask.mrc.gz") > 0.5
    files = {peer: folder / "peers" / f"{peer}.mrc.gz" for peer in PEERS}
    maps = {peer: read_resolution_map(path) for peer, path in files.items()}
    assert {peer: found.background or 0 for peer, found in maps.items()} == PEERS
    density, mask = read_map(folder / "half1.mrc"), read_map(folder / "mask.mrc.gz")
    found = compare(density, {peer: item.resolution for peer, item in maps.items()}, mask)
    values = {peer: np.where(inside & (raw(path) != PEERS[peer]), raw(path), np.nan) for peer, path in files.items()}
    for peer, data in values.items():
        row = found.maps[peer]
        assert row["n"] == np.isfinite(data).sum() and row["median"] == pytest.approx(np.nanmedian(data), rel=1e-6)
        assert (row["p5"], row["p95"]) == pytest.approx(tuple(np.nanpercentile(data, (5, 95))), rel=1e-6)
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    for first, second in combinations(PEERS, 2):
        pair, both = pairs[first, second], np.isfinite(values[first]) & np.isfinite(values[second])
        a, b = values[first][both], values[second][both]
        assert pair.n == both.sum() and pair.shift == pytest.approx(np.median(b - a), abs=1e-6)
        assert pair.rank == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)
        assert pair.window_scatter < pair.scatter, "methods agree on regions better than on voxels"


def test_a_background_within_the_range_of_the_values_is_asked_for(shared_data):
    path = shared_data / "maps" / "betaGal_relion_locres" / "localResolution.mrc.gz"
    data = raw(path)
    with pytest.raises(InputError) as told:
        read_resolution_map(path)
    assert told.value.code == "E_BACKGROUND" and "--background 8.863673 " in told.value.hint
    known = np.isfinite(read_resolution_map(path, "8.863673").resolution.data)
    assert known.sum() == 20256 and np.array_equal(known, np.abs(data - 8.863673) > 1e-4)


def test_a_map_without_a_background_keeps_every_voxel(shared_data):
    found = read_resolution_map(shared_data / "simulated" / "tomogram" / "peers" / "monotomo.mrc.gz")
    assert found.background is None and np.isfinite(found.resolution.data).all()
