"""LocBFactor and LocOccupancy in a project: from the form to the values of the output and of the viewer."""

import numpy as np

from cryores.postprocessing import locbfactor, lococcupancy
from cryoresplugin.protocols import CryoresProtLocBFactor, CryoresProtLocOccupancy
from cryoresplugin.tests.project import SAMPLING, CryoresTest, written
from cryoresplugin.viewers import CryoresLocalMapViewer


class TestLocalMaps(CryoresTest):
    def test_b_factors_of_half_maps(self):
        protocol = self.make(CryoresProtLocBFactor, {"inputVolume": (self.full, "outputVolume")}, points=6)
        self.launchProtocol(protocol)
        expected = locbfactor(self.halves, points=6)
        values = np.nan_to_num(expected.bfactor.data)
        self.assertTrue(np.allclose(written(protocol.bfactor_Volume).data, values, atol=0.05 * np.abs(values).max()))
        self.assertAlmostEqual(protocol.bfactor_Volume.getSamplingRate(), SAMPLING, places=4)
        shifts = self.full.outputVolume.getOrigin().getShifts()
        self.assertEqual(protocol.amplitude_Volume.getOrigin().getShifts(), shifts)
        self.assertTrue(np.array_equal(written(protocol.outputMask).data, expected.mask.data))
        self.assertIn(f"Median {np.median(expected.values()):.2f} Å²", "\n".join(protocol._summary()))
        viewer = CryoresLocalMapViewer(project=self.proj)
        viewer.setProtocol(protocol)
        self.assertEveryEntryShows(viewer)
        axes = viewer._showHistogram()[0].getFigure().axes[0]
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        self.assertEqual(labels, [f"median {np.median(expected.values()):.2f}", "5 and 95 % of the voxels"])
        counts = [patch.get_height() for patch in axes.patches]
        self.assertEqual(sum(counts), int((expected.mask.data > 0.5).sum()))

    def test_the_occupancy_of_one_map(self):
        pointers = {"inputVolume": (self.full, "outputVolume")}
        protocol = self.make(CryoresProtLocOccupancy, pointers, inputType=2, maxResolution=20.0, minResolution=8.0)
        self.launchProtocol(protocol)
        expected = lococcupancy(self.halves.mean(), max_resolution=20.0, min_resolution=8.0)
        found = written(protocol.occupancy_Volume).data
        self.assertGreater(np.mean(found == np.nan_to_num(expected.occupancy.data)), 0.999)
