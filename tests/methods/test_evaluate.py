"""Evaluation of a map: Q-score, correlations and the half-map test against plain computations and planted truths."""

import csv
import json
import re
import shutil
import tracemalloc

import gemmi
import jsonschema
import numpy as np
import pytest

import cryores.report
from cryores.atoms import density_from_model, heavy_atoms, helix_bundle, read_model, with_b_factors
from cryores.cli import main
from cryores.errors import CryoresWarning, InputError
from cryores.execution import Execution
from cryores.filters import bfactor, low_pass
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.masks import soft_edge, sphere
from cryores.method import Inputs
from cryores.postprocessing import _qscore, evaluate
from cryores.postprocessing._half_map_test import half_map_test, levelled
from cryores.postprocessing._real_space import ResidueVoxels, around_atoms, correlations, highest
from cryores.postprocessing.evaluate import METHOD
from cryores.volume import Grid, HalfMaps, Volume

SHAPE = (44, 46, 48)
GRID = Grid(SHAPE, tuple(1.2 * n for n in SHAPE), SHAPE, (40.0, 3.25, -11.5), (12, 7, -5), (3, 1, 2))
CENTRE = tuple(o + 0.6 * n for o, n in zip(GRID.origin, SHAPE))
STRUCTURE = helix_bundle(14.0, CENTRE, seed=3)
ATOMS = heavy_atoms(STRUCTURE)
CLEAN = density_from_model(STRUCTURE, GRID, 3.0)
CLEAN = CLEAN.like(CLEAN.data / CLEAN.data.std())


def noise(seed, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(SHAPE)).astype(np.float32)


HALVES = HalfMaps(*(CLEAN.like(CLEAN.data + noise(seed)) for seed in (1, 2)))
PROCESSED = CLEAN.like(filtered(HALVES.mean().data, low_pass(3.0, 0.05), GRID, 1))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.cif"
    path.write_text(STRUCTURE.make_mmcif_document().as_string())
    return str(path)


@pytest.fixture(scope="module")
def result(model):
    half1 = CLEAN.like(filtered(HALVES.half1.data, low_pass(3.0, 0.05), GRID, 1))
    return evaluate(PROCESSED, model, raw_halves=HALVES, processed_half1=half1)


# --- Q-score ------------------------------------------------------------------------------------------------------


def one_atom(sigma, centre=(9.13, 9.42, 8.87), voxel=0.3):
    grid = Grid.regular((60, 62, 58), voxel)
    z, y, x = (np.arange(n) * voxel - c for n, c in zip(grid.shape, centre))
    r2 = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    return Volume(np.exp(-0.5 * r2 / sigma**2), grid), np.array([centre])


def test_the_reference_itself_scores_one_and_its_negative_minus_one():
    volume, position = one_atom(0.6)
    assert _qscore.q_scores(volume, position, 0.6)[0] == pytest.approx(1.0, abs=0.003)
    assert _qscore.q_scores(volume.like(-volume.data), position, 0.6)[0] == pytest.approx(-1.0, abs=0.003)


def test_a_wider_atom_scores_what_its_profile_correlates_with_the_reference():
    volume, position = one_atom(1.1)
    r = np.repeat(np.arange(21) * 0.1, 8)
    wanted = np.corrcoef(np.exp(-0.5 * (r / 1.1) ** 2), np.exp(-0.5 * (r / 0.6) ** 2))[0, 1]
    assert _qscore.q_scores(volume, position, 0.6)[0] == pytest.approx(wanted, abs=0.003)


def test_scale_offset_and_frame_change_no_score():
    scores = _qscore.q_scores(PROCESSED, ATOMS.positions, 0.6)
    again = _qscore.q_scores(PROCESSED.like(7.0 + 250.0 * PROCESSED.data), ATOMS.positions, 0.6)
    moved = Volume(PROCESSED.data, Grid(SHAPE, GRID.cell, SHAPE, (1.0, 2.0, 3.0)))
    there = _qscore.q_scores(moved, ATOMS.positions - GRID.origin + np.array([1.0, 2.0, 3.0]), 0.6)
    np.testing.assert_allclose(again, scores, atol=1e-4)
    np.testing.assert_allclose(there, scores, atol=1e-4)
    assert np.isfinite(scores).all() and scores.mean() > 0.5


def test_the_kernel_gives_what_the_definition_in_plain_python_gives():
    chosen = np.arange(0, len(ATOMS.names), 23)
    scores = _qscore.q_scores(PROCESSED, ATOMS.positions, 0.6)[chosen]
    np.testing.assert_allclose(scores, [plain_q(PROCESSED, ATOMS.positions, atom) for atom in chosen], atol=1e-6)


def plain_q(volume, positions, atom, sigma=0.6):
    from scipy.ndimage import map_coordinates

    others = np.delete(positions, atom, axis=0)
    points, distances = [positions[atom]] * 8, [0.0] * 8
    for radius in np.arange(1, 21) * 0.1:
        for count in range(8, 108, 2):
            around = positions[atom] + radius * _qscore.even_directions(count)
            free = around[(np.linalg.norm(around[:, None] - others[None], axis=-1) >= 0.9 * radius).all(axis=1)]
            if len(free) >= 8:
                break
        points.extend(free)
        distances.extend([radius] * len(free))
    index = (np.array(points) - volume.grid.first_voxel) / volume.grid.voxel_size
    values = map_coordinates(volume.data.astype(float), index.T, order=1)
    return np.corrcoef(values, np.exp(-0.5 * (np.array(distances) / sigma) ** 2))[0, 1]


@pytest.mark.parametrize("count", [8, 30, 106])
def test_directions_are_unit_vectors_spread_over_the_sphere(count):
    directions = _qscore.even_directions(count)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-12)
    assert np.abs(directions.mean(axis=0)).max() < 0.6 / np.sqrt(count)
    nearest = np.sort(np.linalg.norm(directions[:, None] - directions[None], axis=-1), axis=1)[:, 1]
    assert nearest.min() > 2.0 / np.sqrt(count)


def test_an_atom_in_flat_density_scores_zero_and_one_at_the_border_has_no_score():
    flat = Volume(np.full((20, 20, 20), 3.0), Grid.regular((20, 20, 20), 1.0))
    scores = _qscore.q_scores(flat, np.array([[10.0, 10.0, 10.0], [1.5, 10.0, 10.0], [10.0, 40.0, 10.0]]), 0.6)
    assert scores[0] == 0 and np.isnan(scores[1:]).all()


def test_scores_fall_with_resolution():
    means = [
        _qscore.q_scores(CLEAN.like(filtered(CLEAN.data, low_pass(d, 0.02), GRID, 1)), ATOMS.positions, 0.6).mean()
        for d in (3.0, 4.0, 6.0, 9.0)
    ]
    assert means == sorted(means, reverse=True) and means[0] > 0.6 > 0.3 > means[-1]


# --- real space ---------------------------------------------------------------------------------------------------


def distances():
    axes = [o + v * np.arange(n) for o, v, n in zip(GRID.first_voxel, GRID.voxel_size, SHAPE)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.linalg.norm(places[:, None] - ATOMS.positions[None, ::5], axis=-1)


def test_the_mask_holds_what_is_near_an_atom():
    near = (distances() <= 3.0).any(axis=1).reshape(SHAPE)
    np.testing.assert_array_equal(around_atoms(ATOMS.positions[::5], GRID, 3.0), near)


def test_a_residues_values_are_those_of_the_voxels_around_its_atoms():
    voxels = ResidueVoxels(ATOMS, GRID)
    cc, mean = voxels.correlation(PROCESSED, CLEAN), voxels.mean(PROCESSED)
    for residue in (0, 17, len(ATOMS.chains) - 1):
        near = around_atoms(ATOMS.positions[ATOMS.residue == residue], GRID, 2.0)
        assert cc[residue] == pytest.approx(np.corrcoef(PROCESSED.data[near], CLEAN.data[near])[0, 1], abs=1e-6)
        assert mean[residue] == pytest.approx(PROCESSED.data[near].mean(), rel=1e-5)


def test_a_residue_without_a_value_has_none():
    gaps = CLEAN.like(np.where(around_atoms(ATOMS.positions[ATOMS.residue == 5], GRID, 2.0), np.nan, CLEAN.data))
    assert np.isnan(ResidueVoxels(ATOMS, GRID).mean(gaps)[5])
    assert np.isnan(ResidueVoxels(ATOMS, GRID).correlation(CLEAN.like(np.ones(SHAPE)), CLEAN)).all()


def test_correlations_are_over_the_box_the_mask_and_the_peaks():
    inside = around_atoms(ATOMS.positions, GRID, 2.0)
    a, b = PROCESSED.data, CLEAN.data
    count = inside.sum()
    peaks = (a >= np.sort(a.ravel())[-count]) | (b >= np.sort(b.ravel())[-count])
    wanted = [np.corrcoef(a[w], b[w])[0, 1] for w in (np.ones(SHAPE, bool), inside, peaks)]
    assert correlations(a, b, inside) == pytest.approx(wanted, abs=1e-6)
    assert correlations(3 * b + 1, b, inside) == pytest.approx((1, 1, 1), abs=1e-6)
    assert highest(b, count).sum() == count


# --- half maps ----------------------------------------------------------------------------------------------------

MASK = soft_edge(sphere(GRID, 18.0), 7.2).data


def masked_correlation(a, band):
    """Correlation of ``a`` with the clean map by shell, in the shells of the band."""
    test = half_map_test(HalfMaps(CLEAN, CLEAN.like(a)), CLEAN, MASK, 1)
    return test.raw[band]


def judged(processed):
    return half_map_test(HALVES, levelled(CLEAN.like(processed), HALVES.half1, 1), MASK, 1)


def test_a_radial_filter_is_neither_gain_nor_loss():
    test = judged(filtered(HALVES.half1.data, bfactor(-60.0), GRID, 1))
    assert test.verdict == "neutral" and test.measures("after")["half_new_share"] < 0.02
    assert test.measures("after")["half_fsc_0.143"] == pytest.approx(
        test.measures("before")["half_fsc_0.143"], rel=0.02
    )


def test_a_levelled_map_is_the_raw_one_whatever_filter_it_had():
    raw = HALVES.half1
    back = levelled(raw.like(filtered(raw.data, bfactor(-60.0), GRID, 1)), raw, 1)
    within = low_pass(2.0 * 1.2, 0.0)
    wanted, found = (filtered(v.data, within, GRID, 1) for v in (raw, back))
    np.testing.assert_allclose(found, wanted, atol=0.05 * raw.data.std())
    cut = levelled(raw.like(filtered(raw.data, low_pass(6.0), GRID, 1)), raw, 1)
    assert filtered(cut.data, lambda s: 1.0 * (s > 1 / 5.0), GRID, 1).std() < 1e-4


def test_the_correlation_with_the_truth_is_found_without_it():
    denoised = 0.3 * HALVES.half1.data + 0.7 * CLEAN.data
    test = judged(denoised)
    np.testing.assert_allclose(test.signal_before, masked_correlation(HALVES.half1.data, test.band), atol=0.06)
    np.testing.assert_allclose(test.signal_after, masked_correlation(denoised, test.band), atol=0.06)
    assert np.mean(test.signal_after - masked_correlation(denoised, test.band)) == pytest.approx(0, abs=0.02)


def test_signal_that_was_found_is_a_gain():
    test = judged(0.3 * HALVES.half1.data + 0.7 * CLEAN.data)
    assert test.verdict == "gain" and test.new_signal > 0.2 and not test.has_seen_half2
    assert test.measures("after")["half_fsc_0.143"] < test.measures("before")["half_fsc_0.143"]


def test_a_low_pass_takes_signal_away_and_invents_nothing():
    test = judged(filtered(HALVES.half1.data, low_pass(5.0, 0.02), GRID, 1))
    after, before = test.measures("after"), test.measures("before")
    assert test.verdict == "neutral" and after["half_new_share"] < 0.03
    assert before["half_fsc_0.5"] < 3.0 and after["half_fsc_0.5"] == pytest.approx(4.7, abs=0.3)


@pytest.mark.parametrize("depth", [0.0, 1e-3])
def test_a_high_pass_is_no_loss_and_its_curves_have_a_resolution(depth):
    high = filtered(HALVES.half1.data, lambda s: np.where(s < 1 / 14.0, depth, 1.0), GRID, 1)
    test = judged(high)
    assert test.verdict == "neutral"
    wanted = test.measures("before")["half_fsc_0.143"]
    assert test.measures("after")["half_fsc_0.143"] == pytest.approx(wanted, rel=0.02)


def test_what_is_invented_is_a_loss_and_agrees_with_nothing():
    invented = density_from_model(helix_bundle(14.0, CENTRE, seed=11), GRID, 3.0).data
    test = judged(HALVES.half1.data + invented / invented.std())
    assert test.verdict == "loss" and test.measures("after")["half_new_share"] > 0.2
    assert abs(test.new_signal) < 0.2


def test_half_maps_without_anything_in_common_test_nothing():
    unrelated = HalfMaps(CLEAN.like(noise(5)), CLEAN.like(noise(6)))
    test = half_map_test(unrelated, CLEAN, np.ones(SHAPE, np.float32), 1)
    assert test.verdict == "unknown" and set(test.measures("after")) == {"half_fsc_0.5", "half_fsc_0.143"}


def test_a_half_that_has_seen_the_other_is_told_of(model):
    found = evaluate(PROCESSED, model, raw_halves=HALVES, processed_half1=HALVES.mean())
    assert any("it has seen half 2" in line for line in found.details["warnings"])


# --- all of it ----------------------------------------------------------------------------------------------------


def test_the_model_of_a_clean_map_is_perfect(model):
    found = evaluate(CLEAN, model, resolution=3.0)
    rows = found.measures()
    assert rows["cc_mask"]["after"] == pytest.approx(1.0, abs=1e-4) and rows["cc_box"]["before"] is None
    assert rows["residue_cc"]["after"] == pytest.approx(1.0, abs=1e-3)
    assert 2.6 < rows["model_fsc_0.5"]["after"] < 3.0  # the low-pass at 3 Å has an edge of two shells
    assert not any(name.startswith("half") for name in rows) and list(found.maps) == ["after"]


def test_noise_lowers_every_measure_of_a_map(result, model):
    rows = result.measures()
    for name in ("cc_box", "cc_mask", "cc_peaks", "residue_cc", "q_score"):
        assert rows[name]["before"] < rows[name]["after"] < 1, name
    assert rows["local_resolution"]["after"] == pytest.approx(rows["local_resolution"]["before"], abs=0.3)
    assert result.details["resolution"] == pytest.approx(rows["half_fsc_0.143"]["before"], rel=1e-6)


def test_a_residues_score_is_the_mean_of_its_atoms(result):
    for residue in (0, 20):
        wanted = result.q["after"][ATOMS.residue == residue].mean()
        assert result.residue_q("after")[residue] == pytest.approx(wanted)


def test_a_given_map_before_goes_before_that_of_the_halves(model):
    found = evaluate(PROCESSED, model, before=CLEAN, raw_halves=HALVES)
    assert found.maps["before"] is CLEAN and found.half_map_test is None


def test_voxels_larger_than_the_mask_are_judged_too(model):
    grid = Grid.regular((12, 12, 12), 4.8)
    coarse = density_from_model(STRUCTURE, Grid(grid.shape, grid.cell, grid.shape, GRID.origin))
    found = evaluate(coarse, model, mask_radius=1.0)
    assert found.inside.sum() > 50 and found.measures()["cc_mask"]["after"] > 0.9


def test_inverted_density_is_told_of(model):
    found = evaluate(PROCESSED.like(-PROCESSED.data), model, resolution=4.0)
    assert any("the density positive?" in line for line in found.details["warnings"])


def test_a_model_seen_beyond_the_data_is_told_of(model):
    blurred = CLEAN.like(filtered(CLEAN.data, low_pass(5.0, 0.05), GRID, 1))
    peaked = blurred.like(np.maximum(blurred.data, 0) ** 2)
    found = evaluate(peaked, model, before=blurred.like(blurred.data + noise(4, 0.1)), resolution=4.0)
    rows = found.measures()["masked_model_fsc_0.143"]
    assert rows["after"] < 0.9 * rows["before"]
    assert any("holds no new data" in line for line in found.details["warnings"])


def test_a_map_in_another_place_is_told_of(model):
    moved = Volume(HALVES.mean().data, Grid(SHAPE, GRID.cell, SHAPE))
    with pytest.warns(CryoresWarning, match="the map before has another origin than the map"):
        found = evaluate(PROCESSED, model, before=moved)
    assert found.measures()["cc_mask"]["before"] > 0.3


def test_the_planned_memory_is_what_is_needed(model):
    given = {"raw_half1": HALVES.half1, "raw_half2": HALVES.half2, "processed_half1": HALVES.mean()}
    inputs, parameters = Inputs(PROCESSED, model=model, **given), METHOD.make_parameters({})
    METHOD.compute(inputs, parameters, Execution(threads=1))
    tracemalloc.start()
    METHOD.compute(inputs, parameters, Execution(threads=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    planned = METHOD.memory(inputs, parameters, 1)
    assert 0.2 * planned < peak < planned


# --- the model ----------------------------------------------------------------------------------------------------


def test_hydrogens_and_second_conformers_are_left_out(tmp_path):
    lines = [
        "ATOM      1  N   SER A  12A     10.000  11.000  12.000  1.00 20.00           N",
        "ATOM      2  H   SER A  12A     10.500  11.000  12.000  1.00 20.00           H",
        "ATOM      3  CB ASER A  12A     13.000  11.000  12.000  0.60 30.00           C",
        "ATOM      4  CB BSER A  12A     14.000  11.000  12.000  0.40 30.00           C",
        "HETATM    5  O   HOH B   3      20.000  21.000  22.000  1.00 40.00           O",
        "END",
    ]
    path = tmp_path / "model.pdb"
    path.write_text("\n".join(lines) + "\n")
    atoms = heavy_atoms(read_model(path))
    assert atoms.names == ("N", "CB", "O") and atoms.elements == ("N", "C", "O")
    np.testing.assert_array_equal(atoms.positions, [[12, 11, 10], [12, 11, 13], [22, 21, 20]])
    assert (atoms.chains, atoms.numbers, atoms.residue_names) == (("A", "B"), ("12A", "3"), ("SER", "HOH"))
    assert atoms.residue.tolist() == [0, 0, 1] and atoms.b_factors.tolist() == [20, 30, 40]


def test_scores_are_written_in_place_of_b_factors(tmp_path):
    values = np.linspace(-0.2, 0.9, len(ATOMS.names))
    values[3] = np.nan
    path = tmp_path / "scored.cif"
    path.write_text(with_b_factors(ATOMS, values))
    again = heavy_atoms(read_model(path))
    np.testing.assert_allclose(again.b_factors, np.nan_to_num(values), atol=1e-5)
    np.testing.assert_allclose(again.positions, ATOMS.positions, atol=1e-3)
    assert again.chains == ATOMS.chains and np.all(ATOMS.b_factors == 20)


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("maps")
    saved = {
        "map": PROCESSED,
        "before": HALVES.mean(),
        "half1": HALVES.half1,
        "half2": HALVES.half2,
        "processed": CLEAN.like(filtered(HALVES.half1.data, low_pass(3.0, 0.05), GRID, 1)),
        "constant": CLEAN.like(np.ones(SHAPE)),
        "small": Volume(CLEAN.data[:30], Grid.regular((30, *SHAPE[1:]), 1.2)),
    }
    for name, volume in saved.items():
        write_map(folder / f"{name}.mrc", volume)
    shutil.copy(model, folder / "model.cif")
    structure = read_model(model)
    for name, change in (("away", lambda p: gemmi.Position(p.x + 500, p.y, p.z)), ("half_out", half_out)):
        changed = structure.clone()
        for site in changed[0].all():
            site.atom.pos = change(site.atom.pos)
        (folder / f"{name}.cif").write_text(changed.make_mmcif_document().as_string())
    hydrogens = structure.clone()
    for site in hydrogens[0].all():
        site.atom.element = gemmi.Element("H")
    (folder / "hydrogens.cif").write_text(hydrogens.make_mmcif_document().as_string())
    lines = [line for line in structure.make_minimal_pdb().splitlines() if line.startswith("ATOM")]
    twice = [line for n in (1, 2) for line in (f"MODEL        {n}", *lines, "ENDMDL")]
    (folder / "two_models.pdb").write_text("\n".join([*twice, "END"]) + "\n")
    (folder / "text.pdb").write_text("REMARK no atom is in here\n")
    return folder


def half_out(position):
    return gemmi.Position(position.x, position.y, position.z + 0.6 * SHAPE[0])


def words(folder, **files):
    given = [word for role, name in files.items() for word in (f"--{role.replace('_', '-')}", str(folder / name))]
    return ["evaluate", *given, "--quiet"]


FULL = {
    "map": "map.mrc", "model": "model.cif", "before": "before.mrc", "raw_half1": "half1.mrc", "raw_half2": "half2.mrc",
    "processed_half1": "processed.mrc",
}  # fmt: skip


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "out"
    assert main([*words(folder, **FULL), "--out", str(out)]) == 0
    return out


def test_the_tables_and_the_report_say_the_same(done, result):
    report = json.loads((done / "report.json").read_text())
    jsonschema.validate(report, json.loads(cryores.report.record.SCHEMA.read_text()))
    rows = {row["measure"]: row for row in csv.DictReader((done / "evaluation.csv").read_text().splitlines())}
    assert list(rows) == list(report["summary"]["measures"]) == list(result.measures())
    for name, row in result.measures().items():
        for side, value in row.items():
            assert (
                rows[name][side] == "" if value is None else float(rows[name][side]) == pytest.approx(value, abs=2e-5)
            )
    residues = list(csv.DictReader((done / "residues.csv").read_text().splitlines()))
    assert len(residues) == len(ATOMS.chains) == report["summary"]["residues"]
    found = [float(row["q_score"]) for row in residues]
    np.testing.assert_allclose(found, result.residue_q("after"), atol=2e-5)
    atoms = list(csv.DictReader((done / "atoms.csv").read_text().splitlines()))
    assert [row["atom"] for row in atoms] == list(ATOMS.names)
    scored = heavy_atoms(read_model(done / "qscores.cif"))
    np.testing.assert_allclose(scored.b_factors, [float(row["q_score"]) for row in atoms], atol=1e-5)
    assert {c["key"] for c in report["citations"]} == set(METHOD.citations)
    assert set(report["inputs"]) == set(FULL) and report["summary"]["half_map_verdict"] == "neutral"


def test_the_maps_lie_on_the_input(done, folder, result):
    grid = read_map(folder / "map.mrc").grid
    assert all(read_map(path).grid == grid for path in done.glob("*.mrc"))
    local, inside = read_map(done / "resolution.mrc").data, read_map(done / "model_mask.mrc").data > 0.5
    assert np.all(local[~inside] == 0) and np.array_equal(inside, result.inside)
    known = np.isfinite(result.local["after"])
    np.testing.assert_allclose(local[inside][known], result.local["after"][known], rtol=1e-4)


def test_every_picture_is_there_and_the_script_opens_what_is_there(done):
    assert (done / "evaluation.png").stat().st_size > 30000
    page = (done / "report.html").read_text()
    assert all(f">{h}<" in page for h in ("Before and after", "Fourier shell correlation", "Along the model"))
    script = (done / "view.cxc").read_text()
    opened = re.findall(r"^open (\S+)", script, re.M)
    assert opened == ["map.mrc", "qscores.cif"] and all((done / name).exists() for name in opened)


def test_threads_change_nothing(done, folder, tmp_path):
    assert main([*words(folder, **FULL), "--threads", "1", "--out", str(tmp_path / "out")]) == 0
    for name in ("atoms.csv", "half_fsc.csv"):
        assert (tmp_path / "out" / name).read_text() == (done / name).read_text()
    one, many = (json.loads((f / "report.json").read_text())["summary"]["measures"] for f in (tmp_path / "out", done))
    for name, row in many.items():
        known = {side: value for side, value in row.items() if value is not None}
        assert {side: one[name][side] for side in known} == pytest.approx(known, rel=1e-5, abs=1e-7)


CASES = {
    "neither model nor halves": ({"map": "map.mrc"}, [], 2, "E_MISSING_INPUT"),
    "a missing model": ({"model": "nothing.pdb"}, [], 3, "E_NO_FILE"),
    "a model without atoms": ({"model": "text.pdb"}, [], 3, "E_MODEL"),
    "hydrogens only": ({"model": "hydrogens.cif"}, [], 3, "E_MODEL"),
    "a model elsewhere": ({"model": "away.cif"}, [], 3, "E_MODEL_OUTSIDE"),
    "before on another grid": ({"before": "small.mrc"}, [], 3, "E_OTHER_GRID"),
    "halves on another grid": ({"raw_half1": "small.mrc", "raw_half2": "half2.mrc"}, [], 3, "E_OTHER_GRID"),
    "a constant map before": ({"before": "constant.mrc"}, [], 3, "E_CONSTANT"),
    "one raw half": ({"raw_half1": "half1.mrc"}, [], 2, "E_HALF_TEST"),
    "no raw halves": ({"processed_half1": "processed.mrc"}, [], 2, "E_HALF_TEST"),
    "identical halves": ({"raw_half1": "half1.mrc", "raw_half2": "half1.mrc"}, [], 3, "E_HALVES_IDENTICAL"),
    "the processed map as half": ({**FULL, "processed_half1": "map.mrc"}, [], 3, "E_SAME_HALF"),
    "a box of no size": ({}, ["--box", "2"], 2, "E_PARAMETER"),
    "a box larger than the map": ({}, ["--box", "60"], 2, "E_BOX"),
    "finer than Nyquist": ({}, ["--resolution", "1.5"], 2, "E_RANGE"),
    "too little memory": ({}, ["--memory", "0.00001"], 4, "E_MEMORY"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_nothing_is_left(case, folder, tmp_path, capsys):
    files, more, status, code = CASES[case]
    given = {"map": "map.mrc", **({} if case == "neither model nor halves" else {"model": "model.cif"}), **files}
    assert main([*words(folder, **given), *more, "--out", str(tmp_path / "out")]) == status
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error {code}: ") and "; hint: " in last
    assert not (tmp_path / "out").exists()


def test_several_models_and_atoms_outside_are_told_of(folder, tmp_path):
    for number, (name, said) in enumerate((("two_models.pdb", "holds 2 models"), ("half_out.cif", "lie outside"))):
        out = tmp_path / str(number)
        assert main([*words(folder, map="map.mrc", model=name), "--resolution", "4", "--out", str(out)]) == 0
        report = json.loads((out / "report.json").read_text())
        assert any(said in line for line in report["warnings"])
        missing = report["summary"]["atoms_without_q_score"]
        assert (missing > 50) == (name == "half_out.cif") and report["summary"]["atoms"] == len(ATOMS.names)


def test_a_model_in_no_place_of_the_map_is_an_error_in_python(folder):
    with pytest.raises(InputError, match="no atom of the model lies inside the map"):
        evaluate(PROCESSED, str(folder / "away.cif"))
