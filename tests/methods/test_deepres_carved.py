"""Maps that were cut out: what is continued beyond the cut, and what the training makes of steps."""

import numpy as np
import pytest

from cryores.nets.carved import REACH, STEPS, continued
from cryores.nets.homogeneous import FEATURES, MOMENTS, RADII
from cryores.nets.training.deepres import WITH_REST, with_rest


def cut(data, upto):
    result = data.copy()
    result[upto:] = 0.0
    return result


def test_what_has_no_zeros_is_returned_as_it_is():
    data = np.random.default_rng(0).standard_normal((8, 9, 10)).astype(np.float32)
    assert continued(data) is data


def test_density_stays_and_zeros_far_away_too():
    data = cut(np.random.default_rng(1).standard_normal((90, 12, 10)).astype(np.float32), 10)
    found = continued(data)
    np.testing.assert_array_equal(found[:10], data[:10])
    assert not found[10 + STEPS : 90 - STEPS].any()


def test_a_level_falls_as_it_diffuses_and_decays():
    found = continued(cut(np.ones((90, 4, 4), dtype=np.float32), 20))[:, 1, 2]
    # After many steps, 1D: u(k + 1) + u(k - 1) = (2 + 1 / reach^2) u(k)
    half = 1.0 + 0.5 * REACH**-2
    root = half - np.sqrt(half**2 - 1.0)
    assert 0.9 * root < found[20] < root
    assert (np.diff(found[19:40]) < 0).all() and found[30] < 0.05


def test_it_scales_shifts_and_turns_with_the_map():
    data = np.random.default_rng(2).standard_normal((24, 24, 24)).astype(np.float32)
    data[9:17, 3:12] = 0.0
    found = continued(data)
    np.testing.assert_allclose(continued(3.0 * data), 3.0 * found, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(continued(np.roll(data, 5, 0)), np.roll(found, 5, 0))
    np.testing.assert_allclose(continued(np.ascontiguousarray(np.rot90(data))), np.rot90(found), atol=1e-5)


def test_a_step_loses_most_of_its_high_frequencies():
    rng = np.random.default_rng(3)
    data = cut(np.full((64, 8, 8), 1.0, dtype=np.float32) + 0.01 * rng.standard_normal((64, 8, 8), dtype="f4"), 30)
    high = [np.abs(np.fft.rfft(one.mean(axis=(1, 2))))[16:].std() for one in (data, continued(data))]
    assert high[1] < 0.5 * high[0]


def test_a_rest_raises_weak_bands_and_makes_them_less_skew():
    lessons = np.zeros((400, FEATURES), dtype=np.float32).reshape(400, -1, MOMENTS)
    lessons[:, 8:, : len(RADII)] = -12.0
    lessons[..., len(RADII) :] = 0.5
    found = with_rest(lessons.reshape(400, -1), np.random.default_rng(4)).reshape(lessons.shape)
    changed = (found != lessons).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(WITH_REST, abs=0.1)
    assert (found[changed][:, 8:, : len(RADII)] > -8.0).all()
    assert (np.abs(found[changed][:, 8:, len(RADII)]) < 0.2).all()
    assert (found[..., : len(RADII)] >= lessons[..., : len(RADII)] - 1e-6).all()
