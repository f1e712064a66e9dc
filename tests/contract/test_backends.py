"""Every method with a GPU version gives there what it gives on the processors.

Tried on a strict stand-in, whose arrays numpy cannot read: whatever a method forgets to fetch raises. On a GPU too,
where there is one; the stand-in knows nothing of a GPU's own rounding.
"""

import json
import warnings
import weakref

import numpy as np
import pytest
from devices import GPU, STAND_IN, device, stand_in

from cryores import array_backend, backend
from cryores.backend import gpu_bytes
from cryores.cli import main
from cryores.errors import CryoresWarning, MemoryBudgetError, UsageError
from cryores.execution import Execution
from cryores.mapio import write_map
from cryores.method import Inputs, load_method, method_summaries
from cryores.processed import ProcessedMap
from cryores.resolution._fsc_result import FSCResult
from cryores.resolution.fso import FSOResult
from cryores.simulation import simulate

METHODS = [name for name in method_summaries() if load_method(name).gpu_memory is not None]

BASIC = {
    "blocres-shells": ({"thickness": 12}, "halves mask"),
    "monodir": ({"resolution_step": 1.5}, "halves core"),
    "relion-locres": ({"sampling": 12.0, "draws": 1}, "halves mask"),
}
"""What is run of methods that refuse a box so small, or find one value in it, with their defaults."""

CASES = [(name, *BASIC.get(name, ({}, "halves mask"))) for name in METHODS] + [
    ("monodir", {"fast": True, "filter": "bandpass", "resolution_step": 2.0}, "one core"),
    ("fsc", {"compat": "relion", "cutoff": 0.5}, "halves"),
    ("postprocess", {"bfactor": -60.0, "low_pass": "4.5"}, "one"),
    ("postprocess", {"compat": "relion"}, "halves"),
    ("monores", {"filter": "bandpass", "noise_in_mask": False}, "halves mask"),
    ("monores", {"gaussian_noise": True}, "one mask"),
    ("monotomo", {"filter": "highpass", "noise_tile": 12.0}, "halves"),
    ("local-lowpass", {"edge": 0.4}, "one mask resolution"),
    ("locspiral", {"compat": "locspiral", "keep_negative": True}, "halves mask"),
    ("locbsharpen", {"compat": "locspiral", "min_resolution": 6.0}, "one mask"),
    ("locbfactor", {"only_significant": True, "min_resolution": 5.0}, "one mask"),
    ("localdeblur", {"iterations": 12}, "one mask resolution inside"),
    ("localdeblur", {"iterations": 3, "rounds": 2}, "one mask resolution inside"),
    ("autosharpen", {"resolution": 5.0, "target": "kurtosis"}, "one mask"),
    ("blocfilt", {"box": 9, "compat": "bsoft"}, "one mask resolution"),
    ("blocres", {"box": 11, "cutoff": (0.5, 0.2), "crossing": "first"}, "halves mask"),
    ("blocres", {"box": 10, "mode": "exact", "step": 4}, "halves mask"),
    ("blocres", {"box": 8, "mode": "exact", "step": 1, "padding": 0, "taper": "edge"}, "halves small"),
    ("blocres-shells", {"smooth": False, "thickness": 12, "step": 3}, "halves mask"),
    ("resmap", {"compat": "resmap", "whiten": "none", "resolution_step": 2.0}, "one mask"),
    ("locscale", {"min_resolution": 4.5, "window": 13.0}, "one mask reference"),
    ("locscale", {"min_resolution": 4.5, "window": 13.0, "compat": "locscale"}, "one mask"),
]


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(36, 33, 40), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


@pytest.fixture(scope="module")
def resolution(made):
    far = np.linalg.norm(np.indices(made.mask.data.shape) - 18.0, axis=0)
    return made.mask.like((4.0 + far / 6.0).astype(np.float32))


def given(made, resolution, roles):
    maps = made.halves if "halves" in roles else made.halves.mean()
    if "inside" in roles:
        resolution = resolution.like(np.where(made.mask.data > 0.5, resolution.data, np.float32(np.nan)))
    mask = made.mask if "mask" in roles.split() else None
    if "core" in roles:
        far = np.linalg.norm(
            [n // 2 - i for i, n in zip(np.indices(made.mask.data.shape), made.mask.data.shape)], axis=0
        )
        mask = made.mask.like((far < 0.25 * min(far.shape)).astype(np.float32))
    if "small" in roles:
        mask = made.mask.like(np.zeros_like(made.mask.data))
        mask.data[14:24, 13:20, 12:22] = 1.0
        mask.data[2:5, 3:6, 34:39] = 1.0  # from where boxes reach beyond the map
    return Inputs(
        maps,
        mask=mask,
        resolution_map=resolution if "resolution" in roles else None,
        reference=made.halves.half2 if "reference" in roles else None,
    )


def run(name, parameters, inputs, execution):
    method = load_method(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryoresWarning)
        return method.run(inputs, method.make_parameters(parameters), execution)


THRESHOLDED = ("locbsharpen", "localdeblur", "locspiral")
"""They ask of each voxel of a band whether it stands out of the noise (or MonoRes before them, where no resolution is
given): one at the limit may fall to either side."""


@pytest.mark.parametrize("where", [STAND_IN, GPU])
@pytest.mark.parametrize(("name", "parameters", "roles"), CASES)
def test_a_method_gives_the_same_there(made, resolution, name, parameters, roles, where):
    there = device(where)
    inputs = given(made, resolution, roles)
    before = [volume.data.copy() for volume in (made.halves.half1, made.halves.half2, made.mask)]
    here = run(name, parameters, inputs, Execution(threads=2)).result
    done = run(name, parameters, inputs, Execution(threads=2, backend=there))
    assert done.execution.backend is there
    found = done.result
    for volume, unchanged in zip((made.halves.half1, made.halves.half2, made.mask), before):
        np.testing.assert_array_equal(volume.data, unchanged)
    assert found.volumes().keys() == here.volumes().keys()
    varied = [isinstance(found, (ProcessedMap, FSCResult))]
    for key, expected in here.volumes().items():
        value = found.volumes()[key].data
        assert isinstance(value, np.ndarray) and value.dtype == np.float32
        assert np.mean(np.isnan(value) == np.isnan(expected.data)) >= 0.995
        a, b = np.nan_to_num(value), np.nan_to_num(expected.data)
        if isinstance(found, ProcessedMap):
            close = np.abs(a - b) <= 1e-4 * np.abs(b).max()
            assert np.mean(close) >= 0.995 if name in THRESHOLDED else close.all(), key
        else:
            # One voxel that changes its side changes the z-scores of all others at its radius a little.
            assert np.mean(np.isclose(a, b, rtol=1e-4, atol=0.02 if key == "zscore" else 0.0)) >= 0.995, key
            varied.append(np.ptp(b[b != 0]) > 0.1 * np.abs(b).max())
    assert any(varied)
    if isinstance(found, FSCResult):
        for key, curve in here.columns().items():
            np.testing.assert_allclose(found.columns()[key], curve, rtol=1e-4, atol=1e-4, err_msg=key)
        assert found.resolution == pytest.approx(here.resolution, rel=1e-4)
    if isinstance(found, FSOResult):
        for key in ("directional", "fso", "limits", "signal"):
            np.testing.assert_allclose(getattr(found, key), getattr(here, key), rtol=1e-4, atol=1e-4, err_msg=key)


WITHOUT = {"compare", "deepemhancer", "deepres", "evaluate", "verdict"}
"""Networks and tables."""


def test_the_methods_with_a_gpu_version():
    assert set(METHODS) == set(method_summaries()) - WITHOUT


def test_a_masked_model_is_compared_there_too(made, tmp_path):
    import gemmi

    structure, chain = gemmi.Structure(), gemmi.Chain("A")
    model, rng = gemmi.Model("1"), np.random.default_rng(2)
    for number, place in enumerate(rng.uniform(15, 40, (60, 3))):
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(str(number + 1))
        atom.name, atom.element, atom.pos, atom.b_iso = "CA", gemmi.Element("C"), gemmi.Position(*place), 20.0 + number
        residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(tmp_path / "model.pdb"))
    inputs = Inputs(made.halves, mask=made.mask, model=str(tmp_path / "model.pdb"))
    here, there = (
        run("fsc", {}, inputs, Execution(threads=1, **more)).result for more in ({}, {"backend": stand_in()})
    )
    np.testing.assert_allclose(there.model, here.model, atol=1e-5)
    for key in ("model_cc_box", "model_cc_mask", "model_cc_resolution"):
        assert there.details[key] == pytest.approx(here.details[key], abs=1e-5)


# --- memory -------------------------------------------------------------------------------------------------------


class Counted:
    """The bytes of arrays of the stand-in that lie there, and the most that have.

    Those of double precision are left out: the transforms of numpy make them, those of a GPU do not.
    """

    def __init__(self, monkeypatch):
        from array_api_strict._array_object import Array

        self.now = self.peak = 0
        self._owners = set()
        make = Array._new.__func__

        def counted(cls, x, /, device=None):
            made = make(cls, x, device)
            self._add(made._array)
            return made

        monkeypatch.setattr(Array, "_new", classmethod(counted))

    def _add(self, array):
        while isinstance(array.base, np.ndarray):
            array = array.base
        if id(array) not in self._owners and array.dtype not in (np.complex128, np.float64):
            self._owners.add(id(array))
            self.now += array.nbytes
            self.peak = max(self.peak, self.now)
            weakref.finalize(array, self._forget, id(array), array.nbytes)

    def _forget(self, owner, size):
        self._owners.discard(owner)
        self.now -= size


FEW = {"resolution_step": 5.0, "smooth": False}
"""Few frequencies: each holds as much as the others."""

PLANNED = [
    ("fsc", {}, "halves"),
    ("fsc", {}, "halves mask"),
    ("postprocess", {"low_pass": "5"}, "one"),
    ("monores", FEW, "halves mask"),
    ("monores", {"filter": "bandpass", **FEW}, "one mask"),
    ("monotomo", FEW, "halves"),
    ("local-lowpass", {"edge": 1.0}, "one mask resolution"),
    ("locspiral", {"min_resolution": 15.0}, "halves mask"),
    ("locbsharpen", {"min_resolution": 12.0}, "one mask"),
    ("locbfactor", {"min_resolution": 8.0, "points": 4}, "one mask"),
    ("lococcupancy", {"min_resolution": 15.0}, "halves mask"),
    ("localdeblur", {"iterations": 2}, "one mask resolution inside"),
    ("autosharpen", {"resolution": 5.0, "trials": 3}, "one mask"),
    ("autosharpen", {"trials": 3}, "halves mask"),
    ("fso", {"estimate_3dfsc": False}, "halves"),
    ("locscale", {"min_resolution": 5.0, "window": 12.0}, "halves mask"),
    ("blocfilt", {"box": 8}, "one mask resolution"),
    ("blocres", {"box": 15, "min_resolution": 9.0}, "halves mask"),
    ("blocres", {"box": 8, "step": 6}, "halves mask"),
    ("blocres-shells", {"thickness": 24, "step": 12}, "halves"),
    ("relion-locres", {"sampling": 36.0, "draws": 1}, "halves mask"),
    ("resmap", {"max_resolution": 6.0}, "halves mask"),
    ("locres", {}, "halves mask"),
    ("monodir", {"max_resolution": 8.0, "min_resolution": 6.0, "fast": True}, "halves core"),
    ("monodir", {"max_resolution": 8.0, "min_resolution": 6.0, "fast": True}, "one core"),
]


@pytest.fixture(scope="module")
def larger():
    """A box beside which tables are small."""
    return simulate(shape=(56, 60, 64), voxel_size=1.5, finest=6.0, coarsest=8.0, seed=3)


@pytest.mark.parametrize(("name", "parameters", "roles"), PLANNED)
def test_a_plan_of_the_device_is_what_arrays_take_there(larger, name, parameters, roles, monkeypatch):
    there, method = stand_in(), load_method(name)
    inputs = given(larger, larger.mask.like(larger.mask.data + 5.0), roles)
    monkeypatch.setattr(backend, "BATCH_BYTES", 2e5)
    planned = method.gpu_memory(inputs, method.make_parameters(parameters)) - gpu_bytes(inputs.grid, 0.0)
    monkeypatch.setattr(array_backend, "SLAB", 60 * 64)  # what expressions hold for a moment is planned apart
    counted = Counted(monkeypatch)
    run(name, parameters, inputs, Execution(threads=1, backend=there))
    assert counted.peak == pytest.approx(planned, rel=0.15)


def test_what_a_device_has_no_room_for_is_refused_before_any_work(made):
    small, put = stand_in(), []
    small.put, small.free_bytes = put.append, lambda: 0.2 * 1024**3
    said = r"E_MEMORY: this needs 0\.37 GB on a stand-in, where 0\.20 GB are free"
    with pytest.raises(MemoryBudgetError, match=said):
        run("fsc", {}, Inputs(made.halves, mask=made.mask), Execution(backend=small))
    assert put == []


def test_a_device_that_runs_out_of_memory_says_so(made):
    full, put = stand_in(), []

    def put_some(data):
        put.append(data.nbytes)
        if sum(put) > 1.5 * made.mask.data.nbytes:
            raise MemoryError(f"Out of memory allocating {data.nbytes:,} bytes")
        return stand_in().put(data)

    full.put = put_some
    with pytest.raises(MemoryBudgetError, match="E_MEMORY: a stand-in has run out of memory: Out of memory allocating"):
        run("monores", {}, Inputs(made.halves, mask=made.mask), Execution(backend=full))


# --- who may have a GPU -------------------------------------------------------------------------------------------


@pytest.fixture
def files(made, tmp_path):
    for name, volume in (("half1", made.halves.half1), ("half2", made.halves.half2), ("mask", made.mask)):
        write_map(tmp_path / f"{name}.mrc", volume)
    return [word for name in ("half1", "half2", "mask") for word in (f"--{name}", str(tmp_path / f"{name}.mrc"))]


def test_a_gpu_that_is_not_there_is_missed(files, tmp_path, capsys):
    try:
        device(GPU)
    except pytest.skip.Exception:
        assert main(["fsc", *files, "--device", "cuda:0", "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("error E_NO_GPU: cuda:0 was asked for, and CuPy ") and "[cuda]" in said
        assert not (tmp_path / "out").exists()
    else:
        pytest.skip("there is a GPU here")


def test_a_gpu_of_a_high_number_is_missed(made):
    with pytest.raises(UsageError, match="E_NO_GPU"):
        run("monores", {}, Inputs(made.halves, mask=made.mask), Execution(device="cuda:4711"))


def test_a_method_without_a_gpu_version_says_so_and_reports_the_processors(resolution, files, tmp_path, capsys):
    compared = [str(tmp_path / name) for name in ("one.mrc", "two.mrc")]
    for path, more in zip(compared, (0.0, 1.0)):
        write_map(path, resolution.like(resolution.data + np.float32(more)))
    words = ["compare", "--maps", *compared, "--map", files[1], "--mask", files[5]]
    assert main([*words, "--device", "cuda", "--out", str(tmp_path / "out")]) == 0
    assert "has no GPU version: it ran on the processors" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["device"] == "cpu"
    assert any("no GPU version" in warning for warning in report["warnings"])


def test_networks_choose_their_device_by_themselves():
    computes = {
        (name, weights): load_method(name).network(load_method(name).make_parameters({"weights": weights}))
        for name in ("deepres", "deepemhancer", "verdict")
        for weights in ("own", "published")
    }
    assert [case for case, tensorflow in computes.items() if not tensorflow] == [("deepres", "own"), ("verdict", "own")]
    others = [load_method(name) for name in method_summaries() if name not in ("deepres", "deepemhancer", "verdict")]
    assert not any(method.network(method.make_parameters({})) for method in others)
