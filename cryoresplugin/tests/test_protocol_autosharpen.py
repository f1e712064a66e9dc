"""AutoSharpen in a project: from the form to the values of the output."""

import numpy as np

from cryores.postprocessing import autosharpen
from cryoresplugin.protocols import CryoresProtAutoSharpen
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written


class TestAutoSharpen(CryoresTest):
    def test_half_maps(self):
        protocol = self.make(CryoresProtAutoSharpen, {"inputVolume": (self.full, "outputVolume")}, trials=9)
        self.launchProtocol(protocol)
        expected = autosharpen(self.halves, trials=9)
        found = written(protocol.outputVolume).data
        self.assertTrue(np.allclose(found, expected.sharpened.data, atol=1e-4 * float(np.abs(found).max())))
        self.assertAlmostEqual(protocol.outputVolume.getSamplingRate(), SAMPLING, places=4)
        self.assertIn(f"B = {expected.details['b_iso']:.0f}", "\n".join(protocol._summary()))

    def test_one_map_wants_its_resolution(self):
        protocol = self.make(CryoresProtAutoSharpen, {"inputVolume": (self.full, "outputVolume")}, inputType=2)
        self.assertIn('give "Resolution (Å)"', "\n".join(protocol._validate()))
