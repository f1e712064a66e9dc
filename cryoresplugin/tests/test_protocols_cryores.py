"""The three protocols in a project: from the form to the values of the output."""

import json
import os
import sys
import tempfile

import numpy as np
from pwem.protocols import ProtImportMask, ProtImportPdb, ProtImportVolumes
from pyworkflow.protocol import MODE_RESTART, MODE_RESUME
from pyworkflow.tests import BaseTest, setupTestProject

from cryores.mapio import read_map, write_map
from cryores.resolution import blocres, fsc, monores
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps, Volume
from cryoresplugin.protocols import CryoresProtBlocres, CryoresProtFSC, CryoresProtMonoRes
from cryoresplugin.viewers import CryoresFSCViewer, CryoresLocalResolutionViewer

SAMPLING = 1.5
ORIGIN = (12.0, -30.0, 7.5)

MONORES_FIELDS = {
    "useHalfVolumes": False, "hasHalfVolumesFile": True, "fullMap": None, "associatedHalves": None, "halfMap1": None,
    "halfMap2": None, "mask": None, "maskExcl": None, "minRes": 0, "maxRes": None, "stepSize": None,
    "significance": 0.95, "maskThreshold": 0.5, "noiseOnlyInHalves": True, "gaussianNoise": False, "numberOfThreads": 4,
}  # fmt: skip
BLOCRES_FIELDS = {
    "inputVolume": None, "inputVolume2": None, "mask": None, "method": True, "box": 20, "shell": 20, "cutoff": 0.5,
    "step": 1, "maxresolution": 2, "fill": None, "pad": 1, "symmetry": "", "smooth": True,
}  # fmt: skip


def written(output):
    """Return the map of an output as the engine reads it."""
    return read_map(output.getFileName().replace(":mrc", ""))


class CryoresTest(BaseTest):
    """A project with half maps of known resolution, shifted in space."""

    @classmethod
    def setUpClass(cls):
        setupTestProject(cls)
        cls.folder = tempfile.mkdtemp(prefix="cryores-")
        made = simulate(shape=(44, 48, 52), voxel_size=SAMPLING, finest=4.0, coarsest=8.0, seed=2)
        grid = Grid(made.clean.grid.shape, made.clean.grid.cell, made.clean.grid.sampling, origin=ORIGIN)
        cls.halves = HalfMaps(Volume(made.halves.half1.data, grid), Volume(made.halves.half2.data, grid))
        cls.maskVolume = Volume(made.mask.data, grid)
        full = cls.halves.mean()
        for name, volume in (
            ("half1", cls.halves.half1), ("half2", cls.halves.half2), ("full", full), ("mask", cls.maskVolume)
        ):  # fmt: skip
            write_map(cls.file(name), volume)
        cls.full = cls.importVolumes("full", setHalfMaps=True, half1map=cls.file("half1"), half2map=cls.file("half2"))

    @classmethod
    def file(cls, name):
        return os.path.join(cls.folder, f"{name}.mrc")

    @classmethod
    def importVolumes(cls, name, **options):
        z, y, x = ORIGIN
        place = {"samplingRate": SAMPLING, "setOrigCoord": True, "x": x, "y": y, "z": z}
        protocol = cls.newProtocol(ProtImportVolumes, filesPath=cls.file(name), **place, **options)
        cls.launchProtocol(protocol)
        return protocol

    @classmethod
    def make(cls, protocolClass, pointers, **options):
        """Return a protocol whose ``pointers`` (field -> protocol and output) are set."""
        protocol = cls.newProtocol(protocolClass, **options)
        for field, (parent, output) in pointers.items():
            getattr(protocol, field).set(parent)
            getattr(protocol, field).setExtended(output)
        return protocol

    def makeFSC(self, **pointers):
        return self.make(CryoresProtFSC, {"inputVolume": (self.full, "outputVolume"), **pointers})

    def assertSameResolution(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, np.nan_to_num(volume.data), rtol=1e-4))

    def assertFields(self, protocolClass, fields):
        protocol = self.newProtocol(protocolClass)
        for name, default in fields.items():
            self.assertIsNotNone(protocol.getParam(name), name)
            self.assertEqual(getattr(protocol, name).get(), default, name)


class TestMonoRes(CryoresTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mask = cls.newProtocol(ProtImportMask, maskPath=cls.file("mask"), samplingRate=SAMPLING)
        cls.launchProtocol(cls.mask)
        cls.done = cls.makeMonoRes(maxRes=12.0, stepSize=0.5)
        cls.launchProtocol(cls.done)

    @classmethod
    def makeMonoRes(cls, **options):
        pointers = {"associatedHalves": (cls.full, "outputVolume"), "mask": (cls.mask, "outputMask")}
        return cls.make(CryoresProtMonoRes, pointers, useHalfVolumes=True, **options)

    def test_output_has_the_engines_values_and_the_inputs_place(self):
        output, source = self.done.resolution_Volume, self.full.outputVolume
        expected = monores(self.halves, self.maskVolume, max_resolution=12.0, resolution_step=0.5)
        self.assertSameResolution(output, expected.resolution)
        self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
        self.assertEqual(output.getDim(), (52, 48, 44))
        self.assertEqual(output.getOrigin().getShifts(), source.getOrigin().getShifts())
        self.assertEqual(written(output).grid.origin, read_map(source.getHalfMaps(asList=True)[0]).grid.origin)
        self.assertAlmostEqual(self.done.min_res_init.get(), expected.summary()["min"], places=3)
        self.assertIn(self.full.getObjId(), [o.getObjId() for o in self.proj.getSourceParents(output)])
        self.assertFalse(self.done.hasAttribute("outputMask"))
        summary = "\n".join(self.done._summary())
        self.assertIn(f"Median {expected.summary()['median']:.2f} Å", summary)
        self.assertIn("Global resolution", summary)
        self.assertEqual(self.done._citations(), ["Vilas2018"])

    def test_one_map_gets_a_mask_of_its_own(self):
        protocol = self.make(CryoresProtMonoRes, {"fullMap": (self.full, "outputVolume")}, maxRes=12.0)
        self.launchProtocol(protocol)
        self.assertGreater(written(protocol.outputMask).data.sum(), 0)

    def test_bad_forms_are_refused_in_words(self):
        self.assertEqual(self.newProtocol(CryoresProtMonoRes)._validate(), ["Give the input volume."])
        self.assertEqual(self.newProtocol(CryoresProtMonoRes)._warnings(), [])
        self.assertIn("E_PARAMETER", "\n".join(self.makeMonoRes(significance=1.5)._validate()))
        self.assertIn("E_RANGE", "\n".join(self.makeMonoRes(minRes=30.0, maxRes=20.0)._validate()))
        self.assertEqual(self.makeMonoRes()._validate(), [])
        without = self.make(CryoresProtMonoRes, {"associatedHalves": (self.mask, "outputMask")}, useHalfVolumes=True)
        self.assertIn("no half maps attached", without._validate()[0])

    def test_what_misleads_is_a_warning(self):
        masked = self.make(CryoresProtMonoRes, {"fullMap": (self.mask, "outputMask")})
        self.assertIn("masked", "\n".join(masked._warnings()))

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtMonoRes, MONORES_FIELDS)

    def viewer(self):
        viewer = CryoresLocalResolutionViewer(project=self.proj)
        viewer.setProtocol(self.done)
        return viewer

    def test_viewer_plots_the_values(self):
        viewer = self.viewer()
        values = written(self.done.resolution_Volume).data
        axes = viewer._showHistogram()[0].getFigure().axes[0]
        counts = [patch.get_height() for patch in axes.patches]
        self.assertEqual(counts, np.histogram(values[values > 0], bins=60)[0].tolist())
        report = self.done.readReport()["summary"]
        for axis, name in enumerate("zyx"):
            viewer.sliceAxis.set("xyz".index(name))
            figure = viewer._showColorSlices()[0].getFigure()
            images = [a.images[0] for a in figure.axes if a.images and a.get_title().startswith(f"{name} =")]
            self.assertEqual(len(images), 4)
            for image, ninth in zip(images, (3, 4, 5, 6)):
                shown = np.ma.filled(image.get_array(), 0)
                expected = values.take(ninth * values.shape[axis] // 9, axis=axis)
                self.assertEqual(sorted(shown.ravel()), sorted(expected.ravel()))
                self.assertEqual(image.get_clim(), (round(report["p5"], 1), round(report["p95"], 1)))

    def test_viewer_without_chimerax_says_so_and_shows_slices(self):
        message, slices = self.viewer()._showChimera()
        self.assertIn("coloured slices are shown instead", message.getMessage())
        self.assertEqual(len([a for a in slices.getFigure().axes if a.get_title().startswith("z =")]), 4)

    def test_viewer_of_a_map_without_any_value_says_so(self):
        report = self.done.readReport()
        empty = {k: v for k, v in report["summary"].items() if not k.startswith("p") and k != "median"}
        try:
            with open(self.done._reportFile(), "w", encoding="utf-8") as file:
                json.dump({**report, "summary": empty}, file)
            self.assertIn("No voxel could be given a resolution", self.viewer()._validate()[0])
            self.assertIn("No voxel could be given a resolution", "\n".join(self.done._summary()))
        finally:
            with open(self.done._reportFile(), "w", encoding="utf-8") as file:
                json.dump(report, file)


class TestBlocresAndFSC(CryoresTest):
    def test_a_script_for_the_predecessor_needs_the_class_name_changed(self):
        both = self.importVolumes("half*")
        protocol = self.make(
            CryoresProtBlocres,
            {"inputVolume": (both, "outputVolumes.1"), "inputVolume2": (both, "outputVolumes.2")},
            method=True, box=16, cutoff=0.5, step=1, maxresolution=2, fill=0, pad=1, symmetry="", smooth=True,
        )  # fmt: skip
        self.launchProtocol(protocol)
        expected = blocres(self.halves, box=16, min_resolution=2.0)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)
        self.assertEqual(protocol.outputMask.getDim(), (52, 48, 44))

    def test_blocres_takes_the_halves_of_a_volume(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtBlocres, pointers, box=0, step=4, maxresolution=0, crossing=0, edge=2)
        self.launchProtocol(protocol)
        expected = blocres(self.halves, step=4, crossing="first", edge=2)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)

    def test_blocres_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtBlocres, BLOCRES_FIELDS)

    def test_radial_shells_are_refused(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        for options in ({"method": False}, {"pad": 2}):
            protocol = self.make(CryoresProtBlocres, pointers, **options)
            self.assertIn("Radial shells", "\n".join(protocol._validate()))

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
        path = os.path.join(self.folder, "model.pdb")
        with open(path, "w", encoding="utf-8") as file:
            file.write("REMARK no atom is in here\n")
        model = self.newProtocol(ProtImportPdb, inputPdbData=ProtImportPdb.IMPORT_FROM_FILES, pdbFile=path)
        self.launchProtocol(model)
        protocol = self.makeFSC(model=(model, "outputPdb"))
        with self.assertRaises(Exception):  # noqa: B017 (the class is pyworkflow's)
            self.launchProtocol(protocol)
        self.assertRegex(protocol.getErrorMessage(), "error E_[A-Z_]+: .*; hint: ")

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
