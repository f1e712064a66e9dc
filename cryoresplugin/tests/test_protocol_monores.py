"""MonoRes in a project: from the form to the values of the output and of the viewer."""

import json

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from pwem.protocols import ProtImportMask

from cryores.changes import contour_level
from cryores.mapio import read_map
from cryores.report import views
from cryores.resolution import monores
from cryoresplugin.protocols import CryoresProtMonoRes
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresLocalResolutionViewer
from cryoresplugin.viewers.surface import MOST_TRIANGLES

MONORES_FIELDS = {
    "useHalfVolumes": False, "hasHalfVolumesFile": True, "fullMap": None, "associatedHalves": None, "halfMap1": None,
    "halfMap2": None, "mask": None, "maskExcl": None, "minRes": 0, "maxRes": None, "stepSize": None,
    "significance": 0.95, "maskThreshold": 0.5, "noiseOnlyInHalves": True, "gaussianNoise": False, "numberOfThreads": 4,
}  # fmt: skip


class TestMonoRes(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mask = cls.newProtocol(ProtImportMask, maskPath=cls.file("mask"), samplingRate=SAMPLING)
        cls.launchProtocol(cls.mask)
        cls.done = cls.makeMonoRes(maxRes=12.0, stepSize=0.5)
        cls.launchProtocol(cls.done)

    @classmethod
    def makeMonoRes(cls, **options):
        pointers = {"associatedHalves": (cls.full, "outputVolume"), "mask": (cls.mask, "outputMask")}
        return cls.make(CryoresProtMonoRes, pointers, useHalfVolumes=True, **options)

    def test_output_has_the_engines_values_and_the_inputs_place(self):
        output, source = self.done.resolution_Volume, self.full.outputVolume
        expected = monores(self.halves, self.maskVolume, max_resolution=12.0, resolution_step=0.5)
        self.assertSameResolution(output, expected.resolution)
        self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
        self.assertEqual(output.getDim(), (52, 48, 44))
        self.assertEqual(output.getOrigin().getShifts(), source.getOrigin().getShifts())
        self.assertEqual(written(output).grid.origin, read_map(source.getHalfMaps(asList=True)[0]).grid.origin)
        self.assertAlmostEqual(self.done.min_res_init.get(), expected.summary()["min"], places=3)
        self.assertIn(self.full.getObjId(), [o.getObjId() for o in self.proj.getSourceParents(output)])
        self.assertFalse(self.done.hasAttribute("outputMask"))
        summary = "\n".join(self.done._summary())
        self.assertIn(f"Median {expected.summary()['median']:.2f} Å", summary)
        self.assertIn("Global resolution", summary)
        self.assertEqual(self.done._citations(), ["Vilas2018"])

    def test_one_map_gets_a_mask_of_its_own(self):
        protocol = self.make(CryoresProtMonoRes, {"fullMap": (self.full, "outputVolume")}, maxRes=12.0)
        self.launchProtocol(protocol)
        self.assertGreater(written(protocol.outputMask).data.sum(), 0)

    def test_bad_forms_are_refused_in_words(self):
        self.assertEqual(self.newProtocol(CryoresProtMonoRes)._validate(), ["Give the input volume."])
        self.assertEqual(self.newProtocol(CryoresProtMonoRes)._warnings(), [])
        self.assertIn("E_PARAMETER", "\n".join(self.makeMonoRes(significance=1.5)._validate()))
        self.assertIn("E_RANGE", "\n".join(self.makeMonoRes(minRes=30.0, maxRes=20.0)._validate()))
        self.assertEqual(self.makeMonoRes()._validate(), [])
        without = self.make(CryoresProtMonoRes, {"associatedHalves": (self.mask, "outputMask")}, useHalfVolumes=True)
        self.assertIn("no half maps attached", without._validate()[0])

    def test_what_misleads_is_a_warning(self):
        masked = self.make(CryoresProtMonoRes, {"fullMap": (self.mask, "outputMask")})
        self.assertIn("masked", "\n".join(masked._warnings()))

    def test_the_form_asks_about_unused_halves_and_not_about_the_mask_that_it_offers_to_make(self):
        one = self.make(CryoresProtMonoRes, {"fullMap": (self.full, "outputVolume")})
        self.assertIn("has its half maps attached", "\n".join(one._warnings()))
        both = self.make(CryoresProtMonoRes, {"associatedHalves": (self.full, "outputVolume")}, useHalfVolumes=True)
        for protocol in (one, both):
            self.assertNotIn("no mask was given", "\n".join(protocol._warnings()))

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtMonoRes, MONORES_FIELDS)

    def viewer(self):
        viewer = CryoresLocalResolutionViewer(project=self.proj)
        viewer.setProtocol(self.done)
        return viewer

    def test_viewer_plots_the_values(self):
        viewer = self.viewer()
        values = written(self.done.resolution_Volume).data
        axes = viewer._showHistogram()[0].getFigure().axes[0]
        counts = [patch.get_height() for patch in axes.patches]
        self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())
        report = self.done.readReport()["summary"]
        for axis, name in enumerate("zyx"):
            viewer.sliceAxis.set("xyz".index(name))
            figure = viewer._showColorSlices()[0].getFigure()
            images = [a.images[0] for a in figure.axes if a.images and a.get_title().startswith(f"{name} =")]
            self.assertEqual(len(images), 4)
            for image, ninth in zip(images, (3, 4, 5, 6)):
                shown = np.ma.filled(image.get_array(), 0)
                expected = values.take(ninth * values.shape[axis] // 9, axis=axis)
                self.assertEqual(sorted(shown.ravel()), sorted(expected.ravel()))
                self.assertEqual(image.get_clim(), (round(report["p5"], 1), round(report["p95"], 1)))

    def test_every_entry_of_the_viewer_shows_something(self):
        shown = self.assertEveryEntryShows(self.viewer())
        self.assertEqual(len(shown), 10)

    def test_viewer_tells_median_and_percentiles(self):
        values = written(self.done.resolution_Volume).data
        found = [np.percentile(values[values > 0], share) for share in (50, 5, 95)]
        label = self.viewer().getParam("told").label.get()
        self.assertEqual(label, "Median {:.2f} Å; 5 to 95 % of voxels: {:.2f} to {:.2f} Å".format(*found))
        lines = [line.get_xdata()[0] for line in self.viewer()._showHistogram()[0].getFigure().axes[0].lines[:3]]
        self.assertTrue(np.allclose(lines, found, atol=1e-3))

    def test_the_slider_moves_through_the_slices(self):
        plotter = self.viewer()._showSlider()[0]
        values = written(self.done.resolution_Volume).data
        for number in (20, 25):
            plotter.slider.set_val(number)
            axes = plotter.getFigure().axes[0]
            shown = np.ma.filled(axes.images[0].get_array(), 0)
            self.assertEqual(axes.get_title(), f"z = {number}")
            np.testing.assert_array_equal(shown, values[number])

    def test_the_surface_has_the_maps_colours_without_chimerax(self):
        figure = self.viewer()._showSurface()[0].getFigure()
        faces = figure.axes[0].collections[0]
        low, high = self.viewer()._limits()
        density, filled = (
            read_map(self.done._getExtraPath("monores", f"{n}.mrc")) for n in ("map", "resolution_filled")
        )
        level = contour_level(density.data, self.maskVolume.data > 0.5)
        found = views.surface(density, filled, self.maskVolume.data > 0.5, level, MOST_TRIANGLES)
        values = found.values[found.triangles].mean(axis=1)
        hues = colormaps["viridis"](Normalize(low, high)(values))[:, :3]
        drawn = faces._facecolor3d[:, :3]  # get_facecolor would sort them by their depth
        self.assertEqual(drawn.shape, hues.shape)
        # The light changes how bright a face is, not its hue.
        shade = (drawn * hues).sum(axis=1) / (hues * hues).sum(axis=1)
        # A value on the border of two of the 256 colours may fall to either.
        self.assertLess(np.abs(drawn - hues * shade[:, None]).max(), 0.02)
        self.assertTrue(shade.min() > 0.29 and shade.max() < 1.01)
        self.assertGreater(len(hues), 500)

    def test_histograms_of_other_methods_on_the_same_input_lie_over_it(self):
        other = self.makeMonoRes(maxRes=12.0, stepSize=1.0)
        other.setObjLabel("coarser steps")
        self.launchProtocol(other)
        elsewhere = self.make(
            CryoresProtMonoRes, {"fullMap": (self.importVolumes("half1"), "outputVolume")}, maxRes=12.0
        )
        self.launchProtocol(elsewhere)
        axes = self.viewer()._showOverlaid()[0].getFigure().axes[0]
        found = {text.get_text() for text in axes.get_legend().get_texts()}
        median = np.median(written(other.resolution_Volume).data[written(other.resolution_Volume).data > 0])
        self.assertIn(f"coarser steps ({other.getObjId()}), median {median:.2f} Å", found)
        low, high = axes.get_xlim()
        for output in (self.done.resolution_Volume, other.resolution_Volume):
            values = written(output).data[written(output).data > 0]
            self.assertTrue(low <= np.percentile(values, 5) and np.percentile(values, 95) <= high)
        self.assertFalse([label for label in found if f"({elsewhere.getObjId()})" in label])

    def test_the_colour_bar_lies_beside_the_slices(self):
        plotter = self.viewer()._showColorSlices()[0]
        plotter.tightLayout()
        figure = plotter.getFigure()
        figure.canvas.draw()
        *slices, bar = (axes.get_position() for axes in figure.axes)
        self.assertEqual(len(slices), 4)
        self.assertLess(max(box.x1 for box in slices), bar.x0)
        self.assertEqual(len(self.viewer()._showOneSlice()[0].getFigure().axes), 2)

    def test_viewer_without_chimerax_says_so_and_shows_slices(self):
        message, slices = self.viewer()._showChimera()
        self.assertIn("coloured slices are shown instead", message.getMessage())
        self.assertEqual(len([a for a in slices.getFigure().axes if a.get_title().startswith("z =")]), 4)

    def test_viewer_of_a_map_without_any_value_says_so(self):
        report = self.done.readReport()
        empty = {k: v for k, v in report["summary"].items() if not k.startswith("p") and k != "median"}
        try:
            with open(self.done._reportFile(), "w", encoding="utf-8") as file:
                json.dump({**report, "summary": empty}, file)
            self.assertIn("No voxel could be given a resolution", self.viewer()._validate()[0])
            self.assertIn("No voxel could be given a resolution", "\n".join(self.done._summary()))
        finally:
            with open(self.done._reportFile(), "w", encoding="utf-8") as file:
                json.dump(report, file)
