"""Every check on good input, where it is silent, and on the input it is there for."""

from dataclasses import replace

import numpy as np
import pytest

from cryores.diagnosis import (
    check_inputs,
    constant_fraction,
    diagnose,
    margin_findings,
    mask_range_findings,
    range_findings,
    rises_again,
    suspicions,
    window_findings,
)
from cryores.errors import CryoresError
from cryores.filters import bfactor, low_pass
from cryores.fourier import filtered
from cryores.mapio import read_half_maps, read_map
from cryores.masks import soft_edge
from cryores.method import Inputs, load_method
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps, Volume

MONORES, BLOCRES, FSC = (load_method(name) for name in ("monores", "blocres", "fsc"))


@pytest.fixture(scope="module")
def good():
    made = simulate(shape=(48, 50, 52), voxel_size=1.5, finest=5.0, coarsest=9.0, seed=2)
    return made.halves, made.mask


def each(halves, change):
    return HalfMaps(*(half.like(change(half.data)) for half in (halves.half1, halves.half2)))


def codes(maps, mask=None):
    return [finding.code for finding in diagnose(maps, mask, 1)]


def band(halves, low, high):
    """One and the same wave packet in both halves, between two resolutions."""
    noise = np.random.default_rng(8).standard_normal(halves.grid.shape).astype(np.float32)

    def response(s):
        return ((s > 1 / low) & (s < 1 / high)).astype(float)

    return filtered(noise, response, halves.grid, 1)


# --- errors -------------------------------------------------------------------------------------------------------


def test_good_input_passes_every_check(good):
    halves, mask = good
    for method in (MONORES, BLOCRES, FSC):
        check_inputs(Inputs(halves, mask=mask), method)
    check_inputs(Inputs(halves.mean(), mask=mask), MONORES)


def spoilt(volume, value):
    data = volume.data.copy()
    data[1, 2, 3] = value
    return volume.like(data)


BAD = {
    "one map for blocres": (BLOCRES, lambda h, m: Inputs(h.mean()), "E_NO_HALVES", 2),
    "halves for one map": (replace(MONORES, maps=("map",)), lambda h, m: Inputs(h), "E_NO_MAP", 2),
    "a model for monores": (MONORES, lambda h, m: Inputs(h, model="a.pdb"), "E_UNUSED_INPUT", 2),
    "a mask for none": (replace(MONORES, mask="none"), lambda h, m: Inputs(h, mask=m), "E_UNUSED_INPUT", 2),
    "no reference": (replace(MONORES, required=("reference",)), lambda h, m: Inputs(h), "E_MISSING_INPUT", 2),
    "NaN": (MONORES, lambda h, m: Inputs(spoilt(h.half1, np.nan)), "E_NOT_FINITE", 3),
    "infinite half": (MONORES, lambda h, m: Inputs(HalfMaps(h.half1, spoilt(h.half2, np.inf))), "E_NOT_FINITE", 3),
    "constant": (MONORES, lambda h, m: Inputs(h.half1.like(0 * h.half1.data - 0.0)), "E_CONSTANT", 3),
    "NaN in the mask": (MONORES, lambda h, m: Inputs(h, mask=spoilt(m, np.nan)), "E_NOT_FINITE", 3),
    "empty mask": (MONORES, lambda h, m: Inputs(h, mask=m.like(0.5 * m.data)), "E_MASK_EMPTY", 3),
    "a mask of bytes": (FSC, lambda h, m: Inputs(h, mask=m.like(255 * m.data)), "E_MASK_RANGE", 3),
    "a density for a mask": (FSC, lambda h, m: Inputs(h, mask=m.like(m.data - 3 * (m.data == 0))), "E_MASK_RANGE", 3),
    "full mask": (MONORES, lambda h, m: Inputs(h, mask=m.like(m.data + 1)), "E_MASK_FULL", 3),
    "another grid": (
        MONORES,
        lambda h, m: Inputs(h, mask=Volume(m.data[:40], Grid.regular((40, 50, 52), 1.5))),
        "E_OTHER_GRID",
        3,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_analysed_is_refused(case, good):
    method, make, code, status = BAD[case]
    with pytest.raises(CryoresError) as raised:
        check_inputs(make(*good), method)
    assert raised.value.code == code and raised.value.exit_status == status and raised.value.hint


def test_an_empty_mask_tells_its_values_and_bytes_without_a_sign(good):
    halves, mask = good
    with pytest.raises(CryoresError, match=r"\(its values: 0 to 0.1\); hint: give a mask that is 1"):
        check_inputs(Inputs(halves, mask=mask.like(0.1 * mask.data)), MONORES)
    with pytest.raises(CryoresError, match=r"\(its values: -1 to 0\); hint: it seems to hold 255"):
        check_inputs(Inputs(halves, mask=mask.like(-mask.data)), MONORES)


def test_a_mask_from_0_to_255_is_told_where_0_5_is_not_its_middle(good):
    hard = good[1].like(255 * (good[1].data > 0.5))
    assert list(mask_range_findings(hard)) == [], "0 and 255 select the same voxels"
    soft = soft_edge(good[1], 6.0)
    assert list(mask_range_findings(soft)) == []
    assert list(mask_range_findings(soft.like(1.2 * soft.data - 0.1))) == [], "interpolation overshoots"
    bytes_255 = soft.like(255 * soft.data)
    (told,) = mask_range_findings(bytes_255)
    assert "from 0 to 255" in told.message and "--threshold 127.5" in told.hint
    assert str(told) in suspicions(Inputs(good[0], mask=bytes_255), BLOCRES)


def test_a_constant_map_is_not_minus_zero(good):
    with pytest.raises(CryoresError, match="every voxel is 0;"):
        check_inputs(Inputs(good[0].half1.like(-0.0 * np.abs(good[0].half1.data))), MONORES)


# --- findings -----------------------------------------------------------------------------------------------------


def test_good_maps_have_no_finding(good):
    halves, mask = good
    assert codes(halves, mask) == codes(halves) == codes(halves.mean(), mask) == []
    assert suspicions(Inputs(halves, mask=mask), MONORES, MONORES.make_parameters({})) == []


@pytest.mark.parametrize("name", ["haemoglobin", "porin", "tomogram"])
def test_the_simulated_sets_have_no_finding(name, shared_data):
    folder = shared_data / "simulated" / name
    one, two, mask = (next(folder.glob(f"{part}.mrc*")) for part in ("half1", "half2", "mask"))
    assert codes(read_half_maps(one, two), read_map(mask)) == []


@pytest.mark.parametrize("entry", ["EMD-3488_hemoglobin/emd_3488.map"])
def test_a_deposited_masked_map_is_told(entry, shared_data):
    assert "W_MASKED" in codes(read_map(shared_data / "maps" / entry))


def rising(halves):
    packet = 0.8 * band(halves, 4.4, 3.9)
    return each(halves, lambda data: data + packet)


DOUBTFUL = {
    "W_MASKED": lambda h, m: each(h, lambda d: d * m.data),
    "W_FILTERED": lambda h, m: each(h, lambda d: filtered(d, low_pass(8.0), h.grid, 1)),
    "W_SHARPENED": lambda h, m: each(h, lambda d: filtered(d, bfactor(-90.0), h.grid, 1)),
    "W_INVERTED": lambda h, m: each(h, lambda d: -d),
    "W_DEPENDENT_HALVES": lambda h, m: each(h, lambda d: d + 3 * d.std() * white(d.shape)),
    "W_FSC_RISES": lambda h, m: rising(h),
    "W_OPPOSITE_HALVES": lambda h, m: HalfMaps(h.half1, h.half2.like(-h.half2.data)),
}


def white(shape):
    return np.random.default_rng(77).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("code", DOUBTFUL)
def test_what_misleads_is_found_in_halves_and_says_what_to_do(code, good):
    findings = diagnose(DOUBTFUL[code](*good), good[1], 1)
    assert code in [finding.code for finding in findings]
    assert all(finding.message and finding.hint for finding in findings)


@pytest.mark.parametrize("code", ["W_MASKED", "W_FILTERED", "W_SHARPENED", "W_INVERTED"])
def test_what_misleads_is_found_in_one_map(code, good):
    assert code in codes(DOUBTFUL[code](*good).mean(), good[1])


def test_halves_masked_with_a_negative_zero_are_exactly_zero(good):
    halves, mask = good
    masked = each(halves, lambda d: np.where(mask.data > 0.5, d, np.float32(-0.0)))
    share, value = constant_fraction(masked.half1)
    assert share > 0.5 and f"{value:g}" == "0"
    assert any("exactly 0;" in str(finding) for finding in diagnose(masked, mask))


def test_grids_that_differ_are_told(good):
    halves, mask = good
    other = Volume(mask.data, Grid.regular(mask.grid.shape, 1.6))
    assert "1.6000" in "\n".join(suspicions(Inputs(halves, mask=other), FSC))
    moved = Volume(halves.half2.data, replace(halves.grid, origin=(1.0, 2.0, 3.0)))
    assert "different origins" in "\n".join(suspicions(Inputs(HalfMaps(halves.half1, moved), mask=mask), FSC))
    assert suspicions(Inputs(halves, mask=mask), FSC) == []


def test_an_fsc_rises_again_only_after_it_ended():
    shells = np.arange(40)
    falls = 1 / (1 + np.exp((shells - 15) / 1.5))
    many = np.full(40, 1000.0)
    assert rises_again(falls, many) is None
    assert rises_again(falls + np.where(abs(shells - 30) < 3, 0.5, 0), many) in range(28, 33)
    assert rises_again(falls + np.where(shells == 30, 0.5, 0), many) is None, "one shell may be an accident"
    assert rises_again(falls - np.where(shells < 2, 1.0, 0), many) is None, "the first shells hold few coefficients"
    assert rises_again(np.ones(40), many) is None and rises_again(np.zeros(40), many) is None
    few = np.full(40, 4.0)
    assert rises_again(falls + np.where(abs(shells - 30) < 3, 0.5, 0), few) is None, "noise explains it"


# --- good practices -----------------------------------------------------------------------------------------------


def test_half_maps_and_a_mask_are_asked_for_where_there_are_none(good):
    halves, mask = good
    single = suspicions(Inputs(halves.mean(), mask=mask), MONORES)
    assert len(single) == 1 and "one map" in single[0] and "give the two half maps" in single[0]
    maskless = suspicions(Inputs(halves), MONORES)
    assert len(maskless) == 1 and "no mask was given" in maskless[0] and "look at mask.mrc" in maskless[0]
    assert suspicions(Inputs(halves.mean(), mask=mask), replace(MONORES, maps=("map",))) == []


def test_a_mask_wants_room_around_it(good):
    halves, mask = good
    data = np.zeros(mask.grid.shape, np.float32)
    data[12:-12, 12:-4, 12:-12] = 1
    assert list(margin_findings(mask.like(data), 4)) == []
    (found,) = margin_findings(mask.like(data), 10)
    assert found.code == "W_MARGIN" and "only 4 voxels" in found.message and "10" in found.hint
    data[0, 20, 20] = 1
    (found,) = margin_findings(mask.like(data), 1)
    assert "touches the face" in found.message
    assert "touches the face" in "\n".join(suspicions(Inputs(halves, mask=mask.like(data)), MONORES))


@pytest.mark.parametrize("axes, words", [((0,), "along z;"), ((1,), "along y;"), ((0, 2), "along z and x;")])
def test_a_filament_or_a_membrane_may_cross_the_box(good, axes, words):
    data = np.zeros(good[1].grid.shape, np.float32)
    data[tuple(slice(None) if axis in axes else slice(12, -12) for axis in range(3))] = 1
    (found,) = margin_findings(good[1].like(data), 10)
    assert found.code == "W_MARGIN" and words in str(found) and "a filament or a membrane has to" in found.hint
    data[tuple(slice(None) if axis in axes else slice(1, -12) for axis in range(3))] = 1
    crosses, close = margin_findings(good[1].like(data), 10)
    assert words in str(crosses) and "only 1 voxel lies" in close.message


@pytest.mark.parametrize(
    "values, words",
    [
        ({}, None),
        ({"min_resolution": 3.0, "max_resolution": 20.0}, None),
        ({"min_resolution": 1.0}, "Nyquist"),
        ({"max_resolution": 60.0}, "few waves fit in"),
        ({"min_resolution": 12.0, "max_resolution": 20.0}, "lies outside the range"),
        ({"min_resolution": 3.0, "max_resolution": 3.5}, "lies outside the range"),
    ],
)
def test_the_range_holds_the_resolution_of_the_map(good, values, words):
    found = list(range_findings(good[0], MONORES.make_parameters(values)))
    assert [f.code for f in found] == ([] if words is None else ["W_RANGE"])
    assert all(words in f.message and f.hint for f in found)


@pytest.mark.parametrize("box, fires", [(15, False), (18, False), (21, False), (12, True), (30, True)])
def test_a_window_is_5_to_7_times_the_resolution(box, fires):
    found = list(window_findings(box, 1.0, 3.0))
    assert [f.code for f in found] == (["W_WINDOW"] if fires else [])
    assert all("take 15 to 21 voxels" in f.hint for f in found)
    assert list(window_findings(box, 1.0, None)) == []
