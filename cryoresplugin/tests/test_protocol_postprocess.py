"""Post-processing in a project: from the form to the values of the output and of the viewer."""

import numpy as np

from cryores.fourier import rfft
from cryores.guinier import mean_amplitudes
from cryores.mapio import write_map
from cryores.postprocessing import postprocess
from cryoresplugin.protocols import CryoresProtPostprocess
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresPostprocessingViewer

FIELDS = {
    "relionInput": False, "inputType": 0, "inputVolume": None, "inputHalf1": None, "inputHalf2": None,
    "solventMask": None, "calibratedPixelSize": 0, "mtf": None, "origPixelSize": -1.0, "doAutoBfactor": True,
    "bfactorLowRes": 10.0, "bfactorHighRes": 0.0, "bfactor": -350, "skipFscWeighting": False, "lowRes": 5,
    "filterEdgeWidth": 2, "randomizeAtFsc": 0.8, "forceMask": False,
}  # fmt: skip


class TestPostprocess(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done = cls.make(CryoresProtPostprocess, {"inputVolume": (cls.full, "outputVolume")})
        cls.launchProtocol(cls.done)

    def test_output_has_the_engines_values_and_the_inputs_place(self):
        output, source = self.done.outputVolume, self.full.outputVolume
        expected = postprocess(self.halves)
        scale = float(np.abs(expected.sharpened.data).max())
        self.assertTrue(np.allclose(written(output).data, expected.sharpened.data, atol=1e-5 * scale))
        self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
        self.assertEqual(output.getOrigin().getShifts(), source.getOrigin().getShifts())
        self.assertIn(f"B = {expected.details['bfactor']:.1f}", "\n".join(self.done._summary()))
        self.assertGreater(written(self.done.outputMask).data.sum(), 0)

    def test_a_given_bfactor_and_low_pass_are_used(self):
        options = {"doAutoBfactor": False, "bfactor": -40, "skipFscWeighting": True, "lowRes": 6}
        protocol = self.make(CryoresProtPostprocess, {"inputVolume": (self.full, "outputVolume")}, **options)
        self.launchProtocol(protocol)
        expected = postprocess(self.halves, bfactor=-40.0, fsc_weighting=False, low_pass="6")
        scale = float(np.abs(expected.sharpened.data).max())
        self.assertTrue(np.allclose(written(protocol.outputVolume).data, expected.sharpened.data, atol=1e-5 * scale))

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtPostprocess, FIELDS)

    def test_what_cannot_work_is_said_in_the_words_of_the_form(self):
        volume = {"inputVolume": (self.full, "outputVolume")}
        turned = self.make(CryoresProtPostprocess, volume, bfactorLowRes=3.0, bfactorHighRes=10.0)
        (said,) = turned._validate()
        self.assertIn('"High end of the Guinier fit (Å)" is the fine end, the smaller number of Å', said)
        (said,) = self.make(CryoresProtPostprocess, volume, skipFscWeighting=True, lowRes=0)._validate()
        self.assertTrue(said.startswith("E_LOW_PASS: \"Low-pass filter (Å)\": '0.0' is neither"), said)

    def test_half_maps_of_different_grey_scales_are_told_in_the_form(self):
        louder = self.halves.half2.like(10 * self.halves.half2.data)
        write_map(self.file("louder"), louder)
        runs = [self.importVolumes(name) for name in ("half1", "louder")]
        pointers = dict(zip(("inputHalf1", "inputHalf2"), ((run, "outputVolume") for run in runs)))
        told = self.make(CryoresProtPostprocess, pointers, inputType=1)._warnings()
        self.assertEqual(["different grey scales" in one for one in told], [True])
        alike = self.make(CryoresProtPostprocess, {"inputVolume": (self.full, "outputVolume")})
        self.assertEqual(alike._warnings(), [])

    def test_viewer_plots_the_values(self):
        viewer = CryoresPostprocessingViewer(project=self.proj)
        viewer.setProtocol(self.done)
        values = written(self.done.outputVolume).data
        figure = viewer._showSlices("doShowAfter")[0].getFigure()
        images = [a.images[0] for a in figure.axes if a.images and a.get_title().startswith("z =")]
        for image, ninth in zip(images, (3, 4, 5, 6)):
            np.testing.assert_array_equal(np.asarray(image.get_array()), values[ninth * values.shape[0] // 9])
            self.assertEqual(image.get_clim(), (float(values.min()), float(values.max())))
        self.assertShownWithoutChimera(viewer, "The slices")

    def test_every_entry_of_the_viewer_shows_the_values(self):
        viewer = CryoresPostprocessingViewer(project=self.proj)
        viewer.setProtocol(self.done)
        shown = self.assertEveryEntryShows(viewer)
        self.assertIn("doShowGuinier", shown)
        self.assertNotIn("doShowConfidence", shown)
        expected = postprocess(self.halves)
        before, after = shown["doShowSpectra"][0].getFigure().axes[0].lines
        for line, volume in ((before, expected.before), (after, expected.sharpened)):
            amplitude = mean_amplitudes(rfft(volume.data, 1), volume.grid)[1:]
            self.assertTrue(np.allclose(line.get_ydata(), amplitude, rtol=1e-4))
        guinier = shown["doShowGuinier"][0].getFigure().axes[0]
        self.assertEqual(len(guinier.lines), len(expected.amplitudes))
        self.assertIn(f"B = {expected.details['bfactor']:.1f}", guinier.get_legend().get_texts()[-1].get_text())
        sides = shown["doShowBeforeAfter"][0].getFigure().axes
        self.assertEqual(len(sides), 6)
        number = 4 * expected.sharpened.data.shape[0] // 9
        after = expected.sharpened.data[number]
        self.assertTrue(np.allclose(sides[4].images[0].get_array(), after, atol=1e-5 * np.abs(after).max()))
