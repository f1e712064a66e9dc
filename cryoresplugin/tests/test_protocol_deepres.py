"""DeepRes in a project: from the form to the values of the output and of the viewer."""

import numpy as np

from cryores.resolution import deepres
from cryoresplugin.protocols import CryoresProtDeepRes
from cryoresplugin.tests.project import CryoresTest, written
from cryoresplugin.viewers import CryoresLocalResolutionViewer

FIELDS = {"inputVolume": None, "Mask": None, "range": 0, "useGpu": False, "gpuList": "0"}


class TestDeepRes(CryoresTest):
    def test_output_has_the_engines_values_and_the_viewer_shows_them(self):
        protocol = self.make(CryoresProtDeepRes, {"inputVolume": (self.full, "outputVolume")})
        self.launchProtocol(protocol)
        expected = deepres(self.halves.mean(), range="2.5-13")
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)
        shifts = protocol.resolution_Volume.getOrigin().getShifts()
        self.assertEqual(shifts, self.full.outputVolume.getOrigin().getShifts())
        self.assertTrue(hasattr(protocol, "outputMask"))
        viewer = CryoresLocalResolutionViewer(project=self.proj)
        viewer.setProtocol(protocol)
        counts = [patch.get_height() for patch in viewer._showHistogram()[0].getFigure().axes[0].patches]
        values = written(protocol.resolution_Volume).data
        self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtDeepRes, FIELDS)
