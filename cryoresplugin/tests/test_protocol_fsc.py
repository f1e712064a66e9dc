"""FSC in a project, and what every protocol does: continue, fail in words, run in another interpreter."""

import os
import sys

import numpy as np
from pwem.protocols import ProtImportPdb
from pyworkflow.protocol import MODE_RESTART, MODE_RESUME

from cryores.mapio import write_map
from cryores.resolution import fsc
from cryores.volume import Grid, Volume
from cryoresplugin.protocols import CryoresProtFSC
from cryoresplugin.protocols.protocol_base import LARGEST_DIAGNOSED
from cryoresplugin.tests.project import CryoresTest
from cryoresplugin.viewers import CryoresFSCViewer


class TestFSC(CryoresTest):
    def makeFSC(self, **pointers):
        return self.make(CryoresProtFSC, {"inputVolume": (self.full, "outputVolume"), **pointers})

    def test_fsc_curves_are_the_engines(self):
        protocol = self.makeFSC()
        self.launchProtocol(protocol)
        expected = fsc(self.halves)
        curves = {curve.getObjLabel(): curve.getData() for curve in protocol.outputFSCs.iterItems()}
        self.assertIn("unmasked", curves)
        frequency, values = (np.array([float(v) for v in column]) for column in curves["unmasked"])
        self.assertTrue(np.allclose(frequency, expected.frequency[1:], atol=1e-5))
        resolution = protocol.readReport()["summary"]["resolution"]["0.143"]
        self.assertAlmostEqual(resolution, expected.summary()["resolution"]["0.143"], places=3)
        lines = CryoresFSCViewer.plotCurves(protocol).getFigure().axes[0].lines
        plotted = next(line for line in lines if line.get_label() == "unmasked")
        self.assertTrue(np.allclose(plotted.get_ydata(), values))

    def test_a_continued_run_repeats_what_is_lost_or_changed(self):
        protocol = self.makeFSC()
        self.launchProtocol(protocol)
        table, before = os.path.join(protocol._resultFolder(), "fsc.csv"), protocol.readCurves()
        written_at = os.stat(protocol._reportFile()).st_mtime_ns
        protocol.runMode.set(MODE_RESUME)
        self.launchProtocol(protocol)
        self.assertEqual(os.stat(protocol._reportFile()).st_mtime_ns, written_at)
        os.remove(table)
        self.launchProtocol(protocol)
        np.testing.assert_equal(protocol.readCurves(), before)
        protocol.cutoff.set(0.3)
        self.launchProtocol(protocol)
        self.assertEqual(protocol.readReport()["parameters"]["cutoff"], 0.3)
        os.remove(table)
        protocol.runMode.set(MODE_RESTART)
        self.launchProtocol(protocol)
        np.testing.assert_equal(protocol.readCurves(), before)

    def test_what_fails_in_the_engine_is_said(self):
        edge = int(LARGEST_DIAGNOSED ** (1 / 3)) + 2  # which the form does not read
        write_map(self.file("large"), Volume(np.zeros((edge,) * 3, np.float32), Grid.regular((edge,) * 3, 1.0)))
        large = self.file("large")
        halves = self.importVolumes("large", setHalfMaps=True, half1map=large, half2map=large)
        protocol = self.makeFSC(inputVolume=(halves, "outputVolume"))
        with self.assertRaises(Exception):  # noqa: B017 (the class is pyworkflow's)
            self.launchProtocol(protocol)
        self.assertRegex(protocol.getErrorMessage(), "error E_[A-Z_]+: .*; hint: ")

    def test_gpus_are_those_that_scipion_gives(self):
        protocol = self.makeFSC()
        protocol.useGpu.set(True)
        protocol.gpuList.set("97-98")
        with self.assertRaises(Exception):  # noqa: B017 (the class is pyworkflow's; no machine has so many)
            self.launchProtocol(protocol)
        self.assertIn("error E_NO_GPU", protocol.getErrorMessage())
        with open(protocol.getStdoutLog()) as log:
            self.assertIn("--device cuda:97,98", log.read())

    def test_the_form_refuses_a_model_without_atoms(self):
        path = os.path.join(self.folder, "model.pdb")
        with open(path, "w", encoding="utf-8") as file:
            file.write("REMARK no atom is in here\n")
        model = self.newProtocol(ProtImportPdb, inputPdbData=ProtImportPdb.IMPORT_FROM_FILES, pdbFile=path)
        self.launchProtocol(model)
        self.assertRegex(self.makeFSC(model=(model, "outputPdb")).validate()[0], "E_MODEL: .* holds no atom; hint: ")

    def test_another_interpreter_does_not_meet_scipions_libraries(self):
        python, heard = os.path.join(self.folder, "other python"), os.path.join(self.folder, "heard")
        script = f"echo \"[$PYTHONPATH$LD_LIBRARY_PATH]\" > '{heard}'\nexec '{sys.executable}' \"$@\"\n"
        with open(python, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(python, 0o755)
        before = dict(os.environ)
        os.environ.update(CRYORES_PYTHON=python, PYTHONPATH=self.folder, LD_LIBRARY_PATH=self.folder)
        try:
            protocol = self.makeFSC()
            self.launchProtocol(protocol)
        finally:
            os.environ.clear()
            os.environ.update(before)
        with open(heard, encoding="utf-8") as file:
            self.assertEqual(file.read(), "[]\n")
        self.assertTrue(protocol.hasAttribute("outputFSCs"))
