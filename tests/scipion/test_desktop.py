"""Scipion's real windows on a display of their own: every form, the wizards, a viewer."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")
pytest.importorskip("tkinter", reason="this Python has no tkinter, which Scipion's windows need")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment

HERE = Path(__file__).parent
WIDEST, TALLEST = 1000, 1000
"""Pixels: a form with more leaves the screen of a laptop."""


@pytest.fixture(scope="module")
def desk(display, simulated, tmp_path_factory):
    """What the script found on the display."""
    done = subprocess.run(
        [sys.executable, str(HERE / "desktop.py"), str(simulated)],
        env={**environment(tmp_path_factory.mktemp("desktop")), "DISPLAY": display, "MPLBACKEND": "TkAgg"},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr + done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_form_opens_fits_the_screen_and_has_the_logo(desk):
    from cryores.method import method_summaries

    assert len(desk["forms"]) == len(method_summaries()) - (0 if find_spec("tomo") else 1)
    for name, form in desk["forms"].items():
        width, height = form["size"]
        assert 500 < width < WIDEST and 300 < height < TALLEST, (name, form["size"])
        assert form["cut"] == [] and form["logo"] == 1, (name, form)


def test_every_protocol_has_a_viewer_of_ours_first(desk):
    assert all(modules and modules[0].startswith("cryoresplugin.") for modules in desk["viewers"].values())


def test_wizards_stand_beside_the_fields(desk):
    forms = {name: form["wizards"] for name, form in desk["forms"].items()}
    assert forms["CryoresProtMonoRes"] == ["maskThreshold", "maxRes", "minRes"]
    assert forms["CryoresProtBlocres"] == ["box", "maxresolution"]
    for name in ("LocSpiral", "LocBSharpen", "LocBFactor"):
        assert forms[f"CryoresProt{name}"] == ["minResolution"]
    assert {"colorMap", "highest", "intervals", "lowest"} <= set(desk["viewer"]["wizards"])


def test_wizards_measure_the_half_maps_that_the_form_points_to(desk, simulated):
    from cryores import read_half_maps, read_map
    from cryores.resolution.blocres import automatic_box
    from cryores.shell_correlation import uncorrected_resolution

    halves = read_half_maps(simulated / "half1.mrc", simulated / "half2.mrc")
    overall = uncorrected_resolution(halves, read_map(simulated / "mask.mrc"))
    found = desk["wizards"]
    finest, coarsest = found["range"]["values"]
    assert max(3.0, overall / 2) <= finest < max(3.0, overall / 2) + 0.11
    # The box of 60 Å holds four waves of the coarsest.
    assert coarsest == pytest.approx(15.0, abs=0.11)
    assert found["finest"]["values"] == [finest]
    assert found["box"]["values"] == [automatic_box(overall, halves.grid)]
    assert found["global"]["values"] == [pytest.approx(overall, abs=0.006)]
    assert found["threshold"]["values"] == [0.75]
    assert all(found[name]["said"] == [] for name in ("range", "finest", "box", "global", "threshold"))


def test_wizards_say_what_they_cannot_do(desk):
    found = desk["wizards"]
    assert found["one map"]["values"] == [0] and "needs half maps" in found["one map"]["said"][0]
    assert found["empty"]["said"] == ["Give the input volume."]
    assert "No mask is given" in found["no mask"]["said"][0] and found["no mask"]["values"] == [0.5]
