"""Many maps from a table: rows that fail stop no other, rows that are done are kept."""

import csv
import json

import pytest

from cryores.cli import main
from cryores.cli.evaluate_set import read_set
from cryores.errors import UsageError
from cryores.filters import low_pass
from cryores.fourier import filtered
from cryores.mapio import write_map
from cryores.simulation import simulate

HEAD = "name,map,before,model,half1,half2,processed-half1,mask,resolution\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    made = simulate(shape=(36, 38, 40), voxel_size=1.5, finest=4.0, coarsest=6.0, seed=3)
    one, two = made.halves.half1, made.halves.half2

    def smooth(volume):
        return volume.like(filtered(volume.data, low_pass(4.0, 0.03), volume.grid, 1))

    maps = {"half1": one, "half2": two, "before": made.halves.mean(), "mask": made.mask}
    for name, volume in {**maps, "map": smooth(made.halves.mean()), "processed": smooth(one)}.items():
        write_map(folder / f"{name}.mrc", volume)
    made.structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    rows = [
        "with model,map.mrc,before.mrc,model.cif,,,,,4.5",
        "no such map,nothing.mrc,,model.cif,,,,,",
        "by halves,map.mrc,,,half1.mrc,half2.mrc,processed.mrc,mask.mrc,",
    ]
    (folder / "set.csv").write_text(HEAD + "\n".join(rows) + "\n")
    return folder


def run(folder, out, *more):
    return main(["evaluate", "--set", str(folder / "set.csv"), "--quiet", "--out", str(out), *more])


def table(out):
    return {row["name"]: row for row in csv.DictReader((out / "set.csv").read_text().splitlines())}


def test_rows_are_judged_alone_and_kept(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(folder, out) == 0
    rows = table(out)
    assert list(rows) == ["with model", "no such map", "by halves"]
    assert (
        rows["no such map"]["reason"].startswith("E_NO_FILE: ") and not (out / "no such map" / "report.json").exists()
    )
    for name in ("with model", "by halves"):
        report = json.loads((out / name / "report.json").read_text())
        assert rows[name]["reason"] == ""
        for measure, row in report["summary"]["measures"].items():
            for side, value in row.items():
                written = rows[name][f"{measure}_{side}"]
                assert written == "" if value is None else float(written) == pytest.approx(value, rel=1e-5)
    assert rows["by halves"]["half_map_verdict"] == "neutral" and rows["by halves"]["q_score_after"] == ""
    assert float(rows["with model"]["expected_q_score_after"]) == pytest.approx(1.1192 - 0.1775 * 4.5, abs=1e-6)
    assert (out / "set.png").stat().st_size > 10000
    before = {name: (out / name / "report.json").stat().st_mtime_ns for name in ("with model", "by halves")}
    capsys.readouterr()
    # The missing map is there now: only its row is run.
    text = (folder / "set.csv").read_text()
    try:
        (folder / "set.csv").write_text(
            text.replace("nothing.mrc", "before.mrc").replace(
                "model.cif,,,,,\n", ",half1.mrc,half2.mrc,processed.mrc,mask.mrc,\n"
            )
        )
        assert run(folder, out) == 0
    finally:
        (folder / "set.csv").write_text(text)
    assert table(out)["no such map"]["reason"] == ""
    assert {name: (out / name / "report.json").stat().st_mtime_ns for name in before} == before
    assert "with model: 1 of 3" not in capsys.readouterr().err


def test_a_set_of_failures_is_a_failure(folder, tmp_path, capsys):
    (tmp_path / "set.csv").write_text("name,map\na,nothing.mrc\nb,nothing.mrc\n")
    assert run(tmp_path, tmp_path / "out") == 3
    assert "error E_SET_FAILED: every row failed; the first: E_NO_FILE" in capsys.readouterr().err
    assert len(table(tmp_path / "out")) == 2


def test_other_files_are_not_mixed_with(folder, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(folder, tmp_path) == 3
    assert "error E_OUTPUT_EXISTS: " in capsys.readouterr().err and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    ["", "name,map\n", "name,model\na,b\n", "name,map,colour\na,b,c\n", "name,map\na,b\na,c\n", "name,map\n../a,b\n"],
)
def test_a_table_that_is_none_is_refused(text, tmp_path):
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(UsageError, match="E_SET"):
        read_set(tmp_path / "set.csv")


def test_tabs_and_the_words_of_the_options_are_understood(tmp_path):
    (tmp_path / "set.tsv").write_text("Name\tMAP\traw-half1\tVoxel size\na b\tx.mrc\t\t1.2\n\n")
    assert read_set(tmp_path / "set.tsv") == [{"name": "a b", "map": "x.mrc", "voxel_size": "1.2"}]


def test_ways_of_post_processing_are_compared(folder, tmp_path):
    pytest.importorskip("keras", reason="DeepRes needs Python 3.10 and Keras 3")
    lines = ["name,half1,half2,map,model,deposited,bfactor,resolution"]
    lines += ["a,half1.mrc,half2.mrc,,model.cif,map.mrc,-80,4", "b,,,none.mrc,model.cif,,,4"]
    (folder / "ways.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    words = ["evaluate", "--set", str(folder / "ways.csv"), "--methods", "input", "given_b", "--quiet"]
    assert main([*words, "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "methods.csv").read_text().splitlines()))
    assert [(row["name"], row["kind"]) for row in rows] == [("a", "input"), ("a", "given_b"), ("b", "")]
    assert rows[2]["reason"].startswith("E_NO_FILE")
    one = {row["kind"]: row for row in rows}
    assert float(one["input"]["cc_locscale"]) > 0.7
    assert all(2.5 < float(one[kind]["deepres"]) < 8 for kind in ("input", "given_b"))
    assert float(one["input"]["model_fsc_0.5"]) >= float(one["input"]["masked_model_fsc_0.5"]) > 3
    middle = {row["kind"]: row for row in csv.DictReader((out / "medians.csv").read_text().splitlines())}
    assert middle["input"]["q_score"] == one["input"]["q_score"]
    assert (out / "methods.png").stat().st_size > 10000
    assert (
        main(["evaluate", "--set", str(folder / "ways.csv"), "--methods", "magic", "--quiet", "--out", str(out)]) == 2
    )
