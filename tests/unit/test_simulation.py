"""Atoms, noise and simulation: the planted truth has to be true."""

import gemmi
import numpy as np
import pytest

from cryores.atoms import atom_positions, density_from_model, helix_bundle, values_at_atoms
from cryores.errors import CryoresWarning, InputError, UsageError
from cryores.filters import low_pass
from cryores.fourier import filtered, radial_power, rfft, shell_sums, shell_width
from cryores.mapio import read_map
from cryores.masks import automatic_mask
from cryores.noise import background_amplitude, coloured_noise, white_noise
from cryores.simulation import LOW_PASS_EDGE_SHELLS, _local_low_pass, halves_of_map, simulate
from cryores.volume import Grid, Volume


def one_atom(z, y, x, b=30.0):
    structure = gemmi.read_pdb_string(
        f"ATOM      1  CA  ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00{b:6.2f}           C\nEND\n"
    )
    return structure


@pytest.mark.parametrize("shape", [(32, 32, 32), (31, 36, 45)])
@pytest.mark.parametrize("voxel", [0.8, 1.5])
def test_density_lies_on_the_atom_and_holds_its_potential(shape, voxel):
    grid = Grid(shape, tuple(n * voxel for n in shape), shape, origin=(5.0, -7.0, 11.5))
    at = np.array([5.0, -7.0, 11.5]) + voxel * np.array([14.3, 16.9, 20.2])
    density = density_from_model(one_atom(*np.round(at, 3)), grid).data.astype(float)
    index = np.indices(shape)
    centre = [float((i * density).sum() / density.sum()) for i in index]
    assert np.allclose(centre, (np.round(at, 3) - np.array(grid.origin)) / voxel, atol=0.05)
    # the zero frequency of the potential is f(0) of carbon, 2.509 Å (International Tables C, 4.3.1.1)
    assert float(density.sum()) * voxel**3 == pytest.approx(2.509, rel=0.01)


def test_start_indices_move_the_model_as_an_origin_does():
    shape, voxel = (32, 32, 32), 1.2
    plain = Grid.regular(shape, voxel)
    started = Grid(shape, plain.cell, shape, nstart=(-16, 4, 2))
    shift = np.array(started.nstart) * voxel
    a = density_from_model(one_atom(19.0, 20.0, 18.0), plain).data
    b = density_from_model(one_atom(*(np.array([19.0, 20.0, 18.0]) + shift)), started).data
    assert np.allclose(a, b, atol=1e-4 * a.max())


def test_map_is_read_at_the_atoms():
    grid = Grid((20, 22, 24), (20.0, 22.0, 24.0), (20, 22, 24), origin=(3.0, 2.0, 1.0))
    ramp = Volume(np.indices(grid.shape)[2].astype(np.float32), grid)
    assert values_at_atoms(ramp, one_atom(10.0, 10.0, 8.5))[0] == pytest.approx(7.5)
    assert np.isnan(values_at_atoms(ramp, one_atom(100.0, 10.0, 8.5))[0])


def test_model_outside_the_box_is_an_error():
    with pytest.raises(InputError, match="E_MODEL_OUTSIDE"):
        density_from_model(one_atom(100.0, 0.0, 0.0), Grid.regular((16, 16, 16), 1.0))


def test_helix_bundle_has_the_distances_of_a_protein():
    structure = helix_bundle(20.0, (30.0, 30.0, 30.0), seed=3)
    calphas = [np.array(r["CA"][0].pos.tolist()) for r in structure[0][0]]
    steps = np.linalg.norm(np.diff(calphas, axis=0), axis=1)
    assert np.allclose(steps, 3.8, atol=0.1)
    positions = atom_positions(structure)
    assert np.allclose(positions.mean(axis=0), 30.0, atol=2.0)
    assert np.abs(positions - 30.0).max() < 20.0 + 6.0


def test_noise_has_the_spectrum_asked_for():
    grid = Grid.regular((48, 52, 56), 1.3)
    rng = np.random.default_rng(5)
    frequency, power = radial_power(coloured_noise(grid, lambda s: 1.0 + 4.0 * s, rng), grid, 1)
    ratio = power[5:] / grid.size / (1.0 + 4.0 * frequency[5:]) ** 2
    assert np.abs(ratio - 1.0).max() < 0.15
    assert abs(ratio.mean() - 1.0) < 0.02


def test_background_spectrum_is_that_of_the_noise_around_the_particle():
    grid = Grid.regular((64, 64, 64), 1.0)
    rng = np.random.default_rng(6)
    mask = Volume((np.indices(grid.shape) - 32).__pow__(2).sum(axis=0).__lt__(14**2).astype(np.float32), grid)
    volume = Volume(2.0 * white_noise(grid, rng) + 50 * mask.data + 7, grid)
    _, amplitude = background_amplitude(volume, mask)
    assert np.abs(amplitude[4:] / 2.0 - 1.0).max() < 0.12


def test_low_pass_to_one_resolution_is_the_global_filter():
    grid = Grid.regular((40, 44, 48), 1.1)
    data = np.random.default_rng(0).standard_normal(grid.shape).astype(np.float32)
    local = _local_low_pass(data, np.full(grid.shape, 4.0, dtype=np.float32), grid, 1)
    whole = filtered(data, low_pass(4.0, LOW_PASS_EDGE_SHELLS * shell_width(grid)), grid, 1)
    assert np.abs(local - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.fixture(scope="module")
def gradient():
    return simulate(shape=(56, 60, 64), seed=4, finest=3.0, coarsest=7.0, axis="y")


def test_gradient_spans_the_particle_along_its_axis(gradient):
    inside = gradient.mask.data > 0.5
    values = gradient.truth.data
    assert values[inside].min() == pytest.approx(3.0) and values[inside].max() == pytest.approx(7.0)
    assert np.ptp(values, axis=(0, 2)).max() == 0.0
    assert np.all(np.diff(values[0, :, 0]) >= 0)


def test_halves_share_the_signal_and_not_the_noise(gradient):
    grid = gradient.halves.grid
    noise = [half.data - gradient.clean.data for half in (gradient.halves.half1, gradient.halves.half2)]
    sums = shell_sums(rfft(noise[0], 1), rfft(noise[1], 1), grid)
    fsc = sums.cross / np.sqrt(sums.power1 * sums.power2)
    assert np.abs(fsc[5:] * np.sqrt(sums.count[5:] / 2)).max() < 4.5
    density = density_from_model(gradient.structure, grid)
    frequency, power = radial_power(density.data, grid, 1)
    shell = int(np.argmin(np.abs(frequency - 1 / 3.0)))
    signal = power[shell - 2 : shell + 3].mean()
    assert signal / (np.var(noise[0]) * grid.size) == pytest.approx(4.0, rel=0.03)


def test_snr_truth_is_where_signal_equals_noise_and_near_the_planted_cut(gradient):
    inside = gradient.mask.data > 0.5
    ratio = gradient.truth_snr.data[inside] / gradient.truth.data[inside]
    assert np.all(ratio <= 1.001) and np.median(ratio) > 0.85


def test_snr_truth_counts_the_signal_of_the_mask_not_of_the_box():
    # Half as strong as the noise in the whole box, the signal is stronger than it where it is.
    made = simulate(shape=(64, 64, 64), finest=5.0, snr=0.5, resolution_field="constant")
    inside = made.mask.data > 0.5
    assert 0.5 / inside.mean() > 1.5
    assert 0.85 < np.median(made.truth_snr.data[inside]) / 5.0 < 1.1


def test_seed_decides_the_noise():
    one, same, other = (simulate(shape=(32, 32, 32), finest=4.0, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.halves.half1.data, same.halves.half1.data)
    assert not np.array_equal(one.halves.half1.data, other.halves.half1.data)


@pytest.mark.parametrize("kind", ["radial", "blobs", "two-halves", "constant"])
def test_fields_stay_in_their_range(kind):
    made = simulate(shape=(40, 40, 40), voxel_size=1.5, finest=4.0, coarsest=9.0, resolution_field=kind)
    values = made.truth.data[made.mask.data > 0.5]
    assert values.min() == pytest.approx(4.0, abs=0.4) and values.max() <= 9.0
    if kind == "two-halves":
        assert set(np.unique(values)) == {4.0, 9.0}
    if kind == "constant":
        assert np.ptp(values) == 0


def test_range_finer_than_nyquist_is_refused():
    with pytest.raises(UsageError, match="E_RANGE"):
        simulate(shape=(32, 32, 32), voxel_size=2.0, finest=3.0)


def test_half_maps_of_a_real_map_have_the_noise_of_a_real_background(shared_data):
    target = read_map(shared_data / "maps/EMD-3488_hemoglobin/emd_3488.map")
    source = read_map(shared_data / "maps/EMD-3186/emd_3186.map")
    around = automatic_mask(source)
    mask = automatic_mask(target)
    with pytest.warns(CryoresWarning, match="hardly any noise beyond"):  # EMD-3186 was low-passed
        made = halves_of_map(target, source, around, mask, snr=2.0, seed=9)
    frequency, power = radial_power(made.halves.noise().data, target.grid, 1)
    s, amplitude = background_amplitude(source, around)
    ratio = np.sqrt(power / target.grid.size) / np.interp(frequency, s[1:], amplitude[1:])
    assert np.std(ratio[6:]) / np.mean(ratio[6:]) < 0.08
    noise = made.halves.half1.data - target.data
    assert np.var(target.data[mask.data > 0.5]) / np.var(noise) == pytest.approx(2.0, rel=0.1)
    other = made.halves.half2.data - target.data
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.1


def test_density_of_the_stored_model_agrees_with_the_stored_clean_map(shared_data):
    clean = read_map(shared_data / "simulated/haemoglobin/clean.mrc.gz")
    density = density_from_model(shared_data / "simulated/haemoglobin/model.pdb", clean.grid)
    low = [filtered(v.data, low_pass(9.0), clean.grid, 1).ravel() for v in (clean, density)]
    assert np.corrcoef(*low)[0, 1] > 0.95
