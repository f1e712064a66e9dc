"""A comparison in a project: maps of two protocols, named after their runs, and the values that the viewer shows."""

import numpy as np
from pyworkflow.object import Pointer

from cryoresplugin.protocols import CryoresProtBlocres, CryoresProtCompare, CryoresProtMonoRes
from cryoresplugin.tests.project import CryoresTest, written
from cryoresplugin.viewers import CryoresCompareViewer


class TestCompare(CryoresTest):
    def test_two_maps_are_compared_under_the_names_of_their_runs(self):
        volume = (self.full, "outputVolume")
        runs = [
            self.make(CryoresProtMonoRes, {"associatedHalves": volume}, useHalfVolumes=True, maxRes=12.0),
            self.make(CryoresProtBlocres, {"inputVolume": volume}, box=16, step=4),
        ]
        protocol = self.make(CryoresProtCompare, {"map": volume})
        for name, run in zip(("monogenic", "boxes"), runs):
            run.setObjLabel(name)
            self.launchProtocol(run)
            protocol.resolutionMaps.append(Pointer(run, extended="resolution_Volume"))
        self.launchProtocol(protocol)
        rows = protocol.readReport()["summary"]["maps"]
        self.assertEqual(list(rows), ["monogenic", "boxes"])
        monogenic, boxes = (written(run.resolution_Volume).data for run in runs)
        spread = written(protocol.spread_Volume).data
        inside = written(protocol.outputMask).data > 0.5
        both = inside & (monogenic > 0) & (boxes > 0)
        self.assertTrue(np.allclose(spread[both], np.abs(monogenic - boxes)[both], atol=1e-4))
        self.assertAlmostEqual(rows["boxes"]["median"], np.median(boxes[inside & (boxes > 0)]), places=3)
        viewer = CryoresCompareViewer(project=self.proj)
        viewer.setProtocol(protocol)
        self.assertEveryEntryShows(viewer)
        legend = viewer._showHistograms()[0].getFigure().axes[0].get_legend()
        labels = [f"{name}, median {row['median']:.2f} Å" for name, row in rows.items()]
        self.assertEqual([text.get_text() for text in legend.get_texts()], labels)
        self.assertShownWithoutChimera(viewer, "The slices")
        shown = viewer._showSlices()[0].getFigure().axes[0].images[0]
        limits = (min(row["p5"] for row in rows.values()), max(row["p95"] for row in rows.values()))
        self.assertEqual(shown.get_clim(), limits)
        plane = np.where(inside, monogenic, 0)[3 * inside.shape[0] // 9]
        self.assertTrue(np.array_equal(np.ma.filled(shown.get_array(), 0), plane))

    def test_one_map_is_not_a_comparison(self):
        protocol = self.make(CryoresProtCompare, {"map": (self.full, "outputVolume")})
        protocol.resolutionMaps.append(Pointer(self.full, extended="outputVolume"))
        self.assertIn("Give two local resolutions or more.", protocol._validate())
