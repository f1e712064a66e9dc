"""MonoDir in a project: from the form to the values of the outputs and of the viewer."""

import numpy as np

from cryores.resolution import monodir
from cryoresplugin.protocols import CryoresProtMonoDir
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresMonoDirViewer
from cryoresplugin.viewers.viewer_monodir import TITLES

FIELDS = {
    "inputVolumes": None, "Mask": None, "significance": 0.95, "resstep": 0.5, "fast": False, "isPremasked": False,
    "volumeRadius": -1, "numberOfThreads": 4,
}  # fmt: skip


class TestMonoDir(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pointers = {"inputVolumes": (cls.full, "outputVolume")}
        cls.done = cls.make(CryoresProtMonoDir, pointers, useHalfMaps=True, fast=True, resstep=1.0)
        cls.launchProtocol(cls.done)

    def test_outputs_have_the_engines_values_and_the_inputs_place(self):
        expected = monodir(self.halves, fast=True, resolution_step=1.0)
        outputs = {
            "outputVolume_doa": "doa", "azimuthalVolume": "tangential", "radialVolume": "radial",
            "resolution_Volume": "highest",
        }  # fmt: skip
        for name, engines in outputs.items():
            output = getattr(self.done, name)
            self.assertSameResolution(output, expected.volumes()[engines])
            self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
            self.assertEqual(output.getOrigin().getShifts(), self.full.outputVolume.getOrigin().getShifts())
        self.assertGreater(written(self.done.outputMask).data.sum(), 0)
        anisotropy = expected.summary()["resolution"]["doa"]
        self.assertIn(f"Median anisotropy {anisotropy:.2f} Å", "\n".join(self.done._summary()))
        self.assertEqual(self.done._citations(), ["Vilas2020Directional"])

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtMonoDir, FIELDS)

    def test_the_form_is_told_to_the_engine(self):
        pointers = {"inputVolumes": (self.full, "outputVolume")}
        one = self.make(CryoresProtMonoDir, pointers, isPremasked=True, volumeRadius=20)
        self.assertAlmostEqual(one._engineParameters().map_radius, 20 * SAMPLING)
        self.assertEqual(one._engineParameters().significance, 0.95)
        half = self.make(CryoresProtMonoDir, pointers, isPremasked=True, useHalfMaps=True)
        self.assertAlmostEqual(half._engineParameters().map_radius, 26 * SAMPLING)
        self.assertEqual(half._engineParameters().significance, 0.99)
        self.assertEqual(self.newProtocol(CryoresProtMonoDir)._validate(), ["Give the input volume."])

    def test_viewer_shows_the_maps_the_directions_and_the_averages(self):
        viewer = CryoresMonoDirViewer(project=self.proj)
        viewer.setProtocol(self.done)
        self.assertEveryEntryShows(viewer)
        values = written(self.done.outputVolume_doa).data
        counts = [patch.get_height() for patch in viewer._showHistogram()[0].getFigure().axes[0].patches]
        self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())
        self.assertEqual(len([a for a in viewer._showColorSlices()[0].getFigure().axes if a.images]), 4)
        expected = monodir(self.halves, fast=True, resolution_step=1.0)
        bars = [patch.get_height() for patch in viewer._showPreferred()[0].getFigure().axes[0].patches]
        np.testing.assert_allclose(bars, expected.directions.preferring, rtol=1e-4)
        viewer.shownMap.set(list(TITLES).index("zscore"))
        scores = viewer._showSlider()[0].getFigure().axes[0].images[0].get_array()
        middle = expected.volumes()["zscore"].data[22]
        np.testing.assert_allclose(np.ma.filled(scores, 0), np.nan_to_num(middle), rtol=1e-4, atol=1e-5)
        polar = viewer._showDirections()[0].getFigure().axes[0]
        np.testing.assert_allclose(polar.collections[0].get_array(), expected.directions.preferring, rtol=1e-4)
        lines = viewer._showRadial()[0].getFigure().axes[0].lines
        np.testing.assert_allclose(lines[0].get_ydata(), expected.averages.mean[:, 0], rtol=1e-4)
