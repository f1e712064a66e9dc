"""DeepRes with our own network: its invariants, planted truth, and where it has to stop."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cryores.cli import main
from cryores.errors import CryoresWarning, UsageError, WeightsError
from cryores.execution import Execution
from cryores.filters import bfactor, low_pass
from cryores.fourier import filtered
from cryores.mapio import write_map
from cryores.method import Inputs
from cryores.nets.homogeneous import MARGIN, Describer, quantiles
from cryores.nets.own_deepres import FORMAT, Reading, _edge, memory, shipped_weights
from cryores.nets.stored_weights import load_weights
from cryores.nets.tiles import blocks_within, corners, over_blocks
from cryores.resample import Resampled, resampled
from cryores.resolution import deepres
from cryores.resolution.deepres import METHOD, back, nearest, working_shape
from cryores.simulation import simulate
from cryores.volume import Grid, Volume

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="TensorFlow is not installed: it needs Python 3.10 or newer"
)


@pytest.fixture(scope="module")
def made():
    """An ideal helix bundle, which no network was trained on, without noise, and its mask."""
    found = simulate(shape=(64, 64, 64), voxel_size=1.0, finest=2.1, resolution_field="constant", seed=5)
    mask = found.mask.data.copy()
    mask[:, :, :20] = 0
    return found.clean, found.mask.like(mask)


def limited(volume, resolution, b=0.0):
    low = filtered(volume.data, low_pass(resolution, 0.02), volume.grid, 1)
    return volume.like(filtered(low, bfactor(b), volume.grid, 1) if b else low)


def seen(volume, mask, **options):
    return deepres(volume, mask, Execution(threads=1), range=options.pop("range", "2.5-13"), **options)


# --- blocks and grids, which need no network ----------------------------------------------------------------------


def test_blocks_cover_the_mask_and_nothing_else():
    mask = np.zeros((20, 31, 17), dtype=bool)
    mask[3:9, 25:29, 2:15] = True
    mask[18, 2, 3] = True
    covered = np.zeros_like(mask)
    blocks = corners(mask, (8, 8, 8))
    for z, y, x in blocks:
        covered[z : z + 8, y : y + 8, x : x + 8] = True
        assert mask[z : z + 8, y : y + 8, x : x + 8].any()
    assert covered[mask].all()
    assert corners(np.zeros_like(mask), (8, 8, 8)) == []


def test_the_answer_of_a_block_does_not_depend_on_the_blocks():
    """A stand-in for a network: the sum of the cube of 5 voxels, which loses 2 on each side."""
    data = np.random.default_rng(0).standard_normal((19, 14, 22)).astype(np.float32)
    mask = np.ones(data.shape, dtype=bool)

    def sums(cube):
        return np.lib.stride_tricks.sliding_window_view(cube, (5, 5, 5)).sum(axis=(3, 4, 5))

    def answer(cube, where):
        return np.pad(sums(cube), 2)[where][:, None]

    seen = Resampled(data, data.shape)
    small, large = (over_blocks(seen, mask, 2, edge, answer, Execution()) for edge in (8, 13))
    np.testing.assert_array_equal(small, large)
    np.testing.assert_allclose(small[0], sums(np.pad(data, 2, mode="reflect")), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("shape", [(38, 28, 44), (27, 16, 22), (13, 14, 15)])
def test_blocks_seen_on_another_grid_answer_as_the_whole_map_on_it_would(shape):
    """A stand-in for a network: the resampled density itself. Then back, as what is known of the whole goes back."""
    data = np.random.default_rng(1).standard_normal((19, 14, 22)).astype(np.float32)
    mask = np.zeros(data.shape, dtype=bool)
    mask[2:15, 3:14, 1:20] = True
    asked = []

    def answer(cube, where):
        asked.append(int(where.sum()))
        assert not np.isnan(cube).any()
        return np.stack([cube[where], 2.0 * cube[where]], axis=1)

    found = over_blocks(Resampled(data, shape), mask, 2, 13, answer, Execution(), channels=2)
    whole = np.where(nearest(mask, shape), resampled(data, shape, 1), np.float32(np.nan))
    np.testing.assert_allclose(found[0], back(whole, mask), atol=2e-6)
    np.testing.assert_allclose(found[1], 2.0 * found[0], rtol=1e-6)
    if shape == (38, 28, 44):
        # Where every second voxel lies on the map's, the others are not asked for.
        assert sum(asked) == mask.sum() and np.isfinite(found[0]).sum() == mask.sum()


def test_as_many_voxels_lie_in_a_block_as_can_be_seen():
    for own in range(5, 40):
        for other in range(5, 60):
            place = np.arange(own) * other / own
            inner = 12
            n = blocks_within((own,) * 3, (other,) * 3, inner)[0]
            for first in range(max(1, own - n)):
                some = place[first : first + n]
                assert np.ceil(some[-1] - 1e-9) - np.floor(some[0] + 1e-9) + 1 <= inner
    assert blocks_within((10, 20, 5), (20, 20, 10), 12) == (6, 12, 6)


def test_values_reach_the_rim_unmixed_with_what_is_outside():
    grid = Grid.regular((20, 22, 24), 1.7)
    inside = np.zeros(grid.shape, dtype=bool)
    inside[5:12, 6:15, 7:16] = True
    shape = working_shape(grid, 1.0)
    assert shape == (34, 37, 41)
    values = np.where(nearest(inside, shape), np.float32(4.0), np.float32(np.nan))
    again = back(values, inside)
    np.testing.assert_allclose(again[inside], 4.0, rtol=1e-6)
    assert np.isnan(again[~inside]).all()


def test_a_gradient_comes_back_as_it_was():
    fine = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 40, 40))
    again = back(fine.copy(), np.ones((20, 20, 20), dtype=bool))
    np.testing.assert_allclose(again[:, 3, 3], 2.0 * np.arange(20), rtol=1e-5)


# --- the network --------------------------------------------------------------------------------------------------


def read(data, first, edge, places):
    """Return the network's answers (Å) at ``places`` of the window of ``edge`` voxels that begins at ``first``."""
    stored = load_weights(shipped_weights(1.0), FORMAT)
    window = data[tuple(slice(start, start + edge) for start in first)]
    described = Describer(edge)(window, tuple(np.array(places).T - np.array(first)[:, None]))
    return Reading(stored.arrays)(described)[0]


def test_a_window_has_the_answer_of_the_volume(made):
    data = limited(made[0], 4.0).data
    data = data / data.std()
    places = [(31, 30, 36), (32, 31, 37), (31, 31, 36)]
    edge = 2 * MARGIN + 2
    whole = read(data, (0, 0, 0), 64, places)
    window = read(data, (31 - MARGIN, 30 - MARGIN, 36 - MARGIN), edge, places)
    np.testing.assert_allclose(window, whole, rtol=1e-4)
    assert whole.min() > 2.0 and whole.max() < 10.0


def test_a_description_sees_no_further_than_its_margin():
    rng = np.random.default_rng(3)
    cube = rng.standard_normal((52, 52, 52)).astype(np.float32)
    other = cube.copy()
    place = (np.array([26]),) * 3
    reach = np.abs(np.arange(52) - 26) > MARGIN
    other[reach] = 5.0 * rng.standard_normal((int(reach.sum()), 52, 52))
    first, second = (Describer(52)(one, place) for one in (cube, other))
    np.testing.assert_allclose(second, first, atol=1e-4)
    other[26 + 12] += 3.0
    assert np.abs(Describer(52)(other, place) - first).max() > 0.01


def test_the_number_of_threads_changes_nothing():
    cube = np.random.default_rng(4).standard_normal((56, 56, 56)).astype(np.float32)
    where = np.zeros(cube.shape, dtype=bool)
    where[25, MARGIN:-MARGIN, 25] = True
    np.testing.assert_array_equal(Describer(56, 3)(cube, where), Describer(56, 1)(cube, where))


def test_quantiles_are_those_of_the_distribution():
    bounds = np.array([1.0, 2.0, 4.0, 8.0])
    logits = np.log(np.array([[0.25, 0.5, 0.25], [1e-30, 1e-30, 1.0]], dtype=np.float32))
    found = quantiles(logits, bounds, (0.25, 0.5, 0.75))
    np.testing.assert_allclose(found[0], [2.0, 2.0 * np.sqrt(2.0), 4.0], rtol=1e-5)
    np.testing.assert_allclose(found[1], 4.0 * 2.0 ** np.array([0.25, 0.5, 0.75]), rtol=1e-5)


def test_scale_does_not_matter_and_a_shift_shifts(made):
    volume, mask = limited(made[0], 5.0), made[1]
    first = seen(volume, mask).resolution.data
    scaled = seen(volume.like(volume.data * 3e-4), mask).resolution.data
    np.testing.assert_allclose(scaled, first, rtol=1e-3)
    shift = (3, 0, 5)
    data, moved = (np.roll(one.data, shift, (0, 1, 2)) for one in (volume, mask))
    again = np.roll(seen(volume.like(data), mask.like(moved)).resolution.data, (-3, 0, -5), (0, 1, 2))
    # Nearer the border the network sees the map's reflection, which does not shift.
    inner = (slice(24, -26),) * 3
    assert np.isfinite(first[inner]).sum() > 500
    np.testing.assert_allclose(again[inner], first[inner], rtol=1e-3)


def test_a_quarter_turn_moves_the_median_little(made):
    volume, mask = limited(made[0], 6.0), made[1]
    medians = []
    for axes in (None, (0, 1), (1, 2)):
        turned = [np.rot90(one.data, 1, axes) if axes else one.data for one in (volume, mask)]
        medians.append(np.nanmedian(seen(volume.like(turned[0]), mask.like(turned[1])).resolution.data))
    assert np.ptp(medians) <= 0.05


def test_planted_limits_are_found_and_sharpening_is_seen(made):
    volume, mask = made
    found = [np.nanmedian(seen(limited(volume, r), mask).resolution.data) for r in (3.5, 6.0, 10.0)]
    np.testing.assert_allclose(found, [3.5, 6.0, 10.0], rtol=0.15)
    by_b = [np.nanmedian(seen(limited(volume, 4.0, b), mask).resolution.data) for b in (-60.0, 0.0, 100.0)]
    assert by_b[0] < by_b[1] < by_b[2]


def test_result_has_an_uncertainty_and_stays_in_what_was_learned(made):
    result = seen(limited(made[0], 4.0), made[1])
    inside = made[1].data > 0.5
    for values in (result.resolution.data, result.extra["uncertainty"].data):
        assert np.isfinite(values[inside]).all() and np.isnan(values[~inside]).all()
    assert result.resolution.data[inside].min() >= 2.05 and result.resolution.data[inside].max() <= 16.0
    assert 0.01 < np.median(result.extra["uncertainty"].data[inside]) < 2.0
    assert result.details["range"] == "2.5-13"


def test_answers_reach_beyond_the_range_and_are_counted(made):
    volume, mask = made
    coarse = seen(limited(volume, 14.5), mask)
    values = coarse.values()
    assert 13.0 < np.median(values) <= values.max() <= 16.0
    assert coarse.details["at_the_coarsest_fraction"] == np.mean(values >= 13.0) > 0.5
    assert "beyond" in coarse.criterion and coarse.details["at_the_finest_fraction"] == 0.0
    fine = seen(volume, mask)
    values = fine.values()
    assert 2.05 <= values.min() < 2.5
    assert fine.details["at_the_finest_fraction"] == np.mean(values <= 2.5) > 0.2


def test_no_answer_is_finer_than_nyquist(made):
    volume, mask = made
    wide = [Volume(one.data, Grid.regular(one.grid.shape, 1.2)) for one in (volume, mask)]
    result = seen(*wide)
    assert result.values().min() == pytest.approx(2.4) and result.details["at_the_finest_fraction"] > 0.1


def test_blocks_are_those_of_the_least_work_that_memory_holds():
    shape = (130, 130, 130)
    mask = np.zeros(shape, dtype=bool)
    mask[20:120, 10:110, 15:115] = True
    assert _edge(shape, shape, 1, 2e9, mask) == 150, "one block of 102 answers an axis"
    assert _edge(shape, shape, 1, 3e8, mask) < 150
    least = memory(shape, shape, 1, 0.0, mask)
    for room in (least, 4e8, 6e8, 2e9):
        assert least <= memory(shape, shape, 1, room, mask) <= max(room, least)


def test_the_finer_range_takes_no_map_of_its_size():
    """512 voxels of 1 Å along each axis: a map on voxels of 0.5 Å would take 4.3 GB."""
    volume = Volume(np.broadcast_to(np.float32(0), (512, 512, 512)), Grid.regular((512, 512, 512), 1.0))
    inputs = Inputs(volume, mask=volume)
    plans = [METHOD.plan(inputs, METHOD.make_parameters({"range": r}), 4) for r in ("2.5-13", "1.5-6")]
    assert plans[0] == pytest.approx(plans[1], rel=0.05) and plans[1] < 5 * 4 * 512**3 + 2e9


# --- where it stops -----------------------------------------------------------------------------------------------


def test_damaged_and_foreign_weights_are_refused(tmp_path):
    whole = shipped_weights(1.0).read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bent.npz").write_bytes(whole[:2000] + bytes(200) + whole[2200:])
    (tmp_path / "text.npz").write_text("no weights")
    for name in ("short", "bent", "text"):
        with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
            load_weights(tmp_path / f"{name}.npz", FORMAT)
    with pytest.raises(WeightsError, match="E_WEIGHTS_MISSING"):
        load_weights(tmp_path / "none.npz", FORMAT)
    with pytest.raises(WeightsError, match="E_WEIGHTS_OTHER"):
        load_weights(shipped_weights(1.0), "cryores deepres 1")
    stored = load_weights(shipped_weights(1.0), FORMAT)
    arrays = {name: array for name, array in stored.arrays.items() if not name.startswith("head0/")}
    with pytest.raises(WeightsError, match="another network"):
        Reading(arrays)


@needs_tensorflow
def test_a_gpu_that_is_not_there_is_missed(made):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    parameters = METHOD.make_parameters({"weights": "published"})
    with pytest.raises(UsageError, match="E_NO_GPU"):
        METHOD.compute(Inputs(made[0], mask=made[1]), parameters, Execution(device="cuda"))


def test_our_own_network_runs_on_the_processors_and_says_so(made):
    with pytest.warns(CryoresWarning, match="DeepRes has no GPU version: it ran on the processors"):
        asked = deepres(made[0], made[1], Execution(device="cuda"))
    usual = deepres(made[0], made[1])
    np.testing.assert_array_equal(asked.resolution.data, usual.resolution.data)


def test_our_own_network_needs_no_tensorflow(tmp_path, made):
    """In a process in which nobody can import tensorflow."""
    write_map(tmp_path / "map.mrc", made[0])
    write_map(tmp_path / "mask.mrc", made[1])
    code = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tensorflow', 'keras'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}')\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "from cryores.cli import main\n"
        "sys.exit(main(['deepres', '--map', 'map.mrc', '--mask', 'mask.mrc', '--out', 'out', '--quiet']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "resolution.mrc").exists()


def test_negative_density_is_told(made):
    volume, mask = made
    negative = METHOD.run(Inputs(volume.like(-volume.data), mask=mask), METHOD.make_parameters({"range": "2.5-13"}))
    assert any("density looks negative" in finding for finding in negative.findings)
    assert METHOD.check(Inputs(volume, mask=mask), METHOD.make_parameters({"range": "2.5-13"})) == []


def test_an_unknown_range_is_refused(made):
    with pytest.raises(UsageError, match=r"2\.5-13"):
        deepres(made[0], made[1], range="2-4")


def test_the_command_writes_what_it_declares(tmp_path, made):
    write_map(tmp_path / "map.mrc", limited(made[0], 4.0))
    write_map(tmp_path / "mask.mrc", made[1])
    words = ["deepres", "--map", str(tmp_path / "map.mrc"), "--mask", str(tmp_path / "mask.mrc")]
    assert main([*words, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    for name in (*METHOD.outputs, "report.json", "histogram.png", "slices.png", "view.cxc"):
        assert (Path(tmp_path) / "out" / name).exists(), name


def test_the_working_grid_spans_the_same_box():
    grid = Grid.regular((40, 44, 36), (1.3, 1.3, 1.3))
    assert working_shape(grid, 1.0) == (52, 57, 47) and working_shape(grid, 0.5) == (104, 114, 94)
