"""Windows of moving boxes."""

import numpy as np
import pytest
from scipy.signal.windows import hann as reference_hann

from cryores.windows import TAPERS, hann, taper_window


@pytest.mark.parametrize("n", [8, 13, 24])
def test_hann_is_the_symmetric_window_and_ends_at_zero(n):
    assert np.allclose(hann(n), reference_hann(n, sym=True), atol=1e-14)
    assert hann(n)[[0, -1]] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("n", [8, 13])
def test_hann_box_is_a_product_along_its_axes(n):
    window = taper_window("hann", n)
    assert window[n // 2, 3, 2] == pytest.approx(hann(n)[n // 2] * hann(n)[3] * hann(n)[2], rel=1e-6)
    assert window[0].max() == 0 and window[:, -1].max() < 1e-15


@pytest.mark.parametrize("n", [12, 15])
def test_edge_is_a_logistic_of_the_radius_halfway_down_at_a_quarter_of_the_box(n):
    window = taper_window("edge", n).astype(np.float64)
    offset = np.indices(window.shape) - (n - 1) / 2
    radius = np.sqrt((offset**2).sum(axis=0))
    slope, start = np.polyfit(radius.ravel(), np.log(window / (1 - window)).ravel(), 1)
    assert -start / slope == pytest.approx(n / 4, rel=1e-4)
    assert slope == pytest.approx(-1.618 / (n / 4), rel=1e-4)


def test_no_taper_keeps_the_box():
    assert np.array_equal(taper_window("none", 9), np.ones((9, 9, 9)))


@pytest.mark.parametrize("kind", TAPERS)
@pytest.mark.parametrize("n", [8, 11])
def test_every_window_is_alike_from_all_sides(kind, n):
    window = taper_window(kind, n)
    assert window.shape == (n, n, n) and window.dtype == np.float32
    assert window.min() >= 0 and window.max() <= 1
    for same in (window[::-1], window[:, ::-1], window[:, :, ::-1], window.T, window.transpose(1, 2, 0)):
        assert np.allclose(window, same, atol=1e-6)
