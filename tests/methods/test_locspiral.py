"""LocSpiral, and the bank of bands that it shares."""

import numpy as np
import pytest

from cryores.errors import InputError, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.method import Inputs, load_method
from cryores.postprocessing import locspiral
from cryores.postprocessing._spiral_bank import BandParameters, Bank, band_centres
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
RANGE = {"max_resolution": 20.0, "min_resolution": 4.0}


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


@pytest.fixture(scope="module")
def done(made):
    return locspiral(made.halves, made.mask, **RANGE)


def one_band(wave, grid, centre, compat=None):
    region = np.ones(grid.shape, dtype=bool)
    parameters = BandParameters(bandwidth=2.0, compat=compat)
    bank = Bank(Volume(wave.astype(np.float32), grid), region, parameters, Execution(threads=2))
    return next(bank.bands(np.array([float(centre)])))


@pytest.mark.parametrize("direction", [(8, 0, 0), (0, 8, 0), (0, 0, 8), (5, 5, 4), (6, 0, -6)])
def test_the_amplitude_of_a_wave_is_even_and_its_phase_is_the_waves(direction):
    grid = Grid.regular((48, 48, 48), 1.0)
    z, y, x = np.indices(grid.shape)
    phase = 2 * np.pi * (direction[0] * z + direction[1] * y + direction[2] * x) / 48
    band = one_band(np.cos(phase), grid, np.linalg.norm(direction))
    assert np.ptp(band.amplitude) < 1e-3 * band.amplitude.mean()
    np.testing.assert_allclose(band.density / band.amplitude, np.cos(phase), atol=2e-3)


@pytest.mark.parametrize("shape", [(20, 24, 22), (21, 16, 25)])
def test_a_band_is_its_formula(shape):
    grid = Grid.regular(shape, 1.3)
    noise = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    band = one_band(noise, grid, 6.0)
    k = [f * max(shape) for f in np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")]
    r = np.sqrt(sum(f * f for f in k))
    gain = np.where(r > 0, np.exp(-0.5 * ((r - 6.0) / 2.0) ** 2), 0.0)
    spectrum = np.fft.fftn(noise) * gain / gain.sum() * noise.size
    odd = [np.where(np.abs(f) * 2 == max(shape), 0.0, f) / np.maximum(r, 1e-9) for f in k]
    parts = [np.fft.ifftn(spectrum * factor) for factor in [1.0, *(-1j * f for f in odd)]]
    np.testing.assert_allclose(band.density, parts[0].real, atol=1e-4 * np.abs(parts[0]).max())
    expected = np.sqrt(sum(part.real**2 for part in parts))
    np.testing.assert_allclose(band.amplitude, expected, atol=1e-4 * expected.max())
    assert band.noise == pytest.approx(np.quantile(expected, 0.95, method="hazen"), rel=1e-4)


def test_the_published_amplitude_misses_directions():
    # An odd box: the published grid is centred there.
    grid = Grid.regular((49, 49, 49), 1.0)
    z, y, _ = np.indices(grid.shape)
    # Where the wave is 0, between voxels of an odd box, its amplitude is too.
    wave = np.sin(2 * np.pi * (6 * z - 6 * y) / 49)
    band = one_band(wave, grid, np.hypot(6, 6), compat="locspiral")
    assert band.amplitude.min() < 1e-3 * band.amplitude.max()


def test_bands_lie_a_fourier_pixel_apart():
    centres = band_centres(Grid.regular((50, 60, 40), 1.5), 20.0, 4.0)
    assert centres[0] == 4 and centres[-1] == 22 and len(centres) == 18


def test_scale_and_offset_change_nothing(made, done):
    both = [h.like(7 * h.data + 3) for h in (made.halves.half1, made.halves.half2)]
    again = locspiral(type(made.halves)(*both), made.mask, **RANGE)
    np.testing.assert_allclose(again.sharpened.data, done.sharpened.data, atol=1e-3 * done.sharpened.data.max())


def test_an_isotropic_filter_changes_little_in_narrow_bands(made):
    narrow = {**RANGE, "bandwidth": 1.0}
    before = locspiral(made.halves, made.mask, **narrow).sharpened.data
    softer = [h.like(filtered(h.data, bfactor(60.0), h.grid, 2)) for h in (made.halves.half1, made.halves.half2)]
    after = locspiral(type(made.halves)(*softer), made.mask, **narrow).sharpened.data
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98


def test_the_result_is_in_units_of_the_solvent_and_positive(made):
    whole = locspiral(made.halves, made.mask, keep_negative=True, **RANGE).sharpened.data
    z, y, x = (((np.arange(n) - n // 2) / ((n + 1) // 2)) ** 2 for n in whole.shape)
    outside = (z[:, None, None] + y[:, None] + x < 1) & (made.mask.data <= 0.5)
    assert whole[outside].mean() == pytest.approx(0, abs=1e-3) and whole[outside].std() == pytest.approx(1, rel=1e-3)
    cut = locspiral(made.halves, made.mask, **RANGE).sharpened.data
    np.testing.assert_allclose(cut, np.maximum(whole, 0), atol=1e-5)


def test_weak_density_is_raised(made):
    fading = np.linspace(1.0, 0.1, made.clean.data.shape[1], dtype=np.float32)[None, :, None]
    noise = np.random.default_rng(0).standard_normal(made.clean.data.shape) * 0.02 * made.clean.data.std()
    volume = made.clean.like(made.clean.data * fading + noise)
    after = locspiral(volume, made.mask, **RANGE).sharpened.data
    inside = made.mask.data > 0.5
    strong, weak = (inside & (np.arange(48)[None, :, None] < 18), inside & (np.arange(48)[None, :, None] > 30))
    ratio_before = volume.data[weak].std() / volume.data[strong].std()
    ratio_after = after[weak].std() / after[strong].std()
    assert ratio_after > 1.3 * ratio_before


def test_threads_change_nothing(made, done):
    again = locspiral(made.halves, made.mask, execution=Execution(threads=1), **RANGE)
    np.testing.assert_allclose(again.sharpened.data, done.sharpened.data, atol=1e-4 * done.sharpened.data.max())


def test_what_cannot_work_is_refused(made):
    with pytest.raises(UsageError, match="E_RANGE"):
        locspiral(made.halves, made.mask, max_resolution=5.0, min_resolution=5.0)
    with pytest.raises(UsageError, match="E_NO_HALVES"):
        locspiral(made.halves.mean(), made.mask)
    with pytest.raises(InputError, match="E_NO_NOISE"):
        everything = np.ones(made.mask.data.shape, np.float32)
        everything[0, 0, 0] = 0
        locspiral(made.halves, made.mask.like(everything), **RANGE)


@pytest.mark.parametrize("name", ["locspiral", "locbsharpen", "locbfactor"])
def test_one_map_of_unknown_resolution_is_refused_before_the_work(made, name):
    method = load_method(name)
    with pytest.raises(UsageError, match=r"E_NO_HALVES.*give --min-resolution"):
        method.check(Inputs(made.clean, mask=made.mask), method.make_parameters({}))
    assert method.check(Inputs(made.clean, mask=made.mask), method.make_parameters({"min_resolution": 5.0})) == []
