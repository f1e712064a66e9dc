"""MonoRes in a project: from the form to the values of the output and of the viewer."""

import json

import numpy as np
from pwem.protocols import ProtImportMask

from cryores.mapio import read_map
from cryores.resolution import monores
from cryoresplugin.protocols import CryoresProtMonoRes
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresLocalResolutionViewer

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

    def test_the_colour_bar_lies_beside_the_slices(self):
        plotter = self.viewer()._showColorSlices()[0]
        plotter.tightLayout()
        figure = plotter.getFigure()
        figure.canvas.draw()
        *slices, bar = (axes.get_position() for axes in figure.axes)
        self.assertEqual(len(slices), 4)
        self.assertLess(max(box.x1 for box in slices), bar.x0)

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
