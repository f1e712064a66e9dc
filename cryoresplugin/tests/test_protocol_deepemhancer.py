"""DeepEMhancer in a project: from the form to the values of the outputs."""

import numpy as np

from cryores.postprocessing import deepemhancer
from cryoresplugin.protocols import CryoresProtDeepEMhancer
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written


class TestDeepEMhancer(CryoresTest):
    def assertSameMap(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, volume.data, atol=1e-3 * float(np.abs(volume.data).max())))

    def test_half_maps(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtDeepEMhancer, pointers, useHalfMapsInsteadVol=True, views=2)
        self.launchProtocol(protocol)
        expected = deepemhancer(self.halves, views=2)
        self.assertSameMap(protocol.Volume, expected.sharpened)
        self.assertSameMap(protocol.confidence, expected.extra["confidence"])
        self.assertAlmostEqual(protocol.Volume.getSamplingRate(), SAMPLING, places=4)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(protocol.Volume.getOrigin().getShifts(), shifts)

    def test_the_wizard_finds_the_noise_and_shows_where(self):
        from cryores.nets.enhancer_input import noise_or_outside, statistics_of
        from cryoresplugin.wizards import CryoresNoiseStatisticsWizard

        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtDeepEMhancer, pointers, normalization=1, weights=1)
        picture = self.file("noise").replace(".mrc", ".png")
        found = CryoresNoiseStatisticsWizard.measure(protocol, picture)
        full = self.halves.mean()
        region, where = noise_or_outside(full)
        self.assertEqual(found, statistics_of(full.data, region))
        self.assertLess(np.mean(region[self.maskVolume.data > 0.5]), 0.2)
        self.assertGreater(np.mean(region[self.maskVolume.data <= 0.5]), 0.8)
        self.assertIn("hollow", where)
        with open(picture, "rb") as file:
            self.assertEqual(file.read(4), b"\x89PNG")

    def test_statistics_are_for_the_published_networks(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtDeepEMhancer, pointers, normalization=1, noiseMean=0.0, noiseStd=1.0)
        self.assertIn("normalize by themselves", protocol.validate()[0])

    def test_missing_published_weights_are_said_with_the_command_that_brings_them(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtDeepEMhancer, pointers, weights=1)
        self.assertIn("cryores weights fetch deepemhancer", " ".join(protocol.validate()))
