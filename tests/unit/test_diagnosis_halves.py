"""Half maps that do not belong together are told; those that do are not."""

import numpy as np
import pytest

from cryores.diagnosis import diagnose, suspicious
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.method import HALVES, Inputs, load_method, method_summaries
from cryores.simulation import simulate
from cryores.volume import HalfMaps


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(64, 64, 64), voxel_size=1.5, finest=4.0, coarsest=7.0, seed=3)


def codes(half1, half2, mask):
    return [finding.code for finding in diagnose(HalfMaps(half1, half2), mask)]


def test_halves_of_one_refinement_are_not_suspected(made):
    assert "W_HALVES_DIFFER" not in codes(made.halves.half1, made.halves.half2, made.mask)


@pytest.mark.parametrize("how", ["mirrored", "shifted"])
def test_halves_that_do_not_overlap_are_told(made, how):
    data = made.halves.half2.data
    other = data[:, :, ::-1].copy() if how == "mirrored" else np.roll(data, 8, axis=1)
    assert "W_HALVES_DIFFER" in codes(made.halves.half1, made.halves.half2.like(other), made.mask)


def test_a_sharpened_half_is_told(made):
    half2 = made.halves.half2
    other = half2.like(filtered(half2.data, bfactor(-100.0), half2.grid, 2))
    assert "W_HALVES_DIFFER" in codes(made.halves.half1, other, made.mask)


@pytest.mark.parametrize("factor", [30.0, 1.5, 0.02])
def test_halves_of_different_grey_scales_are_told_with_the_factor(made, factor):
    half2 = made.halves.half2
    other = HalfMaps(made.halves.half1, half2.like(half2.data * np.float32(factor) + np.float32(5.0)))
    (found,) = (f for f in diagnose(other, made.mask) if f.code == "W_HALVES_DIFFER")
    told = float(found.message.split("the second is ")[1].split()[0])
    assert "grey scales" in found.message and abs(told / factor - 1) < 0.02


@pytest.mark.parametrize("factor, offset", [(1.05, 0.0), (1.0, 5.0)])
def test_halves_that_are_scaled_a_little_or_have_another_mean_are_not_suspected(made, factor, offset):
    half2 = made.halves.half2
    other = half2.like(half2.data * np.float32(factor) + np.float32(offset))
    assert "W_HALVES_DIFFER" not in codes(made.halves.half1, other, made.mask)


# --- every method -------------------------------------------------------------------------------------------------

LOOK_FOR_THE_PARTICLE = [
    name for name in method_summaries() if HALVES in load_method(name).maps and load_method(name).mask == "made"
]
"""Methods that take what is positive for the particle, and the mean or the difference of half maps for what it is."""


def codes_of(name, halves, mask):
    return {finding.code for finding in suspicious(Inputs(halves, mask=mask), load_method(name))}


def test_the_methods_of_processed_maps_are_among_them():
    assert {"autosharpen", "locspiral", "locscale", "postprocess", "monores", "deepres"} <= set(LOOK_FOR_THE_PARTICLE)


@pytest.mark.parametrize("name", LOOK_FOR_THE_PARTICLE)
def test_every_method_tells_of_grey_scales_and_contrast_and_is_silent_where_all_is_well(made, name):
    half1, half2 = made.halves.half1, made.halves.half2
    told = {"W_HALVES_DIFFER", "W_OPPOSITE_HALVES", "W_INVERTED"}
    assert not told & codes_of(name, made.halves, made.mask)
    assert codes_of(name, HalfMaps(half1, half2.like(10 * half2.data)), made.mask) & told == {"W_HALVES_DIFFER"}
    negative = HalfMaps(half1.like(-half1.data), half2.like(-half2.data))
    assert codes_of(name, negative, made.mask) & told == {"W_INVERTED"}
    assert "W_OPPOSITE_HALVES" in codes_of(name, HalfMaps(half1, half2.like(-half2.data)), made.mask)


@pytest.mark.parametrize("name", ["fsc", "fso"])
def test_a_correlation_feels_neither(made, name):
    half1, half2 = made.halves.half1, made.halves.half2
    assert codes_of(name, HalfMaps(half1.like(-half1.data), half2.like(-10 * half2.data)), made.mask) == set()
