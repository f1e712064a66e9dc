"""An evaluation in a project: volume, half maps and atomic model from the form to the table, and the outputs' place."""

import csv
import os

import gemmi
import numpy as np
from pwem.protocols import ProtImportPdb

from cryores.atoms import heavy_atoms, read_model
from cryores.postprocessing import evaluate, locbsharpen
from cryores.simulation import simulate
from cryores.volume import HalfMaps
from cryoresplugin.protocols import CryoresProtEvaluate, CryoresProtLocBSharpen
from cryoresplugin.protocols.protocol_map_input import ONE_MAP
from cryoresplugin.tests.project import ORIGIN, SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresEvaluateViewer
from cryoresplugin.viewers.viewer_evaluate import CryoresResidueViewer


class TestEvaluate(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        structure = simulate(shape=(44, 48, 52), voxel_size=SAMPLING, finest=4.0, coarsest=8.0, seed=2).structure
        z, y, x = ORIGIN
        for site in structure[0].all():
            site.atom.pos -= gemmi.Position(x, y, z)  # an import writes the negative of its origin into the header
        cls.modelFile = os.path.join(cls.folder, "model.cif")
        structure.make_mmcif_document().write_file(cls.modelFile)
        cls.model = cls.newProtocol(ProtImportPdb, inputPdbData=ProtImportPdb.IMPORT_FROM_FILES, pdbFile=cls.modelFile)
        cls.launchProtocol(cls.model)
        options = {"inputType": ONE_MAP, "minResolution": 4.0}
        cls.processed = cls.make(CryoresProtLocBSharpen, {"inputVolume": (cls.full, "outputVolume")}, **options)
        cls.launchProtocol(cls.processed)
        half = (cls.importVolumes("half1"), "outputVolume")
        cls.half = cls.make(CryoresProtLocBSharpen, {"inputVolume": half}, **options)
        cls.launchProtocol(cls.half)

    def makeEvaluate(self, **pointers):
        given = {"map": (self.processed, "outputVolume"), "model": (self.model, "outputPdb")}
        return self.make(CryoresProtEvaluate, {**given, **pointers})

    def test_the_table_is_the_engines_and_the_outputs_lie_on_the_input(self):
        protocol = self.makeEvaluate(before=(self.full, "outputVolume"), processedHalf1=(self.half, "outputVolume"))
        self.launchProtocol(protocol)
        before = written(self.full.outputVolume)
        halves = HalfMaps(*(before.like(half.data) for half in (self.halves.half1, self.halves.half2)))
        expected = evaluate(
            locbsharpen(before, min_resolution=4.0).sharpened, self.modelFile, before=before, raw_halves=halves,
            processed_half1=locbsharpen(halves.half1, min_resolution=4.0).sharpened,
        ).measures()  # fmt: skip
        found = protocol.readReport()["summary"]["measures"]
        self.assertEqual(list(found), list(expected))
        for name, row in expected.items():
            for side, value in row.items():
                if value is not None:
                    self.assertAlmostEqual(found[name][side], value, delta=1e-3 * max(abs(value), 1), msg=name)
        self.assertIn(f"CC_mask: {expected['cc_mask']['before']:.3f} -> ", "\n".join(protocol._summary()))
        scored = heavy_atoms(read_model(protocol.outputAtomStruct.getFileName()))
        self.assertAlmostEqual(scored.b_factors.mean(), expected["q_score"]["after"], places=3)
        output, source = protocol.resolution_Volume, self.processed.outputVolume
        self.assertEqual(output.getOrigin().getShifts(), source.getOrigin().getShifts())
        values = written(output).data
        self.assertAlmostEqual(np.median(values[values > 0]), expected["local_resolution"]["after"], places=2)
        viewer = CryoresEvaluateViewer(project=self.proj)
        viewer.setProtocol(protocol)
        self.assertEveryEntryShows(viewer)
        self.checkAttributes(protocol)
        self.assertShownWithoutChimera(viewer, "The values along the model")
        lines = viewer._showResidues()[0].getFigure().axes[0].lines
        self.assertEqual([line.get_label() for line in lines], ["before", "after"])
        residues = scored.residue.max() + 1
        means = np.bincount(scored.residue, scored.b_factors) / np.bincount(scored.residue, minlength=residues)
        self.assertTrue(np.allclose(lines[1].get_ydata(), means, atol=1e-4))

    def checkAttributes(self, protocol):
        """Scipion's own viewer of attributes reads the values of the residues from the output."""
        with open(os.path.join(protocol._resultFolder(), "residues.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        viewer = CryoresResidueViewer(project=self.proj)
        viewer.setProtocol(protocol)
        self.assertEqual(set(viewer._getStructureAttributes()), {"q_score", "cc", "local_resolution"})
        viewer.attrName.set(viewer._getStructureAttributes().index("q_score"))
        written = viewer.createAttributesFile(protocol.outputAtomStruct.getFileName(), 1)
        with open(written) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[1], "recipient: residues")
        self.assertEqual(lines[2], f"\t#1/{rows[0]['chain']}:{rows[0]['number']}\t{rows[0]['q_score']}")
        self.assertEqual(len(lines), 2 + sum(1 for row in rows if row["q_score"]))
        viewer.highest.set(1.0)
        viewer.lowest.set(-1.0)
        bars = viewer._showHistogram()[0].getFigure().axes[0].patches
        self.assertAlmostEqual(sum(bar.get_height() for bar in bars), len(lines) - 2, delta=1)

    def test_without_halves_a_processed_half_is_refused(self):
        protocol = self.makeEvaluate(processedHalf1=(self.half, "outputVolume"))
        self.assertEqual(protocol._validate(), ["Give the two raw half maps, or a map before that has them attached."])

    def test_a_model_elsewhere_is_refused_by_the_form(self):
        structure = read_model(self.modelFile)
        for site in structure[0].all():
            site.atom.pos += gemmi.Position(900, 0, 0)
        path = os.path.join(self.folder, "away.cif")
        structure.make_mmcif_document().write_file(path)
        away = self.newProtocol(ProtImportPdb, inputPdbData=ProtImportPdb.IMPORT_FROM_FILES, pdbFile=path)
        self.launchProtocol(away)
        self.assertIn("E_MODEL_OUTSIDE", self.makeEvaluate(model=(away, "outputPdb"))._validate()[0])
