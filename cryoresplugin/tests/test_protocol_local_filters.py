"""blocfilt and the local low-pass in a project: from the form to the values of the output."""

import numpy as np

from cryores.mapio import write_map
from cryores.postprocessing import blocfilt, local_lowpass
from cryoresplugin.protocols import CryoresProtBlocfilt, CryoresProtLocalLowpass
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written


class TestLocalFilters(CryoresTest):
    def assertSameMap(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, volume.data, atol=1e-4 * float(np.abs(volume.data).max())))
        self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(output.getOrigin().getShifts(), shifts)

    def test_half_maps_tell_their_own_resolution(self):
        protocol = self.make(CryoresProtBlocfilt, {"inputVolume": (self.full, "outputVolume")}, box=16)
        self.launchProtocol(protocol)
        expected = blocfilt(self.halves, box=16)
        self.assertSameMap(protocol.outputVolume, expected.sharpened)
        resolution = np.nan_to_num(expected.extra["resolution"].data)
        self.assertTrue(np.allclose(written(protocol.resolution_Volume).data, resolution, atol=1e-3))
        self.assertTrue(np.array_equal(written(protocol.outputMask).data, expected.mask.data))

    def test_one_map_and_a_resolution_map_of_any_program(self):
        inside = self.maskVolume.data > 0.5
        values = np.linspace(4, 9, inside.size, dtype=np.float32).reshape(inside.shape)
        write_map(self.file("resolution"), self.maskVolume.like(np.where(inside, values, 250)))
        resolution = self.importVolumes("resolution")
        pointers = {"inputVolume": (self.full, "outputVolume"), "resolutionMap": (resolution, "outputVolume")}
        expected = local_lowpass(self.halves.mean(), self.maskVolume.like(np.where(inside, values, 0)), edge=0.4)
        for background in ("auto", "250"):
            protocol = self.make(CryoresProtLocalLowpass, pointers, inputType=2, edge=0.4, background=background)
            self.launchProtocol(protocol)
            self.assertSameMap(protocol.outputVolume, expected.sharpened)
            self.assertFalse(hasattr(protocol, "resolution_Volume"))

    def test_one_map_without_a_resolution_map_is_refused(self):
        protocol = self.make(CryoresProtLocalLowpass, {"inputVolume": (self.full, "outputVolume")}, inputType=2)
        self.assertIn("resolution", "\n".join(protocol._validate()))
