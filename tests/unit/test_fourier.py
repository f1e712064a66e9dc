"""The Fourier convention: Parseval, inverse pairs, shells whatever the order of the axes and the number of threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryores.filters import bfactor, low_pass
from cryores.fourier import (
    InnerInverse,
    RealFFT,
    filtered,
    hermitian_weights,
    irfft,
    irfft_inside,
    multiply_radial,
    radial_power,
    rfft,
    shell_frequencies,
    shell_sums,
    shell_width,
    spectrum_shape,
)
from cryores.volume import Grid

SHAPES = [(8, 8, 8), (7, 9, 11), (13, 17, 19), (6, 9, 10), (16, 5, 12), (23, 2, 3)]


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def full_shells(data, other, grid):
    """Sums over shells of the full complex spectrum, in numpy."""
    f, g = np.fft.fftn(data.astype(np.float64)), np.fft.fftn(other.astype(np.float64))
    axes = np.meshgrid(*(np.fft.fftfreq(n, v) for n, v in zip(grid.shape, grid.voxel_size)), indexing="ij")
    shell = np.floor(np.sqrt(sum(a * a for a in axes)) / shell_width(grid) + 0.5 + 1e-6).astype(int)
    count = len(shell_frequencies(grid))
    return [
        np.bincount(shell.ravel(), weights=w.ravel(), minlength=count)[:count]
        for w in ((f * g.conj()).real, np.abs(f) ** 2, np.abs(g) ** 2, np.ones(grid.shape))
    ]


@pytest.mark.parametrize("shape", [(12, 10, 16), (9, 7, 11)])
def test_the_inverse_of_a_part_is_that_part_of_the_inverse(shape):
    data = noise(shape)
    part = (slice(2, 8), slice(0, 5), slice(4, shape[2]))
    spectrum = rfft(data, 1)
    spectrum[:, :, 4:] = 0
    expected = irfft(spectrum, shape, 1)[part]
    np.testing.assert_allclose(irfft_inside(spectrum[:, :, :4].copy(), shape, part, 1), expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(*[st.integers(2, 13)] * 3), seed=st.integers(0, 99))
def test_parseval_and_inverse_of_any_shape(shape, seed):
    data = noise(shape, seed)
    spectrum = rfft(data, 1)
    assert spectrum.shape == spectrum_shape(shape) and spectrum.dtype == np.complex64
    power = float((np.abs(spectrum.astype(np.complex128)) ** 2 * hermitian_weights(shape[2])).sum())
    assert power / data.size == pytest.approx(float((data.astype(np.float64) ** 2).sum()), rel=1e-5)
    np.testing.assert_allclose(irfft(spectrum, shape, 1), data, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("effort", ["FFTW_MEASURE", "FFTW_ESTIMATE"])
def test_planned_transforms_agree_with_numpy_and_invert_each_other(shape, effort):
    data = noise(shape)
    fft = RealFFT(shape, threads=2, effort=effort)
    real, spectrum = fft.empty_real(), fft.empty_spectrum()
    real[...] = data
    fft.forward(real, spectrum)
    expected = np.fft.rfftn(data.astype(np.float64))
    np.testing.assert_allclose(spectrum, expected, atol=2e-6 * np.abs(expected).max())
    np.testing.assert_allclose(fft.backward(spectrum, fft.empty_real()) * fft.scale, data, atol=1e-5)


@pytest.mark.parametrize(("shape", "margin"), [((20, 18, 24), 0), ((20, 18, 24), 5), ((11, 14, 15), 4)])
def test_an_inner_inverse_has_the_same_numbers_and_leaves_other_rows_alone(shape, margin):
    data = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    fft, inner = RealFFT(shape, 1, effort="FFTW_ESTIMATE"), InnerInverse(shape, margin)
    out, spectrum = fft.empty_real(), fft.empty_spectrum()
    out[...] = 7.0
    inside = tuple(slice(margin, n - margin) for n in shape)
    for scale in (1.0, 3.0):
        spectrum[...] = scale * np.fft.rfftn(data)
        inner(spectrum, out)
        np.testing.assert_allclose(out[inside] * fft.scale, scale * data[inside], atol=1e-5)
    out[inside[:2]] = 7.0
    assert (out == 7.0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_shells_hold_the_sums_of_the_full_spectrum(shape):
    grid = Grid.regular(shape, (1.3, 0.9, 1.1))
    one, two = noise(shape, 1), noise(shape, 2)
    sums = shell_sums(rfft(one, 1), rfft(two, 1), grid)
    for found, expected in zip((sums.cross, sums.power1, sums.power2, sums.count), full_shells(one, two, grid)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4 * np.sqrt(expected.max() + 1) * len(expected))


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_shells_do_not_depend_on_the_order_of_the_axes(order):
    shape, voxel = (12, 15, 10), (1.0, 1.25, 0.8)
    one, two = noise(shape, 1), noise(shape, 2)
    turned = Grid.regular(tuple(shape[i] for i in order), tuple(voxel[i] for i in order))
    a = shell_sums(rfft(one, 1), rfft(two, 1), Grid.regular(shape, voxel))
    b = shell_sums(rfft(one.transpose(order).copy(), 1), rfft(two.transpose(order).copy(), 1), turned)
    np.testing.assert_array_equal(a.count, b.count)
    np.testing.assert_allclose(a.frequency, b.frequency, rtol=1e-12)
    for name in ("power1", "power2"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-5)
    np.testing.assert_allclose(a.cross, b.cross, atol=1e-5 * a.power1.max())


def test_products_are_summed_in_float64():
    # In float32 every product of these is infinite.
    grid = Grid.regular((8, 8, 8), 1.0)
    spectrum = np.full((8, 8, 5), 1e25 + 1e25j, np.complex64)
    sums = shell_sums(spectrum, spectrum, grid)
    np.testing.assert_allclose(sums.power1, 2e50 * sums.count, rtol=1e-6)
    np.testing.assert_allclose(sums.cross, sums.power2)


def test_threads_change_no_bit():
    grid = Grid.regular((20, 24, 18), 1.0)
    one, two = rfft(noise(grid.shape, 1), 1), rfft(noise(grid.shape, 2), 1)
    before = numba.get_num_threads()
    try:
        found = []
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            found.append((shell_sums(one, two, grid), multiply_radial(one.copy(), bfactor(50.0), grid)))
    finally:
        numba.set_num_threads(before)
    for name in ("cross", "power1", "power2", "count"):
        np.testing.assert_array_equal(getattr(found[0][0], name), getattr(found[1][0], name))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    np.testing.assert_allclose(rfft(noise(grid.shape), 1), rfft(noise(grid.shape), 4), rtol=1e-5, atol=1e-3)


def test_shells_end_at_nyquist_of_the_coarsest_axis():
    frequency = shell_frequencies(Grid.regular((20, 10, 12), (1.0, 2.0, 1.0)))
    assert frequency[1] == pytest.approx(1 / 20) and frequency[-1] == pytest.approx(1 / 4)
    assert shell_frequencies(Grid.regular((9, 9, 9), 1.0))[-1] == pytest.approx(4 / 9)


def test_white_noise_has_flat_power():
    grid = Grid.regular((48, 48, 48), 1.0)
    _, power = radial_power(noise(grid.shape), grid, 1)
    assert np.abs(power[4:] / grid.size - 1).max() < 0.12


def test_a_radial_filter_multiplies_each_wave_by_its_response():
    grid = Grid.regular((24, 30, 20), (1.0, 0.8, 1.2))
    z, y, x = (np.arange(n) * 2 * np.pi / n for n in grid.shape)
    wave = np.cos(3 * z)[:, None, None] * np.cos(2 * y)[None, :, None] * np.cos(x)[None, None, :]
    s = np.sqrt((3 / 24) ** 2 + (2 / 24) ** 2 + (1 / 24) ** 2)
    passed = filtered(wave.astype(np.float32), bfactor(80.0), grid, 1)
    np.testing.assert_allclose(passed, wave * np.exp(-80.0 * s * s / 4), atol=2e-3)
    data = noise(grid.shape)
    np.testing.assert_allclose(filtered(data, np.ones_like, grid, 1), data, atol=1e-5)
    assert np.abs(filtered(wave.astype(np.float32), low_pass(1.2 / s), grid, 1)).max() < 1e-5
