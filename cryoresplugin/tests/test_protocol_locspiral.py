"""LocSpiral and LocBSharpen in a project: from the form to the values of the output."""

import numpy as np

from cryores.postprocessing import locbsharpen, locspiral
from cryoresplugin.protocols import CryoresProtLocBSharpen, CryoresProtLocSpiral
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written


class TestLocSpiral(CryoresTest):
    def assertSameMap(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, volume.data, atol=1e-4 * float(np.abs(volume.data).max())))

    def test_half_maps(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtLocSpiral, pointers, bandwidth=4.0)
        self.launchProtocol(protocol)
        self.assertSameMap(protocol.outputVolume, locspiral(self.halves, bandwidth=4.0).sharpened)
        self.assertAlmostEqual(protocol.outputVolume.getSamplingRate(), SAMPLING, places=4)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(protocol.outputVolume.getOrigin().getShifts(), shifts)

    def test_one_map(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtLocBSharpen, pointers, inputType=2, minResolution=4.5)
        self.launchProtocol(protocol)
        self.assertSameMap(protocol.outputVolume, locbsharpen(self.halves.mean(), min_resolution=4.5).sharpened)
