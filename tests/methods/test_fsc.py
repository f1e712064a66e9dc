"""The global FSC: planted resolutions, what mask and random phases do, symmetry, tables, and what it refuses."""

import csv
import io

import numpy as np
import pytest

from cryores.atoms import density_from_model
from cryores.curves import read_curve
from cryores.errors import CryoresWarning, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered, frequency_axes, irfft, rfft, shell_width
from cryores.mapio import read_half_maps, write_map
from cryores.masks import independent_share, soft_edge, solvent_level, sphere
from cryores.method import Inputs
from cryores.report import figures, views
from cryores.resolution.fsc import METHOD, correlation, fsc
from cryores.shell_correlation import CRITERIA, bit_threshold
from cryores.volume import Grid, HalfMaps, Volume

LIMIT = 6.0
SHAPE = (48, 54, 45)
VOXEL_SIZE = 1.5

OF_A_TRACE = pytest.mark.filterwarnings(
    "ignore:the model holds C-alpha", "ignore:map and model are compared", "ignore:every B-factor"
)


def halves_of(limit=LIMIT, shape=SHAPE, noise=0.5, seed=1, radius=22.0):
    """Half maps of a ball (radius in Å) whose texture ends sharply at ``limit`` Å, in white noise."""
    rng = np.random.default_rng(seed)
    grid = Grid.regular(shape, VOXEL_SIZE)
    ball = soft_edge(sphere(grid, radius), 6.0).data
    texture = ball * (rng.standard_normal(shape).astype(np.float32) + 0.5)
    spectrum = rfft(texture, 1)
    sz, sy, sx = frequency_axes(shape, grid.voxel_size)
    spectrum[np.sqrt((sz**2)[:, None, None] + (sy**2)[:, None] + sx**2) > 1 / limit] = 0
    signal = irfft(spectrum, shape, 1)
    signal *= np.float32(1 / signal.std())
    return HalfMaps(
        *(Volume(signal + np.float32(noise) * rng.standard_normal(shape).astype(np.float32), grid) for _ in "12")
    )


@pytest.fixture(scope="module")
def halves():
    return halves_of(noise=0.8)


@pytest.fixture(scope="module")
def mask(halves):
    return soft_edge(sphere(halves.grid, 24.0), 8.0)


@pytest.fixture(scope="module")
def masked_result(halves, mask):
    return fsc(halves, mask)


def in_shells(one, other, grid):
    return abs(1 / one - 1 / other) / shell_width(grid)


# --- resolutions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4.0, 6.0, 9.0])
def test_the_planted_limit_is_found_without_a_mask(limit):
    halves = halves_of(limit, noise=0.1)
    result = fsc(halves)
    assert set(result.resolution) == set(CRITERIA)
    for criterion in ("0.143", "0.5", "half-bit"):
        assert in_shells(result.resolution[criterion], limit, halves.grid) < 1
    assert result.unmasked_resolution == result.resolution
    assert result.masked is None and result.randomised is None
    np.testing.assert_array_equal(result.corrected, result.unmasked)


def test_the_mask_takes_noise_away_and_the_limit_stays(halves, mask, masked_result):
    signal = (masked_result.frequency > 1 / 15) & (masked_result.frequency < 1 / 7)
    assert np.all(masked_result.masked[signal] > masked_result.unmasked[signal])
    # The mask spreads the end of the signal over the width of its own transform.
    assert in_shells(masked_result.resolution["0.143"], LIMIT, halves.grid) < 2.5
    assert masked_result.details["estimate"] == masked_result.resolution["0.143"]
    assert masked_result.criterion.startswith("FSC of the masked half maps, corrected by phase randomisation, at 0.143")
    assert "interpolated" in masked_result.criterion


def test_what_a_hard_mask_leaks_into_noise_is_corrected():
    halves = halves_of(25.0, noise=0.3)
    with pytest.warns(CryoresWarning, match="soft edge"):
        result = fsc(halves, sphere(halves.grid, 20.0))
    beyond = result.frequency > 1 / result.details["randomised_from"] + 3 * shell_width(halves.grid)
    assert result.masked[beyond].mean() > 0.1, "the mask leaks nothing, so the test says nothing"
    np.testing.assert_allclose(result.randomised[beyond].mean(), result.masked[beyond].mean(), rtol=0.3)
    assert abs(result.corrected[beyond].mean()) < 0.25 * result.masked[beyond].mean()


def test_a_mask_of_nearly_one_changes_nothing(halves):
    weight = np.ones(SHAPE, dtype=np.float32)
    weight[0, 0, 0] = 0.4
    result = fsc(halves, Volume(weight, halves.grid))
    np.testing.assert_allclose(result.masked[1:], result.unmasked[1:], atol=1e-3)
    start = round(1 / result.details["randomised_from"] / shell_width(halves.grid)) + 2
    assert np.all(np.abs(result.randomised[start:]) < 5 / np.sqrt(2 * result.count[start:]))
    np.testing.assert_array_equal(result.corrected[:start], result.masked[:start])


def test_the_correction_is_the_formula_from_two_shells_on(masked_result):
    r = masked_result
    start = round(1 / r.details["randomised_from"] * r.grid.extent[1]) + 2
    np.testing.assert_array_equal(r.corrected[:start], r.masked[:start])
    expected = (r.masked[start:] - r.randomised[start:]) / (1 - r.randomised[start:])
    np.testing.assert_allclose(r.corrected[start:], expected, atol=1e-12)


def test_phases_are_random_from_where_the_unmasked_curve_falls_below_eight_tenths(masked_result):
    below = np.flatnonzero(masked_result.unmasked[1:] < 0.8)[0] + 1
    assert masked_result.details["randomised_from"] == pytest.approx(1 / masked_result.frequency[below])


def test_phases_are_random_from_where_the_user_says(halves, mask):
    result = fsc(halves, mask, randomise_from=10.0)
    shell = int(81.0 / 10.0)
    assert result.details["randomised_from"] == pytest.approx(81.0 / shell)
    np.testing.assert_allclose(result.randomised[1 : shell - 3], result.masked[1 : shell - 3], atol=0.01)
    assert np.all(np.abs(result.randomised[shell + 4 :]) < 0.3)


def test_the_seed_decides_and_threads_do_not(halves, mask, masked_result):
    again = fsc(halves, mask, execution=Execution(threads=1))
    np.testing.assert_allclose(again.corrected, masked_result.corrected, atol=1e-5)
    other = fsc(halves, mask, seed=7)
    assert np.abs(other.randomised - masked_result.randomised).max() > 1e-3
    np.testing.assert_array_equal(other.masked, masked_result.masked)
    assert (other.details["seed"], masked_result.details["seed"]) == (7, 0)


def test_maps_that_agree_to_the_end_reach_nyquist():
    halves = halves_of(2 * VOXEL_SIZE, noise=0.01, shape=(32, 32, 32), radius=100.0)
    result = fsc(halves)
    assert result.resolution["0.143"] == pytest.approx(halves.grid.nyquist)
    assert result.reaches_nyquist["0.143"] and result.reaches_nyquist["0.5"]
    assert any("at least the Nyquist" in w for w in result.details["warnings"])
    assert any("independent" in w for w in result.details["warnings"])


def test_maps_with_nothing_in_common_have_no_resolution(halves):
    result = fsc(HalfMaps(halves.half1, halves.half2.like(-halves.half2.data)))
    assert result.resolution["0.143"] is None and not result.reaches_nyquist["0.143"]
    assert any("nothing in common" in w for w in result.details["warnings"])
    assert "rlnFinalResolution" not in result.tables()["fsc.star"]


def test_filtered_halves_are_told_with_the_end_of_the_filter():
    halves = halves_of(30.0, noise=1.0)
    ended = HalfMaps(*(h.like(filtered(h.data, lambda s: s < 0.1, h.grid, 1)) for h in (halves.half1, halves.half2)))
    (told,) = [w for w in fsc(ended).details["warnings"] if "low-pass filtered" in w]
    assert abs(1 / float(told.split("beyond ")[1].split()[0]) - 0.1) < shell_width(halves.grid)
    assert not any("low-pass filtered" in w for w in fsc(halves).details["warnings"])


def test_a_mask_that_makes_the_correlation_is_told():
    halves = halves_of(30.0, noise=1.0)
    with pytest.warns(CryoresWarning, match="soft edge"):
        result = fsc(halves, sphere(halves.grid, 5.0), randomise_from=60.0)
    told = any("random phases still correlate" in w for w in result.details["warnings"])
    at_estimate = np.interp(1 / result.details["estimate"], result.frequency, result.randomised)
    assert told == (at_estimate > 0.1)


def test_halves_masked_before_are_told(halves, mask):
    masked = HalfMaps(*(half.like(half.data * (mask.data > 0.5)) for half in (halves.half1, halves.half2)))
    with pytest.warns(CryoresWarning, match="masked before"):
        fsc(masked)


# --- invariants through the method --------------------------------------------------------------------------------


def changed(halves, change):
    return HalfMaps(*(half.like(change(half.data)) for half in (halves.half1, halves.half2)))


def test_scale_and_offset_change_nothing_under_a_mask_either(halves, mask, masked_result):
    moved = fsc(changed(halves, lambda data: 3 * data + 2), mask)
    np.testing.assert_allclose(moved.masked, masked_result.masked, atol=1e-5)
    np.testing.assert_allclose(moved.corrected[1:], masked_result.corrected[1:], atol=1e-4)


def test_the_order_of_the_axes_changes_nothing_through_files(halves, tmp_path):
    turned = changed_axes(halves, (2, 0, 1))
    for name, volume in (("a", turned.half1), ("b", turned.half2)):
        write_map(tmp_path / f"{name}.mrc", volume)
    back = fsc(read_half_maps(tmp_path / "a.mrc", tmp_path / "b.mrc"))
    np.testing.assert_allclose(back.unmasked, fsc(halves).unmasked, atol=1e-5)


def changed_axes(halves, order):
    grid = Grid.regular(tuple(SHAPE[i] for i in order), VOXEL_SIZE)
    return HalfMaps(*(Volume(half.data.transpose(order), grid) for half in (halves.half1, halves.half2)))


def test_sharpening_leaves_the_resolution(halves):
    sharpened = changed(halves, lambda data: filtered(data, bfactor(-60.0), halves.grid, 1))
    for criterion, value in fsc(halves).resolution.items():
        assert in_shells(fsc(sharpened).resolution[criterion], value, halves.grid) < 0.1


def test_swapping_the_halves_changes_nothing(halves):
    swapped = fsc(HalfMaps(halves.half2, halves.half1))
    np.testing.assert_allclose(swapped.unmasked, fsc(halves).unmasked, atol=1e-12)
    np.testing.assert_allclose(swapped.phase_residual, fsc(halves).phase_residual, atol=1e-4)


# --- parameters ---------------------------------------------------------------------------------------------------


def test_the_cutoff_is_reported_first_and_the_crossing_rule_is_said(halves):
    result = fsc(halves, cutoff=0.3, crossing="shell")
    assert result.details["estimate"] == result.resolution["0.3"]
    assert result.criterion == (
        "FSC of the half maps without a mask, which noise around the particle lowers, at 0.3, "
        "at the last shell before the first value below it"
    )
    shells = 1 / np.array([result.resolution[c] for c in CRITERIA]) / shell_width(halves.grid)
    np.testing.assert_allclose(shells, np.rint(shells), atol=1e-6)
    assert list(result.resolution) == [*CRITERIA, "0.3"]


def test_symmetry_raises_the_information_thresholds(halves):
    plain, symmetric = fsc(halves), fsc(halves, symmetry="D4")
    np.testing.assert_allclose(symmetric.count[5:], plain.count[5:] / 8)
    assert symmetric.resolution["half-bit"] >= plain.resolution["half-bit"]
    assert symmetric.resolution["0.5"] == plain.resolution["0.5"]


def test_the_half_bit_curve_is_taken_at_the_independent_coefficients(halves):
    result = fsc(halves)
    crossing = np.interp(
        1 / result.resolution["half-bit"], result.frequency, result.unmasked - bit_threshold(0.5, result.count)
    )
    assert crossing == pytest.approx(0, abs=1e-9)


def test_the_stored_half_counted_once_changes_little(halves):
    plain, stored = fsc(halves), fsc(halves, compat="relion")
    difference = np.abs(stored.unmasked - plain.unmasked)[3:]
    assert 1e-5 < difference.max() < 0.1
    np.testing.assert_allclose(stored.count[5:] / plain.count[5:], 1.0, atol=0.25)


def test_the_particle_fraction_adds_the_solvent_corrected_curve(halves):
    result = fsc(halves, particle_fraction=0.119)
    np.testing.assert_allclose(result.particle, 4 * result.unmasked / (1 + 3 * result.unmasked))
    assert "rlnFourierShellCorrelationParticleMaskFraction" in result.tables()["fsc.star"]


@pytest.mark.parametrize(
    "values",
    [
        {"cutoff": 1.0},
        {"cutoff": -0.1},
        {"crossing": "middle"},
        {"seed": -1},
        {"symmetry": "X"},
        {"compat": "bsoft"},
        {"box": 3},
    ],
)
def test_what_means_nothing_is_refused(halves, values):
    with pytest.raises(UsageError):
        fsc(halves, **values)


def test_one_map_without_a_model_is_refused(halves):
    with pytest.raises(UsageError) as raised:
        fsc(halves.half1)
    assert raised.value.code == "E_NO_HALVES"


# --- pieces -------------------------------------------------------------------------------------------------------


def test_the_solvent_level_is_the_mean_outside(halves):
    weight = sphere(halves.grid, 15.0, 6.0).data
    data = 5 + 3 * weight
    expected = np.average(data, weights=1 - weight)
    assert solvent_level(data.astype(np.float32), weight) == pytest.approx(expected, rel=1e-5)
    assert solvent_level(data, np.ones_like(weight)) == 0.0


def test_the_independent_share_of_a_binary_mask_is_what_it_fills():
    weight = np.zeros((10, 10, 10), dtype=np.float32)
    weight[:2] = 1
    assert independent_share(weight) == pytest.approx(0.2)
    assert independent_share(np.ones_like(weight)) == pytest.approx(1.0)


def test_correlation_is_pearsons():
    a, b = np.random.default_rng(0).standard_normal((2, 500)).astype(np.float32)
    assert correlation(a, a + b) == pytest.approx(np.corrcoef(a, a + b)[0, 1], abs=1e-6)
    assert correlation(a, np.ones_like(a)) == 0.0


# --- output -------------------------------------------------------------------------------------------------------


def test_the_tables_hold_the_curves(masked_result, tmp_path):
    tables = masked_result.tables()
    assert set(tables) == set(METHOD.outputs) == {"fsc.star", "fsc.xml", "fsc.csv"}
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    for name in ("fsc.star", "fsc.xml"):
        curve = read_curve(tmp_path / name)
        np.testing.assert_allclose(curve.frequency, masked_result.frequency, atol=1e-6)
        np.testing.assert_allclose(curve.values, masked_result.corrected, atol=1e-6)
    randomised = read_curve(tmp_path / "fsc.star", "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps")
    np.testing.assert_allclose(randomised.values, masked_result.randomised, atol=1e-6)
    rows = list(csv.DictReader(io.StringIO(tables["fsc.csv"])))
    assert len(rows) == len(masked_result.frequency)
    assert float(rows[4]["masked"]) == pytest.approx(masked_result.masked[4], abs=1e-6)
    assert float(rows[4]["ssnr"]) == pytest.approx(
        2 * masked_result.corrected[4] / (1 - masked_result.corrected[4]), rel=1e-4
    )


def test_the_summary_has_every_resolution_as_a_number(masked_result):
    summary = masked_result.summary()
    for key in ("resolution", "unmasked_resolution", "masked_resolution"):
        assert set(summary[key]) == set(CRITERIA)
        assert all(isinstance(value, float) for value in summary[key].values())
    assert summary["nyquist"] == pytest.approx(2 * VOXEL_SIZE)
    assert "model_resolution" not in summary


def test_every_stage_is_timed_and_the_memory_is_planned(halves, mask):
    execution = Execution(threads=2)
    fsc(halves, mask, execution=execution)
    assert {"FSC of the half maps", "FSC under the mask", "FSC under the mask with random phases"} < set(
        execution.timings
    )
    inputs, parameters = Inputs(halves, mask=mask), METHOD.make_parameters({})
    assert METHOD.memory(inputs, parameters, 2) > 4 * halves.grid.size
    assert execution.planned_bytes == METHOD.needed(inputs, parameters, 2)


# --- map and model ------------------------------------------------------------------------------------------------

PDB_ATOM = "ATOM  {n:5d}  CA  ALA A{n:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C"


@pytest.fixture(scope="module")
def model_and_map(tmp_path_factory):
    """A model of atoms strewn in a ball, and its density low-passed to 5 Å in weak noise."""
    rng = np.random.default_rng(4)
    grid = Grid.regular((40, 44, 42), 1.5)
    centre = np.array([n // 2 * 1.5 for n in grid.shape])
    places = centre + rng.uniform(-14, 14, (600, 3))
    places = places[np.linalg.norm(places - centre, axis=1) < 14]
    path = tmp_path_factory.mktemp("model") / "model.pdb"
    lines = [PDB_ATOM.format(n=n, x=x, y=y, z=z) for n, (z, y, x) in enumerate(places, 1)]
    path.write_text(
        "\n".join(["CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1", *lines, "END", ""])
    )
    density = density_from_model(path, grid, resolution=grid.nyquist)
    spectrum = rfft(density.data, 1)
    sz, sy, sx = frequency_axes(grid.shape, grid.voxel_size)
    spectrum[np.sqrt((sz**2)[:, None, None] + (sy**2)[:, None] + sx**2) > 1 / 5.0] = 0
    data = irfft(spectrum, grid.shape, 1)
    noise = np.float32(0.05 * data.std())
    halves = HalfMaps(*(Volume(data + noise * rng.standard_normal(grid.shape).astype(np.float32), grid) for _ in "12"))
    return str(path), halves


@OF_A_TRACE
def test_the_map_follows_the_model_up_to_its_limit(model_and_map):
    path, halves = model_and_map
    result = fsc(halves, model=path)
    for criterion in ("0.5", "0.143"):
        assert in_shells(result.model_resolution[criterion], 5.0, halves.grid) < 1.5
    assert result.details["model_cc_box"] > 0.95
    assert "cryoresMapModelFsc" in result.tables()["fsc.star"]
    assert result.summary()["model_resolution"] == result.model_resolution


@OF_A_TRACE
def test_one_map_is_measured_against_a_model(model_and_map, tmp_path):
    path, halves = model_and_map
    result = fsc(halves.mean(), soft_edge(sphere(halves.grid, 20.0), 6.0), model=path)
    assert result.corrected is None and result.resolution == {}
    assert in_shells(result.model_resolution["0.5"], 5.0, halves.grid) < 2.5
    assert result.details["model_cc_mask"] > 0.95
    (tmp_path / "fsc.xml").write_text(result.tables()["fsc.xml"])
    np.testing.assert_allclose(read_curve(tmp_path / "fsc.xml").values, result.model, atol=1e-6)
    assert result.criterion.startswith("FSC of the map and the density of the model at 0.5 and 0.143")


@OF_A_TRACE
def test_a_model_beside_the_map_does_not_correlate(model_and_map):
    path, halves = model_and_map
    away = halves.mean().like(np.roll(halves.mean().data, 20, axis=0))
    result = fsc(away, model=path)
    assert result.details["model_cc_box"] < 0.1
    assert result.model_resolution["0.5"] is None or result.model_resolution["0.5"] > 20.0


def test_noise_has_no_resolution_at_a_false_discovery_rate():
    grid, rng = Grid.regular((24, 24, 24), 1.0), np.random.default_rng(0)
    found = []
    for _ in range(200):
        pair = HalfMaps(*(Volume(rng.standard_normal(grid.shape, dtype=np.float32), grid) for _ in "12"))
        found.append(fsc(pair, false_discovery_rate=0.01).resolution["fdr"])
    assert np.mean([value is not None for value in found]) <= 0.01


def test_the_false_discovery_rate_finds_the_planted_limit(halves, mask, masked_result):
    tested = fsc(halves, mask, false_discovery_rate=0.01)
    assert in_shells(tested.unmasked_resolution["fdr"], LIMIT, halves.grid) < 2
    assert in_shells(tested.resolution["fdr"], LIMIT, halves.grid) < 2
    assert {name: value for name, value in tested.resolution.items() if name != "fdr"} == masked_result.resolution
    assert "fdr" not in masked_result.resolution
    nearest = np.argmin(np.abs(tested.frequency - 1 / tested.resolution["fdr"]))
    around = slice(nearest - 1, nearest + 2)
    assert np.any(tested.corrected[around] > tested.fdr[around]) and np.any(
        tested.corrected[around] < tested.fdr[around]
    )
    line = figures.fsc_figure(tested).axes[0].get_lines()
    assert any(np.array_equal(drawn.get_ydata(), tested.fdr) for drawn in line)
    mark = next(mark for mark in views.fsc_marks(tested) if mark.label.endswith("by FDR"))
    assert mark.frequency == pytest.approx(1 / tested.resolution["fdr"])
    assert tested.fdr[around].min() <= mark.threshold <= tested.fdr[around].max()
    assert masked_result.fdr is None and all("FDR" not in mark.label for mark in views.fsc_marks(masked_result))
    symmetric = fsc(halves, mask, false_discovery_rate=0.01, symmetry="O")
    assert symmetric.resolution["fdr"] >= tested.resolution["fdr"]
    stricter = fsc(halves, mask, false_discovery_rate=1e-5)
    assert stricter.resolution["fdr"] >= tested.resolution["fdr"]
    filtered_halves = HalfMaps(
        *(half.like(filtered(half.data, bfactor(-80.0), half.grid, 1)) for half in (halves.half1, halves.half2))
    )
    sharpened = fsc(filtered_halves, false_discovery_rate=0.01)
    assert sharpened.resolution["fdr"] == pytest.approx(tested.unmasked_resolution["fdr"], rel=1e-3)
