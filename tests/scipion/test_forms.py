"""Every protocol's form, walked: one wording for one thing, help with a recommendation, JSON for the web front end."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("pyworkflow", reason="Scipion is not installed here")
pytest.importorskip("scipion", reason="scipion-app is not installed here")

sys.path.insert(0, str(Path(__file__).parent))
from headless import environment

HERE = Path(__file__).parent
STANDARD = {
    "PointerParam", "MultiPointerParam", "EnumParam", "BooleanParam", "IntParam", "FloatParam", "StringParam",
    "FileParam", "Line", "Group",
}  # fmt: skip
"""Classes that the web front end draws."""


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, str(HERE / "forms.py")],
        env=environment(tmp_path_factory.mktemp("forms")), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def fields(forms, **wanted):
    """Yield protocol and field of all that are seen and have the wanted properties."""
    for protocol, form in forms.items():
        for field in form["fields"]:
            if field["condition"] != "False" and all(field[key] == value for key, value in wanted.items()):
                yield protocol, field


def test_every_protocol_has_a_form_that_json_holds(forms):
    from cryores.method import method_summaries

    assert len(forms) == len(method_summaries()) - (0 if find_spec("tomo") else 1)
    for protocol, form in forms.items():
        for field in form["fields"]:
            assert field["paramClass"] in STANDARD, (protocol, field)
            assert len(field["place"]) <= 3, (protocol, field)


def test_outputs_are_of_the_classes_that_the_web_front_end_has_viewers_for(forms):
    """It goes by the exact name of the class: a subclass of Volume would have no viewer."""
    shown = {"Volume", "VolumeMask", "SetOfVolumes", "SetOfFSCs", "SetOfTomograms", "AtomStruct"}
    for protocol, form in forms.items():
        assert form["outputs"] and set(form["outputs"]) <= shown, (protocol, form["outputs"])


def test_every_protocol_has_a_viewer_of_ours(forms):
    for protocol, form in forms.items():
        ours = [name for name in form["viewers"][:1] if name.startswith("Cryores")]
        assert ours, f"add {protocol} to _targets of the viewer, in cryoresplugin/viewers, that is to show its results"


def test_help_opens_with_what_the_method_tells_and_says_when_it_lies(forms):
    for protocol, form in forms.items():
        told, *rest = form["help"].split("\n\n")
        assert len(told) > 40 and "\n    " not in form["help"], protocol
        assert any(part.startswith("When it lies: ") for part in rest), protocol


def test_every_field_has_a_label_that_fits_and_a_help_that_says_more(forms):
    for protocol, field in fields(forms):
        where = (protocol, field["name"], field["label"])
        assert field["label"] and len(field["label"]) <= 46 and not field["label"].endswith((":", ".")), where
        if field["paramClass"] != "Group":
            assert field["help"] and len(field["help"]) > 10 and field["help"].strip()[-1] in ".?", (
                *where,
                field["help"],
            )
            assert not field["help"][0].islower(), (*where, field["help"])
        assert not re.search(r"\(A\)|\(Ang\)|\^2", field["label"]), where


def test_numbers_come_with_a_recommendation(forms):
    for protocol, field in fields(forms):
        if "At the command line" in (field["help"] or "") and field["paramClass"] in ("FloatParam", "IntParam"):
            assert "Recommended: " in field["help"], (protocol, field["name"])


@pytest.mark.parametrize(
    "pattern, label",
    [
        (r"^([bB]inary|input|solvent)?[mM]ask(Volume)?$", "Mask"),
        (r"(?i)^(input)?half(map)?1$|^volumeHalf1$", "Half map 1"),
        (r"(?i)^(input)?half(map)?2$|^volumeHalf2$", "Half map 2"),
        (r"(?i)^use_?half(maps|volumes)$", "Use half maps?"),
        (r"^(halvesAttached|hasHalfVolumesFile|halfVolumesFile)$", "Are the half maps stored with the volume?"),
        (r"^(inputHalves|associatedHalves)$", "Volume with half maps"),
        (r"^(h|halvesS)?s?ignificance$", "Significance"),
        (r"^compat$", "As the published program"),
        (r"^keep$", "Region to keep"),
        (r"^seed$", "Random seed"),
        (r"^model$", "Atomic model (optional)"),
    ],
)
def test_one_thing_is_called_by_one_name(forms, pattern, label):
    found = [(p, f["label"]) for p, f in fields(forms) if re.match(pattern, f["name"])]
    assert found and {said for _, said in found} == {label}, found


def test_resolution_ranges_are_one_line_from_high_to_low(forms):
    ends = [(p, f) for p, f in fields(forms) if f["place"][-1] == "Line" and f["label"] in ("High", "Low", "Step")]
    for protocol, line in fields(forms, paramClass="Line"):
        assert line["label"] in ("Resolution range (Å)", "Range of the Guinier fit (Å)"), protocol
    assert len({p for p, _ in ends}) >= 7
    assert {f["label"] for _, f in fields(forms) if f["place"][-1] == "Line"} == {"High", "Low", "Step"}


def test_a_mask_says_what_happens_without_one(forms):
    masks = list(fields(forms, label="Mask"))
    assert len(masks) > 10
    for protocol, field in masks:
        assert "1 inside, 0 outside. Empty: " in field["help"], protocol


def test_every_form_can_be_filled_in_without_experts_fields(forms):
    """What is shown at first is normal, and what must be given is not hidden behind a condition that is never true."""
    for protocol, form in forms.items():
        shown = [f for f in form["fields"] if f["shown"] and not f["expertLevel"] and f["paramClass"] == "PointerParam"]
        assert shown or any(f["paramClass"] == "MultiPointerParam" for f in form["fields"]), protocol
