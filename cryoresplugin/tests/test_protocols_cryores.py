"""The three protocols in a project: from the form to the values of the output."""

import os
import tempfile

import numpy as np
from pwem.protocols import ProtImportMask, ProtImportVolumes
from pyworkflow.protocol import MODE_RESTART
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
        cls.files = {}
        volumes = {
            "half1": cls.halves.half1,
            "half2": cls.halves.half2,
            "full": cls.halves.mean(),
            "mask": cls.maskVolume,
        }
        for name, volume in volumes.items():
            cls.files[name] = os.path.join(cls.folder, f"{name}.mrc")
            write_map(cls.files[name], volume)
        cls.full = cls._import("full", setHalfMaps=True, half1map=cls.files["half1"], half2map=cls.files["half2"])
        cls.half1, cls.half2 = cls._import("half1"), cls._import("half2")
        cls.mask = cls.newProtocol(ProtImportMask, maskPath=cls.files["mask"], samplingRate=SAMPLING)
        cls.launchProtocol(cls.mask)

    @classmethod
    def _import(cls, name, **options):
        z, y, x = ORIGIN
        protocol = cls.newProtocol(
            ProtImportVolumes,
            filesPath=cls.files[name],
            samplingRate=SAMPLING,
            setOrigCoord=True,
            x=x,
            y=y,
            z=z,
            **options,
        )
        cls.launchProtocol(protocol)
        return protocol

    def _monores(self, **options):
        protocol = self.newProtocol(CryoresProtMonoRes, useHalfVolumes=True, **options)
        protocol.associatedHalves.set(self.full)
        protocol.associatedHalves.setExtended("outputVolume")
        protocol.mask.set(self.mask)
        protocol.mask.setExtended("outputMask")
        return protocol

    def _blocres(self, **options):
        protocol = self.newProtocol(CryoresProtBlocres, **options)
        for pointer, half in ((protocol.inputVolume, self.half1), (protocol.inputVolume2, self.half2)):
            pointer.set(half)
            pointer.setExtended("outputVolume")
        return protocol

    def _fsc(self):
        protocol = self.newProtocol(CryoresProtFSC)
        protocol.inputVolume.set(self.full)
        protocol.inputVolume.setExtended("outputVolume")
        return protocol

    def assertSameResolution(self, output, volume):
        written = read_map(output.getFileName().replace(":mrc", "")).data
        self.assertTrue(np.allclose(written, np.nan_to_num(volume.data), rtol=1e-4))


class TestMonoRes(CryoresTest):
    def test_output_has_the_engines_values_and_the_inputs_place(self):
        protocol = self._monores(maxRes=12.0, stepSize=0.5)
        self.launchProtocol(protocol)
        output = protocol.resolution_Volume
        expected = monores(self.halves, self.maskVolume, max_resolution=12.0, resolution_step=0.5)
        self.assertSameResolution(output, expected.resolution)
        self.assertAlmostEqual(output.getSamplingRate(), SAMPLING, places=4)
        self.assertEqual(output.getDim(), (52, 48, 44))
        self.assertEqual(
            output.getOrigin(force=True).getShifts(), self.full.outputVolume.getOrigin(force=True).getShifts()
        )
        header = read_map(output.getFileName().replace(":mrc", "")).grid
        self.assertEqual(header.origin, read_map(self.full.outputVolume.getHalfMaps(asList=True)[0]).grid.origin)
        self.assertAlmostEqual(protocol.min_res_init.get(), expected.summary()["min"], places=3)
        parents = [o.getObjId() for o in self.proj.getSourceParents(output)]
        self.assertIn(self.full.getObjId(), parents)
        summary = "\n".join(protocol._summary())
        self.assertIn(f"Median {expected.summary()['median']:.2f} Å", summary)
        self.assertIn("Global resolution", summary)
        self.assertEqual(protocol._citations(), ["Vilas2018"])

    def test_a_restarted_run_restores_a_lost_output(self):
        protocol = self._monores(maxRes=12.0)
        self.launchProtocol(protocol)
        path = protocol.resolution_Volume.getFileName().replace(":mrc", "")
        before = read_map(path).data
        os.remove(path)
        protocol.runMode.set(MODE_RESTART)
        self.launchProtocol(protocol)
        self.assertTrue(np.array_equal(read_map(path).data, before))

    def test_one_map_gets_a_mask_of_its_own(self):
        protocol = self.newProtocol(CryoresProtMonoRes, maxRes=12.0)
        protocol.fullMap.set(self.full)
        protocol.fullMap.setExtended("outputVolume")
        self.launchProtocol(protocol)
        self.assertGreater(read_map(protocol.outputMask.getFileName().replace(":mrc", "")).data.sum(), 0)

    def test_bad_forms_are_refused_in_words(self):
        empty = self.newProtocol(CryoresProtMonoRes)
        self.assertEqual(empty._validate(), ["Give the input volume."])
        wrong = self._monores(significance=1.5)
        self.assertIn("E_PARAMETER", "\n".join(wrong._validate()))
        without = self._monores()
        without.associatedHalves.set(self.half1)
        without.associatedHalves.setExtended("outputVolume")
        self.assertIn("no half maps attached", without._validate()[0])

    def test_what_fails_in_the_engine_is_said(self):
        protocol = self._monores(minRes=30.0, maxRes=20.0)
        with self.assertRaisesRegex(Exception, "E_RANGE|failed"):
            self.launchProtocol(protocol)
        self.assertIn("E_RANGE", protocol.getErrorMessage())

    def test_fields_are_those_of_the_predecessor(self):
        self.assertFields(CryoresProtMonoRes, MONORES_FIELDS)

    def assertFields(self, protocolClass, fields):
        protocol = self.newProtocol(protocolClass)
        for name, default in fields.items():
            self.assertIsNotNone(protocol.getParam(name), name)
            if default is not None:
                self.assertEqual(getattr(protocol, name).get(), default, name)

    def test_viewer_plots_the_values(self):
        protocol = self._monores(maxRes=12.0)
        self.launchProtocol(protocol)
        viewer = CryoresLocalResolutionViewer(project=self.proj)
        viewer.setProtocol(protocol)
        values = read_map(protocol.resolution_Volume.getFileName().replace(":mrc", "")).data
        inside = values[values > 0]
        axes = viewer._showHistogram()[0].getFigure().axes[0]
        counts = [patch.get_height() for patch in axes.patches]
        self.assertEqual(counts, np.histogram(inside, bins=60)[0].tolist())
        report = protocol.readReport()["summary"]
        figure = viewer._showColorSlices()[0].getFigure()
        images = [a.images[0] for a in figure.axes if a.images and a.get_title().startswith("z =")]
        self.assertEqual(len(images), 4)
        for image, ninth in zip(images, (3, 4, 5, 6)):
            shown = np.ma.filled(image.get_array(), 0)
            self.assertTrue(np.allclose(shown, values[ninth * 44 // 9]))
            self.assertEqual(image.get_clim(), (round(report["p5"], 1), round(report["p95"], 1)))
        # without ChimeraX the coloured slices come in its place
        self.assertEqual(len(viewer._showChimera()), 1)


class TestBlocresAndFSC(CryoresTest):
    def test_blocres_output_has_the_engines_values(self):
        protocol = self._blocres(box=16, fill=0)
        self.launchProtocol(protocol)
        expected = blocres(self.halves, box=16, min_resolution=2.0)
        self.assertSameResolution(protocol.resolution_Volume, expected.resolution)
        self.assertEqual(protocol.outputMask.getDim(), (52, 48, 44))

    def test_blocres_takes_the_halves_of_a_volume(self):
        protocol = self.newProtocol(CryoresProtBlocres, box=0, step=4)
        protocol.inputVolume.set(self.full)
        protocol.inputVolume.setExtended("outputVolume")
        self.launchProtocol(protocol)
        self.assertSameResolution(
            protocol.resolution_Volume, blocres(self.halves, step=4, min_resolution=2.0).resolution
        )

    def test_blocres_fields_are_those_of_the_predecessor(self):
        TestMonoRes.assertFields(self, CryoresProtBlocres, BLOCRES_FIELDS)

    def test_radial_shells_are_refused(self):
        self.assertIn("Radial shells", "\n".join(self._blocres(method=False)._validate()))

    def test_fsc_curves_are_the_engines(self):
        protocol = self._fsc()
        self.launchProtocol(protocol)
        expected = fsc(self.halves)
        curves = {curve.getObjLabel(): curve.getData() for curve in protocol.outputFSCs.iterItems()}
        self.assertIn("unmasked", curves)
        frequency, values = (np.array([float(v) for v in column]) for column in curves["unmasked"])
        self.assertTrue(np.allclose(frequency, expected.frequency[1:], atol=1e-5))
        self.assertAlmostEqual(
            protocol.readReport()["summary"]["resolution"]["0.143"], expected.summary()["resolution"]["0.143"], places=3
        )
        lines = CryoresFSCViewer.plotCurves(protocol).getFigure().axes[0].lines
        plotted = next(line for line in lines if line.get_label() == "unmasked")
        self.assertTrue(np.allclose(plotted.get_ydata(), values))
