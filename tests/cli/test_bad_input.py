"""Every kind of bad input through the command line: its message, its exit code, and nothing left behind."""

import warnings

import mrcfile
import numpy as np
import pytest

from cryores.cli import main
from cryores.mapio import write_map
from cryores.simulation import simulate
from cryores.volume import Grid, Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    made = simulate(shape=(32, 34, 36), voxel_size=2.0, finest=5.0, coarsest=9.0, seed=1)
    one, two = made.halves.half1, made.halves.half2
    grid = one.grid

    def save(name, data, voxel=2.0):
        write_map(folder / f"{name}.mrc", Volume(np.asarray(data, np.float32), Grid.regular(data.shape, voxel)))

    for name, volume in (("half1", one), ("half2", two), ("mask", made.mask)):
        write_map(folder / f"{name}.mrc", volume)
    save("constant", np.zeros(grid.shape))
    save("small", one.data[:20, :20, :20])
    save("voxel", two.data, 2.5)
    save("empty", np.zeros(grid.shape))
    save("full", np.ones(grid.shape))
    save("smallmask", made.mask.data[:20])

    def broken(name, **fields):
        with mrcfile.open(folder / "half1.mrc") as source, mrcfile.new(folder / f"{name}.mrc", overwrite=True) as m:
            m.set_data(source.data.copy())
            m.voxel_size = fields.pop("voxel", 2.0)
            for key, value in fields.items():
                if key == "angle":
                    m.header.cellb.beta = value
                elif key == "spot":
                    m.data[3, 3, 3] = value
                else:
                    m.header[key] = value

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mrcfile tells of what is planted here
        broken("nan", spot=np.nan)
        broken("infinite", spot=np.inf)
    broken("novoxel", voxel=0.0)
    broken("skew", angle=94.0)
    with mrcfile.new(folder / "complex.mrc", overwrite=True) as m:
        m.set_data(np.ones((8, 8, 8), np.complex64))
    whole = (folder / "half1.mrc").read_bytes()
    (folder / "truncated.mrc").write_bytes(whole[:50000])
    (folder / "text.mrc").write_text("this is no map\n")
    (folder / "colour.mrc").write_bytes(whole[:12] + (16).to_bytes(4, "little") + whole[16:])
    return folder


HALVES = ("half1", "half2")
CASES = {
    "missing": (("nothing", "half2"), [], 3, "E_NO_FILE"),
    "no MRC": (("text", "half2"), [], 3, "E_NOT_MRC"),
    "truncated": (("truncated", "half2"), [], 3, "E_TRUNCATED"),
    "NaN": (("nan", "half2"), [], 3, "E_NOT_FINITE"),
    "infinite": (("infinite", "half2"), [], 3, "E_NOT_FINITE"),
    "constant": (("constant", "half2"), [], 3, "E_CONSTANT"),
    "no voxel size": (("novoxel", "half2"), [], 3, "E_VOXEL_SIZE"),
    "another shape": (("small", "half2"), [], 3, "E_HALVES_SHAPE"),
    "another voxel size": (("half1", "voxel"), [], 3, "E_HALVES_VOXEL_SIZE"),
    "identical": (("half1", "half1"), [], 3, "E_HALVES_IDENTICAL"),
    "complex": (("complex", "half2"), [], 3, "E_MODE"),
    "colour": (("colour", "half2"), [], 3, "E_MODE"),
    "not orthogonal": (("skew", "half2"), [], 3, "E_CELL"),
    "empty mask": (HALVES, ["--mask", "empty.mrc"], 3, "E_MASK_EMPTY"),
    "full mask": (HALVES, ["--mask", "full.mrc"], 3, "E_MASK_FULL"),
    "mask of another grid": (HALVES, ["--mask", "smallmask.mrc"], 3, "E_OTHER_GRID"),
    "upside down": (HALVES, ["--min-resolution", "20", "--max-resolution", "5"], 2, "E_RANGE"),
    "finer than Nyquist": (HALVES, ["--min-resolution", "0.5", "--max-resolution", "1"], 2, "E_RANGE"),
    "a negative step": (HALVES, ["--resolution-step", "-1e-1"], 2, "E_PARAMETER"),
    "unknown option": (HALVES, ["--nonsense", "1"], 2, "E_USAGE"),
    "too little memory": (HALVES, ["--memory", "0.0001"], 4, "E_MEMORY"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_nothing_is_left(case, folder, tmp_path, monkeypatch, capsys):
    (half1, half2), more, status, code = CASES[case]
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    words = ["monores", "--half1", f"{half1}.mrc", "--half2", f"{half2}.mrc", *more, "--out", str(out)]
    assert main(words) == status
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error {code}: ") and "; hint: " in last
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], "E_USAGE"),
        (["monores", "--half1", "half1.mrc", "--out", "x"], "E_USAGE"),
        (["monores", "--map", "half1.mrc", "--half1", "half1.mrc", "--half2", "half2.mrc", "--out", "x"], "E_USAGE"),
        (["blocres", "--map", "half1.mrc", "--out", "x"], "E_USAGE"),
    ],
)
def test_bad_usage_is_told(words, code, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(words) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"error {code}: ")
    assert not (folder / "x").exists()


def test_earlier_results_are_kept_unless_told_and_when_the_new_run_fails(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    out.mkdir()
    (out / "resolution.mrc").write_text("earlier")
    words = ["monores", "--half1", "half1.mrc", "--half2", "half2.mrc", "--out", str(out)]
    assert main(words) == 3
    assert "E_OUTPUT_EXISTS" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--mask", "empty.mrc"]) == 3
    assert (out / "resolution.mrc").read_text() == "earlier"
    assert [p.name for p in out.iterdir()] == ["resolution.mrc"]


def test_output_that_is_a_file_is_told(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (tmp_path / "out").write_text("a file")
    words = ["fsc", "--half1", "half1.mrc", "--half2", "half2.mrc", "--out", str(tmp_path / "out")]
    assert main(words) == 3
    assert "error E_OUTPUT: " in capsys.readouterr().err


def test_a_negative_number_is_a_value(tmp_path):
    words = ["simulate", "--size", "24", "--voxel-size", "2", "--min-resolution", "5", "--bfactor", "-1e1"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert '"bfactor": -10.0' in (tmp_path / "out" / "simulation.json").read_text()
