"""Half maps judge without a model; the Q-score that is usual at a resolution."""

import csv
import json

import numpy as np
import pytest

from cryores.atoms import heavy_atoms, helix_bundle, polymer_atoms
from cryores.cli import main
from cryores.errors import InputError, UsageError
from cryores.filters import low_pass
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.postprocessing import evaluate
from cryores.postprocessing._qscore import expected_q
from cryores.simulation import simulate
from cryores.volume import HalfMaps

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=6.0, seed=3)


def smooth(volume, limit=4.0):
    return volume.like(filtered(volume.data, low_pass(limit, 0.03), volume.grid, 1))


def test_without_a_model_a_low_pass_is_neutral_and_an_invention_a_loss(made):
    raw, processed = made.halves, smooth(made.halves.mean())
    found = evaluate(processed, raw_halves=raw, processed_half1=smooth(raw.half1), mask=made.mask)
    assert found.half_map_test.verdict == "neutral" and found.inside.sum() == np.count_nonzero(made.mask.data > 0.5)
    rows = found.measures()
    assert rows["half_fsc_0.143"]["before"] == pytest.approx(found.details["resolution"], rel=0.02)
    assert rows["half_local_resolution"]["after"] == pytest.approx(rows["half_local_resolution"]["before"], rel=0.1)
    other = simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=6.0, seed=11).clean.data
    painted = raw.half1.like(raw.half1.data + other * (raw.half1.data.std() / other.std()))
    invented = evaluate(processed, raw_halves=raw, processed_half1=painted, mask=made.mask)
    assert invented.half_map_test.verdict == "loss" and abs(invented.measures()["half_new_signal"]["after"]) < 0.3
    assert any("is not in the data" in line for line in invented.details["warnings"])


def test_the_command_writes_table_figure_and_maps(made, tmp_path):
    files = {"map": smooth(made.halves.mean()), "raw-half1": made.halves.half1, "raw-half2": made.halves.half2}
    files.update({"processed-half1": smooth(made.halves.half1), "mask": made.mask})
    for name, volume in files.items():
        write_map(tmp_path / f"{name}.mrc", volume)
    words = [word for name in files for word in (f"--{name}", str(tmp_path / f"{name}.mrc"))]
    out = tmp_path / "out"
    assert main(["evaluate", *words, "--quiet", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["summary"]["half_map_verdict"] == "neutral" and (out / "evaluation.png").stat().st_size > 20000
    rows = {row["measure"]: row for row in csv.DictReader((out / "evaluation.csv").read_text().splitlines())}
    assert float(rows["half_fsc_0.143"]["before"]) == pytest.approx(report["summary"]["resolution"], rel=0.02)
    local, mask = (read_map(out / f"{name}.mrc").data for name in ("half_resolution", "mask"))
    assert np.all(local[made.mask.data <= 0.5] == 0) and (local > 0).sum() > 0.9 * (made.mask.data > 0.5).sum()
    assert np.array_equal(mask >= 1, made.mask.data > 0.5)


def test_what_cannot_judge_is_refused(made):
    with pytest.raises(UsageError, match="E_MISSING_INPUT"):
        evaluate(made.clean, raw_halves=made.halves)
    half = made.halves.half1
    opposite = HalfMaps(half, half.like(-half.data))
    with pytest.raises(InputError, match="E_NO_RESOLUTION"):
        evaluate(made.clean, raw_halves=opposite, processed_half1=smooth(half), mask=made.mask)


def test_the_usual_q_score_is_the_published_lines():
    assert expected_q(3.0, 0.6, 100, 0) == pytest.approx(1.1192 - 0.1775 * 3)
    assert expected_q(3.0, 0.4, 0, 5) == pytest.approx(0.9436 - 0.1465 * 3)
    assert expected_q(3.0, 0.6, 30, 10) == pytest.approx(0.75 * 0.5867 + 0.25 * 0.5842, abs=1e-6)
    assert expected_q(9.0, 0.6, 1, 0) == 0 and expected_q(3.0, 0.5, 1, 0) is None and expected_q(3.0, 0.6, 0, 0) is None
    bundle = heavy_atoms(helix_bundle(14.0, (20.0, 20.0, 20.0), seed=3))
    assert polymer_atoms(bundle) == (len(bundle.names), 0)
