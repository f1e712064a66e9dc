"""ResMap in a project: from the form to the values of the output and of the viewer."""

import numpy as np

from cryores.resolution import resmap
from cryoresplugin.protocols import CryoresProtResMap
from cryoresplugin.tests.project import CryoresTest, written
from cryoresplugin.viewers import CryoresLocalResolutionViewer

FIELDS = {
    "volumeHalf1": None, "volumeHalf2": None, "applyMask": False, "maskVolume": None, "show2D": True, "stepRes": 1,
    "minRes": 0, "maxRes": 0, "pVal": 0.05, "doBenchmarking": False, "useGpu": False,
}  # fmt: skip


class TestResMap(CryoresTest):
    def test_output_has_the_engines_values_and_the_viewer_shows_them(self):
        both = self.importVolumes("half*")
        pointers = {"volumeHalf1": (both, "outputVolumes.1"), "volumeHalf2": (both, "outputVolumes.2")}
        protocol = self.make(CryoresProtResMap, pointers, stepRes=0.5, maxRes=9)
        self.launchProtocol(protocol)
        expected = resmap(self.halves, resolution_step=0.5, max_resolution=9.0)
        self.assertSameResolution(protocol.outputVolume, expected.resolution)
        self.assertEqual(protocol.outputVolume.getOrigin().getShifts(), both.outputVolumes[1].getOrigin().getShifts())
        viewer = CryoresLocalResolutionViewer(project=self.proj)
        viewer.setProtocol(protocol)
        counts = [patch.get_height() for patch in viewer._showHistogram()[0].getFigure().axes[0].patches]
        values = written(protocol.outputVolume).data
        self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())

    def test_one_map_alone_is_taken_with_a_warning(self):
        alone = self.importVolumes("full")
        protocol = self.make(CryoresProtResMap, {"volumeHalf1": (alone, "outputVolume")})
        self.assertEqual(protocol._validate(), [])
        self.assertEqual(protocol._engineWords()[:2], ["--map", alone.outputVolume.getFileName()])
        self.assertIn("this is one map", "\n".join(protocol._warnings()))
        self.assertEqual(self.newProtocol(CryoresProtResMap)._validate(), ["Give the volume that has the half maps."])

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtResMap, FIELDS)
