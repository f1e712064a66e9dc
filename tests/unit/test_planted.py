"""The planted truth: halves fade to FSC 0.5 where it says, in every way in which resolution can be lost."""

import numpy as np
import pytest

from cryores.atoms import helix_bundle
from cryores.errors import UsageError
from cryores.fourier import rfft, shell_sums
from cryores.planted import FALLS, FAMILIES, plant
from cryores.shell_correlation import crossing_resolution, fsc_curve
from cryores.volume import Grid

GRID = Grid.regular((48, 48, 48), 1.4)


def planted(family, field="gradient", finest=4.0, coarsest=8.0, **options):
    return plant(
        family, helix_bundle(22.0, (33.6, 33.6, 33.6), seed=1), GRID, finest, coarsest, field_shape=field, **options
    )


def masked_fsc(made):
    one, two = (rfft(half.data * made.mask.data, 1) for half in (made.halves.half1, made.halves.half2))
    sums = shell_sums(one, two, GRID)
    return sums.frequency, fsc_curve(sums)


@pytest.mark.parametrize("noise_b", [0.0, 40.0])
@pytest.mark.parametrize("family", ["lowpass", "falloff", "bfactor"])
def test_the_fsc_inside_the_mask_is_a_half_at_the_truth(family, noise_b):
    made = planted(family, "constant", noise_b=noise_b)
    truth = np.unique(made.truth.data[made.mask.data > 0.5])
    assert len(truth) == 1
    found = crossing_resolution(*masked_fsc(made), 0.5, "last")
    assert found == pytest.approx(truth[0], rel=0.08)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "noise"])
def test_every_family_has_a_truth_on_the_model_and_nowhere_else(family):
    made = planted(family)
    inside = made.mask.data > 0.5
    truth = made.truth.data
    assert np.isnan(truth[~inside]).all() and np.isfinite(truth[inside]).mean() > 0.99
    assert 2.8 <= np.nanmin(truth) < np.nanmax(truth) <= max(GRID.extent)
    assert np.array_equal(made.halves.half1.data, planted(family).halves.half1.data)
    assert not np.array_equal(made.halves.half1.data, made.halves.half2.data)


@pytest.mark.parametrize("family", ["lowpass", "residues"])
def test_a_mask_that_reaches_farther_changes_no_truth_on_the_model(family):
    tight, loose = planted(family), planted(family, reach=5.0)
    inside, wide = tight.mask.data > 0.5, loose.mask.data > 0.5
    assert np.count_nonzero(wide) > 1.5 * np.count_nonzero(inside) and not np.any(inside & ~wide)
    np.testing.assert_array_equal(loose.truth.data[inside], tight.truth.data[inside])
    assert (
        np.isfinite(loose.truth.data[wide]).mean() > 0.99 and loose.description["noise"] == tight.description["noise"]
    )


def test_a_gradient_of_b_factors_is_a_gradient_of_the_truth():
    made = planted("bfactor")
    inside = made.mask.data > 0.5
    assert np.nanpercentile(made.truth.data[inside], 2) == pytest.approx(4.0, rel=0.1)
    assert np.nanpercentile(made.truth.data[inside], 98) == pytest.approx(8.0, rel=0.15)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_its_shape_a_falloff_meets_the_noise_where_it_was_asked_to(seed):
    made = planted("falloff", seed=seed)
    inside = made.mask.data > 0.5
    assert np.nanpercentile(made.truth.data[inside], (0, 100)) == pytest.approx((4.0, 8.0), rel=0.01)


@pytest.mark.parametrize("kind", FALLS)
def test_falls_go_from_all_to_nothing_and_the_faster_the_steeper(kind):
    least, largest, fall = FALLS[kind]
    u = np.linspace(0.0, 3.0, 301)
    slow, fast = (fall(u, steepness) for steepness in sorted((least, largest), reverse=kind == "cosine"))
    for transfer in (slow, fast):
        assert transfer[0] == 1.0 and np.all(np.diff(transfer) <= 0) and transfer[-1] < 0.05
    assert slow[u == 0.75] < fast[u == 0.75] and slow[u == 1.25] > fast[u == 1.25]


def test_uneven_noise_is_as_much_stronger_as_told_and_the_truth_coarser_there():
    made = planted("uneven")
    noise = made.halves.half1.data - made.signal.data
    coarsest = made.truth.data >= np.nanpercentile(made.truth.data, 98)
    finest = made.truth.data <= np.nanpercentile(made.truth.data, 2)
    assert noise[coarsest].std() / noise[finest].std() == pytest.approx(made.description["gain"], rel=0.1)
    assert np.nanmin(made.truth.data) == pytest.approx(4.0, rel=0.1)
    assert np.nanmax(made.truth.data) > 1.1 * np.nanmin(made.truth.data)


def test_a_moving_part_is_coarser_the_farther_it_is_from_the_hinge():
    made = planted("flexible", finest=3.5, coarsest=9.0)
    truth = made.truth.data[made.mask.data > 0.5]
    still = truth.min()
    assert np.mean(truth == still) > 0.2 and np.percentile(truth, 98) > 1.3 * still


def test_noise_has_no_truth():
    made = planted("noise")
    assert np.isnan(made.truth.data).all()
    curve = masked_fsc(made)[1]
    assert np.abs(curve[5:]).max() < 0.25


def test_anisotropic_b_factors_do_not_outlive_the_planted_ones():
    import gemmi

    structure = helix_bundle(22.0, (33.6, 33.6, 33.6), seed=1)
    for site in structure[0].all():
        site.atom.aniso = gemmi.SMat33f(0.3, 0.3, 0.3, 0, 0, 0)
    with_them = plant("bfactor", structure, GRID, 4.0, 8.0)
    np.testing.assert_array_equal(with_them.halves.half1.data, planted("bfactor").halves.half1.data)


@pytest.mark.parametrize("wrong", [{"family": "magic"}, {"family": "bfactor", "field": "spiral"}])
def test_unknown_words_are_refused(wrong):
    with pytest.raises(UsageError, match="E_PARAMETER"):
        planted(**wrong)
