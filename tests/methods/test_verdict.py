"""The verdict on sharpening: its arithmetic with known answers, its invariants, and every kind of bad input."""

import csv
import json

import jsonschema
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import cryores.report
from cryores.atoms import helix_bundle
from cryores.cli import main
from cryores.errors import CryoresError, CryoresWarning
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.masks import erode
from cryores.method import Inputs
from cryores.postprocessing._sharpening import (
    BALANCED,
    OVER,
    UNDER,
    Judgement,
    Supported,
    best,
    judgement,
    past_the_turn,
)
from cryores.simulation import simulate
from cryores.volume import HalfMaps, Volume

MONORES = np.random.default_rng(0).gamma(4.0, 0.4, 4000) + 3.0
SUPPORTED = Supported(MONORES)
P20, MEDIAN = np.percentile(MONORES, (20, 50))


def with_median(median, name="a", b=None):
    return Judgement(name, b, BALANCED, median, median - 1, median - 0.5, median + 0.5, 0.0, 0.0, 0.0, 0.0)


# --- the decision -------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_two_sets_of_values():
    deep = (MONORES + 0.3).astype(np.float32)
    one = judgement("a", deep, SUPPORTED, 0.25, -60.0, 0.8)
    assert (one.median, one.p20) == pytest.approx((MEDIAN + 0.3, P20 + 0.3), abs=1e-5)
    assert one.past == pytest.approx(np.mean(MONORES + 0.3 < P20), abs=1e-3)
    assert one.shift == pytest.approx(0.3, abs=1e-5) and one.wasserstein == pytest.approx(0.3, abs=1e-5)
    assert one.disagreement == pytest.approx(0.3, abs=1e-5)
    assert judgement("a", deep[::-1], SUPPORTED, 0.25).wasserstein == pytest.approx(0.3, abs=1e-5)
    other = np.random.default_rng(2).normal(4.0, 0.7, 4000).astype(np.float32)
    expected = wasserstein_distance(other.astype(float), MONORES)
    assert judgement("b", other, SUPPORTED, 0.25).wasserstein == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(P20 - MEDIAN - 0.01, OVER), (P20 - MEDIAN + 0.01, BALANCED), (0.24, BALANCED), (0.26, UNDER)],
)
def test_the_verdict_changes_at_the_limit_and_at_the_tolerance(shift, verdict):
    one = judgement("a", (MONORES + shift).astype(np.float32), SUPPORTED, 0.25)
    assert one.verdict == verdict
    assert (one.past > 0.5) == (verdict == OVER), "most voxels past the limit is what over-sharpened means"


def test_the_best_is_the_sharpest_that_is_not_past_the_limit():
    maps = [with_median(P20 + d, str(d), d) for d in (2.0, 0.4, 0.05, -0.05, -1.0)]
    assert best(maps, SUPPORTED).name == "0.05"
    assert best(maps[3:], SUPPORTED).name == "-0.05", "all are past it: the coarsest"


def test_of_maps_that_look_equally_fine_the_least_sharpened_is_taken():
    medians = {0: P20 + 0.5, -30: P20 + 0.18, -60: P20 + 0.1, -90: P20 + 0.15}
    series = [with_median(m, str(b), float(b)) for b, m in medians.items()]
    assert best(series, SUPPORTED).name == "-30"
    given = [with_median(P20 + d, f"given {d}") for d in (0.02, 0.01, 0.3)]
    assert best([*series, *given], SUPPORTED).name == "given 0.02"


def test_of_b_factors_that_do_not_over_sharpen_the_expected_one_is_taken():
    medians = {0: P20 + 1.0, -30: P20 + 0.8, -60: P20 + 0.5, -90: P20 + 0.2, -120: P20 - 0.1}
    series = [with_median(m, str(b), float(b)) for b, m in medians.items()]
    for expected, name in ((-62.0, "-60"), (-45.0, "-30"), (-200.0, "-90"), (10.0, "0")):
        assert best(series, SUPPORTED, expected).name == name
    assert best(series[4:], SUPPORTED, 0.0).name == "-120", "all are over-sharpened: the coarsest"
    given = with_median(P20 + 0.05, "given")
    assert best([*series, given], SUPPORTED, -62.0).name == "given", "between programs, by the look"
    assert best([*series, with_median(P20 - 0.05, "too sharp")], SUPPORTED, -62.0).name == "-60"
    assert best([with_median(P20 + 2.0, "dull"), *series], SUPPORTED, -62.0).name == "-60"


def test_past_the_turn_of_deepres_a_map_is_over_sharpened_and_never_the_best():
    medians = {0: 5.0, -50: 4.5, -100: 4.2, -150: 4.3, -200: 8.0}
    maps = [with_median(m, f"B = {b}", float(b)) for b, m in medians.items()] + [with_median(9.0, "given")]
    judged = past_the_turn(maps, 0.25)
    assert [one.turned for one in judged] == [False, False, False, False, True, False]
    assert judged[4].verdict == OVER and judged[:4] == maps[:4] and judged[5] == maps[5]
    assert best(judged, Supported(np.full(10, 7.5))).name == "given"


# --- the method ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phantom():
    model = helix_bundle(17.0, (0.0, 0.0, 0.0), seed=2)
    return simulate(model, (46, 44, 48), voxel_size=1.3, finest=3.2, coarsest=6.0, b=60.0, seed=2)


B_FACTORS = (0.0, -30.0, -60.0, -90.0, -120.0)


@pytest.fixture(scope="module")
def result(phantom):
    from cryores.postprocessing import verdict

    return verdict(phantom.halves, mask=phantom.mask, bfactors=B_FACTORS)


def test_more_sharpening_puts_more_voxels_past_the_limit(result):
    past = [one.past for one in result.judgements]
    medians = [one.median for one in result.judgements]
    assert [one.bfactor for one in result.judgements] == list(B_FACTORS)
    assert past == sorted(past) and past[0] < 0.1 < past[-1] + 0.1
    assert np.diff(medians).max() < 0.05 and medians[0] > medians[-1] + 0.2


def test_a_map_that_was_damped_is_called_under_sharpened_and_a_sharper_one_better(result):
    damped = result.judgements[0]
    assert damped.verdict == UNDER and damped.past < 0.1
    assert result.best.bfactor <= -30.0 and result.best.median < damped.median - 0.1


def test_the_numbers_of_the_result_are_those_of_its_maps(result):
    mono = result.held.data[result.judged]
    assert result.supported.p20 == pytest.approx(np.percentile(mono.astype(float), 20))
    for one in result.judgements:
        deep = result.deepres[one.name].data[result.judged]
        assert one.median == pytest.approx(np.median(deep), rel=1e-6)
        assert one.past == pytest.approx(np.mean(deep < result.supported.p20))


def test_locres_can_say_what_the_half_maps_hold(phantom, result):
    from cryores.postprocessing import verdict
    from cryores.resolution import locres

    found = verdict(phantom.halves, mask=phantom.mask, bfactors=(0.0, -60.0), against="locres")
    expected = locres(phantom.halves, mask=phantom.mask).resolution.data
    np.testing.assert_array_equal(found.held.data, expected)
    assert found.supported.p20 == pytest.approx(np.percentile(expected[found.judged].astype(float), 20))

    def error(one):
        return np.median(np.abs(one.held.data - phantom.truth_snr.data)[one.judged])

    assert error(found) < min(0.4, error(result)), "nearer to what was planted than MonoRes"
    assert found.summary()["half_maps"]["method"] == "locres" and "locres" in found.criterion
    judged_alike = [one for one in result.judgements if one.bfactor in (0.0, -60.0)]
    assert [one.median for one in found.judgements] == pytest.approx([one.median for one in judged_alike], abs=0.2)


def test_scale_changes_nothing_and_identical_maps_get_identical_verdicts(phantom, result):
    from cryores.postprocessing import verdict

    best_map = result.best_map
    maps = {"one": best_map, "same": best_map, "scaled": best_map.like(7.5 * best_map.data)}
    halves = HalfMaps(*(half.like(0.02 * half.data) for half in (phantom.halves.half1, phantom.halves.half2)))
    found = verdict(halves, maps, mask=phantom.mask)
    one, same, scaled = found.judgements
    assert (one.median, one.past, one.verdict) == (same.median, same.past, same.verdict)
    assert (scaled.median, scaled.past) == pytest.approx((one.median, one.past), abs=1e-3)
    assert found.supported.p20 == pytest.approx(result.supported.p20, abs=1e-3)
    assert one.median == pytest.approx(result.best.median, abs=1e-3) and found.fsc is None


def test_a_mask_that_is_smaller_by_a_voxel_changes_little(phantom, result):
    from cryores.postprocessing import verdict

    smaller = erode(phantom.mask, phantom.mask.grid.spacing)
    found = verdict(phantom.halves, {result.best.name: result.best_map}, mask=smaller)
    assert 0.5 < smaller.data.sum() / phantom.mask.data.sum() < 0.95
    assert abs(found.judgements[0].past - result.best.past) < 0.05


def test_a_map_that_is_not_made_from_the_halves_is_told_of(phantom, result):
    from cryores.postprocessing import verdict

    turned = result.best_map.like(result.best_map.data[::-1].copy())
    with pytest.warns(CryoresWarning, match="turned is little like the mean of the half maps"):
        verdict(phantom.halves, {"turned": turned}, mask=phantom.mask)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_maps_side_by_side_have_the_medians_of_the_verdict(result):
    from cryores.report.figures_verdict import as_comparison, label

    side_by_side = as_comparison(result)
    assert side_by_side.maps["MonoRes"]["median"] == result.supported.median
    for one in result.judgements:
        assert side_by_side.maps[label(one)]["median"] == one.median


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    grid = phantom.clean.grid

    def strong(s):
        return bfactor(-250.0)(np.minimum(s, 1 / 3.5))

    sharpened = [half.like(filtered(half.data, strong, grid, 1)) for half in vars(phantom.halves).values()]
    saved = {
        "half1": phantom.halves.half1,
        "half2": phantom.halves.half2,
        "mask": phantom.mask,
        "clean": phantom.clean,
        "sharp1": sharpened[0],
        "sharp2": sharpened[1],
        "flat": phantom.mask.like(0 * phantom.mask.data + 2),
        "small": Volume(phantom.clean.data[:40], type(grid).regular((40, 44, 48), 1.3)),
    }
    for name, volume in saved.items():
        write_map(folder / f"{name}.mrc", volume)
    phantom.structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    for site in (elsewhere := phantom.structure.clone())[0].all():
        site.atom.pos.x += 500
    elsewhere.make_mmcif_document().write_file(str(folder / "elsewhere.cif"))
    return folder


def words(folder, *more, halves=("half1", "half2")):
    files = [str(folder / f"{name}.mrc") for name in (*halves, "mask")]
    return ["verdict", "--half1", files[0], "--half2", files[1], "--mask", files[2], "--quiet", *more]


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "out"
    more = ["--bfactors", "-120", "0", "-60", "--maps", str(folder / "clean.mrc"), "--model", str(folder / "model.cif")]
    assert main([*words(folder, *more), "--out", str(out)]) == 0
    return out


def test_table_report_and_maps_say_the_same(done):
    report = json.loads((done / "report.json").read_text())
    jsonschema.validate(report, json.loads(cryores.report.record.SCHEMA.read_text()))
    rows = {row["name"]: row for row in csv.DictReader((done / "verdict.csv").read_text().splitlines())}
    assert list(rows) == ["B = 0", "B = -60", "B = -120", "clean"] and rows["clean"]["bfactor"] == ""
    summary = report["summary"]
    assert summary["bfactors"] == [0.0, -60.0, -120.0] and report["parameters"]["bfactors"] == [-120.0, 0.0, -60.0]
    judged = read_map(done / "resolution.mrc").data > 0
    for name, row in rows.items():
        assert float(row["median"]) == pytest.approx(summary["maps"][name]["median"], rel=1e-5)
        file = "deepres_" + name.replace(" = ", "_") + ".mrc"
        assert np.median(read_map(done / file).data[judged]) == pytest.approx(float(row["median"]), rel=1e-4)
    assert set(report["inputs"]) == {"half1", "half2", "mask", "model", "sharpened map clean"}
    scores = [float(row["model_cc"]) for row in rows.values()]
    assert scores[3] == max(scores) and scores[1] > scores[0]
    assert summary["best_file"] in report["files"] and summary["best"] in report["criterion"]


def test_the_pictures_and_the_page_show_every_map(done):
    for name in ("verdict.png", "slices.png"):
        assert (done / name).stat().st_size > 10000
    page = (done / "report.html").read_text()
    assert all(f">{heading}<" in page for heading in ("Histograms", "Over B", "Maps", "Slices"))
    script = (done / "view.cxc").read_text()
    assert all((done / line.split()[1]).exists() for line in script.splitlines() if line.startswith("open "))


def test_without_b_factors_they_are_chosen_about_the_guinier_plot(folder, tmp_path):
    assert main([*words(folder), "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "report.json").read_text())["summary"]
    guinier = summary["guinier_bfactor"]
    assert summary["bfactors"] == [round(share * guinier) for share in (0, 0.2, 0.4, 0.7, 1)]
    assert -300 < guinier < -60, "the planted 60 and the decay of the molecule"
    assert summary["expected_bfactor"] == pytest.approx(0.4 * guinier)
    assert summary["best_bfactor"] == pytest.approx(0.4 * guinier, abs=0.5)


CASES = {
    "the same B twice": (["--bfactors", "-50", "-50"], {}, 2, "E_BFACTORS"),
    "a map and a B of one name": (["--bfactors", "-50", "--maps", "clean", "--names", "B_-50"], {}, 2, "E_MAPS"),
    "sharpened halves": ([], {"halves": ("sharp1", "sharp2")}, 3, "E_SHARPENED_HALVES"),
    "a map of another grid": (["--maps", "small"], {}, 3, "E_OTHER_GRID"),
    "a constant map": (["--maps", "flat"], {}, 3, "E_CONSTANT"),
    "a model elsewhere": (["--bfactors", "0", "--model", "elsewhere.cif"], {}, 3, "E_MODEL_OUTSIDE"),
    "a missing map": (["--maps", "nothing"], {}, 3, "E_NO_FILE"),
    "no number": (["--bfactors", "much"], {}, 2, "E_USAGE"),
    "too little memory": (["--bfactors", "0", "--memory", "0.00001"], {}, 4, "E_MEMORY"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_leaves_nothing(case, folder, tmp_path, capsys):
    more, options, status, code = CASES[case]
    files = {name: str(folder / f"{name}.mrc") for name in ("clean", "small", "flat", "nothing")}
    files["elsewhere.cif"] = str(folder / "elsewhere.cif")
    more = [files.get(word, word) for word in more]
    assert main([*words(folder, *more, **options), "--out", str(tmp_path / "out")]) == status
    assert f"error {code}: " in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_sharpened_halves_are_told_of(folder):
    from cryores.diagnosis import suspicions
    from cryores.postprocessing.verdict import METHOD

    halves = HalfMaps(*(read_map(folder / f"sharp{n}.mrc") for n in (1, 2)))
    said = suspicions(Inputs(halves, mask=read_map(folder / "mask.mrc")), METHOD, METHOD.make_parameters({}))
    assert any("the map looks sharpened" in line for line in said)


def test_one_map_is_not_enough(folder, tmp_path):
    from cryores.postprocessing.verdict import METHOD

    with pytest.raises(CryoresError) as told:
        METHOD.run(Inputs(read_map(folder / "clean.mrc")), METHOD.make_parameters({}))
    assert told.value.code == "E_NO_HALVES"
