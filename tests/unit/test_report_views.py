"""What is shown of a result: the arrays and colour limits, not the files."""

from dataclasses import replace

import numpy as np
import pytest

from cryores.changes import contour_level
from cryores.masks import block_around
from cryores.method import LocalResolution
from cryores.processed import ProcessedMap
from cryores.report import figures, html_local, html_processed, views
from cryores.report.chimerax import coloured_surface
from cryores.report.colours import COLOUR_MAP, FIRST_SHADE, STOPS, colour_scale, palette
from cryores.report.html_figures import PAGE_SLICES
from cryores.resolution._fsc_result import FSCResult
from cryores.volume import Grid, Volume

GRID = Grid(
    shape=(20, 24, 28), cell=(20.0, 36.0, 56.0), sampling=(20, 24, 28), origin=(-7.0, 11.0, 100.0)
)  # voxels of 1, 1.5 and 2 Å
CENTRE, RADIUS = (10, 13, 12), 8.0


def positions(grid=GRID):
    axes = [first + np.arange(n) * v for first, n, v in zip(grid.first_voxel, grid.shape, grid.voxel_size)]
    return np.meshgrid(*axes, indexing="ij")


def distance_from(centre, grid=GRID):
    at = [first + c * v for first, c, v in zip(grid.first_voxel, centre, grid.voxel_size)]
    return np.sqrt(sum((p - a) ** 2 for p, a in zip(positions(grid), at)))


@pytest.fixture(scope="module")
def result():
    """A ball of radius 8 Å whose resolution grows along x; one corner of it has no value."""
    mask = distance_from(CENTRE) <= RADIUS
    z, y, x = positions()
    values = 3.0 + 0.1 * (x - 100.0) + 0.02 * z + 0.013 * y
    data = np.where(mask & ~((z < 0) & (y < 28)), values, np.nan)
    assert np.isnan(data[mask]).any() and np.isfinite(data).sum() > 100
    return LocalResolution(Volume(data, GRID), Volume(mask.astype(np.float32), GRID), "a test")


@pytest.fixture(scope="module")
def density():
    return Volume(np.exp(-((distance_from(CENTRE) / 5.0) ** 2)), GRID)


# --- colours ------------------------------------------------------------------------------------------------------


def test_limits_are_the_percentiles_rounded_outwards_by_at_most_a_hundredth_of_a_decade():
    values = np.random.default_rng(1).gamma(4.0, 1.0, 5000) + 2.0
    scale = colour_scale(values)
    p5, p95 = np.percentile(values, (5, 95))
    assert p5 - 0.1 < scale.low <= p5 and p95 <= scale.high < p95 + 0.1
    assert np.allclose([scale.low * 10, scale.high * 10], np.round([scale.low * 10, scale.high * 10]), atol=1e-6)


def test_limits_on_a_step_stay_there():
    values = np.repeat([3.0, 5.0, 8.0], 100)
    assert (colour_scale(values).low, colour_scale(values).high) == (3.0, 8.0)


@pytest.mark.parametrize("value", [0.8, 4.0, 35.0])
def test_a_constant_map_lies_inside_its_scale(value):
    scale = colour_scale(np.full(10, value))
    assert scale.low < value < scale.high


def test_no_values_still_give_a_scale():
    assert (colour_scale(np.array([])).low, colour_scale(np.array([])).high) == (0.0, 1.0)


def test_labels_state_the_values_that_have_the_colours():
    for values in (np.linspace(2.01, 2.09, 50), np.linspace(3, 7, 50), np.linspace(8, 90, 50)):
        scale = colour_scale(values)
        assert np.array_equal([float(label) for label in scale.labels], scale.values)
        assert len(set(scale.labels)) == STOPS
        assert np.allclose(np.diff(scale.values), (scale.high - scale.low) / (STOPS - 1), rtol=0.1)


def test_lightness_rises_from_the_finest_to_the_coarsest():
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in palette(STOPS)])
    luminance = rgb**2.2 @ np.array([0.2126, 0.7152, 0.0722])
    assert np.all(np.diff(luminance) > 0.03)


def test_every_picture_has_the_same_colours():
    import matplotlib

    scale = colour_scale(np.linspace(3, 8, 100))
    at = np.linspace(0, 1, STOPS)
    assert np.allclose(
        scale.for_matplotlib()(at)[:, :3],
        matplotlib.colormaps[COLOUR_MAP](FIRST_SHADE + (1 - FIRST_SHADE) * at)[:, :3],
        atol=0.01,
    )
    assert [colour for _, colour in scale.for_plotly()] == list(scale.colours)
    assert np.allclose([position for position, _ in scale.for_plotly()], at)


# --- histogram ----------------------------------------------------------------------------------------------------


def test_histogram_counts_are_numpys_inside_the_mask(result):
    inside = result.resolution.data[(result.mask.data > 0.5) & np.isfinite(result.resolution.data)]
    found = views.histogram(result.values())
    assert np.array_equal(found.counts, np.histogram(inside, bins=found.edges)[0])
    assert found.counts.sum() == inside.size and len(found.counts) == views.BINS


def test_values_of_a_list_get_a_bin_each():
    values = np.repeat(np.array([2.0, 2.5, 3.0, 4.0, 4.5, 3.5], dtype=np.float32), [1, 2, 3, 4, 5, 6])
    found = views.histogram(values)
    assert found.counts.tolist() == [1, 2, 3, 6, 4, 5]
    assert np.allclose(found.edges, np.arange(1.75, 5, 0.5))


def test_histogram_of_one_value():
    assert views.histogram(np.full(7, 4.0, dtype=np.float32)).counts.sum() == 7


def test_single_voxels_far_away_do_not_set_the_axis(result):
    values = np.append((1.5, 16.0), np.random.default_rng(1).normal(4.0, 0.2, 9998)).astype(np.float32)
    found = views.histogram(values)
    assert found.counts.sum() == 10000 and (found.below, found.above) == (1.5, 16.0)
    low, high = np.percentile(values, (5, 95))
    assert np.allclose(found.edges[[0, -1]], (2 * low - high, 2 * high - low))
    assert found.far_ends("{:.1f} Å".format) == {0: "down to 1.5 Å", views.BINS - 1: "up to 16.0 Å"}


def test_values_far_away_are_told_of_in_the_picture_and_on_the_page(result):
    data = np.linspace(3.9, 4.1, np.prod(GRID.shape)).reshape(GRID.shape)
    data[CENTRE], inside = 16.0, result.mask.data > 0.5
    alike = replace(result, resolution=result.resolution.like(np.where(inside, data, np.nan)))
    scale = colour_scale(alike.values())
    (axes,) = figures.histogram_figure(alike, scale).axes
    assert [text.get_text() for text in axes.texts] == ["up to 16.00 Å"]
    assert axes.get_xlim()[1] < 5.0
    (bars,) = html_local.histogram_section(alike, scale).figure.data
    assert bars.text[-1] == "up to 16.00 Å" and not any(bars.text[:-1])


def test_an_even_histogram_ends_at_its_values():
    values = np.linspace(3.0, 5.0, 1001, dtype=np.float32)
    found = views.histogram(values)
    assert (found.below, found.above) == (None, None) and np.allclose(found.edges[[0, -1]], (3.0, 5.0))


def test_an_axis_reaches_all_values_where_most_are_one():
    values = np.append(np.full(99, 3.0), 7.0).astype(np.float32)
    assert views.histogram_ends(values) == (3.0, 7.0)


def test_histograms_over_each_other_share_bins_but_for_those_of_few_values():
    rng = np.random.default_rng(2)
    smooth, narrow = rng.uniform(2.0, 12.0, 5000), rng.normal(3.0, 0.01, 5000)
    coarse, fine = np.repeat(np.arange(2.0, 12.0), 7), np.repeat(np.arange(2.0, 5.0, 0.15), 7)
    given = {"smooth": smooth, "narrow": narrow, "coarse": coarse, "fine": fine}
    found = views.histograms({name: values.astype(np.float32) for name, values in given.items()})
    assert np.array_equal(found["smooth"].edges, found["narrow"].edges)
    assert len(found["smooth"].counts) == views.BINS
    # A bin holds one value of the coarse list, and two of the fine one: none is empty.
    assert found["coarse"].counts.tolist() == [7] * 10 and found["fine"].counts.tolist() == [14] * 10
    for name, one in found.items():
        assert one.counts.sum() == given[name].size
        assert np.sum(one.density * np.diff(one.edges)) == pytest.approx(100 * views.DENSITY_WIDTH)


def test_histogram_figure_draws_counts_and_lines(result):
    scale = colour_scale(result.values())
    (axes,) = figures.histogram_figure(result, scale, global_resolution=3.4).axes
    found = views.histogram(result.values())
    drawn = [bar.get_height() for bar in axes.containers[0]]
    assert np.array_equal(drawn, found.counts)
    assert np.allclose([bar.get_x() for bar in axes.containers[0]], found.edges[:-1])
    median, fsc = (line.get_xdata()[0] for line in axes.lines)
    assert median == pytest.approx(np.median(result.values())) and fsc == 3.4
    p5, p95 = np.percentile(result.values(), (5, 95))
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"5–95 %: {p5:.2f}–{p95:.2f} Å" in texts and "global FSC 3.40 Å" in texts
    assert "Å" in axes.get_xlabel()


def test_histogram_without_global_resolution_has_no_line_for_it(result):
    (axes,) = figures.histogram_figure(result, colour_scale(result.values())).axes
    assert len(axes.lines) == 1


# --- slices -------------------------------------------------------------------------------------------------------


def test_slices_show_the_resolution_inside_the_mask_only(result, density):
    scale = colour_scale(result.values())
    figure = figures.slices_figure(result, density, scale)
    shown = np.where(result.mask.data > 0.5, result.resolution.data, np.nan)
    box = block_around(result.mask.data > 0.5)
    planes = views.central_planes(box) + views.row_of_planes(box)
    drawn = [axes for axes in figure.axes if len(axes.images) == 2]
    assert len(drawn) == len(planes) == 9
    for axes, plane in zip(drawn, planes):
        grey, colour = axes.images
        assert np.array_equal(grey.get_array(), np.take(density.data, plane.index, axis=plane.axis))
        expected = np.ma.masked_invalid(np.take(shown, plane.index, axis=plane.axis))
        assert np.array_equal(colour.get_array().mask, expected.mask)
        assert np.array_equal(colour.get_array().compressed(), expected.compressed())
        assert colour.get_clim() == (scale.low, scale.high)


def test_slices_lie_where_the_header_puts_them(result, density):
    figure = figures.slices_figure(result, density, colour_scale(result.values()))
    across_z, across_y, across_x = [axes.images[0].get_extent() for axes in figure.axes[:3]]
    assert across_z == pytest.approx([99.0, 155.0, 10.25, 46.25])
    assert across_y == pytest.approx([99.0, 155.0, -7.5, 12.5])
    assert across_x == pytest.approx([10.25, 46.25, -7.5, 12.5])


def test_colour_bar_of_the_slices_has_the_numbers_of_the_scale(result, density):
    scale = colour_scale(result.values())
    figure = figures.slices_figure(result, density, scale)
    (bar,) = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert [text.get_text() for text in bar.get_yticklabels()] == scale.labels
    assert "Å" in bar.get_ylabel()


def test_planes_follow_the_bounding_box():
    inside = np.zeros((30, 20, 40), dtype=bool)
    inside[4:28, 2:9, 11:31] = True
    box = block_around(inside)
    assert box == (slice(4, 28), slice(2, 9), slice(11, 31))
    assert [(p.axis, p.index) for p in views.central_planes(box)] == [(0, 16), (1, 5), (2, 21)]
    row = [p.index for p in views.row_of_planes(box)]
    assert row[0] >= 4 and row[-1] <= 27 and len(row) == 6 and row == sorted(row)


def test_a_thin_mask_gives_every_plane_once():
    assert [p.index for p in views.row_of_planes((slice(7, 9), slice(0, 5), slice(0, 5)))] == [7, 8]


def test_a_place_of_the_pages_slider_shows_that_plane_before_and_after(result, density):
    sharpened = Volume(density.data**2, GRID)
    figure = html_processed.before_after_section(ProcessedMap(sharpened, density, result.mask, "a test")).figure
    box = block_around(result.mask.data > 0.5)
    planes, (slider,) = views.row_of_planes(box, PAGE_SLICES), figure.layout.sliders
    assert len(slider.steps) == len(planes)
    for plane, step in zip(planes, slider.steps):
        seen = [trace for trace, visible in zip(figure.data, step.args[0]["visible"]) if visible]
        for trace, volume in zip(seen, (density, sharpened)):
            low, high = np.percentile(volume.data[box], (1.0, 99.8))
            shares = np.clip((volume.data[plane.index, box[1], box[2]] - low) / (high - low), 0.0, 1.0)
            assert np.allclose(trace.z, 255 * shares, atol=0.51)
        assert [trace.xaxis for trace in seen] == ["x", "x2"]


# --- the filled map and the surface -------------------------------------------------------------------------------


def test_filled_map_keeps_values_and_has_no_holes(result):
    filled = views.filled_outwards(result.resolution).data
    known = np.isfinite(result.resolution.data)
    assert np.array_equal(filled[known], result.resolution.data[known])
    assert np.isfinite(filled).all() and filled.min() >= result.resolution.data[known].min()


def test_filled_map_takes_the_nearest_value_in_angstrom():
    data = np.full((6, 6, 6), np.nan, dtype=np.float32)
    data[0, 0, 0], data[5, 5, 5] = 3.0, 9.0
    data[3, 3, 0], data[3, 0, 3] = 5.0, 7.0
    grid = Grid.regular((6, 6, 6), (1.0, 1.0, 10.0))
    filled = views.filled_outwards(Volume(data, grid)).data
    known = np.argwhere(np.isfinite(data))
    for voxel in np.ndindex(6, 6, 6):
        distance = np.linalg.norm((known - np.array(voxel)) * np.array([1.0, 1.0, 10.0]), axis=1)
        nearest = [data[tuple(k)] for k in known[np.isclose(distance, distance.min())]]
        assert filled[voxel] in nearest


def test_a_map_without_values_stays_as_it_is():
    empty = Volume(np.full((4, 4, 4), np.nan), Grid.regular((4, 4, 4), 1.0))
    assert np.isnan(views.filled_outwards(empty).data).all()


def test_contour_level_divides_particle_and_solvent():
    rng = np.random.default_rng(0)
    inside = np.ones((20, 20, 20), dtype=bool)
    density = rng.normal(0.0, 0.1, inside.shape).astype(np.float32)
    density[5:12] += 1.0
    assert 0.3 < contour_level(density, inside) < 0.7


@pytest.mark.parametrize("largest_box", [1000, 8])
def test_surface_of_a_ball_lies_at_its_place_in_angstrom(monkeypatch, largest_box):
    monkeypatch.setattr(views, "SURFACE_BOX", largest_box)
    grid = Grid(shape=(24, 32, 40), cell=(24.0, 32.0, 40.0), sampling=(24, 32, 40), nstart=(-5, 20, 7))
    centre = (11, 17, 18)
    distance = distance_from(centre, grid)
    values = Volume(positions(grid)[2], grid)  # the "resolution" is x itself
    found = views.surface(Volume(-distance, grid), values, distance < 10, -7.0)
    middle = np.array([7 + 18, 20 + 17, -5 + 11])
    tolerance = 0.1 if largest_box == 1000 else 1.2
    assert np.abs(np.linalg.norm(found.vertices - middle, axis=1) - 7.0).max() < tolerance
    assert np.abs(found.vertices.mean(axis=0) - middle).max() < 0.5
    assert np.allclose(found.values, found.vertices[:, 0], atol=1e-3)


def test_surface_faces_outwards_and_is_closed():
    grid = Grid.regular((24, 24, 24), 1.5)
    distance = distance_from((12, 12, 12), grid)
    found = views.surface(Volume(-distance, grid), Volume(distance, grid), distance < 15, -10.0)
    a, b, c = (found.vertices[found.triangles[:, i]] for i in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0  # signed: positive when the triangles face outwards
    assert volume == pytest.approx(4.0 / 3.0 * np.pi * 10.0**3, rel=0.03)


def test_surface_has_few_enough_triangles():
    grid = Grid.regular((32, 32, 32), 1.0)
    distance = distance_from((16, 16, 16), grid)
    found = views.surface(Volume(-distance, grid), Volume(distance, grid), distance < 14, -10.0, most_triangles=300)
    assert 0 < len(found.triangles) <= 300


def test_noise_outside_the_mask_is_not_traced():
    grid = Grid.regular((24, 24, 24), 1.0)
    distance = distance_from((12, 12, 12), grid)
    noisy = np.where(distance < 8, 1.0 - distance / 8.0, 5.0).astype(np.float32)
    found = views.surface(Volume(noisy, grid), Volume(distance, grid), distance < 7.5, 0.5)
    assert np.linalg.norm(found.vertices - 12.0, axis=1).max() < 5.0


def test_no_surface_beyond_the_densities():
    grid = Grid.regular((8, 8, 8), 1.0)
    flat = Volume(np.ones((8, 8, 8)), grid)
    assert views.surface(flat, flat, np.ones((8, 8, 8), dtype=bool), 2.0) is None


# --- ChimeraX -----------------------------------------------------------------------------------------------------


def test_script_key_has_the_numbers_and_colours_of_the_palette():
    scale = colour_scale(np.linspace(3, 8, 100))
    lines = coloured_surface("t", "map.mrc", "resolution_filled.mrc", 0.125, scale).splitlines()
    (sample,) = [line for line in lines if line.startswith("color sample")]
    (key,) = [line for line in lines if line.startswith("key ")]
    stops = [stop.split(",") for stop in sample.split("palette ")[1].split(":")]
    pairs = [word.split(":") for word in key.split() if word.startswith("#")]
    assert (
        [(float(v), c) for v, c in stops] == [(float(v), c) for c, v in pairs] == list(zip(scale.values, scale.colours))
    )
    assert sample.startswith("color sample #1 map #2 ")


def test_script_opens_files_of_its_own_folder_and_leaves_their_origin_alone():
    text = coloured_surface("t", "map.mrc", "resolution_filled.mrc", 0.125, colour_scale(np.array([3.0, 4.0])))
    lines = text.splitlines()
    assert lines.index("open map.mrc") < lines.index("open resolution_filled.mrc")
    assert "volume #1 style surface region all step 1 level 0.125" in lines
    assert not any("origin" in line.lower() or "voxelsize" in line.lower() for line in lines)


# --- FSC ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fsc():
    frequency = np.linspace(0.0, 0.5, 51)
    curve = np.clip(1.2 - 3.0 * frequency, -0.05, 1.0)
    return FSCResult(
        frequency,
        np.full(51, 100.0),
        "a test",
        Grid.regular((100, 100, 100), 1.0),
        unmasked=curve - 0.02,
        masked=curve + 0.01,
        randomised=0.1 * curve,
        corrected=curve,
        resolution={"0.143": 2.8, "0.5": 4.3, "half-bit": 3.0, "0.9": None},
    )


def test_fsc_figure_draws_curves_thresholds_and_resolutions(fsc):
    main = figures.fsc_figure(fsc).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in main.lines}
    for title, curve in (
        ("corrected for the mask", fsc.corrected),
        ("masked", fsc.masked),
        ("unmasked", fsc.unmasked),
        ("masked, random phases", fsc.randomised),
    ):
        assert np.array_equal(drawn[title], curve)
    points = [(at.get_xdata()[0], at.get_ydata()[0]) for at in main.lines if at.get_marker() == "o"]
    assert points == [pytest.approx((1 / 2.8, 0.143)), pytest.approx((1 / 4.3, 0.5))]
    assert {t.get_text() for t in main.texts} == {"2.80 Å at 0.143", "4.30 Å at 0.5"}
    levels = {line.get_ydata()[0] for line in main.lines if line.get_linestyle() == ":"}
    assert levels == {0.143, 0.5, 0.9}


def test_fsc_ticks_in_angstrom_stand_at_their_frequency(fsc):
    top = figures.fsc_figure(fsc).axes[1]
    labels = [float(text.get_text()) for text in top.get_xticklabels()]
    assert np.allclose(top.get_xticks(), 1.0 / np.array(labels)) and len(labels) > 4


def test_fsc_without_a_mask_draws_one_curve():
    curve = np.linspace(1, 0, 11)
    plain = FSCResult(
        np.linspace(0, 0.5, 11), np.ones(11), "t", Grid.regular((20,) * 3, 1.0), unmasked=curve, corrected=curve
    )
    assert list(views.fsc_curves(plain)) == ["unmasked"]
