"""Training of the enhancers: lessons of simulated maps, and pairs of a laboratory."""

import csv
import json

import numpy as np
import pytest

from cryores.atoms import atom_positions, read_model, sequence_identity
from cryores.cli import main
from cryores.errors import InputError, UsageError
from cryores.mapio import write_map
from cryores.postprocessing._real_space import around_atoms
from cryores.simulation import simulate

pytest.importorskip("keras", reason="the networks need Python 3.10 and Keras 3")

from cryores.nets.enhancer import FORMAT
from cryores.nets.enhancer_bands import CONTRAST, COUNT, FEATURES, described, with_gains
from cryores.nets.one_angstrom import OneAngstrom
from cryores.nets.stored_weights import load_weights
from cryores.nets.training import denoiser as of_denoiser
from cryores.nets.training import pairs as of_pairs
from cryores.nets.training.enhancer import SHAPE, lesson_files, model_part, new_lesson
from cryores.nets.training.enhancer_maps import RECIPES, ModelMap, Simulator, lesson, model_map
from cryores.nets.training.loop import RunningMean

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Half maps and models of two bundles of helices, and a table of them, with a third row that is too coarse."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for name, seed, residue in (("one", 1, "LEU"), ("two", 2, "GLU"), ("coarse", 3, "LYS")):
        made = simulate(shape=(36, 36, 36), voxel_size=1.6, finest=3.5, coarsest=4.5, snr=4.0, b=60.0, seed=seed)
        for one in made.structure[0].all():
            one.residue.name = residue
        made.structure.write_pdb(str(folder / f"{name}.pdb"))
        for half, volume in (("half1", made.halves.half1), ("half2", made.halves.half2)):
            write_map(folder / f"{name}-{half}.mrc", volume)
        rows.append([f"{name}-half1.mrc", f"{name}-half2.mrc", f"{name}.pdb", "9.0" if name == "coarse" else "3.5"])
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["half1", "half2", "model", "resolution"], *rows])
    return folder


def test_sequences_are_compared_after_alignment():
    assert sequence_identity("ACDEFGHIKL", "ACDEFGHIKL") == 1
    assert sequence_identity("ACDEFGHIKL", "MMMACDEFGHIKLMMM") == 1
    assert sequence_identity("LLLLLLLLLL", "EEEEEEEEEE") == 0


def test_the_wanted_gains_sharpen_the_signal_and_empty_the_solvent(folder):
    item = model_map(str(folder / "one.pdb"), seed=1)
    simulator = Simulator(RECIPES["tightTarget"], 4)
    pair = simulator.pair(item)
    one = lesson(pair, simulator.recipe)
    made = with_gains(described(pair.given), one.gains)
    near = pair.distance <= 2.5
    assert made[near].std() == pytest.approx(CONTRAST, rel=0.25)
    assert np.abs(made[pair.distance > 15.0]).max(initial=0.0) < 0.05

    def agreement(volume):
        return np.corrcoef(volume[near], pair.reference[near])[0, 1]

    assert agreement(made) > agreement(pair.given)


def test_the_second_step_learns_what_the_first_would_make_without_noise(folder):
    item = model_map(str(folder / "one.pdb"), seed=1)
    simulator = Simulator(RECIPES["tightTarget"], 4, SHAPE)
    pair = simulator.pair(model_part(item, SHAPE, simulator.rng))
    wanted_gains = lesson(pair, simulator.recipe).gains
    one = of_denoiser.denoiser_lesson(pair, lambda features: wanted_gains[None], True)
    near = pair.distance <= 2.5

    def agreement(volume):
        return np.corrcoef(volume[near], pair.signal[near])[0, 1]

    left = one.enhanced - one.wanted
    assert agreement(one.wanted) > agreement(one.enhanced) + 0.02
    # What is to go is about as strong as what is said of the noise.
    told = np.sqrt(np.mean(np.square(one.deviation).sum(axis=-1)))
    assert 0.5 * told < np.sqrt(np.mean(np.square(left))) < 2.0 * told


def test_more_noise_is_more_of_the_same():
    model = ModelMap(np.ones((16,) * 3, dtype=np.float32), np.zeros((16,) * 3, dtype=np.uint8), "flat")
    pair = Simulator(RECIPES["tightTarget"], 3, (16, 16, 16)).pair(model)
    more = of_denoiser.noisier(pair, 2.0)
    np.testing.assert_allclose(more.noise, 2 * pair.noise)
    np.testing.assert_allclose(more.given - more.signal, 2 * (pair.given - pair.signal), atol=1e-5)


def test_the_running_mean_of_weights():
    class Network:
        trainable_variables = ()

    class Weight:
        def __init__(self, value):
            self.value = np.array([value], dtype=np.float32)

        def __array__(self, *_, **__):
            return self.value

        def assign(self, value):
            self.value = np.array(value)

    network = Network()
    network.trainable_variables = [Weight(4.0)]
    mean, plain = RunningMean(network, 0.9), RunningMean(network, 0.0)
    values = []
    for step in range(400):
        network.trainable_variables[0].assign(np.array([step % 2], dtype=np.float32))
        mean.add(step)
        plain.add(step)
        values.append(mean.values[0][0])
    assert values[0] == 0 and abs(np.mean(values[-2:]) - 0.5) < 1e-3 and plain.values[0][0] == 1
    assert mean.judged(lambda: float(np.array(network.trainable_variables[0])[0])) == values[-1]
    assert network.trainable_variables[0].value[0] == 1
    again = RunningMean(network, 0.9)
    again.restore(mean.told())
    assert again.values[0][0] == values[-1]


def test_the_command_trains_the_second_step(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(of_denoiser, "CHUNK", 3)
    models = tmp_path / "models"
    models.mkdir()
    for n in range(6):
        (models / f"m{n}.pdb").write_text((folder / "one.pdb").read_text())
    out = tmp_path / "out"
    words = ["train", "deepemhancer", "--second-step", "--models", str(models), "--out", str(out), "--quiet"]
    assert main([*words, "--target", "tightTarget", "--steps", "2", "--lessons", "3"]) == 0
    stored = load_weights(out / "denoiser-tightTarget.npz", of_denoiser.FORMAT)
    assert stored.description["schedule"]["steps"] == 2 and (out / "kept-aside.txt").read_text() == "m5.pdb\n"
    assert "--second-step --target tightTarget" in (out / "denoiser-tightTarget.md").read_text()
    # A mean of the first weights is not yet where they are; the state goes on with both.
    log = [json.loads(line) for line in (out / "denoiser-tightTarget-log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 2 and np.isfinite(log[-1]["judged"])
    with np.load(out / "denoiser-tightTarget-state.npz") as state:
        assert np.abs(state["mean000"] - state["v000"]).max() > 0
    assert main([*words, "--target", "tightTarget", "--steps", "3", "--lessons", "3"]) == 0
    assert main(["train", "deepemhancer", "--second-step", "--pairs", "t.csv", "--out", str(out), "--quiet"]) == 2


def test_what_is_presented_is_filtered_with_its_belt():
    simulator = Simulator(RECIPES["wideTarget"], 6, (24, 24, 24))
    belt, none = np.random.default_rng(1).standard_normal((24, 24, 24)).astype(np.float32), np.zeros((24, 24, 24))
    pairs = [simulator._presented(belt, none, belt, none, none, 5.0) for _ in range(8)]
    assert all(np.array_equal(pair.belt, pair.signal) for pair in pairs)
    assert min(pair.belt.std() for pair in pairs) < 0.9 * belt.std()


def test_lessons_of_other_settings_lie_apart(tmp_path):
    models = [tmp_path / "a.pdb", tmp_path / "b.pdb"]
    one, two = (lesson_files(tmp_path, "lessons", 30, some, {"seed": 1}) for some in (models, models[:1]))
    assert len(one) == 2 and not {*one} & {*two} and one == lesson_files(tmp_path, "lessons", 30, models, {"seed": 1})
    assert not {*one} & {*lesson_files(tmp_path, "lessons", 30, models, {"seed": 2})}


def test_where_there_is_no_molecule_nothing_is_wanted(folder):
    item = model_map(str(folder / "one.pdb"), seed=1)
    assert not new_lesson(item, Simulator(RECIPES["tightTarget"], 5, SHAPE), noise_only=True).gains.any()


def test_pairs_are_selected_by_resolution_fit_and_number_of_models(folder):
    rows = of_pairs.read_pairs(folder / "pairs.csv")
    swapped = of_pairs.MapPair(rows[0].half1, rows[0].half2, folder / "two.pdb", 3.5)
    kept, left_out = of_pairs.selected([rows[0], rows[2], swapped])
    assert kept == [rows[0]]
    assert "not better than 7" in left_out["coarse.pdb"] and "correlate" in left_out["two.pdb"]


def test_no_cluster_is_divided_and_none_counts_more_than_five_times(folder, monkeypatch):
    rows = of_pairs.read_pairs(folder / "pairs.csv")
    alike = [of_pairs.MapPair(rows[k].half1, rows[k].half2, rows[k].model, float(n)) for k in (0, 1) for n in range(7)]
    monkeypatch.setattr(of_pairs, "selected", lambda pairs, threads: (list(pairs), {}))
    found = of_pairs.divided(alike, seed=0)
    assert len(found.training) == 5 and len(found.validation) == 1 and not found.test
    assert {p.name for p in found.training}.isdisjoint(p.name for p in found.validation)
    with pytest.raises(InputError, match="E_PAIRS_FEW"):
        of_pairs.divided(alike[:7], seed=0)


def test_a_pair_teaches_what_local_scaling_to_its_model_gives(folder):
    pair = of_pairs.read_pairs(folder / "pairs.csv")[0]
    lessons = of_pairs.lessons_of_pair(pair, "tightTarget", seed=0)
    assert lessons[0].features.shape == (16, 16, 16, FEATURES) and lessons[0].gains.shape == (16, 16, 16, COUNT)
    volume = pair.halves().mean()
    way = OneAngstrom.of(volume.grid, 4, 64)
    made = with_gains(described(way.there(volume.data, float(np.median(volume.data)), 1)), lessons[0].gains)
    near = way.there(around_atoms(atom_positions(read_model(pair.model)), volume.grid, 2.5), 0.0, 1) > 0.5
    assert 0.5 * CONTRAST < made[near].std() < 2.0 * CONTRAST
    assert np.sqrt(np.mean(made[:6, :6, :6] ** 2)) < 0.1 * CONTRAST


def test_the_command_trains_on_pairs_and_goes_on_where_it_was_stopped(folder, tmp_path):
    words = ["train", "deepemhancer", "--pairs", str(folder / "pairs.csv"), "--out", str(tmp_path / "out"), "--quiet"]
    assert main([*words, "--target", "tightTarget", "--steps", "2"]) == 0
    assert main([*words, "--target", "tightTarget", "--steps", "4"]) == 0
    log = [json.loads(line) for line in (tmp_path / "out" / "tightTarget-log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    stored = load_weights(tmp_path / "out" / "enhancer-tightTarget.npz", FORMAT)
    assert stored.description["material"] == "half maps with models" and stored.description["maps"] == 1
    assert all(array.dtype == np.float16 for array in stored.arrays.values())
    assert "half maps with models" in (tmp_path / "out" / "enhancer-tightTarget.md").read_text()
    uses = dict(csv.reader((tmp_path / "out" / "pairs.csv").read_text().splitlines()[1:]))
    assert sorted(uses[n] for n in ("one.pdb", "two.pdb")) == ["training", "validation"] and "7 Å" in uses["coarse.pdb"]


def test_bad_tables(folder, tmp_path):
    with pytest.raises(InputError, match="E_NO_FILE"):
        of_pairs.read_pairs(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("half1,half2\na,b\n")
    with pytest.raises(UsageError, match="E_PAIRS"):
        of_pairs.read_pairs(tmp_path / "bad.csv")
    (tmp_path / "gone.csv").write_text("half1,half2,model,resolution\na.mrc,b.mrc,c.pdb,3\n")
    with pytest.raises(InputError, match="names"):
        of_pairs.read_pairs(tmp_path / "gone.csv")
    assert main(["train", "deepemhancer", "--out", str(tmp_path / "x"), "--quiet"]) == 2
    assert main(["train", "deepres", "--pairs", "t.csv", "--out", str(tmp_path / "x"), "--quiet"]) == 2
