"""A project with half maps of known resolution, which the tests of the protocols share."""

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from pwem.protocols import ProtImportVolumes
from pyworkflow.protocol import params
from pyworkflow.tests import BaseTest, setupTestProject

from cryores.mapio import read_map, write_map
from cryores.simulation import simulate
from cryores.volume import Grid, HalfMaps, Volume

SAMPLING = 1.5
ORIGIN = (12.0, -30.0, 7.5)


def written(output):
    """Return the map of an output as the engine reads it."""
    return read_map(output.getFileName().replace(":mrc", ""))


class CryoresTest(BaseTest):
    """A project with half maps of known resolution, shifted in space: one for all the tests of an interpreter."""

    @classmethod
    def setUpClass(cls):
        if not hasattr(CryoresTest, "full"):
            CryoresTest.makeProject()

    @classmethod
    def makeProject(cls):
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

    def assertSameResolution(self, output, volume):
        self.assertTrue(np.allclose(written(output).data, np.nan_to_num(volume.data), rtol=1e-4))

    def assertShownWithoutChimera(self, viewer, words):
        message, view = viewer._showChimera()
        self.assertIn(f"{words} are shown instead", message.getMessage())
        self.assertTrue(view.getFigure().axes)

    def assertEveryEntryShows(self, viewer):
        """Call what each eye of the viewer's form calls: every view is a figure with something in it, or said."""
        shown = {}
        for name, _ in viewer.iterDefinitionAttributes():
            if isinstance(viewer.getParam(name), params.LabelParam) and name in viewer._getVisualizeDict():
                views = viewer._getVisualizeDict()[name](name)
                shown[name] = [view for view in views if hasattr(view, "getFigure")]
                self.assertTrue(views, name)
                for view in shown[name]:
                    drawn = [a for a in view.getFigure().axes if a.has_data()]
                    self.assertTrue(drawn, name)
                    plt.close(view.getFigure())
        self.assertEqual(
            set(viewer._getVisualizeDict()) & {n for n, _ in viewer.iterDefinitionAttributes()}, set(shown)
        )
        return shown

    def assertFields(self, protocolClass, fields):
        protocol = self.newProtocol(protocolClass)
        for name, default in fields.items():
            self.assertIsNotNone(protocol.getParam(name), name)
            self.assertEqual(getattr(protocol, name).get(), default, name)
