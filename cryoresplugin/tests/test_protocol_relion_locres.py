"""Local resolution as in RELION, in a project: from the form to the values of the output."""

from cryores.resolution import relion_locres
from cryoresplugin.protocols import CryoresProtRelionLocres
from cryoresplugin.tests.project import CryoresTest


class TestRelionLocres(CryoresTest):
    def test_output_has_the_engines_values(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtRelionLocres, pointers, sampling=14.0)
        self.launchProtocol(protocol)
        self.assertSameResolution(protocol.resolution_Volume, relion_locres(self.halves, sampling=14.0).resolution)
