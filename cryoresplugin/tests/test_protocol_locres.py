"""The calibrated local resolution in a project: from the form to the values of the three outputs."""

from cryores.resolution import locres
from cryoresplugin.protocols import CryoresProtLocres
from cryoresplugin.tests.project import CryoresTest


class TestLocres(CryoresTest):
    def test_outputs_have_the_engines_values(self):
        protocol = self.make(CryoresProtLocres, {"inputVolume": (self.full, "outputVolume")})
        self.launchProtocol(protocol)
        result = locres(self.halves)
        self.assertSameResolution(protocol.resolution_Volume, result.resolution)
        self.assertSameResolution(protocol.lower_Volume, result.lower)
        self.assertSameResolution(protocol.upper_Volume, result.upper)
