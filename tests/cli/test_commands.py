"""What a user types: help, versions, the small commands, and runs that are stopped, full or refused."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import cryores
from cryores.cli import COMMANDS, main
from cryores.fourier import filtered
from cryores.mapio import read_map, write_map
from cryores.method import load_method, method_summaries, parameters_of
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

ENGINE = [sys.executable, "-m", "cryores"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(36, 40, 32), voxel_size=2.0, finest=5.0, coarsest=9.0, seed=1)
    halves = made.halves
    for name, volume in (("half1", halves.half1), ("half2", halves.half2), ("mask", made.mask), ("map", halves.mean())):
        write_map(folder / f"{name}.mrc", volume)
    return folder


def words(folder, name="monores"):
    return [name, *(f"--{part}={folder / part}.mrc" for part in ("half1", "half2", "mask"))]


# --- help and versions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [[], ["-h"], ["--help"]])
def test_the_overview_names_every_method_and_command(asked, capsys):
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\S", said, re.M) for name in (*method_summaries(), *COMMANDS))


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cryores {cryores.__version__}\n"


@pytest.mark.parametrize("name", [*method_summaries(), *COMMANDS])
def test_every_help_explains_every_option(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0 and f"usage: cryores {name}" in said
    if name in method_summaries():
        for option in (p.option for p in parameters_of(load_method(name).parameters)):
            assert option in said
        assert all(option in said for option in ("--out", "--overwrite", "--threads", "--memory", "--quiet"))


def test_the_module_is_the_command():
    done = subprocess.run([*ENGINE, "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error E_USAGE: ") and done.stdout == ""


# --- cite, diagnose, doctor ---------------------------------------------------------------------------------------


def test_cite_prints_each_source_once_as_text_or_bibtex(capsys):
    assert main(["cite", "monores", "monores"]) == 0
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert "Vilas" in line and "2018" in line and "doi:10." in line
    assert main(["cite", "--bibtex"]) == 0
    entries = re.findall(r"^@\w+\{(\w+),", capsys.readouterr().out, re.M)
    assert len(entries) == len(set(entries)) and {"Vilas2018", "Rosenthal2003"} <= set(entries)
    assert main(["cite", "nonsense"]) == 2


def test_diagnose_describes_good_maps_and_finds_nothing(folder, capsys):
    halves = [f"--half1={folder}/half1.mrc", f"--half2={folder}/half2.mrc"]
    assert main(["diagnose", *halves, f"--mask={folder}/mask.mrc"]) == 0
    said = capsys.readouterr().out
    assert "voxels (x, y, z): 32 x 40 x 36" in said and "Nyquist 4.000 Å" in said
    assert said.endswith("nothing suspicious\n")


def test_diagnose_names_what_is_wrong(folder, tmp_path, capsys):
    volume, mask = read_map(folder / "map.mrc"), read_map(folder / "mask.mrc")
    write_map(tmp_path / "masked.mrc", volume.like(volume.data * mask.data))
    assert main(["diagnose", "--map", str(tmp_path / "masked.mrc")]) == 0
    assert re.search(r"^W_MASKED: .* exactly 0; ", capsys.readouterr().out, re.M)
    assert main(["diagnose"]) == 2
    assert main(["diagnose", "--map", "a.mrc", "--half1", "b.mrc", "--half2", "c.mrc"]) == 2
    assert main(["diagnose", "--map", str(tmp_path / "none.mrc")]) == 3
    assert main(["diagnose", "--map", str(tmp_path / "masked.mrc"), "--half1", "b.mrc"]) == 2


def test_doctor_tests_itself(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "self-test of transforms: passed" in said and "self-test of methods: passed" in said
    assert "MISSING" not in said and f"cryores {cryores.__version__}" in said


# --- simulate -----------------------------------------------------------------------------------------------------


def test_simulate_writes_what_it_says_and_fsc_has_nothing_to_say_about_its_mask(tmp_path, capsys):
    out = tmp_path / "made"
    given = ["--size", "40", "--voxel-size", "2", "--min-resolution", "5", "--seed", "3", "--bfactor", "-1e1"]
    assert main(["simulate", *given, "--out", str(out)]) == 0
    names = {"half1.mrc", "half2.mrc", "clean.mrc", "mask.mrc", "truth.mrc", "truth_snr.mrc", "model.cif"}
    assert {p.name for p in out.iterdir()} == names | {"simulation.json"}
    described = json.loads((out / "simulation.json").read_text())
    assert described["seed"] == 3 and described["finest"] == 5.0 and described["bfactor"] == -10.0
    planted = simulate(shape=(40, 40, 40), voxel_size=2.0, finest=5.0, seed=3, b=-10.0)
    mask = read_map(out / "mask.mrc").data
    np.testing.assert_array_equal(mask > 0.5, planted.mask.data > 0.5)
    assert np.any((mask > 0.05) & (mask < 0.45)) and np.any((mask > 0.55) & (mask < 0.95))
    np.testing.assert_allclose(read_map(out / "half1.mrc").data, planted.halves.half1.data, atol=1e-5)
    capsys.readouterr()
    assert main([*words(out, "fsc"), "--out", str(tmp_path / "fsc")]) == 0
    assert "soft edge" not in capsys.readouterr().err


def test_simulate_says_which_options_play_no_part(folder, tmp_path, capsys):
    given = ["simulate", "--map", str(folder / "map.mrc"), "--mask", str(folder / "mask.mrc")]
    assert main([*given, "--min-resolution", "4", "--out", str(tmp_path / "1")]) == 0
    said = capsys.readouterr().err
    assert "warning: --min-resolution means nothing with --map" in said and said.count("warning") == 1
    np.testing.assert_array_equal(read_map(tmp_path / "1/mask.mrc").data, read_map(folder / "mask.mrc").data)
    assert main(["simulate", "--size", "24", "--voxel-size", "2", "--min-resolution", "5", "--mask", "m.mrc",
                 "--out", str(tmp_path / "2")]) == 0  # fmt: skip
    assert "warning: --mask means nothing without --map" in capsys.readouterr().err


def test_simulate_warns_of_a_background_without_noise_at_high_frequency(folder, tmp_path, capsys):
    from cryores.filters import low_pass

    volume = read_map(folder / "map.mrc")
    write_map(tmp_path / "soft.mrc", volume.like(filtered(volume.data, low_pass(14.0, 0.02), volume.grid, 1)))
    given = ["simulate", "--map", str(tmp_path / "soft.mrc"), "--mask", str(folder / "mask.mrc")]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    assert "warning: the background has hardly any noise beyond" in capsys.readouterr().err


def test_simulate_refuses_what_cannot_be_planted(tmp_path, capsys):
    for more, code in ((["--min-resolution", "1"], "E_RANGE"), (["--field", "odd"], "E_PARAMETER"),
                       (["--size", "8", "9"], "E_USAGE"), (["--size", "0"], "E_USAGE")):  # fmt: skip
        assert main(["simulate", *more, "--out", str(tmp_path / "out")]) == 2
        assert f"error {code}: " in capsys.readouterr().err and not (tmp_path / "out").exists()


# --- runs ---------------------------------------------------------------------------------------------------------


def test_quiet_says_nothing_and_the_report_holds_the_time_of_every_stage(folder, tmp_path, capfd):
    assert main([*words(folder), "--quiet", "--out", str(tmp_path / "out")]) == 0
    said = capfd.readouterr()
    assert said.out == "" and said.err == ""
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert {"reading", "checking the input", "writing the maps", "drawing"} <= set(report["timings"])
    assert report["warnings"] == []


def test_warnings_reach_the_screen_the_report_and_the_page(folder, tmp_path, capsys):
    assert main(["monores", "--map", str(folder / "map.mrc"), "--quiet", "--out", str(tmp_path / "out")]) == 0
    said = [line[9:] for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert any("half maps of the refinement" in line for line in said) and any("mask.mrc" in line for line in said)
    assert json.loads((tmp_path / "out/report.json").read_text())["warnings"] == said
    assert "give the two half maps" in (tmp_path / "out/report.html").read_text()


def test_what_a_method_finds_is_said_once(tmp_path, capsys):
    grid, rng = Grid.regular((24, 24, 24), 1.0), np.random.default_rng(0)
    for half in ("half1", "half2"):
        write_map(tmp_path / f"{half}.mrc", Volume(rng.standard_normal(grid.shape, dtype=np.float32), grid))
    halves = [f"--{half}={tmp_path}/{half}.mrc" for half in ("half1", "half2")]
    assert main(["fsc", *halves, "--out", str(tmp_path / "out")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert any("nothing in common" in line for line in said) and len(said) == len(set(said))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(folder, tmp_path, capsys):
    tmp_path.chmod(0o500)
    try:
        assert main([*words(folder), "--out", str(tmp_path / "out")]) == 3
    finally:
        tmp_path.chmod(0o700)
    assert "error E_OUTPUT: " in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_overwrite_replaces_earlier_results(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "resolution.mrc").write_text("earlier")
    assert main([*words(folder), "--quiet", "--overwrite", "--out", str(out)]) == 0
    assert read_map(out / "resolution.mrc").grid.shape == (36, 40, 32)
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


FULL = """
import resource, signal, sys
from cryores.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400000, 400000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path):
    made = simulate(shape=(48, 48, 48), voxel_size=2.0, finest=5.0, coarsest=9.0, seed=1)  # 442 kB a map
    for name, volume in (("half1", made.halves.half1), ("half2", made.halves.half2), ("mask", made.mask)):
        write_map(tmp_path / f"{name}.mrc", volume)
    out = tmp_path / "deep" / "out"
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words(tmp_path), "--out", str(out)], capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error E_WRITE: ") and "make room" in last
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_nothing_behind(number, tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 96, 96, 96)).astype(np.float32)
    for name, data in zip(("half1", "half2"), noise + 5 * noise.mean(axis=0)):
        write_map(tmp_path / f"{name}.mrc", Volume(data, Grid.regular(data.shape, 1.0)))
    mask = np.zeros((96, 96, 96), np.float32)
    mask[20:-20, 20:-20, 20:-20] = 1
    write_map(tmp_path / "mask.mrc", Volume(mask, Grid.regular(mask.shape, 1.0)))
    out = tmp_path / "deep" / "out"
    given = [*words(tmp_path, "blocres"), "--mode", "exact", "--box", "24", "--step", "1", "--out", str(out)]
    with subprocess.Popen([*ENGINE, *given], stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(number)
        said = run.communicate(timeout=100)[1]
    assert run.returncode == 1, said
    assert said.strip().splitlines()[-1].startswith("error E_INTERRUPTED: ")
    assert not (tmp_path / "deep").exists()


def test_demo_runs_what_the_readme_says(tmp_path, capsys):
    assert main(["demo", "--size", "48", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for name in ("fsc", "monores", "blocres", "locres"):
        assert f"$ cryores {name} " in said
    for name in ("monores", "blocres", "locres"):
        assert re.search(rf"{name}: median \d\.\d\d Å, planted \d\.\d\d Å, median error \d\.\d\d Å", said)
    assert (tmp_path / "monores/report.html").exists() and str(tmp_path / "blocres/slices.png") in said
