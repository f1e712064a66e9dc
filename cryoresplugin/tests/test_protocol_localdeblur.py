"""LocalDeblur in a project: from the form to the values of the output, with the predecessor's fields."""

import numpy as np

from cryores.mapio import write_map
from cryores.postprocessing import localdeblur
from cryoresplugin.protocols import CryoresProtLocalDeblur
from cryoresplugin.tests.project import CryoresTest, written

FIELDS = {
    "inputVolume": None, "resolutionVolume": None, "const": 1, "K": 0.025, "Niter": 1, "numberOfThreads": 4,
}  # fmt: skip


class TestLocalDeblur(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        inside = cls.maskVolume.data > 0.5
        values = np.linspace(4, 9, inside.size, dtype=np.float32).reshape(inside.shape)
        write_map(cls.file("resolution"), cls.maskVolume.like(np.where(inside, values, 0)))
        cls.resolution = cls.maskVolume.like(np.where(inside, values, np.nan))
        imported = cls.importVolumes("resolution")
        cls.pointers = {"inputVolume": (cls.full, "outputVolume"), "resolutionVolume": (imported, "outputVolume")}

    def assertSameMap(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, volume.data, atol=1e-4 * float(np.abs(volume.data).max())))
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(output.getOrigin().getShifts(), shifts)

    def test_a_map_and_its_resolution(self):
        protocol = self.make(CryoresProtLocalDeblur, self.pointers, iterations=4)
        self.launchProtocol(protocol)
        expected = localdeblur(self.halves.mean(), self.resolution, iterations=4)
        self.assertSameMap(protocol.outputVolume, expected.sharpened)

    def test_rounds_make_a_set(self):
        protocol = self.make(CryoresProtLocalDeblur, self.pointers, iterations=2, Niter=2, const=3.0)
        self.launchProtocol(protocol)
        expected = localdeblur(self.halves.mean(), self.resolution, iterations=2, rounds=2, step=3.0)
        volumes = [volume.clone() for volume in protocol.outputVolumes]
        self.assertEqual(len(volumes), 2)
        for number, volume in enumerate(volumes, 1):
            self.assertSameMap(volume, expected.extra[f"round_{number}"])

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtLocalDeblur, FIELDS)
