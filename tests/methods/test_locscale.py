"""LocScale: what it keeps to, and which models it refuses."""

import gemmi
import numpy as np
import pytest

from cryores import Volume
from cryores.cli import main
from cryores.errors import CryoresWarning, InputError, UsageError
from cryores.execution import Execution
from cryores.filters import bfactor
from cryores.fourier import filtered
from cryores.local_scaling import scaled_to_reference
from cryores.mapio import write_map
from cryores.masks import sphere
from cryores.postprocessing import locscale
from cryores.postprocessing._locscale_targets import agreement, expected
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps

pytestmark = pytest.mark.filterwarnings("ignore::cryores.errors.CryoresWarning")
GRID = Grid.regular((31, 34, 29), 1.3)
WINDOW = {"window": 13.0}


def white(seed, grid=GRID):
    return Volume(np.random.default_rng(seed).standard_normal(grid.shape).astype(np.float32), grid)


@pytest.fixture(scope="module")
def inside():
    return sphere(GRID, 13.0)


@pytest.fixture(scope="module")
def made():
    return simulate(shape=(44, 48, 46), voxel_size=1.5, finest=4.0, coarsest=8.0, seed=3)


@pytest.fixture(scope="module")
def model(made, tmp_path_factory):
    """The simulation's model with B-factors that grow along z, from 20 to 80 Å²."""
    path = tmp_path_factory.mktemp("model") / "model.pdb"
    structure = made.structure.clone()
    for site in structure[0].all():
        atom = site.atom
        atom.b_iso = 20.0 + 60.0 * atom.pos.z / made.clean.grid.extent[0]
        site.atom.b_iso = atom.b_iso
    structure.write_pdb(str(path))
    return path


def changed(path, tmp_path, change, suffix="pdb"):
    structure = gemmi.read_structure(str(path))
    change(structure)
    out = tmp_path / f"changed.{suffix}"
    if suffix == "pdb":
        structure.write_pdb(str(out))
    else:
        structure.make_mmcif_document().write_file(str(out))
    return str(out)


def all_to(bfactor):
    def change(structure):
        for site in structure[0].all():
            site.atom.b_iso = bfactor

    return change


# --- invariants ---------------------------------------------------------------------------------------------------


def test_its_own_reference_leaves_a_map_as_it_is(inside):
    volume = white(1)
    result = locscale(volume, inside, reference=volume, **WINDOW).sharpened.data
    within = inside.data > 0.5
    np.testing.assert_allclose(result[within], volume.data[within], atol=1e-5)
    assert np.all(result[~within] == 0)


def test_the_result_has_the_scale_of_the_reference(inside):
    volume, reference = white(1), white(2)
    plain = locscale(volume, inside, reference=reference, **WINDOW).sharpened.data
    louder = locscale(volume.like(7.3 * volume.data), inside, reference=reference, **WINDOW).sharpened.data
    taller = locscale(volume, inside, reference=reference.like(0.02 * reference.data), **WINDOW).sharpened.data
    np.testing.assert_allclose(louder, plain, atol=1e-4)
    np.testing.assert_allclose(taller, 0.02 * plain, atol=1e-6)


def test_the_order_of_axes_planes_and_threads_changes_nothing(inside):
    volume, reference = white(1), white(2)
    plain = locscale(volume, inside, reference=reference, execution=Execution(threads=1), **WINDOW).sharpened.data
    many = locscale(volume, inside, reference=reference, execution=Execution(threads=3), **WINDOW).sharpened.data
    np.testing.assert_array_equal(many, plain)
    turned = [Volume(v.data.transpose(2, 0, 1), Grid.regular((29, 31, 34), 1.3)) for v in (volume, inside, reference)]
    other = locscale(turned[0], turned[1], reference=turned[2], **WINDOW).sharpened.data
    np.testing.assert_allclose(other, plain.transpose(2, 0, 1), atol=1e-5)
    some = inside.data.copy()
    some[:, ::3] = 0
    part = locscale(volume, inside.like(some), reference=reference.like(reference.data), **WINDOW)
    assert np.count_nonzero(part.sharpened.data) == np.count_nonzero(some > 0.5)


def test_arrays_give_what_the_method_gives(inside):
    volume, reference = white(1), white(2)
    result = locscale(volume, inside, reference=reference, **WINDOW).sharpened.data
    bare = scaled_to_reference(volume.data, reference.data, inside.data > 0.5, 11, Execution(threads=2))
    np.testing.assert_array_equal(bare, result)


def test_a_filter_of_the_map_is_undone(made):
    # A local B-factor of the map is no matter: its amplitudes come from the reference.
    blurred = made.clean.like(filtered(made.clean.data, bfactor(80.0), made.clean.grid, 2))
    result = locscale(blurred, made.mask, reference=made.clean).sharpened.data
    within = made.mask.data > 0.5
    before = np.corrcoef(blurred.data[within], made.clean.data[within])[0, 1]
    after = np.corrcoef(result[within], made.clean.data[within])[0, 1]
    assert after > 0.995 > before
    assert result[within].std() == pytest.approx(made.clean.data[within].std(), rel=0.02)


def test_where_the_map_is_constant_nothing_is_made(inside):
    volume = white(1)
    empty = volume.data.copy()
    empty[:, :17] = 0.1
    result = locscale(volume.like(empty), inside, reference=white(2), **WINDOW).sharpened.data
    far = (inside.data > 0.5) & (np.arange(34)[None, :, None] < 12)
    near = (inside.data > 0.5) & (np.arange(34)[None, :, None] > 16)
    # Only the mean is left to be scaled.
    assert np.abs(result[far]).max() < 0.2 < result[near].std()


def test_a_quarter_turn_of_the_maps_turns_the_result():
    cube = Grid.regular((25, 25, 25), 1.3)
    halves = HalfMaps(white(1, cube), white(2, cube))
    halves = HalfMaps(*(h.like(h.data + 2 * white(3, cube).data) for h in (halves.half1, halves.half2)))
    ball, options = sphere(cube, 11.0), {"min_resolution": 3.0, **WINDOW}
    plain = locscale(halves, ball, **options).sharpened.data
    for axes in ((0, 1), (1, 2), (0, 2)):
        turned = HalfMaps(*(h.like(np.rot90(h.data, axes=axes).copy()) for h in (halves.half1, halves.half2)))
        result = locscale(turned, ball, **options).sharpened.data
        np.testing.assert_allclose(result, np.rot90(plain, axes=axes), atol=1e-5 * np.abs(plain).max())


# --- models -------------------------------------------------------------------------------------------------------


def test_the_bfactors_of_the_model_are_found_where_they_are(made, model, tmp_path):
    options = {"min_resolution": 3.6, "window": 18.0}
    core = (sphere(made.mask.grid, 15.0).data > 0.5) & (made.mask.data > 0.5)

    def found(change):
        path = changed(model, tmp_path, change)
        return locscale(made.halves, made.mask, model=path, **options).extra["bfactor"].data[core]

    sharp, soft = found(all_to(20.0)), found(all_to(50.0))
    assert np.median(soft - sharp) == pytest.approx(30.0, rel=0.25)
    along = (np.arange(44)[:, None, None] * np.ones(made.mask.grid.shape))[core]
    assert np.polyfit(along, found(lambda structure: None) - sharp, 1)[0] * 44 > 30.0


def test_half_maps_weigh_noise_down(made, model):
    within = made.mask.data > 0.5

    def correlation(**options):
        result = locscale(made.halves, made.mask, model=str(model), window=18.0, **options)
        return np.corrcoef(result.sharpened.data[within], made.clean.data[within])[0, 1]

    assert correlation() > correlation(fsc_weighting=False)


def test_the_weight_is_that_of_the_fsc_and_ends_with_significance():
    rng = np.random.default_rng(0)
    signal, noise1, noise2 = rng.standard_normal((3, 200000))
    half1, half2 = signal + noise1, signal + noise2
    own, half_difference = (np.sqrt(np.mean(a**2)) for a in ((half1 + half2) / 2, (half1 - half2) / 2))
    fsc = float(np.mean(half1 * half2) / np.sqrt(np.mean(half1**2) * np.mean(half2**2)))
    profile = np.array([[own] * 3 + [half_difference, own]])
    weight = agreement(profile, np.full((1, 5), half_difference), np.full(5, 100.0))[0]
    np.testing.assert_allclose(weight[:3], np.sqrt(2 * fsc / (1 + fsc)), rtol=0.01)
    np.testing.assert_array_equal(weight[3:], 0.0)
    few = agreement(profile, np.full((1, 5), half_difference), np.full(5, 10.0))[0]
    np.testing.assert_array_equal(few > 0, [True, True, False, False, False])


def test_the_result_agrees_better_with_the_model(made, model):
    details = locscale(made.halves, made.mask, model=str(model), window=18.0).details
    assert details["model_correlation_after"] > details["model_correlation_before"] > 0.3
    assert details["model_resolution_before"] < 12


def test_a_mask_beside_the_model_is_told(made, model):
    few = np.zeros(made.mask.grid.shape, dtype=np.float32)
    few[22, 24, 20:26] = 1
    details = locscale(made.halves, made.mask.like(few), model=str(model), window=13.0, min_resolution=4.0).details
    assert details["model_in_mask"] < 0.05 and "lies in the mask" in details["warnings"][0]
    few[:] = 0
    few[2, 2, 2:8] = 1
    details = locscale(made.halves, made.mask.like(few), model=str(model), window=13.0, min_resolution=4.0).details
    assert details["model_in_mask"] == 0 and "model_correlation_after" not in details


def test_what_a_partial_model_lacks_is_kept(made, model, tmp_path):
    middle = made.clean.grid.extent[1] / 2

    def halve(structure):
        for chain in structure[0]:
            for residue in chain:
                for i in reversed(range(len(residue))):
                    if residue[i].pos.y > middle:
                        del residue[i]

    half = changed(model, tmp_path, halve)
    far = (made.mask.data > 0.5) & (np.arange(48)[None, :, None] > 24 + 10)
    options = {"model": half, "window": 13.0}
    without = locscale(made.halves, made.mask, **options).sharpened.data
    whole = locscale(made.halves, made.mask, incomplete=True, **options).sharpened.data
    near = (made.mask.data > 0.5) & (np.arange(48)[None, :, None] < 24 - 4)
    assert without[far].std() < 0.05 * without[near].std() < 0.5 * whole[far].std()


# --- without a reference ------------------------------------------------------------------------------------------


def test_without_a_reference_every_region_gets_one_bfactor(inside):
    volume = white(4)
    blurred = volume.like(filtered(volume.data, bfactor(30.0), GRID, 2))
    plain, soft = (locscale(v, inside, min_resolution=2.8, window=20.0) for v in (volume, blurred))
    within = inside.data > 0.5
    shift = np.median(soft.extra["bfactor"].data[within] - plain.extra["bfactor"].data[within])
    assert shift == pytest.approx(30.0, rel=0.1)
    assert np.corrcoef(plain.sharpened.data[within], soft.sharpened.data[within])[0, 1] > 0.97
    assert np.corrcoef(volume.data[within], soft.sharpened.data[within])[0, 1] < 0.97


def test_theory_joins_the_maps_own_amplitudes():
    frequency = np.linspace(0.02, 0.4, 30)
    own = np.exp(-10 * frequency)[None] * [[1.0], [50.0]]
    target = expected(own, frequency, 20.0)
    coarse = frequency < 1 / 12
    np.testing.assert_allclose(target[:, coarse], own[:, coarse])
    np.testing.assert_allclose(target[1], 50 * target[0])
    sharper = expected(own, frequency, 0.0)
    ends = np.log(sharper[0] / target[0])[frequency > 1 / 6]
    np.testing.assert_allclose(np.diff(ends), np.diff(0.25 * 20.0 * frequency[frequency > 1 / 6] ** 2), rtol=1e-6)


# --- what cannot work ---------------------------------------------------------------------------------------------


def moved(distance):
    def change(structure):
        for site in structure[0].all():
            p = site.atom.pos
            p.x += distance
            site.atom.pos = p

    return change


def only(keep):
    def change(structure):
        for chain in structure[0]:
            for residue in chain:
                for i in reversed(range(len(residue))):
                    if not keep(residue[i]):
                        del residue[i]

    return change


def hydrogens(structure):
    for site in structure[0].all():
        site.atom.element = gemmi.Element("H")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (all_to(0.0), "E_MODEL_BFACTORS"),
        (moved(500.0), "E_MODEL_OUTSIDE"),
        (moved(22.0), "E_MODEL_MISFIT"),
        (hydrogens, "E_MODEL"),
        (only(lambda atom: atom.name == "CA"), "E_MODEL_TRACE"),
        (only(lambda atom: False), "E_MODEL"),
    ],
)
def test_a_model_that_is_no_reference_is_refused(made, model, tmp_path, change, code):
    with pytest.raises(InputError) as error:
        locscale(made.halves, made.mask, model=changed(model, tmp_path, change))
    assert error.value.code == code


def test_an_inverted_map_is_refused(made, model):
    negative = made.halves.half1.like(-made.clean.data)
    with pytest.raises(InputError, match="E_MODEL_MISFIT"):
        locscale(negative, made.mask, model=str(model))


def test_the_first_of_several_models_is_taken(made, model, tmp_path):
    def again(structure):
        structure.add_model(structure[0].clone())
        structure.renumber_models()
        for site in structure[1].all():
            p = site.atom.pos
            p.x += 300.0
            site.atom.pos = p

    options = {"min_resolution": 4.0, "window": 13.0}
    several = changed(model, tmp_path, again, "cif")
    with pytest.warns(CryoresWarning, match="holds 2 models"):
        result = locscale(made.halves.mean(), made.mask, model=several, **options)
    alone = locscale(made.halves.mean(), made.mask, model=changed(model, tmp_path, lambda s: None, "cif"), **options)
    np.testing.assert_array_equal(result.sharpened.data, alone.sharpened.data)


def test_at_the_command_line_nothing_is_left_behind(made, model, tmp_path, capsys):
    write_map(tmp_path / "map.mrc", made.clean)
    words = ["locscale", "--map", str(tmp_path / "map.mrc"), "--min-resolution", "4", "--quiet"]
    shifted = changed(model, tmp_path, moved(22.0))
    assert main([*words, "--model", shifted, "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "error E_MODEL_MISFIT: " in said and "hint: fit the model" in said
    assert not (tmp_path / "out").exists()


def test_what_does_not_go_together_is_refused(made, model, inside):
    volume = white(1)
    with pytest.raises(UsageError, match="E_TWO_REFERENCES"):
        locscale(made.halves, made.mask, model=str(model), reference=made.clean)
    with pytest.raises(UsageError, match="E_NO_HALVES"):
        locscale(volume, inside)
    with pytest.raises(UsageError, match="E_WINDOW"):
        locscale(volume, inside, reference=volume, window=60.0)
    with pytest.raises(UsageError, match="E_INCOMPLETE"):
        locscale(volume, inside, reference=volume, incomplete=True)
    with pytest.raises(InputError, match="E_REFERENCE"):
        locscale(volume, inside, reference=volume.like(np.zeros(GRID.shape)))
    with pytest.raises(InputError, match="E_NO_FILE"):
        locscale(volume, inside, model="nowhere.pdb")
