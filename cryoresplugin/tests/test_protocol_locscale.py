"""LocScale in a project: from the form to the values of the output."""

import os

import numpy as np
from pwem.protocols import ProtImportMask, ProtImportPdb

from cryores.postprocessing import locscale
from cryores.simulation import simulate
from cryoresplugin.protocols import CryoresProtLocScale
from cryoresplugin.tests.project import ORIGIN, SAMPLING, CryoresTest, written

FIELDS = {
    "inputVolume": None, "useNNpredict": False, "emmernetModel": 0, "symmetryGroup": "c1", "refType": 1, "refPdb": None,
    "incompletePdb": False, "refObj": None, "binaryMask": None, "resol": 3, "extraParams": "", "numberOfThreads": 3,
}  # fmt: skip


class TestLocScale(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = os.path.join(cls.folder, "model.pdb")
        # The import writes the origin of its form, with the sign changed, into the file.
        structure = simulate(shape=(44, 48, 52), voxel_size=SAMPLING, finest=4.0, coarsest=8.0, seed=2).structure
        for site in structure[0].all():
            position = site.atom.pos
            position.x, position.y, position.z = (p - o for p, o in zip(position.tolist(), ORIGIN[::-1]))
            site.atom.pos = position
        structure.write_pdb(cls.model)
        cls.pdb = cls.newProtocol(ProtImportPdb, inputPdbData=1, pdbFile=cls.model)
        cls.launchProtocol(cls.pdb)
        cls.mask = cls.newProtocol(ProtImportMask, maskPath=cls.file("mask"), samplingRate=SAMPLING)
        cls.launchProtocol(cls.mask)

    def assertSameMap(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, volume.data, atol=1e-4 * float(np.abs(volume.data).max())))

    def launched(self, pointers, **options):
        given = {"inputVolume": (self.full, "outputVolume"), "binaryMask": (self.mask, "outputMask"), **pointers}
        protocol = self.make(CryoresProtLocScale, given, **options)
        self.launchProtocol(protocol)
        return protocol

    def test_a_model(self):
        protocol = self.launched({"refPdb": (self.pdb, "outputPdb")}, resol=4)
        imported = written(self.full.outputVolume)
        expected = locscale(imported, self.maskVolume, model=self.model, min_resolution=4.0)
        self.assertSameMap(protocol.Volume, expected.sharpened)
        self.assertAlmostEqual(protocol.Volume.getSamplingRate(), SAMPLING, places=4)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(protocol.Volume.getOrigin().getShifts(), shifts)

    def test_a_reference_volume_and_further_words(self):
        pointers = {"refObj": (self.full, "outputVolume")}
        protocol = self.launched(pointers, refType=2, resol=0, extraParams="--window 18")
        inside = self.maskVolume.data > 0.5
        data = self.halves.mean().data
        self.assertTrue(np.allclose(written(protocol.Volume).data[inside], data[inside], atol=1e-4 * data.max()))
        self.assertIn("Windows of 13 voxels", protocol._summary()[0])

    def test_no_reference(self):
        protocol = self.launched({}, refType=0, useHalfMaps=True, resol=0)
        self.assertSameMap(protocol.Volume, locscale(self.halves, self.maskVolume).sharpened)

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtLocScale, FIELDS)

    def test_what_cannot_run_says_why(self):
        protocol = self.make(CryoresProtLocScale, {"inputVolume": (self.full, "outputVolume")})
        self.assertIn("reference PDB", protocol._validate()[0])
        protocol.useNNpredict.set(True)
        self.assertIn("EMmerNet", protocol._validate()[0])
