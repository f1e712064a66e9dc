"""The command that makes masks, and words that were misspelled."""

import numpy as np
import pytest

from cryores.cli import main
from cryores.mapio import read_map, write_map
from cryores.masks import automatic_mask, dilate, distance_outside, erode, soft_edge
from cryores.simulation import simulate
from cryores.volume import Grid, Volume


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(36, 40, 32), voxel_size=2.0, finest=5.0, coarsest=9.0, seed=1)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    maps = {"half1": made.halves.half1, "half2": made.halves.half2, "map": made.halves.mean(), "mask": made.mask}
    for name, volume in maps.items():
        write_map(folder / f"{name}.mrc", volume)
    return folder


def masked(tmp_path, *words):
    assert main(["mask", *map(str, words), "--out", str(tmp_path / "out")]) == 0
    return read_map(tmp_path / "out" / "mask.mrc")


def test_half_maps_give_the_automatic_mask_with_a_soft_edge(made, folder, tmp_path, capsys):
    found = masked(tmp_path, f"--half1={folder}/half1.mrc", f"--half2={folder}/half2.mrc")
    expected = automatic_mask(made.halves)
    np.testing.assert_allclose(found.data, soft_edge(expected, 6.0).data, atol=1e-6)
    assert found.grid == made.halves.grid
    share, size = expected.data.mean(), expected.data.sum() * 8.0
    assert f"mask.mrc: {share:.1%} of the box, {size:.0f} Å^3" in capsys.readouterr().out


def test_a_threshold_keeps_large_parts_without_holes(tmp_path):
    grid = Grid.regular((30, 30, 30), 2.0)
    data = np.zeros(grid.shape, dtype=np.float32)
    data[5:15, 5:15, 5:15] = 2.0
    data[9:11, 9:11, 9:11] = 0.0
    data[25, 25, 25] = 3.0
    write_map(tmp_path / "map.mrc", Volume(data, grid))
    found = masked(tmp_path, f"--map={tmp_path}/map.mrc", "--threshold=1", "--soft=0").data
    expected = np.zeros(grid.shape)
    expected[5:15, 5:15, 5:15] = 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("grown", [4.0, -4.0])
def test_a_mask_grows_shrinks_and_softens(made, folder, tmp_path, grown):
    found = masked(tmp_path, f"--mask={folder}/mask.mrc", "--dilate", grown, "--soft", "5")
    core = dilate(made.mask, grown) if grown > 0 else erode(made.mask, -grown)
    distance = distance_outside(core.data > 0.5, core.grid.voxel_size)
    np.testing.assert_array_equal(found.data == 1, core.data > 0.5)
    np.testing.assert_array_equal(found.data < 1e-6, distance >= 5.0)
    assert core.data.sum() > made.mask.data.sum() if grown > 0 else 0 < core.data.sum() < made.mask.data.sum()


def test_a_mask_that_reaches_the_face_is_told(folder, tmp_path, capsys):
    masked(tmp_path, f"--mask={folder}/mask.mrc", "--dilate=20", "--soft=0.0")
    assert "warning: the mask touches the face of the box" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "mask starts from --half1 and --half2, --map, or --mask"),
        (["--half1=half1.mrc"], "mask starts from"),
        (["--map=map.mrc", "--mask=mask.mrc"], "mask starts from"),
        (["--map=map.mrc", "--threshold=1e9"], "the mask is empty; hint: lower --threshold"),
        (["--map=map.mrc", "--threshold=-1e9"], "the mask fills the box; hint: raise --threshold"),
        (["--mask=mask.mrc", "--soft=-1"], "an edge of -1 Å has no meaning"),
    ],
)
def test_what_makes_no_mask_is_refused_and_leaves_nothing(folder, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(folder)
    assert main(["mask", *words, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["monoras"], "did you mean monores?"),
        (["simulat"], "did you mean simulate?"),
        (["monores", "--out=a", "--resolutoin-step=1"], "did you mean --resolution-step?"),
        (["mask", "--out=a", "--treshold", "1"], "did you mean --threshold?"),
        (["diagnose", "half1.mrc", "half2.mrc"], "half1.mrc wants an option before it, as --half1"),
    ],
)
def test_a_misspelled_word_is_told_what_it_was_meant_to_be(capsys, words, meant):
    assert main(words) == 2
    assert meant in capsys.readouterr().err


def test_a_word_that_is_like_none_gets_no_suggestion(capsys):
    assert main(["xyzzy"]) == 2
    assert "did you mean" not in capsys.readouterr().err
