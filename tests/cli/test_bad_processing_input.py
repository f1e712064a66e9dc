"""What the methods of post-processing are given wrong: models, resolution maps, fits, maps that are sharp already."""

import json

import gemmi
import numpy as np
import pytest

from cryores.cli import main
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.simulation import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    made = simulate(shape=(40, 40, 40), voxel_size=1.5, finest=4.0, coarsest=7.0, b=60.0, seed=3)
    maps = {"half1": made.halves.half1, "half2": made.halves.half2, "map": made.halves.mean(), "mask": made.mask}
    for name, volume in maps.items():
        write_map(folder / f"{name}.mrc", volume)
    for number in (1, 2):
        sharp = filtered(maps[f"half{number}"].data, bfactor(-300.0), made.mask.grid, 1)
        write_map(folder / f"sharp{number}.mrc", made.mask.like(sharp))
    inside = made.mask.data > 0.5
    resolution = np.where(inside, made.truth.data, 0).astype(np.float32)
    for name, background in (("zero", 0.0), ("hundred", 100.0), ("eight", 8.0)):
        write_map(folder / f"{name}.mrc", made.mask.like(np.where(inside, resolution, np.float32(background))))

    def model(name, change):
        structure = made.structure.clone()
        change(structure)
        structure.make_mmcif_document().write_file(str(folder / f"{name}.cif"))

    def away(structure):
        for site in structure[0].all():
            site.atom.pos = gemmi.Position(site.atom.pos.x + 500, site.atom.pos.y, site.atom.pos.z)

    def hydrogens(structure):
        for site in structure[0].all():
            site.atom.element = gemmi.Element("H")

    def without_bfactors(structure):
        for site in structure[0].all():
            site.atom.b_iso = 0.0

    def trace(structure):
        for chain in structure[0]:
            for residue in chain:
                for i in reversed(range(len(residue))):
                    if residue[i].name != "CA":
                        del residue[i]

    def twice(structure):
        structure.add_model(structure[0].clone())
        structure.renumber_models()

    for change in (away, hydrogens, without_bfactors, trace, twice):
        model(change.__name__, change)
    return folder


HALVES = ["--half1", "half1.mrc", "--half2", "half2.mrc", "--mask", "mask.mrc"]
ONE = ["--map", "map.mrc", "--mask", "mask.mrc"]
BY_MODEL = ["autosharpen", *HALVES, "--variant", "model"]
CASES = {
    "a model elsewhere, locscale": (["locscale", *ONE, "--model", "away.cif"], 3, "E_MODEL_OUTSIDE"),
    "a model elsewhere, autosharpen": ([*BY_MODEL, "--model", "away.cif"], 3, "E_MODEL_OUTSIDE"),
    "a model elsewhere, fsc": (["fsc", *ONE, "--model", "away.cif"], 3, "E_MODEL_OUTSIDE"),
    "hydrogens, locscale": (["locscale", *ONE, "--model", "hydrogens.cif"], 3, "E_MODEL"),
    "C-alphas, locscale": (["locscale", *ONE, "--model", "trace.cif"], 3, "E_MODEL_TRACE"),
    "no B-factors, locscale": (["locscale", *ONE, "--model", "without_bfactors.cif"], 3, "E_MODEL_BFACTORS"),
    "two shells, postprocess": (
        ["postprocess", *HALVES, "--fit-max-resolution", "4.3", "--fit-min-resolution", "4.2"], 2, "E_FIT_RANGE",
    ),
    "a fit upside down": (
        ["postprocess", *HALVES, "--fit-max-resolution", "4", "--fit-min-resolution", "10"], 2, "E_FIT_RANGE",
    ),
    "two shells, autosharpen": (["autosharpen", *HALVES, "--resolution", "9.5"], 2, "E_FIT_RANGE"),
    "eight or no value": (["local-lowpass", *ONE, "--resolution-map", "eight.mrc"], 3, "E_BACKGROUND"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_a_hint_and_nothing_is_left(case, folder, tmp_path, monkeypatch, capsys):
    words, status, code = CASES[case]
    monkeypatch.chdir(folder)
    assert main([*words, "--quiet", "--out", str(tmp_path / "out")]) == status
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error {code}: ") and "; hint: " in last and not (tmp_path / "out").exists()


WARNED = {
    "several models": (["fsc", *ONE, "--model", "twice.cif"], "2 models"),
    "map and model without a mask": (["fsc", "--map", "map.mrc", "--model", "twice.cif"], "no mask"),
    "a sharpened map": (
        ["postprocess", "--map", "sharp1.mrc", "--mask", "mask.mrc", "--fit-min-resolution", "4.5"], "sharpened",
    ),
    "a trace": (["evaluate", "--map", "map.mrc", "--model", "trace.cif", "--resolution", "4.5"], "C-alpha"),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNED)
def test_it_is_told_of(case, folder, tmp_path, monkeypatch, capsys):
    words, said = WARNED[case]
    monkeypatch.chdir(folder)
    assert main([*words, "--quiet", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert any(said in line for line in report["warnings"]), report["warnings"]
    assert f"{said}" in capsys.readouterr().err


def test_the_background_of_another_program_is_no_resolution(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    found = []
    for number, more in enumerate((["zero.mrc"], ["hundred.mrc"], ["eight.mrc", "--background", "8"])):
        out = tmp_path / str(number)
        assert main(["local-lowpass", *ONE, "--resolution-map", *more, "--quiet", "--out", str(out)]) == 0
        found.append(read_map(out / "sharpened.mrc").data)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
