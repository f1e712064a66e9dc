"""Directional resolution in a project."""

import numpy as np

from cryores.resolution import fso
from cryoresplugin.protocols import CryoresProtFSO
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresFSOViewer


class TestFSO(CryoresTest):
    def test_fields_and_defaults_are_the_predecessors(self):
        fields = {"halfVolumesFile": False, "inputHalves": None, "half1": None, "half2": None, "mask": None}
        values = {"coneAngle": 17.0, "estimate3DFSC": True, "threshold": 0.143, "numberOfThreads": 4}
        self.assertFields(CryoresProtFSO, {**fields, **values})

    def test_curves_and_filtered_map_are_the_engines(self):
        protocol = self.make(CryoresProtFSO, {"inputHalves": (self.full, "outputVolume")}, halfVolumesFile=True)
        self.launchProtocol(protocol)
        expected = fso(self.halves)
        # The set hands out one and the same object, filled again for each curve.
        curves = {curve.getObjLabel(): [*map(list, curve.getData())] for curve in protocol.outputFSCs.iterItems()}
        for name, values in (("fsc", expected.fsc), ("fso", expected.fso)):
            self.assertTrue(np.allclose(protocol.readCurves()[name][1], values[1:], atol=1e-5), name)
            # Scipion stores few decimals.
            self.assertTrue(np.allclose([float(v) for v in curves[name][1]], values[1:], atol=0.01), name)
        filtered = written(protocol.outputVolume)
        self.assertTrue(np.allclose(filtered.data, expected.filtered.data, atol=1e-4 * filtered.data.std()))
        self.assertEqual(protocol.outputVolume.getSamplingRate(), SAMPLING)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(protocol.outputVolume.getOrigin().getShifts(), shifts)
        self.assertIn(f"FSO 0.5: {expected.occupancy['0.5']:.2f} Å", protocol.summary())
        self.checkViewer(protocol, expected)

    def checkViewer(self, protocol, expected):
        viewer = CryoresFSOViewer(project=self.proj)
        viewer.setProtocol(protocol)
        lines = viewer._showOccupancy()[0].getFigure().axes[0].lines
        plotted = next(line for line in lines if line.get_label() == "FSO")
        self.assertTrue(np.allclose(plotted.get_ydata(), expected.fso[1:], atol=1e-5))
        points = viewer._showDirections()[0].getFigure().axes[0].collections[0]
        self.assertTrue(np.allclose(points.get_array(), expected.limits, atol=1e-5, equal_nan=True))
        self.assertEveryEntryShows(viewer)
        sphere = viewer._showSphere()[0].getFigure().axes[0].collections[0]
        self.assertTrue(np.allclose(sphere.get_array(), np.tile(expected.limits, 2), atol=1e-5, equal_nan=True))
        places = np.transpose(sphere._offsets3d)[: len(expected.axes)]
        self.assertTrue(np.allclose(places[:, ::-1], expected.axes, atol=1e-4))
        slices = viewer._showSlices("doShow3DFSC")[0].getFigure().axes[0].images[0].get_array()
        self.assertShownWithoutChimera(viewer, "The slices")
        self.assertTrue(np.allclose(slices, expected.three_d.data[3 * expected.grid.shape[0] // 9], atol=1e-4))

    def test_without_the_3dfsc_only_the_curves_come(self):
        protocol = self.make(
            CryoresProtFSO, {"half1": (self.full, "outputVolume"), "half2": (self.full, "outputVolume")}
        )
        self.assertTrue(protocol.validate())
        halves = {name: (self.importVolumes(name), "outputVolume") for name in ("half1", "half2")}
        protocol = self.make(CryoresProtFSO, halves, estimate3DFSC=False)
        self.launchProtocol(protocol)
        self.assertTrue(protocol.hasAttribute("outputFSCs"))
        self.assertFalse(protocol.hasAttribute("outputVolume"))
