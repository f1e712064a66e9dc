"""Resolution against radius in a project: from the form to the values of the output."""

from cryores.resolution import blocres_shells
from cryoresplugin.protocols import CryoresProtBlocresShells
from cryoresplugin.tests.project import CryoresTest


class TestBlocresShells(CryoresTest):
    def test_output_has_the_engines_values(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtBlocresShells, pointers, thickness=14, step=2)
        self.launchProtocol(protocol)
        expected = blocres_shells(self.halves, thickness=14, step=2)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)
